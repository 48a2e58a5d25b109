package live

import (
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
)

// subject is what a topic is about, and the right to follow it; with no subject it is about whatever the viewer may see, and
// each message with a project is for those alone who may see that.
type subject struct {
	right access.Right
	of    access.Subject
}

// parseTopic reads the name of a topic.
func parseTopic(topic string) (s subject, err error) {
	kind, name, named := strings.Cut(topic, ":")
	s.right = access.RunsRead
	switch {
	case topic == feed.SystemTopic:
		s.right = access.SignedIn
	case topic == feed.RunsTopic:
	case kind == feed.RunsTopic && named && access.CheckProjectName(name):
		s.of = access.Subject{Kind: access.SubjectProject, ID: name}
	case kind == "run":
		s.of = access.Subject{Kind: access.SubjectRun, ID: name}
		_, err = run.ParseID(name)
	case kind == "sweep":
		s.of = access.Subject{Kind: access.SubjectSweep, ID: name}
		_, err = run.ParseSweepID(name)
	default:
		err = fault.ErrNotFound
	}
	return s, err
}
