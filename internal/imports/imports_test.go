// Package imports holds the table of who may import whom, as a test.
package imports

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cotrain/cotrain/"

// words are the packages that every other may import. They stand on the standard library, and on each other as listed.
var words = map[string][]string{
	"internal/fault":   {},
	"internal/run":     {"internal/access", "internal/fault"},
	"internal/access":  {"internal/fault"},
	"internal/audit":   {"internal/access", "internal/fault", "internal/ratelimit"},
	"internal/measure": {"internal/fault"},
}

// allowed is the table of the architecture: imports go down only. A package that is not listed may import the words and the
// standard library. app and cmd wire everything and are free.
var allowed = map[string][]string{
	"internal/web":                {"internal/rounds", "internal/client", "internal/web/account", "internal/web/compare", "internal/web/page", "internal/web/live", "internal/web/form", "internal/web/diff", "internal/web/cluster", "internal/web/runs", "internal/web/storage", "internal/web/sweeps", "internal/web/templates", "views/ui", "views/gallery", "views/runs", "static", "internal/feed", "internal/inbound", "internal/trainconf", "internal/web/help", "internal/web/metrics", "internal/web/search", "internal/ratelimit", "internal/web/audit", "internal/web/admin", "internal/router", "internal/chart", "internal/stream"},
	"internal/compare":            {"internal/store/points", "internal/trainconf"},
	"internal/web/compare":        {"internal/web/page", "internal/web/form", "internal/chart", "internal/compare", "internal/trainconf", "views/compare", "views/ui"},
	"internal/mesh":               {},
	"internal/rounds":             {"internal/logparse", "internal/mesh", "internal/store/points", "internal/trainconf"},
	"internal/chart":              {"internal/series", "internal/store/points", "internal/trainconf"},
	"internal/web/metrics":        {"internal/web/page", "internal/chart", "internal/store/points", "internal/web/runs", "views/charts", "views/metrics", "views/runs"},
	"internal/web/account":        {"internal/inbound", "internal/web/page", "views/account", "views/ui"},
	"internal/web/admin":          {"internal/web/form", "internal/web/page", "views/admin", "views/ui", "internal/trainconf"},
	"internal/web/page":           {"views/ui", "internal/feed"},
	"internal/status":             {"internal/feed", "internal/store/points", "internal/trainconf", "internal/nomad"},
	"internal/stream":             {"internal/feed"},
	"internal/web/live":           {"views/ui", "views/runs", "internal/feed", "internal/inbound", "internal/stream", "internal/trainconf"},
	"internal/web/form":           {"internal/web/page", "views/ui", "views/form", "views/runs", "internal/trainconf"},
	"internal/web/diff":           {"internal/web/page", "internal/web/form", "views/ui", "views/diff", "internal/trainconf"},
	"internal/web/audit":          {"internal/web/page", "views/audit"},
	"internal/web/cluster":        {"internal/web/page", "views/cluster"},
	"internal/web/help":           {"internal/web/page", "views/help"},
	"internal/web/runs":           {"internal/chart", "internal/mesh", "internal/rounds", "internal/logarchive", "internal/logfile", "internal/store/points", "internal/web/page", "internal/web/form", "internal/web/sweeps", "views/diff", "views/ui", "views/runs", "internal/feed", "internal/series", "internal/trainconf"},
	"internal/web/search":         {"internal/web/page", "internal/web/help", "views/ui", "views/search", "internal/trainconf"},
	"internal/web/storage":        {"internal/web/page", "views/ui", "views/storage", "internal/control", "internal/storage"},
	"internal/web/sweeps":         {"internal/compare", "internal/web/compare", "views/compare", "internal/web/page", "internal/web/form", "internal/web/live", "views/ui", "views/sweeps", "internal/feed", "internal/trainconf"},
	"internal/web/templates":      {"internal/web/page", "internal/web/form", "views/ui", "views/templates", "internal/trainconf"},
	"internal/web/webtest":        {"internal/rounds", "internal/logarchive/logtest", "internal/series", "internal/store/points", "internal/run/runtest", "internal/router", "internal/audit/audittest", "internal/web", "internal/auth", "internal/web/help", "views/ui", "docs", "static", "internal/feed", "internal/trainconf", "internal/chart", "internal/stream"},
	"internal/cli":                {"internal/mesh", "internal/logarchive", "internal/client", "internal/config", "internal/draft", "internal/trainconf", "views/ui", "internal/diagnose", "internal/logparse"},
	"internal/client":             {"internal/mesh", "internal/draft", "internal/trainconf"},
	"internal/draft":              {"internal/trainconf"},
	"internal/metricfile":         {},
	"internal/logarchive":         {},
	"internal/logarchive/logtest": {"internal/logarchive"},
	"internal/logfile":            {"internal/logarchive"},
	"internal/api":                {"internal/mesh", "internal/rounds", "internal/logfile", "internal/chart", "internal/compare", "internal/metricfile", "internal/client", "internal/draft", "internal/control", "internal/store", "internal/store/points", "internal/feed", "internal/trainconf", "internal/series", "internal/storage", "internal/router", "internal/stream"},
	"internal/auth":               {"internal/auth/oidc", "internal/auth/passkey", "internal/inbound", "internal/store/accounts"},
	"internal/auth/oidc":          {},
	"internal/auth/passkey":       {},
	"internal/guard":              {"internal/ratelimit", "internal/series", "internal/storage", "internal/store/points", "internal/trainconf"},
	"internal/guard/guardtest":    {"internal/guard", "internal/storage", "internal/trainconf"},
	"internal/control":            {"internal/queue", "internal/nomad", "internal/store", "internal/feed", "internal/trainconf"},
	"internal/queue":              {"internal/nomad", "internal/store", "internal/feed", "internal/trainconf"},
	"internal/siterules":          {"internal/diagnose", "internal/nomad", "internal/trainconf", "internal/watch"},
	"internal/survey":             {"internal/nomad"},
	"internal/machines":           {"internal/store", "internal/store/points"},
	"internal/metrics":            {},
	"internal/watch":              {"internal/nomad", "internal/store", "internal/store/points", "internal/feed", "internal/diagnose", "internal/logparse", "internal/rhythm", "internal/trainconf"},
	"internal/ingest":             {"internal/nomad", "internal/store", "internal/store/points", "internal/feed", "internal/logparse"},
	"internal/nomad":              {"internal/certfile", "internal/nomad/failover", "jobs"},
	"internal/nomad/failover":     {},
	"internal/cluster":            {"internal/nomad", "internal/consul", "nomad"},
	"internal/consul":             {"internal/certfile"},
	"internal/vault":              {"internal/certfile"},
	"internal/retention":          {"internal/store"},
	"internal/s3":                 {"internal/certfile"},
	"internal/s3/s3test":          {},
	"internal/store":              {"internal/logarchive", "internal/store/accounts", "internal/store/auditlog", "internal/store/catalog", "internal/store/db", "internal/store/points", "internal/store/transfer"},
	"internal/store/accounts":     {"internal/store/auditlog", "internal/store/db"},
	"internal/store/auditlog":     {"internal/store/db"},
	"internal/store/points":       {"internal/series", "internal/store/db"},
	"internal/store/check":        {"internal/logarchive", "internal/store", "internal/store/auditlog", "internal/store/db", "internal/store/points"},
	"internal/store/transfer":     {"internal/store/db"},
	"internal/store/db":           {},
	"internal/storage":            {"internal/dcp", "internal/trainconf"},
	"internal/config":             {"internal/logparse"},
	"internal/forward":            {},
	"internal/inbound":            {},
	"internal/ratelimit":          {},
	"internal/router":             {},
	"internal/nvidia":             {},
	"internal/probe":              {"internal/nvidia"},
	"internal/vulndb":             {},
	"internal/hostile":            {},
	"internal/access/gendoc":      {},
	"internal/config/gendoc":      {"internal/config"},
	"internal/diagnose":           {},
	"internal/diagnose/gendoc":    {"internal/diagnose"},
	"internal/fault/gendoc":       {},
	"internal/rhythm":             {},
	"internal/rhythm/rhythmtest":  {"internal/rhythm"},
	"internal/certfile":           {},
	"internal/certfile/certtest":  {},
	"internal/dcp":                {},
	"internal/reftrain":           {"internal/dcp"},
	"views/ui":                    {},
	"views/account":               {"views/ui"},
	"views/audit":                 {"views/ui"},
	"views/admin":                 {"views/ui"},
	"views/charts":                {"views/ui"},
	"views/cluster":               {"views/ui"},
	"views/compare":               {"internal/compare", "views/charts", "views/ui"},
	"views/diff":                  {"views/ui"},
	"views/form":                  {"views/ui", "views/runs"},
	"views/gallery":               {"views/ui", "views/charts", "views/runs"},
	"views/help":                  {"views/ui"},
	"views/metrics":               {"views/ui", "views/charts"},
	"views/runs":                  {"internal/mesh", "views/ui", "views/charts", "views/compare", "views/diff", "views/sweeps"},
	"views/search":                {"views/ui"},
	"views/storage":               {"views/ui"},
	"views/sweeps":                {"views/charts", "views/compare", "views/ui"},
	"views/templates":             {"views/ui"},
	"internal/store/pgtest":       {},
	"internal/store/blobtest":     {"internal/store"},
	"internal/store/storetest":    {"internal/store", "internal/store/points", "internal/series"},
	"internal/nomad/nomadtest":    {"internal/nomad"},
	"internal/api/apitest":        {"internal/rounds", "internal/logarchive/logtest", "internal/chart", "internal/series", "internal/run/runtest", "internal/audit/audittest", "internal/router", "internal/api", "internal/control", "internal/store", "internal/store/points", "internal/feed", "internal/trainconf", "internal/storage", "internal/stream"},
	"internal/nomad/conformance":  {"internal/certfile", "internal/nomad", "jobs"},
	"internal/trainconf":          {"internal/diagnose"},
	"internal/trainconf/gendoc":   {"internal/trainconf"},

	// The embedded agent: its parts are imported by nobody else.
	"internal/localnomad":         {"internal/nvidia", "internal/localnomad/gpu", "internal/localnomad/httpapi", "internal/localnomad/logfile", "internal/localnomad/sched", "internal/localnomad/state", "internal/localnomad/task", "internal/localnomad/usage"},
	"internal/localnomad/httpapi": {"internal/localnomad/jobfile", "internal/localnomad/logfile", "internal/localnomad/sched", "internal/localnomad/state", "internal/localnomad/task", "internal/localnomad/usage"},
	"internal/localnomad/usage":   {},
	"internal/localnomad/gpu":     {"internal/nvidia"},
	"internal/localnomad/task":    {"internal/localnomad/logfile", "internal/localnomad/state"},
	"internal/localnomad/sched":   {"internal/localnomad/state"},
}

