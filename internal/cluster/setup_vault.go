package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	files "github.com/cotrain/cotrain/nomad"
)

// Vault is what setup reads and writes there: paths of its API.
type Vault interface {
	Get(ctx context.Context, path string) (data map[string]any, ok bool, err error)
	Put(ctx context.Context, path string, data map[string]any) (map[string]any, error)
}

func (s *setup) inVault() ([]thing, error) {
	if s.vault == nil {
		s.report.Notes = append(s.report.Notes, "Vault was left alone: VAULT_ADDR is not set.")
		return nil, nil
	}
	o := s.o
	values := files.Values{
		"kv_mount": o.KVMount, "nomad_mount": o.NomadMount, "database_mount": o.DatabaseMount, "jwt_mount": o.JWTMount, "jwks_url": o.JWKSURL, "jwks_ca_pem": o.JWKSCA,
		"namespaces": o.spaces(), "console_namespace": o.ConsoleSpace, "nomad_policies": o.consolePolicies(),
	}
	auth := "auth/" + o.JWTMount + "/"
	out := []thing{s.kv(), s.method()}
	var err error
	add := func(kind, name, path, file string, keep ...string) {
		t, fillErr := s.document(kind, name, path, file, values, keep...)
		if fillErr != nil {
			err = fillErr
		}
		out = append(out, t)
	}
	add("auth config", o.JWTMount, auth+"config", "vault/jwt-config.json")
	console, fillErr := files.Fill("vault/console.hcl", values)
	if fillErr != nil {
		return nil, fillErr
	}
	out = append(out, s.stays(s.vaultPolicy(consoleName, func() (string, error) { return console, nil }), `path "`, o.KVMount+"/", "--kv-mount"),
		s.stays(s.vaultPolicy(runsName, func() (string, error) {
			return files.Fill("vault/runs.hcl", files.Values{"kv_mount": o.KVMount, "jwt_accessor": s.accessor})
		}), `path "`, o.KVMount+"/", "--kv-mount"))
	add("auth role", runsName, auth+"role/"+runsName, "vault/jwt-role-runs.json", "bound_claims", "nomad_namespace")
	if o.ServiceJob {
		add("auth role", consoleName, auth+"role/"+consoleName, "vault/jwt-role-console.json")
	}
	if o.NomadEngine {
		out = append(out, s.mount(o.NomadMount, "nomad", nil), s.engine())
		add("role", consoleName, o.NomadMount+"/role/"+consoleName, "vault/nomad-role.json", "policies")
	}
	return out, err
}

// kv is the engine for secrets. The policies are for its second version.
func (s *setup) kv() thing { return s.mount(s.o.KVMount, "kv", map[string]any{"version": "2"}) }

// errMount says that something else is at an engine's path. What stands on the engine would be wrong, and is not written.
var errMount = errors.New("another engine is there")

// mount is a secrets engine.
func (s *setup) mount(at, kind string, options map[string]any) thing {
	want := kind
	if options != nil {
		want += " 2"
	}
	return thing{"vault", "engine", at, func(ctx context.Context) (string, bool, error) {
		mounts, _, err := s.vault.Get(ctx, "sys/mounts")
		m, there := mounts[at+"/"].(map[string]any)
		if err != nil || !there {
			return "", false, err
		}
		is := fmt.Sprint(m["type"])
		if is == "kv" {
			is += " " + version(m)
		}
		if is != want {
			return "", true, fault.New(fault.ErrInvalid, fmt.Sprintf("At %s in Vault is %s, and %s is needed.", at, is, want), "Name another mount: --kv-mount, --nomad-mount.").Because(errMount)
		}
		return is, true, nil
	}, text(want), func(ctx context.Context) error {
		body := map[string]any{"type": kind}
		if options != nil {
			body["options"] = options
		}
		_, err := s.vault.Put(ctx, "sys/mounts/"+at, body)
		return err
	}}
}

func version(mount map[string]any) string {
	if options, ok := mount["options"].(map[string]any); ok && options["version"] != nil {
		return fmt.Sprint(options["version"])
	}
	return "1"
}

// method is the log-in for workloads of Nomad. Policies name it by its accessor.
func (s *setup) method() thing {
	return thing{"vault", "auth method", s.o.JWTMount, func(ctx context.Context) (string, bool, error) {
		methods, _, err := s.vault.Get(ctx, "sys/auth")
		m, there := methods[s.o.JWTMount+"/"].(map[string]any)
		if err != nil || !there {
			s.accessor = "accessor-of-" + s.o.JWTMount // as a dry run knows it
			return "", false, err
		}
		s.accessor = fmt.Sprint(m["accessor"])
		return fmt.Sprint(m["type"]), true, nil
	}, text("jwt"), func(ctx context.Context) error {
		if _, err := s.vault.Put(ctx, "sys/auth/"+s.o.JWTMount, map[string]any{"type": "jwt", "description": "Workloads of Nomad"}); err != nil {
			return err
		}
		methods, _, err := s.vault.Get(ctx, "sys/auth")
		if m, there := methods[s.o.JWTMount+"/"].(map[string]any); there {
			s.accessor = fmt.Sprint(m["accessor"])
		}
		return err
	}}
}

