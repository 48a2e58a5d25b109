package ui

// Confirm asks before an action that cannot be undone.
type Confirm struct {
	Key       string // stop or delete
	Title     string
	Effects   []string // what will happen, a sentence each
	Action    string   // where the form posts
	Back      string   // where "no" leads
	Label     string   // of the button that does it
	KeepLabel string   // of the way out
	Icon      string
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
