package api_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/feed"
)

func TestAStreamGoesOnAfterTheLastEventThatWasSeen(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := f.Hub.Seq(feed.SystemTopic)
	f.Hub.Publish(feed.SystemTopic, feed.SystemType, feed.System{Nomad: "ok"})
	const path = "/api/v1/stream?topics=system,runs&since=system%3D5"
	for name, w := range map[string]string{
		"the header": f.glance(path, "Last-Event-ID", feed.SystemTopic+"="+strconv.FormatInt(before, 10)).Body.String(),
		"the query":  f.glance(strings.Replace(path, "%3D5", "%3D"+strconv.FormatInt(before, 10), 1)).Body.String(),
	} {
		if !strings.Contains(w, "event: system\ndata: {\"topic\":\"system\",") {
			t.Errorf("after what %s says: %s", name, w)
		}
	}
	if w := f.glance(path).Body.String(); !strings.Contains(w, "event: gap\n") {
		t.Errorf("after what was forgotten: %s", w)
	}
}

func TestAStreamsParametersAreCheckedBeforeItBegins(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tc := range []struct{ query, header, location, field string }{
		{"topics=nodes", "", "query", "topics"},
		{"topics=runs&since=x", "", "query", "since"},
		{"topics=runs", "x", "header", "Last-Event-ID"},
		{"topics=runs&since=" + strings.Repeat("x", 3000), "", "query", "since"},
		{"", "", "query", "topics"},
	} {
		p := f.problem(f.do(http.MethodGet, "/api/v1/stream?"+tc.query, "", "Last-Event-ID", tc.header), http.StatusUnprocessableEntity)
		if len(p.Errors) != 1 || p.Errors[0].Location != tc.location || p.Errors[0].Field != tc.field || p.Errors[0].Rule == "" || p.Errors[0].Fix == "" {
			t.Errorf("%.60s: %+v", tc.query, p.Errors)
		}
	}
}
