package help

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	view "github.com/cotrain/cotrain/views/help"
)

// markdown renders what docs/ is written in: raw HTML is left out, and nothing needs inline style.
func markdown() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute))),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(&boxes{}, 1))),
	)
}

// Path is the address of a document.
func Path(name string) string { return "/help/" + name }

// render renders a document, and returns its sections for the search.
func render(name string, source []byte, known map[string]bool) (view.Document, []section, error) {
	md := markdown()
	tree := md.Parser().Parse(text.NewReader(source))
	relink(tree, known)
	var html bytes.Buffer
	if err := md.Renderer().Render(&html, source, tree); err != nil {
		return view.Document{}, nil, fmt.Errorf("render %s: %w", name, err)
	}
	d := view.Document{Name: name, Path: Path(name), Title: name, HTML: html.String()}
	var sections []section
	for node := tree.FirstChild(); node != nil; node = node.NextSibling() {
		words := plain(node, source)
		if h, ok := node.(*ast.Heading); ok {
			id, _ := h.AttributeString("id")
			anchor, _ := id.([]byte)
			s := section{Hit: Hit{Title: words, Href: d.Path + "#" + string(anchor)}}
			if h.Level == 1 {
				d.Title, s.Href = words, d.Path
			} else if h.Level <= 3 {
				d.Contents = append(d.Contents, view.Heading{ID: string(anchor), Title: words, Level: h.Level})
			}
			s.Document, s.head = d.Title, strings.ToLower(d.Title+" "+words)
			s.text = s.head
			sections = append(sections, s)
			continue
		}
		if len(sections) == 0 {
			continue
		}
		last := &sections[len(sections)-1]
		last.text += " " + strings.ToLower(words)
	}
	return d, sections, nil
}

// plain is the text of a node on one line.
func plain(node ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(node, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // never fails
		if !entering {
			if n.Type() == ast.TypeBlock {
				b.WriteByte(' ')
			}
			return ast.WalkContinue, nil
		}
		if t, ok := n.(*ast.Text); ok {
			b.Write(t.Segment.Value(source))
			if t.SoftLineBreak() {
				b.WriteByte(' ')
			}
		} else if n.Type() == ast.TypeBlock && n.IsRaw() {
			for i := range n.Lines().Len() {
				line := n.Lines().At(i)
				b.Write(line.Value(source))
			}
		}
		return ast.WalkContinue, nil
	})
	return strings.Join(strings.Fields(b.String()), " ")
}

// relink makes links from document to document those of the console, and takes away those to other files of the repository.
func relink(tree ast.Node, known map[string]bool) {
	var gone []*ast.Link
	_ = ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // never fails
		link, ok := n.(*ast.Link)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		u, err := url.Parse(string(link.Destination))
		if err != nil {
			gone = append(gone, link)
			return ast.WalkContinue, nil
		}
		name, isDocument := strings.CutSuffix(strings.TrimPrefix(u.Path, "docs/"), ".md")
		switch {
		case u.Scheme == "https", u.Scheme == "" && u.Path == "":
		case isDocument && known[name]:
			link.Destination = []byte((&url.URL{Path: Path(name), Fragment: u.Fragment}).String())
		default:
			gone = append(gone, link)
		}
		return ast.WalkContinue, nil
	})
	for _, link := range gone {
		for child := link.FirstChild(); child != nil; child = link.FirstChild() {
			link.Parent().InsertBefore(link.Parent(), link, child)
		}
		link.Parent().RemoveChild(link.Parent(), link)
	}
}

// boxes puts what may be wide into boxes that scroll, by keyboard too.
type boxes struct{ tables int }

// RegisterFuncs is called by goldmark.
func (b *boxes) RegisterFuncs(reg renderer.NodeRendererFuncRegisterer) {
	reg.Register(extast.KindTable, func(w util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			b.tables++
		}
		around(w, entering, fmt.Sprintf("<div class=\"table-scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table %d\"><table class=\"table\">\n", b.tables), "</tbody>\n</table></div>\n")
		return ast.WalkContinue, nil
	})
	code := func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			around(w, true, "<pre class=\"code-text\" tabindex=\"0\"><code>", "")
			for i := range n.Lines().Len() {
				line := n.Lines().At(i)
				_, _ = w.Write(util.EscapeHTML(line.Value(source))) // into memory
			}
		} else {
			around(w, false, "", "</code></pre>\n")
		}
		return ast.WalkContinue, nil
	}
	reg.Register(ast.KindFencedCodeBlock, code)
	reg.Register(ast.KindCodeBlock, code)
}

func around(w util.BufWriter, entering bool, before, after string) {
	if entering {
		after = before
	}
	_, _ = w.WriteString(after) // into memory
}
