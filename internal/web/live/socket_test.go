package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/stream"
	"github.com/cotrain/cotrain/internal/web/live"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client is one viewer.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

func dial(s *webtest.Site, header http.Header) (*websocket.Conn, int, error) {
	s.T.Helper()
	conn, res, err := websocket.DefaultDialer.DialContext(s.T.Context(), strings.Replace(s.HTTP.URL, "http", "ws", 1)+"/ws", header)
	status := 0
	if res != nil {
		status = res.StatusCode
		_ = res.Body.Close()
	}
	return conn, status, err
}

func connect(s *webtest.Site, message string) *client {
	s.T.Helper()
	conn, _, err := dial(s, http.Header{"Origin": {s.HTTP.URL}})
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { _ = conn.Close() })
	c := &client{s.T, conn}
	c.say(message)
	return c
}

func (c *client) say(message string) {
	c.t.Helper()
	if err := c.conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		c.t.Fatal(err)
	}
}

type received struct {
	Topic string
	Seq   int64
	Type  string
	Data  json.RawMessage
}

// next is the next message of a topic.
func (c *client) next() received {
	c.t.Helper()
	for {
		if m := c.any(); m.Topic != "" {
			return m
		}
	}
}

func (c *client) any() received {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		c.t.Fatal(err)
	}
	var m received
	if err := c.conn.ReadJSON(&m); err != nil {
		c.t.Fatal(err)
	}
	return m
}

// subscribed waits for what a subscription begins with.
func (c *client) subscribed() {
	c.t.Helper()
	if m := c.any(); m.Type != stream.SubscribedType {
		c.t.Fatalf("%+v before the confirmation", m)
	}
}

