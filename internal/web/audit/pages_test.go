package audit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

const hostile = `<script>alert(1)</script>" onload=x \u202e`

// filled is a site with 60 entries, of which one is hostile.
func filled(t *testing.T) *webtest.Site {
	t.Helper()
	s := webtest.New(t)
	for i := range 60 {
		e := audit.Entry{
			At: webtest.Now.Add(time.Duration(i-60) * time.Hour), Action: "runs.stop", Project: "llm", Subject: "run:r-0000000001", Outcome: audit.Done,
			Actor: audit.Actor{Name: "ann", Address: "10.0.0.7", Token: "t-ci", Agent: "Firefox"}, Request: "q-1", Before: []byte(`{"state":"running","name":"llama-7b"}`), After: []byte(`{"state":"stopping","name":"llama-7b"}`),
		}
		switch i {
		case 57:
			e = audit.Entry{At: e.At, Action: "login", Outcome: audit.Refused, Reason: "The password is wrong.", Actor: audit.Actor{Name: hostile, Address: "203.0.113.9", Agent: hostile}}
		case 58:
			e.Action, e.Subject, e.Before, e.After = "templates.save", "template:base", nil, []byte(`{"note":"`+strings.ReplaceAll(hostile, `"`, `\"`)+`"}`)
		case 10:
			e.Actor.Name, e.Outcome = "bob", audit.Failed
		}
		s.Audit.Append(e)
	}
	return s
}

func TestTheAuditLogIsShownAndSearched(t *testing.T) {
	t.Parallel()
	s := filled(t)
	a := s.Get("/admin/audit", 200)
	webtest.AssertNoInlineCode(t, a)
	if n := a.Count("[data-entry]"); n != 50 || a.Count(`[data-entry="60"] a[href="/runs/r-0000000001"]`) != 1 || a.Count(`[data-verified="success"]`) != 1 {
		t.Errorf("%d entries: %s", n, a.Body)
	}
	if text := a.Doc.Find(`[data-entry="60"] .audit-changes`).Text(); !strings.Contains(text, "state") || !strings.Contains(text, "running") || strings.Contains(text, "llama") {
		t.Errorf("changes are %q", text)
	}
	if got := a.Doc.Find(`[data-entry="58"] td`).First().Text(); !strings.Contains(got, "<script>alert(1)</script>") || a.Count("main script") != 0 {
		t.Errorf("a hostile name is %q", got)
	}
	if a.Count(`[data-entry="58"] .cell-none`) != 1 || a.Count(`.cell-none`) != 1 || a.Count(`[data-label="Details"]`) != 0 { // a narrow page leaves the first out, and has a summary in the others
		t.Error("what an entry does not have has a place of its own on a narrow page")
	}
	older, _ := a.Doc.Find(`[data-action="older"]`).Attr("href")
	if b := s.Get(older, 200); b.Count("[data-entry]") != 10 || b.Count(`[data-action="older"]`) != 0 || b.Count(`[rel="first"]`) != 1 {
		t.Errorf("older entries: %s", b.Body)
	}
	for query, n := range map[string]int{"actor=bob": 1, "outcome=refused": 1, "text=7b&outcome=failed": 1, "text=giraffe": 0, "action=login": 1, "project=vision": 0, "address=203.0.113.9": 1, "until=2001-01-01": 0} {
		b := s.Get("/admin/audit?"+query, 200)
		if got := b.Count("[data-entry]"); got != n || (n == 0) != (b.Count("[data-empty]") == 1) {
			t.Errorf("%s: %d entries, want %d", query, got, n)
		}
		if href, _ := b.Doc.Find(`[data-action="export-csv"]`).Attr("href"); !strings.HasPrefix(href, "/api/v1/audit/export?") || !strings.Contains(href, "format=csv") {
			t.Errorf("%s: export is at %q", query, href)
		}
	}
	s.Get("/admin/audit?before=x", 422)
}
