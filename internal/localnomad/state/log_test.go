package state

import (
	"bytes"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

func TestTheStateOfEarlierVersionsIsTakenOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, records ...record) {
		var buf bytes.Buffer
		for i, r := range records {
			if err := (&stateLog{}).encode(&buf, uint64(i+1), []record{r}); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), buf.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	variable := func(path string) record { return record{Kind: kindVar, Var: &api.Variable{Path: path}} }
	write("state-1.log", variable("before the snapshot"))
	write("snapshot-2", variable("kept"), variable("deleted"))
	write("snapshot-3.tmp", variable("unfinished"))
	write("state-2.log", record{Kind: kindVar, Delete: "deleted"}, variable("after"))
	write("state-10.log", variable("newest"))
	for range 2 { // once more, from what the first time has written
		tables := newTables()
		l, err := openStateLog(dir, tables, OpenKeyRing("", filepath.Join(dir, "key")), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(tables.Vars)); !slices.Equal(got, []string{"after", "kept", "newest"}) {
			t.Errorf("the state has %q", got)
		}
		if err := l.close(); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
}

func FuzzParseEntry(f *testing.F) {
	var buf bytes.Buffer
	if err := (&stateLog{}).encode(&buf, 7, []record{{Kind: kindVar, Delete: "x"}}); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add([]byte("00000000 {}\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if e, ok := parseEntry(line); ok {
			newTables().replayEntry(e, &KeyRing{})
		}
	})
}
