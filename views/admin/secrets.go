package admin

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// SecretsPath is the address of the registered secrets.
const SecretsPath = "/admin/secrets"

// RunSecretPath is the address of one.
func RunSecretPath(name string) string { return SecretsPath + "/" + url.PathEscape(name) }

// SecretList is the registered secrets.
type SecretList struct {
	Secrets []run.Secret
	Notice  string
	Form    Form // for a new one
}

// SecretDetails is one secret, never its value.
type SecretDetails struct {
	Secret run.Secret
	Uses   run.SecretUses
	About  Form
	Value  Form // no fields where the console cannot store one
	Notice string
}

func becomes(s run.Secret) string { return cmp.Or(s.Env, "each field by its name") }

// usableBy says which projects may use it.
func usableBy(s run.Secret) string { return cmp.Or(strings.Join(s.Projects, ", "), "all") }

// store is the command that stores a value where the console does not.
func store(s run.Secret) string {
	field := cmp.Or(s.Field, "FIELD") + "=-"
	if s.In == run.InVault {
		return "vault kv patch " + s.Path + " " + field
	}
	return "nomad var put -namespace=NAMESPACE " + s.Path + " " + cmp.Or(s.Field, "FIELD") + "=..."
}

func auditOfSecret(name string) string {
	return auditPath + "?" + url.Values{"subject": {"secret:" + name}}.Encode()
}

// RemoveSecretConfirm asks before a secret is removed.
func RemoveSecretConfirm(s run.Secret, uses run.SecretUses) ui.Confirm {
	c := ui.Confirm{
		Key: "remove", Title: "Remove secret " + s.Name + "?", Action: RunSecretPath(s.Name) + "/remove", Back: RunSecretPath(s.Name), Label: "Remove", KeepLabel: "Cancel", Icon: "trash",
		Effects: []string{"Runs that ask for it wait from their next attempt on. Workers that are running keep it.", "Its value stays where it is: " + s.Ref().String() + "."},
	}
	if uses.Count > 0 {
		names := make([]string, len(uses.Runs))
		for i, r := range uses.Runs {
			names[i] = r.Name + " (" + string(r.ID) + ")"
		}
		c.Effects = append(c.Effects, "Asked for by "+ui.Plural(uses.Count, "run")+" not ended: "+someOf(names, uses.Count)+".")
	}
	if len(uses.Templates) > 0 {
		c.Effects = append(c.Effects, "Asked for by the templates "+someOf(uses.Templates, len(uses.Templates))+".")
	}
	return c
}

// someOf names the first few of so many.
func someOf(names []string, all int) string {
	names = names[:min(len(names), 5)]
	if more := all - len(names); more > 0 {
		return strings.Join(names, ", ") + " and " + strconv.Itoa(more) + " more"
	}
	return strings.Join(names, ", ")
}
