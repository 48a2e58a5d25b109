package vault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/cotrain/cotrain/internal/fault"
)

// Method is how the console logs in.
type Method string

// The methods.
const (
	ByToken   Method = "token"
	ByAppRole Method = "approle"
	ByJWT     Method = "jwt" // a workload identity of Nomad, for example
	ByCert    Method = "cert"
)

// Methods lists them.
func Methods() []Method { return []Method{ByToken, ByAppRole, ByJWT, ByCert} }

// Auth is who the console is for Vault.
type Auth struct {
	Method    Method
	Mount     string // where the method is enabled, "" for its own name
	Token     string // by token: it, or the file that holds it and may be renewed by others
	TokenFile string
	Role      string // by JWT and certificate; by AppRole the role ID
	SecretID  string // by AppRole
	JWTFile   string // by JWT: read at each log-in
}

func (a Auth) check(cfg Config) error {
	lacks := func(what string) error {
		return fmt.Errorf("vault.auth %q: %w: it needs %s", a.Method, fault.ErrInvalid, what)
	}
	switch {
	case a.Method == ByToken && a.Token == "" && a.TokenFile == "":
		return lacks("vault.token (VAULT_TOKEN or VAULT_TOKEN_FILE)")
	case a.Method == ByAppRole && (a.Role == "" || a.SecretID == ""):
		return lacks("vault.role (the role's ID) and vault.secret_id")
	case a.Method == ByJWT && (a.Role == "" || a.JWTFile == ""):
		return lacks("vault.role and vault.jwt_file")
	case a.Method == ByCert && (cfg.ClientCert == "" || cfg.ClientKey == ""):
		return lacks("vault.client_cert and vault.client_key")
	}
	return nil
}

// token is what the console is logged in with.
type token struct {
	text      string
	renewable bool
	lasts     time.Duration // as granted; 0 for ever
	since     time.Time
}

// due is when it should be renewed, zero for never.
func (t token) due() time.Time {
	if t.lasts == 0 {
		return time.Time{}
	}
	return t.since.Add(t.lasts * 2 / 3)
}

// logIn returns a client with a token that is alive as far as one can know, logging in if there is none, or if it is still old.
func (c *Client) logIn(ctx context.Context, old string) (*api.Client, string, error) {
	c.logging.Lock()
	defer c.logging.Unlock()
	c.mu.Lock()
	t := c.token
	c.mu.Unlock()
	alive := t.text != "" && t.text != old && (t.lasts == 0 || time.Since(t.since) < t.lasts)
	if !alive {
		var err error
		if t, err = c.newToken(ctx); err != nil {
			return nil, "", err
		}
		c.mu.Lock()
		c.token = t
		c.mu.Unlock()
	}
	return c.as(t.text), t.text, nil
}

func (c *Client) newToken(ctx context.Context) (token, error) {
	a := c.cfg.Auth
	since := time.Now()
	var got *api.Secret
	var err error
	if a.Method == ByToken {
		text := a.Token
		if a.TokenFile != "" {
			if text, err = readLine("vault.token_file", a.TokenFile); err != nil {
				return token{}, err
			}
		}
		if got, err = c.as(text).Auth().Token().LookupSelfWithContext(ctx); err != nil {
			return token{}, explain("use its token", err)
		}
		if got == nil {
			return token{}, explain("use its token", errors.New("no answer"))
		}
		t := token{text: text, since: since}
		t.lasts, _ = got.TokenTTL() // 0 for those that last for ever
		t.renewable, _ = got.TokenIsRenewable()
		return t, nil
	}
	data := map[string]any{}
	switch a.Method {
	case ByAppRole:
		data["role_id"], data["secret_id"] = a.Role, a.SecretID
	case ByJWT:
		jwt, err := readLine("vault.jwt_file", a.JWTFile)
		if err != nil {
			return token{}, err
		}
		data["role"], data["jwt"] = a.Role, jwt
	case ByCert:
		if a.Role != "" {
			data["name"] = a.Role
		}
	case ByToken: // above
	}
	mount := a.Mount
	if mount == "" {
		mount = string(a.Method)
	}
	got, err = c.as("").Logical().WriteWithContext(ctx, "auth/"+mount+"/login", data)
	if err != nil {
		return token{}, explain("log in at auth/"+mount, err)
	}
	if got == nil || got.Auth == nil || got.Auth.ClientToken == "" {
		return token{}, fault.New(fault.ErrInvalid, "Vault answers the log-in at auth/"+mount+" without a token.", "Check vault.auth_mount.")
	}
	c.log.Info("logged in to Vault", "method", a.Method, "policies", strings.Join(got.Auth.TokenPolicies, " "), "lasts", seconds(got.Auth.LeaseDuration))
	return token{text: got.Auth.ClientToken, renewable: got.Auth.Renewable, lasts: seconds(got.Auth.LeaseDuration), since: since}, nil
}

func seconds(n int) time.Duration { return time.Duration(max(0, n)) * time.Second }

func readLine(setting, name string) (string, error) {
	b, err := os.ReadFile(name) // #nosec G304 -- a setting names it
	if err != nil {
		return "", fmt.Errorf("%s: %w", setting, err)
	}
	text := strings.TrimSpace(string(b))
	if text == "" || strings.ContainsAny(text, "\n\r") || len(text) > maxValue {
		return "", fmt.Errorf("%s: %w: %s does not hold one line of text", setting, fault.ErrInvalid, name)
	}
	return text, nil
}

// renewToken makes the token last longer, or logs in again where that does not help.
func (c *Client) renewToken(ctx context.Context) error {
	c.mu.Lock()
	t := c.token
	c.mu.Unlock()
	if t.text == "" || t.lasts == 0 {
		return nil
	}
	if t.renewable {
		since := time.Now()
		got, err := c.as(t.text).Auth().Token().RenewSelfWithContext(ctx, 0)
		if err == nil && got != nil && got.Auth != nil {
			left := seconds(got.Auth.LeaseDuration)
			c.mu.Lock()
			if c.token.text == t.text {
				c.token.since, c.token.lasts, c.token.renewable = since, left, got.Auth.Renewable
			}
			c.mu.Unlock()
			if left >= t.lasts/2 || c.cfg.Auth.Method == ByToken && c.cfg.Auth.TokenFile == "" {
				return nil
			}
		} else if away(err) {
			return explain("renew its token", err)
		}
	}
	// Close to the end of all renewals, or not to be renewed at all.
	_, _, err := c.logIn(ctx, t.text)
	return err
}
