package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type runParam struct {
	ID string `path:"id" doc:"ID of the run, such as r-0123456789"`
}

// find returns the run that the path names. An ID of the wrong form names none.
func (s *server) find(ctx context.Context, name string) (run.Run, error) {
	id, err := run.ParseID(name)
	if err != nil {
		return run.Run{}, run.NoRun(name)
	}
	return s.Runs.Run(ctx, id)
}

func (s *server) listRuns(ctx context.Context, in *client.RunsQuery) (out client.RunPage, err error) {
	projects, bad := projectsOf(in.Project)
	f := run.RunFilter{Projects: projects, Owner: in.Owner, Text: in.Text, Limit: in.Limit}
	for _, group := range in.State {
		for name := range strings.SplitSeq(group, ",") {
			st, err := run.ParseState(strings.TrimSpace(name))
			if err != nil {
				bad = append(bad, trainconf.AsFieldErrors(err)...)
				continue
			}
			f.States = append(f.States, st)
		}
	}
	if in.Sweep != "" {
		sw, err := s.findSweep(ctx, in.Sweep)
		if err != nil {
			return out, err
		}
		f.Sweep = sw.ID
	}
	f.Model, f.Node, f.Archived = in.Model, in.Node, archivedBy[in.Archived]
	for _, group := range in.Tag {
		f.Tags = append(f.Tags, run.SplitTags(group)...)
	}
	for _, t := range []struct {
		field, given string
		into         *time.Time
	}{{"since", in.Since, &f.Since}, {"until", in.Until, &f.Until}} {
		var err error
		if *t.into, err = run.ParseTime(t.field, t.given); err != nil {
			bad = append(bad, trainconf.AsFieldErrors(err)...)
		}
	}
	order, err := run.ParseOrder(in.Sort)
	if err != nil {
		bad = append(bad, trainconf.AsFieldErrors(err)...)
	} else if f.Order = order; in.Before != "" {
		at, err := order.ParseCursor(in.Before)
		if err != nil {
			bad = append(bad, trainconf.AsFieldErrors(err)...)
		}
		f.After = &at
	}
	if len(bad) > 0 {
		return out, invalid("query", bad...)
	}
	page, err := s.Runs.ListRuns(ctx, f)
	if err != nil {
		return out, err
	}
	out.Items, out.Next = notNil(page.Runs), page.Next
	if out.Sorted, err = s.sortedBy(ctx, out.Items, f.Order); err != nil {
		return out, err
	}
	return out, s.Runs.SetQueuePlaces(ctx, out.Items)
}

// sortedBy are the values of the metric that runs are sorted by.
func (s *server) sortedBy(ctx context.Context, runs []run.Run, o run.Order) (map[run.ID]run.Number, error) {
	if o.Metric == "" {
		return nil, nil //nolint:nilnil // none to tell
	}
	ids := make([]run.ID, len(runs))
	for i, r := range runs {
		ids[i] = r.ID
	}
	summaries, err := s.Runs.RowMetrics(ctx, ids, []string{o.Metric})
	out := map[run.ID]run.Number{}
	for id, of := range summaries {
		if m, ok := of[o.Metric]; ok {
			out[id] = run.Number(map[string]float64{"last": m.Value, "low": m.Low, "high": m.High}[o.Of])
		}
	}
	return out, err
}

var archivedBy = map[string]run.Archived{"no": run.WithoutArchived, "only": run.OnlyArchived, "all": run.WithArchived}

type getRunInput struct {
	ID          string   `path:"id" doc:"ID of the run, such as r-0123456789"`
	IfNoneMatch []string `header:"If-None-Match" doc:"ETag of what the client has: if it is still so, the answer is 304 without a body"`
}

type getRunOutput struct {
	Status       int
	ETag         string `header:"ETag"`
	CacheControl string `header:"Cache-Control"`
	Body         client.RunDetail
}

