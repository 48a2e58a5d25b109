package api

import (
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/run"
)

// newRegistry returns a registry that knows which types have a JSON form of their own.
func newRegistry() huma.Registry {
	r := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	r.RegisterTypeAlias(reflect.TypeFor[run.Number](), reflect.TypeFor[number]())
	r.RegisterTypeAlias(reflect.TypeFor[run.Progress](), reflect.TypeFor[progress]())
	r.RegisterTypeAlias(reflect.TypeFor[run.CurvePoint](), reflect.TypeFor[curvePoint]())
	r.RegisterTypeAlias(reflect.TypeFor[run.State](), reflect.TypeFor[state]())
	r.RegisterTypeAlias(reflect.TypeFor[draft.Duration](), reflect.TypeFor[duration]())
	return r
}

// number documents [run.Number].
type number struct{}

// Schema is for huma.
func (number) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeNumber},
		{Type: huma.TypeString, Enum: []any{"NaN", "Infinity", "-Infinity"}},
	}}
}

// state documents [run.State].
type state struct{}

// Schema is for huma.
func (state) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, st := range run.States() {
		s.Enum = append(s.Enum, string(st))
	}
	return s
}

// duration documents [draft.Duration].
type duration struct{}

// Schema is for huma.
func (duration) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "Time from the first start after which it is stopped: text such as 2h30m, or whole seconds; 0 or empty for none",
		OneOf:       []*huma.Schema{{Type: huma.TypeString}, {Type: huma.TypeInteger}},
	}
}

// progress documents [run.Progress].
type progress struct {
	Step         int64     `json:"step" doc:"Newest step that every worker still taking part has reported: the step of the other numbers"`
	Loss         number    `json:"loss" doc:"Mean over workers; meaningless unless has_loss"`
	HasLoss      bool      `json:"has_loss"`
	TokensPerSec number    `json:"tokens_per_second" doc:"Sum over workers"`
	Participants int       `json:"participants" doc:"Workers running now"`
	UpdatedAt    time.Time `json:"updated_at,omitzero"`
}

// curvePoint documents [run.CurvePoint].
type curvePoint struct {
	Step    int64     `json:"step"`
	Mean    number    `json:"mean"`
	Min     number    `json:"min"`
	Max     number    `json:"max"`
	Sum     number    `json:"sum"`
	Workers int       `json:"workers" doc:"How many reported this step"`
	At      time.Time `json:"at" doc:"Newest of their times"`
}
