package localnomad

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// minMemoryMiB is the least memory a task may ask for, maxCount the most allocations that a job may (the default of Nomad's
// job_max_count): a job of a billion would fill the memory before it turned out not to fit.
const (
	minMemoryMiB = 10
	maxCount     = 50_000
)

// problems collects what is wrong with a job and prints it as Nomad does.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

func (p *problems) addErr(err error) {
	if err != nil {
		p.add("%v", err)
	}
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	if len(p) == 1 {
		return fmt.Errorf("1 error occurred:\n\t* %s\n\n", p[0]) // Nomad's text
	}
	return fmt.Errorf("%d errors occurred:\n\t* %s\n\n", len(p), strings.Join(p, "\n\t* ")) // Nomad's text
}

// validateJob refuses a job that could never run. The job is canonical.
func validateJob(job *api.Job) error {
	var p problems
	switch id := *job.ID; {
	case id == "":
		p.add("Missing job ID")
	case strings.Contains(id, " "):
		p.add("Job ID contains a space")
	case strings.Contains(id, "\x00"):
		p.add("Job ID contains a null character")
	}
	if *job.Name == "" {
		p.add("Missing job name")
	}
	switch *job.Type {
	case api.JobTypeService, api.JobTypeBatch:
	case api.JobTypeSystem, api.JobTypeSysbatch:
		p.add("Job type %q is not supported by the embedded agent", *job.Type)
	case "":
		p.add("Missing job type")
	default:
		p.add("Invalid job type: %q", *job.Type)
	}
	if slices.Contains(job.Datacenters, "") {
		p.add("Job datacenter must be non-empty string")
	}
	if job.Periodic != nil {
		p.add("Periodic jobs are not supported by the embedded agent")
	}
	checkConstraints(&p, job.Constraints)
	if len(job.TaskGroups) == 0 {
		p.add("Missing job task groups")
	}
	checkGroups(&p, job)
	if pj := job.ParameterizedJob; pj != nil {
		checkParameterized(&p, job, pj)
	}
	if *job.Priority < minPriority || *job.Priority > maxPriority {
		p.add("job priority must be between [%d, %d]", minPriority, maxPriority)
	}
	return p.err()
}

func checkParameterized(p *problems, job *api.Job, pj *api.ParameterizedJobConfig) {
	if *job.Type != api.JobTypeBatch {
		p.add("Parameterized job can only be used with %q or %q scheduler", api.JobTypeBatch, api.JobTypeSysbatch)
	}
	var inner problems
	if !slices.Contains([]string{"optional", "required", "forbidden"}, pj.Payload) {
		inner.add("Unknown payload requirement: %q", pj.Payload)
	}
	var both []string
	for _, k := range pj.MetaRequired {
		if slices.Contains(pj.MetaOptional, k) {
			both = append(both, k)
		}
	}
	if len(both) > 0 {
		inner.add("Required and optional meta keys should be disjoint. Following keys exist in both: %v", both)
	}
	p.addErr(inner.err())
}

func checkGroups(p *problems, job *api.Job) {
	seen := map[string]int{}
	total := 0
	for i, tg := range job.TaskGroups {
		if total <= maxCount { // counts beyond it cannot overflow the sum
			total += max(*tg.Count, 0)
		}
		if *tg.Name == "" {
			p.add("Job task group %d missing name", i+1)
		} else if first, dup := seen[*tg.Name]; dup {
			p.add("Job task group %d redefines '%s' from group %d", i+1, *tg.Name, first+1)
		} else {
			seen[*tg.Name] = i
		}
	}
	if total > maxCount {
		p.add("total count was greater than configured job_max_count: %d > %d", total, maxCount)
	}
	for _, tg := range job.TaskGroups {
		var g problems
		checkGroup(&g, job, tg)
		if err := g.err(); err != nil {
			p.add("Task group %s validation failed: %v", *tg.Name, err)
		}
	}
}

