package cluster

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/nomad"
)

const (
	// oldestNomad is the first version whose API the console speaks.
	oldestNomad = "1.8.0"
	// skewWarn is more than a cluster with NTP has, skewFail what tokens and certificates do not forgive: Vault allows a workload identity a minute.
	skewWarn = time.Second
	skewFail = 30 * time.Second
	// leastLog is the log of one stream that a worker may have while the console is away for a while, MiB.
	leastLog = 50
	// hostsAtOnce bounds the nodes that are asked at the same time.
	hostsAtOnce = 8
	// fullDisk is where Nomad begins to remove the folders of ended allocations by default, in percent.
	fullDisk = 80
)

// NomadFacts tells what servers and nodes are like, and what the job file asks of them.
type NomadFacts interface {
	Members(ctx context.Context) ([]nomad.Member, error)
	Inspect(ctx context.Context) ([]nomad.Inspected, error)
	JobFacts(ctx context.Context) (nomad.JobFacts, error)
	Machines
}

// Machines tells what servers and nodes run on.
type Machines interface {
	Host(ctx context.Context, nodeID string) (nomad.Host, error)
	Gossip(ctx context.Context) (encrypted, known bool)
	Ping(ctx context.Context) (nomad.Info, error)
}

// reachable checks servers and transport, and reports whether there is anything to ask.
func (c *check) reachable(ctx context.Context) bool {
	members, err := c.nomad.Members(ctx)
	if _, pinged := c.nomad.Ping(ctx); pinged != nil && !isDenied(pinged) {
		c.failed("nomad", "servers", pinged, "")
		return false
	}
	switch {
	case err != nil && !isDenied(err):
		c.failed("nomad", "servers", err, "")
		return false
	case err == nil:
		c.members(members)
	}
	switch {
	case c.site.Plain:
		c.add(Warn, "nomad", "tls", "Nomad is reached by plain HTTP: tokens and secrets of runs can be read on the way.", "Set tls { http = true rpc = true ... } on all agents, as in nomad/agent/server.hcl, and NOMAD_ADDR=https://... with NOMAD_CACERT.")
	case c.site.SkipVerify:
		c.add(Warn, "nomad", "tls", "Any certificate is accepted as Nomad's.", "Set nomad.ca_cert (NOMAD_CACERT), and unset nomad.skip_verify (NOMAD_SKIP_VERIFY).")
	}
	if encrypted, known := c.nomad.Gossip(ctx); known && !encrypted {
		c.add(Warn, "nomad", "gossip", "The servers' gossip is not encrypted: who reaches their port can join.", "nomad operator gossip keyring generate, and the key into nomad/agent/gossip.hcl on all servers.")
	}
	return true
}

func (c *check) members(members []nomad.Member) {
	var versions, down []string
	for _, m := range members {
		if !m.Alive {
			down = append(down, m.Name)
			continue
		}
		versions = with(versions, m.Version)
		if older(m.Version, oldestNomad) {
			c.add(Fail, "nomad", "version", m.Name+" is Nomad "+m.Version+".", "Upgrade it to "+oldestNomad+" or newer.")
		}
	}
	switch alive := len(members) - len(down); {
	case len(down) > 0:
		c.add(Warn, "nomad", "servers", strings.Join(down, ", ")+" of "+strconv.Itoa(len(members))+" servers does not work.", "nomad server members; start it again, or nomad operator raft remove-peer.")
	case alive == 1:
		c.add(Warn, "nomad", "servers", "There is one server: when it is away, no run starts or ends.", "Run three or five, with bootstrap_expect of nomad/agent/server.hcl.")
	default:
		c.add(OK, "nomad", "servers", fmt.Sprintf("%d servers with Nomad %s", alive, strings.Join(versions, ", ")), "")
	}
}

// older compares versions by their numbers; what is no version is not old.
func older(version, than string) bool {
	v, t := numbers(version), numbers(than)
	return len(v) == 3 && slices.Compare(v, t) < 0
}

func numbers(version string) []int {
	version, _, _ = strings.Cut(version, "-")
	version, _, _ = strings.Cut(version, "+")
	var out []int
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil
		}
		out = append(out, n)
	}
	return out
}

