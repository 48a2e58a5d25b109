package cli

import (
	"context"
	"net/url"
	"strconv"

	"github.com/cotrain/cotrain/internal/run"
)

type templateCmd struct {
	List     templateListCmd     `cmd:"" help:"List templates and presets by name."`
	Show     templateShowCmd     `cmd:"" help:"Show a template."`
	Versions templateVersionsCmd `cmd:"" help:"List the versions of a template, newest first."`
	Save     templateSaveCmd     `cmd:"" help:"Save the next version of a template."`
	Diff     templateDiffCmd     `cmd:"" help:"Show how a template differs from its version before, or from something else."`
	Export   templateExportCmd   `cmd:"" help:"Print a template as a file."`
	Import   templateImportCmd   `cmd:"" help:"Save a template from a file."`
	Delete   templateDeleteCmd   `cmd:"" help:"Delete a template with all its versions."`
}

// templatePath is the address of a template, whatever was typed as its name.
func templatePath(name string) string { return "/api/v1/templates/" + url.PathEscape(name) }

type templateListCmd struct {
	Remote `embed:""`
}

// templateList is the templates as the API sends them, with the presets beside.
type templateList struct {
	Items   []run.Template `json:"items"`
	Presets []preset       `json:"presets"`
}

// preset is a built-in configuration as the API sends it.
type preset struct {
	Name        string    `json:"name"`
	Title       string    `json:"title"`
	Description string    `json:"description"`
	Config      string    `json:"config"`
	Shape       run.Shape `json:"shape"`
}

// Run lists templates.
func (c *templateListCmd) Run(ctx context.Context, p *process) error {
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	list, err := readTemplates(ctx, cl)
	if err != nil {
		return err
	}
	var presets struct{ Items []preset }
	if err := cl.get(ctx, "/api/v1/presets", nil, &presets); err != nil {
		return err
	}
	if list.Presets = presets.Items; c.Format == "json" {
		return p.printJSON(list)
	}
	t := p.table("NAME", "VERSION", "SHAPE", "SAVED", "DESCRIPTION")
	for _, item := range list.Items {
		t.row(item.Name, strconv.Itoa(item.Version), item.Shape.String(), p.ago(item.CreatedAt), short(item.Description, 60))
	}
	for _, item := range list.Presets {
		t.row(item.Name, "preset", item.Shape.String(), "-", short(item.Description, 60))
	}
	return t.flush()
}

func readTemplates(ctx context.Context, cl *client) (templateList, error) {
	all := templateList{Items: []run.Template{}}
	for next := ""; ; {
		var page struct {
			Items []run.Template
			Next  string
		}
		query := url.Values{"limit": {strconv.Itoa(listPage)}}
		if next != "" {
			query.Set("after", next)
		}
		if err := cl.get(ctx, "/api/v1/templates", query, &page); err != nil {
			return all, err
		}
		all.Items = append(all.Items, page.Items...)
		if next = page.Next; next == "" {
			return all, nil
		}
	}
}
