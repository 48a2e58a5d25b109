package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
)

// Names of what setup makes. Those of further namespaces end with a dash and the namespace.
const (
	consoleName = "cotrain-console"
	storageName = "cotrain-storage"
	runsName    = "cotrain-runs"
)

// Nomad is what setup reads and writes there, with a management token.
type Nomad interface {
	NomadPolicies
	NomadPlaces
	NomadTokens
}

// NomadPolicies are ACL policies and roles.
type NomadPolicies interface {
	Policy(ctx context.Context, name string) (nomad.Policy, bool, error)
	PutPolicy(ctx context.Context, p nomad.Policy) error
	Role(ctx context.Context, name string) (policies []string, ok bool, err error)
	PutRole(ctx context.Context, name, description string, policies []string) error
}

// NomadPlaces are namespaces and node pools.
type NomadPlaces interface {
	HasNamespace(ctx context.Context, name string) (bool, error)
	CreateNamespace(ctx context.Context, name, description string) error
	HasNodePool(ctx context.Context, name string) (bool, error)
	CreateNodePool(ctx context.Context, name, description string) error
}

// NomadTokens are made for the console, and for Vault.
type NomadTokens interface {
	CreateToken(ctx context.Context, name, role string) (secret string, err error)
	CreateManagementToken(ctx context.Context, name string) (secret string, err error)
	TokenHasRole(ctx context.Context, secret, role string) (bool, error)
	OtherTokens(ctx context.Context, name, secret string) (accessors []string, err error)
}

// Options is what is to be there.
type Options struct {
	DryRun bool // only say what would change
	Move   bool // rights may go from one place to another

	Namespace     string   // of runs whose project has none
	Namespaces    []string // further ones
	NodePool      string   // "" for Nomad's own
	StorageVolume string   // "" for none
	ConsulService string   // "" for the console not in Consul
	ServiceJob    bool     // the console is a job of Nomad
	ConsoleSpace  string   // namespace of that job
	ConsulMethod  string   // how Nomad's workloads log in at Consul
	KVMount       string   // of Vault; and so on
	JWTMount      string
	NomadMount    string
	DatabaseMount string
	NomadEngine   bool   // Vault makes the console's tokens
	JWKSURL       string // Nomad's public keys, as Vault and Consul reach them
	JWKSCA        string // PEM, "" for what their machines trust
	NomadForVault string // address of Nomad, as Vault reaches it
	TokenFile     string // where the console's token goes, "" for nowhere
	TokenInVault  bool   // into Vault instead
	PrintToken    bool   // or to whoever asks
}

// State is what became of a thing.
type State string

// The states. With DryRun, Created and Changed are what would become of it.
const (
	Unchanged State = "unchanged"
	Created   State = "created"
	Changed   State = "changed"
	Failed    State = "failed"
)

// Item is a thing that setup saw to.
type Item struct {
	In    string   `json:"in"` // nomad, vault or consul
	Kind  string   `json:"kind"`
	Name  string   `json:"name"`
	State State    `json:"state"`
	Diff  []string `json:"diff,omitempty"`  // lines, with + or - before each
	Error string   `json:"error,omitempty"` // with what to do
}

// Report is what setup did, or would do.
type Report struct {
	DryRun bool     `json:"dry_run"`
	Items  []Item   `json:"items"`
	Notes  []string `json:"notes,omitempty"`
	Token  string   `json:"token,omitempty"` // only where asked for
}

// OK reports whether nothing failed.
func (r *Report) OK() bool {
	return !slices.ContainsFunc(r.Items, func(i Item) bool { return i.State == Failed })
}

// String is the report for a terminal.
func (r *Report) String() string {
	var b strings.Builder
	count := map[State]int{}
	for _, i := range r.Items {
		count[i.State]++
		fmt.Fprintf(&b, "%-10s %-7s %-12s %s\n", r.word(i.State), i.In, i.Kind, i.Name)
		for _, line := range i.Diff {
			b.WriteString("             " + line + "\n")
		}
		if i.Error != "" {
			b.WriteString("             " + i.Error + "\n")
		}
	}
	fmt.Fprintf(&b, "%d unchanged, %d %s, %d %s, %d failed\n", count[Unchanged], count[Created], r.word(Created), count[Changed], r.word(Changed), count[Failed])
	for _, n := range r.Notes {
		b.WriteString(n + "\n")
	}
	if r.Token != "" {
		b.WriteString(r.Token + "\n")
	}
	return b.String()
}

func (r *Report) word(s State) string {
	if r.DryRun && (s == Created || s == Changed) {
		return map[State]string{Created: "to create", Changed: "to change"}[s]
	}
	return string(s)
}

// thing is something to see to.
type thing struct {
	in, kind, name string
	// read returns it as text that is compared with want, and whether it is there. want may depend on it: what others added stays.
	read  func(ctx context.Context) (is string, there bool, err error)
	want  func() string
	write func(ctx context.Context) error
}

