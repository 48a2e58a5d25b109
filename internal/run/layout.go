package run

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// LayoutPage is a page that people arrange for themselves, and admins for a project.
type LayoutPage string

// The pages.
const (
	LayoutRuns    LayoutPage = "runs"    // columns of the list of runs
	LayoutMetrics LayoutPage = "metrics" // charts of a run
	LayoutCompare LayoutPage = "compare" // charts of several
)

// MaxLayout is the most bytes of a layout.
const MaxLayout = 64 << 10

var layoutPages = []LayoutPage{LayoutRuns, LayoutMetrics, LayoutCompare}

// CheckLayout checks what is to be stored as a layout, "" for none; errors are [FieldErrors].
func CheckLayout(page LayoutPage, data string) error {
	switch {
	case !slices.Contains(layoutPages, page):
		names := make([]string, len(layoutPages))
		for i, p := range layoutPages {
			names[i] = string(p)
		}
		return FieldErrors{{Field: "page", Value: named(string(page)), Rule: "is not a page with a layout", Fix: "use one of " + strings.Join(names, ", ")}}
	case len(data) > MaxLayout:
		return FieldErrors{{Field: "layout", Rule: fmt.Sprintf("has %d bytes, and must have at most %d", len(data), MaxLayout), Fix: "remove some of it"}}
	case data != "" && !json.Valid([]byte(data)):
		return FieldErrors{{Field: "layout", Value: named(data), Rule: "is not JSON", Fix: "send what the page shows"}}
	}
	return nil
}
