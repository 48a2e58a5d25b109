package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/nomad"
)

func TestWhatPostgreSQLSaysIsTold(t *testing.T) {
	t.Parallel()
	h := newHealth(feed.NewHub(time.Now), slog.New(slog.DiscardHandler), true)
	for _, step := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("store: %w", fault.New(fault.ErrStoreUnavailable, "The server only allows reading.", "")), "The server only allows reading. What runs goes on"},
		{errors.New("strange"), "cannot write its PostgreSQL database. What runs goes on"},
		{fault.New(fault.ErrFull, "The disk of the server is full.", ""), "The disk of the server is full."},
	} {
		h.setStore(step.err)
		if got := h.system(); got.Store != "failing" || !strings.Contains(got.Message, step.want) {
			t.Errorf("%v is told as %+v", step.err, got)
		}
	}
}

func TestViewersAreToldWhenHealthChangesAndOnlyThen(t *testing.T) {
	t.Parallel()
	hub := feed.NewHub(time.Now)
	h := newHealth(hub, slog.New(slog.DiscardHandler), false)
	sub := hub.Subscribe(map[string]int64{feed.SystemTopic: -1})
	defer sub.Close()
	away := fmt.Errorf("connection refused: %w", fault.ErrUnavailable)
	for _, step := range []struct {
		set  func(error)
		err  error
		want string // part of the message; "-" for nothing told
	}{
		{h.setNomad, nil, "-"},
		{h.setNomad, away, "Nomad is not reachable"},
		{h.setNomad, fmt.Errorf("again: %w", away), "-"},
		{h.setStore, errors.New("disk full"), "Nomad is not reachable"}, // the message stays, the store's state is told
		{h.setNomad, nil, "cannot write"},
		{h.setStore, nil, ""},
		{func(err error) { h.setJobFile(err, true) }, fault.New(fault.ErrNomadRefused, "my.hcl:3: no such block.", ""), "my.hcl:3: no such block. Runs start with its last usable version."},
		{func(err error) { h.setJobFile(err, false) }, fault.New(fault.ErrNomadRefused, "my.hcl is empty.", ""), "No run can start"},
		{h.setNomad, fmt.Errorf("403: %w", nomad.ErrDenied), "token"},
	} {
		before := hub.Seq(feed.SystemTopic)
		step.set(step.err)
		told := hub.Seq(feed.SystemTopic) > before
		if step.want == "-" {
			if told {
				t.Errorf("%v was told although nothing changed", step.err)
			}
			continue
		}
		if got := h.system().Message; !told || !strings.Contains(got, step.want) || (step.want == "" && got != "") {
			t.Errorf("after %v: told %v, message %q, want %q", step.err, told, got, step.want)
		}
	}
	ms, err := sub.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var last feed.System
	if err := json.Unmarshal(ms[len(ms)-1].Data, &last); err != nil || last.Nomad != "unreachable" || last.Store != "ok" {
		t.Errorf("the last message is %+v, %v", last, err)
	}
}
