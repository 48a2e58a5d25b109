package trainconf

import (
	"slices"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestGoingBackWithoutCheckpointsIsWarnedOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"[train]\n": true, "[train]\n[ckpt]\npath = \"models/x\"\ninterval = 10\n": false} {
		c, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		warns := Request{Options: run.Options{OnNaN: run.PolicyRollback}}.rollbackWarnings(c)
		if got := slices.ContainsFunc(warns, func(w run.FieldError) bool { return w.Field == "on_nan" }); got != want {
			t.Errorf("%q: %v", text, warns)
		}
	}
}
