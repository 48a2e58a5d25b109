package stream

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
)

// MaxTopics is how many topics a connection follows at most.
const MaxTopics = 16

// FromNow is the position of a topic of which nothing earlier is wanted.
const FromNow = -1

// Positions is the last sequence that a viewer has of each topic that it follows, or [FromNow].
type Positions map[string]int64

// subject is what a topic is about, and the right to follow it; with no subject it is about whatever the viewer may see, and
// each message with a project is for those alone who may see that.
type subject struct {
	right access.Right
	of    access.Subject
}

// subjectOf reads the name of a topic.
func subjectOf(topic string) (s subject, ok bool) {
	kind, name, named := strings.Cut(topic, ":")
	s.right = access.RunsRead
	var err error
	switch {
	case topic == feed.SystemTopic:
		s.right = access.SignedIn
	case topic == feed.RunsTopic, topic == feed.TrainingTopic:
	case kind == feed.RunsTopic && named && access.CheckProjectName(name):
		s.of = access.Subject{Kind: access.SubjectProject, ID: name}
	case kind == "run", kind == feed.TrainingTopic:
		s.of = access.Subject{Kind: access.SubjectRun, ID: name}
		_, err = run.ParseID(name)
	case kind == "sweep":
		s.of = access.Subject{Kind: access.SubjectSweep, ID: name}
		_, err = run.ParseSweepID(name)
	default:
		return s, false
	}
	return s, err == nil
}

// Topics reads what a viewer asks to follow: topics, each after its position in since, or from now. field is how the viewer
// names the topics; an error is [run.FieldErrors].
func Topics(field string, topics []string, since Positions) (Positions, error) {
	if len(topics) == 0 || len(topics) > MaxTopics {
		return nil, run.FieldErrors{{Field: field, Value: strconv.Itoa(len(topics)) + " topics", Rule: fmt.Sprintf("must be 1 to %d topics", MaxTopics), Fix: "open another connection for more"}}
	}
	out := Positions{}
	for _, topic := range topics {
		if _, ok := subjectOf(topic); !ok {
			return nil, run.FieldErrors{{Field: field, Value: fault.Quote(topic), Rule: "is no topic", Fix: "use run:ID, training:ID, sweep:ID, runs, runs:PROJECT, training or system"}}
		}
		out[topic] = FromNow
		if seq, ok := since[topic]; ok {
			out[topic] = seq
		}
	}
	return out, nil
}

// String is the positions in the form of an event's ID, as [ParsePositions] reads them: runs=1718,run:r-0123456789=1719.
func (p Positions) String() string {
	var b strings.Builder
	for i, topic := range slices.Sorted(maps.Keys(p)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(topic)
		b.WriteByte('=')
		b.WriteString(strconv.FormatInt(p[topic], 10))
	}
	return b.String()
}

// ParsePositions reads positions that came with an event; field is how the viewer names them.
func ParsePositions(field, text string) (Positions, error) {
	out := Positions{}
	if text == "" {
		return out, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		topic, number, _ := strings.Cut(part, "=")
		seq, err := strconv.ParseInt(number, 10, 64)
		if _, ok := subjectOf(topic); !ok || err != nil || seq < 0 || len(out) == MaxTopics {
			return nil, run.FieldErrors{{Field: field, Value: fault.Quote(text), Rule: "is not the id of an event of this stream", Fix: "send back the last id that came, or leave it out"}}
		}
		out[topic] = seq
	}
	return out, nil
}
