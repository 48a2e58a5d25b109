package vault

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/cotrain/cotrain/internal/fault"
)

// Find looks whether there is a field at a path, "" for any, and reads no value. The error says what is the matter:
// [fault.ErrNotFound], [fault.ErrForbidden] where Vault does not let the console look, or [fault.ErrUnavailable]. The first
// version of the KV engine lists paths, and no fields.
func (c *Client) Find(ctx context.Context, path, field string) error {
	return c.call(ctx, "look at "+fault.Quote(path), func(ctx context.Context, as *api.Client) error {
		m := c.mountOf(ctx, as, path)
		below := strings.TrimPrefix(path, m.path)
		switch {
		case m.version == "2":
			return findFields(ctx, as, m.path, strings.TrimPrefix(below, "data/"), field)
		case m.path != "":
			return findListed(ctx, as, m.path, below, field)
		}
		return fault.New(fault.ErrNotFound, fmt.Sprintf("Vault shows the console no secrets engine at %s.", fault.Quote(path)), "Correct the path, which begins with the mount, or let the console look there.")
	})
}

// findFields asks the second version of the KV engine for the names of the fields.
func findFields(ctx context.Context, as *api.Client, mount, below, field string) error {
	got, err := as.Logical().ReadWithDataWithContext(ctx, mount+"subkeys/"+below, map[string][]string{"depth": {"1"}})
	if refused(err, http.StatusNotFound) || err == nil && got == nil {
		return nothingAt(mount, below, field)
	}
	if err != nil {
		return err
	}
	fields, ok := got.Data["subkeys"].(map[string]any)
	if !ok {
		return nothingAt(mount, below, field) // its newest version is deleted
	}
	if _, ok := fields[field]; ok || field == "" {
		return nil
	}
	return fault.New(fault.ErrNotFound, fmt.Sprintf("%s in Vault has no field %s: it has %s.", fault.Quote(mount+below), fault.Quote(field), strings.Join(names(fields), ", ")),
		fmt.Sprintf("Add it: vault kv patch %s %s=-", fault.Quote(mount+below), fault.Quote(field)))
}

// findListed asks an engine for what is beside the path.
func findListed(ctx context.Context, as *api.Client, mount, below, field string) error {
	folder, name := mount, below
	if i := strings.LastIndexByte(below, '/'); i >= 0 {
		folder, name = mount+below[:i], below[i+1:]
	}
	got, err := as.Logical().ListWithContext(ctx, folder)
	if err != nil {
		return err
	}
	if got != nil {
		keys, _ := got.Data["keys"].([]any)
		if slices.ContainsFunc(keys, func(k any) bool { return text(k) == name }) {
			return nil
		}
	}
	return nothingAt(mount, below, field)
}

func nothingAt(mount, below, field string) error {
	return fault.New(fault.ErrNotFound, fmt.Sprintf("There is nothing at %s in Vault.", fault.Quote(mount+below)), "Store it: vault kv put "+fault.Quote(mount+below)+" "+fault.Quote(cmp.Or(field, "FIELD"))+"=-")
}
