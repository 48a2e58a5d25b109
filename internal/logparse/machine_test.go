package logparse

import (
	"fmt"
	"strings"
	"testing"
)

func TestMachineLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", MaxName+1)
	checkLines(t, []lineTest{
		{"the shim's inner step",
			`COTRAIN {"v": 1, "kind": "metrics", "Loss": 4.123456789012345, "step": 12, "inner_lr": 4e-4, "Perplexity": 61.77, "total_tokens": 1048576, "time": 1732500000.25, "grad_norm": 0.5, "num_peers": 3, "z_loss": 1e-5}`,
			"sample 12 exact loss=4.123456789012345 learning_rate=0.0004 perplexity=61.77 total_tokens=1.048576e+06 time=1.73250000025e+09 grad_norm=0.5 num_peers=3 z_loss=1e-05"},
		{"the shim's outer step",
			`COTRAIN {"v":1,"kind":"metrics","outer_mfu":34.5,"step":50,"outer_step":1,"outer_tokens_per_second":9.5,"all_reduce_step":1.25}`,
			"sample 50 exact outer_mfu=34.5 outer_step=1 outer_tokens_per_second=9.5 all_reduce_step=1.25"},
		{"the kind at the end", `COTRAIN {"loss":1.5,"step":3,"kind":"metrics","v":1.0}`, "sample 3 exact loss=1.5"},
		{"Python's non-finite numbers", `COTRAIN {"v":1,"kind":"metrics","step":3,"loss":NaN,"a":Infinity,"b":-Infinity}`, "sample 3 exact loss=NaN a=+Inf b=-Inf"},
		{"the same as strings", `COTRAIN {"v":1,"kind":"metrics","step":3,"loss":"NaN","a":"Infinity","b":"-Infinity","c":"1.5"}`, "sample 3 exact loss=NaN a=+Inf b=-Inf"},
		{"null, words, lists and objects are no numbers", `COTRAIN {"v":1,"kind":"metrics","step":3,"loss":null,"a":true,"b":false,"c":[1,{"loss":2}],"d":{"loss":[]},"e":1}`, "sample 3 exact e=1"},
		{"a step in exponent form", `COTRAIN {"v":1,"kind":"metrics","step":1.202e3,"loss":1}`, "sample 1202 exact loss=1"},
		{"no step", `COTRAIN {"v":1,"kind":"metrics","loss":1}`, "sample exact loss=1"},
		{"a step of null", `COTRAIN {"v":1,"kind":"metrics","step":null,"loss":1}`, "sample exact loss=1"},
		{"a step and nothing else", `COTRAIN {"v":1,"kind":"metrics","step":7}`, "sample 7 exact"},
		{"nothing at all", `COTRAIN {"v":1,"kind":"metrics"}`, ""},
		{"a broken step", `COTRAIN {"v":1,"kind":"metrics","step":1.5,"loss":1}`, ""},
		{"a negative step", `COTRAIN {"v":1,"kind":"metrics","step":-1,"loss":1}`, ""},
		{"a step of NaN", `COTRAIN {"v":1,"kind":"metrics","step":NaN,"loss":1}`, ""},
		{"a step too large", `COTRAIN {"v":1,"kind":"metrics","step":1e300,"loss":1}`, ""},
		{"the last of a name counts", `COTRAIN {"v":1,"kind":"metrics","step":1,"Loss":1,"loss":2}`, "sample 1 exact loss=2"},
		{"escapes in names", `COTRAIN {"v":1,"kind":"metrics","step":1,"gr\u0061d\u005fnorm":1,"\u00b0C \ud83d\ude00\/\"\\":2}`, "sample 1 exact grad_norm=1 °C 😀/\"\\=2"},
		{"half a surrogate", `COTRAIN {"v":1,"kind":"metrics","step":1,"\ud83dx\ud83d\u0041":2}`, "sample 1 exact \ufffdx\ufffdA=2"},
		{"names that cannot be kept", `COTRAIN {"v":1,"kind":"metrics","step":1,"":1,"a\nb":1,"` + long + `":1,"` + "\xff" + `":1,"ok":1}`, "sample 1 exact ok=1"},
		{"numbers too long or too large are left out", `COTRAIN {"v":1,"kind":"metrics","step":1,"a":1` + strings.Repeat("0", 400) + `,"b":1e999,"c":2}`, "sample 1 exact c=2"},
		{"system", `COTRAIN {"v":1,"kind":"system","cpu":0.5,"gpu0/util":97,"system/net":3,"host":"a"}`, "sample exact system/cpu=0.5 system/gpu0/util=97 system/net=3"},
		{"system has no step", `COTRAIN {"v":1,"kind":"system","step":3,"cpu":0.5}`, "sample exact system/cpu=0.5"},
		{"system without numbers", `COTRAIN {"v":1,"kind":"system","host":"a"}`, ""},
		{"event", `COTRAIN {"v":1,"kind":"event","name":"checkpoint_saved","step":100,"path":"\/data\/step_100","seconds":3.5}`, "info checkpoint_saved 100 seconds=3.5 path=/data/step_100"},
		{"event with a level", `COTRAIN {"v":1,"kind":"event","name":"address_found","level":"warning","port":29400}`, "warning address_found port=29400"},
		{"event of any name", `COTRAIN {"v":1,"kind":"event","name":"a_9"}`, "info a_9"},
		{"event without a name", `COTRAIN {"v":1,"kind":"event"}`, ""},
		{"event of a bad name", `COTRAIN {"v":1,"kind":"event","name":"No"}`, ""},
		{"event of a long name", `COTRAIN {"v":1,"kind":"event","name":"` + strings.Repeat("a", 65) + `"}`, ""},
		{"unknown kind", `COTRAIN {"v":1,"kind":"future","step":1,"loss":1}`, ""},
		{"no kind", `COTRAIN {"v":1,"step":1,"loss":1}`, ""},
		{"another version", `COTRAIN {"v":2,"kind":"metrics","step":1,"loss":1}`, ""},
		{"no version", `COTRAIN {"kind":"metrics","step":1,"loss":1}`, ""},
		{"a version that is a string", `COTRAIN {"v":"1","kind":"metrics","step":1,"loss":1}`, ""},
		{"behind a prefix", `worker-1  | COTRAIN {"v":1,"kind":"metrics","step":1,"loss":1}`, "sample 1 exact loss=1"},
		{"with CRLF and colour", "\x1b[1mCOTRAIN {\"v\":1,\"kind\":\"metrics\",\"step\":1,\"loss\":1}\x1b[0m\r", "sample 1 exact loss=1"},
		{"logged at DEBUG", `03:22:58 [DEBUG] [Rank 0] COTRAIN {"v":1,"kind":"metrics","step":1,"loss":1}`, ""},
		{"quoted", `print('COTRAIN {"v":1,"kind":"metrics","step":1,"loss":1}')`, ""},
		{"without its prefix it is JSON as any other", `{"v":1,"kind":"metrics","step":1,"loss":1}`, "sample 1 v=1 loss=1"},
		{"too long", `COTRAIN {"v":1,"kind":"metrics","step":1,"loss":1,"x":"` + strings.Repeat("x", MaxLine) + `"}`, ""},
	})
}

