package stream_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/stream"
)

const (
	stalledMessages = 2000
	stalledText     = 64 << 10 // of each: 128 MB in all
	stalledHeap     = 32 << 20 // the ring of a topic, and what the client's side of HTTP/2 buffers
)

// held is what is in use after a collection.
func held() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestAReaderThatStallsIsDroppedAndHarmsNobody has one reader of two never read: over HTTP/2 they share a connection.
func TestAReaderThatStallsIsDroppedAndHarmsNobody(t *testing.T) {
	t.Parallel()
	for proto, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, h2, stream.Limits{})
			topic := feed.RunTopic("r-0000000001")
			if r, status := s.open(topic+","+feed.SystemTopic, ""); status != 200 || r.proto != proto {
				t.Fatal(status, r.proto)
			}
			quick := s.follow(topic, "")
			text, before, most := strings.Repeat("x", stalledText), held(), uint64(0)
			for i := range stalledMessages {
				s.hub.Publish(topic, feed.LogType, text)
				if e := quick.next(); e.kind != feed.LogType || e.data.Seq != s.hub.Seq(topic) {
					t.Fatalf("the other reader got %s %d for message %d", e.kind, e.data.Seq, i)
				}
				if i%500 == 499 {
					most = max(most, held())
				}
			}
			if most > before+stalledHeap {
				t.Errorf("%d MiB are held, before %d", most>>20, before>>20)
			}
			for end := time.Now().Add(time.Minute); s.hub.HasViewers(feed.SystemTopic); time.Sleep(50 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("it is still waited for")
				}
			}
			s.hub.Publish(topic, feed.LogType, "")
			quick.next()
		})
	}
}
