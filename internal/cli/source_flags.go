package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// maxConfigFile is the largest configuration that is sent, in bytes; what may be dispatched is less.
const maxConfigFile = 60 << 10

// Placement is the flags of what a run asks of the cluster. They hold text, which trainconf checks in the words that it uses
// everywhere.
type Placement struct {
	Nodes        *string `placeholder:"N" help:"Workers (1)."`
	GPUs         *string `name:"gpus" placeholder:"N" help:"GPUs of each worker; 0 for none."`
	GPUModel     *string `name:"gpu-model" placeholder:"NAME" help:"Model of GPU, as \"node list\" shows it."`
	GPUMinMemory *string `name:"gpu-min-memory" placeholder:"MIB" help:"Least memory of each GPU, in MiB."`
	CPU          *string `placeholder:"MHZ" help:"CPU of each worker, in MHz."`
	Memory       *string `placeholder:"MIB" help:"Memory of each worker, in MiB."`
	Site         *string `placeholder:"NAME" help:"Datacenter that all workers must be in."`
	Priority     *string `placeholder:"N" help:"1 to 100, more is sooner (50)."`
	MaxDuration  *string `name:"max-duration" placeholder:"2h30m" help:"Time from the first start after which the run is stopped."`
	Retries      *string `placeholder:"N" help:"Further attempts after failures; counted anew once an attempt gets further than all before it."`
	OnHang       *string `name:"on-hang" placeholder:"DO" help:"What to do about a hang: alert, dump or restart (alert)."`
	OnNaN        *string `name:"on-nan" placeholder:"DO" help:"What to do about a loss of NaN: alert, stop or rollback (alert)."`
	OnDivergence *string `name:"on-divergence" placeholder:"DO" help:"What to do about a loss that diverges: alert, stop or rollback (alert)."`
	OnPlateau    *string `name:"on-plateau" placeholder:"DO" help:"What to do about a loss that falls no more: alert, stop or rollback (alert)."`
	RollbackLR   *string `name:"rollback-lr" placeholder:"X" help:"What a rollback multiplies the learning rate by (1)."`
}

// Equipment is the flags of what the trainer gets besides its configuration, and of how a run is found.
type Equipment struct {
	Tags   *string  `aliases:"tag" placeholder:"A,B" help:"Words to find the run by."`
	Env    []string `sep:"none" placeholder:"NAME=VALUE" help:"Variable for the trainer. It is stored and shown: not for secrets. Repeat it for more."`
	Arg    []string `sep:"none" placeholder:"X" help:"Argument for the trainer, which wins over its configuration: --arg=--train.torch_compile=false. Repeat it for more."`
	Retry  []string `sep:"none" placeholder:"CAUSE=N" help:"Retries of one cause of docs/troubleshooting.md, whatever --retries says: --retry cuda_oom=0. Repeat it for more."`
	Mirror *string  `name:"mirror-logs" placeholder:"on|off" help:"Whether its log is also written into logs/training/RUN of shared storage (as the console is set)."`
	Secret []string `sep:"none" placeholder:"NAME" help:"Registered secret that becomes environment of the trainer, on its node. Repeat it for more."`
}

// Changes is the flags for what differs from what a run starts from.
type Changes struct {
	Set       []string `sep:"none" placeholder:"a.b=c" help:"Set any field, as docs/configuration.md lists them; an empty value unsets it. Repeat it for more."`
	Placement `embed:""`
	Equipment `embed:""`
}

// Start is the flags for what a run starts from: one of them, or the core's defaults.
type Start struct {
	File     string `xor:"start" placeholder:"FILE" help:"CotrainCore's TOML; - reads it from the standard input."`
	Preset   string `xor:"start" placeholder:"NAME" help:"Built-in configuration, such as debug-diloco."`
	Template string `xor:"start" placeholder:"NAME[@N]" help:"Template, in its newest version or in one of them."`
	Clone    string `xor:"start" placeholder:"ID" help:"Configuration, shape and options of this run."`
}

// named returns the flags by the field that each sets.
func (c Changes) named() map[string]*string {
	return map[string]*string{
		"nodes": c.Nodes, "gpus": c.GPUs, "gpu_model": c.GPUModel, "gpu_min_memory": c.GPUMinMemory, "cpu": c.CPU, "memory": c.Memory,
		"site": c.Site, "priority": c.Priority, "max_duration": c.MaxDuration, "retries": c.Retries, "tags": c.Tags,
		"on_hang": c.OnHang, "on_nan": c.OnNaN, "on_divergence": c.OnDivergence, "on_plateau": c.OnPlateau, "rollback_lr": c.RollbackLR, "mirror_logs": c.Mirror,
	}
}

// source puts together what is sent. Everything wrong with its values is told at once.
func (c Changes) source() (draft.Source, error) {
	src := draft.Source{Set: map[string]string{}}
	for _, assignment := range c.Set {
		field, value, found := strings.Cut(assignment, "=")
		if field = strings.TrimSpace(field); !found || field == "" {
			return src, fault.Usage(fmt.Sprintf("--set %q is not of the form field=value", assignment), "write --set optim.batch_size=64, for example")
		}
		src.Set[field] = value
	}
	named := c.named()
	for _, field := range slices.Sorted(maps.Keys(named)) {
		if value := named[field]; value != nil {
			src.Set[field] = *value
		}
	}
	if len(c.Secret) > 0 {
		src.Set[run.SecretsField] = strings.Join(c.Secret, ",")
	}
	if len(c.Retry) > 0 {
		src.Set[trainconf.FieldRetry] = strings.Join(c.Retry, ",")
	}
	var errs run.FieldErrors
	var scratch trainconf.Request
	for _, field := range slices.Sorted(maps.Keys(src.Set)) {
		errs = append(errs, trainconf.AsFieldErrors(scratch.Set(field, src.Set[field]))...)
	}
	if len(c.Env) > 0 || len(c.Arg) > 0 {
		src.Options = &draft.OptionsInput{Args: c.Arg}
	}
	if len(c.Env) > 0 {
		src.Options.Env = map[string]string{}
		for _, line := range c.Env {
			name, value, found := strings.Cut(line, "=")
			if !found {
				errs = append(errs, trainconf.AsFieldErrors(scratch.Set("env", line))...)
			} else {
				src.Options.Env[name] = value
			}
		}
		errs = append(errs, trainconf.ValidateEnv(src.Options.Env)...)
	}
	errs = append(errs, trainconf.ValidateArgs(c.Arg)...)
	if len(errs) > 0 {
		return src, errs
	}
	return src, nil
}

// apply fills in what the run starts from.
func (s Start) apply(p *process, src *draft.Source) error {
	src.Preset, src.Template, src.Clone = s.Preset, s.Template, s.Clone
	if s.File == "" {
		return nil
	}
	data, err := p.readText("--file "+s.File, s.File, maxConfigFile, "check that it is CotrainCore's TOML")
	src.Config = string(data)
	return err
}
