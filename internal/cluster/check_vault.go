package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/consul"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

func isDenied(err error) bool { return errors.Is(err, nomad.ErrDenied) }

// CheckedVault is what is checked of Vault, with the console's own log-in.
type CheckedVault interface {
	Capabilities(ctx context.Context, paths []string) (map[string][]string, error)
	Get(ctx context.Context, path string) (data map[string]any, ok bool, err error)
}

func checkVault(ctx context.Context, f *Findings, v CheckedVault, s Site) {
	if s.VaultPlain {
		f.add(Warn, "vault", "tls", "Vault is reached by plain HTTP: secrets can be read on the way.", "Give Vault a certificate, and VAULT_ADDR=https://... with VAULT_CACERT.")
	}
	role := "auth/" + s.JWTMount + "/role/" + runsName
	if s.VaultRole != runsName {
		f.add(Warn, "vault", "job.vault_role", "Runs do not log in with the role "+runsName+", which is for them alone, but with "+cmp.Or(s.VaultRole, "Nomad's default role")+".", "Set job.vault_role (COTRAIN_JOB_VAULT_ROLE) to "+runsName+".")
	}
	needs := []struct {
		path, purpose string
		needed        []string
	}{
		{s.KVMount + "/metadata/cotrain/check", "see which secrets are there for runs", []string{"read"}},
		{s.KVMount + "/subkeys/cotrain/check", "see which fields they have", []string{"read"}},
		{role, "see how runs log in", []string{"read"}},
	}
	mustNot := []string{s.KVMount + "/data/cotrain/shared/check", s.KVMount + "/data/cotrain/" + s.Namespace + "/check", "sys/policies/acl/" + consoleName}
	paths := slices.Clone(mustNot)
	for _, n := range needs {
		paths = append(paths, n.path)
	}
	may, err := v.Capabilities(ctx, paths)
	if err != nil {
		f.failed("vault", "token", err, "")
		return
	}
	for _, n := range needs {
		if has(may[n.path], n.needed...) {
			f.add(OK, "vault", n.path, n.purpose, "")
		} else {
			f.add(Fail, "vault", n.path, "The console may not "+n.purpose+".", "cotrain cluster setup writes the policy "+consoleName+"; give it to the console's token or role.")
		}
	}
	switch root := has(may[mustNot[0]], "root"); {
	case root:
		f.add(Warn, "vault", "token", "The console has a root token, which may do everything in Vault.", "Log in with a role that has the policy "+consoleName+": vault.auth, docs/cluster.md.")
	case has(may[mustNot[0]], "read") || has(may[mustNot[1]], "read"):
		f.add(Warn, "vault", "token", "The console may read secrets of runs, and never needs to.", "Take that out of its policies; "+consoleName+" is enough.")
	case has(may[mustNot[2]], "update"):
		f.add(Warn, "vault", "token", "The console may change policies, and so give itself any right.", "Take that out of its policies; "+consoleName+" is enough.")
	}
	if has(may[role], "read") {
		checkRole(ctx, f, v, s, role)
	}
}

// checkRole checks how runs log in.
func checkRole(ctx context.Context, f *Findings, v CheckedVault, s Site, role string) {
	const fix = "cotrain cluster setup"
	data, there, err := v.Get(ctx, role)
	switch {
	case err != nil:
		f.failed("vault", role, err, fix)
		return
	case !there:
		f.add(Fail, "vault", role, "There is no such role: runs cannot read secrets in Vault.", fix)
		return
	}
	claims, _ := data["bound_claims"].(map[string]any)
	allowed := normal([]any{}, claims["nomad_namespace"])
	for _, space := range s.spaces() {
		if !slices.ContainsFunc(asList(claims["nomad_namespace"]), func(v any) bool { return fmt.Sprint(v) == space }) {
			f.add(Fail, "vault", role, "Runs in the namespace "+space+" cannot log in: it is for "+allowed+".", s.again(space))
		}
	}
	if policies := normal([]any{}, data["token_policies"]); policies != "["+runsName+"]" {
		f.add(Warn, "vault", role, "It gives runs the policies "+policies+"; "+runsName+" is enough.", fix)
	}
	if !slices.ContainsFunc(asList(data["bound_audiences"]), func(v any) bool { return v == "vault.io" }) {
		f.add(Fail, "vault", role, "It is not for the audience vault.io, which workload identities have.", fix)
	}
}

// has reports whether all rights are among those that there are; root has all.
func has(rights []string, needed ...string) bool {
	return slices.Contains(rights, "root") || !slices.ContainsFunc(needed, func(n string) bool { return !slices.Contains(rights, n) })
}

// CheckedConsul is what is checked of Consul, with the console's own token.
type CheckedConsul interface {
	TryRights(ctx context.Context, service string) []consul.Tried
	Instances(ctx context.Context, service, tag string) (int, error)
	Catalog(ctx context.Context) (run.Catalog, error)
}

func checkConsul(ctx context.Context, f *Findings, c CheckedConsul, s Site) {
	fix := "cotrain cluster setup writes the policy " + consoleName + "; consul acl token create -policy-name " + consoleName
	for _, t := range c.TryRights(ctx, s.Service) {
		switch said := (*fault.Error)(nil); {
		case t.Err == nil:
			f.add(OK, "consul", t.Right, t.For, "")
		case errors.As(t.Err, &said) && (errors.Is(t.Err, fault.ErrForbidden) || strings.Contains(said.What, "refuses the console's token")):
			f.add(Fail, "consul", t.Right, "The console may not "+t.For+": "+said.What, fix)
		default:
			f.failed("consul", t.Right, t.Err, "")
			return // it is away
		}
	}
	if s.Discovers == "" {
		return
	}
	switch n, err := c.Instances(ctx, s.Discovers, s.DiscoversTag); {
	case err != nil:
		f.failed("consul", "service "+s.Discovers, err, fix)
	case n == 0:
		f.add(Fail, "consul", "service "+s.Discovers, "Consul knows no healthy server of Nomad, or hides them from the token.", "consul catalog services -tags, and the policy "+consoleName+": service \""+s.Discovers+"\" { policy = \"read\" }.")
	default:
		f.add(OK, "consul", "service "+s.Discovers, fmt.Sprintf("%d healthy servers of Nomad", n), "")
	}
}
