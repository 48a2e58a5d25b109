package web

import (
	"errors"
	"net/http"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// launchAway is what a page says while Nomad does not answer.
const launchAway = "The job, its environment and its script are made with Nomad's parser. What the console knows by itself is below; try again in a moment for the rest."

// handleRunLaunch shows exactly how a run's workers are started.
func (s *Server) handleRunLaunch(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	found, err := s.Runs.Run(r.Context(), id)
	if err != nil {
		return err
	}
	v := views.RunLaunch{Run: found}
	if req, err := trainconf.RequestOfRun(found); err == nil {
		v.Reproduce = req.CommandLine()
	}
	v.Launch, err = s.Launches.Launch(r.Context(), id)
	switch {
	case errors.Is(err, fault.ErrUnavailable):
		v.Launch, v.Problem = run.Launch{Config: found.Config}, launchAway
	case err != nil:
		return err
	}
	return s.render(w, r, http.StatusOK, views.RunLaunchPage(s.page(r, "Launch of "+found.Name, "runs"), v))
}

// handleRunScript downloads the launch script of a run.
func (s *Server) handleRunScript(w http.ResponseWriter, r *http.Request) error {
	return s.launchFile(w, r, "launch.sh")
}

// handleRunJob downloads the parameterized job of a run.
func (s *Server) handleRunJob(w http.ResponseWriter, r *http.Request) error {
	return s.launchFile(w, r, "job.json")
}

func (s *Server) launchFile(w http.ResponseWriter, r *http.Request, file string) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	launch, err := s.Launches.Launch(r.Context(), id)
	if err != nil {
		return err
	}
	return writeLaunchFile(w, launch, string(id)+"-", file)
}

// handleFormFile returns the handler that makes one file of a posted form of a run.
func (s *Server) handleFormFile(file string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := readForm(r); err != nil {
			return err
		}
		d := readRequest(r.PostForm)
		if d.wrongBut(inputName) {
			return d.errs
		}
		launch, err := s.Launches.LaunchOf(r.Context(), d.submission(""))
		if err != nil {
			return err
		}
		return writeLaunchFile(w, launch, "", file)
	}
}

// writeLaunchFile answers with one part of a launch. The prefix is made of an ID's characters only.
func writeLaunchFile(w http.ResponseWriter, l run.Launch, prefix, file string) error {
	body, contentType := "", ""
	switch file {
	case "launch.sh":
		body, contentType = l.Script, "application/x-sh"
	case "job.json":
		body, contentType = views.Indented(l.Job)+"\n", "application/json"
	case "config.toml":
		body, contentType = l.Config, "application/toml"
	}
	attachment(w, prefix+file, contentType)
	_, _ = w.Write([]byte(body)) // the reader has gone: nobody is left to tell
	return nil
}

// wrongBut reports whether anything but one field is wrong.
func (d *draft) wrongBut(field string) bool {
	for _, e := range d.errs {
		if e.Field != field {
			return true
		}
	}
	return false
}
