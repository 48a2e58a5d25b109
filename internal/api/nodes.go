package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type listNodesOutput struct {
	Body struct {
		Items []run.Node `json:"items" nullable:"false"`
	}
}

func (s *server) listNodes(ctx context.Context, _ *struct{}) (*listNodesOutput, error) {
	nodes, err := s.Actions.Nodes(ctx)
	out := &listNodesOutput{}
	out.Body.Items = notNil(nodes)
	for i := range nodes {
		nodes[i].GPUs, nodes[i].Uses = notNil(nodes[i].GPUs), notNil(nodes[i].Uses)
	}
	return out, err
}

type presetBody struct {
	Name        string    `json:"name" doc:"For preset of a submission"`
	Title       string    `json:"title"`
	Description string    `json:"description"`
	Config      string    `json:"config" doc:"CotrainCore TOML"`
	Shape       run.Shape `json:"shape" doc:"One that fits it"`
}

type listPresetsOutput struct {
	Body struct {
		Items []presetBody `json:"items" nullable:"false"`
	}
}

func (s *server) listPresets(context.Context, *struct{}) (*listPresetsOutput, error) {
	out := &listPresetsOutput{}
	for _, p := range trainconf.Presets() {
		out.Body.Items = append(out.Body.Items, presetBody{p.Name, p.Title, p.Description, string(p.Config.TOML()), p.Shape})
	}
	return out, nil
}
