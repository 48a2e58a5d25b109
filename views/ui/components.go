package ui

import "github.com/a-h/templ"

// Confirm asks before an action.
type Confirm struct {
	Key       string // stop or delete
	Title     string
	Effects   []string // what will happen, a sentence each
	Action    string   // where the form posts
	Back      string   // where "no" leads
	Label     string   // of the button that does it
	KeepLabel string   // of the way out
	Icon      string
	Plain     bool            // nothing is lost
	Warning   string          // "" for none
	Fields    templ.Component // what is chosen with it, nil for nothing
}

func noteIcon(kind string) string {
	switch kind {
	case "warning":
		return "warning"
	case "danger":
		return "failed"
	case "success":
		return "succeeded"
	}
	return "info"
}
