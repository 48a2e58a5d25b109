// Package diff serves the page that compares two configurations.
package diff

import (
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Pages are the section's handlers.
type Pages struct {
	*page.Site
	form.References
}
