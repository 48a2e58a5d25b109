package templates

import (
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Detail is one version of a template, or a preset.
type Detail struct {
	Entry    Entry
	Newest   int            // version, 0 for a preset
	Versions []run.Template // newest first; none for a preset
	Config   string
	Facts    []ui.Fact // shape and options
	Saved    string    // what saving did, to somebody who just has, or ""
	Now      time.Time
}

// deletable reports whether to offer who looks at it to delete it.
func (d Detail) deletable(who access.Identity) bool {
	return !d.Entry.builtin() && who.May(access.TemplatesDelete, d.Entry.Project)
}

// versionRef names a version of a template on the page of differences.
func versionRef(t run.Template, version int) string {
	t.Version = version
	return "template:" + t.FullRef()
}

// DeleteConfirm asks before a template is deleted.
func DeleteConfirm(project, name string, versions int) ui.Confirm {
	return ui.Confirm{
		Key: "delete-template", Title: fmt.Sprintf("Delete template “%s”?", name), Icon: "trash", Label: "Delete template", KeepLabel: "Keep",
		Effects: []string{
			ui.Plural(versions, "version") + " deleted for good. Export one to keep it as a file.",
			"Runs and sweeps made from it keep their own copy.",
		},
		Action: ui.InProject(ui.TemplatePath(name)+"/delete", project), Back: ui.InProject(ui.TemplatePath(name), project),
	}
}
