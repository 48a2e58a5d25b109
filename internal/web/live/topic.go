package live

import (
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
)

// subject is what a topic is about, and the right to follow it: of one run, sweep or project, or, if all are "", of whatever
// the viewer may see; then each message with a project is for those alone who may see that.
type subject struct {
	right   access.Right
	run     run.ID
	sweep   run.SweepID
	project string
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
		s.project = name
	case kind == "run":
		s.run, err = run.ParseID(name)
	case kind == "sweep":
		s.sweep, err = run.ParseSweepID(name)
	default:
		err = fault.ErrNotFound
	}
	return s, err
}
