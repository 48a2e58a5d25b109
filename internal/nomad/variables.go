package nomad

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
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

// putTries is how often a variable that somebody else writes at the same time is read again.
const putTries = 5

// PutVariable sets one item of a variable, which keeps the others. The error never has a value; where the token may not, or Nomad does
// not take it, it is [fault.ErrNotPossible].
func (c *Client) PutVariable(ctx context.Context, namespace, path, field, value string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	where := fmt.Sprintf("the variable %s in namespace %s", path, c.NamespaceOf(namespace))
	for range putTries {
		items, index, err := c.variable(ctx, namespace, path)
		unread := errors.Is(err, ErrDenied)
		if err != nil && !unread {
			return err
		}
		items[field] = value
		w := write(ctx)
		w.Namespace = cmp.Or(namespace, c.cfg.Namespace)
		_, err = c.calls.Raw().Write(fmt.Sprintf("/v1/var/%s?cas=%d", path, index), &api.Variable{Path: path, Items: items}, nil, w)
		err = classify("store variable "+path, err)
		said := (*answer)(nil)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrDenied):
			return fault.New(fault.ErrNotPossible, "Nomad does not let the console write "+where+".",
				"Store it yourself: "+c.PutCommand(namespace, path, field)+", or if it is there: "+c.mergeCommand(namespace, path, field)).Because(err)
		case errors.Is(err, fault.ErrUnavailable):
			return err
		case errors.As(err, &said) && said.code == http.StatusConflict: // its text has the items
			if unread {
				return fault.New(fault.ErrNotPossible, "There is "+where+", and Nomad does not let the console read it: what else is in it would be lost.",
					"Give the token variables:read of it, or store it yourself: "+c.mergeCommand(namespace, path, field))
			}
			continue
		}
		why := "."
		if said != nil && !slices.ContainsFunc(slices.Collect(maps.Values(items)), func(v string) bool { return v != "" && strings.Contains(said.text, v) }) {
			why = ": " + strings.TrimSuffix(said.text, ".") + "."
		}
		return fault.New(fault.ErrNotPossible, "Nomad does not take "+where+why, "")
	}
	return fault.New(fault.ErrNotPossible, "Somebody else is writing "+where+".", "Try again.")
}

// variable reads a variable to write it again; without one there is no item, and the index is 0.
func (c *Client) variable(ctx context.Context, namespace, path string) (items api.VariableItems, index uint64, err error) {
	q := query(ctx)
	q.Namespace = cmp.Or(namespace, c.cfg.Namespace)
	var v api.Variable
	_, err = c.calls.Raw().Query("/v1/var/"+path, &v, q)
	if err = classify("read variable "+path, err); errors.Is(err, fault.ErrNotFound) {
		err = nil
	}
	if v.Items == nil {
		v.Items = api.VariableItems{}
	}
	return v.Items, v.ModifyIndex, err
}

// NamespaceOf is the namespace that "" stands for, or the one given.
func (c *Client) NamespaceOf(namespace string) string {
	return cmp.Or(namespace, c.cfg.Namespace, api.DefaultNamespace)
}

// PutCommand is the command line that stores a variable without the value in it.
func (c *Client) PutCommand(namespace, path, field string) string {
	return fmt.Sprintf("nomad var put -namespace=%s %s %s=...", c.NamespaceOf(namespace), path, cmp.Or(field, "FIELD"))
}

// mergeCommand is the command line that sets one item of a variable that is there.
func (c *Client) mergeCommand(namespace, path, field string) string {
	space := c.NamespaceOf(namespace)
	return fmt.Sprintf("nomad var get -namespace=%s -out=json %s | nomad var put -namespace=%s -in=json - %s=...", space, path, space, cmp.Or(field, "FIELD"))
}
