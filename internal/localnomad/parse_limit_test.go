package localnomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// withMeta is a job whose only interest is one expression, and what stands before the job.
func withMeta(top, expr string) string {
	return top + "\njob \"j\" {\n meta = { x = " + expr + " }\n}\n"
}

// chain is locals that are each made of the one before.
func chain(n int, first, next string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "locals {\n a0 = %s\n", first)
	for i := range n {
		fmt.Fprintf(&b, " a%d = %s\n", i+1, strings.ReplaceAll(next, "PREV", fmt.Sprintf("local.a%d", i)))
	}
	b.WriteString("}\n")
	return b.String()
}

func TestAJobFileThatAsksForTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	const (
		values, text   = "more than 500000 values", "more than 32 MiB of text"
		deep, elements = "nested more than 500 deep", "more than 2048 elements"
		bits           = "more than 16384 bits"
		four           = "[for a in range(1000) : [for b in range(1000) : [for c in range(1000) : [for d in range(1000) : 1]]]]"
	)
	long := `join("", [for i in range(1000) : "0123456789"])` // 10 kB
	longer := "locals {\n l = " + long + "\n m = join(\"\", [for i in range(100) : local.l])\n}\n"
	letters := strings.ReplaceAll(longer, "0123456789", "abcdefghij")
	list := "variable \"l\" {\n type = list(number)\n default = [" + strings.Repeat("1,", 2000) + "]\n}\n"
	for _, c := range []struct{ name, src, vars, want string }{
		{"nested for expressions", withMeta("", four), "", values},
		{"nested for expressions that count up nothing", withMeta(list, "[for a in var.l : [for b in var.l : [for c in var.l : [for d in var.l : 1]]]]"), "", values},
		{"nested for expressions over what is left out", withMeta(list, "[for a in var.l : [for b in var.l : [for c in var.l : 1 if false]]]"), "", values},
		{"nested for expressions in a template", withMeta(list, `"%{for a in var.l}%{for b in var.l}%{for c in var.l}x%{endfor}%{endfor}%{endfor}"`), "", values},
		{"a splat in for expressions", withMeta(list, "[for a in var.l : [for b in var.l : var.l[*].x]]"), "", values},
		{"a bomb that try would hide", withMeta("", "try("+four+", 1)"), "", values},
		{"a bomb that can would hide", withMeta("", "can("+four+") ? 1 : 2"), "", values},
		{"a bomb in a default", withMeta("variable \"v\" { default = [for a in [1,2,3,4,5,6,7,8] : [for b in ["+strings.Repeat("1,", 2000)+"] : [for c in ["+strings.Repeat("1,", 2000)+"] : 1]]] }", "1"), "", values},
		{"a bomb in the variables", withMeta("variable \"v\" {}", "1"), "v = [for a in [" + strings.Repeat("1,", 2000) + "] : [for b in [" + strings.Repeat("1,", 2000) + "] : b]]", values},
		{"a bomb in a rule", withMeta("variable \"v\" {\n default = 1\n validation {\n condition = length("+four+") > var.v\n error_message = \"x\"\n }\n}", "1"), "", values},
		{"a bomb in a condition", withMeta("", "[for a in range(1000) : [for b in range(1000) : [for c in range(1000) : 1 if a > b]]]"), "", values},
		{"a bomb in a driver's configuration", body("", "", "", "", "args = "+four), "", values},
		{"nested dynamic blocks", body("", "", `dynamic "network" {
  for_each = range(1000)
  content {
    dynamic "port" {
      for_each = range(1000)
      labels   = ["p${port.value}"]
      content {}
    }
  }
}`, "", ""), "", values},
		{"a bomb in a block of a driver's configuration", body("", "", "", "", "mount \"a\" {\n x = "+four+"\n }"), "", values},
		{"a list of lists of lists", withMeta(chain(40, "[1, 2]", "[PREV, PREV]"), "1"), "", values},
		{"text that doubles", withMeta(chain(40, `"0123456789"`, `"${PREV}${PREV}"`), "1"), "", text},
		{"text that is joined", withMeta(chain(10, `"0123456789"`, `join(PREV, range(1000))`), "1"), "", text},
		{"text in one template very often", withMeta(longer, `"`+strings.Repeat("${local.m}", 1000)+`"`), "", text},
		{"a wide format", withMeta("", `format("%2000000000d", 1)`), "", text},
		{"many wide formats", withMeta("", `format("`+strings.Repeat("%9999999d", 100)+`", `+strings.Repeat("1,", 99)+`1)`), "", text},
		{"one argument very often", withMeta(letters, `format("`+strings.Repeat("%[1]s", 3000)+`", local.m)`), "", text},
		{"a format of many", withMeta(longer, `formatlist("`+strings.Repeat("%[1]s", 100)+`%d", local.l, range(1000))`), "", text},
		{"an indent", withMeta("", `indent(2000000000, "a\nb")`), "", text},
		{"a replacement", withMeta(longer, `replace(local.m, "0", local.l)`), "", text},
		{"a replacement of nothing", withMeta(longer, `replace(local.m, "", local.l)`), "", text},
		{"a replacement by pattern", withMeta(longer, `regex_replace(local.l, ".", "`+strings.Repeat("$0", 5000)+`")`), "", text},
		{"a pattern that is much work", withMeta(longer, `regex_replace(local.l, "(a|b|.{1000}.{1000}.{1000}.{1000}){1}c", "")`), "", "a regular expression of"},
		{"a pattern that is long", withMeta(longer, `regex_replace("a", local.m, "")`), "", "a regular expression is read from more than 256 KiB"},
		{"a product of sets", withMeta("", "setproduct(range(1000), range(1000), range(1000))"), "", "setproduct makes more than"},
		{"a long list", withMeta("", "concat(range(1000), range(1000), range(1000))"), "", elements},
		{"a long literal", withMeta("", "["+strings.Repeat("1,", 3000)+"]"), "", elements},
		{"JSON that is deep", withMeta("locals {\n b = join(\"\", [for i in range(1000) : join(\"\", [for j in range(100) : \"[\"])])\n}", "jsondecode(local.b)"), "", deep},
		{"JSON that is long", withMeta(longer, "jsondecode(local.m)"), "", "JSON is read from more than 256 KiB"},
		{"YAML that is deep in brackets", withMeta("", `yamldecode(join("", [for i in range(1000) : "["]))`), "", deep},
		{"YAML that is deep in dashes", withMeta("", `yamldecode(join("", [for i in range(1000) : "- "]))`), "", deep},
		{"YAML that repeats itself", withMeta("", `yamldecode("a: &a [x, x]\n${join("", [for i in range(30) : "b${i}: &b${i} [*a, *a]\n"])}")`), "", "more than 20 aliases"},
		{"YAML that is long", withMeta(longer, "yamldecode(local.m)"), "", "YAML is read from more than 256 KiB"},
		{"a password that is much work", withMeta("", `bcrypt("a", 31)`), "", "a cost of bcrypt is more than 12"},
		{"a key that is long", withMeta(longer, `rsadecrypt("a", local.l)`), "", "rsadecrypt is given more than 8 KiB"},
		{"CSV that is long", withMeta(longer, "csvdecode(local.m)"), "", "CSV is read from more than 256 KiB"},
		{"digits that are many", withMeta(longer, "parseint(local.m, 10)"), "", "a number is read from more than 256 KiB"},
		{"digits that are a sum", withMeta(longer, "local.m + 1"), "", "a number is read from more than 256 KiB"},
		{"a large number", withMeta("", "1e600000000"), "", bits},
		{"a number in a loop", withMeta("", "[for i in range(3) : 1e600000000]"), "", bits},
		{"a large number in text", withMeta("", `"1e600000000" + 1`), "", bits},
		{"a large number to be written", withMeta("", `format("%d", "1e600000000")`), "", bits},
		{"large numbers to be written", withMeta("", `formatlist("%d", ["1e600000000"])`), "", bits},
		{"a large number for a function", withMeta("", `ceil("1e600000000")`), "", bits},
		{"a large number in JSON", withMeta("", `jsondecode("[1e600000000]")`), "", bits},
		{"a number that is squared", withMeta(chain(60, "3", "PREV * PREV"), "local.a60"), "", bits},
		{"a number that gets more precise", withMeta(chain(60, "1.0000001", "PREV * PREV"), "local.a60"), "", bits},

		{"brackets", "x = " + strings.Repeat("[", 100_000), "", deep},
		{"brackets that are closed", withMeta("", strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)), "", deep},
		{"some more brackets than may be", withMeta("", strings.Repeat("[", 600)+strings.Repeat("]", 600)), "", deep},
		{"brackets in the variables", withMeta("", "1"), "x = " + strings.Repeat("(", 100_000), deep},
		{"nested blocks", strings.Repeat("a {\n", 100_000), "", deep},
		{"negations", withMeta("", strings.Repeat("!", 100_000)+"true"), "", deep},
		{"signs", withMeta("", strings.Repeat("-", 100_000)+"1"), "", deep},
		{"a long sum", withMeta("", strings.Repeat("1+", 100_000)+"1"), "", deep},
		{"a sum over lines in brackets", withMeta("", "("+strings.Repeat("1+\n", 100_000)+"1)"), "", deep},
		{"a sum over lines in a for expression", withMeta("", "{for a in [1] : a => 1"+strings.Repeat("\n+1", 100_000)+"}"), "", deep},
		{"choices", withMeta("", strings.Repeat("true ? ", 100_000)+"1"), "", deep},
		{"indexes", withMeta("", "local.a"+strings.Repeat("[local.b]", 100_000)), "", deep},
		{"splats", withMeta("", "local.a"+strings.Repeat("[*]", 100_000)), "", deep},
		{"old splats", withMeta("", "local.a"+strings.Repeat(".*.b", 100_000)), "", deep},
		{"templates in templates", withMeta("", strings.Repeat(`"${`, 100_000)), "", deep},
		{"conditions in templates", withMeta("", `"`+strings.Repeat("%{if true}", 90_000)+`"`), "", deep},
		{"a text of very many lines", withMeta("", "<<EOT\n"+strings.Repeat("a\n", 100_000)+"EOT\n"), "", "pieces (lines, escapes and interpolations)"},
		{"a text of very many interpolations", withMeta("", "<<EOT\n"+strings.Repeat("a${1}\n", 50_000)+"EOT\n"), "", "pieces (lines, escapes and interpolations)"},
		{"a long file", strings.Repeat("# comment\n", 100_001), "", "the job file has more than 1000000 bytes"},
		{"long variables", withMeta("", "1"), strings.Repeat("# comment\n", 100_001), "the text of variables has more than 1000000 bytes"},

		{"brackets in a JSON file that is none", `{"a":nope,"b":` + strings.Repeat("[", 100_000), "", deep},
		{"brackets in a JSON file", `{"a":` + strings.Repeat("[", 100_000), "", deep},
		{"negations in a JSON file", `{"job":{"j":{"meta":{"x":"${` + strings.Repeat("!", 100_000) + `true}"}}}}`, "", deep},
		{"negations in a key of a JSON file", `{"job":{"j":{"meta":{"${` + strings.Repeat("!", 100_000) + `true}":"1"}}}}`, "", deep},
		{"nested for expressions in a JSON file", `{"job":{"j":{"meta":{"x":"${` + four + `}"}}}}`, "", values},
		{"nested for expressions in a key of a JSON file", `{"job":{"j":{"meta":{"${` + four + `}":"x"}}}}`, "", values},
		{"text that doubles in a JSON file", `{"locals":[{"a":"` + strings.Repeat("x", 1000) + `","b":"` + strings.Repeat("${local.a}", 100) + `","c":"` + strings.Repeat("${local.b}", 1000) + `"}],"job":{"j":{}}}`, "", text},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			job, err := parseJob(t.Context(), c.src, c.vars)
			t.Logf("%s: %v", time.Since(began).Round(time.Millisecond), err)
			var limit limitError
			if job != nil || !errors.As(err, &limit) || !strings.Contains(err.Error(), c.want) || !strings.HasSuffix(err.Error(), "the limit of this agent") {
				t.Errorf("got %.200v, want an error with %q", err, c.want)
			}
		})
	}
}

