// Package templates serves the pages of templates and presets.
package templates

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Control keeps people's own templates; the presets are trainconf's.
type Control interface {
	form.Templates
	// TemplateVersions returns every version, newest first.
	TemplateVersions(ctx context.Context, name string) ([]run.Template, error)
	// SaveTemplate makes the version after follows (0: the first); the same content makes none. What is not valid is
	// [run.FieldErrors], and when follows is not the newest it is [run.OutdatedError]; [run.AnyVersion] follows any.
	SaveTemplate(ctx context.Context, actor string, t run.Template, follows int) (run.Template, error)
	DeleteTemplate(ctx context.Context, actor, name string) error
}

// Pages are the handlers of the section. The form for a new run takes back what cannot be read.
type Pages struct {
	*page.Site
	Form    *form.Pages
	Control Control
}