// html is the fragment of a message of that type.
func (m received) html(t *testing.T) *goquery.Document {
	t.Helper()
	var s string
	if m.Type != "html" || json.Unmarshal(m.Data, &s) != nil {
		t.Fatalf("%+v is not html", m)
	}
	if strings.HasPrefix(s, "<tr") { // a row alone is parsed only within a table
		s = "<table>" + s + "</table>"
	}
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func publish(s *webtest.Site, topic, typ string, data any) {
	s.T.Helper()
	s.Hub.Publish(topic, typ, data)
}

func TestAViewerGetsFragmentsAndTheMessagesThemselves(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	topic := feed.RunTopic(r.ID)
	c := connect(s, fmt.Sprintf(`{"sub":[%q],"page":true}`, topic))
	c.subscribed()

	publish(s, topic, feed.State, r)
	m := c.next()
	if m.Topic != topic || m.Seq != s.Hub.Seq(topic) || m.html(t).Find("#run-headline[data-run-state=running]").Length() != 1 || m.html(t).Find("#run-facts").Length() != 1 {
		t.Errorf("state's fragment %+v", m)
	}
	var got run.Run
	if m := c.next(); m.Type != feed.State || json.Unmarshal(m.Data, &got) != nil || got.ID != r.ID {
		t.Errorf("state %+v", m)
	}

	publish(s, topic, feed.Workers, []run.Worker{{Rank: 4, NodeName: "n4", State: run.WorkerRunning}})
	if c.next().html(t).Find(`#run-workers tr[data-worker-rank="4"]`).Length() != 1 {
		t.Error("no row for the worker")
	}
	if m := c.next(); m.Type != feed.Workers {
		t.Errorf("%+v", m)
	}

	publish(s, topic, feed.EventType, run.Event{Seq: 77, Kind: "checkpoint_saved", Rank: 1, At: webtest.Now})
	if c.next().html(t).Find(`#event-77[data-into="#event-list"]`).Length() != 1 {
		t.Error("no row for the event")
	}
	if m := c.next(); m.Type != feed.EventType {
		t.Errorf("%+v", m)
	}

	loss := 1.5
	publish(s, topic, feed.SamplesType, feed.Samples{Steps: []int64{3}, Series: map[string]map[string][]*float64{"loss": {"mean": {&loss}}}})
	if m := c.next(); m.Type != feed.SamplesType || string(m.Data) != `{"steps":[3],"series":{"loss":{"mean":[1.5]}}}` {
		t.Errorf("samples %+v", m)
	}
	publish(s, topic, feed.LogType, feed.Log{Lines: []run.LogLine{{Pos: 5, Text: "<b>"}}})
	if m := c.next(); m.Type != feed.LogType || !strings.Contains(string(m.Data), `"pos":5`) {
		t.Errorf("log %+v", m)
	}
}

// rows reads a message of rows.
func (m received) rows(t *testing.T) []live.Row {
	t.Helper()
	var rows []live.Row
	if m.Type != live.RowsType || json.Unmarshal(m.Data, &rows) != nil {
		t.Fatalf("%s %s are not rows", m.Type, m.Data)
	}
	return rows
}

func TestTheListGetsTheNewestStatesTogether(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	failed, waits := webtest.Run(run.Failed), webtest.Run(run.Queued)
	failed.ID, waits.ID = "r-0000000001", "r-0000000002"
	failed.Progress.Loss, waits.Reason = math.NaN(), "2 runs are ahead"
	since := s.Hub.Seq(feed.RunsTopic)
	for range 3 {
		s.Hub.PublishRun(failed)
		s.Hub.PublishRun(waits)
	}
	publish(s, feed.RunsTopic, feed.Deleted, map[string]string{"id": "r-0000000003"})
	c := connect(s, fmt.Sprintf(`{"sub":["runs"],"page":true,"since":{"runs":%d}}`, since))
	m := c.next()
	rows := m.rows(t)
	if len(rows) != 2 || m.Seq != since+6 {
		t.Fatalf("%d rows up to %d, want 2 up to %d", len(rows), m.Seq, since+6)
	}
	if r := rows[0]; r.ID != failed.ID || r.Badge != "failed" || !math.IsNaN(float64(*r.Loss)) || r.Step != 500 || r.Total != 1000 || r.Workers != "3" || r.Ended == 0 {
		t.Errorf("%+v", r)
	}
	if r := rows[1]; r.ID != waits.ID || r.Reason != "2 runs are ahead" || r.Loss != nil || r.Started != 0 {
		t.Errorf("%+v", r)
	}
	if m := c.next(); m.Type != feed.Deleted {
		t.Errorf("%s came before the rows that were before it", m.Type)
	}
	s.Hub.PublishRun(waits)
	if rows := c.next().rows(t); len(rows) != 1 { // the next message comes, if later
		t.Errorf("%d rows", len(rows))
	}
	waits.State, waits.Notices = run.Running, []run.Notice{{Kind: run.NoticeHang, Text: "worker 1 hangs"}}
	s.Hub.PublishRun(waits)
	if rows := c.next().rows(t); len(rows) != 1 || rows[0].Notice != "hang" || !strings.HasPrefix(rows[0].Says, "Worker 1 hangs.") {
		t.Errorf("a hang is shown as %+v", rows)
	}
}

func TestAViewerGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	topic := feed.RunTopic(r.ID)
	publish(s, topic, feed.LogType, feed.Log{Skipped: 1})
	since := s.Hub.Seq(topic)
	publish(s, topic, feed.LogType, feed.Log{Skipped: 2})
	publish(s, topic, feed.LogType, feed.Log{Skipped: 3})
	c := connect(s, fmt.Sprintf(`{"sub":[%q],"since":{%q:%d}}`, topic, topic, since))
	for _, want := range []int64{since + 1, since + 2} {
		if m := c.next(); m.Seq != want || m.Type != feed.LogType {
			t.Errorf("%+v, want sequence %d", m, want)
		}
	}
	lost := connect(s, fmt.Sprintf(`{"sub":[%q],"since":{%q:5}}`, topic, topic))
	if m := lost.next(); m.Type != feed.Gap || m.Seq != since+2 {
		t.Errorf("after too long an absence: %+v", m)
	}
}

func TestANewSubscriptionReplacesTheOneBefore(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	c := connect(s, `{"sub":["runs"]}`)
	c.subscribed()
	c.say(`{"sub":["system"]}`)
	c.subscribed()
	if s.Hub.HasViewers(feed.RunsTopic) {
		t.Error("the first subscription lives on")
	}
	publish(s, feed.RunsTopic, feed.State, webtest.Run(run.Queued))
	publish(s, feed.SystemTopic, feed.SystemType, feed.System{Nomad: "ok"})
	if m := c.next(); m.Topic != feed.SystemTopic {
		t.Errorf("%+v", m)
	}
}

