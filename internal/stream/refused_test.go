package stream_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/stream"
)

func TestAStreamEndsWithItsViewersAccess(t *testing.T) {
	t.Parallel()
	const id = "r-0000000001"
	for name, c := range map[string]struct {
		now     access.Identity
		refused map[string]error
		stays   bool
	}{
		"signed out":                       {},
		"a lower role without the right":   {ann(""), map[string]error{id: fault.ErrForbidden}, false},
		"a run that is seen no more":       {ann(""), map[string]error{id: fault.ErrNotFound}, false},
		"a lower role that still has it":   {ann(access.Viewer), nil, true},
		"a store that cannot be asked":     {ann(access.Viewer), map[string]error{id: fault.ErrUnavailable}, true},
		"a duty that has to be done first": {access.Identity{User: "ann", First: &access.Duty{}}, map[string]error{id: fault.ErrForbidden}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, false, stream.Limits{})
			topic := feed.RunTopic(id)
			r := s.follow(topic, "")
			s.people.change(c.now, c.refused)
			s.hub.Publish(topic, feed.LogType, feed.Log{}) // which nobody may see who was refused before it
			e, err := r.event()
			if stays := err == nil; stays != c.stays {
				t.Errorf("got %+v, %v", e, err)
			}
		})
	}
}

func TestAStreamThatMayNotBeginIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, false, stream.Limits{})
	s.people.change(ann(access.Admin), map[string]error{"r-0000000002": fault.ErrNotFound, "vision": fault.ErrForbidden})
	for query, want := range map[string]int{
		"": 422, "nodes": 422, "run:r-0000000001,": 422, "run:r-0000000002": 404, "runs:vision": 403, "runs,runs:vision": 403,
		strings.Repeat("runs,", stream.MaxTopics) + "system": 422,
	} {
		if _, status := s.open(query, ""); status != want {
			t.Errorf("%q: %d, want %d", query, status, want)
		}
	}
	for _, last := range []string{"5", "runs", "runs=", "runs=-5", "runs=1;system=2", "nodes=1", "runs=99999999999999999999"} {
		if _, status := s.open("runs", last); status != 422 {
			t.Errorf("after %q: %d", last, status)
		}
	}
	s.people.change(access.Identity{}, nil)
	if _, status := s.open("runs", ""); status != 401 {
		t.Errorf("nobody: %d", status)
	}
}

// TestARefusalNamesItsTopic looks at what whoever shares a connection goes by; that of all topics names none.
func TestARefusalNamesItsTopic(t *testing.T) {
	t.Parallel()
	s := newSite(t, false, stream.Limits{})
	topics := stream.Positions{"system": stream.FromNow, "run:r-0000000001": stream.FromNow, "run:r-0000000002": stream.FromNow}
	for want, c := range map[string]struct {
		now     access.Identity
		refused map[string]error
	}{
		"run:r-0000000002: not allowed, or not any more": {ann(access.Viewer), map[string]error{"r-0000000002": fault.ErrNotFound}},
		"not allowed, or not any more":                   {access.Identity{}, nil},
	} {
		s.people.change(c.now, c.refused)
		v, err := s.stream.Connect(access.With(t.Context(), ann(access.Viewer)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Follow(topics)
		v.Close()
		if !errors.Is(err, stream.ErrNotAllowed) || stream.WhyNot(err) != want {
			t.Errorf("%v tells %q, want %q", err, stream.WhyNot(err), want)
		}
	}
}
