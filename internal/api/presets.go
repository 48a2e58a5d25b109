package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/trainconf"
)

func (s *server) listPresets(context.Context, *struct{}) (out client.PresetList, err error) {
	for _, p := range trainconf.Presets() {
		out.Items = append(out.Items, client.Preset{Name: p.Name, Title: p.Title, Description: p.Description, Config: string(p.Config.TOML()), Shape: p.Shape})
	}
	return out, nil
}
