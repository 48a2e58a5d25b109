package app

import (
	"slices"
	"testing"

	"github.com/cotrain/cotrain/internal/config"
)

func TestTheReferenceTrainerStandsInOnlyWhereNoOtherIsNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		dev     bool
		job     config.Job
		command []string
		trainer string
	}{
		{"dev", true, config.Job{}, []string{"/bin/cotrain", "trainer"}, ""},
		{"dev with a trainer for torchrun", true, config.Job{Trainer: "train.py"}, nil, "train.py"},
		{"dev with a command", true, config.Job{TrainCommand: []string{"python3", "x.py"}}, []string{"python3", "x.py"}, ""},
		{"a cluster", false, config.Job{}, nil, ""},
	} {
		if got := jobSettings(config.Config{Dev: tt.dev, Job: tt.job}, "", "/bin/cotrain"); !slices.Equal(got.Command, tt.command) || got.Trainer != tt.trainer {
			t.Errorf("%s: %q, %q", tt.name, got.Command, got.Trainer)
		}
	}
}
