package localnomad

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"
)

const (
	// agentVersion is the version of Nomad whose behaviour this agent follows.
	agentVersion = "2.0.6-dev"

	nodeReady        = "ready"
	nodeDown         = "down"
	nodeDisconnected = "disconnected"

	// The range dynamic ports are taken from, as on a Nomad client.
	minDynamicPort = 20000
	maxDynamicPort = 32000

	simVendor = "sim"
	simAttr   = "cotrain.simulated_gpus"
)

// buildNodes makes the local nodes. IDs of nodes that were there before are
// kept, so that allocations still find them.
func (s *Server) buildNodes(known map[string]*api.Node) ([]*api.Node, error) {
	ids := map[string]string{}
	for _, n := range known {
		ids[n.Name] = n.ID
	}
	var gpus []gpu
	if s.opts.DetectGPUs {
		var err error
		if gpus, err = detectGPUs(); err != nil {
			return nil, err
		}
	}
	m := measureMachine(s.opts.DataDir)
	nodes := make([]*api.Node, 0, s.opts.Nodes)
	for i := range s.opts.Nodes {
		name := fmt.Sprintf("local-%d", i+1)
		id := ids[name]
		if id == "" {
			id = newUUID()
		}
		n := s.baseNode(id, name, m)
		if s.opts.DetectGPUs {
			n.NodeResources.Devices = groupGPUs(shareOf(gpus, i, s.opts.Nodes))
		} else {
			s.addSimulatedGPUs(n)
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// machine is what the whole machine has.
type machine struct {
	cores, mhz, memoryMiB int
	diskMiB               int
	hostname              string
}

func measureMachine(dir string) machine {
	m := machine{cores: runtime.NumCPU(), mhz: cpuMHz(), memoryMiB: totalMemoryMiB()}
	m.hostname, _ = os.Hostname() // informative only
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) == nil {
		m.diskMiB = int(uint64(fs.Bsize) * fs.Bavail >> 20)
	}
	return m
}

// cpuMHz is one core's clock; where the system does not say, 1 GHz, as Nomad
// falls back to.
func cpuMHz() int {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return 1000
	}
	best := 0.0
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "cpu MHz" {
			if f, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				best = max(best, f)
			}
		}
	}
	if best < 1 {
		return 1000
	}
	return int(best)
}

func totalMemoryMiB() int {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 4096
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			if kib, err := strconv.Atoi(f[1]); err == nil {
				return kib / 1024
			}
		}
	}
	return 4096
}

func (s *Server) baseNode(id, name string, m machine) *api.Node {
	mhz, memory := s.opts.NodeCPUMHz, s.opts.NodeMemoryMiB
	if mhz == 0 {
		mhz = m.cores * m.mhz
	}
	if memory == 0 {
		memory = max(m.memoryMiB/s.opts.Nodes, 512)
	}
	drivers := map[string]*api.DriverInfo{}
	attrs := map[string]string{
		"kernel.name": runtime.GOOS, "cpu.arch": runtime.GOARCH, "cpu.numcores": strconv.Itoa(m.cores),
		"cpu.totalcompute": strconv.Itoa(mhz), "cpu.frequency": strconv.Itoa(m.mhz),
		"memory.totalbytes": strconv.Itoa(memory << 20), "nomad.version": agentVersion, "os.name": runtime.GOOS,
		"unique.hostname": m.hostname, "unique.network.ip-address": loopback,
		"os.signals": strings.Join(signalNames(), ","), "cotrain.embedded_agent": "true",
	}
	for _, d := range []string{"raw_exec", "exec"} {
		attrs["driver."+d] = "1"
		drivers[d] = &api.DriverInfo{
			Attributes: map[string]string{"driver." + d: "true"}, Detected: true, Healthy: true,
			HealthDescription: "Healthy", UpdateTime: s.now().UTC(),
		}
	}
	disk := max(m.diskMiB/s.opts.Nodes, 1024)
	return &api.Node{
		ID: id, Name: name, Datacenter: s.opts.Datacenter, NodePool: "default", HTTPAddr: "",
		Attributes: attrs, Meta: map[string]string{}, Links: map[string]string{}, Drivers: drivers,
		NodeResources: &api.NodeResources{
			Cpu:      api.NodeCpuResources{CpuShares: int64(mhz), TotalCpuCores: uint16(min(m.cores, 65535)), ReservableCpuCores: coreIDs(m.cores)},
			Memory:   api.NodeMemoryResources{MemoryMB: int64(memory)},
			Disk:     api.NodeDiskResources{DiskMB: int64(disk)},
			Networks: []*api.NetworkResource{{Mode: "host", Device: "lo", IP: loopback, CIDR: loopback + "/32"}},
			Devices:  []*api.NodeDeviceResource{}, MinDynamicPort: minDynamicPort, MaxDynamicPort: maxDynamicPort,
		},
		ReservedResources: &api.NodeReservedResources{}, SchedulingEligibility: api.NodeSchedulingEligible,
		Status: nodeReady, StatusUpdatedAt: s.now().Unix(), HostVolumes: map[string]*api.HostVolumeInfo{},
		HostNetworks: map[string]*api.HostNetworkInfo{}, CSIControllerPlugins: map[string]*api.CSIInfo{},
		CSINodePlugins: map[string]*api.CSIInfo{},
		Events:         []*api.NodeEvent{{Message: "Node registered", Subsystem: "Cluster", Timestamp: s.now().UTC()}},
	}
}