func (s *server) getRun(ctx context.Context, in *getRunInput) (*getRunOutput, error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	placed := []run.Run{r}
	if err := s.Runs.SetQueuePlaces(ctx, placed); err != nil {
		return nil, err
	}
	r = placed[0]
	workers, err := s.Details.Workers(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	attempts, err := s.Details.Attempts(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	log, err := s.Details.LogFate(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	out := &getRunOutput{Status: http.StatusOK, CacheControl: "private, no-cache", Body: client.RunDetail{Run: r, Workers: notNil(workers), Attempts: notNil(attempts), Next: r.Outcome(),
		Log: client.LogState{LogFate: log, Text: strings.Join(log.Texts(), " ")}}}
	b, err := json.Marshal(out.Body)
	if err != nil {
		return nil, fmt.Errorf("encode run %s: %w", r.ID, err)
	}
	sum := sha256.Sum256(b)
	out.ETag = `"` + hex.EncodeToString(sum[:12]) + `"`
	if matches(in.IfNoneMatch, out.ETag) {
		out.Status = http.StatusNotModified
	}
	return out, nil
}

// matches reports whether an If-None-Match, split at its commas, holds the tag.
func matches(header []string, tag string) bool {
	for _, t := range header {
		t = strings.TrimPrefix(strings.TrimSpace(t), "W/")
		if t == tag || t == "*" {
			return true
		}
	}
	return false
}

func (s *server) listWorkers(ctx context.Context, in *runParam) (out client.WorkerList, err error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return out, err
	}
	workers, err := s.Details.Workers(ctx, r.ID)
	return client.WorkerList{Items: notNil(workers)}, err
}

func (s *server) deleteRun(ctx context.Context, in *runParam) (*struct{}, error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return nil, s.Actions.Delete(ctx, r.ID)
}

type editRunInput struct {
	ID   string `path:"id" doc:"ID of the run, such as r-0123456789"`
	Body run.Edit
}

// editRun answers with the run as it is then.
func (s *server) editRun(ctx context.Context, in *editRunInput) (out run.Run, err error) {
	r, err := s.find(ctx, in.ID)
	if err != nil {
		return out, err
	}
	if err := s.Actions.Edit(ctx, r.ID, in.Body); err != nil {
		return out, err
	}
	return s.find(ctx, in.ID)
}

func (s *server) editRuns(ctx context.Context, in *struct{ Body client.BulkEdit }) (run.BulkResult, error) {
	return bulk(ctx, in.Body.BulkRuns, func(ctx context.Context, id run.ID) error { return s.Actions.Edit(ctx, id, in.Body.Edit) })
}

func (s *server) stopRuns(ctx context.Context, in *struct{ Body client.BulkRuns }) (run.BulkResult, error) {
	return s.actAll(ctx, in.Body, s.Actions.Stop)
}

func (s *server) pauseRuns(ctx context.Context, in *struct{ Body client.BulkPause }) (run.BulkResult, error) {
	when, err := run.ParsePauseWhen(in.Body.When)
	if err != nil {
		return run.BulkResult{}, err
	}
	return s.actAll(ctx, in.Body.BulkRuns, func(ctx context.Context, id run.ID) error {
		return s.Actions.Act(ctx, id, run.Action{Act: run.ActPause, When: when})
	})
}

func (s *server) resumeRuns(ctx context.Context, in *struct{ Body client.BulkRuns }) (run.BulkResult, error) {
	return s.actAll(ctx, in.Body, func(ctx context.Context, id run.ID) error {
		return s.Actions.Act(ctx, id, run.Action{Act: run.ActResume})
	})
}

func (s *server) deleteRuns(ctx context.Context, in *struct{ Body client.BulkRuns }) (run.BulkResult, error) {
	return bulk(ctx, in.Body, s.Actions.Delete)
}

// actAll is bulk for what single runs answer with what happens next.
func (s *server) actAll(ctx context.Context, in client.BulkRuns, do func(context.Context, run.ID) error) (run.BulkResult, error) {
	next := map[run.ID]string{}
	out, err := bulk(ctx, in, func(ctx context.Context, id run.ID) error {
		if err := do(ctx, id); err != nil {
			return err
		}
		r, err := s.find(ctx, string(id))
		switch {
		case errors.Is(err, fault.ErrNotFound): // deleted since
			return nil
		case err == nil:
			next[id] = r.WhatNext()
		}
		return err
	})
	out.Next = next
	return out, err
}

// bulk does something with each run. An ID of the wrong form is that of no run.
func bulk(ctx context.Context, in client.BulkRuns, do func(context.Context, run.ID) error) (run.BulkResult, error) {
	return run.Bulk(ctx, in.Runs, func(ctx context.Context, id run.ID) error {
		if _, err := run.ParseID(string(id)); err != nil {
			return run.NoRun(string(id))
		}
		return do(ctx, id)
	})
}

// projectsOf reads the parameter of lists: every project without it.
func projectsOf(given []string) (run.Projects, run.FieldErrors) {
	out, bad := run.Projects{All: len(given) == 0}, run.FieldErrors(nil)
	for _, group := range given {
		for name := range strings.SplitSeq(group, ",") {
			if name = strings.TrimSpace(name); !access.CheckProjectName(name) {
				bad = append(bad, run.NotAProject(name))
			}
			out.Names = append(out.Names, name)
		}
	}
	return out, bad
}

// firstPage is the first items of a list that was read one item longer than a page, and whether there are more.
func firstPage[T any](items []T, limit int) (page []T, more bool) {
	return notNil(items[:min(len(items), limit)]), len(items) > limit
}

// notNil makes an empty list [] rather than null in JSON.
func notNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
