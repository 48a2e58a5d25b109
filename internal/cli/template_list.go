package cli

import (
	"context"
	"math"
	"strconv"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

type templateListCmd struct {
	Remote    `embed:""`
	InProject `embed:""`
}

// templateList is the templates with the presets beside.
type templateList struct {
	Items   []run.Template  `json:"items"`
	Presets []client.Preset `json:"presets"`
}

// Run lists templates.
func (c *templateListCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	items, _, err := pages(math.MaxInt, func(from string, n int) ([]run.Template, string, error) {
		page, err := cl.Templates(ctx, client.TemplatesQuery{ProjectsQuery: c.ofProjects(p), After: from, Limit: n})
		return page.Items, page.Next, err
	})
	if err != nil {
		return err
	}
	presets, err := cl.Presets(ctx)
	if err != nil {
		return err
	}
	list := templateList{items, presets.Items}
	if c.Format == "json" {
		return p.printJSON(list)
	}
	t := p.table("NAME", "VERSION", "SHAPE", "SAVED", "DESCRIPTION")
	many := projects(list.Items, func(t run.Template) string { return t.Project })
	for _, item := range list.Items {
		if many {
			item.Name = item.Project + "/" + item.Name
		}
		t.row(item.Name, strconv.Itoa(item.Version), item.Shape.String(), p.ago(item.CreatedAt), short(item.Description, 60))
	}
	for _, item := range list.Presets {
		t.row(item.Name, "preset", item.Shape.String(), "-", short(item.Description, 60))
	}
	return t.flush()
}
