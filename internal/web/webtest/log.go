package webtest

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
)

func (f *fake) LogMap(_ context.Context, _ run.ID, filter run.LogFilter) (run.LogMap, error) {
	m, err := f.Log.Map(filter)
	return m, or(err, f.Err)
}

func (f *fake) LogLines(_ context.Context, _ run.ID, filter run.LogFilter, at run.LogSpot, limit int) (run.LogPage, error) {
	p, err := f.Log.Page(filter, at, limit)
	return p, or(err, f.Err)
}

func (f *fake) FindLog(_ context.Context, _ run.ID, filter run.LogFilter, from run.LogPos, back bool) (run.LogLine, bool, error) {
	l, found, err := f.Log.Find(filter, from, back)
	return l, found, or(err, f.Err)
}

func (f *fake) SearchLog(_ context.Context, _ run.ID, filter run.LogFilter, tell func(run.LogFound) error) error {
	return or(f.Log.Search(filter, tell), f.Err)
}

func (f *fake) EachLog(_ context.Context, _ run.ID, filter run.LogFilter, from run.LogPos, fn func(run.RawLine) error) error {
	return or(f.Log.Each(filter, from, fn), f.Err)
}

func (f *fake) EachLogAround(_ context.Context, _ run.ID, filter run.LogFilter, from run.LogPos, _ int, fn func(run.RawLine) error) error {
	return or(f.Log.Around(filter, from, fn), f.Err)
}

func or(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
