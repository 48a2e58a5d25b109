package status

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

const (
	// every is how often a run's status is told at most.
	every = time.Second
	// look is how often the keeper looks for what is due.
	look = 200 * time.Millisecond
	// settle is how long after a run's end its metrics are complete; then it is told once more.
	settle = 15 * time.Second
)

// Store reads runs.
type Store interface {
	Run(ctx context.Context, id run.ID) (run.Run, error)
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
	RunMetrics(ctx context.Context, id run.ID) ([]points.Summary, error)
}

// Feed is the hub that tells of changes, and that is told.
type Feed interface {
	Subscribe(since map[string]int64) *feed.Subscription
	PublishTraining(r run.Run, data any)
	Keeps(topic string) bool
}

// Files is shared storage.
type Files interface {
	// Replace writes a file as a whole, at once, for a project with that folder, and makes the folder that it is in.
	Replace(ctx context.Context, folder, name string, content []byte) error
}

// Options configures [New]; only Files may be nil.
type Options struct {
	Store  Store
	Feed   Feed
	Files  Files
	Logger *slog.Logger
	Now    func() time.Time
}

// Keeper tells statuses as they change.
type Keeper struct {
	o      Options
	dirty  map[run.ID]bool
	told   map[run.ID]time.Time // of runs under way
	ended  map[run.ID]bool      // that are told once more
	broken bool                 // the last file could not be written
}

// New returns a Keeper; see [Keeper.Run].
func New(o Options) *Keeper {
	return &Keeper{o: o, dirty: map[run.ID]bool{}, told: map[run.ID]time.Time{}, ended: map[run.ID]bool{}}
}

// Run follows all runs until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	sub := k.o.Feed.Subscribe(map[string]int64{feed.RunsTopic: -1})
	defer sub.Close()
	k.readAll(ctx)
	for ctx.Err() == nil {
		wait, cancel := ctx, func() {}
		if len(k.dirty) > 0 {
			wait, cancel = context.WithTimeout(ctx, look)
		}
		batch, err := sub.Next(wait)
		cancel()
		if err != nil && ctx.Err() != nil {
			return nil
		}
		k.take(ctx, batch)
		k.tell(ctx)
	}
	return nil
}

// take notes which runs have changed.
func (k *Keeper) take(ctx context.Context, batch []feed.Message) {
	for _, m := range batch {
		switch {
		case m.Type == feed.Gap:
			k.readAll(ctx)
		case m.Run != "":
			k.dirty[m.Run] = true
		}
	}
}

// readAll notes all runs that are under way, which may have changed unseen.
func (k *Keeper) readAll(ctx context.Context) {
	runs, err := k.o.Store.Runs(ctx, run.RunFilter{Projects: run.AllProjects(), States: underWay(), Limit: 1000})
	if err != nil && ctx.Err() == nil {
		k.o.Logger.Warn("runs under way cannot be read for their status", "err", err)
	}
	for _, r := range runs {
		k.dirty[r.ID] = true
	}
	for id := range k.told {
		k.dirty[id] = true
	}
}

// tell tells what is due.
func (k *Keeper) tell(ctx context.Context) {
	for id := range k.dirty {
		if k.o.Now().Sub(k.told[id]) < every {
			continue
		}
		delete(k.dirty, id)
		if k.o.Files == nil && !k.o.Feed.Keeps(feed.TrainingTopic) && !k.o.Feed.Keeps(feed.TrainingOf(id)) {
			continue
		}
		k.told[id] = k.o.Now()
		ended, err := k.tellOf(ctx, id)
		switch {
		case ended && !k.ended[id]:
			k.ended[id], k.dirty[id], k.told[id] = true, true, k.o.Now().Add(settle)
		case ended, errors.Is(err, fault.ErrNotFound): // deleted meanwhile
			delete(k.told, id)
			delete(k.ended, id)
		case err != nil && ctx.Err() == nil:
			k.o.Logger.Warn("status", "run", id, "err", err)
			k.dirty[id] = true
		}
	}
}

func (k *Keeper) tellOf(ctx context.Context, id run.ID) (ended bool, err error) {
	r, err := k.o.Store.Run(ctx, id)
	if err != nil {
		return false, err
	}
	metrics, err := k.o.Store.RunMetrics(ctx, id)
	if err != nil {
		return false, err
	}
	s := Of(r, metrics, k.o.Now())
	k.o.Feed.PublishTraining(r, s)
	if k.o.Files != nil {
		k.write(ctx, r, s)
	}
	return r.State.Terminal(), nil
}

// File is where a run's status is, in the shared storage of its project.
func File(id run.ID) string { return "logs/training/" + string(id) + "/status.json" }

// writeTimeout bounds a write: a hanging file system must not stop what is told otherwise.
const writeTimeout = 2 * time.Second

// write stores a status. A failure is logged once until one succeeds; the next change tries again.
func (k *Keeper) write(ctx context.Context, r run.Run, s Status) {
	content, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		limited, cancel := context.WithTimeout(ctx, writeTimeout)
		err = k.o.Files.Replace(limited, r.Shape.Folder, File(r.ID), append(content, '\n'))
		cancel()
	}
	if err != nil && ctx.Err() == nil && !k.broken {
		k.o.Logger.Warn("status files cannot be written", "run", r.ID, "err", err)
	}
	k.broken = err != nil
}

func parseNumber(text string) (float64, bool) {
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil
}
