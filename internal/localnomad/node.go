package localnomad

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/gpu"
	"github.com/cotrain/cotrain/internal/localnomad/sched"
	"github.com/cotrain/cotrain/internal/localnomad/state"
	"github.com/cotrain/cotrain/internal/nvidia"
)

const (
	// agentVersion is the version of Nomad whose behaviour this agent follows.
	agentVersion = "2.0.6-dev"
	// simulatedAttr is the attribute and the meta of a node with simulated GPUs.
	simulatedAttr = "cotrain.simulated_gpus"
)

// registerNodes stores the nodes of this start and drops those that are no longer there. IDs of nodes that were there before
// are kept, so that allocations still find them.
func (s *Server) registerNodes(ctx context.Context) error {
	known := map[string]*api.Node{}
	s.store.View(func(t *state.Tables) {
		for _, n := range t.Nodes {
			known[n.Name] = n
		}
	})
	m := measureMachine(s.opts.DataDir)
	gpus := s.findGPUs(ctx)
	for i := range s.opts.Nodes {
		n := s.newNode(fmt.Sprintf("local-%d", i+1), m)
		if old := known[n.Name]; old != nil {
			n.ID = old.ID
			delete(known, n.Name)
		}
		if count := s.opts.SimulatedGPUs; count == nil { // a GPU belongs to one node
			n.NodeResources.Devices = gpu.Groups(gpus[len(gpus)*i/s.opts.Nodes : len(gpus)*(i+1)/s.opts.Nodes])
		} else if *count > 0 {
			n.NodeResources.Devices = []*api.NodeDeviceResource{gpu.Simulated(n.Name, DefaultGPUModel, *count, DefaultGPUMemoryMiB)}
			n.Attributes[simulatedAttr], n.Meta[simulatedAttr] = "true", "true"
		}
		if _, err := s.store.Update(state.NodeRegistered, func(tx *state.Tx) error { tx.PutNode(n); return nil }); err != nil {
			return err
		}
	}
	_, err := s.store.Update(state.NodeDeregistered, func(tx *state.Tx) error {
		for _, n := range known {
			tx.DeleteNode(n)
		}
		return nil
	})
	return err
}

// slowSMI is how long nvidia-smi may take before the log says that the start waits for it.
const slowSMI = 500 * time.Millisecond

// findGPUs returns the machine's GPUs, unless simulated ones are asked for, and settles how many nodes there are and what
// simulated GPUs they have. A driver that is broken gives no GPUs at all: simulated ones would hide that it is.
func (s *Server) findGPUs(ctx context.Context) []nvidia.GPU {
	nodes := DefaultNodes
	var gpus []nvidia.GPU
	if s.opts.SimulatedGPUs == nil {
		slow := time.AfterFunc(slowSMI, func() { s.opts.Logger.Info("waiting for nvidia-smi", "limit", nvidia.Timeout) })
		var err error
		gpus, err = s.meter.Detect(ctx)
		slow.Stop()
		switch {
		case errors.Is(err, nvidia.ErrNone):
			s.opts.SimulatedGPUs = new(DefaultGPUsPerNode)
		case err != nil:
			s.opts.Logger.Warn("the machine's GPUs cannot be used, so the nodes have none", "error", err)
		default:
			nodes = 1
		}
	}
	s.opts.Nodes = cmp.Or(s.opts.Nodes, nodes)
	if len(gpus) > 0 {
		s.opts.Logger.Info("offering the machine's GPUs", "gpus", len(gpus), "model", gpus[0].Model, "nodes", s.opts.Nodes)
	}
	return gpus
}

// machine is what the whole machine has.
type machine struct{ cores, mhz, memoryMiB, diskMiB int }

func measureMachine(dir string) machine {
	m := machine{
		cores: runtime.NumCPU(), mhz: int(procField("/proc/cpuinfo", "cpu MHz", 1000)), // where the system does not say, 1 GHz, as Nomad
		memoryMiB: int(procField("/proc/meminfo", "MemTotal", 4096<<10)) >> 10,
	}
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) == nil {
		m.diskMiB = int(uint64(fs.Bsize) * fs.Bavail >> 20)
	}
	return m
}

// procField is the largest value of a "name: value" field of a file.
func procField(path, name string, otherwise float64) float64 {
	text, err := os.ReadFile(path)
	best := 0.0
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if f := strings.Fields(value); strings.TrimSpace(key) == name && len(f) > 0 {
			if v, err := strconv.ParseFloat(f[0], 64); err == nil {
				best = max(best, v)
			}
		}
	}
	if err != nil || best < 1 {
		return otherwise
	}
	return best
}

func (s *Server) newNode(name string, m machine) *api.Node {
	mhz, memory := s.opts.NodeCPUMHz, s.opts.NodeMemoryMiB
	if mhz == 0 {
		mhz = m.cores * m.mhz
	}
	if memory == 0 {
		memory = max(m.memoryMiB/s.opts.Nodes, 512)
	}
	now := s.opts.Now()
	attrs := map[string]string{
		"kernel.name": runtime.GOOS, "cpu.arch": runtime.GOARCH, "cpu.numcores": strconv.Itoa(m.cores), "cpu.totalcompute": strconv.Itoa(mhz),
		"memory.totalbytes": strconv.Itoa(memory << 20), "nomad.version": agentVersion, "os.name": runtime.GOOS,
		"unique.network.ip-address": state.Loopback, "cotrain.embedded_agent": "true",
	}
	drivers := map[string]*api.DriverInfo{}
	for _, d := range []string{"raw_exec", "exec"} {
		attrs["driver."+d] = "1"
		drivers[d] = &api.DriverInfo{Attributes: map[string]string{"driver." + d: "true"}, Detected: true, Healthy: true, HealthDescription: "Healthy", UpdateTime: now.UTC()}
	}
	return &api.Node{
		ID: state.NewID(), Name: name, Datacenter: "dc1", NodePool: "default", Attributes: attrs, Meta: map[string]string{}, Drivers: drivers,
		NodeResources: &api.NodeResources{
			Cpu:      api.NodeCpuResources{CpuShares: int64(mhz), TotalCpuCores: uint16(min(m.cores, 65535))},
			Memory:   api.NodeMemoryResources{MemoryMB: int64(memory)},
			Disk:     api.NodeDiskResources{DiskMB: int64(max(m.diskMiB/s.opts.Nodes, 1024))},
			Networks: []*api.NetworkResource{{Mode: "host", Device: "lo", IP: state.Loopback, CIDR: state.Loopback + "/32"}},
			Devices:  []*api.NodeDeviceResource{}, MinDynamicPort: sched.MinDynamicPort, MaxDynamicPort: sched.MaxDynamicPort,
		},
		ReservedResources: &api.NodeReservedResources{}, SchedulingEligibility: api.NodeSchedulingEligible,
		Status: api.NodeStatusReady, StatusUpdatedAt: now.Unix(),
	}
}
