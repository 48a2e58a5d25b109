package webtest

import (
	"bytes"
	"errors"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Template is a version of a template.
func Template(name string, version int, set ...string) run.Template {
	p, _ := trainconf.PresetByName("debug-diloco")
	req := trainconf.RequestOfPreset(p)
	for i := 0; i+1 < len(set); i += 2 {
		if err := req.Set(set[i], set[i+1]); err != nil {
			panic(err)
		}
	}
	sub := req.Submission()
	return run.Template{
		Project: access.DefaultProject, Name: name, Version: version, Description: "what for", Config: sub.Config, Shape: sub.Shape, Options: sub.Options, Note: "first",
		Actor: "ann", CreatedAt: Now.Add(-time.Hour),
	}
}

// HiddenInputs is what a form sends untouched.
func HiddenInputs(a Answer, form string) url.Values {
	out := url.Values{}
	a.Doc.Find(form + " input[type=hidden]").Each(func(_ int, el *goquery.Selection) {
		name, _ := el.Attr("name")
		value, _ := el.Attr("value")
		out.Add(name, value)
	})
	return out
}

// Upload sends a file as browsers do.
func (s *Site) Upload(path, content string) Answer {
	s.T.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	w, err := m.CreateFormFile("file", "x.toml")
	if err == nil {
		_, err = w.Write([]byte(content))
	}
	if err = errors.Join(err, m.Close()); err != nil {
		s.T.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.T.Context(), http.MethodPost, s.HTTP.URL+path, &b)
	if err != nil {
		s.T.Fatal(err)
	}
	r.Header.Set("Content-Type", m.FormDataContentType())
	return s.Send(r)
}

// AssertNoInlineCode fails on what the content security policy would block.
func AssertNoInlineCode(t *testing.T, a Answer) {
	t.Helper()
	if n := a.Count("script:not([src]), style, [style]"); n != 0 {
		t.Errorf("%d inline scripts or styles", n)
	}
	a.Doc.Find("*").Each(func(_ int, el *goquery.Selection) {
		for _, attr := range el.Nodes[0].Attr {
			link := attr.Key != "value" && attr.Key != "title" && (!strings.HasPrefix(attr.Key, "data-") || strings.HasSuffix(attr.Key, "url"))
			if strings.HasPrefix(attr.Key, "on") || strings.HasPrefix(attr.Key, "hx-on") || link && strings.HasPrefix(attr.Val, "javascript:") {
				t.Errorf("<%s %s=%q>", el.Nodes[0].Data, attr.Key, attr.Val)
			}
		}
	})
}

// FormOf is what a browser would send for the untouched page.
func FormOf(t *testing.T, a Answer) url.Values {
	t.Helper()
	out := url.Values{}
	a.Doc.Find("#run-form input, #run-form select, #run-form textarea").Each(func(_ int, el *goquery.Selection) {
		name, _ := el.Attr("name")
		value, _ := el.Attr("value")
		switch {
		case goquery.NodeName(el) == "textarea":
			value = strings.TrimPrefix(el.Text(), "\n")
		case goquery.NodeName(el) == "select":
			value, _ = el.Find("option[selected]").Attr("value")
		case el.AttrOr("type", "") == "checkbox":
			if _, ok := el.Attr("checked"); !ok {
				return
			}
		}
		if el.Closest("[data-field-table]").Length() > 0 { // an input in each row
			out.Add(name, value)
			return
		}
		if out.Has(name) && el.AttrOr("type", "") != "checkbox" { // which has a hidden one for when it is not ticked
			t.Errorf("the form has two inputs named %s", name)
		}
		out.Set(name, value)
	})
	return out
}
