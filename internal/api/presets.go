package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/trainconf"
)

func (s *server) listPresets(context.Context, *struct{}) (*body[client.PresetList], error) {
	out := &body[client.PresetList]{}
	for _, p := range trainconf.Presets() {
		out.Body.Items = append(out.Body.Items, client.Preset{Name: p.Name, Title: p.Title, Description: p.Description, Config: string(p.Config.TOML()), Shape: p.Shape})
	}
	return out, nil
}
