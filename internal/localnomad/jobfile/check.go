package jobfile

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/nomad/api"
	"golang.org/x/sys/unix"
)

const (
	// MinPriority is the least priority of a job.
	MinPriority = 1
	// MaxPriority is the greatest priority of a job.
	MaxPriority = 100

	defaultPriority = 50
	minMemoryMiB    = 10 // of a task
	// maxCount is the most allocations that a job may ask for (the default of Nomad's job_max_count): a job of a billion would
	// fill the memory before it turned out not to fit.
	maxCount = 50_000
)

// needsVault is the constraint that Nomad gives to groups whose tasks log in to Vault. No node of this agent meets it.
var needsVault = api.Constraint{LTarget: "${attr.vault.version}", RTarget: ">= 0.6.1", Operand: api.ConstraintSemver}

// NullError says where a job holds null instead of an object.
type NullError string

func (e NullError) Error() string { return string(e) + " is null" }

// Prepare fills in a job's defaults and refuses one that could not run as it says, with every reason. It returns what of the
// job has no effect here.
func Prepare(job *api.Job, namespace, region string) (warnings []string, err error) {
	if path := nullIn(reflect.ValueOf(job), "Job"); path != "" {
		return nil, NullError(path)
	}
	var p problems
	warnings = p.unsupported(reflect.ValueOf(job), "")
	namespace = cmp.Or(namespace, deref(job.Namespace), api.DefaultNamespace)
	if namespace == api.AllNamespacesNamespace {
		namespace = api.DefaultNamespace
	}
	job.Namespace = &namespace
	job.Canonicalize()
	job.NodePool = new(cmp.Or(*job.NodePool, "default"))
	job.Priority = new(cmp.Or(*job.Priority, defaultPriority))
	job.Region = new(cmp.Or(*job.Region, region))
	if len(job.Datacenters) == 0 {
		job.Datacenters = []string{"*"}
	}
	for _, tg := range job.TaskGroups {
		tg.Constraints = slices.DeleteFunc(tg.Constraints, func(c *api.Constraint) bool { return *c == needsVault })
	}
	p.job(job)
	for _, tg := range job.TaskGroups {
		if slices.ContainsFunc(tg.Tasks, func(t *api.Task) bool { return t.Vault != nil }) {
			tg.Constraints = append(tg.Constraints, new(needsVault))
		}
		for _, t := range tg.Tasks {
			if t.Driver == "exec" {
				warnings = append(warnings, fmt.Sprintf("group %q: task %q: driver exec runs without isolation on the embedded agent, as raw_exec does", *tg.Name, t.Name))
			}
		}
	}
	if *job.Region != region {
		p.add("job %q is in nonexistent region %q", *job.ID, *job.Region)
	}
	if pool := *job.NodePool; pool != "default" && pool != "all" {
		p.add("job %q is in nonexistent node pool %q", *job.ID, pool)
	}
	if namespace != api.DefaultNamespace {
		p.add("job %q is in nonexistent namespace %q", *job.ID, namespace)
	}
	return warnings, p.err()
}

// nullIn returns where a list or a map holds null instead of an object, or "". Everything behind it, package api included,
// takes them for granted.
func nullIn(v reflect.Value, path string) string {
	inner := func(v reflect.Value, path string) string {
		if v.Kind() == reflect.Pointer && v.IsNil() {
			return path
		}
		return nullIn(v, path)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return nullIn(v.Elem(), path)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				if bad := nullIn(v.Field(i), path+"."+f.Name); bad != "" {
					return bad
				}
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if bad := inner(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); bad != "" {
				return bad
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if bad := inner(v.MapIndex(k), fmt.Sprintf("%s[%v]", path, k)); bad != "" {
				return bad
			}
		}
	}
	return ""
}

// problems collects what is wrong with a job and prints it as Nomad does.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

// within adds what check finds as one problem.
func (p *problems) within(what string, check func(inner *problems)) {
	var inner problems
	check(&inner)
	if err := inner.err(); err != nil {
		p.add("%s: %v", what, err)
	}
}

func (p *problems) err() error {
	switch n := len(*p); n {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("1 error occurred:\n\t* %s\n\n", (*p)[0]) // Nomad's text
	default:
		return fmt.Errorf("%d errors occurred:\n\t* %s\n\n", n, strings.Join(*p, "\n\t* ")) // Nomad's text
	}
}

