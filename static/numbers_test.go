package static_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/views/ui"
)

// numbers are the exports of js/ui/numbers.js.
const numbers = `import { number, axisLabels, powerOf, integer, duration } from "./js/ui/numbers.js";`

// evaluate runs expressions after a script and returns the value of each as JSON.
func evaluate(t *testing.T, script string, expressions []string) map[string]string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed (make build needs it too)")
	}
	cmd := exec.CommandContext(t.Context(), node, "--input-type=module", "-e",
		script+` console.log(JSON.stringify([`+strings.Join(expressions, ",")+`]));`)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var values []json.RawMessage
	if err := json.Unmarshal(out, &values); err != nil || len(values) != len(expressions) {
		t.Fatalf("%v: %s", err, out)
	}
	got := map[string]string{}
	for i, v := range values {
		got[expressions[i]] = string(v)
	}
	return got
}

// written asserts what expressions come to after a script.
func written(t *testing.T, script string, want map[string]string) {
	t.Helper()
	for expression, got := range evaluate(t, script, slices.Sorted(maps.Keys(want))) {
		if got != want[expression] {
			t.Errorf("%s: %s, want %s", expression, got, want[expression])
		}
	}
}

func TestTheLabelsOfAnAxisSayWhereItsTicksAre(t *testing.T) {
	t.Parallel()
	written(t, numbers, map[string]string{
		`axisLabels([4.25, 4.5, 4.75, 5], 0.25)`:             `["4.25","4.50","4.75","5.00"]`,
		`axisLabels([0, 2.5, 5], 2.5)`:                       `["0","2.5","5.0"]`,
		`axisLabels([2, 4, 6], 2)`:                           `["2","4","6"]`,
		`axisLabels([-0.2, -0.1, 0, 0.1], 0.1)`:              `["-0.2","-0.1","0","0.1"]`,
		`axisLabels([4250, 4500, 4750], 250)`:                `["4.25 k","4.50 k","4.75 k"]`,
		`axisLabels([100000, 200000], 100000)`:               `["100 k","200 k"]`,
		`axisLabels([2.0000005, 2.000001], 5e-7)`:            `["2.0000005","2.0000010"]`,
		`axisLabels([0.3, 0.1+0.2], 0.1)`:                    `["0.3","0.3"]`,
		`axisLabels([0.8, 1, 1.2], 0.2, powerOf([[1e308]]))`: `["0.8e308","1.0e308","1.2e308"]`,
		`axisLabels([-5, 5], 5, powerOf([[null, -3e-7]]))`:   `["-5e-7","5e-7"]`,
	})
}

func TestTheScriptWritesNumbersAsTheServerDoes(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		`powerOf([[1, null], [undefined, 9e14]])`: `0`, `powerOf([[0]])`: `0`, `powerOf([[1e-4]])`: `0`, `powerOf([[]])`: `0`, `number(NaN)`: `"NaN"`, `number(-Infinity)`: `"-Inf"`,
	}
	for _, v := range []float64{0, 0.00001234, 1e-300, 0.00123, 4.5678, 9.995, 999.4, 999.7, 12345.6, 1e15, -1.5e308} {
		want[fmt.Sprintf("number(%v)", v)] = fmt.Sprintf("%q", ui.Number(v))
	}
	for _, n := range []int64{0, 999, 1234567, -1000} {
		want[fmt.Sprintf("integer(%d)", n)] = fmt.Sprintf("%q", ui.Integer(n))
	}
	for _, s := range []float64{-3, 0.4, 59.6, 3599, 7500, 277200} {
		want[fmt.Sprintf("duration(%v)", s)] = fmt.Sprintf("%q", ui.Duration(time.Duration(s*float64(time.Second))))
	}
	written(t, numbers, want)
}