// TestALargeButHonestJobFileIsRead is the other side of the limits.
func TestALargeButHonestJobFileIsRead(t *testing.T) {
	t.Parallel()
	var tasks strings.Builder
	for i := range 100 {
		fmt.Fprintf(&tasks, "task \"t%d\" {\n driver = \"raw_exec\"\n env = { for n in range(50) : \"E${n}\" => \"${local.name}-${n}\" }\n template {\n data = <<EOT\n", i)
		for j := range 60 {
			fmt.Fprintf(&tasks, "%%{if var.on && %d > 1}line {{ %d }} [((( ${upper(local.name)}%%{endif}\n", j, j)
		}
		tasks.WriteString("EOT\n destination = \"local/x\"\n }\n config { command = \"c\" }\n}\n")
	}
	script := strings.Repeat("echo \\\"$${X}\\\" # a line of a script\\n", 5000)
	job := mustParse(t, `
variable "on" { default = true }
variable "script" {}
locals {
  name  = "n"
  sizes = { for p in setproduct(range(20), range(20)) : "${p[0]}x${p[1]}" => p[0] * p[1] + 1e100 }
}
job "j" {
  meta = { script = replace(var.script, "echo", "printf"), n = format("%05d %s", length(keys(local.sizes)), join(",", range(1000))) }
  group "g" {
`+tasks.String()+"}\n}\n", "script = \""+script+"\"\n")
	if got := len(job.TaskGroups[0].Tasks); got != 100 || job.TaskGroups[0].Tasks[99].Env["E49"] != "n-49" {
		t.Errorf("%d tasks", got)
	}
	if got := job.Meta; !strings.HasPrefix(got["n"], "00400 0,1,2,") || len(got["script"]) < 150_000 {
		t.Errorf("meta has %.40q and %d bytes", got["n"], len(got["script"]))
	}
}

