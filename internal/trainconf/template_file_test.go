package trainconf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/run"
)

func exampleTemplate() run.Template {
	return run.Template{
		Name: "my-7B", Version: 3, Description: "what for\nand why", Note: "more steps",
		Config: string(with(Config{}, "name_model", "150M", "optim.total_steps", "100", "diloco.inner_steps", "50").TOML()),
		Shape:  run.Shape{Nodes: 3, GPUs: 2, GPUModel: "A100", GPUMinMemory: 40000, CPU: 1000, Memory: 2048, Site: "dc1"},
		Options: run.Options{
			Description: "text with \"quotes\",\n</script> and ünïcode\u2028", Tags: []string{"a", "b"}, Priority: 70, MaxDuration: 3600, Retries: 2,
			Env: map[string]string{"NCCL_DEBUG": "INFO"}, Args: []string{"--train.torch_compile=false"}, Secrets: run.SecretNames{"HF_TOKEN", "WANDB_API_KEY"},
		},
	}
}

func TestAnExportedTemplateImportsAsItWas(t *testing.T) {
	t.Parallel()
	want := exampleTemplate()
	got, in := ImportTemplate(EncodeTemplate(want))
	if len(in.Errors) > 0 {
		t.Fatalf("errors: %v", in.Errors)
	}
	want.Version = 0 // versions are counted where it is saved
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnExportedTemplateIsAConfigurationThatTheCoreCanRead(t *testing.T) {
	t.Parallel()
	want := exampleTemplate()
	cfg, err := Parse(EncodeTemplate(want))
	if err != nil {
		t.Fatal(err)
	}
	if string(cfg.TOML()) != want.Config {
		t.Errorf("got %s", cfg.TOML())
	}
}

func TestAnyTextInATemplateSurvivesItsFile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		want := exampleTemplate()
		want.Name, want.Note = rapid.String().Draw(rt, "name"), rapid.String().Draw(rt, "note")
		want.Options.Description = rapid.String().Draw(rt, "description")
		want.Options.Env = map[string]string{"A": rapid.String().Draw(rt, "value")}
		want.Version = 0
		got, in := ImportTemplate(EncodeTemplate(want))
		if len(in.Errors) > 0 {
			rt.Fatalf("errors: %v", in.Errors)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatal(diff)
		}
	})
}

func TestPlainTOMLImportsAsATemplateWithoutAName(t *testing.T) {
	t.Parallel()
	got, in := ImportTemplate([]byte("# a comment\nname_model = \"150M\"\n"))
	if len(in.Errors) > 0 || got.Name != "" || got.Shape.Nodes != 1 || !strings.Contains(got.Config, "150M") {
		t.Errorf("template %+v, errors %v", got, in.Errors)
	}
}

func TestABrokenDescriptionOfATemplateIsToldWithItsLine(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"not JSON":        "# cotrain: nothing",
		"unknown key":     `# cotrain: {"v":1,"kind":"template","name":"x","more":1}`,
		"wrong type":      `# cotrain: {"v":1,"kind":"template","name":7}`,
		"a key twice":     `# cotrain: {"v":1,"kind":"template","name":"x","name":"y"}`,
		"more than one":   `# cotrain: {"v":1,"kind":"template","name":"x"} {}`,
		"a later version": `# cotrain: {"v":2,"kind":"template","name":"x"}`,
		"another kind":    `# cotrain: {"v":1,"kind":"sweep","name":"x"}`,
		"very long":       "# cotrain: " + strings.Repeat("[", 30000),
	} {
		_, in := ImportTemplate([]byte("# first\n" + line + "\nname_model = \"150M\"\n"))
		if len(in.Errors) != 1 || !strings.HasPrefix(in.Errors[0].Rule, "line 2: ") {
			t.Errorf("%s: %v", name, in.Errors)
		}
	}
}

func TestAMarkAfterTheConfigurationHasBegunIsAComment(t *testing.T) {
	t.Parallel()
	_, in := ImportTemplate([]byte("name_model = \"150M\"\n# cotrain: nothing\n"))
	if len(in.Errors) != 0 {
		t.Errorf("errors: %v", in.Errors)
	}
}
