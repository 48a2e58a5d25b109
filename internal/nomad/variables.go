package nomad

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
)

// FindVariable looks whether a namespace ("" for the console's) has a variable, of which nothing is read: the field is for the remedy alone. The
// error says what is the matter: [fault.ErrNotFound], [ErrDenied] where the token may not list it, or another.
func (c *Client) FindVariable(ctx context.Context, namespace, path, field string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	q := query(ctx)
	q.Namespace = cmp.Or(namespace, c.cfg.Namespace)
	q.Prefix, q.PerPage = path, 1 // the path itself is first among those that begin with it
	found, _, err := list[struct{ Path string }](c, "list variables", "/v1/vars", q)
	if err != nil {
		return err
	}
	if len(found) > 0 && found[0].Path == path {
		return nil
	}
	return fault.New(fault.ErrNotFound, fmt.Sprintf("There is no variable %s in Nomad's namespace %s that the console can see.", path, c.NamespaceOf(namespace)),
		"Store it: "+c.PutCommand(namespace, path, field))
}

// PutVariable stores a variable with one item, in place of one that is there. The error never has the value; where the token may not,
// or does not take it, it is [fault.ErrNotPossible].
func (c *Client) PutVariable(ctx context.Context, namespace, path, field, value string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	w := write(ctx)
	w.Namespace = cmp.Or(namespace, c.cfg.Namespace)
	doing := "store variable " + path
	_, err := c.calls.Raw().Write("/v1/var/"+path, &api.Variable{Path: path, Items: api.VariableItems{field: value}}, nil, w)
	err = classify(doing, err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrDenied):
		return fault.New(fault.ErrNotPossible, fmt.Sprintf("Nomad does not let the console write the variable %s in namespace %s.", path, c.NamespaceOf(namespace)),
			"Store it yourself: "+c.PutCommand(namespace, path, field)).Because(err)
	case errors.Is(err, fault.ErrUnavailable):
		return err
	}
	why := "."
	if said := (*answer)(nil); errors.As(err, &said) && !strings.Contains(said.text, value) {
		why = ": " + strings.TrimSuffix(said.text, ".") + "."
	}
	return fault.New(fault.ErrNotPossible, fmt.Sprintf("Nomad does not take the variable %s in namespace %s%s", path, c.NamespaceOf(namespace), why), "")
}

// NamespaceOf is the namespace that "" stands for, or the one given.
func (c *Client) NamespaceOf(namespace string) string {
	return cmp.Or(namespace, c.cfg.Namespace, api.DefaultNamespace)
}

// PutCommand is the command line that stores a variable without the value in it.
func (c *Client) PutCommand(namespace, path, field string) string {
	return fmt.Sprintf("nomad var put -namespace=%s %s %s=...", c.NamespaceOf(namespace), path, cmp.Or(field, "FIELD"))
}
