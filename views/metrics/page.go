package metrics

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/charts"
	"github.com/cotrain/cotrain/views/ui"
)

// Metric is one metric of a run.
type Metric struct {
	Name    string
	Formula string // of a derived metric, or ""
	Known   bool   // whether what follows is known
	Points  int64
	Last    float64
	Low     float64
	High    float64
	Steps   bool // it has steps; system metrics have times
	Step    int64
}

// cell is a number of a metric in the table.
type cell struct{ name, text, exact string }

// cells are the same ones whatever is known, as scripts fill them with the numbers of what the charts are zoomed to.
func (m Metric) cells() []cell {
	cells := []cell{{name: "last"}, {name: "low"}, {name: "high"}, {name: "step"}, {name: "points"}}
	for i := range cells {
		cells[i].text = ui.Absent
	}
	if !m.Known {
		return cells
	}
	for i, v := range []float64{m.Last, m.Low, m.High} {
		cells[i].text, cells[i].exact = ui.Number(v), ui.Exact(v)
	}
	if m.Steps {
		cells[3].text = ui.Integer(m.Step)
	}
	cells[4].text = ui.Integer(m.Points)
	return cells
}

// Detail is everything on the page.
type Detail struct {
	Run     run.Run
	All     []Metric // sorted by name
	Notice  string   // what was just done, or ""
	Query   string   // what the list is searched for
	Axis    string
	Smooth  string
	Workers string
	Shown   int // the attempt whose replaced part is shown, 0 for none
	Clip    bool
	LogX    bool
	Table   bool     // numbers rather than charts
	Charts  []string // of the first row, in their order: names or formulas; none for the usual ones
	Own     []string // charts that the address adds to them
	Layout  string   // how the tab is shown whatever the run, as parameters of an address
	Applied bool     // and that is a saved layout, as the address says nothing
	Saved   bool     // there is one
}

const (
	// openFigures is how many charts are open at once before any group is opened by hand.
	openFigures = 24
	rankChoices = 64
)

// curatedChart shows the first metric of some that a run has, and what is drawn beside it. Its key is the first of them.
type curatedChart struct {
	title  string
	unit   string
	names  []string
	beside []string
}

// curated is the usual first row.
var curated = []curatedChart{
	{"Loss", "", []string{"loss", "train/loss", "train_loss"}, []string{"val_loss", "eval_loss", "eval/loss", "val/loss"}},
	{"Perplexity", "", []string{"perplexity"}, []string{"val_perplexity", "eval_perplexity"}},
	{"Learning rate", "", []string{"learning_rate", "train/learning_rate", "lr", "train/lr"}, []string{"planned/learning_rate"}},
	{"Throughput", "tokens/s", []string{"tokens_per_second", "train/tokens_per_second"}, nil},
	{"MFU", "%", []string{"mfu", "train/mfu"}, nil},
	{"Gradient norm", "", []string{"grad_norm", "train/grad_norm", "gradient_norm"}, nil},
	{"Accuracy", "", []string{"accuracy", "train/accuracy", "eval_accuracy", "eval/accuracy", "val_accuracy"}, nil},
	{"z loss", "", []string{"z_loss", "train/z_loss"}, nil},
	{"Outer MFU", "%", []string{"outer_mfu"}, nil},
	{"Sync time", "s", []string{"sync_seconds", "all_reduce_seconds"}, nil},
}

func (d Detail) has(name string) bool {
	_, ok := slices.BinarySearchFunc(d.All, name, func(m Metric, name string) int { return cmp.Compare(m.Name, name) })
	return ok
}

func (d Detail) metric(name string) Metric {
	if i, ok := slices.BinarySearchFunc(d.All, name, func(m Metric, name string) int { return cmp.Compare(m.Name, name) }); ok {
		return d.All[i]
	}
	return Metric{Name: name}
}

// FirstRow has the charts that were chosen, or else the usual ones, and those that the address adds. A saved layout is of many
// runs: what this one does not have is left out of it.
func (d Detail) FirstRow() (out []charts.Figure) {
	keys := d.Charts
	if len(keys) == 0 {
		keys = d.usual()
	}
	for _, key := range slices.Concat(keys, d.Own) {
		if f, ok := d.chosen(key); ok || !d.Applied {
			out = append(out, f)
		}
	}
	return out
}

// usual are the curated charts that the run has something for.
func (d Detail) usual() (out []string) {
	for _, c := range curated {
		if slices.ContainsFunc(c.names, d.has) {
			out = append(out, c.names[0])
		}
	}
	return out
}

