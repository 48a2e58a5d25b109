package terraform

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// meta are arguments of every module call.
var meta = []string{"source", "version", "for_each", "count", "depends_on", "providers"}

func TestModulesAreCalledWithWhatTheyTake(t *testing.T) {
	t.Parallel()
	for _, f := range folders(t) {
		for _, call := range f.calls {
			source := strings.Trim(f.attribute(call, "source"), `"`)
			if !strings.HasPrefix(source, "../") {
				t.Errorf("%s calls %s, which is elsewhere", f.path, source)
				continue
			}
			called := parse(t, filepath.Join(f.path, source))
			var takes []string
			for _, v := range called.variables {
				takes = append(takes, v.Labels[0])
				if _, given := call.Body.Attributes[v.Labels[0]]; !given && v.Body.Attributes["default"] == nil {
					t.Errorf("%s calls %s without %s", f.path, source, v.Labels[0])
				}
			}
			for name := range call.Body.Attributes {
				if !slices.Contains(meta, name) && !slices.Contains(takes, name) {
					t.Errorf("%s calls %s with %s, which it does not take", f.path, source, name)
				}
			}
		}
	}
}

func TestExamplesHaveValuesForWhatTheyTake(t *testing.T) {
	t.Parallel()
	for _, f := range folders(t) {
		if !strings.HasPrefix(f.path, "examples/") {
			continue
		}
		name := filepath.Join(f.path, "example.tfvars")
		text, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
			continue
		}
		parsed, problems := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
		if problems.HasErrors() {
			t.Error(problems)
			continue
		}
		given, _ := parsed.Body.JustAttributes()
		for _, v := range f.variables {
			if given[v.Labels[0]] == nil && v.Body.Attributes["default"] == nil {
				t.Errorf("%s has no %s", name, v.Labels[0])
			}
			delete(given, v.Labels[0])
		}
		for left := range given {
			t.Errorf("%s has %s, which is no variable", name, left)
		}
	}
}

// templates calls fn for each call of templatefile or file whose path is in the configuration.
func (f folder) templates(t *testing.T, fn func(path string, values []string, call *hclsyntax.FunctionCallExpr)) {
	t.Helper()
	locals := map[string]string{"path.module": f.path}
	for _, body := range f.bodies {
		for _, b := range body.Blocks {
			if a := b.Body.Attributes["nomad"]; b.Type == "locals" && a != nil {
				locals["local.nomad"] = strings.ReplaceAll(strings.Trim(f.text(a.Expr.Range()), `"`), "${path.module}", f.path)
			}
			for _, name := range []string{"vault", "consul"} {
				if a := b.Body.Attributes[name]; b.Type == "locals" && a != nil {
					locals["local."+name] = strings.ReplaceAll(strings.Trim(f.text(a.Expr.Range()), `"`), "${path.module}", f.path)
				}
			}
		}
	}
	reference := regexp.MustCompile(`\$\{([a-z.]+)\}`)
	for _, body := range f.bodies {
		_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
			call, ok := n.(*hclsyntax.FunctionCallExpr)
			if !ok || (call.Name != "templatefile" && call.Name != "file") {
				return nil
			}
			path := strings.Trim(f.text(call.Args[0].Range()), `"`)
			path = reference.ReplaceAllStringFunc(path, func(s string) string { return locals[s[2:len(s)-1]] })
			var values []string
			if len(call.Args) > 1 {
				object, ok := call.Args[1].(*hclsyntax.ObjectConsExpr)
				if !ok {
					t.Errorf("%s: the values of %s are no object", f.path, path)
					return nil
				}
				for _, item := range object.Items {
					values = append(values, f.text(item.KeyExpr.Range()))
				}
			}
			fn(path, values, call)
			return nil
		})
	}
}

func TestTemplatesGetWhatTheyName(t *testing.T) {
	t.Parallel()
	calls := 0
	for _, f := range folders(t) {
		f.templates(t, func(path string, values []string, call *hclsyntax.FunctionCallExpr) {
			if strings.HasSuffix(path, "/units/") || strings.HasPrefix(path, "var.") {
				return
			}
			calls++
			text, err := os.ReadFile(filepath.Clean(path))
			if err != nil {
				t.Errorf("%s: %v", f.path, err)
				return
			}
			if call.Name == "file" {
				return
			}
			template, problems := hclsyntax.ParseTemplate(text, path, hcl.InitialPos)
			if problems.HasErrors() {
				t.Error(problems)
				return
			}
			var named []string
			for _, v := range template.Variables() {
				named = append(named, v.RootName())
			}
			slices.Sort(named)
			named = slices.Compact(named)
			slices.Sort(values)
			if !slices.Equal(named, values) {
				t.Errorf("%s names %v, and %s gives it %v", path, named, f.path, values)
			}
		})
	}
	if calls < 25 {
		t.Errorf("only %d calls were found", calls)
	}
}

// Names that stand for others (RFC 2606), this machine, and what a cloud's machine asks.
var hosts = regexp.MustCompile(`^(([a-z0-9-]+\.)*example(\.com)?|127\.0\.0\.1|localhost|169\.254\.169\.254|metadata\.google\.internal|secretmanager\.googleapis\.com|10\.0\.\d+\.\d+|[A-Z]+|\[.*|\$\{.*|\$.*)$`)

func TestNoFileSaysWhereToDownload(t *testing.T) {
	t.Parallel()
	url := regexp.MustCompile(`https?://([^/:\s"'` + "`" + `)\\,]+)`)
	for _, name := range files(t) {
		if filepath.Ext(name) == ".go" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range url.FindAllSubmatch(text, -1) {
			if !hosts.Match(found[1]) {
				t.Errorf("%s names the host %s: make it a variable", name, found[1])
			}
		}
	}
}
