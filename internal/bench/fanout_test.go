package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge"

	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/rounds"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/run/runtest"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/help"
	"github.com/cotrain/cotrain/internal/web/webtest"
	"github.com/cotrain/cotrain/static"
)

// hosting is a server whose topics are followed.
type hosting struct {
	url     string
	say     func(topic string) string       // how to follow one
	publish func(topic string, line string) // of a log
}

// fanOut is a case of BenchmarkFanOut.
type fanOut struct {
	name            string
	topics, viewers int // viewers of each topic
	stalled         int // of the first topic, further ones
	bytes           int // of a line
	perSecond       int // messages of each topic
}

const fanOutSeconds = 10

// BenchmarkFanOut has viewers in another process follow runs, and measures from publishing a log line to its arrival there, what
// CPU the server spends for each delivery, and what memory a connection takes. The baseline, with the same viewers and messages, is
// Centrifugo's library. It fails where any of our own messages is missing, also beside stalled viewers.
func BenchmarkFanOut(b *testing.B) {
	count := 10_000
	if n, err := strconv.Atoi(os.Getenv("COTRAIN_BENCH_VIEWER_COUNT")); err == nil {
		count = n
	}
	for _, c := range []fanOut{
		{"OneRun", 1, count, 0, 100, 10},
		{"ManyRuns", max(1, count/100), 100, 0, 100, 10},
		{"Alone", 1, 100, 0, 60_000, 10},
		{"BesideStalled", 1, 100, 20, 60_000, 10},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				ours := c.measure(b, ourHost)
				theirs := c.measure(b, centrifugeHost)
				for name, m := range map[string]delivered{"": ours, "-baseline": theirs} {
					b.ReportMetric(float64(m.missing), "missing"+name)
					b.ReportMetric(m.P50, "ms-p50"+name)
					b.ReportMetric(m.P99, "ms-p99"+name)
					b.ReportMetric(m.Max, "ms-max"+name)
					b.ReportMetric(m.cpu, "us-cpu-a-message"+name)
					b.ReportMetric(m.memory, "KiB-a-viewer"+name)
					b.ReportMetric(float64(m.Bytes)/float64(max(1, m.Messages)), "B-a-message"+name)
				}
				b.ReportMetric(ours.P99/theirs.P99, "ratio-p99")
				if ours.missing != 0 {
					b.Errorf("%d messages did not come", ours.missing)
				}
			}
		})
	}
}

type delivered struct {
	seen
	cpu    float64 // microseconds for each delivery
	memory float64 // KiB for each connection
	// missing is how many messages did not come: of the baseline, to those who were disconnected as too slow.
	missing int
}

func (c fanOut) measure(b *testing.B, host func(b *testing.B) hosting) (m delivered) {
	b.Helper()
	h := host(b)
	topics := make([]string, c.topics)
	say := make([]string, c.topics)
	for i := range topics {
		topics[i] = feed.RunTopic(run.ID(fmt.Sprintf("r-%010d", i)))
		say[i] = h.say(topics[i])
	}
	before := inUse()
	expect := c.topics * c.viewers * c.perSecond * fanOutSeconds
	w := gather(b, viewers{URL: h.url, Say: say, Count: c.topics * c.viewers, Stalled: c.stalled, Expect: expect})
	m.memory = (inUse() - before) / float64(c.topics*c.viewers+c.stalled)
	time.Sleep(time.Second) // the last subscription may still be under way
	rest := strings.Repeat("x", c.bytes)
	pause := time.Second / time.Duration(c.perSecond*c.topics)
	began, spent := time.Now(), cpuTime(b)
	for n := range c.perSecond * fanOutSeconds * c.topics {
		time.Sleep(time.Until(began.Add(time.Duration(n) * pause)))
		h.publish(topics[n%c.topics], fmt.Sprintf("at %d %s", time.Now().UnixNano(), rest))
	}
	m.seen = w.report(b, 20*time.Second)
	m.cpu = float64((cpuTime(b) - spent).Microseconds()) / float64(max(1, m.Messages))
	m.missing = expect - m.Messages
	return m
}

// inUse is the memory of this process in KiB, without garbage.
func inUse() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc+m.StackInuse) / 1024
}

// cpuTime is that of this process.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ourHost is the console with all of its middleware.
func ourHost(b *testing.B) hosting {
	b.Helper()
	s, err := store.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	assets, err := static.New()
	if err != nil {
		b.Fatal(err)
	}
	hub := feed.NewHub(time.Now)
	pages := web.New(web.Deps{
		Store: unguarded{s}, Control: readSweeps{store: s}, Survey: unmeasured{}, Secrets: &runtest.Registry{}, Cache: chart.NewCache(1<<20, "bench"), Rounds: rounds.NewCache(), Audit: s.Audit, Feed: hub, Stream: streams(hub),
		Assets: assets, Help: &help.Library{}, Guard: webtest.Open{}, Auth: auth.Local{}, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Dev: true,
	})
	server := httptest.NewServer(pages.Handler())
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := pages.Close(ctx); err != nil {
			b.Error(err)
		}
		server.Close()
	})
	return hosting{
		wsURL(server.URL, "/ws"), func(topic string) string { return fmt.Sprintf(`{"sub":[%q]}`, topic) },
		func(topic, line string) {
			hub.Publish(topic, feed.LogType, feed.Log{Lines: []run.LogLine{{Pos: 1, Stream: "stdout", Text: line}}})
		},
	}
}

// centrifugeHost is Centrifugo's library with the same messages.
func centrifugeHost(b *testing.B) hosting {
	b.Helper()
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		b.Fatal(err)
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: "ann"}}, nil
	})
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnSubscribe(func(_ centrifuge.SubscribeEvent, done centrifuge.SubscribeCallback) {
			done(centrifuge.SubscribeReply{}, nil)
		})
	})
	if err := node.Run(); err != nil {
		b.Fatal(err)
	}
	handler := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{CheckOrigin: func(*http.Request) bool { return true }})
	server := httptest.NewServer(handler)
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := node.Shutdown(ctx); err != nil {
			b.Error(err)
		}
		server.Close()
	})
	return hosting{
		wsURL(server.URL, "/"), func(topic string) string {
			return fmt.Sprintf(`{"id":1,"connect":{}}`+"\n"+`{"id":2,"subscribe":{"channel":%q}}`, topic)
		},
		func(topic, line string) {
			m := fmt.Sprintf(`{"topic":%q,"seq":1796024284291018,"type":"log","data":{"lines":[{"pos":1,"rank":0,"stream":"stdout","at":"0001-01-01T00:00:00Z","text":%q}],"skipped":0}}`, topic, line)
			if _, err := node.Publish(topic, []byte(m)); err != nil {
				b.Error(err)
			}
		},
	}
}