// nodes checks those that runs may be placed on.
func (c *check) nodes(ctx context.Context) {
	job, err := c.nomad.JobFacts(ctx)
	if err != nil {
		if !isDenied(err) { // that is said about submit-job
			c.failed("nodes", "job file", err, "")
		}
		return
	}
	c.logs(job)
	all, err := c.nomad.Inspect(ctx)
	if err != nil {
		if !isDenied(err) { // that is said about node:read
			c.failed("nodes", "nodes", err, "")
		}
		return
	}
	c.inspected = all
	var fit []nomad.Inspected
	for _, n := range all {
		if n.Status == "ready" && n.Eligible && (n.Pool == job.Pool || job.Pool == "all") && inDatacenters(n.Datacenter, job.Datacenters) {
			fit = append(fit, n)
		}
	}
	if len(fit) == 0 {
		c.add(Fail, "nodes", "nodes", fmt.Sprintf("None of %d nodes is ready for runs: in the pool %s and the datacenters %s, up, and eligible.", len(all), job.Pool, strings.Join(job.Datacenters, ", ")),
			"nomad node status -verbose; job.node_pool (COTRAIN_JOB_NODE_POOL) and job.datacenters say which are meant.")
		return
	}
	good, gpus := 0, 0
	for _, n := range fit {
		before := c.Count(Fail)
		c.node(n, job)
		gpus += n.GPUs
		if c.Count(Fail) == before {
			good++
		}
	}
	c.add(levelIf(good == 0, Fail, OK), "nodes", "nodes", fmt.Sprintf("%d of %d nodes for runs have what jobs ask for (driver %s%s)", good, len(fit), job.Driver, volumesText(job.Volumes)), "")
	if gpus == 0 {
		c.add(Warn, "nodes", "gpus", "No node has a GPU that Nomad knows: runs can only train on CPUs.", "Install NVIDIA's driver and Nomad's device plugin nomad-device-nvidia in plugin_dir, as in nomad/agent/gpu-client.hcl, and restart the agents.")
	} else {
		c.add(OK, "nodes", "gpus", fmt.Sprintf("%d GPUs on %d nodes", gpus, len(fit)), "")
	}
	c.hosts(ctx, fit)
}

func levelIf(bad bool, level, otherwise Level) Level {
	if bad {
		return level
	}
	return otherwise
}

func volumesText(volumes []string) string {
	if len(volumes) == 0 {
		return ""
	}
	return ", volume " + strings.Join(volumes, ", ")
}

func inDatacenters(name string, patterns []string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, name)
		return ok
	})
}

func (c *check) node(n nomad.Inspected, job nomad.JobFacts) {
	about := "node " + n.Name
	if older(n.Version, oldestNomad) {
		c.add(Fail, "nodes", about, "It has Nomad "+n.Version+".", "Upgrade it to "+oldestNomad+" or newer.")
	}
	switch sick, has := n.Drivers[job.Driver]; {
	case !has:
		c.add(Fail, "nodes", about, "It has no driver "+job.Driver+", which jobs ask for.", "Turn it on in the agent's configuration: plugin \""+job.Driver+"\" { config { enabled = true } }, or set job.driver (COTRAIN_JOB_DRIVER) to another.")
	case sick != "":
		c.add(Fail, "nodes", about, "Its driver "+job.Driver+" does not work: "+sick+".", "nomad node status -verbose "+n.ID)
	}
	for _, v := range job.Volumes {
		if readOnly, has := n.Volumes[v]; !has || readOnly {
			what := "It has no host volume " + v + ": runs are never placed there."
			if has {
				what = "Its host volume " + v + " is read-only: runs are never placed there."
			}
			c.add(Fail, "nodes", about, what, "client { host_volume \""+v+"\" { path = \"...\" read_only = false } } in its agent's configuration, and restart it.")
		}
	}
	switch limit, err := time.ParseDuration(n.Meta[nomad.KillLimitMeta]); {
	case err != nil:
		c.add(Warn, "nodes", about, fmt.Sprintf("How long it lets a worker save its last checkpoint is not known: 30 s unless it has max_kill_timeout, and jobs ask for %v.", job.KillTimeout),
			"Set client { max_kill_timeout = \"5m\" } and meta { cotrain_max_kill_timeout = \"5m\" }, as in nomad/agent/gpu-client.hcl.")
	case limit < job.KillTimeout:
		c.add(Fail, "nodes", about, fmt.Sprintf("It cuts the time for a last checkpoint to %v, and jobs ask for %v.", limit, job.KillTimeout), fmt.Sprintf("client { max_kill_timeout = \"%v\" } in its agent's configuration, or job.kill_timeout (COTRAIN_JOB_KILL_TIMEOUT) of at most %v.", job.KillTimeout, limit))
	}
	if n.UnfitGPUs > 0 {
		c.add(Warn, "nodes", about, fmt.Sprintf("%d of its %d GPUs are not healthy.", n.UnfitGPUs, n.UnfitGPUs+n.GPUs), "nvidia-smi on the node says more.")
	}
	if n.GPUs > 0 && job.Driver == "docker" && !strings.Contains(n.Runtimes, "nvidia") {
		c.add(Fail, "nodes", about, "It has GPUs, and docker no runtime nvidia: containers do not see them.", "Install nvidia-container-toolkit, then: nvidia-ctk runtime configure --runtime=docker && systemctl restart docker")
	}
	if !n.TLS && !c.site.Plain {
		c.add(Warn, "nodes", about, "Its API has no TLS.", "tls { http = true rpc = true ... } in its agent's configuration, as in nomad/agent/gpu-client.hcl.")
	}
}