func (p *problems) job(job *api.Job) {
	switch id := *job.ID; {
	case id == "":
		p.add("Missing job ID")
	case strings.ContainsAny(id, " \x00"):
		p.add("Job ID contains a space or a null character")
	}
	switch *job.Type {
	case api.JobTypeBatch:
	case api.JobTypeService, api.JobTypeSystem, api.JobTypeSysbatch:
		p.add("Job type %q is not supported by the embedded agent", *job.Type)
	default:
		p.add("Invalid job type: %q", *job.Type)
	}
	p.constraints(job.Constraints)
	if len(job.TaskGroups) == 0 {
		p.add("Missing job task groups")
	}
	total, names := 0, map[string]bool{}
	for _, tg := range job.TaskGroups {
		if total <= maxCount { // counts beyond it cannot overflow the sum
			total += max(*tg.Count, 0)
		}
		if names[*tg.Name] {
			p.add("Job task group redefines '%s'", *tg.Name)
		}
		names[*tg.Name] = true
		p.within("Task group "+*tg.Name+" validation failed", func(p *problems) { p.group(tg) })
	}
	if total > maxCount {
		p.add("total count was greater than configured job_max_count: %d > %d", total, maxCount)
	}
	if pj := job.ParameterizedJob; pj != nil {
		p.parameterized(pj)
	}
	if *job.Priority < MinPriority || *job.Priority > MaxPriority {
		p.add("job priority must be between [%d, %d]", MinPriority, MaxPriority)
	}
}

func (p *problems) parameterized(pj *api.ParameterizedJobConfig) {
	if !slices.Contains([]string{"optional", "required", "forbidden"}, pj.Payload) {
		p.add("Unknown payload requirement: %q", pj.Payload)
	}
	for _, k := range pj.MetaRequired {
		if slices.Contains(pj.MetaOptional, k) {
			p.add("Required and optional meta keys should be disjoint. Following keys exist in both: [%s]", k)
		}
	}
}

func (p *problems) group(tg *api.TaskGroup) {
	if *tg.Name == "" {
		p.add("Missing task group name")
	}
	if *tg.Count < 0 {
		p.add("Task group count can't be negative")
	}
	if len(tg.Tasks) == 0 {
		p.add("Missing tasks for task group")
	}
	p.constraints(tg.Constraints)
	p.services(tg.Services)
	p.networks(tg.Networks)
	names, leaders := map[string]bool{}, 0
	for _, t := range tg.Tasks {
		if names[t.Name] {
			p.add("Task redefines '%s'", t.Name)
		}
		names[t.Name] = true
		for _, m := range t.VolumeMounts {
			if tg.Volumes[deref(m.Volume)] == nil {
				p.add("Task %s has a volume mount for nonexistent volume %s", t.Name, deref(m.Volume))
			}
		}
		if t.Leader {
			leaders++
		}
		p.within("Task "+t.Name+" validation failed", func(p *problems) { p.task(t) })
	}
	if leaders > 1 {
		p.add("Only one task may be marked as leader")
	}
}

func (p *problems) task(t *api.Task) {
	switch {
	case t.Name == "":
		p.add("Missing task name")
	case strings.ContainsAny(t.Name, "/\\\x00"):
		p.add("Task name cannot include slashes or null characters")
	case t.Name == "." || t.Name == ".." || t.Name == "alloc":
		p.add("Task name cannot be %q", t.Name)
	}
	if t.Driver == "" {
		p.add("Missing task driver")
	}
	if t.Identity != nil {
		p.add("identity is not supported by the embedded agent")
	}
	if t.Driver == "raw_exec" || t.Driver == "exec" { // the nodes have no other
		for _, name := range slices.Sorted(maps.Keys(t.Config)) {
			if !slices.Contains([]string{"command", "args", "work_dir"}, name) {
				p.add("config: %s is not supported by the embedded agent", name)
			}
		}
	}
	if mode := deref(t.RestartPolicy.Mode); mode != "fail" && mode != "delay" {
		p.add("Unsupported restart mode: %q", mode)
	}
	if t.KillSignal != "" && unix.SignalNum("SIG"+strings.TrimPrefix(strings.ToUpper(t.KillSignal), "SIG")) == 0 {
		p.add("kill_signal %q is no signal", t.KillSignal)
	}
	p.resources(t.Resources)
	p.constraints(t.Constraints)
	p.services(t.Services)
	for i, tmpl := range t.Templates {
		p.within(fmt.Sprintf("Template %d validation failed", i+1), func(p *problems) { p.template(tmpl) })
	}
	if d := t.DispatchPayload; d != nil && !filepath.IsLocal(filepath.Join(".", d.File)) {
		p.add("Dispatch Payload validation failed: destination escapes allocation directory")
	}
}

