package charts

import "encoding/json"

// Figure is the place of a chart.
type Figure struct {
	ID      string // of the element, "" for none
	Title   string
	Unit    string
	Metrics []string // drawn together; formulas start with "="
	Note    string   // how it comes about, such as "derived"
	Own     bool     // chosen by whoever looks at it, who may remove it
	Key     string   // its name among chosen charts, which have an order; "" elsewhere
}

// metrics is the list as the script reads it.
func (f Figure) metrics() string {
	b, _ := json.Marshal(f.Metrics) // strings are never refused
	return string(b)
}