// external are the modules that only the listed packages may import.
var external = map[string][]string{
	// localnomad speaks the same wire format, so it uses the same structs; no client code of theirs.
	"github.com/hashicorp/nomad/api":     {"internal/nomad", "internal/nomad/conformance", "internal/localnomad", "internal/localnomad/gpu", "internal/localnomad/httpapi", "internal/localnomad/jobfile", "internal/localnomad/sched", "internal/localnomad/state", "internal/localnomad/task", "internal/localnomad/usage"},
	"github.com/shirou/gopsutil/v4":      {"internal/localnomad/usage"},
	"github.com/hashicorp/consul/api":    {"internal/consul"},
	"database/sql":                       {"internal/store", "internal/store/check", "internal/store/points", "internal/store/db", "internal/store/storetest"},
	"modernc.org/sqlite":                 {"internal/store/db"},
	"github.com/jackc/pgx/v5":            {"internal/store/db", "internal/store/pgtest"},
	"github.com/hashicorp/hcl/v2":        {"internal/localnomad/jobfile"},
	"github.com/hashicorp/vault/api":     {"internal/vault"},
	"github.com/gorilla/websocket":       {"internal/web/live"},
	"github.com/minio/minio-go/v7":       {"internal/s3"},
	"github.com/prometheus/prometheus":   {"internal/series"},
	"github.com/danielgtaylor/huma/v2":   {"internal/api"},
	"github.com/alexedwards/argon2id":    {"internal/auth"},
	"github.com/coreos/go-oidc/v3":       {"internal/auth/oidc"},
	"github.com/go-webauthn/webauthn":    {"internal/auth/passkey"},
	"golang.org/x/oauth2":                {"internal/auth/oidc"},
	"github.com/pquerna/otp":             {"internal/auth"},
	"github.com/boombuler/barcode":       {"internal/web/account"},
	"github.com/yuin/goldmark":           {"internal/web/help"},
	"github.com/parquet-go/parquet-go":   {"internal/metricfile"},
	"github.com/hashicorp/golang-lru/v2": {"internal/chart", "internal/rounds", "internal/store"},

	"github.com/prometheus/client_golang": {"internal/metrics"},
}

