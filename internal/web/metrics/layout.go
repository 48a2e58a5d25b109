package metrics

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/metrics"
)

// The parameters of an address that say how the tab is shown; static/js/charts/view.js writes them.
var (
	ofLayout = []string{"x", "smooth", "workers", "logx", "clip", "log", "chart", "formula"} // and are saved
	ofRun    = []string{"from", "to", "replaced", "plain"}
	ofTab    = slices.Concat(ofLayout, ofRun, []string{"q"}) // with the search of the list
)

// paramDone says for whom a layout was just saved, and notices what the page says of it.
const paramDone = "done"

var notices = map[string]string{
	"me":      "Layout saved: this is how the tab looks for you, of all runs of the project.",
	"project": "Layout saved for the project: this is what everybody in it sees who has saved none.",
	"nobody":  "Your saved layout is forgotten.",
}

const maxLayout = 16 << 10 // bytes of parameters

// layout is how one is stored.
type layout struct {
	View string `json:"view"`
}

// saysView reports whether an address says how the tab is shown.
func saysView(q url.Values) bool {
	return slices.ContainsFunc(slices.Concat(ofLayout, ofRun), q.Has)
}

// savedView are the parameters of a stored layout; none of one that another release stored in another way.
func savedView(data string) url.Values {
	var l layout
	if json.Unmarshal([]byte(data), &l) != nil {
		return nil
	}
	v, _ := url.ParseQuery(l.View) // what can be read of it
	return v
}

// drawable leaves out of a saved layout the axis and the formulas that a run lacks metrics for. Of a run without any nothing is known yet.
func drawable(v url.Values, all []view.Metric) url.Values {
	if len(v) == 0 || len(all) == 0 {
		return v
	}
	has := func(name string) bool {
		return slices.ContainsFunc(all, func(m view.Metric) bool { return m.Name == name })
	}
	if x := chart.Axis(v.Get("x")).Metric(); x != "" && !has(x) {
		v.Del("x")
	}
	for _, name := range []string{"chart", "formula"} {
		v[name] = slices.DeleteFunc(v[name], func(key string) bool {
			text, isFormula := strings.CutPrefix(key, "=")
			if !isFormula {
				return false
			}
			f, err := chart.ParseFormula(text)
			return err != nil || slices.ContainsFunc(f.Metrics, func(m string) bool { return !has(m) })
		})
	}
	return v
}

// layoutOf is what is saved of a view.
func layoutOf(q url.Values) url.Values {
	out := url.Values{}
	for _, name := range ofLayout {
		if v, ok := q[name]; ok {
			out[name] = v
		}
	}
	return out
}

// SaveLayout saves how the tab is shown in a run's project, for who asks or as the default of the project.
func (p *Pages) SaveLayout(w http.ResponseWriter, r *http.Request) error {
	who, err := page.LayoutFor(r)
	if err != nil {
		return err
	}
	of, err := p.run(r)
	if err != nil {
		return err
	}
	to, shown := "/runs/"+string(of.ID)+"/metrics", url.Values(nil)
	data := ""
	if who != "nobody" {
		if shown, err = readLayout(r.PostForm["view"]); err != nil {
			return err
		}
		b, err := json.Marshal(layout{shown.Encode()})
		if err != nil {
			return fmt.Errorf("encode layout: %w", err)
		}
		data = string(b)
	}
	if who != "project" {
		if err := p.Store.SetLayout(r.Context(), of.Project, run.LayoutMetrics, data); err != nil {
			return err
		}
		return page.Redirect(w, r, to+"?"+url.Values{paramDone: {r.PostForm.Get("for")}}.Encode())
	}
	if len(shown) == 0 {
		data = "" // the usual view needs no default
	}
	if err := p.Store.SetProjectLayout(r.Context(), of.Project, run.LayoutMetrics, data); err != nil {
		return err
	}
	if len(shown) == 0 {
		shown = url.Values{"plain": {"1"}}
	}
	shown.Set(paramDone, "project")
	return page.Redirect(w, r, to+"?"+shown.Encode()) // whatever who asks has saved
}

// readLayout checks the parameters of a view as a chart would.
func readLayout(given []string) (url.Values, error) {
	if len(given) != 1 { // an empty one is the usual view
		return nil, run.FieldErrors{{Field: "view", Rule: "is not given once", Fix: "send the parameters that the tab shows, such as x=time&smooth=ema:0.9"}}
	}
	text := given[0]
	q, err := url.ParseQuery(text)
	if err != nil || len(text) > maxLayout {
		return nil, run.FieldErrors{{Field: "view", Value: fault.Clip(text, 2*maxQuery), Rule: fmt.Sprintf("is not the parameters of an address of up to %d bytes", maxLayout), Fix: "send those that the tab shows, such as x=time&smooth=ema:0.9"}}
	}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if !slices.Contains(ofTab, name) {
			return nil, run.FieldErrors{{Field: "view", Value: fault.Clip(name, 40), Rule: "is no parameter of the tab", Fix: "send some of " + strings.Join(ofLayout, ", ")}}
		}
	}
	q = layoutOf(q)
	asked := url.Values{"x": q["x"], "smooth": q["smooth"], "workers": q["workers"], "metric": slices.Concat(q["chart"], q["formula"])}
	if len(asked["metric"]) == 0 {
		asked.Set("metric", "loss")
	}
	_, err = chart.ParseQuery(asked)
	return q, err
}
