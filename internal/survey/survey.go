package survey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	// pollEvery is how often a measurement is looked at.
	pollEvery = 2 * time.Second
	// startMargin is added to what nodes may take: for Nomad to place and start them.
	startMargin = time.Minute
	// retryEvery is the pause after the store could not be read.
	retryEvery = 5 * time.Second
)

// Cluster is the part of [nomad.Client] that survey uses.
type Cluster interface {
	Nodes(ctx context.Context) ([]run.Node, error)
	Measure(ctx context.Context, m measure.Measurement) (childID string, err error)
	Probes(ctx context.Context, childID string) ([]nomad.Probe, nomad.JobState, error)
	ProbeLog(ctx context.Context, allocID string, most int) ([]byte, error)
	Unplaced(ctx context.Context, childID string) (string, error)
	Purge(ctx context.Context, childID string) error
}

// Store is the part of the store that survey uses.
type Store interface {
	StartMeasurement(ctx context.Context, m measure.Measurement) error
	StopMeasurement(ctx context.Context, id, actor string) (measure.Measurement, error)
	SaveMeasurement(ctx context.Context, m measure.Measurement, reports []measure.Report, known map[string]bool) error
	NewestMeasurement(ctx context.Context) (measure.Measurement, error)
	MeasuredNodes(ctx context.Context) ([]measure.Report, error)
}

// Options configures [New]; all but Poll are needed.
type Options struct {
	Cluster Cluster
	Store   Store
	Logger  *slog.Logger
	Now     func() time.Time
	Poll    time.Duration // how often a measurement is looked at, 0 for 2 s
}

// Survey has the cluster measured.
type Survey struct {
	o     Options
	wake  chan struct{}
	known atomic.Pointer[measure.Known]
}

// New returns a Survey, which knows nothing before [Survey.Load] or [Survey.Run].
func New(o Options) *Survey {
	o.Poll = cmp.Or(o.Poll, pollEvery)
	s := &Survey{o: o, wake: make(chan struct{}, 1)}
	s.known.Store(&measure.Known{Matrix: measure.NewMatrix(nil)})
	return s
}

// Known returns the newest that is known.
func (s *Survey) Known() *measure.Known { return s.known.Load() }

// Measure starts a measurement. While another goes on it is [fault.ErrConflict]; a choice of no node, of too many, or of one that
// takes no work is [run.FieldErrors].
func (s *Survey) Measure(ctx context.Context, actor string, c measure.Choice) (measure.Measurement, error) {
	nodes, err := s.o.Cluster.Nodes(ctx)
	if err != nil {
		return measure.Measurement{}, err
	}
	now := s.o.Now().UTC()
	m := measure.Measurement{ID: measure.NewID(now), State: measure.Starting, Actor: actor, StartedAt: now, Token: measure.NewToken()}
	if m.Nodes, err = choose(nodes, c); err != nil {
		return measure.Measurement{}, err
	}
	m.EndsBy = now.Add(measure.SpecOf(m.Nodes).Limits.Total + startMargin)
	if err := s.o.Store.StartMeasurement(ctx, m); err != nil {
		return measure.Measurement{}, err
	}
	s.replace(m)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return m, nil
}

// StopMeasurement ends a measurement with what nodes have reported by then. One that has ended is [fault.ErrConflict].
func (s *Survey) StopMeasurement(ctx context.Context, actor, id string) (measure.Measurement, error) {
	m, err := s.o.Store.StopMeasurement(ctx, id, actor)
	if err != nil {
		return m, err
	}
	for {
		was := s.known.Load()
		if was.Last.ID != id {
			return m, nil
		}
		now := *was
		now.Last.StoppedBy = m.StoppedBy
		if s.known.CompareAndSwap(was, &now) {
			return m, nil
		}
	}
}

func choose(all []run.Node, c measure.Choice) ([]measure.Participant, error) {
	wrong := func(field, value, rule, fix string) error {
		return run.FieldErrors{{Field: field, Value: value, Rule: rule, Fix: fix}}
	}
	takes := func(n run.Node) bool { return n.Status == "ready" && n.Eligible }
	var chosen []run.Node
	for _, name := range c.Nodes {
		matches := slices.DeleteFunc(slices.Clone(all), func(n run.Node) bool {
			return n.Name != name && (len(name) < 8 || !strings.HasPrefix(n.ID, name))
		})
		switch {
		case len(matches) == 0:
			return nil, wrong("nodes", name, "is no node of the cluster", "see cotrain node list")
		case len(matches) > 1:
			return nil, wrong("nodes", name, "is the name of several nodes", "give the ID of the one")
		case !takes(matches[0]):
			return nil, wrong("nodes", name, "takes no work", "make it ready and eligible first")
		case c.Site != "" && matches[0].Datacenter != c.Site:
			return nil, wrong("nodes", name, "is not in site "+c.Site, "leave the site out")
		}
		if !slices.ContainsFunc(chosen, func(n run.Node) bool { return n.ID == matches[0].ID }) {
			chosen = append(chosen, matches[0])
		}
	}
	if len(c.Nodes) == 0 {
		chosen = slices.DeleteFunc(slices.Clone(all), func(n run.Node) bool { return !takes(n) || c.Site != "" && n.Datacenter != c.Site })
	}
	switch {
	case len(chosen) == 0 && c.Site != "":
		return nil, wrong("site", c.Site, "has no node that takes work", "see cotrain node list")
	case len(chosen) == 0:
		return nil, wrong("nodes", "", "the cluster has no node that takes work", "see cotrain node list")
	case len(chosen) > measure.MaxNodes:
		return nil, wrong("nodes", "", fmt.Sprintf("%d nodes are more than are measured at once", len(chosen)), fmt.Sprintf("choose %d at most, by name or by site", measure.MaxNodes))
	}
	var out []measure.Participant
	for _, n := range chosen {
		m := measure.Participant{ID: n.ID, Name: n.Name, Site: n.Datacenter}
		for _, g := range n.GPUs {
			m.GPUs = append(m.GPUs, g.Model)
		}
		out = append(out, m)
	}
	return out, nil
}

// Run follows measurements until ctx ends, also those of an earlier process.
func (s *Survey) Run(ctx context.Context) error {
	for {
		m, err := s.load(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.o.Logger.Warn("measurements cannot be read", "err", err, "again", retryEvery)
			pause(ctx, retryEvery)
			continue
		case m.State.Active():
			s.follow(ctx, m)
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		}
	}
}

// Load reads what is known, so that nobody is told of nothing before [Survey.Run] has.
func (s *Survey) Load(ctx context.Context) error {
	_, err := s.load(ctx)
	return err
}

// load reads what is known.
func (s *Survey) load(ctx context.Context) (measure.Measurement, error) {
	m, err := s.o.Store.NewestMeasurement(ctx)
	if err != nil && !errors.Is(err, fault.ErrNotFound) {
		return m, err
	}
	reports, err := s.o.Store.MeasuredNodes(ctx)
	if err != nil {
		return m, err
	}
	matrix := measure.NewMatrix(reports)
	s.known.Store(&measure.Known{Last: m, Matrix: matrix, Problems: matrix.Problems(m)})
	return m, nil
}

// replace shows how far a measurement is.
func (s *Survey) replace(m measure.Measurement) {
	now := *s.Known()
	now.Last = m
	s.known.Store(&now)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
