package vault

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// Get reads what an administrator set up at a path of Vault's API, such as sys/policies/acl/NAME, and reports whether there is something.
func (c *Client) Get(ctx context.Context, path string) (data map[string]any, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	as, _, err := c.logIn(ctx, "")
	if err != nil {
		return nil, false, err
	}
	got, err := as.Logical().ReadWithContext(ctx, path)
	switch said := answer(err); {
	case said != nil && said.StatusCode == http.StatusBadRequest && strings.Contains(strings.Join(said.Errors, " "), "No auth engine"), err == nil && got == nil:
		return nil, false, nil
	case err != nil:
		return nil, false, explain("read "+path, err)
	}
	return got.Data, true, nil
}

// Put writes at a path. Where Vault refuses what is written, the error has its words, which are about settings and not secrets.
func (c *Client) Put(ctx context.Context, path string, data map[string]any) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	as, _, err := c.logIn(ctx, "")
	if err != nil {
		return nil, err
	}
	got, err := as.Logical().WriteWithContext(ctx, path, data)
	if said := answer(err); said != nil && said.StatusCode == http.StatusBadRequest {
		return nil, fault.New(fault.ErrInvalid, fmt.Sprintf("Vault refuses to write %s: %s.", path, fault.Quote(strings.TrimSuffix(strings.Join(said.Errors, " "), "."))), "Correct that, and run the command again.").Because(err)
	}
	if err != nil || got == nil {
		return nil, explain("write "+path, err)
	}
	return got.Data, nil
}

// Capabilities returns what the token may do at paths.
func (c *Client) Capabilities(ctx context.Context, paths []string) (map[string][]string, error) {
	data, err := c.Put(ctx, "sys/capabilities-self", map[string]any{"paths": paths})
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, path := range paths {
		may, _ := data[path].([]any)
		for _, m := range may {
			out[path] = append(out[path], text(m))
		}
	}
	return out, nil
}
