package cli

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

type runTopCmd struct {
	Remote `embed:""`
	ID     run.ID `arg:"" help:"ID of the run."`
}

// Run prints what the workers of a run use now, and each of their GPUs.
func (c *runTopCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	list, err := cl.Usage(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(list)
	}
	t := p.table("RANK", "NODE", "GPU", "BUSY", "CPU", "MEMORY", "POWER", "TEMPERATURE", "CLOCK")
	for _, w := range list.Items {
		value := func(name, format string) string {
			v, ok := w.Values[name]
			if !ok {
				return "-"
			}
			return fmt.Sprintf(format, math.Round(v))
		}
		size := func(name string) string {
			if v, ok := w.Values[name]; ok {
				return ui.Bytes(v)
			}
			return "-"
		}
		t.row(strconv.Itoa(w.Rank), w.Node, "-", "-", value("task_cpu_percent", "%.0f %%"), size("task_memory_bytes"), "-", "-", "-")
		for i := range w.GPUs {
			gpu := fmt.Sprintf("gpu%d/", i)
			t.row("", "", strconv.Itoa(i), value(gpu+run.GPUUtilization, "%.0f %%"), "-", size(gpu+run.GPUMemory), value(gpu+run.GPUPower, "%.0f W"), value(gpu+run.GPUTemperature, "%.0f °C"), value(gpu+run.GPUClock, "%.0f MHz"))
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	if len(list.Items) == 0 {
		p.say("nothing is measured of this run now: nodes are asked every ten seconds while its workers run")
	}
	return nil
}
