package trainconf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
	"pgregory.net/rapid"
)

// complaint checks a decoded TOML value against the keywords of JSON Schema that JSONSchema uses, and fails on any other. It
// returns what is wrong first, or "".
func complaint(t interface{ Fatalf(string, ...any) }, schema any, value any, at string) string {
	s, ok := schema.(map[string]any)
	if !ok {
		if schema == false {
			return at + " must not be there"
		}
		t.Fatalf("%s has the schema %v", at, schema)
	}
	table, isTable := value.(map[string]any)
	for _, keyword := range slices.Sorted(maps.Keys(s)) {
		limit := s[keyword]
		switch keyword {
		case "$schema", "title", "description", "default", "examples", "writeOnly", "then":
		case "type":
			if !typeFits(limit.(string), value) {
				return fmt.Sprintf("%s is not of type %v", at, limit)
			}
		case "enum":
			if !slices.Contains(limit.([]any), value) {
				return at + " is not one of the choices"
			}
		case "const":
			if value != limit {
				return at + " is not the constant"
			}
		case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
			if v, number := toFloat(value); number && !within(keyword, v, limit.(float64)) {
				return fmt.Sprintf("%s breaks %s %v", at, keyword, limit)
			}
		case "pattern":
			if text, ok := value.(string); ok && !regexp.MustCompile(limit.(string)).MatchString(text) {
				return at + " does not match"
			}
		case "maxLength":
			if text, ok := value.(string); ok && float64(utf8.RuneCountInString(text)) > limit.(float64) {
				return at + " is too long"
			}
		case "anyOf":
			if !slices.ContainsFunc(limit.([]any), func(one any) bool { return complaint(t, one, value, at) == "" }) {
				return at + " is none of those"
			}
		case "required":
			for _, key := range limit.([]any) {
				if _, there := table[key.(string)]; isTable && !there {
					return fmt.Sprintf("%s.%v is missing", at, key)
				}
			}
		case "dependentRequired":
			for key, needs := range limit.(map[string]any) {
				for _, need := range needs.([]any) {
					if _, there := table[need.(string)]; isTable && table[key] != nil && !there {
						return fmt.Sprintf("%s.%v is missing", at, need)
					}
				}
			}
		case "if":
			if complaint(t, limit, value, at) == "" {
				if bad := complaint(t, s["then"], value, at); bad != "" {
					return bad
				}
			}
		case "properties":
			for key, inner := range table {
				if one, known := limit.(map[string]any)[key]; known {
					if bad := complaint(t, one, inner, at+"."+key); bad != "" {
						return bad
					}
				}
			}
		case "additionalProperties":
			for key := range table {
				if _, known := s["properties"].(map[string]any)[key]; !known && limit == false {
					return at + "." + key + " is not known"
				}
			}
		default:
			t.Fatalf("%s uses the keyword %s", at, keyword)
		}
	}
	return ""
}

func toFloat(value any) (float64, bool) {
	switch v := value.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func typeFits(want string, value any) bool {
	v, number := toFloat(value)
	switch value.(type) {
	case string:
		return want == "string"
	case bool:
		return want == "boolean"
	case map[string]any:
		return want == "object"
	}
	return number && (want == "number" || want == "integer" && v == float64(int64(v)))
}

func within(keyword string, v, limit float64) bool {
	switch keyword {
	case "minimum":
		return v >= limit
	case "maximum":
		return v <= limit
	case "exclusiveMinimum":
		return v > limit
	}
	return v < limit
}

// schemaSays checks TOML against JSONSchema.
func schemaSays(t interface{ Fatalf(string, ...any) }, text string) string {
	var schema any
	if err := json.Unmarshal(JSONSchema(), &schema); err != nil {
		t.Fatalf("the schema is not JSON: %v", err)
	}
	value := map[string]any{}
	if _, err := toml.Decode(text, &value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return complaint(t, schema, value, "")
}

func TestTheJSONSchemaTakesEveryPreset(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/presets/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bad := schemaSays(t, string(text)); bad != "" {
			t.Errorf("%s: %s", file, bad)
		}
	}
	for _, p := range Presets() {
		if bad := schemaSays(t, string(p.Config.TOML())); bad != "" {
			t.Errorf("%s: %s", p.Name, bad)
		}
	}
}

func TestTheJSONSchemaRefusesWhatTheRulesRefuse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                             ".train is missing",
		"[train]\nname_modell = '1B'":                  ".train.name_modell is not known",
		"name_modell = '1B'\n[train]":                  ".name_modell is not known",
		"name_model = '2B'\n[train]":                   ".name_model is not one of the choices",
		"train = 1":                                    ".train is not of type object",
		"[train]\nmicro_bs = '1'":                      ".train.micro_bs is not of type integer",
		"[train]\nmicro_bs = 0":                        ".train.micro_bs breaks minimum 1",
		"[train]\nmicro_bs = 1.5":                      ".train.micro_bs is not of type integer",
		"[train]\nac_ckpt = 'all'":                     ".train.ac_ckpt is none of those",
		"[train]\n[optim.optim]\nlr = 0":               ".optim.optim.lr breaks exclusiveMinimum 0",
		"[train]\n[optim.optim]\nbetas1 = 1":           ".optim.optim.betas1 breaks exclusiveMaximum 1",
		"[train]\n[diloco]\nouter_lr = 0.7":            ".diloco.inner_steps is missing",
		"[train.memory_profiler]\nfreq = 1":            ".train.memory_profiler.snapshot_dir is missing",
		"[train]\n[ckpt]\npath = 'a'":                  ".ckpt.interval is missing",
		"[train]\n[ckpt]\ninterval = 1":                ".ckpt.path is missing",
		"[train]\n[ckpt.remote]\npath='a'\ninterval=1": ".ckpt.path is missing",
		"[train]\n[ckpt]\nremote_data_load = true":     ".ckpt.remote_data_path is missing",
		"[train]\n[ckpt]\nremote_data_load = true\nremote_data_path = 'a'\ndata_path = 'b'": ".ckpt.data_path must not be there",
		"[train]\n[data]\ndata_rank = 1":                          ".data.data_world_size is missing",
		"[train]\n[data]\ndataset_name_or_paths = 'a, b'":         ".data.dataset_name_or_paths does not match",
		"[train]\n[data]\ndataset_ratio = '1:x'":                  ".data.dataset_ratio does not match",
		"run_name = ' a'\n[train]":                                ".run_name does not match",
		"[train]\nac_ckpt = 2\n[ckpt]\nresume = 'a/step_1'":       "",
		"[train]\n[ckpt]\nremote_data_load = false":               "",
		"[train]\n[optim]\ntotal_steps = 88_000.0\nz_loss = true": "",
	} {
		if got := schemaSays(t, text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestTheJSONSchemaTakesWhateverCanBeWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := anyConfig(t)
		// What a schema can say of rules between fields is tested above.
		for _, path := range []string{"ckpt.remote_data_load", "ckpt.path", "ckpt.interval", "data.data_rank", "data.data_world_size"} {
			_ = c.Set(path, "")
		}
		for _, table := range []string{"diloco", "train.memory_profiler", "ckpt.remote"} {
			c.UnsetTable(table)
		}
		if bad := schemaSays(t, string(c.TOML())); bad != "" {
			t.Fatalf("%s in\n%s", bad, c.TOML())
		}
	})
}

