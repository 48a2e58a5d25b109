package ui

import "time"

// The choices of the theme switch.
const (
	ThemeAuto  = "auto"
	ThemeLight = "light"
	ThemeDark  = "dark"
)

// The choices of the switch for shortcuts of a single key.
const (
	KeysOn  = "on"
	KeysOff = "off"
)

// Page is what every page needs for its frame.
type Page struct {
	Title  string // of the document, without the product's name
	Nav    string // which entry of the navigation or the account menu is current: runs, cluster, account, or ""
	Base   string // versioned path of the assets, with a slash at the end
	Theme  string // auto, light or dark
	NoKeys bool   // shortcuts of a single key are switched off, for who dictates or types unsteadily
	Path   string // where the page is, for forms that come back to it
	// Notice is shown as a banner on top: what is not reachable right now. "" when all is well.
	Notice    string
	SystemSeq int64 // sequence of the topic "system" that Notice belongs to
	Dev       bool  // shows the entry for the page of components
	Account   Account
	Now       time.Time
}

func (p Page) documentTitle() string {
	if p.Title == "" {
		return "CoTrain"
	}
	return p.Title + " · CoTrain"
}

func (p Page) asset(name string) string { return p.Base + name }

// theme is the value for the attribute; an unknown choice follows the system.
func (p Page) theme() string {
	if p.Theme == ThemeLight || p.Theme == ThemeDark {
		return p.Theme
	}
	return ThemeAuto
}

// otherKeys is what the switch for shortcuts of a single key would choose.
func (p Page) otherKeys() string {
	if p.NoKeys {
		return KeysOn
	}
	return KeysOff
}

// htmxConfig switches off what the content security policy forbids, and lets a form with mistakes (422) be shown.
const htmxConfig = `{"includeIndicatorStyles":false,"allowEval":false,"allowScriptTags":false,"selfRequestsOnly":true,` +
	`"historyCacheSize":0,"refreshOnHistoryMiss":true,"timeout":15000,"responseHandling":[` +
	`{"code":"204","swap":false},{"code":"[23]..","swap":true},{"code":"422","swap":true},` +
	`{"code":"[45]..","swap":false,"error":true}]}`

// styles are the style sheets of every page, in the order of their cascade.
var styles = [...]string{
	"ui/tokens", "ui/base", "ui/components", "ui/topbar", "runs/list", "runs/run", "runs/events", "runs/log", "runs/mesh", "charts", "metrics", "cluster", "form", "templates", "runs/launch", "sweeps", "compare", "storage", "help", "search", "account", "admin", "audit",
}
