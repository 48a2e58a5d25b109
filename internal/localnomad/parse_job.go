package localnomad

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	hcljson "github.com/hashicorp/hcl/v2/json"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// parseName stands for the job file in messages, as on a real agent.
const parseName = "input.hcl"

// parseJob turns a job file and the text of a variables file into a job. The
// error names what is wrong and where, or the limit that the file breaks. ctx
// ends the evaluation.
func parseJob(ctx context.Context, src, vars string) (*api.Job, error) {
	if err := checkSource("the job file", src); err != nil {
		return nil, err
	}
	if err := checkSource("the text of variables", vars); err != nil {
		return nil, err
	}
	file, diags := parseText(src)
	if diags.HasErrors() {
		return nil, diags
	}
	var values *hcl.File
	if vars != "" {
		if values, diags = parseText(vars); diags.HasErrors() {
			return nil, fmt.Errorf("unable to parse var content: %w", diags)
		}
	}
	m := &meter{ctx: ctx}
	p := &jobParser{src: []byte(src), variables: map[string]*variable{}, locals: map[string]cty.Value{}, bodies: map[hcl.Range]*hclsyntax.Body{}, meter: m, functions: m.functions()}
	if body, ok := file.Body.(*hclsyntax.Body); ok {
		p.indexBodies(body)
		p.keepReferences(body)
	}
	p.measure(file)
	p.measure(values)
	job, diags := p.parse(file.Body, values)
	if m.err != nil { // whatever else follows from it
		return nil, m.err
	}
	if diags.HasErrors() {
		return nil, diagsError(diags)
	}
	return job, nil
}

// parseText reads HCL, or JSON when it begins with a brace.
func parseText(src string) (*hcl.File, hcl.Diagnostics) {
	if isJSON(src) {
		return hcljson.Parse([]byte(src), parseName)
	}
	return hclsyntax.ParseConfig([]byte(src), parseName, hcl.InitialPos)
}

// diagsError joins the errors, one a line.
func diagsError(diags hcl.Diagnostics) error {
	var lines []string
	for _, d := range diags {
		if d.Severity == hcl.DiagError {
			lines = append(lines, d.Error())
		}
	}
	return errors.New(strings.Join(lines, "\n"))
}

// jobParser holds what one job file declares.
type jobParser struct {
	src       []byte
	variables map[string]*variable
	locals    map[string]cty.Value
	bodies    map[hcl.Range]*hclsyntax.Body // those of the file by where they end

	meter     *meter
	functions map[string]function.Function
}

// measure has the expressions of a file counted.
func (p *jobParser) measure(file *hcl.File) {
	if file == nil {
		return
	}
	if body, ok := file.Body.(*hclsyntax.Body); ok {
		p.meter.body(body)
	} else {
		file.Body = meteredBody{file.Body, p.meter}
	}
}

func (p *jobParser) parse(body hcl.Body, values *hcl.File) (*api.Job, hcl.Diagnostics) {
	content, diags := body.Content(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
		{Type: "variables"}, {Type: "variable", LabelNames: []string{"name"}}, {Type: "locals"},
		{Type: "job", LabelNames: []string{"name"}},
	}})
	if diags.HasErrors() {
		return nil, diags
	}
	diags = append(diags, p.declareVariables(content)...)
	diags = append(diags, p.assignVariables(values)...)
	if diags.HasErrors() {
		return nil, diags
	}
	diags = append(diags, p.checkVariables()...)
	if diags.HasErrors() {
		return nil, diags
	}
	if diags = append(diags, p.evaluateLocals(content)...); diags.HasErrors() {
		return nil, diags
	}
	var found *hcl.Block
	for _, b := range content.Blocks {
		if b.Type != "job" {
			continue
		}
		if found != nil {
			return nil, hcl.Diagnostics{{
				Severity: hcl.DiagError, Summary: "Duplicate job block", Subject: &b.DefRange,
				Detail: fmt.Sprintf("Only one block of type %q is allowed. Previous definition was at %s.", b.Type, found.DefRange),
			}}
		}
		found = b
	}
	if found == nil {
		return nil, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Missing job block", Detail: "A job block is required"}}
	}
	return p.decodeJob(found)
}

// jobExtras are blocks that a job's or a group's body may hold for its tasks.
type jobExtras struct {
	Vault *api.Vault  `hcl:"vault,block"`
	Tasks []*api.Task `hcl:"task,block"`
}

func (p *jobParser) decodeJob(b *hcl.Block) (*api.Job, hcl.Diagnostics) {
	ctx := p.evalContext()
	body := dynblock.Expand(b.Body, ctx)
	job := &api.Job{}
	extras, rest, diags := p.decodeExtras(body, ctx)
	diags = append(diags, p.decodeStruct(rest, ctx, job)...)
	if diags.HasErrors() {
		return nil, diags
	}
	normalizeJob(job, b.Labels[0], extras)
	return job, diags
}

