package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// still is a store whose points do not change.
type still struct{ web.Store }

func (still) PointsVersion(context.Context, run.ID) (int64, error) { return 1, nil }

func seriesSite(t *testing.T) *webtest.Site {
	t.Helper()
	s := webtest.New(t, func(d *web.Deps) { d.Store = still{d.Store} })
	s.Fake.AllRuns = []run.Run{{ID: "r-0000000001", Project: "default", State: run.Running, Shape: run.Shape{Nodes: 1}}}
	s.Fake.Curves = map[string][]run.CurvePoint{"loss": nil}
	for step := range int64(1000) {
		s.Fake.Curves["loss"] = append(s.Fake.Curves["loss"], run.CurvePoint{Step: step, Mean: 4, Min: 4, Max: 4, Sum: 4, Workers: 1})
	}
	return s
}

const seriesPath = "/runs/r-0000000001/series?metric=loss"

func TestAChartIsNotSentAgainCompressedOrNot(t *testing.T) {
	t.Parallel()
	s := seriesSite(t)
	tags := map[string]string{}
	for _, encoding := range []string{"identity", "gzip"} {
		first := s.Do(http.MethodGet, seriesPath, nil, "Accept-Encoding", encoding)
		tag := first.Header.Get("ETag")
		if first.Status != http.StatusOK || first.Header.Get("Cache-Control") != "private, no-cache" || !strings.HasPrefix(tag, `"`) || tags[tag] != "" {
			t.Errorf("%s: %d %v, as %s", encoding, first.Status, first.Header, tags[tag])
		}
		tags[tag] = encoding
		for _, known := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			again := s.Do(http.MethodGet, seriesPath, nil, "Accept-Encoding", encoding, "If-None-Match", known)
			if again.Status != http.StatusNotModified || again.Body != "" || again.Header.Get("ETag") == "" {
				t.Errorf("%s with %s: %d with %d bytes", encoding, known, again.Status, len(again.Body))
			}
		}
		if other := s.Do(http.MethodGet, seriesPath+"&px=10", nil, "Accept-Encoding", encoding, "If-None-Match", tag); other.Status != http.StatusOK {
			t.Errorf("%s: another width has the same tag", encoding)
		}
	}
	head := s.Do(http.MethodHead, seriesPath, nil)
	part := s.Do(http.MethodGet, seriesPath, nil, "Range", "bytes=0-9", "Accept-Encoding", "identity")
	if head.Status != http.StatusOK || head.Body != "" || part.Status != http.StatusOK || len(part.Body) < 100 {
		t.Errorf("HEAD: %d with %d bytes, Range: %d with %d", head.Status, len(head.Body), part.Status, len(part.Body))
	}
}

// blind sees no run once it is told so.
type blind struct {
	web.Store
	shut *bool
}

func (b blind) Run(ctx context.Context, id run.ID) (run.Run, error) {
	if *b.shut {
		return run.Run{}, fault.ErrNotFound
	}
	return b.Store.Run(ctx, id)
}

func TestRightsAreAskedBeforeTheCache(t *testing.T) {
	t.Parallel()
	shut := false
	s := webtest.New(t, func(d *web.Deps) { d.Store = blind{still{d.Store}, &shut} })
	s.Fake.AllRuns = []run.Run{{ID: "r-0000000001", Project: "default"}}
	tag := s.Do(http.MethodGet, seriesPath, nil).Header.Get("ETag")
	shut = true
	for _, header := range [][]string{nil, {"If-None-Match", tag}, {"If-None-Match", "*"}} {
		if a := s.Do(http.MethodGet, seriesPath, nil, header...); a.Status != http.StatusNotFound {
			t.Errorf("%v: %d", header, a.Status)
		}
	}
}

func TestAWrongChartSaysWhichFieldIsWrong(t *testing.T) {
	t.Parallel()
	s := seriesSite(t)
	for query, field := range map[string]string{"metric=loss&from=NaN": "from", "": "metric", "metric=loss&px=0": "px", "metric=%3Dloss%3B": "formula", "metric=loss&from=2&to=1": "from"} {
		for _, path := range []string{"/runs/r-0000000001/series?", "/compare/series?runs=r-0000000001&"} {
			p := problemOf(t, s.Do(http.MethodGet, path+query, nil, "Accept", "text/html"), http.StatusUnprocessableEntity)
			if len(p.Errors) != 1 || p.Errors[0].Field != field || p.Errors[0].Rule == "" || p.Errors[0].Fix == "" || p.Errors[0].Location != "query" {
				t.Errorf("%s%s: %+v", path, query, p)
			}
		}
	}
}

func TestWhatOnlyScriptsReadHasNoPagesForErrors(t *testing.T) {
	t.Parallel()
	s := seriesSite(t)
	for _, path := range []string{"/runs/r-none/series?metric=loss", "/runs/r-none/marks", "/runs/r-none/log/map", "/sweeps/s-none/rows", "/compare/series?sweep=s-none&metric=loss"} {
		if p := problemOf(t, s.Do(http.MethodGet, path, nil, "Accept", "text/html"), http.StatusNotFound); p.Detail == "" || p.Title == "" {
			t.Errorf("%s: %+v", path, p)
		}
	}
	out := webtest.New(t, func(d *web.Deps) { d.Guard = signedOut{} })
	problemOf(t, out.Do(http.MethodGet, seriesPath, nil, "Accept", "text/html"), http.StatusUnauthorized)
}

type signedOut struct{}

func (signedOut) Allow(context.Context, access.Right, access.Subject) error {
	return fault.ErrSignedOut
}

func problemOf(t *testing.T, a webtest.Answer, status int) (p client.Problem) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Body), &p); err != nil || a.Status != status || p.Status != status || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s: %.200s, %v", a.Status, a.Header.Get("Content-Type"), a.Body, err)
	}
	return p
}

func TestMarksAreAListWithoutAny(t *testing.T) {
	t.Parallel()
	s := seriesSite(t)
	a := s.Do(http.MethodGet, "/runs/r-0000000001/marks", nil)
	var got struct {
		Run   string
		Marks []any
	}
	if err := json.Unmarshal([]byte(a.Body), &got); err != nil || got.Run != "r-0000000001" || got.Marks == nil {
		t.Errorf("marks are %s, %v", a.Body, err)
	}
	if again := s.Do(http.MethodGet, "/runs/r-0000000001/marks", nil, "If-None-Match", a.Header.Get("ETag")); again.Status != http.StatusNotModified {
		t.Errorf("unchanged marks are answered with %d", again.Status)
	}
}
