// Package templates serves the pages of templates and presets.
package templates

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Control keeps templates; presets are trainconf's.
type Control interface {
	form.Templates
	// TemplateVersions returns all versions, newest first.
	TemplateVersions(ctx context.Context, project, name string) ([]run.Template, error)
	// SaveTemplate makes the version after follows (0: the first, [run.AnyVersion]: any), unless nothing changed.
	// Invalid input is [run.FieldErrors], and [run.OutdatedError] means follows is not the newest.
	SaveTemplate(ctx context.Context, t run.Template, follows int) (run.Template, error)
	DeleteTemplate(ctx context.Context, project, name string) error
}

// Pages are the section's handlers. The form for a new run reports what cannot be read.
type Pages struct {
	*page.Site
	Form    *form.Pages
	Control Control
}
