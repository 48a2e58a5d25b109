package nomad

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/jobs"
)

// JobSettings are a site's variables of the job file; zero means the file's default.
type JobSettings struct {
	File         string // HCL path, may change at any time; "" is the embedded jobs/cotrain-core.nomad.hcl
	LaunchScript string // "" is the embedded jobs/launch.sh
	Shim         string // "" is the embedded jobs/shim/wandb/__init__.py

	Driver      string   // raw_exec, exec, docker, podman
	Image       string   // docker and podman
	Volumes     []string // docker and podman: host:container[:ro]
	ShmMB       int      // docker: shared memory, MiB
	Command     []string // executed before @config.toml; empty is torchrun with Trainer
	Trainer     string   // Python file for torchrun
	WorkDir     string   // its folder; it starts there unless there is Storage
	Interface   string   // between workers
	NodePool    string
	Datacenters []string
	Priority    int
	Env         map[string]string
	// Storage is the shared folder as the trainer sees it, "" for none; containers mount it at the same path. With
	// StorageVolume it is that Nomad host volume, and workers only run where it exists.
	Storage       string
	StorageVolume string

	// VaultRole is what the workers of shapes with Vault log in as, "" for the default of their node.
	VaultRole string
	// MeasureCommand runs this program on a node, as a measurement does; empty is cotrain in the PATH. With MeasureImage it is in that
	// image, where Driver runs any.
	MeasureCommand []string
	MeasureImage   string

	KillTimeout       time.Duration // between SIGTERM and SIGKILL
	LostAfter         time.Duration // until an unreachable node's worker is replaced
	RendezvousTimeout time.Duration // wait for worker 0
	LogFiles          int           // per stream
	LogFileMB         int           // size of each, MiB
	Disk              int           // ephemeral disk, MiB
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,127}$`)

// check finds what Nomad would refuse later, or what would break the trainer.
func (j JobSettings) check() error {
	for name := range j.Env {
		if !envName.MatchString(name) {
			return fmt.Errorf("environment variable %q of the job: %w: use letters, digits and _", clean(name), fault.ErrInvalid)
		}
	}
	if (j.Driver == "docker" || j.Driver == "podman") && j.Image == "" {
		return fmt.Errorf("image of the job: %w: driver %s needs one", fault.ErrInvalid, j.Driver)
	}
	if j.Storage != "" && (!strings.HasPrefix(j.Storage, "/") || strings.ContainsAny(j.Storage, ":\n\x00")) {
		return fmt.Errorf("storage of the job, %q: %w: give an absolute path without a colon", clean(j.Storage), fault.ErrInvalid)
	}
	if j.StorageVolume != "" && j.Storage == "" {
		return fmt.Errorf("storage volume of the job, %q: %w: say where the trainer sees it (storage)", clean(j.StorageVolume), fault.ErrInvalid)
	}
	for name, d := range map[string]time.Duration{
		"kill time-out": j.KillTimeout, "lost-after time": j.LostAfter, "rendezvous time-out": j.RendezvousTimeout,
	} {
		if d < 0 {
			return fmt.Errorf("%s of the job, %v: %w: it must not be negative", name, d, fault.ErrInvalid)
		}
	}
	return nil
}

// checkShape refuses an invalid shape, naming the field.
func (c *Client) checkShape(s run.Shape) error {
	switch {
	case s.Nodes < 1:
		return fmt.Errorf("nodes = %d: %w: at least 1", s.Nodes, fault.ErrInvalid)
	case s.GPUs < 0 || s.GPUMinMemory < 0 || s.CPU < 0 || s.Memory < 0:
		return fmt.Errorf("shape %s: %w: no part of it may be negative", s, fault.ErrInvalid)
	case len(s.GPUModel) > 200 || !utf8.ValidString(s.GPUModel):
		return fmt.Errorf("GPU model: %w: at most 200 bytes of text", fault.ErrInvalid)
	case len(s.Site) > 200 || !utf8.ValidString(s.Site):
		return fmt.Errorf("site: %w: at most 200 bytes of text", fault.ErrInvalid)
	case len(s.Avoid.List()) > run.MaxAvoided || len(s.Avoid) > 100*run.MaxAvoided:
		return fmt.Errorf("avoided nodes: %w: at most %d", fault.ErrInvalid, run.MaxAvoided)
	case s.Site != "" && !inDatacenters(c.cfg.Job.Datacenters, s.Site):
		return fmt.Errorf("site %q: %w: workers may run in %s", clean(s.Site), fault.ErrInvalid, strings.Join(c.cfg.Job.Datacenters, ", "))
	}
	return nil
}

// inDatacenters matches globs (* is any characters); none match all.
func inDatacenters(globs []string, datacenter string) bool {
	return len(globs) == 0 || slices.ContainsFunc(globs, func(glob string) bool {
		ok, err := path.Match(glob, datacenter)
		return ok && err == nil
	})
}

// DefaultGPUDevice is the device type for a shape without a full device name.
const DefaultGPUDevice = "gpu"

// gpuDevice splits a shape's GPU model into device and exact model. A name with slashes is a device (nvidia/gpu/A100); a
// bare one is a model of any vendor.
func gpuDevice(model string) (device, exact string) {
	switch {
	case model == "" || model == DefaultGPUDevice:
		return DefaultGPUDevice, ""
	case strings.Contains(model, "/"):
		return model, ""
	}
	return DefaultGPUDevice, model
}

// variables renders a shape's variables file, deterministically.
func (j JobSettings) variables(s run.Shape) string {
	var b strings.Builder
	str := func(name, v string) {
		if v != "" {
			b.WriteString(name + " = " + quote(v) + "\n")
		}
	}
	num := func(name string, v int) {
		if v != 0 {
			b.WriteString(name + " = " + strconv.Itoa(v) + "\n")
		}
	}
	list := func(name string, v []string) {
		if len(v) == 0 {
			return
		}
		quoted := make([]string, len(v))
		for i, e := range v {
			quoted[i] = quote(e)
		}
		b.WriteString(name + " = [" + strings.Join(quoted, ", ") + "]\n")
	}
	dur := func(name string, d time.Duration) {
		if d > 0 {
			str(name, d.String())
		}
	}
	device, model := gpuDevice(s.GPUModel)
	str("job_id", s.ParentJob())
	num("nodes", s.Nodes)
	num("gpus", s.GPUs)
	str("gpu_device", device)
	str("gpu_model", model)
	num("gpu_min_memory", s.GPUMinMemory)
	num("cpu", orDefault(s.CPU, run.DefaultWorkerCPU))
	num("memory", orDefault(s.Memory, run.DefaultWorkerMemory))
	str("driver", j.Driver)
	str("image", j.Image)
	list("volumes", j.Volumes)
	num("shm_mb", j.ShmMB)
	list("command", j.Command)
	str("trainer", j.Trainer)
	str("work_dir", j.WorkDir)
	str("interface", j.Interface)
	if s.Vault {
		b.WriteString("vault = true\n")
		str("vault_role", j.VaultRole)
	}
	str("node_pool", orDefault(s.NodePool, j.NodePool))
	list("datacenters", j.Datacenters)
	str("site", s.Site)
	str("storage", j.Storage)
	str("storage_volume", j.StorageVolume)
	if j.Storage != "" {
		str("storage_folder", s.Folder)
	}
	num("priority", j.Priority)
	dur("kill_timeout", j.KillTimeout)
	dur("lost_after", j.LostAfter)
	num("rendezvous_timeout", int(j.RendezvousTimeout/time.Second))
	num("log_files", j.LogFiles)
	num("log_file_mb", j.LogFileMB)
	num("disk", j.Disk)
	if len(j.Env) > 0 {
		b.WriteString("env = {\n")
		for _, name := range slices.Sorted(maps.Keys(j.Env)) {
			b.WriteString("  " + quote(name) + " = " + quote(j.Env[name]) + "\n")
		}
		b.WriteString("}\n")
	}
	str("launch_script", orDefault(j.LaunchScript, jobs.LaunchScript))
	str("shim", orDefault(j.Shim, jobs.WandbShim))
	return b.String()
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// quote writes s as HCL string. The $ of "${" and % of "%{" become code point escapes, which are never a template.
func quote(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteByte('"')
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case (r == '$' || r == '%') && strings.HasPrefix(s[i+1:], "{"), r < ' ', r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// contentHash identifies a parent's sources.
func contentHash(file, variables string) string {
	h := sha256.New()
	_, _ = h.Write([]byte(file)) // never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(variables))
	return hex.EncodeToString(h.Sum(nil)[:12])
}
