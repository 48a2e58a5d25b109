package localnomad

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// gpu is one real GPU, as nvidia-smi describes it.
type gpu struct {
	uuid, model, busID, driver string
	memoryMiB                  int
}

// detectTimeout bounds nvidia-smi: it hangs when the driver is broken.
const detectTimeout = 15 * time.Second

// detectGPUs asks nvidia-smi for the machine's GPUs.
func detectGPUs() ([]gpu, error) {
	ctx, cancel := context.WithTimeout(context.Background(), detectTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nvidia-smi",
		"--query-gpu=uuid,name,pci.bus_id,driver_version,memory.total", "--format=csv,noheader,nounits").Output()
	if err != nil {
		return nil, fmt.Errorf("find GPUs with nvidia-smi: %w", err)
	}
	return parseGPUs(out)
}

func parseGPUs(out []byte) ([]gpu, error) {
	r := csv.NewReader(bytes.NewReader(out))
	r.TrimLeadingSpace = true
	r.FieldsPerRecord = 5
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read nvidia-smi's answer: %w", err)
	}
	gpus := make([]gpu, 0, len(rows))
	for _, row := range rows {
		mem, err := strconv.Atoi(strings.TrimSpace(row[4]))
		if err != nil {
			return nil, fmt.Errorf("read nvidia-smi's answer: memory of %s: %w", row[0], err)
		}
		gpus = append(gpus, gpu{uuid: row[0], model: row[1], busID: row[2], driver: row[3], memoryMiB: mem})
	}
	return gpus, nil
}

// groupGPUs makes device groups of GPUs that are alike, as Nomad's NVIDIA
// plugin does.
func groupGPUs(gpus []gpu) []*api.NodeDeviceResource {
	groups := []*api.NodeDeviceResource{}
	byName := map[string]*api.NodeDeviceResource{}
	for _, g := range gpus {
		d := byName[g.model]
		if d == nil {
			d = &api.NodeDeviceResource{
				Vendor: "nvidia", Type: "gpu", Name: g.model,
				Attributes: map[string]*api.Attribute{
					"memory":         {IntVal: new(int64(g.memoryMiB)), Unit: "MiB"},
					"driver_version": {StringVal: new(g.driver)},
				},
			}
			byName[g.model] = d
			groups = append(groups, d)
		}
		d.Instances = append(d.Instances, &api.NodeDevice{
			ID: g.uuid, Healthy: true, Locality: &api.NodeDeviceLocality{PciBusID: g.busID},
		})
	}
	return groups
}

// shareOf divides the GPUs among the nodes: a GPU belongs to one node.
func shareOf(gpus []gpu, node, nodes int) []gpu {
	return gpus[len(gpus)*node/nodes : len(gpus)*(node+1)/nodes]
}
