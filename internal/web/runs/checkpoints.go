package runs

import (
	"context"
	"net/http"
	"strconv"

	"github.com/a-h/templ"

	"github.com/cotrain/cotrain/internal/trainconf"
	view "github.com/cotrain/cotrain/views/runs"
)

// Checkpoints shows what a run can be continued from.
func (p *Pages) Checkpoints(w http.ResponseWriter, r *http.Request) error {
	return p.Tab(w, r, view.TabCheckpoints, p.checkpoints)
}

func (p *Pages) checkpoints(ctx context.Context, f view.Frame) (templ.Component, error) {
	saved, err := p.Store.SavedCheckpoints(ctx, f.Run.ID)
	c := view.Checkpoints{Run: f.Run, All: view.CheckpointsOf(f.Run, saved), Files: p.Files}
	if req, err := trainconf.RequestOfRun(f.Run); err == nil {
		c.Every, _ = strconv.ParseInt(req.Config.Effective("ckpt.interval"), 10, 64) // 0 if not set
	}
	return view.CheckpointsTab(c), err
}