func TestAJSONFileIsReadAsOneOfHCL(t *testing.T) {
	t.Parallel()
	job := mustParse(t, `{"variable":{"v":{"type":"list(string)","default":["a","b"]}},"locals":[{"k":"key"}],
		"job":{"j":{"meta":{"${local.k}":"${join(\"-\", [for x in var.v : upper(x)])}","plain":"$${X}","node":"${attr.cpu.arch}"},"group":{"g":{"count":2,
		"dynamic":{"network":{"for_each":"${[1]}","content":{"mode":"net${network.value}"}}},"task":{"t":{"driver":"raw_exec","config":{"command":"c","args":["${local.k}",1,true]}}}}}}}}`, "")
	tg := job.TaskGroups[0]
	if diff := cmp.Diff(map[string]string{"key": "A-B", "plain": "${X}", "node": "${attr.cpu.arch}"}, job.Meta); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{"key", int64(1), true}, tg.Tasks[0].Config["args"]); diff != "" || *tg.Count != 2 || tg.Networks[0].Mode != "net1" {
		t.Errorf("count %d, network %q, args %s", *tg.Count, tg.Networks[0].Mode, diff)
	}
	if _, err := parseJob(t.Context(), `{"job":{"j":{"meta":{"x":"${nope(1)}"}}}}`, ""); err == nil || !strings.Contains(err.Error(), "nope") {
		t.Errorf("an unknown function: %v", err)
	}
}

