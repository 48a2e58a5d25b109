package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Templates is the own templates; the presets are trainconf's. Without a project it is the one that goes without saying.
type Templates interface {
	// Templates returns the newest version of each of projects, by name.
	Templates(ctx context.Context, in run.Projects) ([]run.Template, error)
	// Template returns a version, 0 for the newest, or an error that matches [fault.ErrNotFound].
	Template(ctx context.Context, project, name string, version int) (run.Template, error)
	// TemplateVersions returns every version, newest first.
	TemplateVersions(ctx context.Context, project, name string) ([]run.Template, error)
	// SaveTemplate makes the version after follows (0: the first); the same content makes none. What is not valid is
	// [run.FieldErrors], and when follows is not the newest it is [run.OutdatedError]; [run.AnyVersion] follows any.
	SaveTemplate(ctx context.Context, t run.Template, follows int) (run.Template, error)
	DeleteTemplate(ctx context.Context, project, name string) error
}

func (s *server) listTemplates(ctx context.Context, in *client.TemplatesQuery) (out client.TemplatePage, err error) {
	projects, bad := projectsOf(in.Project)
	if bad != nil {
		return out, invalid("query", bad...)
	}
	all, err := s.Templates.Templates(ctx, projects)
	if err != nil {
		return out, err
	}
	place := func(name, project string) string { return strings.ToLower(name) + "/" + project }
	project, name, qualified := strings.Cut(in.After, "/")
	if !qualified { // of an older client: all of that name
		project, name = "~", in.After
	}
	first := 0
	for first < len(all) && in.After != "" && place(all[first].Name, all[first].Project) <= place(name, project) {
		first++
	}
	more := false
	if out.Items, more = firstPage(all[first:], in.Limit); more {
		last := out.Items[in.Limit-1]
		out.Next = run.TemplateRef{Project: last.Project, Name: last.Name}.String()
	}
	return out, nil
}

type templateParam struct {
	Name string `path:"name" doc:"Name of the template; case does not matter"`
	client.InProject
}

type templateVersionParam struct {
	Name string `path:"name" doc:"Name of the template; case does not matter"`
	client.TemplateQuery
}

type templateOutput struct {
	ETag string `header:"ETag" doc:"The version"`
	Body run.Template
}

func (s *server) getTemplate(ctx context.Context, in *templateVersionParam) (*templateOutput, error) {
	t, err := s.templateVersion(ctx, in.Project, in.Name, in.Version)
	if err != nil {
		return nil, err
	}
	return &templateOutput{versionTag(t.Version), t}, nil
}

// templateVersion returns a version of a project's template, 0 for the newest.
func (s *server) templateVersion(ctx context.Context, project, name string, version int) (run.Template, error) {
	t, err := s.Templates.Template(ctx, project, name, version)
	if err != nil {
		err = s.noTemplate(ctx, err, project, name, version)
	}
	return t, err
}

// noTemplate says of a template that there is not which may be meant; other errors stay what they are.
func (s *server) noTemplate(ctx context.Context, err error, project, name string, version int) error {
	if !errors.Is(err, fault.ErrNoTemplate) {
		return err
	}
	if p, preset := trainconf.PresetByName(name); preset {
		return fault.New(fault.ErrNoTemplate, p.Name+" is a preset: it is built in, and has no versions.", "Save a template made from it, such as my-"+p.Name+".")
	}
	var names []string
	all, failed := s.Templates.Templates(ctx, run.InProjects(cmp.Or(project, access.From(ctx).ImpliedProject(access.TemplatesRead))))
	if failed != nil {
		return err
	}
	for _, t := range all {
		if version > 0 && strings.EqualFold(t.Name, name) {
			return fault.New(fault.ErrNoTemplate, fault.Of(err).What, fmt.Sprintf("Use %s, or another of its versions.", t.Ref()))
		}
		names = append(names, t.Name)
	}
	for _, p := range trainconf.Presets() {
		names = append(names, p.Name)
	}
	near := trainconf.Near(name, names)
	if len(near) == 0 {
		return err
	}
	return fault.New(fault.ErrNoTemplate, fault.Of(err).What, "Use "+strings.Join(near, " or ")+", or list the templates.")
}

func versionTag(version int) string { return `"` + strconv.Itoa(version) + `"` }

func (s *server) listTemplateVersions(ctx context.Context, in *templateParam) (out client.TemplateVersions, err error) {
	versions, err := s.Templates.TemplateVersions(ctx, in.Project, in.Name)
	if err != nil {
		return out, s.noTemplate(ctx, err, in.Project, in.Name, 0)
	}
	return client.TemplateVersions{Items: notNil(versions)}, nil
}

func (s *server) deleteTemplate(ctx context.Context, in *templateParam) (*struct{}, error) {
	return nil, s.noTemplate(ctx, s.Templates.DeleteTemplate(ctx, in.Project, in.Name), in.Project, in.Name, 0)
}

func (s *server) exportTemplate(ctx context.Context, in *templateVersionParam) (*textOutput, error) {
	t, err := s.templateVersion(ctx, in.Project, in.Name, in.Version)
	if err != nil {
		return nil, err
	}
	// The name of a template has no character that a header or a file system minds.
	return &textOutput{tomlType, fmt.Sprintf(`attachment; filename="%s@%d.toml"`, t.Name, t.Version), trainconf.EncodeTemplate(t)}, nil
}
