package views

import "github.com/a-h/templ"

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
