package survey

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	// placing is how long Nomad may take to place nodes before those that have ended are the whole measurement.
	placing = 30 * time.Second
	// maxLog bounds what is read of one node: a line for each other takes some 300 bytes.
	maxLog = 1 << 20
	// readers is how many logs are read at once.
	readers = 8
)

// follow sees a measurement to its end, or until ctx ends.
func (s *Survey) follow(ctx context.Context, m measure.Measurement) {
	s.o.Logger.Info("measuring the cluster", "measurement", m.ID, "nodes", len(m.Nodes), "by", m.Actor, "until", m.EndsBy)
	f := &following{Survey: s, m: m, intakes: map[string]*measure.Intake{}}
	for _, n := range m.Nodes {
		f.intakes[n.ID] = measure.NewIntake(n, m.Nodes, m.StartedAt)
	}
	for ctx.Err() == nil {
		done, err := f.look(ctx)
		if done || ctx.Err() != nil {
			return
		}
		if err != nil {
			s.o.Logger.Warn("the measurement is not followed for now", "measurement", m.ID, "err", err)
		}
		pause(ctx, s.o.Poll)
	}
}

// following is a measurement under way.
type following struct {
	*Survey
	m       measure.Measurement
	intakes map[string]*measure.Intake // by node
}

// look brings the measurement as far as it goes now, and reports whether it has ended. What failed is tried again.
func (f *following) look(ctx context.Context) (done bool, err error) {
	late := !f.o.Now().Before(f.m.EndsBy)
	if last := f.Known().Last; last.ID == f.m.ID {
		f.m.StoppedBy = last.StoppedBy
	}
	if f.m.JobID == "" {
		child, err := f.o.Cluster.Measure(ctx, f.m)
		switch {
		case err != nil && (late || !errors.Is(err, fault.ErrUnavailable)) && ctx.Err() == nil:
			f.m.State, f.m.Problem = measure.Failed, fault.Of(err).Text()
			return f.end(ctx, nil, nil)
		case err != nil:
			return false, err
		}
		f.m.State, f.m.JobID = measure.Running, child
		if err := f.o.Store.SaveMeasurement(ctx, f.m, nil, nil); err != nil {
			return false, err
		}
		f.replace(f.m)
	}
	probes, state, err := f.o.Cluster.Probes(ctx, f.m.JobID)
	if err != nil {
		return false, err
	}
	waiting := slices.ContainsFunc(probes, func(p nomad.Probe) bool { return !p.Terminal })
	missing := len(probes) < len(f.m.Nodes)
	over := state.Found && state.Stopped || !state.Found || f.m.StoppedBy != ""
	if !late && !over && (waiting || missing && f.o.Now().Before(f.m.StartedAt.Add(placing)) || len(probes) == 0) {
		return false, nil
	}
	if !waiting {
		late = false
	}
	return f.finish(ctx, probes, late)
}

// finish reads what nodes have printed, ends the job and stores the result.
func (f *following) finish(ctx context.Context, probes []nomad.Probe, late bool) (done bool, err error) {
	why := ""
	if f.m.StoppedBy != "" {
		why = "the measurement was stopped first"
	} else if len(probes) < len(f.m.Nodes) {
		if why, err = f.o.Cluster.Unplaced(ctx, f.m.JobID); err != nil {
			return false, err
		}
		why = "Nomad did not place it there: " + cmp.Or(why, "no reason is known")
	}
	problems := f.read(ctx, probes)
	nodes, err := f.o.Cluster.Nodes(ctx)
	if err != nil {
		return false, err
	}
	f.m.State = measure.Failed
	var reports []measure.Report
	for i := range f.m.Nodes {
		n := &f.m.Nodes[i]
		in := f.intakes[n.ID]
		n.Reported = in.Any()
		switch at := slices.IndexFunc(probes, func(p nomad.Probe) bool { return p.NodeID == n.ID }); {
		case at < 0:
			n.Problem = why
		case !in.Ended && f.m.StoppedBy != "":
			n.Problem = "the measurement was stopped first"
		case !in.Ended:
			n.Problem = problems[at]
		default:
			n.Problem = ""
		}
		if n.Reported {
			f.m.State = measure.Done
			r := in.Report
			r.Node = *n
			r.Node.Problem = ""
			reports = append(reports, r)
		}
		if in.Ignored > 0 {
			f.o.Logger.Warn("lines of a node say nothing that counts", "node", n.Name, "lines", in.Ignored)
		}
	}
	if f.m.StoppedBy != "" {
		f.m.Problem = "Stopped by " + f.m.StoppedBy + "."
	} else if late {
		f.m.Problem = "It took too long and was ended."
	} else if f.m.State == measure.Failed {
		f.m.Problem = "No node reported anything."
	}
	return f.end(ctx, reports, nodes)
}

// read takes in what nodes have printed, and says why there is not all of it, by probe.
func (f *following) read(ctx context.Context, probes []nomad.Probe) []string {
	problems := make([]string, len(probes))
	var each errgroup.Group
	each.SetLimit(readers)
	for i, p := range probes {
		in := f.intakes[p.NodeID]
		if in == nil {
			continue // a node that was not asked
		}
		each.Go(func() error {
			log, err := f.o.Cluster.ProbeLog(ctx, p.AllocID, maxLog)
			in.Take(log)
			problems[i] = cmp.Or(p.Detail, "it did not say why")
			if err != nil && p.Detail == "" && !errors.Is(err, nomad.ErrNotStarted) {
				problems[i] = "its log cannot be read: the node does not answer"
			}
			return nil
		})
	}
	_ = each.Wait() // never fails
	return problems
}

// end removes the job, stores the result and shows it. Without nodes none is forgotten.
func (f *following) end(ctx context.Context, reports []measure.Report, nodes []run.Node) (bool, error) {
	if f.m.JobID != "" {
		if err := f.o.Cluster.Purge(ctx, f.m.JobID); err != nil {
			return false, err
		}
	}
	f.m.EndedAt = f.o.Now().UTC()
	var known map[string]bool
	if len(nodes) > 0 {
		known = map[string]bool{}
		for _, n := range nodes {
			known[n.ID] = true
		}
	}
	if err := f.o.Store.SaveMeasurement(ctx, f.m, reports, known); err != nil {
		return false, err
	}
	_, err := f.load(ctx)
	f.o.Logger.Info("measured the cluster", "measurement", f.m.ID, "state", f.m.State, "reports", len(reports), "problem", f.m.Problem)
	return err == nil, err
}
