package form

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	runviews "github.com/cotrain/cotrain/views/runs"
)

// File returns the handler that downloads one file of a posted form's launch.
func (p *Pages) File(file string) page.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := page.ReadForm(r); err != nil {
			return err
		}
		d := Read(r.PostForm)
		if d.InvalidExcept(InputName) {
			return d.errs
		}
		launch, err := p.Control.LaunchOf(r.Context(), d.Submission(""))
		if err != nil {
			return err
		}
		return WriteLaunchFile(w, launch, "", file)
	}
}

// WriteLaunchFile writes one part of a launch. prefix must have an ID's characters.
func WriteLaunchFile(w http.ResponseWriter, l run.Launch, prefix, file string) error {
	body, contentType := "", ""
	switch file {
	case "launch.sh":
		body, contentType = l.Script, "application/x-sh"
	case "job.json":
		body, contentType = runviews.Indented(l.Job)+"\n", "application/json"
	case "config.toml":
		body, contentType = l.Config, "application/toml"
	}
	page.Attach(w, prefix+file, contentType)
	_, _ = w.Write([]byte(body)) // the client has gone
	return nil
}
