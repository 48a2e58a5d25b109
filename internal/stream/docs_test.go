package stream_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/docs"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/status"
	"github.com/cotrain/cotrain/internal/stream"
)

// contents are the types of all messages' data.
var contents = map[string]any{
	feed.State: run.Run{}, feed.Workers: []run.Worker{}, feed.SamplesType: feed.Samples{}, feed.LogType: feed.Log{}, feed.EventType: run.Event{},
	feed.SystemType: feed.System{}, feed.Gap: struct{}{}, feed.Deleted: map[string]run.ID{}, feed.TrainingProgress: status.Status{}, stream.SubscribedType: stream.Positions{},
}

// TestDocumentedMessagesAreThoseThatAreSent decodes each example into what the console publishes, has it published, and compares
// what comes with the example.
func TestDocumentedMessagesAreThoseThatAreSent(t *testing.T) {
	t.Parallel()
	text, err := docs.Files().ReadFile("stream.md")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, false, stream.Limits{})
	shown := map[string]bool{}
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(text, -1) {
		example := block[1]
		var m feed.Message
		if err := json.Unmarshal(example, &m); err != nil {
			t.Fatalf("%v in %s", err, example)
		}
		if m.Type == "" { // what a client sends
			continue
		}
		shown[m.Type] = true
		kind, ok := contents[m.Type]
		if !ok {
			t.Errorf("there is no message %s", m.Type)
			continue
		}
		data := reflect.New(reflect.TypeOf(kind))
		dec := json.NewDecoder(bytes.NewReader(m.Data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(data.Interface()); err != nil {
			t.Errorf("%s: %v", m.Type, err)
			continue
		}
		if m.Topic == "" { // as it was above, with sequences of then
			continue
		}
		r := s.follow(m.Topic, "")
		if m.Type == feed.TrainingProgress {
			progress := data.Elem().Interface().(status.Status)
			s.hub.PublishTraining(run.Run{ID: progress.SessionID, Project: "vision"}, progress)
		} else {
			s.hub.Publish(m.Topic, m.Type, data.Elem().Interface())
		}
		e := r.next()
		var got, want any
		if json.Unmarshal(e.data.Data, &got) != nil || json.Unmarshal(m.Data, &want) != nil || e.data.Topic != m.Topic || e.data.Type != m.Type || e.kind != m.Type {
			t.Errorf("%s came as %+v", m.Type, e)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-documented +sent):\n%s", m.Type, diff)
		}
	}
	for name := range contents {
		if !shown[name] {
			t.Errorf("%s has no example", name)
		}
	}
}

func TestDocumentedLimitsAreThoseThatCount(t *testing.T) {
	t.Parallel()
	text, err := docs.Files().ReadFile("stream.md")
	if err != nil {
		t.Fatal(err)
	}
	if stream.MaxTopics != 16 || stream.WriteTimeout != 10*time.Second || stream.Beat != 20*time.Second {
		t.Error("a limit has changed: docs/stream.md tells of it")
	}
	for _, topic := range regexp.MustCompile(`\x60([a-z]+:[A-Z]+|runs|training|system)\x60`).FindAllSubmatch(text, -1) {
		name := strings.NewReplacer("sweep:ID", "sweep:s-0123456789", "ID", "r-0123456789", "PROJECT", "vision").Replace(string(topic[1]))
		if _, err := stream.Topics("topics", []string{name}, nil); err != nil {
			t.Errorf("%s: %v", topic[1], err)
		}
	}
}
