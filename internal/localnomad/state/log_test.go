package state

import (
	"bytes"
	"testing"

	"github.com/hashicorp/nomad/api"
)

func TestTheNewestBatchesOfEventsAreKept(t *testing.T) {
	t.Parallel()
	l := newEventList()
	for i := range uint64(keptBatches + 50) {
		l.publish(i+1, []*Event{{Topic: api.TopicJob, Index: i + 1}})
	}
	at := l.from(1)
	<-at.Ready()
	if first := at.Next().Index; first != 50 && first != 51 {
		t.Errorf("too old an index starts at %d", first)
	}
	if at = l.from(1 << 40); at.Next().Index != keptBatches+50 {
		t.Errorf("too new an index starts at %d", at.Next().Index)
	}
}

func FuzzParseEntry(f *testing.F) {
	var buf bytes.Buffer
	if err := encodeEntry(&buf, 7, []record{{Kind: kindVar, Delete: "x"}}); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add([]byte("00000000 {}\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if e, ok := parseEntry(line); ok {
			newTables().replayEntry(e)
		}
	})
}
