package client

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
)

// CompareQuery says which runs to compare, and in what.
type CompareQuery struct {
	Run    []string `query:"run,explode" maxItems:"200" doc:"ID of a run; repeat it for more. They are compared in this order"`
	Sweep  string   `query:"sweep" maxLength:"20" doc:"ID of a sweep, whose runs are compared, in place of run; the newest 200 of more"`
	Metric []string `query:"metric,explode" maxItems:"64" doc:"Name of a metric; repeat it for more. loss without it"`
	At     int64    `query:"at" default:"-1" minimum:"-1" doc:"A step: values there too or, where none was reported, of the newest of the 1000 steps before; -1 for none"`
	Base   string   `query:"base" maxLength:"20" doc:"ID of one of the runs: values have their difference to its"`
	Group  string   `query:"group" maxLength:"200" doc:"settings (the same ones, with any seed), tag, sweep, or the path of a setting such as optim.optim.lr: groups of runs with the mean, lowest and highest of their final values"`
}

// Comparison is what runs reached, and in what they differ.
type Comparison struct {
	Metrics     []string           `json:"metrics" nullable:"false" doc:"That are compared"`
	Names       []string           `json:"names" nullable:"false" doc:"All metrics of the runs"`
	Base        run.ID             `json:"base,omitempty"`
	LeftOut     bool               `json:"left_out,omitempty" doc:"The sweep has more than 200 runs: older ones are left out"`
	Runs        []ComparedRun      `json:"runs" nullable:"false"`
	Differences []ConfigDifference `json:"differences" nullable:"false" doc:"The settings in which any two runs differ"`
	Groups      []ComparedGroup    `json:"groups,omitempty" doc:"By the first of their runs"`
}

// ComparedRun is a run of a comparison.
type ComparedRun struct {
	ID     run.ID                    `json:"id"`
	Name   string                    `json:"name"`
	State  run.State                 `json:"state"`
	Step   int64                     `json:"step"`
	Tokens *run.Number               `json:"tokens,omitempty" doc:"Trained"`
	Values map[string]ComparedMetric `json:"values" nullable:"false" doc:"By metric; one that the run does not have is left out"`
}

// ComparedMetric is what a run reached in a metric.
type ComparedMetric struct {
	Final *Reached `json:"final,omitempty" doc:"The newest value, over all workers"`
	Best  *Reached `json:"best,omitempty" doc:"The lowest or the highest, where the name of the metric tells which is better"`
	At    *Reached `json:"at,omitempty" doc:"At the step that was asked for, or shortly before"`
}

// Reached is a value and its step.
type Reached struct {
	Value      run.Number  `json:"value"`
	Step       int64       `json:"step"`
	Difference *run.Number `json:"difference,omitempty" doc:"To the baseline's, where both are finite"`
	Percent    *run.Number `json:"percent,omitempty" doc:"The same of the baseline's size, unless that is 0"`
	Better     *bool       `json:"better,omitempty" doc:"Than the baseline's, where the name of the metric tells and they are not the same"`
}

// ConfigDifference is a setting in which runs differ.
type ConfigDifference struct {
	Field  string   `json:"field"`
	Label  string   `json:"label"`
	Values []string `json:"values" nullable:"false" doc:"In the order of the runs; empty where it is not set"`
}

// ComparedGroup is runs that are the same in what groups them.
type ComparedGroup struct {
	Label string                 `json:"label"`
	Runs  []run.ID               `json:"runs" nullable:"false"`
	Final map[string]GroupSpread `json:"final" nullable:"false" doc:"By metric; one in which no run of the group has a finite value is left out"`
}

// GroupSpread is the finite final values of a group.
type GroupSpread struct {
	Runs int     `json:"runs" doc:"That have one"`
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Compare compares runs.
func (c *Client) Compare(ctx context.Context, q CompareQuery) (Comparison, error) {
	return get[Comparison](ctx, c, "/api/v1/compare", q)
}