// usualKeys is the list as the script reads it.
func (d Detail) usualKeys() string {
	b, _ := json.Marshal(d.usual()) // strings are never refused
	return string(b)
}

// chosen is a chart of the first row, and whether the run has what it shows.
func (d Detail) chosen(key string) (f charts.Figure, ok bool) {
	i := slices.IndexFunc(curated, func(c curatedChart) bool { return c.names[0] == key })
	if i < 0 {
		f = d.figure(d.metric(key))
		f.Key, f.Own = key, true
		return f, strings.HasPrefix(key, "=") || d.has(key)
	}
	c := curated[i]
	name := key
	if n := slices.IndexFunc(c.names, d.has); n >= 0 {
		name, ok = c.names[n], true
	}
	f = d.figure(d.metric(name))
	f.Title, f.Unit, f.ID, f.Key, f.Own = c.title, c.unit, "chart-"+key, key, true
	for _, name := range c.beside {
		if d.has(name) {
			f.Metrics = append(f.Metrics, name)
		}
	}
	return f, ok
}

func (d Detail) figure(m Metric) charts.Figure {
	f := charts.Figure{Title: m.Name, Metrics: []string{m.Name}}
	if m.Formula != "" {
		f.Note = "derived"
	}
	return f
}

// Group is the metrics whose names begin alike.
type Group struct {
	Name    string // "" for names without a slash
	Metrics []Metric
	Open    bool
}

func (g Group) title() string { return cmp.Or(g.Name, "Ungrouped") }

func (g Group) id() string { return "group-" + g.Name }

// Groups are the metrics that match the search, by what their names have before the first slash. Few are open at once.
func (d Detail) Groups() (out []Group) {
	words := strings.Fields(strings.ToLower(d.Query))
	for _, m := range d.All {
		if strings.HasPrefix(m.Name, "planned/") || !holdsAll(strings.ToLower(m.Name), words) {
			continue
		}
		name, _, found := strings.Cut(m.Name, "/")
		if !found {
			name = ""
		}
		i := slices.IndexFunc(out, func(g Group) bool { return g.Name == name })
		if i < 0 {
			i = len(out)
			out = append(out, Group{Name: name})
		}
		out[i].Metrics = append(out[i].Metrics, m)
	}
	slices.SortStableFunc(out, func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
	open := 0
	for i := range out {
		open += len(out[i].Metrics)
		out[i].Open = open <= openFigures || d.Query != "" && i == 0
	}
	return out
}

func holdsAll(name string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(name, w) })
}

func (d Detail) axes() []ui.Choice {
	out := []ui.Choice{{Value: "step", Label: "Step"}}
	if d.has("total_tokens") {
		out = append(out, ui.Choice{Value: "tokens", Label: "Tokens"})
	}
	out = append(out, ui.Choice{Value: "time", Label: "Time of day"}, ui.Choice{Value: "elapsed", Label: "Time since start"})
	return withChosen(out, d.Axis)
}

// notMetrics mean another axis than the metric that is named so.
var notMetrics = []string{"step", "tokens", "time", "elapsed"}

// otherAxes are some metrics that a chart can be drawn over. The menus of charts have them all.
func (d Detail) otherAxes() (out []ui.Choice) {
	for _, m := range d.All {
		if len(out) < openFigures && m.Formula == "" && m.Name != d.Axis && !slices.Contains(notMetrics, m.Name) && !strings.HasPrefix(m.Name, run.SystemPrefix) && !strings.HasPrefix(m.Name, "planned/") {
			out = append(out, ui.Choice{Value: m.Name, Label: m.Name})
		}
	}
	return out
}

func (d Detail) workers() []ui.Choice {
	out := []ui.Choice{{Value: "all", Label: "mean and range"}, {Value: "each", Label: "a line each"}}
	for rank := range min(d.Run.Shape.Nodes, rankChoices) {
		out = append(out, ui.Choice{Value: strconv.Itoa(rank), Label: "worker " + strconv.Itoa(rank)})
	}
	return withChosen(out, d.Workers)
}

func (d Detail) replaced() []ui.Choice {
	out := []ui.Choice{{Value: "", Label: "hidden"}}
	for a := 1; a < d.Run.Attempt; a++ {
		out = append(out, ui.Choice{Value: strconv.Itoa(a), Label: "of attempt " + strconv.Itoa(a)})
	}
	return out
}

func withChosen(in []ui.Choice, value string) []ui.Choice {
	if value == "" || slices.ContainsFunc(in, func(c ui.Choice) bool { return c.Value == value }) {
		return in
	}
	return append(in, ui.Choice{Value: value, Label: value})
}

func (d Detail) base() string { return ui.RunPath(d.Run.ID) }
