package cluster_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/cluster"
	"github.com/cotrain/cotrain/internal/consul"
	"github.com/cotrain/cotrain/internal/consul/consultest"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/vault"
	"github.com/cotrain/cotrain/internal/vault/vaulttest"
)

// world is a cluster of fakes.
type world struct {
	t      *testing.T
	nomad  *nomadtest.Admin
	vault  *vaulttest.Vault
	consul *consultest.Server
	o      cluster.Options
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, nomad: nomadtest.NewAdmin(), vault: vaulttest.New(), consul: consultest.New(t, "dc1")}
	w.consul.ACLs()
	w.o = cluster.Options{
		Namespace: "training", Namespaces: []string{"team-a"}, NodePool: "gpu", StorageVolume: "cotrain", ConsoleSpace: "cotrain", ConsulMethod: "nomad-workloads",
		KVMount: "secret", JWTMount: "jwt-nomad", NomadMount: "nomad", DatabaseMount: "database", JWKSURL: "https://nomad.example:4646/.well-known/jwks.json",
		TokenFile: filepath.Join(t.TempDir(), "token"),
	}
	return w
}

func (w *world) clients() (*vault.Client, *consul.Client) {
	w.t.Helper()
	v, err := vault.New(vault.Config{Address: "https://vault.example", Transport: w.vault, Auth: vault.Auth{Method: vault.ByToken, Token: "root"}})
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := consul.New(consul.Config{Address: w.consul.Address()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return v, c
}

func (w *world) setup() *cluster.Report {
	w.t.Helper()
	v, c := w.clients()
	r, err := cluster.Setup(w.t.Context(), w.nomad, v, c, w.o)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// states lists the items in a state, as "nomad policy cotrain-console".
func states(r *cluster.Report, state cluster.State) (out []string) {
	for _, i := range r.Items {
		if i.State == state {
			out = append(out, i.In+" "+i.Kind+" "+i.Name)
		}
	}
	return out
}

func (w *world) writes() int {
	return len(w.nomad.Writes) + len(w.vault.Written) + len(w.consul.ACL("policy"))
}

func TestSetupAgainChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.o.ServiceJob, w.o.NomadEngine, w.o.NomadForVault = true, true, "https://nomad.example:4646"
	w.o.JWKSCA = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
	w.o.DryRun = true
	dry := w.setup()
	if w.writes() != 0 {
		t.Fatalf("a dry run wrote %v and %v", w.nomad.Writes, w.vault.Written)
	}
	w.o.DryRun = false
	first := w.setup()
	want := []string{"nomad namespace training", "nomad namespace cotrain", "nomad node pool gpu", "nomad policy cotrain-console-team-a", "nomad policy cotrain-runs", "nomad policy cotrain-storage",
		"nomad role cotrain-console", "vault auth method jwt-nomad", "vault auth config jwt-nomad", "vault policy cotrain-runs", "vault auth role cotrain-runs", "vault auth role cotrain-console",
		"vault engine access nomad", "vault role cotrain-console", "consul policy cotrain-console", "consul auth method nomad-workloads", "nomad token " + w.o.TokenFile}
	for _, name := range want {
		if !slices.Contains(states(first, cluster.Created), name) {
			t.Errorf("%s is not made: %s", name, first)
		}
	}
	if !slices.Equal(states(dry, cluster.Created), states(first, cluster.Created)) || !first.OK() || !strings.Contains(dry.String(), "to create") {
		t.Errorf("a dry run says\n%s\nand then it was\n%s", dry, first)
	}
	before := w.writes()
	again := w.setup()
	if n := len(states(again, cluster.Unchanged)); n != len(again.Items) || w.writes() != before {
		t.Errorf("again it is\n%s\nand wrote %v, %v", again, w.nomad.Writes, w.vault.Written)
	}
	info, err := os.Stat(w.o.TokenFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file is %v, %v", info, err)
	}
	if token, err := cluster.ReadToken(w.o.TokenFile); err != nil || w.nomad.Tokens[token] != "cotrain-console" || strings.Contains(first.String(), token) {
		t.Errorf("the token is %q of role %q, %v", token, w.nomad.Tokens[token], err)
	}
}

func TestSetupKeepsWhatOthersAdded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.o.ServiceJob = true
	w.setup()
	w.o.Namespaces, w.o.ServiceJob = nil, false
	if r := w.setup(); len(states(r, cluster.Changed)) != 0 {
		t.Errorf("with fewer namespaces, and without the job, it is\n%s", r)
	}
	if p := w.nomad.Policies["cotrain-console"]; p.Namespace != "cotrain" || p.Job != "cotrain" {
		t.Errorf("the policy is no longer the job's: %+v", p)
	}
	w.o.Namespaces = []string{"team-b"}
	r := w.setup()
	if got := states(r, cluster.Changed); !slices.Equal(got, []string{"nomad role cotrain-console", "vault auth role cotrain-runs"}) || !strings.Contains(r.String(), "+ cotrain-console-team-b") {
		t.Errorf("with another namespace it is\n%s", r)
	}
	if got := w.nomad.Roles["cotrain-console"]; !slices.Contains(got, "cotrain-console-team-a") || !slices.Contains(got, "cotrain-console-team-b") {
		t.Errorf("the role has %v", got)
	}
}

func TestSetupMendsWhatWasChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup()
	w.nomad.Policies["cotrain-console"] = nomad.Policy{Name: "cotrain-console", Rules: "node { policy = \"write\" }\n"}
	w.nomad.Policies["cotrain-runs"] = nomad.Policy{Name: "cotrain-runs", Rules: w.nomad.Policies["cotrain-runs"].Rules} // for no workload
	w.vault.Admin["auth/jwt-nomad/role/cotrain-runs"]["token_policies"] = []any{"admin"}
	w.nomad.Tokens = map[string]string{"root": ""} // the console's was deleted
	r := w.setup()
	want := []string{"nomad policy cotrain-console", "nomad policy cotrain-runs", "vault auth role cotrain-runs", "nomad token " + w.o.TokenFile}
	if got := states(r, cluster.Changed); !slices.Equal(got, want) {
		t.Errorf("changed are %v, want %v", got, want)
	}
	for _, line := range []string{`- node { policy = "write" }`, "+ for every job of the namespace training", "- token_policies = [admin]"} {
		if !strings.Contains(r.String(), line) {
			t.Errorf("%q is not told:\n%s", line, r)
		}
	}
	if again := w.setup(); len(states(again, cluster.Unchanged)) != len(again.Items) {
		t.Errorf("again it is\n%s", again)
	}
}

