package control

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// maxNote is the most characters of a version's note.
const maxNote = 200

// SaveTemplate stores the next version of a template of a project, the default one if it names none; unchanged content
// returns the newest version instead. Invalid input is [run.FieldErrors]; warnings do not count. Preset names are taken.
//
// The newest version must be follows (0 for none, [run.AnyVersion] for any), else it is [run.OutdatedError].
func (c *Control) SaveTemplate(ctx context.Context, actor string, t run.Template, follows int) (run.Template, error) {
	t.Description, t.Note, t.Options = strings.TrimSpace(t.Description), strings.TrimSpace(t.Note), tidyOptions(t.Options)
	if errs := checkTemplate(t); len(errs) > 0 {
		return run.Template{}, errs
	}
	t.Project, t.Actor, t.CreatedAt = cmp.Or(t.Project, access.DefaultProject), actor, c.o.Now()
	stored, err := c.o.Store.SaveTemplate(ctx, t, follows)
	if err != nil {
		return run.Template{}, err
	}
	c.o.Logger.Info("template saved", "project", stored.Project, "template", stored.Ref(), "actor", actor)
	return stored, nil
}

func checkTemplate(t run.Template) run.FieldErrors {
	var errs run.FieldErrors
	if fe := run.CheckTemplateName(t.Name); fe != nil {
		errs = append(errs, *fe)
	} else if p, taken := trainconf.PresetByName(t.Name); taken {
		errs = append(errs, run.FieldError{
			Field: "template", Value: t.Name, Rule: fmt.Sprintf("is the name of the built-in preset %s, which cannot be changed", p.Name), Fix: "use another name, such as my-" + p.Name,
		})
	}
	text := func(field, value string, limit int, lines bool) {
		switch n := utf8.RuneCountInString(value); {
		case n > limit:
			errs = append(errs, run.FieldError{Field: field, Value: fmt.Sprintf("%d characters", n), Rule: fmt.Sprintf("must have at most %d characters", limit), Fix: "shorten it"})
		case !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return fault.Unseen(r) && (!lines || !strings.ContainsRune("\n\r\t", r)) }):
			errs = append(errs, run.FieldError{Field: field, Rule: "must not hold control characters, or characters that override the direction of text", Fix: "remove them"})
		}
	}
	text("description", t.Description, trainconf.MaxDescription, true)
	text("note", t.Note, maxNote, false)
	if bad := trainconf.ValidatePayload(t.Config); bad != nil {
		return append(errs, *bad)
	}
	req, err := trainconf.RequestOfTemplate(t)
	if bad := trainconf.AsFieldErrors(err); bad != nil {
		return append(errs, bad...)
	}
	if err != nil {
		return append(errs, run.FieldError{Field: trainconf.FieldConfig, Rule: err.Error(), Fix: "give a configuration in TOML"})
	}
	bad, _ := req.CheckUnnamed()
	return append(errs, bad...)
}

// Templates returns the newest version of every template of projects, by name, without presets.
func (c *Control) Templates(ctx context.Context, in run.Projects) ([]run.Template, error) {
	return c.o.Store.Templates(ctx, in)
}

// Template returns a version of a project's template (0 for the newest), or [fault.ErrNotFound].
func (c *Control) Template(ctx context.Context, project, name string, version int) (run.Template, error) {
	return c.o.Store.Template(ctx, cmp.Or(project, access.DefaultProject), name, version)
}

// TemplateVersions returns every version of a project's template, newest first, or [fault.ErrNotFound].
func (c *Control) TemplateVersions(ctx context.Context, project, name string) ([]run.Template, error) {
	return c.o.Store.TemplateVersions(ctx, cmp.Or(project, access.DefaultProject), name)
}

// DeleteTemplate removes a project's template with all its versions, or returns [fault.ErrNotFound]. Its runs stay and still name
// it.
func (c *Control) DeleteTemplate(ctx context.Context, actor, project, name string) error {
	project = cmp.Or(project, access.DefaultProject)
	if err := c.o.Store.DeleteTemplate(ctx, project, name); err != nil {
		return err
	}
	c.o.Logger.Info("template deleted", "project", project, "template", name, "actor", actor)
	return nil
}
