package cluster

import (
	"context"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/nomad"
)

// Level is how bad a finding is.
type Level string

// The levels: Fail is what keeps runs or the console from working, Warn what is weak, too much, or not known.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Finding is something that was looked at.
type Finding struct {
	Level Level  `json:"level"`
	In    string `json:"in"`            // nomad, rights, nodes, vault or consul
	About string `json:"about"`         // a right, a node, a setting
	What  string `json:"what"`          // what was found
	Fix   string `json:"fix,omitempty"` // the command or setting that mends it
}

// Findings are what a check found.
type Findings struct {
	Findings []Finding `json:"findings"`
}

// Count is the number of findings at a level.
func (f *Findings) Count(level Level) int {
	n := 0
	for _, one := range f.Findings {
		if one.Level == level {
			n++
		}
	}
	return n
}

// String is the findings for a terminal.
func (f *Findings) String() string {
	var b strings.Builder
	for _, one := range f.Findings {
		fmt.Fprintf(&b, "%-5s %-7s %-26s %s\n", one.Level, one.In, one.About, one.What)
		if one.Fix != "" {
			b.WriteString("              " + strings.ReplaceAll(one.Fix, "\n", "\n              ") + "\n")
		}
	}
	fmt.Fprintf(&b, "%d ok, %d warnings, %d failures\n", f.Count(OK), f.Count(Warn), f.Count(Fail))
	return b.String()
}

func (f *Findings) add(level Level, in, about, what, fix string) {
	f.Findings = append(f.Findings, Finding{level, in, about, what, fix})
}

// failed adds an error, which has its own remedy unless one is given.
func (f *Findings) failed(in, about string, err error, fix string) {
	what, own := parts(err)
	if fix == "" {
		fix = own
	}
	f.add(Fail, in, about, what, fix)
}

// Site is what the console's settings say about the cluster.
type Site struct {
	Namespace     string   // of runs whose project has none
	Namespaces    []string // further ones
	Plain         bool     // Nomad is reached by HTTP, from elsewhere
	VaultPlain    bool     // and so Vault
	SkipVerify    bool     // any certificate of Nomad is accepted
	StorageVolume string
	Service       string // in Consul, "" for the console not in it
	Discovers     string // service of Nomad's servers in Consul, "" for fixed addresses
	DiscoversTag  string
	VaultRole     string // with which runs log in at Vault, "" for Nomad's default
	KVMount       string // of Vault; and so on
	JWTMount      string
}

func (s Site) spaces() []string { return with([]string{s.Namespace}, s.Namespaces...) }

// again is the command that sets up what is missing.
func (s Site) again(namespace string) string {
	if namespace == "" || namespace == s.Namespace {
		return "cotrain cluster setup"
	}
	return "cotrain cluster setup --namespace " + namespace
}

// Check looks at everything. Vault and Consul may be nil. Checks that take jobs on the nodes come from elsewhere.
func Check(ctx context.Context, n CheckedNomad, v CheckedVault, c CheckedConsul, s Site) (*Findings, error) {
	f := &Findings{}
	look := &check{Findings: f, nomad: n, site: s}
	if look.reachable(ctx) {
		look.rights(ctx)
		look.nodes(ctx)
	}
	if v != nil {
		checkVault(ctx, f, v, s)
	}
	if c != nil {
		checkConsul(ctx, f, c, s)
		look.inConsul(ctx, c)
	}
	return f, ctx.Err()
}

type check struct {
	*Findings
	nomad     CheckedNomad
	site      Site
	inspected []nomad.Inspected // nil when they cannot be
}
