package static_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os/exec"
	"testing"

	"github.com/cotrain/cotrain/views/ui"
)

// TestTheBrowserRoundsAsTheServerDoes compares what a page is rendered with and what its script writes in its place.
func TestTheBrowserRoundsAsTheServerDoes(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed (make build needs it too)")
	}
	values := []float64{3.125, -3.125, 2.675, 9.995, 9.996, 999.4, 999.5, 100.5, 1000, 999_950, 0.0001234, 0, 9.9994e-5, 9.9996e-5, 0.0009996, 0.99951, 999.5e12, 9.9949e14, 9.995e14, 1e308, 5e-324}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		values = append(values, rng.Float64()*20, float64(rng.IntN(80_000))/8, float64(rng.IntN(100_000))/1000, rng.ExpFloat64()*1e6, (rng.Float64()-0.5)*math.Pow10(rng.IntN(28)-8))
	}
	in, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "--input-type=module", "-e",
		`import { number } from "./js/ui/numbers.js"; import { readFileSync } from "fs"; console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(number)));`)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got []string
	if err := json.Unmarshal(out, &got); err != nil || len(got) != len(values) {
		t.Fatalf("%d numbers, %v", len(got), err)
	}
	for i, v := range values {
		if want := ui.Number(v); got[i] != want {
			t.Errorf("%v is %s in the browser and %s on the server", v, got[i], want)
		}
	}
}