func TestReadingAJobFileEndsWithItsTimeAndItsReader(t *testing.T) {
	t.Parallel()
	src := withMeta("", "[for a in range(10) : a]")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := parseJob(gone, src, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("without a reader: %v", err)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if _, err := parseJob(late, src, ""); err == nil || err.Error() != "it takes longer than 10s to evaluate, the limit of this agent" {
		t.Errorf("without time: %v", err)
	}
}

// TestReadingAJobFileKeepsNobodyWaiting has files read while the agent's state is locked, by the test.
func TestReadingAJobFileKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	bomb, err := json.Marshal(map[string]string{"JobHCL": withMeta("", "[for a in range(1000) : [for b in range(1000) : [for c in range(1000) : 1]]]")})
	if err != nil {
		t.Fatal(err)
	}
	good, err := json.Marshal(map[string]string{"JobHCL": withMeta("", "1")})
	if err != nil {
		t.Fatal(err)
	}
	a.s.st.mu.Lock()
	defer a.s.st.mu.Unlock()
	if text, code := a.do("POST", "/v1/jobs/parse", string(bomb)); code != http.StatusBadRequest || text != "Failed to parse job: its expressions make more than 500000 values, the limit of this agent" {
		t.Errorf("%d %.300s", code, text)
	}
	if text, code := a.do("POST", "/v1/jobs/parse", string(good)); code != http.StatusOK {
		t.Errorf("%d %.300s", code, text)
	}
}
