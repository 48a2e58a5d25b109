package cli

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

func TestSecretsAreManagedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.cotrain("secret", "register", "HF_TOKEN", "--path", "cotrain/hub", "--note", "gated", "--project", "vision").want(t, exitDone, "HF_TOKEN", "registered")
	c.cotrain("secret", "register", "keys", "--in", "vault", "--path", "secret/keys", "--field", "").want(t, exitDone)
	c.cotrain("secret", "register", "HF_TOKEN", "--path", "x").want(t, exitRefused, "already")
	c.cotrain("secret", "register", "b", "--path", "/").want(t, exitRefused, "path")
	list := fromJSON[client.SecretList](t, c.cotrain("secret", "list", "--format", "json").want(t, exitDone))
	if len(list.Items) != 2 || list.Items[0].Env != "HF_TOKEN" || list.Items[0].Field != "HF_TOKEN" || list.Items[1].In != run.InVault || list.Items[1].Env != "" {
		t.Errorf("registered %+v", list.Items)
	}
	c.cotrain("secret", "list").want(t, exitDone, "HF_TOKEN of the Nomad variable cotrain/hub", "every field of secret/keys in Vault", "vision", "all", "gated")
	if r := c.cotrain("secret", "list", "--project", "text").want(t, exitDone); strings.Contains(r.out, "HF_TOKEN") {
		t.Errorf("another project sees\n%s", r.out)
	}
	c.cotrain("secret", "register", "HF_TOKEN", "--path", "cotrain/other", "--field", "token", "--change").want(t, exitDone, "changed")
	c.stdin = "geheim\n"
	r := c.cotrain("secret", "set", "HF_TOKEN").want(t, exitDone, "stored in default")
	if c.Secrets.Value("HF_TOKEN") != "geheim" || strings.Contains(r.out+r.errOut, "geheim") {
		t.Errorf("stored %q and printed\n%s%s", c.Secrets.Value("HF_TOKEN"), r.out, r.errOut)
	}
	c.stdin = "\n"
	c.cotrain("secret", "set", "HF_TOKEN").want(t, exitUsage, "is empty")
	c.cotrain("secret", "remove", "HF_TOKEN").want(t, exitUsage, "--yes")
	c.cotrain("secret", "remove", "HF_TOKEN", "--yes").want(t, exitDone, "removed")
	c.cotrain("secret", "remove", "HF_TOKEN", "--yes").want(t, exitNotFound)
}

func TestADryRunSaysWhetherSecretsAreThere(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.SetDryRun(run.DryRun{Fits: true, ParentJob: "p", Secrets: []run.SecretLook{
		{Name: "A", Where: "a of secret/a in Vault", State: run.SecretPresent}, {Name: "B", Where: "b", State: run.SecretMissing, Why: "There is nothing there.", Fix: "Store it."},
	}})
	r := c.cotrain("run", "submit", "--preset", "debug", "--name", "x", "--secret", "A", "--secret", "B", "--dry-run").want(t, exitDone, "a of secret/a in Vault", "present", "missing")
	if !strings.Contains(r.errOut, "B: There is nothing there. Store it.") {
		t.Errorf("said\n%s", r.errOut)
	}
}
