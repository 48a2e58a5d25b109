package jobfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

const (
	// fileName stands for the job file in messages, as on a real agent.
	fileName = "input.hcl"
	// maxSource bounds the job file and the text of variables, in bytes: the most that a real agent keeps of a job's source
	// unless told otherwise (server.job_max_source_size, "1M").
	maxSource = 1_000_000
)

// Parse turns a job file and the text of a variables file into a job. The error names what is wrong and where.
func Parse(src, vars string) (job *api.Job, err error) {
	if max(len(src), len(vars)) > maxSource {
		return nil, fmt.Errorf("the job file or its variables have more than %d bytes", maxSource)
	}
	defer func() {
		if p := recover(); p != nil { // one file must not end the console
			job, err = nil, fmt.Errorf("the job file cannot be read: %v", p)
		}
	}()
	file, diags := hclsyntax.ParseConfig([]byte(src), fileName, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diags
	}
	values, diags := hclsyntax.ParseConfig([]byte(vars), fileName, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, fmt.Errorf("unable to parse var content: %w", diags)
	}
	p := &parser{
		src: []byte(src), variables: map[string]*variable{}, locals: map[string]cty.Value{}, references: map[string]cty.Value{},
		bodies: map[hcl.Range]*hclsyntax.Body{}, functions: functions(),
	}
	body := file.Body.(*hclsyntax.Body) //nolint:forcetypeassert // what ParseConfig makes
	p.indexBodies(body)
	for _, b := range body.Blocks {
		if b.Type == "job" || b.Type == "locals" {
			_ = hclsyntax.Walk(b, &keeper{p: p, names: []string{"var", "local"}}) // has no problems
		}
	}
	job, diags = p.parse(body, values.Body)
	if diags.HasErrors() {
		var lines []string
		for _, d := range diags {
			if d.Severity == hcl.DiagError {
				lines = append(lines, d.Error())
			}
		}
		return nil, errors.New(strings.Join(lines, "\n"))
	}
	return job, nil
}

// parser holds what one job file declares.
type parser struct {
	src        []byte
	variables  map[string]*variable
	locals     map[string]cty.Value
	references map[string]cty.Value          // to the node, by their text
	bodies     map[hcl.Range]*hclsyntax.Body // those of the file by where they end
	functions  map[string]function.Function
}

// wrong is one error, at a place in the file.
func wrong(at hcl.Range, summary, format string, args ...any) hcl.Diagnostics {
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: &at}}
}

func (p *parser) parse(body, values hcl.Body) (*api.Job, hcl.Diagnostics) {
	content, diags := body.Content(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
		{Type: "variables"}, {Type: "variable", LabelNames: []string{"name"}}, {Type: "locals"},
		{Type: "job", LabelNames: []string{"name"}},
	}})
	for _, step := range []func() hcl.Diagnostics{
		func() hcl.Diagnostics { return p.declareVariables(content) },
		func() hcl.Diagnostics { return p.assignVariables(values) },
		p.checkVariables,
		func() hcl.Diagnostics { return p.evaluateLocals(content) },
	} {
		if diags.HasErrors() {
			return nil, diags
		}
		diags = append(diags, step()...)
	}
	if diags.HasErrors() {
		return nil, diags
	}
	jobs := slices.DeleteFunc(slices.Clone(content.Blocks), func(b *hcl.Block) bool { return b.Type != "job" })
	switch len(jobs) {
	case 0:
		return nil, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Missing job block", Detail: "A job block is required"}}
	case 1:
		return p.decodeJob(jobs[0])
	}
	return nil, wrong(jobs[1].DefRange, "Duplicate job block", `Only one block of type "job" is allowed. Previous definition was at %s.`, jobs[0].DefRange)
}

func (p *parser) decodeJob(b *hcl.Block) (*api.Job, hcl.Diagnostics) {
	ctx := p.evalContext()
	content, rest, diags := dynblock.Expand(b.Body, ctx).PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
		{Type: "vault"}, {Type: "task", LabelNames: []string{"name"}},
	}})
	job := &api.Job{}
	diags = append(diags, p.decodeStruct(rest, ctx, job)...)
	// What a job's body may hold for its tasks, and tasks that stand alone.
	var vault *api.Vault
	var alone []*api.TaskGroup
	for _, inner := range content.Blocks {
		if inner.Type == "vault" {
			vault = &api.Vault{}
			diags = append(diags, p.decodeStruct(inner.Body, ctx, vault)...)
			continue
		}
		t := &api.Task{Name: inner.Labels[0]}
		diags = append(diags, p.decodeStruct(inner.Body, ctx, t)...)
		alone = append(alone, &api.TaskGroup{Name: new(t.Name), Tasks: []*api.Task{t}})
	}
	if diags.HasErrors() {
		return nil, diags
	}
	job.TaskGroups = append(alone, job.TaskGroups...)
	normalize(job, b.Labels[0], vault)
	return job, diags
}

// normalize fills in what the file leaves to the parser: names, static ports, template defaults.
func normalize(job *api.Job, label string, vault *api.Vault) {
	unset(&job.Name, label)
	unset(&job.ID, label)
	for _, tg := range job.TaskGroups {
		splitPorts(tg.Networks)
		for _, t := range tg.Tasks {
			if t.Vault == nil {
				t.Vault = vault
			}
			if v := t.Vault; v != nil {
				unset(&v.Env, true)
				unset(&v.DisableFile, false)
				unset(&v.ChangeMode, "restart")
			}
			// The identity without a name of its own is where Nomad has the default one.
			if i := slices.IndexFunc(t.Identities, func(id *api.WorkloadIdentity) bool { return id.Name == "" || id.Name == "default" }); i >= 0 {
				t.Identity = t.Identities[i]
				t.Identities = slices.Delete(t.Identities, i, i+1)
			}
			if t.Resources != nil {
				splitPorts(t.Resources.Networks)
			}
			for _, tmpl := range t.Templates {
				unset(&tmpl.ChangeMode, "restart")
				unset(&tmpl.Perms, "0644")
				unset(&tmpl.Splay, 5*time.Second)
				unset(&tmpl.ErrMissingKey, false)
			}
		}
	}
}

// unset gives a field its default.
func unset[T any](field **T, otherwise T) {
	if *field == nil {
		*field = &otherwise
	}
}

// splitPorts moves ports with a number to the reserved ones.
func splitPorts(nets []*api.NetworkResource) {
	for _, n := range nets {
		var dynamic []api.Port
		for _, p := range n.DynamicPorts {
			if p.Value > 0 {
				n.ReservedPorts = append(n.ReservedPorts, p)
			} else {
				dynamic = append(dynamic, p)
			}
		}
		n.DynamicPorts = dynamic
	}
}
