package storage

import (
	"fmt"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// BenchmarkCheckPathsOfAFormWhoseDatasetIsMissing is the slowest look at paths: every folder for datasets is read.
func BenchmarkCheckPathsOfAFormWhoseDatasetIsMissing(b *testing.B) {
	f := openAt(b, b.TempDir(), Options{})
	for i := range 1000 {
		f.write(fmt.Sprintf("datasets/raw/set-%d/x", i), "x")
		f.checkpoint(fmt.Sprintf("models/checkpoints/mine/step_%d", i))
	}
	var c trainconf.Config
	for field, value := range map[string]string{"data.dataset_name_or_paths": "datasets/raw/sets-1,datasets/none", "ckpt.path": "models/checkpoints/mine", "ckpt.resume": "models/checkpoints/mine/step_1001"} {
		if err := c.Set(field, value); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if errs, warns := f.CheckPaths(b.Context(), c, run.Shape{}); len(errs) != 1 || len(warns) != 2 {
			b.Fatal(errs, warns)
		}
	}
}
