package storetest

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// longText is a text that no database compresses to much less than a MiB.
func longText() string {
	letters := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ;"[letters.IntN(64)]
	}
	return string(b)
}

// testTexts stores what a log, a person or Nomad may say in every text that a caller gives.
func testTexts(t *testing.T, s Store) {
	for i, given := range []string{"a\x00b", "a\xff\xfeb", "\x00", longText()} {
		want := strings.ToValidUTF8(strings.ReplaceAll(given, "\x00", "\uFFFD"), "\uFFFD")
		digit := string(rune('1' + i))
		id := run.ID("r-000000000" + digit)
		ctx := t.Context()
		r := newRun(string(id), given)
		r.Config, r.Reason, r.CheckpointPath, r.StopReason = given, given, given, given
		r.Origin.Template = given
		if len(given) < 10 { // else the index of the name's words is enough to wait for
			r.Options.Description, r.Options.Tags = given, []string{given}
			r.Preset = given // which lists are filtered by, as by the owner
		}
		_, _, err := s.CreateRun(ctx, r, "", run.Event{RunID: id, At: epoch, Kind: given, Level: given, Actor: given, Message: given})
		must(t, err)
		got, err := s.Run(ctx, id)
		must(t, err)
		for what, text := range map[string]string{"name": got.Name, "config": got.Config, "path": got.CheckpointPath, "stop reason": got.StopReason} {
			sameText(t, what, text, want)
		}
		short := shortened(t, "reason", got.Reason, want)
		must(t, s.SetWaitReason(ctx, "other", []run.ID{id}))
		must(t, s.SetWaitReason(ctx, given, []run.ID{id}))
		if found, err := s.Runs(ctx, run.RunFilter{Projects: run.AllProjects(), Text: given, Limit: 10}); err != nil {
			t.Errorf("search: %d runs, %v", len(found), err)
		}
		waits, err := s.ReadyWithOtherReason(ctx, "", short)
		must(t, err)
		for _, other := range waits {
			if other == id {
				t.Error("a run waits with another reason than it was given")
			}
		}

		_, err = s.Update(ctx, id, func(u *store.Update) error {
			u.Run.Reason = given
			u.Attempt = run.Attempt{RunID: id, Number: 1, Resume: given}
			u.Workers = []run.Worker{{AllocID: "w" + digit, RunID: id, Attempt: 1, Detail: given, NodeName: given}}
			u.Events = append(u.Events, run.Event{RunID: id, At: epoch, Message: given})
			return nil
		})
		must(t, err)
		attempts, err := s.Attempts(ctx, id)
		must(t, err)
		sameText(t, "resume", attempts[0].Resume, want)
		evs, err := s.Events(ctx, id, 0, 10)
		must(t, err)
		for _, ev := range evs {
			sameText(t, "message", ev.Message, want)
		}
		sameText(t, "kind", evs[0].Kind+evs[0].Level+evs[0].Actor, want+want+want)

		b := batch(id, 0, store.Cursor{}, given+"\n", points.Point{Metric: given, Step: 1, Value: 1})
		b.To.File, b.To.Parser, b.Checkpoints = given, given, []store.Checkpoint{{Step: 1, Path: given}}
		must(t, s.Commit(ctx, []*store.Batch{b}))
		cur, err := s.Cursor(ctx, b.AllocID, b.Stream)
		must(t, err)
		sameText(t, "file and parser", cur.File+cur.Parser, want+want)
		must(t, s.Commit(ctx, []*store.Batch{batch(id, 0, cur, "more\n")}))
		saved, err := s.SavedCheckpoints(ctx, id)
		must(t, err)
		sameText(t, "checkpoint", saved[0].Path, want)
		metrics, err := s.Metrics(ctx, id)
		must(t, err)
		metric := shortened(t, "metric", metrics[0], want)
		pts, err := AllPoints(ctx, s, id, metric)
		must(t, err)
		same(t, "points of "+metric[:1], len(pts), 1)

		tpl := run.Template{Project: "default", Name: "t" + digit, Description: given, Config: given, Note: given, Actor: given}
		_, err = s.SaveTemplate(ctx, tpl, run.AnyVersion)
		must(t, err)
		back, err := s.Template(ctx, "default", tpl.Name, 0)
		must(t, err)
		sameText(t, "template", back.Description+back.Config+back.Note+back.Actor, strings.Repeat(want, 4))
		sw := run.Sweep{ID: run.SweepID("s-000000000" + digit), Name: given, Actor: given}
		_, _, err = s.CreateSweep(ctx, sw, "", nil, nil)
		must(t, err)
		stored, err := s.Sweep(ctx, sw.ID)
		must(t, err)
		sameText(t, "sweep", stored.Name+stored.Actor, want+want)
	}
}

// sameText is same without printing a MiB.
func sameText(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d bytes %.20q, want %d bytes %.20q", what, len(got), got, len(want), want)
	}
}

// shortened expects a text that is part of a key: as long as a key may be.
func shortened(t *testing.T, what, got, want string) string {
	t.Helper()
	const key = 1000
	if len(want) <= key {
		sameText(t, what, got, want)
	} else if rest, cut := strings.CutSuffix(got, "…"); !cut || len(got) > key || !strings.HasPrefix(want, rest) {
		t.Errorf("%s: %d bytes %.20q", what, len(got), got)
	}
	return got
}

// testOrder has names of which languages and bytes have different orders.
func testOrder(t *testing.T, s Store) {
	ordered := []string{"A", "B", "_", "a", "a b", "a-b", "a_b", "ab", "b", "z", "É", "é"}
	id := create(t, s, "r-0000000001", "a").ID
	b := batch(id, 0, store.Cursor{}, "x\n")
	for _, i := range rand.Perm(len(ordered)) {
		b.Points = append(b.Points, points.Point{Metric: ordered[i], Step: 1})
	}
	must(t, s.Commit(t.Context(), []*store.Batch{b}))
	names, err := s.Metrics(t.Context(), id)
	must(t, err)
	same(t, "metrics", names, ordered)

	var saved []string
	for _, name := range []string{"b", "a_b", "é", "ab", "a-b", "a b", "_", "z"} {
		_, err := s.SaveTemplate(t.Context(), run.Template{Project: "default", Name: name}, 0)
		must(t, err)
	}
	all, err := s.Templates(t.Context(), run.AllProjects())
	must(t, err)
	for _, tpl := range all {
		saved = append(saved, tpl.Name)
	}
	same(t, "templates", saved, []string{"_", "a b", "a-b", "a_b", "ab", "b", "z", "é"})

	for _, other := range []string{"r-000000000b", "r-000000000a", "r-0000000009"} {
		create(t, s, other, "a")
	}
	runs, err := s.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Limit: 10})
	must(t, err)
	for i, want := range []run.ID{"r-000000000b", "r-000000000a", "r-0000000009", id} {
		same(t, "run", runs[i].ID, want)
	}
}
