// Package docs holds the documents, which the console serves as its help.
package docs

import "embed"

//go:embed *.md
var files embed.FS

// Files are the documents, as Markdown.
func Files() embed.FS { return files }
