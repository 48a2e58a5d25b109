package api

import (
	"cmp"
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type importInput struct {
	Body struct {
		Project string `json:"project,omitempty" maxLength:"63" doc:"Whose registered secrets the import asks for; left out, the default one"`

		Text string `json:"text" doc:"CotrainCore's TOML, with lines of a shell among it that set ZERO_BAND_ variables or call torchrun; at most 64 KiB"`
	}
}

func (s *server) importConfig(ctx context.Context, in *importInput) (out draft.Import, err error) {
	im := trainconf.Import([]byte(in.Body.Text))
	if project := cmp.Or(in.Body.Project, access.DefaultProject); len(im.Secrets) > 0 && access.From(ctx).May(access.SecretsRead, project) {
		usable, err := s.Secrets.Secrets(ctx, project)
		if err != nil {
			return out, err
		}
		im.UseSecrets(usable)
	}
	return draft.ImportOf(im), nil
}

type textOutput struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

func (s *server) configSchema(context.Context, *struct{}) (*textOutput, error) {
	return &textOutput{ContentType: schemaType, Body: trainconf.JSONSchema()}, nil
}

type validateBody struct {
	Project string `json:"project,omitempty" maxLength:"63" doc:"Where the template is, if it names no project; left out, the default one"`
	Name    string `json:"name,omitempty" doc:"Checked when it is there: a configuration is often checked before the run has one"`
	draft.Source
	Bandwidth float64 `json:"bandwidth_bits_per_second,omitempty" minimum:"1" doc:"Between workers, in each direction: for the time of a sync"`
	GPUMemory int     `json:"gpu_memory_mib,omitempty" minimum:"0" maximum:"16777216" doc:"Of one GPU, where it is known better than by the model's name"`
}

func (s *server) validateConfig(ctx context.Context, in *body[validateBody]) (out draft.Validation, err error) {
	d, err := s.resolve(ctx, in.Body.Project, in.Body.Name, in.Body.Source)
	if err != nil {
		return out, err
	}
	return s.judged(ctx, &d, d.Validation(in.Body.Name != "", trainconf.EstimateInput{BandwidthBits: in.Body.Bandwidth, GPUMemoryMiB: in.Body.GPUMemory})), nil
}

// judged adds what the project and shared storage make of a draft.
func (s *server) judged(ctx context.Context, d *resolved, v draft.Validation) draft.Validation {
	errs, warns := s.Actions.Check(ctx)(d.Submission())
	v.Errors, v.Warnings = append(v.Errors, errs...), append(v.Warnings, warns...)
	v.Valid = len(v.Errors) == 0
	return v
}
