package admin_test

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestRulesOfCausesAreTriedBeforeTheyAreSaved(t *testing.T) {
	t.Parallel()
	s := site(t, accounts(t), boss)
	if got := s.Get("/admin", 200); got.Count(`[data-admin=causes] a[href="/admin/causes"]`) != 1 {
		t.Error("nothing leads to the rules")
	}
	if got := s.Get("/admin/causes", 200); got.Count("[data-rule], [data-trials]") != 0 || got.Doc.Find("[name=revision]").AttrOr("value", "") != "0" {
		t.Error("there are rules before there are any")
	}
	s.Causes.Trials = run.CauseTrials{Found: 5, TimedOut: 2, Changed: 1, Trials: []run.CauseTrial{
		{Run: "r-0000000001", Name: "same", Project: "default", Attempt: 1, Now: run.Answer{Title: "Unknown", Summary: "Nothing says why."}},
		{Run: "r-0000000002", Name: "<b>other</b>", Project: "default", Attempt: 2, Changed: true, Now: run.Answer{Title: "Unknown"}, With: run.Answer{Title: "Invalid configuration", Summary: "The licence server denied it.", Retryable: true}},
	}}
	const text = "[[rule]]\nid = \"acme\"\n"
	page := post(t, s, "/admin/causes/try", 200, "text", text, "revision", "0", "limit", "50")
	webtest.AssertNoInlineCode(t, page)
	rows := page.Doc.Find("[data-trial]")
	if rows.Length() != 2 || rows.First().AttrOr("data-changed", "") != "true" || !strings.Contains(rows.First().Text(), "Invalid configuration") || page.Text(t, "#trials-title") != "1 of 2 failures would be explained otherwise" || page.Count("[data-unread]") != 1 ||
		!strings.HasPrefix(page.Text(t, "[data-timed-out]"), "2 failures could not be read in time") {
		t.Errorf("%d rows, %s", rows.Length(), page.Doc.Find("[data-trials]").Text())
	}
	if got := page.Doc.Find("textarea[name=text]").Text(); strings.TrimSpace(got) != strings.TrimSpace(text) || page.Doc.Find("#f-limit [selected]").AttrOr("value", "") != "50" {
		t.Errorf("the form has %q", got)
	}
	if s.Get("/admin/causes", 200).Count("[data-rule]") != 0 {
		t.Error("a trial saves")
	}
	if a := post(t, s, "/admin/causes", 422, "text", "broken", "revision", "0"); a.Count("#f-text-message.field-error") != 1 || strings.TrimSpace(a.Doc.Find("textarea[name=text]").Text()) != "broken" {
		t.Error("a mistake is not said beside the rules")
	}
	if got := post(t, s, "/admin/causes", 303, "text", text, "revision", "0").Header.Get("Location"); got != "/admin/causes?done=rules" {
		t.Errorf("to %q", got)
	}
	if got := s.Get("/admin/causes?done=rules", 200); got.Count("[data-rule=acme]") != 1 || !strings.HasPrefix(got.Text(t, "[data-notice]"), "Saved.") {
		t.Error("the rule is not there")
	}
	if a := post(t, s, "/admin/causes", 422, "text", "", "revision", "0"); !strings.Contains(a.Text(t, "[data-problem]"), "revision 1 by now") {
		t.Error("it is saved over a newer revision")
	}
	post(t, s, "/admin/causes", 400, "text", text, "revision", "x")
}
