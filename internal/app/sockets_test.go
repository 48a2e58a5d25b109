package app

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/stream"
)

// soon is a bound for what takes less than a second, and less than sockets need to look by themselves.
const soon = 8 * time.Second

// closeNotAllowed is the code of a socket that its viewer may not have.
const closeNotAllowed = 4403

// dial opens a socket; status is that of the answer if there is none.
func (w *world) dial(t *testing.T, who asker) (conn *websocket.Conn, status int) {
	t.Helper()
	header := http.Header{"Origin": {"http://" + w.app.Addr()}}
	if who.header != "" {
		header.Set(who.header, who.value)
	}
	conn, res, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+w.app.Addr()+"/ws", header)
	if res == nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if err == nil {
		t.Cleanup(func() { _ = conn.Close() })
		must(t, conn.SetReadDeadline(time.Now().Add(soon)))
	}
	return conn, res.StatusCode
}

// subscribe follows a topic, and returns the first message or why the socket was closed.
func subscribe(t *testing.T, conn *websocket.Conn, topic string) error {
	t.Helper()
	must(t, conn.WriteJSON(map[string]any{"sub": []string{topic}}))
	_, _, err := conn.ReadMessage()
	return err
}

// follow opens a socket that follows a topic.
func (w *world) follow(t *testing.T, who asker, topic string) *websocket.Conn {
	t.Helper()
	conn, status := w.dial(t, who)
	if conn == nil {
		t.Fatalf("%s: %d", who.name, status)
	}
	if err := subscribe(t, conn, topic); err != nil {
		t.Fatalf("%s: %s: %v", who.name, topic, err)
	}
	return conn
}

// topics are all kinds of topics, with what is needed to follow one of a project.
var topics = map[string]func(a asker, project string) bool{
	"system":         func(asker, string) bool { return true },
	"runs":           func(a asker, _ string) bool { return a.mayAnywhere(access.RunsRead) },
	"runs:{p}":       func(a asker, p string) bool { return a.may(access.RunsRead, p) },
	"training":       func(a asker, _ string) bool { return a.mayAnywhere(access.RunsRead) },
	"training:{run}": func(a asker, p string) bool { return a.may(access.RunsRead, p) && p != nowhere },
	"run:{run}":      func(a asker, p string) bool { return a.may(access.RunsRead, p) && p != nowhere },
	"sweep:{sweep}":  func(a asker, p string) bool { return a.may(access.RunsRead, p) && p != nowhere },
}

func TestEveryTopicForEveryAsker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start(t, w.app)
	for _, who := range w.askers {
		if who.invalid || who.user.ID == "" {
			if _, status := w.dial(t, who); status != http.StatusUnauthorized {
				t.Errorf("%s: %d", who.name, status)
			}
			continue
		}
		for topic, may := range topics {
			who := w.clone(t, who) // a user may not open many at once
			for _, project := range append([]string{nowhere}, projects...) {
				named := w.maker(t, who, project).fill(topic)
				conn, status := w.dial(t, who)
				if conn == nil {
					t.Fatalf("%s: %d", who.name, status)
				}
				switch err := subscribe(t, conn, named); {
				case may(who, project) && err != nil:
					t.Errorf("%s: %s: %v", who.name, named, err)
				case !may(who, project) && !websocket.IsCloseError(err, closeNotAllowed):
					t.Errorf("%s: %s: %v, want it refused", who.name, named, err)
				}
				_ = conn.Close()
				w.streams(t, who, named, may(who, project))
			}
		}
	}
}

// streams checks that an event stream has the same rights as a socket.
func (w *world) streams(t *testing.T, who asker, topic string, may bool) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.app.Addr()+stream.Path+"?topics="+topic, nil)
	must(t, err)
	req.Header.Set(who.header, who.value)
	res, err := http.DefaultTransport.RoundTrip(req)
	must(t, err)
	_ = res.Body.Close()
	if (res.StatusCode == http.StatusOK) != may || !may && res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusNotFound {
		t.Errorf("%s: %s as an event stream: %d", who.name, topic, res.StatusCode)
	}
}

