package templates

import (
	"fmt"
	"time"

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

// versionRef names a version on the page of differences.
func versionRef(name string, version int) string {
	return fmt.Sprintf("template:%s@%d", name, version)
}

// DeleteConfirm asks before a template is deleted.
func DeleteConfirm(name string, versions int) ui.Confirm {
	return ui.Confirm{
		Key: "delete-template", Title: fmt.Sprintf("Delete template “%s”?", name), Icon: "trash", Label: "Delete template", KeepLabel: "Keep",
		Effects: []string{
			ui.Plural(versions, "version") + " deleted for good. Export one to keep it as a file.",
			"Runs and sweeps made from it keep their own copy.",
		},
		Action: ui.TemplatePath(name) + "/delete", Back: ui.TemplatePath(name),
	}
}