func TestASweepsViewerGetsTheNewestStateOfEachRun(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	sweep := run.SweepID("s-0000000001")
	topic := feed.SweepTopic(sweep)
	since := s.Hub.Seq(topic)
	states := []run.State{run.Queued, run.Running, run.Succeeded}
	ids := []run.ID{"r-0000000001", "r-0000000002", "r-0000000003"}
	for _, state := range states { // all before the viewer connects: it gets them at once
		for _, id := range ids {
			r := webtest.Run(state)
			r.ID, r.Origin.Sweep = id, sweep
			s.Hub.PublishRun(r)
		}
	}
	c := connect(s, fmt.Sprintf(`{"sub":[%q],"page":true,"since":{%q:%d}}`, topic, topic, since))
	rows := c.next().rows(t)
	for i, id := range ids {
		if len(rows) != len(ids) || rows[i].ID != id || rows[i].Badge != "succeeded" {
			t.Fatalf("got %+v, want the newest state of each", rows)
		}
	}
}

func TestGarbageEndsTheSocketAndNothingElse(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	many := `"runs"` + strings.Repeat(`,"runs"`, stream.MaxTopics)
	for name, message := range map[string]string{
		"not JSON":               "hello",
		"empty":                  "",
		"null":                   "null",
		"an array":               `["runs"]`,
		"no topic":               `{"sub":[]}`,
		"an unknown topic":       `{"sub":["secrets"]}`,
		"a topic that is no run": `{"sub":["run:../../etc/passwd"]}`,
		"a topic with nothing":   `{"sub":["run:"]}`,
		"too many topics":        `{"sub":[` + many + `]}`,
		"an unknown field":       `{"sub":["runs"],"exec":"rm"}`,
		"two values":             `{"sub":["runs"]}{"sub":["runs"]}`,
		"a number that is text":  `{"sub":["runs"],"since":{"runs":"1"}}`,
		"a number beyond 64 bit": `{"sub":["runs"],"since":{"runs":99999999999999999999}}`,
		"too long":               `{"sub":["runs"],"since":{"` + strings.Repeat("x", live.MaxClientMessage) + `":1}}`,
	} {
		conn, _, err := dial(s, http.Header{"Origin": {s.HTTP.URL}})
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		_, _, err = conn.ReadMessage()
		if closed := (*websocket.CloseError)(nil); !errors.As(err, &closed) || closed.Code != websocket.ClosePolicyViolation && closed.Code != websocket.CloseMessageTooBig {
			t.Errorf("%s: %v", name, err)
		}
		_ = conn.Close()
	}
	s.Get("/", 200)
}

func TestBinaryMessagesAndEndlessSubscribingAreRefused(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	conn, _, err := dial(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.WriteMessage(websocket.BinaryMessage, []byte(`{"sub":["runs"]}`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Errorf("binary: %v", err)
	}
	c := connect(s, `{"sub":["runs"]}`)
	for range live.MaxSubscribes {
		if c.conn.WriteMessage(websocket.TextMessage, []byte(`{"sub":["runs"]}`)) != nil {
			break
		}
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Minute))
	for {
		if _, _, err := c.conn.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
				t.Errorf("endless: %v", err)
			}
			break
		}
	}
}

func TestOtherPagesCannotOpenTheSocket(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for _, origin := range []string{"https://evil.example", "null", strings.Replace(s.HTTP.URL, "127.0.0.1", "localhost", 1), "http://127.0.0.1:1"} {
		conn, status, err := dial(s, http.Header{"Origin": {origin}})
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s: opened", origin)
		}
		if status != http.StatusForbidden {
			t.Errorf("%s: %d", origin, status)
		}
	}
	if a := s.Do("GET", "/ws", nil); a.Status != http.StatusUpgradeRequired {
		t.Errorf("without an upgrade: %d", a.Status)
	}
}

func TestClosingTheServerEndsSocketsAndTellsThem(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	c := connect(s, `{"sub":["runs"]}`)
	c.subscribed()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Web.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("%v", err)
	}
	if s.Hub.HasViewers(feed.RunsTopic) {
		t.Error("a subscription is left")
	}
}
