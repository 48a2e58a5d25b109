// Package help is the pages of the documents.
package help

import "strings"

// Document is a document of the folder docs.
type Document struct {
	Name, Path string
	Title      string
	Contents   []Heading
	HTML       string // rendered from Markdown, without raw HTML
}

// parts names what the document is about.
func (d Document) parts() string {
	var out []string
	for _, h := range d.Contents {
		if h.Level == 2 {
			out = append(out, h.Title)
		}
	}
	return strings.Join(out, " · ")
}

// Heading is a line of the table of contents.
type Heading struct {
	ID, Title string
	Level     int // 2 or 3
}
