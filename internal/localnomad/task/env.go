package task

import (
	"maps"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// environment is a task's environment, and what ${...} in its configuration stands for.
type environment struct {
	node map[string]string // node.*, attr.*, meta.*

	mu  sync.RWMutex // templates add to env while the task runs
	env map[string]string
}

// get returns a variable of the environment.
func (e *environment) get(name string) (string, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	v, ok := e.env[name]
	return v, ok
}

// add puts more variables in, over those that are there.
func (e *environment) add(more map[string]string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.Copy(e.env, more)
}

// hostEnvDenied are variables of the agent that tasks do not inherit: its own
// secrets, as Nomad's env.denylist, and what would confuse the task.
func hostEnvDenied(name string) bool {
	switch name {
	case "CONSUL_TOKEN", "CONSUL_HTTP_TOKEN", "CONSUL_HTTP_TOKEN_FILE", "NOMAD_TOKEN", "VAULT_TOKEN", "VAULT_SECRET_ID",
		"CONSUL_VAULT_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"GOOGLE_APPLICATION_CREDENTIALS", "PGPASSWORD", "PGPASSFILE", "PGSSLPASSWORD", "PGSSLKEY", "PGSERVICE", "PGSERVICEFILE", "NOTIFY_SOCKET", "JOURNAL_STREAM", "INVOCATION_ID", "PWD", "OLDPWD":
		return true
	}
	// The console's own settings are none of a task's business; those of the reference trainer are there to be inherited.
	return strings.HasPrefix(name, "NOMAD_") || (strings.HasPrefix(name, "COTRAIN_") && !strings.HasPrefix(name, "COTRAIN_TRAINER_"))
}

// environment builds that of one task, or of the group with a nil task.
func (r *allocRunner) environment(task *api.Task) *environment {
	a, n, job := r.alloc, r.node, r.alloc.Job
	e := &environment{env: map[string]string{}, node: state.NodeVars(n)}
	set := func(name, value string) {
		if value != "" {
			e.env[name] = value
		}
	}
	set("NOMAD_ALLOC_ID", a.ID)
	set("NOMAD_SHORT_ALLOC_ID", a.ID[:8])
	set("NOMAD_ALLOC_NAME", a.Name)
	set("NOMAD_ALLOC_INDEX", strconv.Itoa(state.AllocIndex(a.Name)))
	set("NOMAD_GROUP_NAME", a.TaskGroup)
	set("NOMAD_JOB_ID", *job.ID)
	set("NOMAD_JOB_NAME", *job.Name)
	set("NOMAD_JOB_PARENT_ID", *job.ParentID)
	set("NOMAD_DC", n.Datacenter)
	set("NOMAD_NAMESPACE", a.Namespace)
	set("NOMAD_REGION", r.rs.Region)
	set("NOMAD_ALLOC_DIR", r.dir.shared())
	for _, p := range a.AllocatedResources.Shared.Ports {
		e.addPort(p)
	}
	e.addMeta(job, r.group, task)
	if task == nil {
		return e
	}
	set("NOMAD_TASK_NAME", task.Name)
	set("NOMAD_TASK_DIR", r.dir.Local(task.Name))
	set("NOMAD_SECRETS_DIR", r.dir.Secrets(task.Name))
	if res := a.AllocatedResources.Tasks[task.Name]; res != nil {
		set("NOMAD_CPU_LIMIT", strconv.FormatInt(res.Cpu.CpuShares, 10))
		set("NOMAD_MEMORY_LIMIT", strconv.FormatInt(res.Memory.MemoryMB, 10))
		e.addDevices(res.Devices)
	}
	for _, kv := range os.Environ() {
		k, v, _ := strings.Cut(kv, "=")
		if _, ok := e.env[k]; !ok && !hostEnvDenied(k) {
			e.env[k] = v
		}
	}
	own := make(map[string]string, len(task.Env))
	for k, v := range task.Env {
		own[k] = e.replace(v)
	}
	maps.Copy(e.env, own)
	return e
}

func (e *environment) addPort(p api.PortMapping) {
	label, port := cleanName(p.Label), strconv.Itoa(p.Value)
	inner := port
	if p.To > 0 {
		inner = strconv.Itoa(p.To)
	}
	addr := net.JoinHostPort(p.HostIP, port)
	e.env["NOMAD_ADDR_"+label], e.env["NOMAD_HOST_ADDR_"+label] = addr, addr
	e.env["NOMAD_IP_"+label], e.env["NOMAD_HOST_IP_"+label] = p.HostIP, p.HostIP
	e.env["NOMAD_PORT_"+label], e.env["NOMAD_ALLOC_PORT_"+label] = inner, inner
	e.env["NOMAD_HOST_PORT_"+label] = port
}

// addMeta adds the meta of the job, the group and the task, each over the
// one before, under the key as it is and in upper case.
func (e *environment) addMeta(job *api.Job, group *api.TaskGroup, task *api.Task) {
	meta := map[string]string{}
	if job.Dispatched && job.ParameterizedJob != nil {
		for _, k := range job.ParameterizedJob.MetaOptional {
			meta[k] = ""
		}
	}
	maps.Copy(meta, job.Meta)
	maps.Copy(meta, group.Meta)
	if task != nil {
		maps.Copy(meta, task.Meta)
	}
	for k, v := range meta {
		v = e.replace(v)
		e.env[cleanName("NOMAD_META_"+strings.ToUpper(k))] = v
		e.env[cleanName("NOMAD_META_"+k)] = v
	}
}

// addDevices tells the task its GPUs, as Nomad's NVIDIA plugin does, and CUDA itself: nothing else keeps a process away from
// the GPUs of others. Simulated ones are none that CUDA knows.
func (e *environment) addDevices(devices []*api.AllocatedDeviceResource) {
	var all, real []string
	for _, d := range devices {
		if d.Type == "gpu" {
			all = append(all, d.DeviceIDs...)
		}
		if d.Type == "gpu" && d.Vendor == "nvidia" {
			real = append(real, d.DeviceIDs...)
		}
	}
	if len(all) > 0 {
		e.env["NVIDIA_VISIBLE_DEVICES"] = strings.Join(all, ",")
	}
	if len(real) > 0 {
		e.env["CUDA_VISIBLE_DEVICES"] = strings.Join(real, ",")
	}
}

// cleanName replaces what a shell does not take in a variable's name.
func cleanName(name string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' {
			return c
		}
		return '_'
	}, name)
}

var reference = regexp.MustCompile(`\$\{[a-zA-Z0-9_\-.]+\}`)

// replace puts in what ${name} stands for. Unknown names stay as they are.
func (e *environment) replace(text string) string {
	if !strings.Contains(text, "${") {
		return text
	}
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		name := ref[2 : len(ref)-1]
		if v, ok := e.node[name]; ok {
			return v
		}
		if v, ok := e.get(name); ok {
			return v
		}
		return ref
	})
}

// list returns the environment as a process takes it, in order.
func (e *environment) list() []string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	out := make([]string, 0, len(e.env))
	for _, k := range state.Keys(e.env, "") {
		out = append(out, k+"="+e.env[k])
	}
	return out
}
