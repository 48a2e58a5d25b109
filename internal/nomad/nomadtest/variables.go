package nomadtest

import (
	"cmp"
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/fault"
)

// FindVariable looks whether there is a variable.
func (c *Cluster) FindVariable(_ context.Context, namespace, path, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.variableErr != nil {
		return c.variableErr
	}
	if _, ok := c.variables[c.NamespaceOf(namespace)+" "+path]; ok {
		return nil
	}
	return fault.New(fault.ErrNotFound, fmt.Sprintf("There is no variable %s.", path), "Store it.")
}

// PutVariable sets one item of a variable.
func (c *Cluster) PutVariable(_ context.Context, namespace, path, field, value string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.variableErr != nil {
		return c.variableErr
	}
	key := c.NamespaceOf(namespace) + " " + path
	if c.variables[key] == nil {
		c.variables[key] = map[string]string{}
	}
	c.variables[key][field] = value
	return nil
}

// NamespaceOf is the namespace that "" stands for, or the one given.
func (c *Cluster) NamespaceOf(namespace string) string { return cmp.Or(namespace, "default") }

// Variables are the stored ones, by namespace and path with a space between.
func (c *Cluster) Variables() map[string]map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]map[string]string{}
	for k, v := range c.variables {
		out[k] = v
	}
	return out
}

// FailVariables has calls about variables fail, or not any more with nil.
func (c *Cluster) FailVariables(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.variableErr = err
}
