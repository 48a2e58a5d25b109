package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

type logPage struct {
	Lines []run.LogLine
	Next  run.LogPos
	More  bool
}

func (p logPage) texts() string {
	var out []string
	for _, l := range p.Lines {
		out = append(out, l.Text)
	}
	return strings.Join(out, " ")
}

func logFixture(t *testing.T) (*fixture, string) {
	t.Helper()
	f := newFixture(t)
	id := f.Add(run.Run{State: run.Running})
	f.Log(id, 0, "a", "b")
	f.Log(id, 1, "c")
	f.Log(id, 0, "d", "e")
	return f, "/api/v1/runs/" + string(id) + "/logs"
}

func TestLogsAreReadByCursorWithoutGapsOrRepeats(t *testing.T) {
	t.Parallel()
	f, target := logFixture(t)
	var got []string
	var next run.LogPos
	for {
		page := get[logPage](f, fmt.Sprintf("%s?limit=2&after=%d", target, next))
		if next = page.Next; len(page.Lines) == 0 {
			break
		}
		got = append(got, page.texts())
		if page.More != (len(page.Lines) == 2) {
			t.Errorf("more is %t after %d lines", page.More, len(page.Lines))
		}
	}
	if strings.Join(got, "|") != "a b|c d|e" || next != 50 {
		t.Errorf("pages %q, then %d", got, next)
	}
	id := run.ID(strings.Split(target, "/")[4])
	f.Log(id, 1, "later")
	if page := get[logPage](f, fmt.Sprintf("%s?after=%d", target, next)); page.texts() != "later" || page.Next != 60 || page.More {
		t.Errorf("%+v", page)
	}
}

func TestLogsAreFilteredAndReadFromTheEnd(t *testing.T) {
	t.Parallel()
	f, target := logFixture(t)
	for query, want := range map[string]string{
		"?worker=1":                  "c",
		"?worker=7":                  "",
		"?worker=-1":                 "a b c d e",
		"?tail=2":                    "d e",
		"?tail=2&worker=1":           "c",
		"?tail=2&before=40":          "b c",
		"?before=40":                 "a b c",
		"?before=40&limit=1":         "c",
		"?worker=0&after=10&limit=2": "b d",
	} {
		if page := get[logPage](f, target+query); page.texts() != want {
			t.Errorf("%s gives %q, want %q", query, page.texts(), want)
		}
	}
}

func TestAnAnswerWithVeryLongLinesIsCutAndContinues(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.Add(run.Run{State: run.Running})
	long := strings.Repeat("x", 3<<20)
	f.Log(id, 0, "1"+long, "2"+long, "3"+long, "4"+long, "5"+long)
	target := "/api/v1/runs/" + string(id) + "/logs"
	first := get[logPage](f, target)
	if len(first.Lines) != 3 || !first.More || first.Next != 30 {
		t.Fatalf("%d lines, more %t, next %d", len(first.Lines), first.More, first.Next)
	}
	second := get[logPage](f, target+"?after=30")
	if len(second.Lines) != 2 || second.Lines[0].Text[0] != '4' || second.More {
		t.Errorf("%d lines, more %t", len(second.Lines), second.More)
	}
	tail := get[logPage](f, target+"?tail=5")
	if len(tail.Lines) != 3 || tail.Lines[2].Text[0] != '5' || !tail.More {
		t.Errorf("tail: %d lines, more %t", len(tail.Lines), tail.More)
	}
}