func (p *jobParser) decodeExtras(body hcl.Body, ctx *hcl.EvalContext) (jobExtras, hcl.Body, hcl.Diagnostics) {
	var x jobExtras
	content, rest, diags := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
		{Type: "vault"}, {Type: "task", LabelNames: []string{"name"}},
	}})
	for _, b := range content.Blocks {
		switch b.Type {
		case "vault":
			x.Vault = &api.Vault{}
			diags = append(diags, p.decodeStruct(b.Body, ctx, x.Vault)...)
		case "task":
			t := &api.Task{Name: b.Labels[0]}
			diags = append(diags, p.decodeStruct(b.Body, ctx, t)...)
			x.Tasks = append(x.Tasks, t)
		}
	}
	return x, rest, diags
}

// normalizeJob fills in what the file leaves to the parser: names, the group
// of a task that stands alone, static ports, template defaults.
func normalizeJob(job *api.Job, label string, extras jobExtras) {
	if job.Name == nil {
		job.Name = &label
	}
	if job.ID == nil {
		job.ID = &label
	}
	if job.Periodic != nil && (job.Periodic.Spec != nil || job.Periodic.Specs != nil) {
		job.Periodic.SpecType = new("cron")
	}
	var alone []*api.TaskGroup
	for _, t := range extras.Tasks {
		alone = append(alone, &api.TaskGroup{Name: new(t.Name), Tasks: []*api.Task{t}})
	}
	job.TaskGroups = append(alone, job.TaskGroups...)
	normalizeVault(extras.Vault)
	for _, tg := range job.TaskGroups {
		splitPorts(tg.Networks)
		for _, t := range tg.Tasks {
			if t.Vault == nil {
				t.Vault = extras.Vault
			}
			normalizeVault(t.Vault)
			normalizeIdentities(t)
			if t.Resources != nil {
				splitPorts(t.Resources.Networks)
			}
			for _, tmpl := range t.Templates {
				normalizeTemplate(tmpl)
			}
		}
	}
}

// splitPorts moves ports with a number to the reserved ones.
func splitPorts(nets []*api.NetworkResource) {
	for _, n := range nets {
		var dynamic, reserved []api.Port
		for _, p := range n.DynamicPorts {
			if p.Value > 0 {
				reserved = append(reserved, p)
			} else {
				dynamic = append(dynamic, p)
			}
		}
		if len(n.DynamicPorts) > 0 {
			n.DynamicPorts, n.ReservedPorts = dynamic, reserved
		}
	}
}

// normalizeIdentities moves the identity without a name of its own to where Nomad has the default one.
func normalizeIdentities(t *api.Task) {
	i := slices.IndexFunc(t.Identities, func(id *api.WorkloadIdentity) bool { return id.Name == "" || id.Name == "default" })
	if i >= 0 {
		t.Identity = t.Identities[i]
		t.Identities = slices.Delete(t.Identities, i, i+1)
	}
}

func normalizeVault(v *api.Vault) {
	if v == nil {
		return
	}
	if v.Env == nil {
		v.Env = new(true)
	}
	if v.DisableFile == nil {
		v.DisableFile = new(false)
	}
	if v.ChangeMode == nil {
		v.ChangeMode = new("restart")
	}
}

func normalizeTemplate(t *api.Template) {
	if t.ChangeMode == nil {
		t.ChangeMode = new("restart")
	}
	if t.Perms == nil {
		t.Perms = new("0644")
	}
	if t.Splay == nil {
		t.Splay = new(5 * time.Second)
	}
	if t.ErrMissingKey == nil {
		t.ErrMissingKey = new(false)
	}
}

// keepReferences replaces references to the node inside templates by their
// own text. Evaluating them as values, as [jobParser.value] does with the
// others, fails where one is the beginning of another: ${attr.cpu} next to
// ${attr.cpu.arch}.
func (p *jobParser) keepReferences(body *hclsyntax.Body) {
	names := map[string]bool{"var": true, "local": true}
	_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
		collectScope(n, names)
		return nil
	})
	keep := func(e hclsyntax.Expression) hclsyntax.Expression {
		t, ok := e.(*hclsyntax.ScopeTraversalExpr)
		if !ok || names[t.Traversal.RootName()] {
			return e
		}
		return &hclsyntax.LiteralValueExpr{Val: cty.StringVal(p.sourceOf(t.Traversal)), SrcRange: t.SrcRange}
	}
	_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
		switch e := n.(type) {
		case *hclsyntax.TemplateExpr:
			for i, part := range e.Parts {
				e.Parts[i] = keep(part)
			}
		case *hclsyntax.TemplateWrapExpr:
			e.Wrapped = keep(e.Wrapped)
		}
		return nil
	})
}

// collectScope notes the names that a node brings into scope somewhere: the
// iterators of dynamic blocks, the variables of for expressions.
func collectScope(n hclsyntax.Node, names map[string]bool) {
	switch e := n.(type) {
	case *hclsyntax.ForExpr:
		names[e.KeyVar], names[e.ValVar] = true, true
	case *hclsyntax.Block:
		if e.Type != "dynamic" || len(e.Labels) != 1 {
			return
		}
		names[e.Labels[0]] = true
		if a := e.Body.Attributes["iterator"]; a != nil {
			if t, ok := a.Expr.(*hclsyntax.ScopeTraversalExpr); ok {
				names[t.Traversal.RootName()] = true
			}
		}
	}
}