func TestTheJSONSchemaDescribesEveryField(t *testing.T) {
	t.Parallel()
	var root map[string]any
	if err := json.Unmarshal(JSONSchema(), &root); err != nil {
		t.Fatal(err)
	}
	for _, f := range Fields() {
		at := root
		for key := range strings.SplitSeq(f.Path, ".") {
			at, _ = at["properties"].(map[string]any)[key].(map[string]any)
		}
		if at["title"] != f.Label || !strings.HasPrefix(fmt.Sprint(at["description"]), f.Help) || f.Default != "" && at["default"] == nil {
			t.Errorf("%s is described as %v", f.Path, at)
		}
		if f.Default != "" {
			if bad := complaint(t, at, jsonBack(t, at["default"]), f.Path); bad != "" {
				t.Errorf("the default breaks its own schema: %s", bad)
			}
		}
	}
}

// jsonBack makes a whole number of JSON one of TOML.
func jsonBack(t *testing.T, value any) any {
	t.Helper()
	if v, ok := value.(float64); ok && v == float64(int64(v)) {
		return int64(v)
	}
	return value
}

func TestTheReferenceIsWrittenDown(t *testing.T) {
	t.Parallel()
	stored, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored, Reference()) {
		t.Error("docs/configuration.md is not what Reference returns: go run ./internal/trainconf/gendoc > docs/configuration.md")
	}
	for _, f := range append(AllFields(), nameField) {
		row := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(f.Path) + "` \\|(.*)$").FindSubmatch(stored)
		if row == nil {
			t.Errorf("%s is not in the reference", f.Path)
			continue
		}
		for _, want := range []string{f.Label, strings.ReplaceAll(f.Default, "|", `\|`), f.Env(), f.Unit} {
			if !strings.Contains(string(row[1]), want) {
				t.Errorf("the row of %s lacks %q", f.Path, want)
			}
		}
		if strings.Count(strings.ReplaceAll(string(row[0]), `\|`, ""), "|") != 5 {
			t.Errorf("the row of %s has not four cells: %s", f.Path, row[0])
		}
	}
}

func TestSearchFindsFieldsByWhatPeopleCallThem(t *testing.T) {
	t.Parallel()
	for search, path := range map[string]string{"gradient checkpointing": "train.ac_ckpt", "context length": "data.seq_length", "VRAM": "gpu_min_memory",
		"scheduler": "optim.sched_type", "ZERO_BAND_OPTIM_BATCH_SIZE": "optim.batch_size", "learning rate": "optim.optim.lr", "timeout": "max_duration", "": "nodes"} {
		if !slices.ContainsFunc(AllFields(), func(f Field) bool { return f.Path == path && f.Matches(search) }) {
			t.Errorf("%q does not find %s", search, path)
		}
	}
	if slices.ContainsFunc(AllFields(), func(f Field) bool { return f.Matches("batch zebra") }) {
		t.Error("a word that is nowhere found a field")
	}
}
