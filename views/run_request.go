package views

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// requestFacts are what a run asked for, one value each.
func requestFacts(r run.Run) []Fact {
	o := r.Options
	facts := []Fact{{Key: "shape", Label: "Shape", Value: r.Shape.String()}}
	if r.Preset != "" {
		facts = append(facts, Fact{Key: "preset", Label: "Preset", Value: r.Preset})
	}
	diloco := "off"
	if r.InnerSteps > 0 {
		diloco = "sync every " + plural(int(r.InnerSteps), "step")
	}
	facts = append(facts,
		Fact{Key: "diloco", Label: "DiLoCo", Value: diloco},
		Fact{Key: "cpu", Label: "CPU per worker", Value: Integer(cmp.Or(r.Shape.CPU, run.DefaultWorkerCPU)) + " MHz"},
		Fact{Key: "memory", Label: "Memory per worker", Value: Bytes(float64(cmp.Or(r.Shape.Memory, run.DefaultWorkerMemory)) * 1024 * 1024)},
		Fact{Key: "priority", Label: "Priority", Value: Integer(cmp.Or(o.Priority, run.DefaultPriority)), Exact: "1 to 100; higher starts sooner"},
		Fact{Key: "retries", Label: "Retries", Value: retriesText(o.Retries), Exact: "Further attempts when one fails"},
		Fact{Key: "limit", Label: "Time limit", Value: limitText(o.MaxDuration), Exact: "From the first start; then the run is stopped"},
	)
	if o.Secrets != "" {
		facts = append(facts, Fact{Key: "secrets", Label: "Secrets", Value: o.Secrets, Exact: "The Nomad variable whose items become environment"})
	}
	return facts
}

func retriesText(n int) string {
	if n == 0 {
		return "none"
	}
	return "up to " + Integer(n)
}

func limitText(seconds int64) string {
	if seconds <= 0 {
		return "none"
	}
	return run.ShortDuration(time.Duration(seconds) * time.Second)
}

// attemptText is the number of the newest attempt, of those that there may be.
func attemptText(r run.Run) string {
	if r.Options.Retries == 0 {
		return Integer(r.Attempt)
	}
	return Integer(r.Attempt) + " of " + Integer(1+r.Options.Retries+r.PortConflicts)
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
