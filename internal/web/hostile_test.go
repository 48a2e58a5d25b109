package web_test

import (
	"encoding/json"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/hostile"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// TestHostileTextsStayTexts has each wherever a person, a run or a node can name or say something, and walks all pages.
func TestHostileTextsStayTexts(t *testing.T) {
	t.Parallel()
	s := whole(t, "")
	texts := hostile.Texts()
	s.Fake.AllRuns, s.Fake.AllEvents, s.Fake.Log, s.Fake.AllNodes = nil, nil, nil, nil
	for i := 0; i < len(texts); i += 4 { // four in each: a page for every text would take long
		some := slices.Concat(texts[i:min(i+4, len(texts))], texts[:4])
		r := webtest.Run(run.States()[i/4%len(run.States())])
		r.ID = run.NewID(webtest.Now.Add(time.Duration(i) * time.Second))
		r.Name, r.Preset, r.Reason, r.Shape.GPUModel, r.Config = some[0], some[1], some[2], some[3], "name = "+some[0]
		s.Fake.AllRuns = append([]run.Run{r}, s.Fake.AllRuns...)
	}
	for i, text := range texts {
		s.Fake.AllEvents = append(s.Fake.AllEvents, run.Event{Seq: int64(i + 1), At: webtest.Now, Kind: "state", Actor: text, Message: text})
		s.Fake.Log = append(s.Fake.Log, run.LogLine{Pos: run.LogPos(i + 1), Text: text})
		s.Fake.AllNodes = append(s.Fake.AllNodes, run.Node{ID: "node-" + text, Name: text, Status: text, GPUs: []run.GPU{{Model: text}}})
	}
	all := strings.Join(texts, " ")
	for i := range s.Fake.AllTemplates {
		s.Fake.AllTemplates[i].Description, s.Fake.AllTemplates[i].Note, s.Fake.AllTemplates[i].Actor = all, all, all
	}
	for i := range s.Fake.AllSweeps {
		s.Fake.AllSweeps[i].Name, s.Fake.AllSweeps[i].Actor = all, all
	}
	pages := 0
	walk(t, s, "", func(path string, a webtest.Answer) {
		pages++
		webtest.AssertNoInlineCode(t, a)
		if n := a.Count(hostile.Injected + ", [" + hostile.Injected + "], img[src=x]"); n != 0 {
			t.Errorf("%s: %d elements were injected", path, n)
		}
		for _, c := range a.Header.Values("Set-Cookie") {
			if strings.Contains(c, hostile.Injected) {
				t.Errorf("%s sets %s", path, c)
			}
		}
	})
	if pages < 80 {
		t.Errorf("%d pages were visited", pages)
	}
	for _, r := range s.Fake.AllRuns {
		if !strings.HasPrefix(r.Name, "  ") && !strings.ContainsAny(r.Name, "\r\x00") { // HTML has neither, and shows no white space
			want := strings.Join(strings.Fields(r.Name), " ")
			if got := s.Get("/runs/"+string(r.ID), http.StatusOK).Text(t, "h1"); !strings.Contains(got, want) {
				t.Errorf("the heading is %q, want %q", got, want)
			}
		}
		for _, path := range []string{"/log/lines", "/series?metric=loss"} {
			if a := s.Get("/runs/"+string(r.ID)+path, http.StatusOK); !json.Valid([]byte(a.Body)) || strings.Contains(a.Header.Get("Content-Type"), "html") {
				t.Errorf("%s: %s %.200s", path, a.Header.Get("Content-Type"), a.Body)
			}
		}
		for _, path := range []string{"/log.txt", "/config.toml", "/launch.sh", "/job.json"} {
			a := s.Get("/runs/"+string(r.ID)+path, http.StatusOK)
			if _, params, err := mime.ParseMediaType(a.Header.Get("Content-Disposition")); err != nil || params["filename"] == "" || strings.ContainsAny(params["filename"], `/\"<>`) ||
				strings.Contains(a.Header.Get("Content-Type"), "html") || a.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s is sent as %v", path, a.Header)
			}
		}
	}
}

func TestHostileNamesOfFilesStayNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := wholeIn(t, dir, "")
	for _, text := range hostile.Texts() {
		name := strings.NewReplacer("/", "_", "\x00", "_").Replace(text)
		if len(name) > 200 || strings.TrimSpace(name) == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("<x-injected>"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found := 0
	a := s.Get("/storage", http.StatusOK)
	webtest.AssertNoInlineCode(t, a)
	if n := a.Count(hostile.Injected + ", [" + hostile.Injected + "]"); n != 0 {
		t.Errorf("%d elements were injected", n)
	}
	for _, link := range a.Doc.Find(`a[href^="/storage/file?"]`).Nodes {
		for _, attr := range link.Attr {
			if attr.Key != "href" {
				continue
			}
			found++
			file := s.Get(attr.Val, http.StatusOK)
			media, params, err := mime.ParseMediaType(file.Header.Get("Content-Disposition"))
			if err != nil || media != "attachment" || params["filename"] == "" || strings.Contains(file.Header.Get("Content-Type"), "html") || file.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s is sent as %v, %v", attr.Val, file.Header, err)
			}
		}
	}
	if found < 20 {
		t.Errorf("%d files were found", found)
	}
}
