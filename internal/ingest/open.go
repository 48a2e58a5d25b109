package ingest

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
)

// An open line, such as a progress bar, is rewritten by carriage returns. It is stored when it ends; until then viewers
// get its newest state at most every openEvery, and again after openAgain for newcomers.
const (
	openEvery = 500 * time.Millisecond
	openAgain = 5 * time.Second
)

type openLines struct {
	o    Options
	wake chan struct{}

	mu   sync.Mutex
	runs map[run.ID]map[openKey]*openLine
}

type openKey struct {
	rank   int
	stream string
}

type openLine struct {
	text    string // "" once ended
	changed bool
	told    time.Time
}

func newOpenLines(o Options) *openLines {
	return &openLines{o: o, wake: make(chan struct{}, 1), runs: map[run.ID]map[openKey]*openLine{}}
}

// set takes a stream's open line, "" for none.
func (l *openLines) set(w run.Worker, stream, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := openKey{w.Rank, stream}
	line := l.runs[w.RunID][key]
	switch {
	case line == nil && text == "", line != nil && line.text == text:
		return
	case line == nil:
		if l.runs[w.RunID] == nil {
			l.runs[w.RunID] = map[openKey]*openLine{}
		}
		line = &openLine{}
		l.runs[w.RunID][key] = line
	}
	line.text, line.changed = text, true
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *openLines) forget(id run.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.runs, id)
}

// run publishes until ctx ends, asleep while nothing is open.
func (l *openLines) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		}
		for l.publish() {
			if sleep(ctx, openEvery); ctx.Err() != nil {
				return nil
			}
		}
	}
}

// publish publishes changes and reports whether any line is open.
func (l *openLines) publish() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, lines := range l.runs {
		topic := feed.RunTopic(id)
		if l.o.Publisher.HasViewers(topic) {
			if open := l.due(lines); len(open) > 0 {
				l.o.Publisher.Publish(topic, feed.LogType, feed.Log{Lines: []run.LogLine{}, Open: open})
			}
		}
		for key, line := range lines {
			if line.text == "" {
				delete(lines, key)
			}
		}
		if len(lines) == 0 {
			delete(l.runs, id)
		}
	}
	return len(l.runs) > 0
}

func (l *openLines) due(lines map[openKey]*openLine) (open []run.LogLine) {
	now := l.o.Now()
	for key, line := range lines {
		if line.changed || now.Sub(line.told) >= openAgain {
			open = append(open, run.LogLine{Rank: key.rank, Stream: key.stream, At: now.UTC(), Text: line.text})
			line.changed, line.told = false, now
		}
	}
	return open
}

// rewritten returns what a terminal shows of a line being rewritten, "" for other lines.
func rewritten(pending []byte) string {
	if bytes.IndexByte(pending, '\r') < 0 {
		return ""
	}
	state := bytes.TrimRight(pending, "\r")
	state = state[bytes.LastIndexByte(state, '\r')+1:]
	if len(state) > liveLine {
		return strings.ToValidUTF8(cutText(string(state), liveLine), "\uFFFD")
	}
	return strings.ToValidUTF8(string(state), "\uFFFD")
}