func checkGroup(p *problems, job *api.Job, tg *api.TaskGroup) {
	if *tg.Name == "" {
		p.add("Missing task group name")
	}
	if *tg.Count < 0 {
		p.add("Task group count can't be negative")
	}
	if len(tg.Tasks) == 0 {
		p.add("Missing tasks for task group")
	}
	if d := tg.MaxRunDuration; d != nil {
		if *d <= 0 {
			p.add("MaxRunDuration must be greater than zero")
		}
		if *job.Type != api.JobTypeBatch {
			p.add("Job type %q does not allow max_run_duration", *job.Type)
		}
	}
	checkConstraints(p, tg.Constraints)
	if m := deref(tg.RestartPolicy.Mode); m != "fail" && m != "delay" {
		p.add("Unsupported restart mode: %q", m)
	}
	if tg.Update != nil && *job.Type == api.JobTypeBatch {
		p.add("Job type %q does not allow update block", *job.Type)
	}
	seen := map[string]int{}
	leaders := 0
	for i, t := range tg.Tasks {
		if first, dup := seen[t.Name]; dup && t.Name != "" {
			p.add("Task %d redefines '%s' from task %d", i+1, t.Name, first+1)
		}
		seen[t.Name] = i
		if t.Leader {
			leaders++
		}
	}
	if leaders > 1 {
		p.add("Only one task may be marked as leader")
	}
	if err := checkNetworks(tg); err != nil {
		p.add("Task group network validation failed: %v", err)
	}
	if err := checkServices(tg); err != nil {
		p.add("Task group service validation failed: %v", err)
	}
	for _, t := range tg.Tasks {
		var tp problems
		checkTask(&tp, t)
		if err := tp.err(); err != nil {
			p.add("Task %s validation failed: %v", t.Name, err)
		}
	}
}

func checkNetworks(tg *api.TaskGroup) error {
	var p problems
	labels, static := map[string]bool{}, map[int]string{}
	for _, n := range tg.Networks {
		for _, port := range append(slices.Clone(n.ReservedPorts), n.DynamicPorts...) {
			if port.Label == "" {
				p.add("port label cannot be empty")
			} else if labels[port.Label] {
				p.add("Port label %s already in use", port.Label)
			}
			labels[port.Label] = true
			if port.Value == 0 {
				continue
			}
			if port.Value < 0 || port.Value > 65535 {
				p.add("Port %s (%d) cannot be greater than 65535", port.Label, port.Value)
			}
			if other, taken := static[port.Value]; taken {
				p.add("Static port %d already reserved by %s", port.Value, other)
			}
			static[port.Value] = "taskgroup network:" + port.Label
		}
	}
	return p.err()
}

