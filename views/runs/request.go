package runs

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// requestFacts are what a run asked for, one value each.
func requestFacts(r run.Run) []ui.Fact {
	o := r.Options
	facts := []ui.Fact{{Key: "shape", Label: "Shape", Value: r.Shape.String()}}
	if r.Preset != "" {
		facts = append(facts, ui.Fact{Key: "preset", Label: "Preset", Value: r.Preset})
	}
	diloco := "off"
	if r.InnerSteps > 0 {
		diloco = "sync every " + ui.Plural(int(r.InnerSteps), "step")
	}
	facts = append(facts,
		ui.Fact{Key: "diloco", Label: "DiLoCo", Value: diloco},
		ui.Fact{Key: "cpu", Label: "CPU per worker", Value: ui.Integer(cmp.Or(r.Shape.CPU, run.DefaultWorkerCPU)) + " MHz"},
		ui.Fact{Key: "memory", Label: "Memory per worker", Value: ui.Bytes(float64(cmp.Or(r.Shape.Memory, run.DefaultWorkerMemory)) * 1024 * 1024)},
		ui.Fact{Key: "priority", Label: "Priority", Value: ui.Integer(cmp.Or(o.Priority, run.DefaultPriority)), Exact: "1 to 100; higher starts sooner"},
		ui.Fact{Key: "retries", Label: "Retries", Value: retriesText(r), Exact: "Further attempts after failures without progress between them"},
		ui.Fact{Key: "limit", Label: "Time limit", Value: limitText(o.MaxDuration), Exact: "From the first start"},
	)
	for _, p := range []struct{ key, label, value string }{
		{"on-hang", "On a hang", o.OnHang}, {"on-nan", "On NaN", o.OnNaN}, {"on-divergence", "On divergence", o.OnDivergence}, {"on-plateau", "On a plateau", o.OnPlateau},
	} {
		if p.value != "" {
			facts = append(facts, ui.Fact{Key: p.key, Label: p.label, Value: p.value})
		}
	}
	if o.RollbackLR != 0 {
		facts = append(facts, ui.Fact{Key: "rollback-lr", Label: "Learning rate after going back", Value: "× " + ui.Number(o.RollbackLR)})
	}
	if len(o.Secrets) > 0 {
		facts = append(facts, ui.Fact{Key: "secrets", Label: "Secrets", Value: strings.Join(o.Secrets, ", "), Exact: "Registered secrets that become environment on the node"})
	}
	if o.MirrorLogs != "" {
		facts = append(facts, ui.Fact{Key: "mirror-logs", Label: "Log in shared storage", Value: o.MirrorLogs, Exact: "In logs/training/" + string(r.ID)})
	}
	return facts
}

func retriesText(r run.Run) string {
	if r.GivenUp {
		return "stopped on request"
	}
	o, out := r.Options, []string(nil)
	if o.Retries > 0 {
		out = append(out, "up to "+ui.Integer(o.Retries))
	}
	if len(o.Retry) > 0 {
		out = append(out, strings.ReplaceAll(o.Retry.String(), ",", ", "))
	}
	return cmp.Or(strings.Join(out, "; "), "none")
}

func limitText(seconds int64) string {
	if seconds <= 0 {
		return "none"
	}
	return run.ShortDuration(time.Duration(seconds) * time.Second)
}

// attemptText is the number of the newest attempt.
func attemptText(r run.Run) string {
	if r.Attempt == 0 {
		return ui.Absent
	}
	return ui.Integer(r.Attempt)
}

// sortedEnv is an environment by name.
func sortedEnv(env map[string]string) []run.EnvVar {
	out := make([]run.EnvVar, 0, len(env))
	for name, value := range env {
		out = append(out, run.EnvVar{Name: name, Value: value})
	}
	slices.SortFunc(out, func(a, b run.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// quoteArgs are arguments as one tells them apart: those with anything but plain characters are quoted.
func quoteArgs(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if out[i] = a; a == "" || strings.ContainsFunc(a, func(r rune) bool { return r <= ' ' || strings.ContainsRune("\"'\\$`;|&<>()*?[]#~!{}", r) }) {
			out[i] = strconv.Quote(a)
		}
	}
	return out
}
