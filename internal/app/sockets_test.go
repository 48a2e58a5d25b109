package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cotrain/cotrain/internal/access"
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
	"system":        func(asker, string) bool { return true },
	"runs":          func(a asker, _ string) bool { return a.mayAnywhere(access.RunsRead) },
	"runs:{p}":      func(a asker, p string) bool { return a.may(access.RunsRead, p) },
	"run:{run}":     func(a asker, p string) bool { return a.may(access.RunsRead, p) && p != nowhere },
	"sweep:{sweep}": func(a asker, p string) bool { return a.may(access.RunsRead, p) && p != nowhere },
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
			}
		}
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

// ends are the ways in which access ends, or does not. who is a viewer of the first project, and owns a token.
var ends = map[string]struct {
	token bool // it asks with a token
	do    func(t *testing.T, w *world, who asker)
	stays bool
}{
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
	"a role is gained": {stays: true, do: func(t *testing.T, w *world, who asker) {
		must(t, w.app.logIns.SetMember(w.root, projects[0], who.user.Name, access.Operator))
		must(t, w.app.logIns.SetMember(w.root, projects[1], who.user.Name, access.Viewer))
	}},
}

func TestSocketsAndDownloadsEndWithAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const size = 256 << 20 // more than connections hold
	file, err := os.Create(filepath.Join(w.files, "large.bin"))
	must(t, err)
	must(t, errors.Join(file.Truncate(size), file.Close()))
	start(t, w.app)
	topic := "run:" + w.maker(t, asker{}, projects[0]).run(false)
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			who := asker{name: "viewer", user: access.User{ID: "u", Kind: access.Person}, roles: map[string]access.Role{projects[0]: access.Viewer}}
			if end.token {
				who.scopes = []access.Scope{access.ScopeRead}
			}
			who = w.clone(t, who)
			conn := w.follow(t, who, topic)
			bodies := []io.ReadCloser{w.download(t, who, "/storage/file?path=large.bin"), w.download(t, who, "/api/v1/storage/file?path=large.bin")}
			end.do(t, w, who)
			if end.stays {
				for _, topic := range []string{topic, "runs:" + projects[1]} {
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
			for _, body := range bodies {
				n, err := io.Copy(io.Discard, body)
				if whole := err == nil && n == size-1; whole != end.stays {
					t.Errorf("a download: %d bytes, %v", n, err)
				}
			}
		})
	}
}

// download begins to read.
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
