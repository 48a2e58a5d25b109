package trainconf

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func TestParseReadsWhatPeopleWrite(t *testing.T) {
	t.Parallel()
	got, err := Parse([]byte("\xef\xbb\xbf" + `# a comment with {braces} and [brackets]
name_model = "10B"     # the big one
optim.batch_size = 128 # dotted
optim.total_steps = 1_000_000
optim.optim = { lr = 7.5e-5, betas1 = 0.9 }

[train]
micro_bs = 0x1
ac_ckpt = true

[data]
seq_length = 8192.0
dataset_name_or_paths = 'a,b'
dataset_ratio = "55:45"

[diloco]
inner_steps = 100
outer_lr = 1
` + "\r\n[ckpt]\r\npath = \"\"\"/data/\\u00e9\"\"\"\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := with(Config{}, "name_model", "10B", "optim.batch_size", "128", "optim.total_steps", "1000000", "optim.optim.lr", "7.5e-5",
		"optim.optim.betas1", "0.9", "train.micro_bs", "1", "train.ac_ckpt", "true", "data.seq_length", "8192",
		"data.dataset_name_or_paths", "a,b", "data.dataset_ratio", "55:45", "diloco.inner_steps", "100", "diloco.outer_lr", "1", "ckpt.path", "/data/é")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got.TOML(), want.TOML())
	}
}

