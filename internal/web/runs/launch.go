package runs

import (
	"errors"
	"net/http"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/runs"
)

// launchAway is shown while Nomad is unreachable.
const launchAway = "Job, environment and script need Nomad's parser. Try again in a moment."

// Launch shows how a run's workers are started.
func (p *Pages) Launch(w http.ResponseWriter, r *http.Request) error {
	found, err := p.run(r)
	if err != nil {
		return err
	}
	v := view.Launch{Run: found}
	if req, err := trainconf.RequestOfRun(found); err == nil {
		v.Reproduce = req.CommandLine(found.Project)
	}
	v.Launch, err = p.Control.Launch(r.Context(), found.ID)
	switch {
	case errors.Is(err, fault.ErrUnavailable):
		v.Launch, v.Problem = run.Launch{Config: found.Config}, launchAway
	case err != nil:
		return err
	}
	return p.Render(w, r, http.StatusOK, view.LaunchPage(p.Frame(r, "Launch of "+found.Name, "runs"), v))
}

// Script downloads the launch script of a run.
func (p *Pages) Script(w http.ResponseWriter, r *http.Request) error {
	return p.launchFile(w, r, "launch.sh")
}

// Job downloads the parameterized job of a run.
func (p *Pages) Job(w http.ResponseWriter, r *http.Request) error {
	return p.launchFile(w, r, "job.json")
}

func (p *Pages) launchFile(w http.ResponseWriter, r *http.Request, file string) error {
	id, err := page.RunID(r)
	if err != nil {
		return err
	}
	launch, err := p.Control.Launch(r.Context(), id)
	if err != nil {
		return err
	}
	return form.WriteLaunchFile(w, launch, string(id)+"-", file)
}
