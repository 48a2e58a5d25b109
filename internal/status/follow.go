package status

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"math"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/fsnotify/fsnotify"

	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	// pollEvery is how often a status file is looked at where nobody tells of its changes, as on network file systems.
	pollEvery = time.Second
	// rest is the least time between two readings.
	rest = 100 * time.Millisecond
	// MaxFile is the longest status file that is read, in bytes.
	MaxFile = 64 << 10
)

// Reader reads shared storage.
type Reader interface {
	// Read returns a file of a project's folder that has changed since a time, nil if it has not; longer ones are an error.
	Read(ctx context.Context, folder, name string, since time.Time, most int64) (content []byte, changed time.Time, err error)
	// Where is a folder of a project on this machine.
	Where(folder, name string) string
}

// FollowOptions configures [NewFollower].
type FollowOptions struct {
	Path  string // of the file, in shared storage; {run} and {attempt} stand for the run's ID and attempt
	Files Reader
	Runs  interface {
		Run(ctx context.Context, id run.ID) (run.Run, error)
	}
	Logger *slog.Logger
}

// Follower follows the status files that trainers write.
type Follower struct{ o FollowOptions }

// NewFollower returns a Follower.
func NewFollower(o FollowOptions) *Follower { return &Follower{o} }

// TailStatus turns each new content of the file that a worker's trainer writes into a machine line, until ctx ends, or with follow
// false once. The cursor's file is a digest of the content, so that a console that was restarted repeats nothing.
func (f *Follower) TailStatus(ctx context.Context, w run.Worker, from nomad.Cursor, follow bool, fn func(nomad.LogChunk) error) error {
	r, err := f.o.Runs.Run(ctx, w.RunID)
	if err != nil {
		return err
	}
	name := strings.NewReplacer("{run}", string(w.RunID), "{attempt}", strconv.Itoa(w.Attempt)).Replace(f.o.Path)
	changes, closing := f.watch(f.o.Files.Where(r.Shape.Folder, path.Dir(name)))
	defer closing()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	since := w.StartedAt // what an earlier attempt left does not count
	for {
		content, changed, err := f.o.Files.Read(ctx, r.Shape.Folder, name, since, MaxFile)
		if line, ok := lineOf(content, r.StepsTotal); err == nil && ok { // a half-written file is read again
			since = changed
			if chunk := chunkOf(line); chunk.File != from.File {
				if err := fn(chunk); err != nil {
					return err
				}
				from.File = chunk.File
			}
		}
		if !follow {
			return ctx.Err()
		}
		pause := time.NewTimer(rest)
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changes:
		case <-tick.C:
		}
	}
}

// watch tells of changes in a folder where the system does. It returns a nil channel where that is not possible: the folder need
// not exist yet.
func (f *Follower) watch(dir string) (changes <-chan fsnotify.Event, closing func()) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		f.o.Logger.Debug("changes of status files are polled", "err", err)
		return nil, func() {}
	}
	if err := w.Add(dir); err != nil {
		_ = w.Close()
		return nil, func() {}
	}
	go func() { // ends with the watcher
		for range w.Errors { // what was missed is polled
		}
	}()
	return w.Events, func() { _ = w.Close() }
}

func chunkOf(line []byte) nomad.LogChunk {
	sum := sha256.Sum256(line)
	return nomad.LogChunk{File: "status." + hex.EncodeToString(sum[:8]), Data: line}
}

// lineOf is a status as a machine line. It is false for what is none, or has nothing to tell.
func lineOf(content []byte, stepsTotal int64) (line []byte, ok bool) {
	var in struct {
		Step     *int64                     `json:"step"`
		Progress *float64                   `json:"progress"`
		Loss     any                        `json:"loss"`
		Metrics  map[string]json.RawMessage `json:"metrics"`
	}
	if len(content) == 0 || json.Unmarshal(quoted(content), &in) != nil {
		return nil, false
	}
	step := int64(-1)
	switch {
	case in.Step != nil:
		step = *in.Step
	case in.Progress != nil && stepsTotal > 0 && *in.Progress >= 0 && *in.Progress <= 100:
		step = int64(math.Round(*in.Progress / 100 * float64(stepsTotal)))
	}
	if step < 0 || step > run.MaxStep {
		return nil, false
	}
	out := map[string]any{"v": 1, "kind": "metrics", "step": step}
	for name, raw := range in.Metrics {
		var v any
		if key := snake(name); len(out) < maxMetrics && key != "" && out[key] == nil && json.Unmarshal(raw, &v) == nil && isNumber(v) {
			out[key] = v
		}
	}
	if isNumber(in.Loss) {
		out["loss"] = in.Loss
	}
	body, err := json.Marshal(out)
	if err != nil {
		return nil, false
	}
	return append(append([]byte("COTRAIN "), body...), '\n'), true
}

// isNumber reports whether a value is a number, or one of the texts that stand for those that JSON does not have.
func isNumber(v any) bool {
	switch v := v.(type) {
	case float64:
		return true
	case string:
		return v == "NaN" || v == "Infinity" || v == "-Infinity"
	}
	return false
}

// notFinite is a string, which stays as it is, or a number that JSON does not have; Python's json writes those bare.
var notFinite = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|-?Infinity|NaN`)

// quoted puts quotes around numbers that are not finite.
func quoted(content []byte) []byte {
	return notFinite.ReplaceAllFunc(content, func(found []byte) []byte {
		if found[0] == '"' {
			return found
		}
		return strconv.AppendQuote(nil, string(found))
	})
}

// snake writes learningRate as learning_rate.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) {
			if i > 0 {
				b.WriteByte('_')
			}
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}
