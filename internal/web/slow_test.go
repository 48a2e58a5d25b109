package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// pipes is a listener in memory, which works with the clock of a bubble. Connections buffer nothing, so that a client that
// does not read is noticed at once.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

// pipe is an end that says that it is of this machine.
type pipe struct{ net.Conn }

func (pipe) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }
func (pipe) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9999} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return pipe{}.LocalAddr() }

// ask connects and sends a request.
func (p *pipes) ask(t *testing.T, path string, header ...string) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	p.conns <- pipe{far}
	if _, err := fmt.Fprintf(near, "GET %s HTTP/1.1\r\nHost: localhost:8080\r\n%s\r\n", path, strings.Join(append(header, ""), "\r\n")); err != nil {
		t.Fatal(err)
	}
	return near
}

// byByte reads a byte a second, until the other side has had enough, and returns how long that took.
func byByte(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	for b := make([]byte, 1); ; time.Sleep(time.Second) {
		if _, err := c.Read(b); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			return time.Since(began)
		}
		if time.Since(began) > time.Hour {
			t.Error("it is waited for")
			return time.Hour
		}
	}
}

// inBubble serves a site in memory; close ends the connections.
func inBubble(t *testing.T, s *webtest.Site, test func(*testing.T, *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &pipes{make(chan net.Conn), make(chan struct{})}
		server := &http.Server{Handler: s.Web.Handler(), ReadHeaderTimeout: time.Second}
		go func() { _ = server.Serve(l) }()
		test(t, l)
		if err := errors.Join(s.Web.Close(t.Context()), server.Close()); err != nil { // here, where the sockets are
			t.Error(err)
		}
	})
}

// TestWhoReadsSlowlyIsNotWaitedForLong reads a byte a second of what is long, while another client is answered at once.
func TestWhoReadsSlowlyIsNotWaitedForLong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path string
		most time.Duration
	}{
		"a page":                     {"/?limit=100", 20 * time.Second},
		"a log":                      {"/runs/%s/log.txt", 11 * time.Minute},
		"a file of assets":           {"/static/js/runs/run.js", 40 * time.Second},
		"a page that does not exist": {"/nothing", 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := whole(t, "")
			for i := range 20_000 {
				s.Fake.Log = append(s.Fake.Log, run.LogLine{Pos: run.LogPos(i + 2), Text: "step"})
			}
			path := c.path
			if strings.Contains(path, "%s") {
				path = fmt.Sprintf(path, s.Fake.AllRuns[0].ID)
			}
			inBubble(t, s, func(t *testing.T, l *pipes) {
				slow := l.ask(t, path)
				defer func() { _ = slow.Close() }()
				took := make(chan time.Duration)
				go func() { took <- byByte(t, slow) }()
				time.Sleep(5 * time.Second) // the server is in the middle of it
				began := time.Now()
				other := l.ask(t, "/", "Connection: close")
				if text, err := io.ReadAll(other); err != nil || !strings.Contains(string(text), "</html>") || time.Since(began) != 0 {
					t.Errorf("another client waited %v for %d bytes: %v", time.Since(began), len(text), err)
				}
				if d := <-took; d < 5*time.Second || d > c.most {
					t.Errorf("it ended after %v", d)
				}
			})
		})
	}
}

func TestASocketThatIsReadSlowlyHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	s := whole(t, "")
	inBubble(t, s, func(t *testing.T, l *pipes) {
		slow, _ := l.follow(t, feed.RunsTopic)
		defer func() { _ = slow.Close() }()
		_, quick := l.follow(t, feed.RunsTopic)
		defer func() { _ = quick.Close() }()
		took := make(chan time.Duration)
		go func() { took <- byByte(t, slow) }()
		for i := range 5 {
			time.Sleep(time.Second)
			began := time.Now()
			r := s.Fake.AllRuns[0]
			r.Progress.Step = int64(1000 + i)
			s.Hub.PublishRun(r)
			var text []byte
			for err := error(nil); err == nil && !strings.Contains(string(text), `"topic"`); {
				_, text, err = quick.ReadMessage()
			}
			if !strings.Contains(string(text), fmt.Sprintf(`"step":%d`, r.Progress.Step)) || time.Since(began) > 500*time.Millisecond {
				t.Errorf("another socket waited %v for %s", time.Since(began), text)
			}
		}
		if d := <-took; d > 20*time.Second {
			t.Errorf("it ended after %v", d)
		}
	})
}

// follow opens a socket for a topic.
func (p *pipes) follow(t *testing.T, topic string) (net.Conn, *websocket.Conn) {
	t.Helper()
	var near net.Conn
	d := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) {
		var far net.Conn
		near, far = net.Pipe()
		p.conns <- pipe{far}
		return near, nil
	}}
	c, res, err := d.DialContext(t.Context(), "ws://localhost:8080/ws", http.Header{"Origin": {"http://localhost:8080"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if err := c.WriteMessage(websocket.TextMessage, []byte(`{"sub":["`+topic+`"]}`)); err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // it follows
	return near, c
}

// expiring is a log-in whose sessions end, or cannot be asked for, from some time on.
type expiring struct {
	webtest.As
	err error
}

func (e *expiring) Still(ctx context.Context) (access.Identity, error) {
	who, _ := e.As.Still(ctx)
	return who, e.err
}

// pieces counts the writes of an answer, and does something at the first.
type pieces struct {
	http.ResponseWriter
	n     int
	first func()
}

func (p *pieces) Write(b []byte) (int, error) {
	if p.n++; p.n == 1 {
		p.first()
	}
	return len(b), nil
}

// TestADownloadEndsWhenItsSessionExpires has the session expire, which no change announces, while a log is sent.
func TestADownloadEndsWhenItsSessionExpires(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration
		err   error
		ends  bool
	}{
		"it has expired":              {time.Minute, fault.ErrSignedOut, true},
		"it was asked for just now":   {time.Second, fault.ErrSignedOut, false},
		"it is still valid":           {time.Minute, nil, false},
		"the store cannot tell today": {time.Minute, fault.ErrUnavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now, logIn := webtest.Now, &expiring{As: webtest.As(access.Local())}
			s := webtest.New(t, func(d *web.Deps) { d.Auth, d.Now = logIn, func() time.Time { return now } })
			r := webtest.Run(run.Running)
			s.Fake.AllRuns = []run.Run{r}
			for i := range 20000 {
				s.Fake.Log = append(s.Fake.Log, run.LogLine{Pos: run.LogPos(i + 1), Text: "step"})
			}
			w := &pieces{ResponseWriter: httptest.NewRecorder(), first: func() { now, logIn.err = now.Add(c.after), c.err }}
			cut := func() (cut any) {
				defer func() { cut = recover() }()
				ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, pipe{}.LocalAddr())
				q := httptest.NewRequestWithContext(ctx, http.MethodGet, "/runs/"+string(r.ID)+"/log.txt", nil)
				q.Host, q.RemoteAddr = "localhost:8080", "127.0.0.1:9999"
				s.Web.Handler().ServeHTTP(w, q)
				return nil
			}()
			if ends := w.n == 1 && cut == any(http.ErrAbortHandler); ends != c.ends || !ends && (w.n < 3 || cut != nil) {
				t.Errorf("%d pieces, %v", w.n, cut)
			}
		})
	}
}
