package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// eventHeartbeat is how often an idle event stream says {}.
const eventHeartbeat = 30 * time.Second

func (a *API) streamEvents(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	q := r.URL.Query()
	index, err := strconv.ParseUint("0"+q.Get("index"), 10, 64)
	if err != nil {
		return nil, badRequest("Unable to parse index: %v", err)
	}
	topics := q["topic"]
	for _, topic := range topics {
		if strings.Contains(topic, ":") {
			return nil, badRequest("Invalid topic query: the embedded agent takes topics without keys, not %s", topic)
		}
	}
	ns := q.Get("namespace")
	hidden := ns != "" && ns != api.DefaultNamespace && ns != api.AllNamespacesNamespace
	w.Header().Set("Content-Type", "application/json")
	out := http.NewResponseController(w)
	beat := time.NewTicker(eventHeartbeat)
	defer beat.Stop()
	at := a.Store.EventsFrom(index)
	line := []byte("{}\n") // the first heartbeat tells the client that the stream is there
	for {
		// A client that reads nothing for this long is gone; a connection without deadlines has a reader in this process.
		_ = out.SetWriteDeadline(time.Now().Add(eventHeartbeat + 10*time.Second))
		if _, err := w.Write(line); err != nil || out.Flush() != nil {
			return nil, nil
		}
		for line = nil; line == nil; {
			select {
			case <-at.Ready():
				at = at.Next()
				line = encodeBatch(at, func(e *state.Event) bool {
					return (len(topics) == 0 || slices.Contains(topics, string(e.Topic))) && (!hidden || e.Topic == api.TopicNode)
				})
			case <-beat.C:
				line = []byte("{}\n")
			case <-r.Context().Done():
				return nil, nil
			}
		}
	}
}

// encodeBatch returns the line for one change, or nil when nothing in it matches.
func encodeBatch(b *state.Batch, match func(*state.Event) bool) []byte {
	var line []byte
	for _, e := range b.Events {
		if !match(e) {
			continue
		}
		if line == nil {
			line = append(strconv.AppendUint([]byte(`{"Index":`), b.Index, 10), `,"Events":[`...)
		} else {
			line = append(line, ',')
		}
		line = append(line, e.JSON()...)
	}
	if line == nil {
		return nil
	}
	return append(line, "]}\n"...)
}
