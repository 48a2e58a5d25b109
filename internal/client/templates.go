package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

const templatesPath = "/api/v1/templates"

// templatePath is the address of a template, or of what belongs to it, whatever was given as its name.
func templatePath(name, rest string) string { return templatesPath + "/" + url.PathEscape(name) + rest }

// TemplatesQuery says which templates to list.
type TemplatesQuery struct {
	ProjectsQuery
	After string `query:"after" maxLength:"130" doc:"Cursor: the next of the previous page"`
	Limit int    `query:"limit" default:"50" minimum:"1" maximum:"500"`
}

// TemplatePage is a page of templates.
type TemplatePage struct {
	Items []run.Template `json:"items" nullable:"false" doc:"The newest version of each, by name"`
	Next  string         `json:"next,omitempty" doc:"Cursor of the next page, for after; absent on the last"`
}

// Templates lists templates by name.
func (c *Client) Templates(ctx context.Context, q TemplatesQuery) (TemplatePage, error) {
	return get[TemplatePage](ctx, c, templatesPath, q)
}

// TemplateQuery says which version of a template.
type TemplateQuery struct {
	InProject
	Version int `query:"version" minimum:"0" maximum:"1000000000" doc:"0 for the newest"`
}

// Template reads a version of a project's template, 0 for the newest.
func (c *Client) Template(ctx context.Context, ref run.TemplateRef) (run.Template, error) {
	return get[run.Template](ctx, c, templatePath(ref.Name, ""), TemplateQuery{InProject{ref.Project}, ref.Version})
}

// TemplateVersions is every version of a template.
type TemplateVersions struct {
	Items []run.Template `json:"items" nullable:"false" doc:"Newest first"`
}

// TemplateVersions reads every version of a project's template.
func (c *Client) TemplateVersions(ctx context.Context, project, name string) (TemplateVersions, error) {
	return get[TemplateVersions](ctx, c, templatePath(name, "/versions"), InProject{project})
}

// TemplateInput is a version of a template as a client describes it.
type TemplateInput struct {
	Text        string  `json:"text,omitempty" doc:"An exported template, or any CotrainCore TOML, in place of everything that a template is made from; its name does not matter"`
	Description *string `json:"description,omitempty" doc:"What the template is for; left out, that of the text or of the version before"`
	Note        string  `json:"note,omitempty" doc:"What this version changes, in one line"`
	draft.Source
}

// SavedTemplate is a version of a template that was saved, with what a run of it is warned of.
type SavedTemplate struct {
	run.Template
	Warnings []run.FieldError `json:"warnings,omitempty" nullable:"false" doc:"What is allowed and probably not meant"`
}

// SaveTemplate saves the next version of a project's template: after one that must be the newest, after any (0), or as the first
// ([NewTemplate]).
func (c *Client) SaveTemplate(ctx context.Context, project, name string, after int, in TemplateInput) (out SavedTemplate, err error) {
	match, none := "", ""
	switch {
	case after == NewTemplate:
		none = "*"
	case after > 0:
		match = strconv.Quote(strconv.Itoa(after))
	}
	return out, c.send(ctx, http.MethodPut, templatePath(name, encode(InProject{project})), in, &out, "If-Match", match, "If-None-Match", none)
}

// NewTemplate stands for the version before the first.
const NewTemplate = -1

// DeleteTemplate deletes a project's template with all its versions.
func (c *Client) DeleteTemplate(ctx context.Context, project, name string) error {
	return c.send(ctx, http.MethodDelete, templatePath(name, encode(InProject{project})), nil, nil)
}

// Preset is a built-in configuration.
type Preset struct {
	Name        string    `json:"name" doc:"For preset of a submission"`
	Title       string    `json:"title"`
	Description string    `json:"description"`
	Config      string    `json:"config" doc:"CotrainCore TOML"`
	Shape       run.Shape `json:"shape" doc:"One that fits it"`
}

// PresetList is every preset.
type PresetList struct {
	Items []Preset `json:"items" nullable:"false"`
}

// Presets lists the presets.
func (c *Client) Presets(ctx context.Context) (PresetList, error) {
	return get[PresetList](ctx, c, "/api/v1/presets", nil)
}

// DiffQuery says what to compare.
type DiffQuery struct {
	InProject
	A string `query:"a" required:"true" maxLength:"200" doc:"One side: run:r-0123456789, template:my-7B, template:my-7B@2, template:vision/my-7B or preset:7B"`
	B string `query:"b" required:"true" maxLength:"200" doc:"The other side"`
}

// Diff is how one side differs from another.
type Diff struct {
	A       string             `json:"a"`
	B       string             `json:"b"`
	Changes []trainconf.Change `json:"changes" nullable:"false" doc:"Fields that differ, in the order of the form; values that mean the same are no change"`
}

// Diff compares two runs, templates or presets. Templates without a project are of the given one.
func (c *Client) Diff(ctx context.Context, project, a, b string) (Diff, error) {
	return get[Diff](ctx, c, "/api/v1/diff", DiffQuery{InProject{project}, a, b})
}
