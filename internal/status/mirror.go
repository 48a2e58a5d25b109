package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	// mirrorEvery is how often new lines are written.
	mirrorEvery = 2 * time.Second
	// mirrorLines is how many are read at once.
	mirrorLines = 1000
	// mirrorTimeout bounds the work for a run, of which the rest is done the next time.
	mirrorTimeout = 5 * time.Second
)

// LogStore reads runs and their logs.
type LogStore interface {
	Run(ctx context.Context, id run.ID) (run.Run, error)
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
	Logs(ctx context.Context, id run.ID, q run.LogQuery) ([]run.LogLine, error)
}

// LogFiles is shared storage that logs are written into.
type LogFiles interface {
	Files
	Reader
	// Extend writes content at an offset of a file, which ends after it.
	Extend(ctx context.Context, folder, name string, offset int64, content []byte) error
}

// MirrorOptions configures [NewMirror].
type MirrorOptions struct {
	Store  LogStore
	Files  LogFiles
	Usual  bool // whether logs are mirrored of runs that say nothing about it
	Logger *slog.Logger
}

// Mirror writes the logs of runs that are to be mirrored into files, one for each worker, as they are stored.
type Mirror struct {
	o    MirrorOptions
	runs map[run.ID]*mirrored
}

// mirrored is how far a run's log is written. It is in a file beside the log, so that a console that was restarted writes nothing twice.
type mirrored struct {
	After run.LogPos       `json:"after"`
	Sizes map[string]int64 `json:"sizes"` // by file
	begun bool             // counts only if there is such a file: the run had ended before the console began
	last  bool             // the run has ended, and all is stored
	bad   bool             // the last attempt failed
}

// NewMirror returns a Mirror; see [Mirror.Run].
func NewMirror(o MirrorOptions) *Mirror { return &Mirror{o: o, runs: map[run.ID]*mirrored{}} }

// Run follows the runs that are under way until ctx ends. It also completes the newest that ended while no console was there.
func (m *Mirror) Run(ctx context.Context) error {
	states := []run.State(nil)
	tick := time.NewTicker(mirrorEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		runs, err := m.o.Store.Runs(ctx, run.RunFilter{Projects: run.AllProjects(), States: states, Limit: 1000})
		if err != nil {
			continue // whoever else reads the store says so
		}
		for _, r := range runs {
			if m.runs[r.ID] == nil && r.Attempt > 0 && r.Options.MirrorsLog(m.o.Usual) {
				m.runs[r.ID] = &mirrored{begun: states == nil && r.State.Terminal()}
			}
		}
		states = underWay()
		for _, id := range slices.Sorted(maps.Keys(m.runs)) {
			m.update(ctx, id)
		}
	}
}

// underWay are the states of runs that may have output.
func underWay() (states []run.State) {
	for _, s := range run.States() {
		if !s.Terminal() {
			states = append(states, s)
		}
	}
	return states
}

func (m *Mirror) update(ctx context.Context, id run.ID) {
	ctx, cancel := context.WithTimeout(ctx, mirrorTimeout)
	defer cancel()
	at := m.runs[id]
	r, err := m.o.Store.Run(ctx, id)
	if errors.Is(err, fault.ErrNotFound) { // deleted
		delete(m.runs, id)
		return
	}
	if err == nil {
		err = m.write(ctx, r, at)
	}
	if err != nil && !at.bad && !errors.Is(err, context.Canceled) {
		m.o.Logger.Warn("a log is not written into shared storage; retrying", "run", id, "err", err)
	}
	at.bad = err != nil
	if err == nil && at.last {
		delete(m.runs, id)
	}
}

// write writes the lines that have come since.
func (m *Mirror) write(ctx context.Context, r run.Run, at *mirrored) error {
	dir := "logs/training/" + string(r.ID) + "/"
	if at.Sizes == nil {
		content, _, err := m.o.Files.Read(ctx, r.Shape.Folder, dir+placeFile, time.Time{}, MaxFile)
		if err != nil && !errors.Is(err, fault.ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if at.begun && len(content) == 0 {
			at.last = true
			return nil
		}
		if json.Unmarshal(content, at) != nil || at.Sizes == nil {
			at.After, at.Sizes = 0, map[string]int64{}
		}
	}
	for ctx.Err() == nil { // the rest comes the next time
		lines, err := m.o.Store.Logs(ctx, r.ID, run.LogQuery{Rank: -1, After: at.After, Limit: mirrorLines})
		if err != nil || len(lines) == 0 {
			at.last = err == nil && r.State.Terminal() // after its last line is stored
			return err
		}
		texts := map[string][]byte{}
		for _, l := range lines {
			name := fmt.Sprintf("worker-%d.log", l.Rank)
			texts[name] = append(append(texts[name], l.Text...), '\n')
		}
		next := mirrored{After: lines[len(lines)-1].Pos, Sizes: maps.Clone(at.Sizes)}
		for name, text := range texts {
			if err := m.o.Files.Extend(ctx, r.Shape.Folder, dir+name, at.Sizes[name], text); err != nil {
				return err
			}
			next.Sizes[name] += int64(len(text))
		}
		place, err := json.Marshal(next)
		if err == nil {
			err = m.o.Files.Replace(ctx, r.Shape.Folder, dir+placeFile, place)
		}
		if err != nil {
			return err
		}
		at.After, at.Sizes = next.After, next.Sizes
	}
	return nil
}

// placeFile has a [mirrored].
const placeFile = ".mirrored.json"