func TestTheListOfRunsIsLiveForWhatOneMaySee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start(t, w.app)
	who := w.clone(t, asker{name: "viewer", user: access.User{ID: "u", Kind: access.Person}, roles: map[string]access.Role{projects[0]: access.Viewer}})
	conn := w.follow(t, who, "runs")
	hidden := w.maker(t, who, projects[1]).run(false)
	shown := w.maker(t, who, projects[0]).run(false)
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), hidden) {
			t.Fatalf("a run of another project is told of: %s", text)
		}
		if strings.Contains(string(text), shown) {
			return
		}
	}
}

// ends are the ways in which access ends, or does not. who is an admin of the first project, and owns a token.
var ends = map[string]struct {
	token   bool // it asks with a token
	do      func(t *testing.T, w *world, who asker)
	stays   bool
	follows bool // sockets stay, since what they follow may still be seen
}{
	"a role is lowered": {follows: true, do: func(t *testing.T, w *world, who asker) {
		must(t, w.app.logIns.SetMember(w.root, projects[0], who.user.Name, access.Viewer))
	}},
	"a role is removed": {do: func(t *testing.T, w *world, who asker) {
		must(t, w.app.logIns.SetMember(w.root, projects[0], who.user.Name, ""))
	}},
	"a role is removed by another program": {do: func(t *testing.T, w *world, who asker) {
		must(t, w.app.store.SetMember(t.Context(), projects[0], who.user.ID, ""))
	}},
	"a user is disabled": {do: func(t *testing.T, w *world, who asker) {
		_, err := w.app.logIns.ChangeUser(w.root, who.user.Name, func(u *access.User) { u.Disabled = true })
		must(t, err)
	}},
	"a user is deleted":    {do: func(t *testing.T, w *world, who asker) { must(t, w.app.logIns.DeleteUser(w.root, who.user.Name)) }},
	"a session is revoked": {do: func(t *testing.T, w *world, who asker) { must(t, w.app.logIns.EndUserSessions(w.root, who.user.Name)) }},
	"a token is revoked": {token: true, do: func(t *testing.T, w *world, who asker) {
		all, err := w.app.logIns.UserTokens(w.root, who.user.Name)
		must(t, err)
		must(t, w.app.logIns.RevokeUserToken(w.root, who.user.Name, all[0].ID))
	}},
	"a role is gained": {stays: true, follows: true, do: func(t *testing.T, w *world, who asker) {
		must(t, w.app.logIns.SetMember(w.root, projects[1], who.user.Name, access.Viewer))
	}},
}

func TestSocketsAndDownloadsEndWithAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const size = 256 << 20 // more than connections hold
	file, err := os.Create(filepath.Join(w.files, folderOf(projects[0]), "large.bin"))
	must(t, err)
	must(t, errors.Join(file.Truncate(size), file.Close()))
	start(t, w.app)
	id := w.maker(t, asker{}, projects[0]).run(false)
	topic := "run:" + id
	w.fillLog(t, run.ID(id))
	w.fillAudit(t)
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			who := asker{name: "admin", user: access.User{ID: "u", Kind: access.Person}, roles: map[string]access.Role{projects[0]: access.Admin}}
			if end.token {
				who.scopes = []access.Scope{access.ScopeAll}
			}
			who = w.clone(t, who)
			conn := w.follow(t, who, topic)
			bodies := map[string]io.Reader{}
			events := w.download(t, who, stream.Path+"?topics="+topic)
			for _, path := range []string{"/storage/file?path=large.bin&project=" + projects[0], "/api/v1/storage/file?path=large.bin&project=" + projects[0]} {
				bodies[path] = w.download(t, who, path)
			}
			for _, path := range []string{"/runs/" + id + "/log.txt", "/api/v1/audit/export?format=jsonl", "/api/v1/audit/export?format=csv"} {
				bodies[path] = w.hold(t, who, path)
			}
			end.do(t, w, who)
			followed := []string{topic}
			if end.stays {
				followed = append(followed, "runs:"+projects[1])
			}
			if end.follows {
				for _, topic := range followed {
					if err := subscribe(t, conn, topic); err != nil {
						t.Errorf("%s: %v", topic, err)
					}
				}
			} else {
				for err = error(nil); err == nil; {
					_, _, err = conn.ReadMessage()
				}
				if !websocket.IsCloseError(err, closeNotAllowed) {
					t.Errorf("the socket: %v", err)
				}
			}
			if end.follows {
				w.app.hub.Publish(topic, feed.Gap, struct{}{})
				if lines := bufio.NewScanner(events); !slices.Contains(slices.Collect(until(lines, "event: gap")), "event: gap") {
					t.Errorf("the event stream: %v", lines.Err())
				}
			} else if _, err := io.Copy(io.Discard, events); err != nil {
				t.Errorf("the event stream: %v, want its end", err)
			}
			for path, body := range bodies {
				n, err := io.Copy(io.Discard, body)
				if whole := err == nil; whole != end.stays || whole && n < written-1 {
					t.Errorf("%s: %d bytes, %v", path, n, err)
				}
			}
		})
	}
}