// TestSetupMovesNothingUnasked as it would with a setting that was forgotten: a console that runs would lose its rights.
func TestSetupMovesNothingUnasked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup()
	w.o.Namespace, w.o.KVMount = "default", "kv"
	r := w.setup()
	want := []string{"nomad policy cotrain-console", "nomad policy cotrain-runs", "vault policy cotrain-console", "vault policy cotrain-runs"}
	if got := states(r, cluster.Failed); !slices.Equal(got, want) || r.OK() {
		t.Errorf("%v were refused, want %v:\n%s", got, want, r)
	}
	for _, text := range []string{`It is not for the namespace default: the console was set up with another NOMAD_NAMESPACE.`, `It is not for the path kv/: the console was set up with another --kv-mount.`, "add --move"} {
		if !strings.Contains(r.String(), text) {
			t.Errorf("%q is not told:\n%s", text, r)
		}
	}
	if !strings.Contains(w.nomad.Policies["cotrain-console"].Rules, `namespace "training"`) {
		t.Error("the console's policy was moved")
	}
	w.o.Move = true
	if r := w.setup(); !r.OK() || !strings.Contains(w.nomad.Policies["cotrain-console"].Rules, `namespace "default"`) {
		t.Errorf("when it is asked for, it is\n%s", r)
	}
}

func TestSetupGoesOnWithWhatWorks(t *testing.T) {
	t.Parallel()
	t.Run("Vault is sealed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.vault.Fails = vaulttest.Sealed
		r := w.setup()
		failed := states(r, cluster.Failed)
		if r.OK() || len(failed) != 6 || !strings.Contains(r.String(), "vault operator unseal") || strings.Count(r.String(), "see above") != 5 {
			t.Errorf("it is\n%s", r)
		}
		if len(w.nomad.Roles) != 1 || len(w.consul.ACL("policy")) != 1 {
			t.Error("Nomad or Consul was left alone")
		}
	})
	t.Run("Nomad refuses the token", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.nomad.Token = "other"
		if r := w.setup(); r.OK() || !strings.Contains(r.String(), "NOMAD_TOKEN") || !slices.Contains(states(r, cluster.Created), "vault policy cotrain-runs") {
			t.Errorf("it is\n%s", r)
		}
	})
	t.Run("Consul's ACLs are off", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.consul = consultest.New(t, "dc1")
		if r := w.setup(); r.OK() || !strings.Contains(r.String(), "Consul's ACLs are off") {
			t.Errorf("it is\n%s", r)
		}
	})
	t.Run("the KV engine is of the first version", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.vault.Admin["sys/mounts/secret"] = map[string]any{"type": "kv"}
		w.o.TokenFile, w.o.TokenInVault = "", true
		tokens := len(w.nomad.Tokens)
		if r := w.setup(); r.OK() || !strings.Contains(r.String(), "kv 1, and kv 2 is needed") || len(w.vault.Written) != 0 || len(w.nomad.Tokens) != tokens {
			t.Errorf("it is\n%s\nand wrote %v", r, w.vault.Written)
		}
	})
	t.Run("nothing answers", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.nomad.Down = fault.New(fault.ErrNomadUnreachable, "Nobody answers.", "Check NOMAD_ADDR.")
		if r := w.setup(); r.OK() || !strings.Contains(r.String(), "Check NOMAD_ADDR.") {
			t.Errorf("it is\n%s", r)
		}
	})
}

func TestTheTokenGoesWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	t.Run("into Vault, beside what is there", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.o.TokenFile, w.o.TokenInVault = "", true
		w.vault.KV2["cotrain"] = map[string]any{"oidc_secret": "kept"}
		w.setup()
		got := w.vault.KV2["cotrain"]
		if token, _ := got["nomad_token"].(string); w.nomad.Tokens[token] != "cotrain-console" || got["oidc_secret"] != "kept" {
			t.Errorf("Vault has %v", got)
		}
		if r := w.setup(); len(states(r, cluster.Unchanged)) != len(r.Items) {
			t.Errorf("again it is\n%s", r)
		}
	})
	t.Run("to whoever asks", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.o.TokenFile, w.o.PrintToken = "", true
		if r := w.setup(); w.nomad.Tokens[r.Token] != "cotrain-console" || !strings.HasSuffix(r.String(), r.Token+"\n") {
			t.Errorf("it is\n%s", r)
		}
	})
	t.Run("nowhere", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.o.TokenFile = ""
		if r := w.setup(); len(w.nomad.Tokens) != 1 || !strings.Contains(r.String(), "--token-file") {
			t.Errorf("there are %d tokens:\n%s", len(w.nomad.Tokens), r)
		}
	})
	t.Run("into a folder that is not there", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.o.TokenFile = filepath.Join(t.TempDir(), "no", "token")
		if r := w.setup(); r.OK() || !strings.Contains(r.String(), "cannot be written") {
			t.Errorf("it is\n%s", r)
		}
	})
	t.Run("into Vault, which is not set", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.o.TokenFile, w.o.TokenInVault = "", true
		if _, err := cluster.Setup(t.Context(), w.nomad, nil, nil, w.o); err == nil || !strings.Contains(err.Error(), "VAULT_ADDR") {
			t.Errorf("it gives %v", err)
		}
	})
}

func TestSetupReplacesNothingButAConsolesToken(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"another secret": "hunter2\n", "a key": "-----BEGIN KEY-----\nAA==\n", "a management token": "00000000-0000-4000-8000-000000000099\n"} {
		w := newWorld(t)
		w.nomad.Tokens["00000000-0000-4000-8000-000000000099"] = ""
		if err := os.WriteFile(w.o.TokenFile, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		before := len(w.nomad.Tokens)
		r := w.setup()
		if got := states(r, cluster.Failed); !slices.Equal(got, []string{"nomad token " + w.o.TokenFile}) || strings.Contains(r.String(), "hunter2") || !strings.Contains(r.String(), "Name another") {
			t.Errorf("with %s it is\n%s", name, r)
		}
		if b, err := os.ReadFile(w.o.TokenFile); err != nil || string(b) != content || len(w.nomad.Tokens) != before {
			t.Errorf("with %s the file has %q then, %v", name, b, err)
		}
	}
}

func TestNoTokenIsMadeThatCannotBeKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for file, said := range map[string]string{dir: "not a file", filepath.Join(dir, "none", "token"): "No token was made"} {
		w := newWorld(t)
		before := len(w.nomad.Tokens)
		w.o.TokenFile = file
		if r := w.setup(); !strings.Contains(r.String(), said) || len(w.nomad.Tokens) != before {
			t.Errorf("with %s it is\n%s and there are %d tokens", file, r, len(w.nomad.Tokens))
		}
	}
	w := newWorld(t)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(w.o.TokenFile, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.o.TokenFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	target := w.o.TokenFile
	w.o.TokenFile = link
	w.setup()
	if token, err := cluster.ReadToken(target); err != nil || w.nomad.Tokens[token] != "cotrain-console" {
		t.Errorf("through a link the file has %q, %v", token, err)
	}
}

func TestAFirstTokenReplacesNone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "management.token")
	one, two := cluster.NewSecret(), cluster.NewSecret()
	if err := cluster.WriteFirstToken(file, one); err != nil {
		t.Fatal(err)
	}
	if err := cluster.WriteFirstToken(file, two); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("a second one: %v", err)
	}
	token, err := cluster.ReadToken(file)
	left, _ := os.ReadDir(filepath.Dir(file))
	if err != nil || token != one || one == two || len(left) != 1 {
		t.Errorf("the file has %q, %v, beside %v", token, err, left)
	}
}

func TestTokensThatAKilledSetupLeftAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if r := w.setup(); slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, "token delete") }) {
		t.Errorf("the token in use is said to be spare:\n%s", r)
	}
	const spare = "00000000-0000-4000-8000-00000000aaaa"
	w.nomad.Tokens[spare] = "cotrain-console"
	r := w.setup()
	told := slices.DeleteFunc(slices.Clone(r.Notes), func(n string) bool { return !strings.Contains(n, "token delete") })
	if len(told) != 1 || !strings.HasSuffix(told[0], "nomad acl token delete accessor-of-"+spare) || !r.OK() {
		t.Errorf("told %q:\n%s", told, r)
	}
	w.o.DryRun, w.o.TokenFile = true, filepath.Join(t.TempDir(), "none-yet")
	if got := strings.Count(w.setup().String(), "token delete"); got != 2 {
		t.Errorf("without a token that is in use %d of 2 are told", got)
	}
}
