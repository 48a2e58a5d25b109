package views

import (
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
)

// Confirm is a question before an action that cannot be taken back.
type Confirm struct {
	Key       string // stop or delete
	Title     string
	Effects   []string // what will happen, a sentence each
	Action    string   // where the form posts
	Back      string   // where "no" leads
	Label     string   // of the button that does it
	KeepLabel string   // of the way out
	Icon      string
}

func runPath(id run.ID) string { return "/runs/" + string(id) }

// StopConfirm asks before a run is stopped.
func StopConfirm(r run.Run) Confirm {
	return Confirm{
		Key: "stop", Title: fmt.Sprintf("Stop “%s”?", r.Name), Icon: "stop", Label: "Stop the run", KeepLabel: "Keep it running",
		Effects: []string{
			"Every worker is asked to end. It may first save a checkpoint where one is configured; a worker that has not ended by the kill time-out is killed.",
			"The run ends as stopped. Its curves, logs and events stay.",
		},
		Action: runPath(r.ID) + "/stop", Back: runPath(r.ID),
	}
}

// DeleteConfirm asks before a run is deleted.
func DeleteConfirm(r run.Run) Confirm {
	return Confirm{
		Key: "delete", Title: fmt.Sprintf("Delete “%s”?", r.Name), Icon: "trash", Label: "Delete the run", KeepLabel: "Keep it",
		Effects: []string{
			"Its configuration, curves, logs and events are deleted from the console and cannot be brought back.",
			"Checkpoints that its workers wrote on the nodes are not touched.",
		},
		Action: runPath(r.ID) + "/delete", Back: runPath(r.ID),
	}
}

func noteIcon(kind string) string {
	switch kind {
	case "warning":
		return "warning"
	case "danger":
		return "failed"
	case "success":
		return "succeeded"
	}
	return "info"
}
