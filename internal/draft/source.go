package draft

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/cotrain/cotrain/internal/run"
)

// Source is what a run, a template or a sweep is made from: something to start from, and what differs from it. Its parts
// are applied in the order of the fields.
type Source struct {
	Preset   string            `json:"preset,omitempty" doc:"Name of a preset to start from"`
	Template string            `json:"template,omitempty" doc:"Template to start from: name for its newest version, or name@2"`
	Clone    string            `json:"clone,omitempty" doc:"ID of a run to start from. Where its ID was filled in, {run} stands again"`
	Config   string            `json:"config,omitempty" doc:"CotrainCore TOML, at most 16 KiB, in place of that of the preset, template or run; it is kept as it is unless set changes it. With neither, the core's defaults"`
	Shape    *ShapeInput       `json:"shape,omitempty" doc:"What is left out stays as in the preset, template or run, or is one node without GPUs"`
	Options  *OptionsInput     `json:"options,omitempty" doc:"What is left out stays as in the preset, template or run"`
	Set      map[string]string `json:"set,omitempty" maxProperties:"200" doc:"Any fields to set, as text: CotrainCore's, such as optim.batch_size, and those of shape and options, such as nodes or max_duration (env: NAME=VALUE lines, args: one a line, secrets: names separated by commas). An empty value unsets"`
}

// ShapeInput is a shape of which anything may be left out.
type ShapeInput struct {
	Nodes        *int    `json:"nodes,omitempty" doc:"Workers"`
	GPUs         *int    `json:"gpus,omitempty" doc:"Per worker; 0 for none"`
	GPUModel     *string `json:"gpu_model,omitempty" doc:"As the device plugin reports it; empty for any"`
	GPUMinMemory *int    `json:"gpu_min_memory,omitempty" doc:"MiB per GPU; 0 for any"`
	CPU          *int    `json:"cpu,omitempty" doc:"MHz per worker; 0 for the default"`
	Memory       *int    `json:"memory,omitempty" doc:"MiB per worker; 0 for the default"`
	Site         *string `json:"site,omitempty" doc:"Datacenter that all workers must be in; empty for any"`
}

// OptionsInput is options of which anything may be left out. A list or an object replaces the whole one of what it starts from.
type OptionsInput struct {
	Description *string           `json:"description,omitempty" doc:"Free text, at most 2000 characters"`
	Tags        []string          `json:"tags,omitempty" doc:"Words to find it by"`
	Priority    *int              `json:"priority,omitempty" doc:"1 to 100, more is sooner; left out for the default"`
	MaxDuration *Duration         `json:"max_duration,omitempty"`
	MaxSeconds  *int64            `json:"max_duration_seconds,omitempty" doc:"The same as max_duration, as runs have it; max_duration wins"`
	Retries     *int              `json:"retries,omitempty" doc:"Further attempts after failures; counted anew once an attempt gets further than all before it"`
	Retry       run.RetryPolicy   `json:"retry,omitempty" doc:"The same for causes of docs/troubleshooting.md, whatever retries says: {\"cuda_oom\": 0}"`
	OnHang      *string           `json:"on_hang,omitempty" enum:"alert,dump,restart" doc:"What to do about a hang"`
	OnNaN       *string           `json:"on_nan,omitempty" enum:"alert,stop,rollback" doc:"What to do about a loss that is not finite"`
	OnDiverged  *string           `json:"on_divergence,omitempty" enum:"alert,stop,rollback" doc:"What to do about a loss that diverges"`
	OnPlateau   *string           `json:"on_plateau,omitempty" enum:"alert,stop,rollback" doc:"What to do about a loss that falls no more"`
	RollbackLR  *float64          `json:"rollback_lr,omitempty" doc:"What a rollback multiplies the learning rate by, 0.01 to 1"`
	Env         map[string]string `json:"env,omitempty" doc:"More environment for the trainer. It is stored and shown: not for secrets"`
	Args        []string          `json:"args,omitempty" doc:"More arguments for the trainer, which win over its configuration. They are stored and shown"`
	Secrets     run.SecretNames   `json:"secrets,omitempty" doc:"Names of registered secrets that become environment of the trainer on its node"`
	MirrorLogs  *string           `json:"mirror_logs,omitempty" enum:"default,on,off" doc:"Whether its log is also written into logs/training/RUN of shared storage; default for what the console does"`
}

// Duration is a length of time, as text such as "2h30m" or as whole seconds.
type Duration string

// UnmarshalJSON reads text or a number.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err == nil {
		*d = Duration(text)
		return nil
	}
	var n int64
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("duration: %w", err)
	}
	*d = Duration(seconds(n))
	return nil
}

// seconds is a number of seconds as the field max_duration takes it.
func seconds(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10) + "s"
}

// apply changes what is given. No GPUs also means no demands on them.
func (in *ShapeInput) apply(s *run.Shape) {
	if in == nil {
		return
	}
	if in.GPUs != nil && *in.GPUs == 0 {
		s.GPUModel, s.GPUMinMemory = "", 0
	}
	for field, given := range map[*int]*int{&s.Nodes: in.Nodes, &s.GPUs: in.GPUs, &s.GPUMinMemory: in.GPUMinMemory, &s.CPU: in.CPU, &s.Memory: in.Memory} {
		if given != nil {
			*field = *given
		}
	}
	if in.GPUModel != nil {
		s.GPUModel = *in.GPUModel
	}
	if in.Site != nil {
		s.Site = *in.Site
	}
}

// apply changes what is given, and adds what could not be read to Errs; [trainconf.Request.Check] finds the rest.
func (in *OptionsInput) apply(d *Draft) {
	if in == nil {
		return
	}
	o := &d.Request.Options
	if in.Description != nil {
		o.Description = *in.Description
	}
	switch {
	case in.Priority != nil && *in.Priority == 0: // options hold 0 for what was left out
		d.add(d.Request.Set("priority", "0"))
	case in.Priority != nil:
		o.Priority = *in.Priority
	}
	if in.Retries != nil {
		o.Retries = *in.Retries
	}
	if in.Retry != nil {
		o.Retry = maps.Clone(in.Retry)
	}
	for field, given := range map[string]*string{"on_hang": in.OnHang, "on_nan": in.OnNaN, "on_divergence": in.OnDiverged, "on_plateau": in.OnPlateau, "mirror_logs": in.MirrorLogs} {
		if given != nil {
			d.add(d.Request.Set(field, *given))
		}
	}
	if in.RollbackLR != nil {
		d.add(d.Request.Set("rollback_lr", strconv.FormatFloat(*in.RollbackLR, 'g', -1, 64)))
	}
	if in.Tags != nil {
		tags := slices.Sorted(slices.Values(in.Tags))
		o.Tags = slices.Compact(tags)
	}
	if in.Secrets != nil {
		o.Secrets = slices.Compact(slices.Sorted(slices.Values(in.Secrets)))
	}
	if in.Env != nil {
		o.Env = maps.Clone(in.Env)
	}
	if in.Args != nil {
		o.Args = slices.Clone(in.Args)
	}
	switch {
	case in.MaxDuration != nil && *in.MaxDuration == "0":
		o.MaxDuration = 0
	case in.MaxDuration != nil:
		d.add(d.Request.Set("max_duration", string(*in.MaxDuration)))
	case in.MaxSeconds != nil:
		d.add(d.Request.Set("max_duration", seconds(*in.MaxSeconds)))
	}
}