func text(s string) func() string { return func() string { return s } }

// Setup sees to everything, one thing after another in an order that lets each stand on those before. What fails is in the report, and the
// rest goes on. Vault and Consul may be nil.
func Setup(ctx context.Context, n Nomad, v Vault, c Consul, o Options) (*Report, error) {
	s := &setup{o: o, nomad: n, vault: v, consul: c, report: &Report{DryRun: o.DryRun}}
	down := map[string]string{} // systems that are away, with what they said
	var things []thing
	for _, more := range []func() ([]thing, error){s.inNomad, s.inVault, s.inConsul, s.forToken} {
		list, err := more()
		if err != nil {
			return nil, err
		}
		things = append(things, list...)
	}
	for _, t := range things {
		item := Item{In: t.in, Kind: t.kind, Name: t.name, State: Failed, Error: down[t.in]}
		if t.kind == "token" && s.o.TokenInVault {
			item.Error = cmp.Or(item.Error, down["vault"])
		}
		if item.Error == "" {
			if err := s.see(ctx, t, &item); err != nil {
				if ctx.Err() != nil {
					return s.report, ctx.Err()
				}
				item.State, item.Error = Failed, told(err)
				if errors.Is(err, errMount) || errors.Is(err, fault.ErrUnavailable) || errors.Is(err, fault.ErrNomadDenied) || errors.Is(err, fault.ErrForbidden) {
					down[t.in] = "see above"
				}
			}
		}
		s.report.Items = append(s.report.Items, item)
	}
	if down["nomad"] == "" && down["vault"] == "" {
		s.noteSpareTokens(ctx)
	}
	return s.report, nil
}

// told is an error for a person.
func told(err error) string {
	what, fix := parts(err)
	return strings.TrimSpace(what + " " + fix)
}

// parts are an error's text and remedy. What could not be reached says why, without the URL.
func parts(err error) (what, fix string) {
	if known := (*fault.Error)(nil); errors.As(err, &known) {
		return known.What, known.Fix
	}
	said, why := fault.Of(err), err.Error()
	if said.Kind == fault.ErrInternal {
		return why, ""
	}
	if said.Kind == fault.ErrNomadUnreachable { // a command neither keeps trying nor knows of runs
		said.What, said.Fix = "Nomad is not reachable", "Check that it runs, and nomad.address (NOMAD_ADDR)."
	}
	if i := strings.LastIndex(why, `": `); i >= 0 { // Get "http://...": dial tcp ...
		why = why[i+3:]
	}
	return strings.TrimSuffix(said.What, ".") + " (" + why + ").", said.Fix
}

// Plain is an error of Nomad as a report has it.
func Plain(err error) error {
	what, fix := parts(err)
	return fault.New(fault.Of(err).Kind, what, fix).Because(err)
}

type setup struct {
	o      Options
	nomad  Nomad
	vault  Vault
	consul Consul
	report *Report

	accessor string // of Vault's JWT method, once it is known
}

// see reads a thing, and writes it if it differs.
func (s *setup) see(ctx context.Context, t thing, item *Item) error {
	is, there, err := t.read(ctx)
	if err != nil {
		return err
	}
	want := t.want()
	switch {
	case there && is == want:
		item.State = Unchanged
		return nil
	case there:
		item.State, item.Diff = Changed, diff(is, want)
	default:
		item.State = Created
	}
	if s.o.DryRun {
		return nil
	}
	return t.write(ctx)
}

// stays is a thing that is not changed into that of another place, on which what was set up before depends: a setting is easily
// forgotten. The text that is there has such a block or none.
func (s *setup) stays(t thing, block, place, setting string) thing {
	read := t.read
	t.read = func(ctx context.Context) (string, bool, error) {
		is, there, err := read(ctx)
		if err == nil && there && !s.o.Move && strings.Contains(is, block) && !strings.Contains(is, block+place) {
			err = fault.New(fault.ErrConflict, fmt.Sprintf("It is not for the %s: the console was set up with another %s.", strings.ReplaceAll(block+place, `"`, ""), setting),
				fmt.Sprintf("Set %s to what it was, or add --move if that is meant: the console then has its rights here, and no longer there.", setting))
		}
		return is, there, err
	}
	return t
}

// diff is what differs line by line, without the lines that are only elsewhere.
func diff(is, want string) []string {
	var out []string
	for _, side := range []struct{ sign, text, other string }{{"- ", is, want}, {"+ ", want, is}} {
		others := strings.Split(side.other, "\n")
		for line := range strings.SplitSeq(side.text, "\n") {
			if strings.TrimSpace(line) != "" && !slices.Contains(others, line) {
				out = append(out, side.sign+fault.Quote(line))
			}
		}
	}
	if len(out) == 0 {
		out = []string{"  the same lines in another order"}
	}
	return out
}

// with is a list with more in it, in order.
func with(list []string, more ...string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(list, more))))
}
