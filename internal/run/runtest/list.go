package runtest

import (
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// List is what a store answers of some runs, but for nodes, and for metrics, which none has.
func List(all []run.Run, f run.RunFilter) (out run.Page) {
	var at []run.Position
	byID := map[run.ID]run.Run{}
	for _, r := range all {
		if p := positionOf(r, f.Order); Matches(r, f) && (f.Before == "" || r.ID < f.Before) && (f.After == nil || f.Order.Compare(*f.After, p) < 0) {
			byID[r.ID], at = r, append(at, p)
		}
	}
	slices.SortFunc(at, f.Order.Compare)
	folded := map[run.SweepID]bool{}
	for i, p := range at {
		r := byID[p.ID]
		if folded[r.Origin.Sweep] {
			continue
		}
		if len(out.Runs) == f.Limit {
			out.Next = f.Order.Cursor(at[i-1])
			break
		}
		out.Runs = append(out.Runs, r)
		folded[r.Origin.Sweep] = f.Folded && r.Origin.Sweep != ""
	}
	return out
}

// Matches reports whether a filter finds a run.
func Matches(r run.Run, f run.RunFilter) bool {
	tagged := !slices.ContainsFunc(f.Tags, func(tag string) bool { return !slices.Contains(r.Options.Tags, tag) })
	return f.Projects.Include(r.Project) && (f.Owner == "" || r.Owner == f.Owner) && (len(f.States) == 0 || slices.Contains(f.States, r.State)) && (f.Sweep == "" || r.Origin.Sweep == f.Sweep) &&
		strings.Contains(strings.ToLower(r.Name+" "+string(r.ID)+" "+strings.Join(r.Options.Tags, " ")), strings.ToLower(f.Text)) && tagged && (f.Model == "" || r.Preset == f.Model) &&
		!r.CreatedAt.Before(f.Since) && (f.Until.IsZero() || r.CreatedAt.Before(f.Until)) && (f.Archived == run.WithArchived || r.Archived == (f.Archived == run.OnlyArchived))
}

func positionOf(r run.Run, o run.Order) run.Position {
	p := run.Position{ID: r.ID}
	switch o.By {
	case "":
	case "name":
		p.Text = strings.ToLower(r.Name)
	case "project":
		p.Text = r.Project
	case "owner":
		p.Text = r.Owner
	case "model":
		p.Text = r.Preset
	case "step":
		p.Value, p.None = float64(r.Progress.Step), r.Progress.UpdatedAt.IsZero()
	case "loss":
		p.Value, p.None = r.Progress.Loss, !r.Progress.HasLoss
	case "throughput":
		p.Value, p.None = r.Progress.TokensPerSec, r.Progress.TokensPerSec == 0
	case "duration":
		p.Value, p.None = r.EndedAt.Sub(r.StartedAt).Seconds(), r.StartedAt.IsZero() || r.EndedAt.IsZero()
	case "ended":
		p.Value, p.None = float64(r.EndedAt.UnixMilli()), r.EndedAt.IsZero()
	default:
		p.None = true
	}
	return p
}
