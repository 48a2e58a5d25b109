package trainconf_test

import (
	"errors"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

func TestAReferenceNamesARunAPresetOrATemplate(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]trainconf.Ref{
		"run:r-0123456789": {Run: "r-0123456789"}, "preset:7B": {Preset: "7B"}, "template:7B": {Preset: "7B"}, "template:7B@2": {Template: run.TemplateRef{Name: "7B", Version: 2}},
		"template:mine": {Template: run.TemplateRef{Name: "mine"}}, "template:mine@2": {Template: run.TemplateRef{Name: "mine", Version: 2}},
		"template:vision/mine@2": {Template: run.TemplateRef{Project: "vision", Name: "mine", Version: 2}},
	} {
		if got, err := trainconf.ParseRef("a", ref); err != nil || got != want {
			t.Errorf("%s: %+v, %v", ref, got, err)
		} else if again, err := trainconf.ParseRef("a", got.String()); err != nil || again != want {
			t.Errorf("%s is written as %s", ref, got)
		}
	}
	for ref, missing := range map[string]bool{
		"run:7B": true, "run": true, "preset:nobody": true, "preset:7B@2": true, "template:x@0": true, "template:x@": true, "template:x@y": true, "template:../x": true, "template:/x": true, "template:a/b/x": true, "template:A/x": true, "": false, "7B": false,
		"sweep:s-0123456789": false,
	} {
		got, err := trainconf.ParseRef("a", ref)
		bad := trainconf.AsFieldErrors(err)
		if got != (trainconf.Ref{}) || errors.Is(err, fault.ErrNotFound) != missing || (len(bad) == 1 && bad[0].Field == "a" && bad[0].Fix != "") == missing {
			t.Errorf("%q: %+v, %v", ref, got, err)
		}
	}
}