func (s *setup) vaultPolicy(name string, rules func() (string, error)) thing {
	want := ""
	return thing{"vault", "policy", name, func(ctx context.Context) (is string, there bool, err error) {
		if want, err = rules(); err != nil {
			return "", false, err
		}
		data, there, err := s.vault.Get(ctx, "sys/policies/acl/"+name)
		if there {
			is, _ = data["policy"].(string)
		}
		return is, there, err
	}, func() string { return want }, func(ctx context.Context) error {
		_, err := s.vault.Put(ctx, "sys/policies/acl/"+name, map[string]any{"policy": want})
		return err
	}}
}

// document is a JSON file that is written to a path. Fields that Vault has beside those of the file stay, and in the list at keep, what
// is in it already.
func (s *setup) document(kind, name, path, file string, values files.Values, keep ...string) (thing, error) {
	filled, err := files.Fill(file, values)
	if err != nil {
		return thing{}, err
	}
	want := map[string]any{}
	if err := json.Unmarshal([]byte(filled), &want); err != nil {
		return thing{}, fmt.Errorf("read %s: %w", file, err)
	}
	return thing{"vault", kind, name, func(ctx context.Context) (string, bool, error) {
		is, there, err := s.vault.Get(ctx, path)
		if err != nil || !there {
			return "", false, err
		}
		extend(want, is, keep)
		return lines(want, is), true, nil
	}, func() string { return lines(want, want) }, func(ctx context.Context) error {
		_, err := s.vault.Put(ctx, path, want)
		return err
	}}, nil
}

// extend adds to the list at a path in want what the one in is has.
func extend(want, is map[string]any, path []string) {
	for ; len(path) > 1; path = path[1:] {
		want, _ = want[path[0]].(map[string]any)
		is, _ = is[path[0]].(map[string]any)
	}
	if len(path) == 0 || want == nil || is == nil {
		return
	}
	list, _ := want[path[0]].([]any)
	var all []string
	for _, v := range slices.Concat(list, asList(is[path[0]])) {
		all = append(all, fmt.Sprint(v))
	}
	list = nil
	for _, v := range with(all) {
		list = append(list, v)
	}
	want[path[0]] = list
}

func asList(v any) []any {
	list, ok := v.([]any)
	if !ok && v != nil {
		list = []any{v}
	}
	return list
}

// lines are the fields of want as is has them, one a line, such that equal ones are equal texts.
func lines(want, is map[string]any) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		out = append(out, key+" = "+normal(want[key], is[key]))
	}
	return strings.Join(out, "\n")
}

// normal is a value in one way of writing it: Vault returns numbers and lists as it likes, and nothing for what is empty.
func normal(want, is any) string {
	switch w := want.(type) {
	case map[string]any:
		m, _ := is.(map[string]any)
		var out []string
		for _, key := range slices.Sorted(maps.Keys(w)) {
			out = append(out, key+": "+normal(w[key], m[key]))
		}
		for key := range m {
			if _, ok := w[key]; !ok {
				out = append(out, key+": "+normal(m[key], m[key]))
			}
		}
		return "{" + strings.Join(out, ", ") + "}"
	case []any:
		var out []string
		for _, v := range asList(is) {
			out = append(out, fmt.Sprint(v))
		}
		return "[" + strings.Join(with(out), ", ") + "]"
	case string:
		if is == nil {
			is = ""
		}
		return strings.TrimSpace(fmt.Sprint(is))
	}
	return fmt.Sprint(is)
}

// engine is how Vault's Nomad engine reaches Nomad. Its token is written once, and never read.
func (s *setup) engine() thing {
	path := s.o.NomadMount + "/config/access"
	return thing{"vault", "engine access", s.o.NomadMount, func(ctx context.Context) (string, bool, error) {
		is, there, err := s.vault.Get(ctx, path)
		return fmt.Sprint(is["address"]), there && is["address"] != nil, err
	}, text(s.o.NomadForVault), func(ctx context.Context) error {
		token, err := s.nomad.CreateManagementToken(ctx, "vault")
		if err != nil {
			return err
		}
		body := map[string]any{"address": s.o.NomadForVault, "token": token}
		if s.o.JWKSCA != "" {
			body["ca_cert"] = s.o.JWKSCA
		}
		_, err = s.vault.Put(ctx, path, body)
		return err
	}}
}