// logs checks that the node keeps enough of a worker's output until it is archived.
func (c *check) logs(job nomad.JobFacts) {
	kept := job.LogFiles * job.LogMB
	switch {
	case job.LogsOff:
		c.add(Fail, "nodes", "logs", "The job file turns logs off: runs show no metrics.", "Take disabled = true out of its logs block.")
	case kept < leastLog:
		c.add(Warn, "nodes", "logs", fmt.Sprintf("Nodes keep %d files of %d MiB of a worker's output: what comes while the console is away, beyond that, is lost.", job.LogFiles, job.LogMB), "Raise log_files or log_file_mb, and disk, in the job file.")
	default:
		c.add(OK, "nodes", "logs", fmt.Sprintf("Nodes keep the last %d MiB of each stream of a worker", kept), "")
	}
}

// hosts looks at the nodes' machines: their disks, and their clocks beside this machine's, as closely as the answers tell.
func (c *check) hosts(ctx context.Context, nodes []nomad.Inspected) {
	hosts := make([]nomad.Host, len(nodes))
	errs := make([]error, len(nodes))
	turns := make(chan struct{}, hostsAtOnce)
	var running sync.WaitGroup
	for i, n := range nodes {
		running.Go(func() {
			turns <- struct{}{}
			hosts[i], errs[i] = c.nomad.Host(ctx, n.ID)
			<-turns
		})
	}
	running.Wait()
	read, bad := 0, 0
	widest := time.Duration(0)
	for i, h := range hosts {
		about := "node " + nodes[i].Name
		if errs[i] != nil {
			c.failed("nodes", about, errs[i], "")
			continue
		}
		if h.DiskUsed > fullDisk {
			c.add(Warn, "nodes", about, fmt.Sprintf("The disk of its allocations is %.0f %% full: above gc_disk_usage_threshold, %d %% unless set, Nomad removes logs before the console has read them.", h.DiskUsed, fullDisk),
				"Make room, give data_dir a disk of its own, or raise the threshold, as in nomad/agent/gpu-client.hcl.")
		}
		if !h.Known {
			continue
		}
		read++
		widest = max(widest, h.Most-h.Least)
		off, word := h.Least, "ahead of"
		if h.Most < 0 {
			off, word = -h.Most, "behind"
		}
		if off <= skewWarn {
			continue
		}
		bad++
		c.add(levelIf(off > skewFail, Fail, Warn), "nodes", about, fmt.Sprintf("Its clock is at least %v %s this machine's: tokens and certificates may not be valid yet, or no more.", off.Round(time.Millisecond), word),
			"timedatectl on both; install chrony or systemd-timesyncd.")
	}
	if bad == 0 && read > 0 {
		c.add(OK, "nodes", "clocks", fmt.Sprintf("%d of %d nodes agree with this machine, known to %v", read, len(nodes), widest.Round(time.Millisecond)), "")
	}
}
