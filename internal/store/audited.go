package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/auditlog"
	"github.com/cotrain/cotrain/internal/store/db"
)

// auditedRun is what the audit log tells of a run.
type auditedRun struct {
	Name          string      `json:"name"`
	State         run.State   `json:"state"`
	StopRequested bool        `json:"stop_requested,omitempty"`
	Attempt       int         `json:"attempt,omitempty"`
	Pausing       string      `json:"pausing,omitempty"`
	NextResume    string      `json:"next_resume,omitempty"`
	Shape         string      `json:"shape"`
	Priority      int         `json:"priority,omitempty"`
	Config        string      `json:"config_sha256"`
	Preset        string      `json:"preset,omitempty"`
	Template      string      `json:"template,omitempty"`
	Clone         run.ID      `json:"clone,omitempty"`
	Sweep         run.SweepID `json:"sweep,omitempty"`
	AsksFor       []string    `json:"asks_for,omitempty"` // registered secrets
	Tags          []string    `json:"tags,omitempty"`
	Note          string      `json:"note,omitempty"`
	Archived      bool        `json:"archived,omitempty"`
}

func auditRun(ctx context.Context, tx *db.Tx, before, after *run.Run) error {
	if audit.Of(ctx) == nil {
		return nil
	}
	var id run.ID
	var project string
	facts := func(r *run.Run) any {
		if r == nil {
			return nil
		}
		id, project = r.ID, r.Project
		return auditedRun{r.Name, r.State, r.StopRequested, r.Attempt, r.Pausing.String(), string(r.NextResume), r.Shape.String(), r.Options.Priority, hashOf(r.Config), r.Preset, r.Origin.Template, r.Origin.Clone, r.Origin.Sweep, r.Options.Secrets, r.Options.Tags, r.Note, r.Archived}
	}
	was, is := facts(before), facts(after)
	return auditlog.Append(ctx, tx, "run:"+string(id), project, was, is)
}

// auditedSweep is what the audit log tells of a sweep.
type auditedSweep struct {
	Project string   `json:"-"` // the entry has it
	Name    string   `json:"name"`
	Fields  []string `json:"fields,omitempty"`
	Runs    int      `json:"runs,omitempty"`
	Shape   string   `json:"shape,omitempty"`
	Config  string   `json:"config_sha256,omitempty"`
	Stopped bool     `json:"stopped"`
}

func auditSweep(ctx context.Context, tx *db.Tx, id run.SweepID, before, after *auditedSweep) error {
	if audit.Of(ctx) == nil {
		return nil
	}
	var was, is any
	project := ""
	if before != nil {
		was, project = before, before.Project
	}
	if after != nil {
		is, project = after, after.Project
	}
	return auditlog.Append(ctx, tx, "sweep:"+string(id), project, was, is)
}

// auditedTemplate is what the audit log tells of a version of a template.
type auditedTemplate struct {
	Version int    `json:"version"`
	Note    string `json:"note,omitempty"`
	Shape   string `json:"shape"`
	Config  string `json:"config_sha256"`
}

func auditTemplate(ctx context.Context, tx *db.Tx, project, name string, before, after run.Template) error {
	if audit.Of(ctx) == nil {
		return nil
	}
	facts := func(t run.Template) any {
		if t.Version == 0 {
			return nil
		}
		return auditedTemplate{t.Version, t.Note, t.Shape.String(), hashOf(t.Config)}
	}
	return auditlog.Append(ctx, tx, "template:"+name, project, facts(before), facts(after))
}

// hashOf tells whether two configurations are the same.
func hashOf(config string) string {
	sum := sha256.Sum256([]byte(config))
	return hex.EncodeToString(sum[:])
}

// auditedBefore is a run that is about to be deleted, nil where that is not audited.
func auditedBefore(ctx context.Context, tx *db.Tx, id run.ID) (*run.Run, error) {
	if audit.Of(ctx) == nil {
		return nil, nil //nolint:nilnil // as documented
	}
	r, err := scanRun(tx.QueryRow(ctx, `SELECT `+runColumns+` FROM runs WHERE id = ? FOR UPDATE`, id))
	return &r, missing(err, run.NoRun(string(id)))
}