// serviceName is a DNS label once what is known only on the node is put in.
var serviceLabel = regexp.MustCompile(`^(?i)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func checkServices(tg *api.TaskGroup) error {
	var p problems
	services := slices.Clone(tg.Services)
	for _, t := range tg.Tasks {
		services = append(services, t.Services...)
	}
	for i, svc := range services {
		var sp problems
		if name := reference.ReplaceAllString(svc.Name, "A"); svc.Provider == "nomad" && !serviceLabel.MatchString(name) {
			sp.add("Service name must be valid per RFC 1123 and can contain only alphanumeric characters or dashes and must be no longer than 63 characters: %q", svc.Name)
		}
		if svc.Provider != "nomad" && svc.Provider != "consul" && svc.Provider != "" {
			sp.add("Service %s provider must be %q, or %q", svc.Name, "consul", "nomad")
		}
		if err := sp.err(); err != nil {
			p.add("Service[%d] %s validation failed: %v", i, svc.Name, err)
		}
	}
	return p.err()
}

func checkTask(p *problems, t *api.Task) {
	switch {
	case t.Name == "":
		p.add("Missing task name")
	case t.Name == "alloc":
		p.add(`Task cannot be named "alloc"`)
	case strings.ContainsAny(t.Name, `/\`):
		p.add("Task name cannot include slashes")
	case t.Name == "." || t.Name == "..":
		p.add("Task name cannot be %q", t.Name)
	case strings.Contains(t.Name, "\x00"):
		p.add("Task name cannot include null characters")
	}
	if t.Driver == "" {
		p.add("Missing task driver")
	}
	if deref(t.KillTimeout) < 0 {
		p.add("KillTimeout must be a positive value")
	}
	checkResources(p, t.Resources)
	if c := t.LogConfig; c != nil && (deref(c.MaxFiles) < 1 || deref(c.MaxFileSizeMB) < 1) {
		p.add("minimum number of files is 1 and minimum file size is 1MB; got %d and %d", deref(c.MaxFiles), deref(c.MaxFileSizeMB))
	}
	checkConstraints(p, t.Constraints)
	for i, c := range t.Constraints {
		if c.Operand == api.ConstraintDistinctHosts || c.Operand == api.ConstraintDistinctProperty {
			p.add("Constraint %d has disallowed Operand at task level: %s", i+1, c.Operand)
		}
	}
	dests := map[string]int{}
	for i, tmpl := range t.Templates {
		if err := checkTemplate(tmpl); err != nil {
			p.add("Template %d validation failed: %v", i+1, err)
		}
		if first, dup := dests[deref(tmpl.DestPath)]; dup {
			p.add("Template %d has same destination as %d", i+1, first)
		}
		dests[deref(tmpl.DestPath)] = i + 1
	}
	if d := t.DispatchPayload; d != nil && escapesDir(d.File) {
		p.add("Dispatch Payload validation failed: destination escapes allocation directory")
	}
}

func escapesDir(path string) bool {
	_, err := within("/task/local", path)
	return err != nil
}

func checkTemplate(t *api.Template) error {
	var p problems
	if deref(t.SourcePath) == "" && deref(t.EmbeddedTmpl) == "" {
		p.add("Must specify a source path or have an embedded template")
	}
	dest := deref(t.DestPath)
	if dest == "" {
		p.add("Must specify a destination for the template")
	} else if _, err := within("/alloc", "task/"+dest); err != nil {
		p.add("destination escapes allocation directory")
	}
	switch deref(t.ChangeMode) {
	case changeNoop, changeRestart:
	case changeSignal:
		if deref(t.ChangeSignal) == "" {
			p.add("Must specify signal value when change mode is signal")
		}
		if deref(t.Envvars) {
			p.add("cannot use signals with env var templates")
		}
	default:
		p.add("Invalid change mode. Must be one of the following: noop, signal, script, restart")
	}
	if perms := deref(t.Perms); perms != "" {
		if _, err := strconv.ParseUint(perms, 8, 12); err != nil {
			p.add("Failed to parse %q as octal: %v", perms, err)
		}
	}
	return p.err()
}

func checkResources(p *problems, r *api.Resources) {
	if r == nil {
		p.add("Missing task resources")
		return
	}
	var e, least problems
	if c := deref(r.CPU); c < 1 && deref(r.Cores) == 0 {
		least.add("minimum CPU value is 1; got %d", c)
	}
	if m := deref(r.MemoryMB); m < minMemoryMiB {
		least.add("minimum MemoryMB value is %d; got %d", minMemoryMiB, m)
	}
	e.addErr(least.err())
	if mx := deref(r.MemoryMaxMB); mx > 0 && mx < deref(r.MemoryMB) {
		e.add("MemoryMaxMB value (%d) should be larger than MemoryMB value (%d)", mx, deref(r.MemoryMB))
	}
	for i, d := range r.Devices {
		var dp problems
		if d.Name == "" {
			dp.add("device name must be given as one of the following: type, vendor/type, or vendor/type/name")
		}
		checkConstraints(&dp, d.Constraints)
		if err := dp.err(); err != nil {
			e.add("device %d failed validation: %v", i+1, err)
		}
	}
	p.addErr(e.err())
}