func TestMalformedJSONIsNothing(t *testing.T) {
	t.Parallel()
	const good = `{"v":1,"kind":"metrics","step":1,"loss":1,"s":"a\u00e9\n","l":[1,{"a":null}],"t":true}`
	if sayLine("COTRAIN "+good) == "" {
		t.Fatal("the whole object is refused")
	}
	for cut := range len(good) {
		if got := sayLine("COTRAIN " + good[:cut]); got != "" {
			t.Errorf("%q gives %q", good[:cut], got)
		}
	}
	for _, value := range []string{
		"", "01", "-", "+1", "1.", ".5", "1e", "1e+", "1.e5", "--1", "1-2", "nan", "NAN", "nul", "nulls", "truex", "Infinityx", "'a'", `"a`, `"\x"`,
		`"\u12"`, `"\u12g4"`, `"\ud83d\u1"`, "\"\x01\"", "\"\\n\x01\"", "[1", "[1,]", "[,1]", "{1:2}", `{"a"}`, `{"a":}`, `{"a":1,}`, "1 2", "1}", "[1}", `{"a":1]`,
		strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2),
	} {
		line := `COTRAIN {"v":1,"kind":"metrics","step":1,"loss":1,"x":` + value + `}`
		if got := sayLine(line); got != "" {
			t.Errorf("%q gives %q", line, got)
		}
	}
	nested := strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1)
	if got := sayLine(`COTRAIN {"v":1,"kind":"metrics","step":1,"loss":1,"x":` + nested + `}`); got != "sample 1 exact loss=1" {
		t.Errorf("nesting within bounds gives %q", got)
	}
}

func TestNumbersOfOneLineAreBounded(t *testing.T) {
	t.Parallel()
	var printed, machine strings.Builder
	for i := range 3 * MaxMetrics {
		fmt.Fprintf(&printed, ", m_%d: %d", i, i)
		fmt.Fprintf(&machine, `,"m_%d":%d`, i, i)
	}
	var p Parser
	for _, line := range []string{
		"step: 1" + printed.String(),
		`COTRAIN {"v":1,"kind":"metrics","step":1` + machine.String() + "}",
		`COTRAIN {"v":1,"kind":"system"` + machine.String() + "}",
		`COTRAIN {"v":1,"kind":"event","name":"a"` + machine.String() + "}",
	} {
		res := p.Line([]byte(line))
		if n := len(res.Sample.Metrics) + len(res.Event.Metrics); n != MaxMetrics {
			t.Errorf("%.50q: %d numbers, want %d", line, n, MaxMetrics)
		}
	}
}

func TestNamesStayCorrectWhenTheirCacheIsFull(t *testing.T) {
	t.Parallel()
	var p Parser
	for i := range 4 * maxNames {
		for line, want := range map[string]string{
			fmt.Sprintf("step: 1, m_%d: 2", i):                         fmt.Sprintf("sample 1 m_%d=2", i),
			fmt.Sprintf(`COTRAIN {"v":1,"kind":"system","m_%d":2}`, i): fmt.Sprintf("sample exact system/m_%d=2", i),
		} {
			if got := say(p.Line([]byte(line))); got != want {
				t.Fatalf("%q gives %q, want %q", line, got, want)
			}
		}
	}
	if len(p.names.plain) > maxNames || len(p.names.system) > maxNames {
		t.Errorf("%d and %d names are cached, at most %d may be", len(p.names.plain), len(p.names.system), maxNames)
	}
}