func TestTOMLIsStableAndAlwaysHasTheTrainTable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"nothing set", Config{}, "[train]\n"},
		{"every kind of value",
			with(Config{}, "ckpt.remote.interval", "10", "train.memory_profiler.freq", "5", "train.ac_ckpt", "2", "optim.optim.lr", "1",
				"data.fake", "true", "optim.warmup_steps", "0", "optim.optim.weight_decay", "7.5e-5", "name_model", "1B", "ckpt.path", `C:\a "b"`),
			"name_model = \"1B\"\n\n[data]\nfake = true\n\n[optim]\nwarmup_steps = 0\n\n[optim.optim]\nlr = 1.0\nweight_decay = 7.5e-5\n\n" +
				"[train]\nac_ckpt = 2\n\n[train.memory_profiler]\nfreq = 5\n\n[ckpt]\npath = \"C:\\\\a \\\"b\\\"\"\n\n[ckpt.remote]\ninterval = 10\n"},
	} {
		if got := string(tt.cfg.TOML()); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

func TestParseReportsEveryProblemWithItsLine(t *testing.T) {
	t.Parallel()
	cfg, err := Parse([]byte(`name_model = "2B"
optim.batch_size = "512"
stepps.x = 1
[optim.optim]
lr = "fast"
momentum = 0.9
[optimm]
lr = 1
[diloco]
[[ckpt]]
path = "a"
[train]
micro_bs = true
ac_ckpt = 1.5
[data]
seq_length = [1]
fake = 1
num_workers = 1979-05-27
dataset_ratio = 1
max_train_samples = {a = 1}
val_dataset_name_or_paths = "a, b"
dataset_name_or_paths = ""
"data.fake" = true
`))
	var errs run.FieldErrors
	if !errors.As(err, &errs) || !errors.Is(err, fault.ErrInvalid) {
		t.Fatalf("got %v, want run.FieldErrors", err)
	}
	want := []struct{ field, rule, fix string }{
		{"name_model", "line 1: must be one of debugmodel", "use 1B"},
		{"optim.batch_size", "line 2: must be a whole number from 1 to 100000000, not text in quotes", "use 512"},
		{"stepps.x", "line 3: is not a setting", "remove it"},
		{"optim.optim.lr", "line 5: must be a number, more than 0 and at most 100, not text in quotes", "use 0.0004"},
		{"optim.optim.momentum", "line 6: is not a setting", "remove it"},
		{"optimm", "line 7: is not a setting", "use optim"},
		{"diloco.inner_steps", "line 9: must be set when [diloco] is used", "use 100"},
		{"ckpt", "line 10: must be a table", "write [ckpt]"},
		{"train.micro_bs", "line 13: must be a whole number from 1 to 65536, not true or false", "use 1"},
		{"train.ac_ckpt", "line 14: must be true, false, or a whole number from 1 to 1024, not a decimal number", "use false"},
		{"data.seq_length", "line 16: must be a whole number from 1 to 16777216, not a list", "use 1024"},
		{"data.fake", "line 17: must be true or false, not a whole number", "use false"},
		{"data.num_workers", "line 18: must be a whole number from 0 to 1024, not a date", "use 4"},
		{"data.dataset_ratio", "line 19: must be positive numbers separated by colons, not a whole number", `use "55:45"`},
		{"data.max_train_samples", "line 20: must be a whole number from 1 to 1000000000000000, not a table", "use 100000"},
		{"data.val_dataset_name_or_paths", "line 21: has white space", `use "a,b"`},
		{"data.dataset_name_or_paths", "line 22: is empty", `use "datasets/fineweb-edu"`},
		{`data."data.fake"`, "line 23: is not a setting", ""},
	}
	if len(errs) != len(want) {
		t.Errorf("got %d errors, want %d:\n%v", len(errs), len(want), errs)
	}
	for i := range min(len(errs), len(want)) {
		if errs[i].Field != want[i].field || !strings.HasPrefix(errs[i].Rule, want[i].rule) || !strings.HasPrefix(errs[i].Fix, want[i].fix) {
			t.Errorf("error %d is\n%+v, want\n%+v", i, errs[i], want[i])
		}
	}
	if cfg.DiLoCo() || len(cfg.Paths()) != 0 {
		t.Errorf("understood %v, although every key is wrong", cfg.Paths())
	}
}

func TestParseKeepsWhatItUnderstoodBesideErrors(t *testing.T) {
	t.Parallel()
	cfg, err := Parse([]byte("name_model = '1B'\nnope = 1\n[train]\n"))
	if err == nil || cfg != with(Config{}, "name_model", "1B") {
		t.Errorf("got %v and %v", cfg.Paths(), err)
	}
}

func TestParseWantsTheTableWithoutWhichTheCoreDoesNotStart(t *testing.T) {
	t.Parallel()
	cfg, err := Parse([]byte("name_model = '1B'\n"))
	errs := AsFieldErrors(err)
	if len(errs) != 1 || errs[0].Field != "train" || errs[0].Fix != "add a line [train]" || cfg != with(Config{}, "name_model", "1B") {
		t.Errorf("got %v", err)
	}
	for _, text := range []string{"[train]", "train.micro_bs = 1", "train = {}", "[train.memory_profiler]\nsnapshot_dir = 'x'"} {
		if _, err := Parse([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParseRefusesWhatIsNotTOML(t *testing.T) {
	t.Parallel()
	deep := func(open, end string, n int) string {
		return "x = " + strings.Repeat(open, n) + "1" + strings.Repeat(end, n)
	}
	for _, tt := range []struct{ name, in, rule string }{
		{"a key without a value", "a =\n", "line 1: is not TOML"},
		{"a key twice", "name_model = '1B'\nname_model = '1B'\n", "line 2: is not TOML"},
		{"a table twice", "[train]\n[data]\n[train]\n", "line 3: is not TOML"},
		{"an unclosed string", "project = \"abc\nname_model = '1B'\n", "line 1: is not TOML"},
		{"binary", "\x00\x01\x02\xff", "must be UTF-8"},
		{"UTF-16", "\xff\xfea\x00", "must be UTF-8"},
		{"NUL bytes", "a = '\x00'", "is not TOML"},
		{"HTML", "<!doctype html>\n<title>Not found</title>", "line 1: is not TOML"},
		{"more than 64 KiB", strings.Repeat("# ten bytes", 6000), "must be at most 65536 bytes"},
		{"deep inline tables", deep("{a=", "}", 12000), "nests keys too deeply"},
		{"deep inline tables after a comment", "x = [ # \"\"\"\n" + strings.Repeat("{a=", 12000), "nests keys too deeply"},
		{"deep inline tables after texts that end with quotes", "x = [\"\"\"a\"\"\"\"\", '''a\\''''', \"a\\\"#\", 'a\\', " + strings.Repeat("{a=", 12000), "nests keys too deeply"},
		{"deep inline tables over lines", "x = [" + strings.Repeat("\n{a=[", 9000), "nests lists too deeply"},
		{"a deep dotted key", strings.Repeat("a.", 30000) + "a = 1", "nests keys too deeply"},
		{"many keys below a deep header", "[" + strings.Repeat("a.", 900) + "a]\n" + strings.Repeat("b = 1\n", 6000), "nests keys too deeply"},
		{"a deep header after a byte order mark", "\xef\xbb\xbf[" + strings.Repeat("a.", 900) + "a]\n" + strings.Repeat("b = 1\n", 6000), "nests keys too deeply"},
		{"deep lists", "[train]\n" + deep("[", "]", 30000), "line 2: nests lists too deeply"},
		{"deep lists without an end", "a=" + strings.Repeat("[", 65000), "line 1: nests lists too deeply"},
		{"deep lists over lines", "a=[\n[[]], # ]]]\n']]]', \"\"\"\n]]]\"\"\"," + strings.Repeat("\n[ # ]", 9000), "nests lists too deeply"},
		{"deep lists that look closed", "a=['" + "]" + "'," + strings.Repeat("[\"]\",", 9000), "nests lists too deeply"},
		{"lists in a list", "[train]\nx = " + "[" + strings.Repeat("[[], ']'],", 6000) + "]", "is not a setting"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(tt.in))
			var errs run.FieldErrors
			if !errors.As(err, &errs) || len(errs) != 1 || !strings.Contains(errs[0].Rule, tt.rule) {
				t.Fatalf("got %v, want one error with %q", err, tt.rule)
			}
			if len(errs[0].Rule) > 400 || len(errs[0].Value) > 200 {
				t.Errorf("the error is too long: %v", errs[0])
			}
		})
	}
}

func TestWhatCommentsAndTextsHoldNestsNothing(t *testing.T) {
	t.Parallel()
	const config = "# {run}\n[ckpt]\npath = '/shared/{run}' # {run} [[[[[[[[[[[[[[[[[[[[ { \"\"\"\n[train]\n"
	comments := strings.Repeat("# as {a.b.c.d} and {e.f.g.h} say, '''"+strings.Repeat("[", 20)+"\n", 500)
	c, err := Parse([]byte(comments + config + comments))
	if path, _ := c.Get("ckpt.path"); err != nil || path != "/shared/{run}" {
		t.Errorf("path %q, %v", path, err)
	}
	im := Import([]byte(strings.Repeat("# {run}\n", 100) + config))
	if len(im.Errors) > 0 {
		t.Errorf("imported: %v", im.Errors)
	}
	_, err = Parse([]byte("[train]\nproject = \"\"\"" + strings.Repeat("{a = {b.c.d.e.f.g}}\n", 1000) + "\"\"\"\n"))
	if err != nil && strings.Contains(err.Error(), "nests") {
		t.Errorf("a text: %v", err)
	}
}

func TestParseBoundsTheNumberOfErrors(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("train.micro_bs = 1\n")
	for i := range 5000 {
		fmt.Fprintf(&b, "key%d = 1\n", i)
	}
	_, err := Parse([]byte(b.String()))
	var errs run.FieldErrors
	if !errors.As(err, &errs) || len(errs) != maxFaults+1 || !strings.Contains(errs[maxFaults].Rule, "4950 more") {
		t.Fatalf("got %d errors, the last %v", len(errs), errs[len(errs)-1])
	}
}

// anyConfig draws a configuration with any fields set to any valid values.
func anyConfig(t *rapid.T) Config {
	var c Config
	for _, f := range Fields() {
		if !rapid.Bool().Draw(t, f.Path+" set") {
			continue
		}
		var text string
		switch f.Type {
		case Choice:
			text = rapid.SampledFrom(f.Choices).Draw(t, f.Path)
		case Int:
			text = fmt.Sprint(rapid.Int64Range(int64(*f.Min), int64(*f.Max)).Draw(t, f.Path))
		case Float:
			text = fmt.Sprint(rapid.Float64Range(*f.Min, *f.Max).Draw(t, f.Path))
		case Bool:
			text = rapid.SampledFrom([]string{"true", "false"}).Draw(t, f.Path)
		case IntOrBool:
			text = rapid.SampledFrom([]string{"true", "false", "1", "7"}).Draw(t, f.Path)
		case Ratio:
			text = rapid.StringMatching(`[1-9][0-9]{0,2}(\.5)?(:[1-9]){0,4}`).Draw(t, f.Path)
		default:
			text = rapid.String().Draw(t, f.Path)
		}
		// Open bounds, control characters and empty list items may still be drawn; then the field stays unset.
		if err := c.Set(f.Path, text); err != nil && f.Type != Float && f.Type != String && f.Type != StringList {
			t.Fatalf("Set(%q, %q): %v", f.Path, text, err)
		}
	}
	return c
}

func TestParseReadsBackExactlyWhatTOMLWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := anyConfig(t)
		data := c.TOML()
		back, err := Parse(data)
		// A table of which only unset fields remain cannot occur: TOML writes a header only above a value.
		if err != nil || back != c {
			t.Fatalf("read back %v, %v from\n%s", back.Paths(), err, data)
		}
		if !bytes.Equal(back.TOML(), data) {
			t.Fatalf("the second writing differs:\n%s\n%s", data, back.TOML())
		}
		for _, path := range c.Paths() {
			text, _ := c.Get(path)
			var d Config
			if err := d.Set(path, text); err != nil || d.Effective(path) != text {
				t.Fatalf("%s: the canonical text %q does not stand for itself: %v", path, text, err)
			}
		}
		shape := run.Shape{Nodes: rapid.IntRange(-1, 2000).Draw(t, "nodes"), GPUs: rapid.IntRange(-1, 100).Draw(t, "gpus")}
		_, _ = c.Validate(shape)
		if p := c.Plan(shape); p.StepsTotal < p.StepsAsked || p.TokensTotal < 0 || p.SyncBytes < 0 || p.StepsTotal-p.StepsAsked >= max(1, p.InnerSteps) {
			t.Fatalf("plan %+v", p)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, p := range Presets() {
		f.Add(p.Config.TOML())
	}
	f.Add([]byte("[diloco]\n[[ckpt]]\na.b.c = {x = [{y = 1}]}\n\"train.micro_bs\" = 1979-05-27T07:32:00Z\n"))
	f.Add([]byte("\xef\xbb\xbfname_model = '''1B'''\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			var errs run.FieldErrors
			if !errors.As(err, &errs) || len(errs) == 0 || len(errs) > maxFaults+1 {
				t.Fatalf("%d errors: %v", len(errs), err)
			}
			return
		}
		back, err := Parse(c.TOML())
		if err != nil || back != c {
			t.Fatalf("%q does not survive: %v\n%s", data, err, c.TOML())
		}
	})
}

func BenchmarkValidateAndEncode(b *testing.B) {
	p, _ := PresetByName("10B-diloco")
	b.ReportAllocs()
	for b.Loop() {
		errs, _ := p.Config.Validate(p.Shape)
		if len(errs) > 0 || len(p.Config.TOML()) == 0 {
			b.Fatal(errs)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	p, _ := PresetByName("10B-diloco")
	data := p.Config.TOML()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func TestANumberThatNothingCanHoldIsTheFieldsOwnMistake(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"[optim]\ntotal_steps = 99999999999999999999", `optim.total_steps = "99999999999999999999": line 2: must be a whole number from 1 to 1000000000000000; use 1000000000000000`},
		{"optim.total_steps = -99_999_999_999_999_999_999", `optim.total_steps = "-99_999_999_999_999_999_999": line 1: must be a whole number from 1 to 1000000000000000; use 1`},
		{"optim = { optim = { lr = 1e400 } }", `optim.optim.lr = "1e400": line 1: must be a number, more than 0 and at most 100; use 100`},
		{"train.ac_ckpt = 0xffffffffffffffffff # all", `train.ac_ckpt = "0xffffffffffffffffff": line 1: must be true, false, or a whole number from 1 to 1024; use 1024`},
		{"project = 99999999999999999999", `project = "99999999999999999999": line 1: must be text of at most 4096 bytes on one line, not a whole number; use "99999999999999999999"`},
		{"nope = 99999999999999999999", `nope = "99999999999999999999": line 1: is not a setting that CotrainCore knows; remove it`},
	} {
		text := tt.text + "\n[data]\nseq_length = 8\n"
		if !strings.HasPrefix(text, "train.") {
			text += "[train]\n"
		}
		cfg, err := Parse([]byte(text))
		if errs := AsFieldErrors(err); len(errs) != 1 || errs[0].Error() != tt.want || cfg.Effective("data.seq_length") != "8" {
			t.Errorf("%q: %v\nwant %s", tt.text, err, tt.want)
		}
	}
	_, err := Parse([]byte(strings.Repeat("[[a]]\nb = 99999999999999999999\n", 1000)))
	if errs := AsFieldErrors(err); len(errs) == 0 || len(errs) > maxFaults+1 {
		t.Errorf("%d errors", len(errs))
	}
}

func TestAValueOfAnotherTypeIsToldWithTheOneThatWasMeant(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`optim.batch_size = "64"`:                      `optim.batch_size = "64": line 1: must be a whole number from 1 to 100000000, not text in quotes; use 64`,
		`optim.batch_size = "many"`:                    `optim.batch_size = "many": line 1: must be a whole number from 1 to 100000000, not text in quotes; use 512`,
		`data.fake = "true"`:                           `data.fake = "true": line 1: must be true or false, not text in quotes; use true`,
		`project = 5`:                                  `project = "5": line 1: must be text of at most 4096 bytes on one line, not a whole number; use "5"`,
		`data.dataset_name_or_paths = ["a", "b"]`:      `data.dataset_name_or_paths = "[\"a\", \"b\"]": line 1: must be one or more items separated by commas, not a list; use "a,b"`,
		`data.dataset_ratio = [55, 45]`:                `data.dataset_ratio = "[55, 45]": line 1: must be positive numbers separated by colons, not a list; use "55:45"`,
		`optim.batch_size = [1, {a = 2}]`:              `optim.batch_size = "(a list)": line 1: must be a whole number from 1 to 100000000, not a list; use 512`,
		`project = {a = 1}`:                            `project = "(a table)": line 1: must be text of at most 4096 bytes on one line, not a table; use "zeroband"`,
		`optim.optim.lr = "3e-4"`:                      `optim.optim.lr = "3e-4": line 1: must be a number, more than 0 and at most 100, not text in quotes; use 0.0003`,
		`data.dataset_name_or_paths = [[1], "secret"]`: `data.dataset_name_or_paths = "(a list)": line 1: must be one or more items separated by commas, not a list; use "datasets/fineweb-edu"`,
	} {
		_, err := Parse([]byte(text + "\n[train]\n"))
		if errs := AsFieldErrors(err); len(errs) != 1 || errs[0].Error() != want {
			t.Errorf("%s: %v\nwant %s", text, err, want)
		}
	}
	for _, tt := range []struct{ field, value, fix string }{{"optim.total_steps", "88,000", "use 88000"}, {"memory", "2.5", "use 10"}, {"memory", "5", "use 10"}, {"nodes", "1,000,000", "use 1"}} {
		r := NewRequest()
		errs := AsFieldErrors(r.Set(tt.field, tt.value))
		if len(errs) != 1 || errs[0].Fix != tt.fix {
			t.Errorf("%s = %s: %v, want %q", tt.field, tt.value, errs, tt.fix)
		}
	}
}