type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func TestImportsGoDownOnly(t *testing.T) {
	t.Parallel()
	exists := map[string]bool{}
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		exists[name] = true
		if name == "internal/app" || strings.HasPrefix(name, "cmd/") {
			continue
		}
		may, isWords := words[name]
		if !isWords {
			may = slices.Concat(slices.Sorted(maps.Keys(words)), allowed[name])
		}
		for _, imp := range p.Imports {
			inner, ours := strings.CutPrefix(imp, module)
			switch {
			case ours && !slices.Contains(may, inner):
				t.Errorf("%s imports %s; it may import %v", name, inner, may)
			case !ours && isWords && strings.Contains(strings.Split(imp, "/")[0], "."):
				t.Errorf("%s imports %s: it may import the standard library only", name, imp)
			}
			for mod, owners := range external {
				if (imp == mod || strings.HasPrefix(imp, mod+"/")) && !slices.Contains(owners, name) {
					t.Errorf("%s imports %s; only %v may", name, imp, owners)
				}
			}
		}
	}
	named := slices.Collect(maps.Keys(allowed))
	for _, table := range []map[string][]string{words, allowed, external} {
		named = append(named, slices.Concat(slices.Collect(maps.Values(table))...)...)
	}
	for _, name := range named {
		if !exists[name] {
			t.Errorf("the tables name %s, which is no package", name)
		}
	}
}

// TestEveryRouteHasARight has only package router register handlers: it takes none without a right.
func TestEveryRouteHasARight(t *testing.T) {
	t.Parallel()
	registers := []string{"ServeMux", "NewServeMux", "DefaultServeMux", "Handle", "HandleFunc"}
	for _, p := range list(t) {
		if !slices.Contains(p.Imports, "net/http") || p.ImportPath == module+"internal/router" {
			continue
		}
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(registers, s.Sel.Name) {
					if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name == "http" {
						t.Errorf("%s: http.%s: register it with a right, in a router.Router", filepath.Join(p.Dir, name), s.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

// list returns every package of the module with what it imports outside of tests.
func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,GoFiles,Imports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return pkgs
		}
		if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}
