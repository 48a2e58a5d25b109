package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/measure"
)

func measurement(n int) measure.Measurement {
	return measure.Measurement{
		ID: fmt.Sprintf("m-%03d", n), State: measure.Starting, Actor: "ann", StartedAt: epoch, EndsBy: epoch.Add(time.Hour), Token: "secret",
		Nodes: []measure.Participant{{ID: "a", Name: "one", Site: "ams", GPUs: []string{"nvidia/gpu/A100"}}, {ID: "b", Name: "two", Site: "ams"}},
	}
}

func testMeasurements(t *testing.T, s Store) {
	if _, err := s.NewestMeasurement(t.Context()); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("without any: %v", err)
	}
	m := measurement(1)
	must(t, s.StartMeasurement(t.Context(), m))
	got, err := s.NewestMeasurement(t.Context())
	if d := cmp.Diff(m, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	if err := s.StartMeasurement(t.Context(), measurement(2)); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("a second one: %v", err)
	}
	m.State, m.JobID = measure.Running, "job"
	must(t, s.SaveMeasurement(t.Context(), m, nil, nil))
	if got, err = s.NewestMeasurement(t.Context()); got.JobID != "job" || got.Token != "secret" || err != nil {
		t.Errorf("while it goes on: %+v, %v", got, err)
	}
	m.State, m.EndedAt = measure.Done, epoch.Add(time.Minute)
	must(t, s.SaveMeasurement(t.Context(), m, nil, nil))
	late := m
	late.State = measure.Running
	must(t, s.SaveMeasurement(t.Context(), late, nil, nil))
	if got, err = s.NewestMeasurement(t.Context()); got.State != measure.Done || got.Token != "" || err != nil {
		t.Errorf("once it has ended: %+v, %v", got, err)
	}
	for n := 2; n < 40; n++ {
		m := measurement(n)
		must(t, s.StartMeasurement(t.Context(), m))
		m.State = measure.Failed
		must(t, s.SaveMeasurement(t.Context(), m, nil, nil))
	}
	if got, err = s.NewestMeasurement(t.Context()); got.ID != "m-039" || err != nil {
		t.Errorf("the newest of many: %+v, %v", got, err)
	}
}

func testMeasurementsAtOnce(t *testing.T, s Store) {
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() { errs[i] = s.StartMeasurement(t.Context(), measurement(i)) })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, fault.ErrConflict) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d have started", won)
	}
}

func testMeasuredNodes(t *testing.T, s Store) {
	// measured is a measurement in which nodes report; it is the n-th day.
	measured := func(n int, known map[string]bool, reports ...measure.Report) {
		t.Helper()
		m := measurement(n)
		m.StartedAt = epoch.Add(time.Duration(n) * 24 * time.Hour)
		must(t, s.StartMeasurement(t.Context(), m))
		m.State = measure.Done
		must(t, s.SaveMeasurement(t.Context(), m, reports, known))
	}
	day := func(n int) time.Time { return epoch.Add(time.Duration(n) * 24 * time.Hour) }
	node := func(id string) measure.Participant {
		return measure.Participant{ID: id, Name: "node " + id, Site: "ams"}
	}
	link := func(n int, bits float64) measure.Link {
		return measure.Link{At: day(n), RoundTrip: time.Duration(n + 1), Bandwidth: bits, BandwidthAt: day(n)}
	}
	check := func(want ...measure.Report) {
		t.Helper()
		got, err := s.MeasuredNodes(t.Context())
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%v %s", err, d)
		}
	}
	facts := measure.Facts{At: day(0), MemoryTotal: 7}
	measured(0, nil, measure.Report{Node: node("a"), Facts: facts, Links: map[string]measure.Link{"b": link(0, 5), "c": link(0, 6)}},
		measure.Report{Node: node("b"), Links: map[string]measure.Link{"a": link(0, 9)}})
	again := link(1, 0)
	again.BandwidthAt = time.Time{}
	measured(1, nil, measure.Report{Node: node("a"), Links: map[string]measure.Link{"b": again}})
	kept := again
	kept.Bandwidth, kept.BandwidthAt = 5, day(0)
	check(measure.Report{Node: node("a"), Facts: facts, Links: map[string]measure.Link{"b": kept, "c": link(0, 6)}},
		measure.Report{Node: node("b"), Links: map[string]measure.Link{"a": link(0, 9)}})

	// What is older than 90 days is forgotten, and so are nodes that are gone, with the ways to them.
	measured(91, map[string]bool{"a": true, "d": true}, measure.Report{Node: node("a"), Links: map[string]measure.Link{"d": link(91, 3)}})
	check(measure.Report{Node: node("a"), Facts: facts, Links: map[string]measure.Link{"d": link(91, 3)}})
	measured(200, nil)
	check()
}
