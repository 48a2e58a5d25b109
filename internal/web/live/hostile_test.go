package live_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/live"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// raw sends frames that no library would.
type raw struct {
	*testing.T
	conn *websocket.Conn
	net  net.Conn
}

func dialRaw(s *webtest.Site) raw {
	s.T.Helper()
	conn, _, err := dial(s, nil)
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { _ = conn.Close() })
	return raw{s.T, conn, conn.NetConn()}
}

// frame sends one, with a mask of zeros.
func (r raw) frame(first byte, payload string) {
	r.Helper()
	head := []byte{first}
	switch n := len(payload); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 0x80|126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0x80|127), uint64(n))
	}
	r.bytes(append(append(head, 0, 0, 0, 0), payload...))
}

func (r raw) bytes(b []byte) {
	r.Helper()
	if _, err := r.net.Write(b); err != nil {
		r.Log(err) // the console may have closed it already
	}
}

// closed is the code with which the console closes the socket, 0 for none.
func (r raw) closed() int {
	r.Helper()
	_ = r.conn.SetReadDeadline(time.Now().Add(time.Minute))
	for {
		_, _, err := r.conn.ReadMessage()
		if c, ok := err.(*websocket.CloseError); ok { //nolint:errorlint // as the library returns it
			return c.Code
		}
		if err != nil {
			return 0
		}
	}
}

const (
	fin      = 0x80
	reserved = 0x40
	opText   = 1
	opCont   = 0
	opPing   = 9
)

func TestBadFramesEndTheSocketAndNothingElse(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	beside := connect(s, `{"sub":["runs"]}`)
	beside.subscribed()
	ask := `{"sub":["runs"]}`
	for name, send := range map[string]func(r raw){
		"an unknown kind":            func(r raw) { r.frame(fin|3, ask) },
		"a reserved bit":             func(r raw) { r.frame(fin|reserved|opCont, ask) },
		"no mask":                    func(r raw) { r.bytes(append([]byte{fin | opText, byte(len(ask))}, ask...)) },
		"a rest of nothing":          func(r raw) { r.frame(fin|opCont, ask) },
		"a message within a message": func(r raw) { r.frame(opText, ask[:5]); r.frame(fin|opText, ask) },
		"a long ping":                func(r raw) { r.frame(fin|opPing, strings.Repeat("x", 126)) },
		"a ping in pieces":           func(r raw) { r.frame(opPing, "x") },
		"text that is not UTF-8":     func(r raw) { r.frame(fin|opText, "\xff\xfe") },
		"an announced terabyte":      func(r raw) { r.bytes([]byte{fin | opText, 0x80 | 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}) },
		"a negative length":          func(r raw) { r.bytes([]byte{fin | opText, 0x80 | 127, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) },
		"1 MiB":                      func(r raw) { r.frame(fin|opText, `{"sub":["`+strings.Repeat("x", 1<<20)+`"]}`) },
		"1 MiB in pieces":            func(r raw) { pieces(r, `{"sub":["`+strings.Repeat("x", 1<<20)+`"]}`, 1000) },
		"10,000 topics":              func(r raw) { r.frame(fin|opText, `{"sub":["runs"`+strings.Repeat(`,"runs"`, 9999)+`]}`) },
		"garbage":                    func(r raw) { r.bytes([]byte(strings.Repeat("GET / HTTP/1.1\r\n", 100))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := dialRaw(s)
			r.T = t
			send(r)
			if code := r.closed(); code != 0 && code != websocket.CloseAbnormalClosure && code != websocket.CloseProtocolError && code != websocket.CloseMessageTooBig && code != websocket.ClosePolicyViolation {
				t.Errorf("closed with %d", code)
			}
		})
	}
	t.Run("and the socket beside them", func(t *testing.T) {
		publish(s, feed.RunsTopic, feed.Gap, struct{}{})
		if m := beside.next(); m.Type != feed.Gap {
			t.Errorf("got %+v", m)
		}
	})
}

func pieces(r raw, text string, size int) {
	for at := 0; at < len(text); at += size {
		first, end := byte(opCont), min(at+size, len(text))
		if at == 0 {
			first = opText
		}
		if end == len(text) {
			first |= fin
		}
		r.frame(first, text[at:end])
	}
}

func TestAMessageInFragmentsIsOneMessage(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := dialRaw(s)
	for i, part := range strings.SplitAfter(`{"sub":["runs"]}`, "") {
		first := byte(opCont)
		if i == 0 {
			first = opText
		}
		r.frame(first, part)
		r.frame(fin|opPing, "between") // as may come anywhere
	}
	r.frame(fin|opCont, "")
	c := &client{t, r.conn}
	c.subscribed()
}

func TestTenThousandSubscriptionsOfOneSocketAreRefused(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	c := connect(s, `{"sub":["runs"]}`)
	go func() { // ends when the console has closed the socket
		for range 10_000 {
			if c.conn.WriteMessage(websocket.TextMessage, []byte(`{"sub":["system"]}`)) != nil {
				return
			}
		}
	}()
	subscribed := 0
	for {
		_ = c.conn.SetReadDeadline(time.Now().Add(time.Minute))
		_, body, err := c.conn.ReadMessage()
		if err != nil {
			break
		}
		if strings.Contains(string(body), "subscribed") {
			subscribed++
		}
	}
	if subscribed > live.MaxSubscribes {
		t.Errorf("%d subscriptions", subscribed)
	}
	if s.Hub.HasViewers(feed.SystemTopic) {
		t.Error("a subscription is left")
	}
}

func TestAPageOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	c := connect(s, `{"sub":["system"],"page":true,"user":"local"}`)
	c.subscribed()
	c.say(`{"sub":["system"],"page":true,"user":"somebody"}`)
	_, _, err := c.conn.ReadMessage()
	if closed := (*websocket.CloseError)(nil); !errors.As(err, &closed) || closed.Code != 4403 || closed.Text != "another user is signed in" {
		t.Errorf("%v, want 4403", err)
	}
}