func coreIDs(n int) []uint16 {
	ids := make([]uint16, 0, n)
	for i := range min(n, 65535) {
		ids = append(ids, uint16(i))
	}
	return ids
}

// addSimulatedGPUs gives a node GPUs that do not exist, labelled so in the
// vendor, an attribute of the device, an attribute of the node and its meta.
func (s *Server) addSimulatedGPUs(n *api.Node) {
	if s.opts.GPUsPerNode == 0 {
		return
	}
	d := &api.NodeDeviceResource{
		Vendor: simVendor, Type: "gpu", Name: s.opts.GPUModel,
		Attributes: map[string]*api.Attribute{
			"memory":    {IntVal: new(int64(s.opts.GPUMemoryMiB)), Unit: "MiB"},
			"simulated": {BoolVal: new(true)},
		},
	}
	for i := range s.opts.GPUsPerNode {
		d.Instances = append(d.Instances, &api.NodeDevice{ID: fmt.Sprintf("SIM-%s-%d", n.Name, i), Healthy: true})
	}
	n.NodeResources.Devices = append(n.NodeResources.Devices, d)
	n.Attributes[simAttr] = "true"
	n.Meta[simAttr] = "true"
}

// computedClass is equal for nodes that no constraint on non-unique
// properties can tell apart. Nomad skips nodes whose class has failed before.
func computedClass(n *api.Node) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s|%s|%s|", n.Datacenter, n.NodeClass, n.NodePool)
	for _, m := range []map[string]string{n.Attributes, n.Meta} {
		for _, k := range sortedKeys(m, "") {
			if !strings.HasPrefix(k, "unique.") {
				fmt.Fprintf(h, "%q=%q|", k, m[k])
			}
		}
	}
	var devices []string
	for _, d := range n.NodeResources.Devices {
		devices = append(devices, fmt.Sprintf("%s/%s/%s %d", d.Vendor, d.Type, d.Name, len(d.Instances)))
	}
	sort.Strings(devices)
	fmt.Fprintf(h, "%q", devices)
	return "v1:" + hex.EncodeToString(h.Sum(nil)[:8])
}

// registerNodes stores the nodes of this start and drops those that are no
// longer there.
func (s *Server) registerNodes() error {
	var known map[string]*api.Node
	s.st.view(func() {
		known = make(map[string]*api.Node, len(s.st.nodes))
		for id, n := range s.st.nodes {
			known[id] = n
		}
	})
	nodes, err := s.buildNodes(known)
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, n := range nodes {
		keep[n.ID] = true
		_, err := s.st.update(kindOfNode, s.now().UnixNano(), func(tx *txn) error {
			tx.putNode(n)
			return nil
		})
		if err != nil {
			return err
		}
	}
	for id, n := range known {
		if keep[id] {
			continue
		}
		_, err := s.st.update(kindOfNodeGone, s.now().UnixNano(), func(tx *txn) error {
			tx.deleteNode(n)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// uptime is how long this agent has run.
func (s *Server) uptime() time.Duration { return time.Since(s.started) }
