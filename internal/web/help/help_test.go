package help_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/docs"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/web/help"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestEveryDocumentIsServedAndItsLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	files, err := docs.Files().ReadDir(".")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d documents, %v", len(files), err)
	}
	s := webtest.New(t)
	index := s.Get("/help", 200)
	if got, _ := index.Doc.Find(`main [href^="/help/"]`).First().Attr("href"); got != "/help/first-day" {
		t.Errorf("the first document is %s", got)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".md")
		path := "/help/" + name
		if index.Count(`main [href="`+path+`"]`) != 1 {
			t.Errorf("nothing leads to %s", name)
		}
		a := s.Get(path, 200)
		webtest.AssertNoInlineCode(t, a)
		if a.Count(".doc h1") != 1 || a.Count(".doc-side [aria-current=page]") != 1 || a.Count("#account [data-nav=help][aria-current]") != 1 {
			t.Errorf("%s: %d headings, %d current", name, a.Count(".doc h1"), a.Count(".doc-side [aria-current=page]"))
		}
		a.Doc.Find("main a[href]").Each(func(_ int, el *goquery.Selection) {
			href, _ := el.Attr("href")
			to, fragment, _ := strings.Cut(href, "#")
			page := a
			switch {
			case strings.HasPrefix(to, "https://"):
				return
			case to != "":
				page = s.Get(to, 200)
			}
			if fragment != "" && page.Count(`[id="`+fragment+`"]`) != 1 {
				t.Errorf("%s: %s leads nowhere", name, href)
			}
		})
	}
	guide := s.Get("/help/troubleshooting", 200)
	for _, k := range fault.Kinds() {
		if _, fragment, _ := strings.Cut(k.Help(), "#"); guide.Count(`h4[id="`+fragment+`"]`) != 1 {
			t.Errorf("%s: %s leads nowhere", string(k), k.Help())
		}
	}
	s.Get("/help/run.png", 404)
	s.Get("/help/..%2fREADME", 404)
}

func TestADocumentIsRenderedWithoutWhatTheConsoleDoesNotServe(t *testing.T) {
	t.Parallel()
	_, err := help.NewLibrary(fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	const text = "# One\n\nFirst words. More.\n\n[two](two.md#part) [also](docs/two.md) [code](../main.go) [out](https://example.com/) [bad](javascript:alert(1))\n\n" +
		"<script>alert(1)</script>\n\n| a | b |\n| --- | ---: |\n| 1 | 2 |\n\n```sh\ncotrain <run>\n```\n\n## Deep *part*\n\nsqueamish `ossifrage`\n"
	l, err := help.NewLibrary(fstest.MapFS{"one.md": {Data: []byte(text)}, "two.md": {Data: []byte("# Two\n\n## Part\n\nx\n")}})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(l.HTML("one")))
	if err != nil {
		t.Fatal(err)
	}
	hrefs := doc.Find("a").Map(func(_ int, el *goquery.Selection) string { return el.AttrOr("href", "none") })
	if want := []string{"/help/two#part", "/help/two", "https://example.com/"}; !slices.Equal(hrefs, want) {
		t.Errorf("links %q, want %q", hrefs, want)
	}
	if doc.Find("script, [style]").Length() != 0 || doc.Find("div[tabindex] > table td[align=right]").Length() != 1 || doc.Find("pre[tabindex] > code").Text() != "cotrain <run>\n" {
		t.Error(l.HTML("one"))
	}
	if !strings.Contains(doc.Text(), "code") {
		t.Error("the words of a link to the code are gone")
	}
	for query, want := range map[string][]string{
		"part": {"/help/one#deep-part", "/help/two#part"}, "ONE deep": {"/help/one#deep-part"}, "ossifrage squeamish": {"/help/one#deep-part"},
		"first": {"/help/one"}, "cotrain": {"/help/one"}, "": nil, "nothing of that": nil, "two": {"/help/two", "/help/two#part", "/help/one"},
	} {
		var got []string
		for _, h := range l.Find(query, 10) {
			got = append(got, h.Href)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q finds %q, want %q", query, got, want)
		}
	}
	if got := l.Find("part", 1); len(got) != 1 || got[0].Document != "One" || got[0].Title != "Deep part" {
		t.Errorf("%+v", got)
	}
}
