package api

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type saveTemplateInput struct {
	Name string `path:"name" doc:"Name of the template: 1 to 63 letters, digits and . _ -"`
	client.InProject
	IfMatch     string `header:"If-Match" doc:"ETag of the version that this one is to follow: if there is a newer one the answer is 412, so that nobody's changes are overlooked. Without it this is the next version in any case; versions before it stay"`
	IfNoneMatch string `header:"If-None-Match" doc:"* saves only when there is no such template yet, and answers 412 when there is"`
	Body        client.TemplateInput
}

type saveTemplateOutput struct {
	ETag string `header:"ETag" doc:"The version"`
	Body client.SavedTemplate
}

func (s *server) saveTemplate(ctx context.Context, in *saveTemplateInput) (_ *saveTemplateOutput, err error) {
	if in.Project, err = run.ProjectFor(access.From(ctx), access.TemplatesSave, in.Project); err != nil {
		return nil, err
	}
	for {
		newest, err := s.Templates.Template(ctx, in.Project, in.Name, 0)
		if err != nil && !errors.Is(err, fault.ErrNotFound) {
			return nil, err
		}
		t, err := s.template(ctx, in, newest)
		if err != nil {
			return nil, err
		}
		if err := in.accepts(newest); err != nil {
			return nil, err
		}
		// What is accepted and the description that is kept are those of this version: saving takes no other.
		stored, err := s.Templates.SaveTemplate(ctx, t, newest.Version)
		var outdated *run.OutdatedError
		if errors.As(err, &outdated) && ctx.Err() == nil {
			continue // somebody was faster, whose version may be accepted too
		}
		if err != nil {
			return nil, err
		}
		out := &saveTemplateOutput{versionTag(stored.Version), client.SavedTemplate{Template: stored}}
		if req, err := trainconf.RequestOfTemplate(stored); err == nil {
			_, out.Body.Warnings = req.CheckUnnamed()
		}
		// What the project or shared storage would refuse of a run can be saved: limits change.
		refused, warned := s.Actions.Check(ctx)(run.Submission{Project: stored.Project, Config: stored.Config, Shape: stored.Shape, Options: stored.Options})
		out.Body.Warnings = slices.Concat(out.Body.Warnings, refused, warned)
		return out, nil
	}
}

// accepts checks what the client expects of the newest version.
func (in *saveTemplateInput) accepts(newest run.Template) error {
	if strings.TrimSpace(in.IfNoneMatch) == "*" && newest.Version > 0 {
		return outdated("There is a template " + newest.Name + " already.")
	}
	if in.IfMatch == "" {
		return nil
	}
	for tag := range strings.SplitSeq(in.IfMatch, ",") {
		tag = strings.TrimSpace(tag)
		if newest.Version > 0 && (tag == "*" || tag == versionTag(newest.Version)) {
			return nil
		}
	}
	if newest.Version == 0 {
		return outdated("There is no template of that name; it may have been deleted.")
	}
	return outdated("The newest version of " + newest.Name + " is " + strconv.Itoa(newest.Version) + ".")
}

func outdated(why string) error { return fault.New(fault.ErrOutdated, why, "") }

// template puts a version together; what is wrong with it is [run.FieldErrors].
func (s *server) template(ctx context.Context, in *saveTemplateInput, newest run.Template) (run.Template, error) {
	t := run.Template{Project: in.Project, Name: in.Name, Description: newest.Description, Note: in.Body.Note}
	var errs run.FieldErrors
	switch {
	case in.Body.Text != "" && !reflect.ValueOf(in.Body.Source).IsZero():
		errs = run.FieldErrors{{Field: "text", Rule: "is a whole template, and does not go together with anything else that one is made from", Fix: "send the text alone, then save again with what differs"}}
	case in.Body.Text != "":
		file, imported := trainconf.ImportTemplate([]byte(in.Body.Text))
		t.Config, t.Shape, t.Options = file.Config, file.Shape, file.Options
		if file.Description != "" {
			t.Description = file.Description
		}
		if t.Note == "" {
			t.Note = file.Note
		}
		errs = imported.Errors
	default:
		d, err := s.resolve(ctx, in.Project, "", in.Body.Source)
		if err != nil {
			return t, err
		}
		sub := d.Submission()
		t.Config, t.Shape, t.Options = sub.Config, sub.Shape, sub.Options
		if len(d.Errs) > 0 {
			err := d.refusal(false)
			if errs = trainconf.AsFieldErrors(err); errs == nil {
				return t, err
			}
		}
	}
	if in.Body.Description != nil {
		t.Description = *in.Body.Description
	}
	if len(errs) == 0 {
		return t, nil
	}
	if f := run.CheckTemplateName(in.Name); f != nil {
		errs = append(errs, *f)
	}
	return t, errs
}
