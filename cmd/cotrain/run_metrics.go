package main

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

type runMetricsCmd struct {
	Remote `embed:""`
	ID     string   `arg:"" help:"ID of the run."`
	Metric []string `placeholder:"NAME" help:"Only this metric. Repeat it, or separate with commas, for more."`
}

// point is one value that one worker reported.
type point struct {
	Worker int        `json:"worker"`
	Step   int64      `json:"step"`
	Value  run.Number `json:"value"`
	At     time.Time  `json:"at"`
}

// metrics is what --format json prints: every value of every metric by worker and step. Values that JSON numbers cannot
// hold are the strings "NaN", "Infinity" and "-Infinity".
type metrics struct {
	Run     run.ID             `json:"run"`
	Metrics map[string][]point `json:"metrics"`
}

// Run prints metrics: all values as JSON, a summary as a table.
func (c *runMetricsCmd) Run(ctx context.Context, p *process) error {
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	all := metrics{Metrics: map[string][]point{}}
	var head struct {
		Run   run.ID   `json:"run"`
		Names []string `json:"names"`
	}
	if err := cl.get(ctx, runPath(c.ID)+"/metrics", nil, &head); err != nil {
		return err
	}
	all.Run = head.Run
	wanted := c.Metric
	if len(wanted) == 0 {
		wanted = head.Names
	}
	missing := false
	for _, name := range wanted { // one at a time: each can be large
		var one metrics
		if err := cl.get(ctx, runPath(c.ID)+"/metrics", url.Values{"metric": {name}}, &one); err != nil {
			return err
		}
		all.Metrics[name] = one.Metrics[name]
		if !slices.Contains(head.Names, name) {
			p.say("run %s has no metric %q; it has %s", head.Run, name, orNone(head.Names))
			missing = true
		}
	}
	show := all.print
	if c.Format == "json" {
		show = func(p *process) error { return p.printJSON(all) }
	}
	if err := show(p); err != nil || !missing {
		return err
	}
	return exitStatus(exitNotFound)
}

func (m metrics) print(p *process) error {
	t := p.table("METRIC", "WORKER", "VALUES", "LAST STEP", "LAST")
	for _, name := range slices.Sorted(maps.Keys(m.Metrics)) {
		byWorker := map[int][]point{}
		for _, pt := range m.Metrics[name] {
			byWorker[pt.Worker] = append(byWorker[pt.Worker], pt)
		}
		for _, worker := range slices.Sorted(maps.Keys(byWorker)) {
			points := byWorker[worker]
			last := points[len(points)-1]
			t.row(name, strconv.Itoa(worker), strconv.Itoa(len(points)), strconv.FormatInt(last.Step, 10), figure(float64(last.Value)))
		}
	}
	return t.flush()
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none yet"
	}
	return strings.Join(names, ", ")
}
