package help

import (
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/help"
)

// Pages are the section's handlers.
type Pages struct {
	*page.Site
	Library *Library
}

// Index lists the documents.
func (p *Pages) Index(w http.ResponseWriter, r *http.Request) error {
	return p.Render(w, r, http.StatusOK, view.IndexPage(p.Frame(r, "Help", "help"), p.Library.documents))
}

// Document shows a document.
func (p *Pages) Document(w http.ResponseWriter, r *http.Request) error {
	d, ok := p.Library.document(r.PathValue("doc"))
	if !ok {
		return fault.New(fault.ErrNotFound, "There is no such document.", "Help lists those that there are.")
	}
	return p.Render(w, r, http.StatusOK, view.DocumentPage(p.Frame(r, d.Title, "help"), p.Library.documents, d))
}

// Library is all documents, rendered.
type Library struct {
	documents []view.Document
	sections  []section
}

// section is a heading with the text below it.
type section struct {
	Hit
	head, text string // in lower case
}

// Hit is a section that was found.
type Hit struct {
	Document string // title
	Title    string // of the section
	Href     string
}

// NewLibrary renders the Markdown files at the root of a file system.
func NewLibrary(files fs.FS) (*Library, error) {
	names, err := fs.Glob(files, "*.md")
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(names, func(a, b string) int { return placeOf(a) - placeOf(b) })
	known := map[string]bool{}
	for _, name := range names {
		known[strings.TrimSuffix(name, ".md")] = true
	}
	l := &Library{}
	for _, name := range names {
		source, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		d, sections, err := render(strings.TrimSuffix(name, ".md"), source, known)
		if err != nil {
			return nil, err
		}
		l.documents = append(l.documents, d)
		l.sections = append(l.sections, sections...)
	}
	return l, nil
}

// first are the documents in the order in which they are wanted, before all others.
var first = []string{"first-day.md", "pause.md", "charts.md", "mesh.md", "machines.md", "monitoring.md", "compare.md", "data.md", "stream.md", "shortcuts.md", "configuration.md", "failures.md", "cluster.md", "database.md", "settings.md", "security.md"}

func placeOf(name string) int {
	if i := slices.Index(first, name); i >= 0 {
		return i
	}
	return len(first)
}

func (l *Library) document(name string) (view.Document, bool) {
	for _, d := range l.documents {
		if d.Name == name {
			return d, true
		}
	}
	return view.Document{}, false
}

// Find returns up to limit sections that hold every word of a text, those with all of them in their titles first.
func (l *Library) Find(text string, limit int) []Hit {
	words := strings.Fields(strings.ToLower(text))
	if len(words) == 0 {
		return nil
	}
	holds := func(s string) bool {
		for _, w := range words {
			if !strings.Contains(s, w) {
				return false
			}
		}
		return true
	}
	var titled, others []Hit
	for _, s := range l.sections {
		switch {
		case holds(s.head):
			titled = append(titled, s.Hit)
		case holds(s.text):
			others = append(others, s.Hit)
		}
	}
	all := append(titled, others...)
	return all[:min(len(all), limit)]
}
