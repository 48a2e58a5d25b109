package ui

import (
	"github.com/a-h/templ"
)

// Pressed is the value of aria-pressed.
func Pressed(on bool) string {
	if on {
		return "true"
	}
	return "false"
}

// First is the text of a text and its title.
func First(text, _ string) string { return text }

// Titled is the title of a text and its title, as an attribute.
func Titled(_, title string) templ.Attributes {
	if title == "" {
		return nil
	}
	return templ.Attributes{"title": title}
}
