package localnomad

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// eventHeartbeat is how often an idle event stream says {}.
const eventHeartbeat = 30 * time.Second

func (s *Server) handleEventStream(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	q := r.URL.Query()
	index := 0
	if text := q.Get("index"); text != "" {
		var err error
		if index, err = strconv.Atoi(text); err != nil {
			return nil, codedError{http.StatusBadRequest, fmt.Sprintf("Unable to parse index: %v", err)}
		}
	}
	filter, err := parseTopics(q)
	if err != nil {
		return nil, codedError{http.StatusBadRequest, fmt.Sprintf("Invalid topic query: %v", err)}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	s.streamEvents(w, r, filter, s.hub.from(uint64(max(index, 0))), q.Get("namespace"))
	return nil, nil
}

func parseTopics(q url.Values) (eventFilter, error) {
	raw, ok := q["topic"]
	if !ok {
		return eventFilter{topicAll: {topicAll}}, nil
	}
	filter := eventFilter{}
	for _, t := range raw {
		topic, key, found := strings.Cut(t, ":")
		if !found {
			key = topicAll
		}
		if strings.Contains(key, ":") {
			return nil, fmt.Errorf("error parsing topics: Invalid key value pair for topic, topic: %s", t) // Nomad's text
		}
		filter[topic] = append(filter[topic], key)
	}
	return filter, nil
}

func (s *Server) streamEvents(w http.ResponseWriter, r *http.Request, filter eventFilter, at *batch, namespace string) {
	out := http.NewResponseController(w)
	beat := time.NewTicker(eventHeartbeat)
	defer beat.Stop()
	// The first heartbeat tells the client that the stream is there.
	line := []byte("{}\n")
	hidden := namespace != "" && namespace != defaultNamespace && namespace != allNamespaces
	for {
		// A client that reads nothing for this long is gone; a connection without deadlines has a reader in this process.
		_ = out.SetWriteDeadline(time.Now().Add(eventHeartbeat + 10*time.Second))
		if _, err := w.Write(line); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
		for line = nil; line == nil; {
			select {
			case <-at.ready:
				at = at.next
				line = encodeBatch(at, filter, hidden)
			case <-beat.C:
				line = []byte("{}\n")
			case <-r.Context().Done():
				return
			case <-s.closing:
				return
			}
		}
	}
}

// encodeBatch returns the line for one change, or nil when nothing in it matches.
func encodeBatch(b *batch, filter eventFilter, hidden bool) []byte {
	var line []byte
	for _, e := range b.events {
		n := filter.match(e)
		if hidden && e.topic != topicNode {
			n = 0
		}
		for range n {
			if line == nil {
				line = append(strconv.AppendUint([]byte(`{"Index":`), b.index, 10), `,"Events":[`...)
			} else {
				line = append(line, ',')
			}
			line = append(line, e.json()...)
		}
	}
	if line == nil {
		return nil
	}
	return append(line, "]}\n"...)
}
