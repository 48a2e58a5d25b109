package cli

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

func TestTemplatesAreKeptFromTheCommandLine(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.cotrain("template", "list").want(t, exitDone, "debug-diloco", "preset")
	c.cotrain("template", "save", "My-7B", "--preset", "7B", "--nodes", "2", "--description", "ours", "--note", "first", "--new", "--tags", "a").want(t, exitDone, "My-7B@1")
	c.cotrain("template", "save", "my-7b", "--preset", "7B", "--new").want(t, exitRefused, "There is a template My-7B already")
	c.cotrain("template", "save", "my-7b", "--template", "my-7b", "--set", "optim.total_steps=100000", "--after", "1").want(t, exitDone, "My-7B@2")
	c.cotrain("template", "save", "my-7b", "--template", "my-7b", "--set", "optim.total_steps=200000", "--after", "1").want(t, exitRefused, "newest version of My-7B is 2")
	c.cotrain("template", "list").want(t, exitDone, "My-7B", "2 nodes with 8 x any GPU", "ours")
	c.cotrain("template", "show", "my-7b@1").want(t, exitDone, "My-7B@1", "first", "Tags", "name_model = \"7B\"")
	c.cotrain("template", "versions", "my-7b").want(t, exitDone, "VERSION", "first")
	r := c.cotrain("template", "diff", "my-7b").want(t, exitDone)
	if rows := strings.Fields(r.out); strings.Join(rows, " ") != "FIELD template:My-7B@1 template:My-7B@2 optim.total_steps 88000 100000" {
		t.Errorf("%q", rows)
	}
	c.cotrain("template", "diff", "my-7b@1", "7B").want(t, exitDone, "preset:7B", "nodes")
	c.cotrain("template", "diff", "my-7b@1").want(t, exitUsage, "first version")
	c.cotrain("diff", "my-7b", "my-7b").want(t, exitDone, "no difference")
	if got := fromJSON[client.Diff](t, c.cotrain("diff", "7B", "template:my-7b@2", "--format", "json").want(t, exitDone)); len(got.Changes) != 3 {
		t.Errorf("%+v", got)
	}
	c.cotrain("diff", "run:first", "7B").want(t, exitNotFound, `No run has the ID "first". Runs are named by ID, such as r-0123456789`)
	c.cotrain("diff", "nope", "r-0000000000").want(t, exitNotFound, "is not a template", "is not the ID of a run")

	c.cotrain("run", "submit", "--template", "my-7b@1", "--name", "x").want(t, exitDone)
	if got := c.Submissions()[0]; got.Origin.Template != "default/My-7B@1" || got.Shape.Nodes != 2 {
		t.Errorf("%+v", got)
	}
	for _, name := range []string{"debug", "Debug", "preset:debug"} {
		c.cotrain("template", "show", name).want(t, exitDone, "Preset", "debug", "1 node with 1 x any GPU", "name_model = \"debugmodel\"")
		c.cotrain("template", "export", name).want(t, exitDone, "name_model = \"debugmodel\"")
	}
	c.cotrain("template", "show", "template:my-7b").want(t, exitDone, "My-7B@2")
	c.cotrain("template", "show", "debg").want(t, exitNotFound, "Use debug, or")
	c.cotrain("template", "show", "my7b").want(t, exitNotFound, "Use My-7B, or")
	c.cotrain("template", "show", "my-7b@9").want(t, exitNotFound, "Use My-7B@2, or another of its versions")
	c.cotrain("template", "show", "preset:debg").want(t, exitNotFound, "debug")
	c.cotrain("template", "show", "preset:zzz").want(t, exitNotFound, "150M-h100", "debug")
	c.cotrain("template", "versions", "debug").want(t, exitNotFound, "is a preset")
	c.cotrain("template", "delete", "debug", "--yes").want(t, exitNotFound, "is a preset")
	c.cotrain("template", "diff", "debug").want(t, exitUsage, "is a preset")
	c.cotrain("template", "diff", "preset:debug", "7B").want(t, exitDone, "name_model")
	c.cotrain("run", "submit", "--template", "my7b", "--name", "x").want(t, exitNotFound, "My-7B")
	for _, args := range [][]string{{"show", "nope"}, {"show", "my-7b@3"}, {"versions", "nope"}, {"export", "nope"}, {"diff", "nope"}, {"delete", "nope", "--yes"}} {
		c.cotrain(append([]string{"template"}, args...)...).want(t, exitNotFound)
	}
	if list := fromJSON[templateList](t, c.cotrain("template", "list", "--format", "json")); len(list.Items) != 1 || len(list.Presets) == 0 {
		t.Errorf("%+v", list)
	}
	c.cotrain("template", "delete", "my-7b", "--yes").want(t, exitDone, "deleted")
	c.cotrain("template", "show", "my-7b").want(t, exitNotFound)
}

func TestAnExportedTemplateIsImported(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.cotrain("template", "save", "mine", "--preset", "debug-diloco", "--site", "dc1", "--priority", "70", "--env", "A=b", "--description", "ours").want(t, exitDone)
	file := c.cotrain("template", "export", "mine").want(t, exitDone).out
	c.files["mine.toml"] = file
	c.cotrain("template", "import", "mine.toml").want(t, exitDone, "mine@1") // nothing has changed
	c.cotrain("template", "import", "mine.toml", "--name", "other", "--note", "copied").want(t, exitDone, "other@1")
	got := fromJSON[run.Template](t, c.cotrain("template", "show", "other", "--format", "json"))
	if got.Shape.Site != "dc1" || got.Options.Priority != 70 || got.Options.Env["A"] != "b" || got.Description != "ours" || got.Note != "copied" {
		t.Errorf("%+v", got)
	}
	c.files["plain.toml"] = "[train]\nmicro_bs = 4\n"
	c.cotrain("template", "import", "plain.toml").want(t, exitUsage, "--name")
	c.cotrain("template", "import", "plain.toml", "--name", "plain").want(t, exitDone, "plain@1")
	c.files["bad.toml"] = "[train]\nmicro_bs = 0\n"
	c.cotrain("template", "import", "bad.toml", "--name", "bad").want(t, exitRefused, "train.micro_bs", "line 2")
}

func TestHostileTextsOfTemplatesAndSweepsDoNotReachATerminal(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	const evil = "\x1b]0;x\x07 \u202eright"
	if _, err := c.SaveTemplate(access.With(t.Context(), access.Identity{User: "u", Name: evil}), run.Template{Name: "mine", Description: evil, Note: evil, Config: "# \u009b31m \u202eright\n[train]\n", Shape: run.Shape{Nodes: 1}}, run.AnyVersion); err != nil {
		t.Fatal(err)
	}
	sw, err := c.SubmitSweep(t.Context(), run.SweepSpec{Submission: run.Submission{Name: "x\u202ey", Config: "[train]\n", Shape: run.Shape{Nodes: 1}}, List: []map[string]string{{"nodes": "1"}, {"nodes": "2"}}})
	if err == nil {
		t.Fatalf("a name that turns text around is taken: %+v", sw)
	}
	c.terminal = true
	for _, args := range []string{"template list", "template show mine", "template versions mine", "template export mine", "template show mine --format json"} {
		r := c.cotrain(strings.Fields(args)...).want(t, exitDone)
		if i := strings.IndexFunc(r.out+r.errOut, func(r rune) bool { return r != '\n' && unprintable(r) }); i >= 0 {
			t.Errorf("%s: a terminal gets %q", args, (r.out + r.errOut)[i:])
		}
	}
}
