package views

import (
	"time"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/run"
)

// pressed is the value of aria-pressed.
func pressed(on bool) string {
	if on {
		return "true"
	}
	return "false"
}

// first is the text of a pair of text and title.
func first(text, _ string) string { return text }

// titled is the title of a pair of text and title, as an attribute.
func titled(_, title string) templ.Attributes {
	if title == "" {
		return nil
	}
	return templ.Attributes{"title": title}
}

// since is when a run that has not ended began, as an attribute: the script counts on from there.
func since(r run.Run) templ.Attributes {
	if r.StartedAt.IsZero() || !r.EndedAt.IsZero() {
		return nil
	}
	return templ.Attributes{"data-since": r.StartedAt.UTC().Format(time.RFC3339)}
}
