package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

func TestRulesOfCausesAreSavedOverTheRevisionThatWasRead(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if got, err := s.CauseRules(t.Context()); err != nil || got.Revision != 0 || got.Text != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	at := time.UnixMilli(1_760_000_000_000).UTC()
	for i := range 30 {
		in := run.CauseRules{Revision: int64(i), Text: fmt.Sprint("# ", i), At: at, Actor: "boss"}
		saved, err := s.SaveCauseRules(t.Context(), in)
		if err != nil || saved.Revision != int64(i+1) {
			t.Fatalf("%+v, %v", saved, err)
		}
		if _, err := s.SaveCauseRules(t.Context(), in); !errors.Is(err, fault.ErrOutdated) {
			t.Fatalf("over an older revision: %v", err)
		}
	}
	if got, err := s.CauseRules(t.Context()); err != nil || got.Revision != 30 || got.Text != "# 29" || !got.At.Equal(at) || got.Actor != "boss" {
		t.Errorf("%+v, %v", got, err)
	}
}
