package nomadtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

// Script stands for the launch script in what Launch answers.
const Script = "#!/bin/sh\nexec torchrun \"$@\"\n"

// Plan returns what SetPlan set.
func (c *Cluster) Plan(_ context.Context, _ run.Shape, _ int) (fits bool, reason string, places []run.Place, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.call("Plan"); err != nil {
		return false, "", nil, err
	}
	return c.plan.Fits, c.plan.Reason, slices.Clone(c.plan.Places), nil
}

// Job returns a short definition of the shape's parent, with the state that SetParent set.
func (c *Cluster) Job(_ context.Context, shape run.Shape) (string, json.RawMessage, run.ParentState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.call("Job"); err != nil {
		return "", nil, "", err
	}
	text, err := parentJSON(shape)
	return shape.ParentJob(), text, c.parent, err
}

func parentJSON(shape run.Shape) (json.RawMessage, error) {
	return json.Marshal(map[string]any{
		"ID": shape.ParentJob(), "Type": "batch", "ParameterizedJob": map[string]any{"Payload": "required"},
		"TaskGroups": []any{map[string]any{"Name": "workers", "Count": shape.Nodes}},
	})
}

// Launch describes a start in the form of the real one, in few words.
func (c *Cluster) Launch(_ context.Context, shape run.Shape, d nomad.Dispatch) (run.Launch, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.call("Launch"); err != nil {
		return run.Launch{}, err
	}
	meta, err := d.Meta()
	if err != nil {
		return run.Launch{}, err
	}
	text, err := parentJSON(shape)
	if err != nil {
		return run.Launch{}, err
	}
	l := run.Launch{
		ParentJob: shape.ParentJob(), Job: text, Meta: meta, Script: Script,
		Command: fmt.Sprintf("torchrun --nproc_per_node=%d train.py '@<task folder>/config.toml'", max(1, shape.GPUs)),
		Env:     []run.EnvVar{{Name: "COTRAIN_NODES", Value: strconv.Itoa(shape.Nodes), From: "job"}},
	}
	for _, name := range slices.Sorted(maps.Keys(d.Env)) {
		l.Env = append(l.Env, run.EnvVar{Name: name, Value: d.Env[name], From: "run"})
	}
	for _, ref := range d.Secrets {
		l.Env = append(l.Env, run.EnvVar{Name: cmp.Or(ref.Env, "*"), Value: "<" + ref.String() + ">", From: "secret"})
	}
	l.Env = append(l.Env, run.EnvVar{Name: "GLOBAL_ADDR", Value: "<worker 0's address>", From: "launch script"})
	return l, nil
}
