package nomad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// probe is a job, variable or allocation that nobody has: what is asked about it is harmless, and Nomad checks rights first.
const (
	probe      = parentPrefix + "check"
	nobodyNode = "00000000-0000-0000-0000-000000000000"
	// streamSays is how soon an event stream that is allowed says something. One that is not stays silent.
	streamSays = 5 * time.Second
)

// Tried is a right of the token that was tried by a call that needs it.
type Tried struct {
	Right string // as policies name it, such as "read-job"
	For   string // what the console does with it
	// Err is why the call failed, nil if it is allowed; [ErrDenied] if it is not; [ErrUntested] if nothing in Nomad could show it.
	Err error
}

// ErrUntested means that a right could not be tried without side effects.
var ErrUntested = errors.New("nothing to try it on")

// try is a row of the table of rights.
type try struct {
	right, purpose string
	call           func(c *Client, ctx context.Context, namespace string) error
}

// namespaceRights are what the console needs in each namespace, and clusterRights what it needs once.
var (
	namespaceRights = []try{
		{"list-jobs", "see the state of runs", (*Client).tryList},
		{"read-job", "read jobs, allocations and evaluations", (*Client).tryRead},
		{"submit-job", "register and stop the jobs of runs", (*Client).trySubmit},
		{"dispatch-job", "start runs", (*Client).tryDispatch},
		{"read-fs", "read logs", (*Client).tryLogs},
		{"alloc-lifecycle", "kill workers that are forced to stop", (*Client).tryKill},
	}
	clusterRights = []try{
		{"node:read", "see nodes, GPUs and their load", (*Client).tryNodes},
		{"node_pool:read", "check a project's node pool", (*Client).tryPools},
		{"events", "follow jobs and nodes without delay", (*Client).tryEvents},
	}
	// excessRights are what it must not have.
	excessRights = []try{
		{"node:write", "drain nodes and make them ineligible", (*Client).tryNodeWrite},
		{"variables:read", "read secrets of runs", (*Client).tryVariable},
	}
)

// TryNamespace uses each right that the console needs in a namespace, on objects that are not there.
func (c *Client) TryNamespace(ctx context.Context, namespace string) []Tried {
	return c.tryAll(ctx, namespaceRights, namespace)
}

// TryCluster uses the rights that are in no namespace; events are those of the console's own.
func (c *Client) TryCluster(ctx context.Context) []Tried {
	return c.tryAll(ctx, clusterRights, c.cfg.Namespace)
}

// TryExcess uses rights that the console should not have: Err is nil for one that it has.
func (c *Client) TryExcess(ctx context.Context, namespace string) []Tried {
	return c.tryAll(ctx, excessRights, namespace)
}

func (c *Client) tryAll(ctx context.Context, tries []try, namespace string) []Tried {
	var out []Tried
	for _, t := range tries {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		out = append(out, Tried{Right: t.right, For: t.purpose, Err: t.call(c, ctx, namespace)})
		cancel()
	}
	return out
}

func in(ctx context.Context, namespace string) *api.QueryOptions {
	q := query(ctx)
	q.Namespace = namespace
	return q
}

func writeIn(ctx context.Context, namespace string) *api.WriteOptions {
	w := write(ctx)
	w.Namespace = namespace
	return w
}

// allowed is nil if a call only failed since what it is about is not there.
func allowed(err error, texts ...string) error {
	said := (*answer)(nil)
	if errors.Is(err, fault.ErrNotFound) || errors.Is(err, ErrParentMissing) || errors.As(err, &said) && anyIn(said.text, texts) {
		return nil
	}
	return err
}

func (c *Client) tryList(ctx context.Context, namespace string) error {
	q := in(ctx, namespace)
	q.Prefix, q.PerPage = probe, 1
	_, err := c.calls.Raw().Query("/v1/jobs", new([]struct{}), q)
	return classify("list jobs", err)
}

func (c *Client) tryRead(ctx context.Context, namespace string) error {
	_, _, err := c.calls.Jobs().Info(probe, in(ctx, namespace))
	return allowed(classify("read a job", err))
}

