package gallery

import (
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Gallery is example data for the page of components: every component in all its states.
type Gallery struct {
	Now time.Time
}

func (g Gallery) runs() []run.Run {
	var out []run.Run
	for i, s := range run.States() {
		r := run.Run{
			ID: run.NewID(g.Now.Add(-time.Duration(i) * time.Hour)), Name: "example-" + string(s), State: s,
			Shape: run.Shape{Nodes: 3, GPUs: 2}, StepsTotal: 1000, CreatedAt: g.Now.Add(-time.Duration(i) * time.Hour),
		}
		if s != run.Queued && s != run.Dispatching && s != run.Pending {
			r.StartedAt = r.CreatedAt.Add(time.Minute)
			r.Progress = run.Progress{Step: 420, Loss: 3.14159, HasLoss: true, TokensPerSec: 12345.6, Participants: 3, UpdatedAt: g.Now}
		}
		if s.Terminal() {
			r.EndedAt, r.Progress.Participants = g.Now, 0
		}
		if s == run.Succeeded {
			r.Progress.Step = r.StepsTotal
		}
		out = append(out, r)
	}
	return out
}

// workers have a state each.
func (g Gallery) workers() []run.Worker {
	return []run.Worker{
		{State: run.WorkerPending}, {State: run.WorkerRunning}, {State: run.WorkerComplete}, {State: run.WorkerComplete, Stopping: true},
		{State: run.WorkerFailed}, {State: run.WorkerLost}, {State: run.WorkerUnknown},
	}
}

func (g Gallery) fields() []ui.Field {
	return []ui.Field{
		{Name: "example.text", Label: "Text", Kind: "text", Value: "a value", Required: true, Help: "One sentence of help."},
		{Name: "example.number", Label: "Number with an error", Kind: "number", Value: "13", Unit: "samples", Required: true,
			Error: "is not a multiple of the micro-batch (8); 16 would pass"},
		{Name: "example.warned", Label: "Number with a warning", Kind: "number", Value: "1000", Unit: "steps", Warning: "The warm-up never ends"},
		{Name: "example.choice", Label: "Choice", Kind: "select", Value: "b", Choices: []ui.Choice{{Value: "a", Label: "First"}, {Value: "b", Label: "Second"}}, Required: true},
		{Name: "example.check", Label: "Checkbox", Kind: "checkbox", Value: "true", Help: "Switched on."},
		{Name: "example.suggest", Label: "With suggestions", Kind: "text", Hint: "any", Suggest: []string{"A100", "H100"}},
	}
}

func (g Gallery) tabs() []ui.Tab {
	return []ui.Tab{{Key: "a", Label: "Current", Href: "#tabs", Current: true}, {Key: "b", Label: "Other", Href: "#tabs"}, {Key: "c", Label: "Third", Href: "#tabs"}}
}

// exampleTOML is only there to be looked at.
const exampleTOML = "name_model = \"150M\"\n\n[optim]\nbatch_size = 512\n\n[train]\nmicro_bs = 64\n"
