package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/cotrain/cotrain/internal/fault"
)

// secret is what was read at a path.
type secret struct {
	fields    map[string]string
	lease     string        // "" for what is stored rather than made
	lasts     time.Duration // of the lease
	renewable bool
	since     time.Time
}

// mount is a secrets engine.
type mount struct {
	path    string // with a slash at the end
	version string // of KV, "" for others
}

// Value returns the value at a reference. What a path holds is read once, so that the fields of a user that Vault makes belong
// together; [Client.Run] follows it from then on.
func (c *Client) Value(ctx context.Context, r Ref) (string, error) {
	f := c.at(r.Path)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.secret == nil {
		s, err := c.read(ctx, r.Path)
		if err != nil {
			return "", err
		}
		f.secret = s
	}
	return f.secret.value(r)
}

func (s *secret) value(r Ref) (string, error) {
	value, ok := s.fields[r.Field]
	if !ok {
		return "", fault.New(fault.ErrInvalid, fmt.Sprintf("%s in Vault has no field %s.", fault.Quote(r.Path), fault.Quote(r.Field)),
			"It has "+strings.Join(names(s.fields), ", ")+".")
	}
	if len(value) > maxValue {
		return "", fault.New(fault.ErrInvalid, fmt.Sprintf("The field %s of %s in Vault has %d bytes, and a setting at most %d.", fault.Quote(r.Field), fault.Quote(r.Path), len(value), maxValue), "Name another field.")
	}
	return value, nil
}

// names are those of the fields, at most ten.
func names[V any](fields map[string]V) []string {
	var out []string
	for name := range fields {
		out = append(out, fault.Quote(name))
	}
	slices.Sort(out)
	if len(out) > 10 {
		out = append(out[:10], "...")
	}
	if len(out) == 0 {
		out = []string{"none"}
	}
	return out
}

func (c *Client) read(ctx context.Context, path string) (s *secret, err error) {
	err = c.call(ctx, "read "+path, func(ctx context.Context, as *api.Client) error {
		s, err = c.readAs(ctx, as, path)
		return err
	})
	return s, err
}

// call makes a call, logging in again once if the token turns out not to be alive.
func (c *Client) call(ctx context.Context, doing string, do func(ctx context.Context, as *api.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	old := ""
	for try := 0; ; try++ {
		as, text, err := c.logIn(ctx, old)
		if err != nil {
			return err
		}
		if err = do(ctx, as); !denied(err) || try > 0 || c.tokenWorks(ctx, as) {
			return explain(doing, err)
		}
		old = text
	}
}

// tokenWorks reports whether a token is alive: a refusal is then about the path.
func (c *Client) tokenWorks(ctx context.Context, as *api.Client) bool {
	_, err := as.Auth().Token().LookupSelfWithContext(ctx)
	return !denied(err)
}

func (c *Client) readAs(ctx context.Context, as *api.Client, path string) (*secret, error) {
	m := c.mountOf(ctx, as, path)
	where := path
	if m.version == "2" && !strings.HasPrefix(strings.TrimPrefix(path, m.path), "data/") {
		where = m.path + "data/" + strings.TrimPrefix(path, m.path)
	}
	since := time.Now()
	got, err := as.Logical().ReadWithContext(ctx, where)
	if err != nil {
		return nil, err
	}
	gone := fault.New(fault.ErrInvalid, fmt.Sprintf("There is nothing at %s in Vault.", fault.Quote(path)), "Store it there, or correct the path: it begins with the mount.")
	if got == nil {
		return nil, gone
	}
	data := got.Data
	if m.version == "2" {
		inner, ok := data["data"].(map[string]any)
		if !ok {
			return nil, gone // its newest version is deleted
		}
		data = inner
	}
	if data == nil {
		return nil, gone
	}
	s := &secret{fields: map[string]string{}, lease: got.LeaseID, lasts: seconds(got.LeaseDuration), renewable: got.Renewable, since: since}
	if s.lease == "" {
		s.lasts = 0 // KV of version 1 says how often to look, which is no lease
	}
	for name, value := range data {
		s.fields[name] = text(value)
	}
	return s, nil
}

// text is a field as a setting would have it.
func text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case nil:
		return ""
	}
	b, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(b)
}

// mountOf finds out which engine a path belongs to, as Vault's own command line does. Who may not ask gets what the path says.
func (c *Client) mountOf(ctx context.Context, as *api.Client, path string) mount {
	c.mu.Lock()
	for _, m := range c.mounts {
		if strings.HasPrefix(path, m.path) {
			c.mu.Unlock()
			return m
		}
	}
	c.mu.Unlock()
	got, err := as.Logical().ReadWithContext(ctx, "sys/internal/ui/mounts/"+path)
	if err != nil || got == nil {
		return mount{}
	}
	m := mount{path: text(got.Data["path"])}
	if options, ok := got.Data["options"].(map[string]any); ok {
		m.version = text(options["version"])
	}
	if m.path == "" || !strings.HasPrefix(path, m.path) {
		return mount{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mounts[m.path] = m
	return m
}