// trySubmit registers the job of a run of one worker, on the condition that it is there already, which it is not.
func (c *Client) trySubmit(ctx context.Context, namespace string) error {
	job, err := c.probeJob(ctx, namespace)
	switch {
	case errors.Is(err, ErrDenied) || errors.Is(err, fault.ErrUnavailable):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUntested, err) // the job file
	}
	opts := api.RegisterOptions{EnforceIndex: true, ModifyIndex: 1}
	_, _, err = c.calls.Jobs().RegisterOpts(job, &opts, writeIn(ctx, namespace))
	err = allowed(classify("register a job", err), "Enforcing job modify index")
	if said := (*answer)(nil); errors.As(err, &said) && strings.Contains(said.text, "nonexistent namespace") {
		return fault.New(fault.ErrNamespace, "Nomad has no namespace "+namespace+".", "").Because(err)
	}
	return err
}

// probeJob is the job of a run of one worker.
func (c *Client) probeJob(ctx context.Context, namespace string) (*api.Job, error) {
	text, err := c.jobText(ctx)
	if err != nil {
		return nil, err
	}
	shape := run.Shape{Nodes: 1}
	job, err := c.parse(ctx, text, shape)
	if err == nil {
		job.ID, job.Name, job.Namespace = new(probe), new(probe), &namespace
	}
	return job, err
}

func (c *Client) tryDispatch(ctx context.Context, namespace string) error {
	_, _, err := c.calls.Jobs().DispatchOpts(&api.DispatchOptions{JobID: probe}, writeIn(ctx, namespace))
	return allowed(classify("dispatch a job", err))
}

// anyAllocation is the ID of one: of an allocation that is not there Nomad says so before it asks for rights.
func (c *Client) anyAllocation(ctx context.Context, namespace string) (string, error) {
	q := in(ctx, namespace)
	q.PerPage = 1
	var stubs []struct{ ID string }
	_, err := c.calls.Raw().Query("/v1/allocations", &stubs, q)
	switch err = classify("list allocations", err); {
	case errors.Is(err, ErrDenied): // that is said about read-job
		return "", ErrUntested
	case err != nil:
		return "", err
	case len(stubs) == 0:
		return "", ErrUntested
	}
	return stubs[0].ID, nil
}

// tryLogs lists the folder of an allocation.
func (c *Client) tryLogs(ctx context.Context, namespace string) error {
	id, err := c.anyAllocation(ctx, namespace)
	if err != nil {
		return err
	}
	q := in(ctx, namespace)
	q.Params["path"] = "/"
	_, err = c.calls.Raw().Query("/v1/client/fs/ls/"+url.PathEscape(id), new([]struct{}), q)
	return allowed(classify("read logs", err))
}

// tryKill signals a task that no allocation has, so that nothing gets the signal.
func (c *Client) tryKill(ctx context.Context, namespace string) error {
	id, err := c.anyAllocation(ctx, namespace)
	if err != nil {
		return err
	}
	req := map[string]string{"Task": probe, "Signal": "SIGCONT"}
	_, err = c.calls.Raw().Write("/v1/client/allocation/"+url.PathEscape(id)+"/signal", req, nil, writeIn(ctx, namespace))
	return allowed(classify("signal a worker", err), "Task not found", "not found", "not running")
}

func (c *Client) tryNodes(ctx context.Context, _ string) error {
	q := query(ctx)
	q.PerPage = 1
	_, _, err := list[api.NodeListStub](c, "list nodes", "/v1/nodes", q)
	return err
}

// tryPools lists node pools, of which there are always two.
func (c *Client) tryPools(ctx context.Context, _ string) error {
	found, _, err := list[struct{ Name string }](c, "list node pools", "/v1/node/pools", query(ctx))
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("list node pools: %w: Nomad shows none", ErrDenied)
	}
	return err
}

