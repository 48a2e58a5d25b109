// Package terraform holds modules that build a cluster for CoTrain. Its tests need neither Terraform nor its providers; where the terraform
// command is installed, it is asked too.
package terraform

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

var update = flag.Bool("update", false, "write the tables of inputs and outputs into the modules' README.md")

// folder is a module or an example root, as it is parsed.
type folder struct {
	path      string // modules/vault
	source    map[string][]byte
	variables []*hclsyntax.Block
	outputs   []*hclsyntax.Block
	calls     []*hclsyntax.Block
	providers []*hclsyntax.Block
	settings  []*hclsyntax.Block // terraform
	bodies    []*hclsyntax.Body
}

func (f folder) text(r hcl.Range) string { return string(r.SliceBytes(f.source[r.Filename])) }

func (f folder) attribute(b *hclsyntax.Block, name string) string {
	if a, ok := b.Body.Attributes[name]; ok {
		return f.text(a.Expr.Range())
	}
	return ""
}

func parse(t *testing.T, path string) folder {
	t.Helper()
	f := folder{path: path, source: map[string][]byte{}}
	files, err := filepath.Glob(filepath.Join(path, "*.tf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no configuration: %v", path, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f.source[name] = text
		parsed, problems := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		body, ok := parsed.Body.(*hclsyntax.Body)
		if !ok {
			t.Fatalf("%s is no HCL", name)
		}
		f.bodies = append(f.bodies, body)
		for _, b := range body.Blocks {
			switch b.Type {
			case "variable":
				f.variables = append(f.variables, b)
			case "output":
				f.outputs = append(f.outputs, b)
			case "module":
				f.calls = append(f.calls, b)
			case "provider":
				f.providers = append(f.providers, b)
			case "terraform":
				f.settings = append(f.settings, b)
			}
		}
	}
	return f
}

func folders(t *testing.T) []folder {
	t.Helper()
	var out []folder
	for _, pattern := range []string{"modules/*", "examples/*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) < 5 {
			t.Fatalf("%s are %v, %v", pattern, paths, err)
		}
		for _, path := range paths {
			out = append(out, parse(t, path))
		}
	}
	return out
}

// files are those below this folder that git would keep.
func files(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".terraform" {
			return filepath.SkipDir
		}
		if !d.IsDir() && !strings.Contains(path, ".tfstate") && d.Name() != ".terraform.lock.hcl" {
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFilesAreFormatted(t *testing.T) {
	t.Parallel()
	for _, name := range files(t) {
		if !slices.Contains([]string{".tf", ".tfvars", ".hcl"}, filepath.Ext(name)) {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(hclwrite.Format(text), text) {
			t.Errorf("%s is not formatted: terraform fmt -recursive terraform", name)
		}
	}
}

func TestVersionsArePinned(t *testing.T) {
	t.Parallel()
	for _, f := range folders(t) {
		if len(f.settings) != 1 || !regexp.MustCompile(`>= \d+\.\d+\.\d+, < \d`).MatchString(f.attribute(f.settings[0], "required_version")) {
			t.Errorf("%s has no required_version with both ends", f.path)
			continue
		}
		for _, b := range f.settings[0].Body.Blocks {
			for name, a := range b.Body.Attributes {
				if b.Type == "required_providers" && !regexp.MustCompile(`version\s+= "~> \d+\.\d+"`).MatchString(f.text(a.Expr.Range())) {
					t.Errorf("%s has provider %s without a version like ~> 2.6", f.path, name)
				}
			}
		}
		if strings.HasPrefix(f.path, "modules/") && len(f.providers) > 0 {
			t.Errorf("%s configures a provider, which is for roots", f.path)
		}
	}
}

func TestInputsAndOutputsAreDescribed(t *testing.T) {
	t.Parallel()
	for _, f := range folders(t) {
		for _, v := range f.variables {
			if f.attribute(v, "type") == "" || len(f.attribute(v, "description")) < 10 {
				t.Errorf("%s: variable %s has no type or description", f.path, v.Labels[0])
			}
			if secret := f.attribute(v, "sensitive") == "true"; secret && f.attribute(v, "ephemeral") != "true" {
				t.Errorf("%s: variable %s is secret and not ephemeral, so it would be in plans", f.path, v.Labels[0])
			}
		}
		for _, o := range f.outputs {
			if len(f.attribute(o, "description")) < 10 {
				t.Errorf("%s: output %s has no description", f.path, o.Labels[0])
			}
		}
	}
}

// unquote is the text of a description, which has no templates.
func unquote(t *testing.T, s string) string {
	t.Helper()
	e, problems := hclsyntax.ParseExpression([]byte(s), "", hcl.InitialPos)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	v, problems := e.Value(nil)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return v.AsString()
}

// line is an expression on one line.
func line(s string) string {
	s = regexp.MustCompile(` +`).ReplaceAllString(regexp.MustCompile(`\s*\n\s*`).ReplaceAllString(s, ", "), " ")
	return strings.NewReplacer("({, ", "({ ", ", })", " })", "{, ", "{ ", ", }", " }").Replace(s)
}

func tables(t *testing.T, f folder) string {
	t.Helper()
	var out strings.Builder
	out.WriteString("## Inputs\n\n| name | what it is | type | default |\n| --- | --- | --- | --- |\n")
	for _, v := range f.variables {
		def := "required"
		if d := f.attribute(v, "default"); d != "" {
			def = "`" + line(d) + "`"
		}
		fmt.Fprintf(&out, "| `%s` | %s | `%s` | %s |\n", v.Labels[0], unquote(t, f.attribute(v, "description")), line(f.attribute(v, "type")), def)
	}
	out.WriteString("\n## Outputs\n\n| name | what it is |\n| --- | --- |\n")
	for _, o := range f.outputs {
		fmt.Fprintf(&out, "| `%s` | %s |\n", o.Labels[0], unquote(t, f.attribute(o, "description")))
	}
	return out.String()
}

func TestEveryModuleHasAReadmeWithItsInputsAndOutputs(t *testing.T) {
	t.Parallel()
	for _, f := range folders(t) {
		if !strings.HasPrefix(f.path, "modules/") {
			continue
		}
		name := filepath.Join(f.path, "README.md")
		text, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
			continue
		}
		said, _, _ := strings.Cut(string(text), "## Inputs\n")
		want := said + tables(t, f)
		if *update {
			if err := os.WriteFile(name, []byte(want), 0o644); err != nil { //nolint:gosec // a file of the repository
				t.Fatal(err)
			}
			continue
		}
		if string(text) != want {
			t.Errorf("%s lists other inputs and outputs than the module has: go test ./terraform -update", name)
		}
		if !strings.Contains(said, "```hcl\nmodule \"") {
			t.Errorf("%s has no example", name)
		}
	}
}
