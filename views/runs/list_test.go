package runs

import (
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestACountSaysWhereItStops(t *testing.T) {
	t.Parallel()
	for c, want := range map[run.Count]string{{}: "0", {N: 7}: "7", {N: 10_000, More: true}: "10,000+", {More: true}: ""} {
		if got := count(c); got != want {
			t.Errorf("%+v is shown as %q, want %q", c, got, want)
		}
	}
}