// tryEvents opens the event stream: Nomad says something at once, or nothing for ever to who lacks a right.
func (c *Client) tryEvents(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, streamSays)
	defer cancel()
	q := in(ctx, namespace)
	body, err := c.streams.Raw().Response(topics+"&topic=Node", q)
	if err == nil {
		defer func() { _ = body.Close() }() // read-only
		_, err = body.Read(make([]byte, 1))
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, io.EOF) {
		return fmt.Errorf("open the event stream: %w: it stays silent, so that read-job or node:read is missing", ErrDenied)
	}
	return classify("open the event stream", err)
}

func (c *Client) tryNodeWrite(ctx context.Context, _ string) error {
	req := map[string]string{"NodeID": nobodyNode, "Eligibility": api.NodeSchedulingEligible}
	_, err := c.calls.Raw().Write("/v1/node/"+nobodyNode+"/eligibility", req, nil, write(ctx))
	return allowed(classify("change a node", err), "node not found")
}

func (c *Client) tryVariable(ctx context.Context, namespace string) error {
	_, err := c.calls.Raw().Query("/v1/var/cotrain/"+probe, new(struct{}), in(ctx, namespace))
	return allowed(classify("read a variable", err))
}

// Grants is what the policies of the token say.
type Grants struct {
	ACLs       bool // off, nothing is asked for
	Management bool // may do everything
	Name       string
	Policies   []string
	Rules      []Rules // of those policies that the token may read
}

// Rules is a policy as Nomad understands it.
type Rules struct {
	Policy      string
	Namespaces  []NamespaceRule
	NodePools   []Grant
	HostVolumes []Grant
	Node        *Grant
	Agent       *Grant
	Operator    *Grant
	Quota       *Grant
	Plugin      *Grant
}

// NamespaceRule is about the namespaces that Name matches.
type NamespaceRule struct {
	Name         string
	Capabilities []string
	Variables    *VariableRules
}

// VariableRules are about variables, by path.
type VariableRules struct{ Paths []VariableRule }

// VariableRule is about the variables that PathSpec matches.
type VariableRule struct {
	PathSpec     string
	Capabilities []string
}

// Grant is a rule about one kind of object, or about those that a name matches.
type Grant struct {
	Name, Policy string
	Capabilities []string
}

// Grants reads what the token may do from its policies, which it may read itself.
func (c *Client) Grants(ctx context.Context) (Grants, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	g := Grants{ACLs: true}
	self, _, err := c.calls.ACLTokens().Self(query(ctx))
	err = classify("read the token", err)
	said := (*answer)(nil)
	switch {
	case errors.As(err, &said) && strings.Contains(said.text, aclsOff):
		return Grants{}, nil
	case err == nil:
		g.Name, g.Management, g.Policies = self.Name, self.Type == "management", self.Policies
	case errors.Is(err, fault.ErrUnavailable):
		return g, err
	}
	if g.Management {
		return g, nil
	}
	// Those of roles and workload identities too, from Nomad 1.11 on.
	if stubs, _, err := list[struct{ Name string }](c, "list the token's policies", "/v1/acl/policy/self", query(ctx)); err == nil {
		g.Policies = nil
		for _, s := range stubs {
			g.Policies = append(g.Policies, s.Name)
		}
	} else if self == nil {
		return g, err
	} else if err := c.ofRoles(ctx, self.Roles, &g); err != nil {
		return g, err
	}
	for _, name := range g.Policies {
		var p struct{ RulesJSON *Rules }
		_, err := c.calls.Raw().Query("/v1/acl/policy/"+url.PathEscape(name), &p, query(ctx))
		if err = allowed(classify("read the ACL policy "+name, err)); err != nil && !errors.Is(err, ErrDenied) {
			return g, err
		}
		if p.RulesJSON != nil {
			p.RulesJSON.Policy = name
			g.Rules = append(g.Rules, *p.RulesJSON)
		}
	}
	return g, nil
}

func (c *Client) ofRoles(ctx context.Context, roles []*api.ACLTokenRoleLink, g *Grants) error {
	for _, link := range roles {
		role, _, err := c.calls.ACLRoles().Get(link.ID, query(ctx))
		if err = classify("read an ACL role", err); err != nil {
			return err
		}
		for _, p := range role.Policies {
			g.Policies = append(g.Policies, p.Name)
		}
	}
	return nil
}