func (p *problems) template(t *api.Template) {
	if dest := deref(t.DestPath); dest == "" || !filepath.IsLocal(filepath.Join("task", dest)) {
		p.add("must have a destination, and it must not be one that escapes allocation directory")
	}
	if !slices.Contains([]string{"noop", "restart"}, deref(t.ChangeMode)) {
		p.add("change_mode %q is not supported by the embedded agent; use noop or restart", deref(t.ChangeMode))
	}
}

func (p *problems) services(services []*api.Service) {
	for _, s := range services {
		if s.Provider != "nomad" {
			p.add("service %q: provider %q is not supported by the embedded agent; use nomad", s.Name, s.Provider)
		}
		if s.AddressMode != "auto" && s.AddressMode != "host" {
			p.add("service %q: address_mode %q is not supported by the embedded agent; use host", s.Name, s.AddressMode)
		}
	}
}

func (p *problems) networks(networks []*api.NetworkResource) {
	if len(networks) > 1 {
		p.add("Only one network block is supported")
	}
	for _, n := range networks {
		for _, port := range slices.Concat(n.ReservedPorts, n.DynamicPorts) {
			if port.HostNetwork != "" && port.HostNetwork != "default" {
				p.add("port %q: host_network %q is not supported by the embedded agent", port.Label, port.HostNetwork)
			}
		}
	}
}

func (p *problems) resources(r *api.Resources) {
	if r == nil {
		p.add("Missing task resources")
		return
	}
	if c := deref(r.CPU); c < 1 {
		p.add("minimum CPU value is 1; got %d", c)
	}
	if m := deref(r.MemoryMB); m < minMemoryMiB {
		p.add("minimum MemoryMB value is %d; got %d", minMemoryMiB, m)
	}
	for i, d := range r.Devices {
		if d.Name == "" {
			p.add("device %d: name must be given as one of the following: type, vendor/type, or vendor/type/name", i+1)
		}
		p.constraints(d.Constraints)
	}
}

func (p *problems) constraints(constraints []*api.Constraint) {
	for i, c := range constraints {
		if why := constraintProblem(c); why != "" {
			p.add("Constraint %d validation failed: %s", i+1, why)
		}
	}
}

// constraintProblem refuses operators that do not exist and right sides that they cannot use.
func constraintProblem(c *api.Constraint) string {
	if c.LTarget == "" && c.Operand != api.ConstraintDistinctHosts {
		return "no attribute provided but is required by operator"
	}
	switch c.Operand {
	case api.ConstraintDistinctHosts:
	case api.ConstraintRegex:
		if _, err := regexp.Compile(c.RTarget); err != nil {
			return "Regular expression failed to compile: " + err.Error()
		}
	case api.ConstraintVersion:
		if _, err := version.NewConstraint(c.RTarget); err != nil {
			return "Version constraint is invalid: " + err.Error()
		}
	case api.ConstraintAttributeIsSet, api.ConstraintAttributeIsNotSet:
		if c.RTarget != "" {
			return fmt.Sprintf("Operator %q does not support an RTarget", c.Operand)
		}
	case "=", "==", "is", "!=", "not", "<", "<=", ">", ">=":
		if c.RTarget == "" {
			return fmt.Sprintf("Operator %q requires an RTarget", c.Operand)
		}
	case api.ConstraintDistinctProperty, api.ConstraintSemver, api.ConstraintSetContains, api.ConstraintSetContainsAll, api.ConstraintSetContainsAny:
		return c.Operand + " is not supported by the embedded agent"
	default:
		return fmt.Sprintf("Unknown constraint type %q", c.Operand)
	}
	return ""
}

// deref returns the value that a pointer holds, or the zero value.
func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