func TestARefusalNamesWhatWasWrong(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	c := connect(s, `{"sub":["nodes"]}`)
	_, _, err := c.conn.ReadMessage()
	if want := `sub = "nodes": is no topic; use run:ID`; !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestProgramsGetNoHTML(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	topic := feed.RunTopic(r.ID)
	c := connect(s, fmt.Sprintf(`{"sub":[%q,"runs"]}`, topic))
	c.subscribed()
	s.Hub.PublishRun(r)
	got := map[string]string{}
	for range 2 {
		m := c.next()
		got[m.Topic] = m.Type
		if strings.Contains(string(m.Data), "<") {
			t.Errorf("%s has markup", m.Data)
		}
	}
	if got[topic] != feed.State || got["runs"] != feed.State {
		t.Errorf("got %v, want a state in each topic", got)
	}
}

func TestASocketThatIsCutAHundredTimesMissesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	topic := feed.RunTopic("r-0000000001")
	const messages, cuts = 3000, 100
	c := connect(s, fmt.Sprintf(`{"sub":[%q]}`, topic))
	confirmed := c.any()
	var at map[string]int64
	if err := json.Unmarshal(confirmed.Data, &at); err != nil {
		t.Fatal(err)
	}
	ahead := make(chan struct{}, 300) // fewer than the console keeps
	go func() {                       // the test reads all that it publishes
		for i := range messages {
			ahead <- struct{}{}
			s.Hub.Publish(topic, feed.LogType, feed.Log{Skipped: i})
		}
	}()
	for want := range messages {
		m := c.next()
		var log feed.Log
		if err := json.Unmarshal(m.Data, &log); err != nil || m.Type != feed.LogType || log.Skipped != want {
			t.Fatalf("%+v, %v, want message %d", m, err, want)
		}
		<-ahead
		at[topic] = m.Seq
		if (want+1)%(messages/cuts) == 0 {
			_ = c.conn.NetConn().Close() // without a goodbye
			c = connect(s, fmt.Sprintf(`{"sub":[%q],"since":{%q:%d}}`, topic, topic, at[topic]))
		}
	}
}

func TestAnOriginOfAnotherSiteIsRefusedInEverySpelling(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	own := s.HTTP.URL
	for _, origin := range []string{"https://evil.example", "null", "http://127.0.0.1.evil.example", own + ".evil.example", strings.Replace(own, "http", "https", 1), own + "@evil.example", "file://", "://"} {
		if conn, status, err := dial(s, http.Header{"Origin": {origin}}); err == nil || status != http.StatusForbidden {
			t.Errorf("%s: %d, %v", origin, status, err)
			if conn != nil {
				_ = conn.Close()
			}
		}
	}
}
