package nomad

import (
	"cmp"
	"context"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/run"
)

const (
	// inspectAtOnce bounds the nodes that are asked at the same time.
	inspectAtOnce = 8
	// clockEvery and clockFor are how a node's clock is read: its statistics are asked for until they change.
	clockEvery = 100 * time.Millisecond
	clockFor   = 4 * time.Second
)

// Inspected is a node as far as a run's chances on it go.
type Inspected struct {
	ID, Name         string
	Datacenter, Pool string
	Version          string            // of Nomad
	Status           string            // ready, down, disconnected, initializing
	Eligible         bool              // it takes new work
	TLS              bool              // its API
	Drivers          map[string]string // task drivers that it has, with what is wrong or ""
	Runtimes         string            // of docker
	GPUs, UnfitGPUs  int               // healthy and not
	Volumes          map[string]bool   // host volumes, and whether they are read-only
	Meta             map[string]string
	ConsulName       run.ConsulName
}

// Inspect returns every node of the region in detail, by name.
func (c *Client) Inspect(ctx context.Context) ([]Inspected, error) {
	stubs, err := c.nodeStubs(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Inspected, len(stubs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inspectAtOnce)
	for i, s := range stubs {
		group.Go(func() (err error) {
			out[i], err = c.inspect(ctx, s.ID)
			return err
		})
	}
	err = group.Wait()
	slices.SortFunc(out, func(a, b Inspected) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return out, err
}

func (c *Client) inspect(ctx context.Context, id string) (Inspected, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var n api.Node
	if _, err := c.calls.Raw().Query("/v1/node/"+url.PathEscape(id), &n, query(ctx)); err != nil {
		return Inspected{}, classify("read node "+id, err)
	}
	out := Inspected{
		ID: n.ID, Name: n.Name, Datacenter: n.Datacenter, Pool: n.NodePool, Version: n.Attributes["nomad.version"], TLS: n.TLSEnabled, Meta: n.Meta,
		Status: n.Status, Eligible: n.SchedulingEligibility == api.NodeSchedulingEligible && !n.Drain,
		ConsulName: run.ConsulName{Name: n.Attributes["unique.consul.name"], Datacenter: n.Attributes["consul.datacenter"], Address: hostOf(n.HTTPAddr)},
		Drivers:    map[string]string{}, Volumes: map[string]bool{}, Runtimes: n.Attributes["driver.docker.runtimes"],
	}
	for name, d := range n.Drivers {
		switch {
		case d == nil || !d.Detected && d.HealthDescription == "":
		case d.Detected && d.Healthy:
			out.Drivers[name] = ""
		default:
			out.Drivers[name] = orDefault(clean(d.HealthDescription), "it is not healthy")
		}
	}
	for name, v := range n.HostVolumes {
		out.Volumes[name] = v != nil && v.ReadOnly
	}
	if n.NodeResources == nil {
		return out, nil
	}
	for _, d := range n.NodeResources.Devices {
		if d == nil || d.Type != "gpu" {
			continue
		}
		for _, inst := range d.Instances {
			if inst != nil && inst.Healthy {
				out.GPUs++
			} else {
				out.UnfitGPUs++
			}
		}
	}
	return out, nil
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return host
}

// Host is a node's machine as it is now.
type Host struct {
	// Its clock is between Least and Most ahead of this machine's, negative where it is behind; Known is false if it does not tell.
	Least, Most time.Duration
	Known       bool
	// DiskUsed is how full the disk of its allocations is, in percent; 0 if it does not tell.
	DiskUsed float64
}

// Host asks a node about its machine. It measures itself once a second and says when: that moment lies between the last request that did
// not see the measurement and the answer of the first that does.
func (c *Client) Host(ctx context.Context, nodeID string) (h Host, err error) {
	ctx, cancel := context.WithTimeout(ctx, clockFor)
	defer cancel()
	var before int64
	var asked time.Time
	for {
		var stats struct {
			Timestamp     int64
			AllocDirStats *api.HostDiskStats
		}
		q := query(ctx)
		q.Params["node_id"] = nodeID
		sent := time.Now()
		_, err := c.calls.Raw().Query("/v1/client/stats", &stats, q)
		got := time.Now()
		switch {
		case err != nil && before != 0 && ctx.Err() != nil:
			return h, nil // it does not measure itself again
		case err != nil:
			return h, classify("measure node "+nodeID, err)
		}
		if stats.AllocDirStats != nil {
			h.DiskUsed = stats.AllocDirStats.UsedPercent
		}
		if stats.Timestamp == 0 {
			return h, nil
		}
		if before != 0 && stats.Timestamp != before {
			at := time.Unix(0, stats.Timestamp)
			h.Least, h.Most, h.Known = at.Sub(got), at.Sub(asked), true
			return h, nil
		}
		before, asked = stats.Timestamp, sent
		select {
		case <-time.After(clockEvery):
		case <-ctx.Done():
			return h, nil
		}
	}
}

// JobFacts is what the job file asks of nodes, with the console's settings.
type JobFacts struct {
	Driver             string
	KillTimeout        time.Duration
	LogFiles, LogMB    int // for each stream: files, and MiB of each
	LogsOff            bool
	Disk               int      // MiB
	Volumes            []string // host volumes
	Pool               string
	Datacenters        []string
	UsesContainerImage bool
}

// JobFacts parses the job file as for a run of one worker.
func (c *Client) JobFacts(ctx context.Context) (JobFacts, error) {
	job, err := c.probeJob(ctx, orDefault(c.cfg.Namespace, api.DefaultNamespace))
	if err != nil {
		return JobFacts{}, err
	}
	// What Nomad fills in where the file says nothing.
	out := JobFacts{KillTimeout: 5 * time.Second, LogFiles: 10, LogMB: 10, Pool: orDefault(deref(job.NodePool), "default"), Datacenters: job.Datacenters}
	for _, g := range job.TaskGroups {
		if g == nil || deref(g.Name) != groupName {
			continue
		}
		if g.EphemeralDisk != nil {
			out.Disk = deref(g.EphemeralDisk.SizeMB)
		}
		for _, v := range g.Volumes {
			if v != nil && v.Type == "host" {
				out.Volumes = append(out.Volumes, v.Source)
			}
		}
		for _, t := range g.Tasks {
			if t == nil || t.Name != TaskName {
				continue
			}
			out.Driver, out.UsesContainerImage = t.Driver, t.Config["image"] != nil
			if t.KillTimeout != nil {
				out.KillTimeout = *t.KillTimeout
			}
			if l := t.LogConfig; l != nil {
				out.LogFiles, out.LogMB = orDefault(deref(l.MaxFiles), out.LogFiles), orDefault(deref(l.MaxFileSizeMB), out.LogMB)
				out.LogsOff = deref(l.Disabled) || l.Enabled != nil && !*l.Enabled //nolint:staticcheck // older files say enabled
			}
		}
	}
	slices.Sort(out.Volumes)
	return out, nil
}

// Member is a server of Nomad.
type Member struct {
	Name, Version string
	Alive         bool
	Asked         bool // it gave this answer
}

// Members lists the servers of the region.
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var got struct {
		ServerName string
		Members    []struct {
			Name, Status string
			Tags         map[string]string
		}
	}
	if _, err := c.calls.Raw().Query("/v1/agent/members", &got, query(ctx)); err != nil {
		err = classify("list Nomad's servers", err)
		return nil, cmp.Or(notNomad(err), err)
	}
	var out []Member
	for _, m := range got.Members {
		out = append(out, Member{m.Name, m.Tags["build"], m.Status == "alive", m.Name == got.ServerName || m.Name == got.ServerName+"."+m.Tags["region"]})
	}
	return out, nil
}

// Gossip reports whether the servers' gossip is encrypted, where the token may know.
func (c *Client) Gossip(ctx context.Context) (encrypted, known bool) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var self struct{ Stats map[string]map[string]string }
	_, err := c.calls.Raw().Query("/v1/agent/self", &self, query(ctx))
	says, known := self.Stats["serf"]["encrypted"]
	return says == "true", err == nil && known
}
