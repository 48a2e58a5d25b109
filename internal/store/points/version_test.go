package points

import (
	"fmt"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestAVersionNeverReturns(t *testing.T) {
	t.Parallel()
	ps := New(nil)
	version := func(id run.ID) int64 {
		n, err := ps.PointsVersion(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	seen := map[int64]bool{version("a"): true}
	for n := range 3 * versionedRuns {
		before, other := version("a"), version("b")
		if n%1000 == 0 {
			ps.changed("a")
			if v := version("a"); seen[v] || v <= before {
				t.Fatalf("after change %d the version is %d again", n, v)
			}
			seen[version("a")] = true
		}
		ps.changed(run.ID(fmt.Sprint(n)))
		if version("a") < before || version("b") < other {
			t.Fatalf("after change %d a version is less than before", n)
		}
	}
	if len(ps.versions.of) > versionedRuns {
		t.Errorf("%d runs are listed", len(ps.versions.of))
	}
}