// until yields lines up to one.
func until(lines *bufio.Scanner, last string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for lines.Scan() && yield(lines.Text()) && lines.Text() != last {
		}
	}
}

// written is how much there is at least of a log and of the audit log, in bytes: far more than is written at once.
const written = 1 << 20

func (w *world) fillLog(t *testing.T, id run.ID) {
	t.Helper()
	b := &store.Batch{RunID: id, AllocID: "a", Stream: "stdout", Attempt: 1, At: time.Now(), Log: bytes.Repeat([]byte("step 1 loss 2.5\n"), written/16)}
	b.To = store.Cursor{File: "f.0", Offset: int64(len(b.Log)), Parser: "{}"}
	must(t, w.app.store.Commit(t.Context(), []*store.Batch{b}))
}

func (w *world) fillAudit(t *testing.T) {
	t.Helper()
	e := audit.Entry{At: time.Now(), Action: "runs.stop", Project: projects[0], Outcome: audit.Done, Reason: strings.Repeat("x", 500)}
	must(t, w.app.store.Audit.AppendAlone(t.Context(), slices.Repeat([]audit.Entry{e}, written/500)...))
}

// held is an answer each piece of which is read before the next is written.
type held struct {
	*io.PipeWriter
	header http.Header
	status int
}

func (h *held) Header() http.Header    { return h.header }
func (h *held) WriteHeader(status int) { h.status = status }

func (h *held) Write(b []byte) (int, error) {
	h.status = cmp.Or(h.status, http.StatusOK)
	return h.PipeWriter.Write(b)
}

// hold begins to read an answer of which nothing is buffered on its way.
func (w *world) hold(t *testing.T, who asker, path string) io.Reader {
	t.Helper()
	ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}))
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	r.Host, r.RemoteAddr = "127.0.0.1:1", "127.0.0.1:1000"
	r.Header.Set(who.header, who.value)
	reader, writer := io.Pipe()
	answer := &held{PipeWriter: writer, header: http.Header{}}
	go func() {
		defer func() {
			err := error(nil)
			if v := recover(); v != nil {
				err = fmt.Errorf("cut: %v", v)
			}
			_ = writer.CloseWithError(err)
		}()
		w.app.server.Handler.ServeHTTP(answer, r)
	}()
	t.Cleanup(func() { _ = reader.Close() })
	if _, err := reader.Read(make([]byte, 1)); err != nil || answer.status != http.StatusOK {
		t.Fatalf("%s: %d, %v", path, answer.status, err)
	}
	return reader
}

// download begins to read from the network.
func (w *world) download(t *testing.T, who asker, path string) io.ReadCloser {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	u := url.URL{Scheme: "http", Host: w.app.Addr()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String()+path, nil)
	must(t, err)
	req.Header.Set(who.header, who.value)
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(req)
	must(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	if _, err := res.Body.Read(make([]byte, 1)); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(fmt.Errorf("%s: %d, %w", path, res.StatusCode, err))
	}
	return res.Body
}
