package audit_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
)

type kept []audit.Entry

func (k *kept) AppendAlone(ctx context.Context, entries ...audit.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	*k = append(*k, entries...)
	return nil
}

func TestRefusalsAreBoundedAndCounted(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var log kept
	refusals := audit.NewRefusals(&log, 30, func() time.Time { return now })
	add := func(n int, user access.UserID, action string, outcome audit.Outcome) {
		t.Helper()
		for range n {
			if err := refusals.AppendAlone(t.Context(), audit.Entry{Actor: audit.Actor{User: user}, Action: action, Outcome: outcome, Reason: "no"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	wants := func(n int) {
		t.Helper()
		if len(log) != n {
			t.Fatalf("%d entries, want %d", len(log), n)
		}
	}
	add(1623, "eve", "users.manage", audit.Refused)
	wants(30)
	add(1, "eve", "runs.read", audit.Refused)
	add(1, "bob", "users.manage", audit.Refused)
	add(40, "eve", "users.manage", audit.Begun)
	wants(72)
	now = now.Add(time.Minute)
	add(2, "eve", "users.manage", audit.Refused)
	wants(74)
	if got := log[72].Reason; got != "no (and 1593 more since 2026-01-02T03:04:05Z, which have no entry)" {
		t.Errorf("the next says %q", got)
	}
	if got := log[73].Reason; strings.Contains(got, "more") {
		t.Errorf("they are told twice: %q", got)
	}
	add(40, "", "login", audit.Refused) // by nobody who is known: limited elsewhere
	wants(114)
}

func TestRefusalsThatWereLeftOutAreToldAtTheEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var log kept
	refusals := audit.NewRefusals(&log, 1, func() time.Time { return now })
	refuse := func(user access.UserID, subject string) {
		t.Helper()
		if err := refusals.AppendAlone(t.Context(), audit.Entry{At: now, Actor: audit.Actor{User: user}, Action: "runs.stop", Subject: subject, Outcome: audit.Refused, Reason: "no"}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Millisecond)
	}
	for _, subject := range []string{"run:1", "run:2", "run:3"} {
		refuse("eve", subject)
	}
	refuse("bob", "run:4")
	refuse("bob", "run:5")
	ended, end := context.WithCancel(t.Context())
	end()
	if err := refusals.Tell(ended); err == nil || len(log) != 2 { // the store is away
		t.Fatalf("%v, %d entries", err, len(log))
	}
	refuse("bob", "run:6")
	if err := refusals.Run(ended); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range log[2:] {
		got = append(got, string(e.Actor.User)+" "+e.Subject+": "+e.Reason)
	}
	const since = " since 2026-01-02T03:04:05Z, which have no entry)"
	if want := []string{"eve run:3: no (and 1 more" + since, "bob run:6: no (and 1 more" + since}; !slices.Equal(got, want) {
		t.Errorf("the log says %q, want %q", got, want)
	}
	if err := refusals.Tell(t.Context()); err != nil || len(log) != 4 {
		t.Errorf("%v, told twice", err)
	}
}
