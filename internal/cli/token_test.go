package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
)

func TestTokensAreMadeListedAndRevoked(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	if r := c.cotrain("token", "create", "ci"); r.code != exitDone || r.out != "ctk_token1\n" {
		t.Errorf("%+v", r)
	}
	made := fromJSON[client.NewToken](t, c.cotrain("token", "create", "nightly", "--scope", "read,runs.submit", "--only", "vision", "--expires", "12h", "--format", "json"))
	if made.Secret != "ctk_token2" || len(made.Scopes) != 2 || made.Project != "vision" || made.ExpiresAt.Sub(c.now).Hours() != 12 {
		t.Errorf("%+v", made)
	}
	c.cotrain("token", "create", "ever", "--scope", "all", "--expires", "never").want(t, exitDone)
	c.cotrain("token", "list").want(t, exitDone, "token1", "ci", "read", "in 90d0h", "runs.submit", "vision", "in 12h0m", "never")
	if list := fromJSON[client.TokenList](t, c.cotrain("token", "list", "--format", "json")); len(list.Items) != 3 || list.Items[0].Name != "ever" || !list.Items[0].ExpiresAt.IsZero() || list.Items[0].Scopes[0] != access.ScopeAll {
		t.Errorf("%+v", list)
	}
	c.cotrain("token", "revoke", "token1").want(t, exitDone, "token1  revoked")
	c.cotrain("token", "revoke", "token1").want(t, exitNotFound, "No such token")
	c.cotrain("whoami").want(t, exitDone, "User", "ann", "administrator")
	for line, want := range map[string]string{
		"token create x --scope everything": "is no scope", "token create x --expires soon": "no length of time", "token create x --expires 0d": "no length of time",
		"token create x --expires=-5h": "no length of time", "token create x --expires 99999999999d": "no length of time", "token create": "name",
	} {
		c.cotrain(strings.Fields(line)...).want(t, exitUsage, want)
	}
	c.cotrain("token", "create", "").want(t, exitRefused, "is empty")
}

func TestTheTokenOfTheEnvironmentIsSentWhereNobodyElseReadsIt(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	got := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = strings.Join(r.Header["Authorization"], "|")
		c.handler().ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	c.url = srv.URL
	c.files["/run/token"] = "ctk_file\n"
	for name, tt := range map[string]struct {
		env  map[string]string
		want string
	}{
		"none":           {nil, ""},
		"a variable":     {map[string]string{"COTRAIN_TOKEN": " ctk_variable "}, "Bearer ctk_variable"},
		"a file":         {map[string]string{"COTRAIN_TOKEN_FILE": "/run/token"}, "Bearer ctk_file"},
		"empty ones":     {map[string]string{"COTRAIN_TOKEN": "", "COTRAIN_TOKEN_FILE": ""}, ""},
		"beside nothing": {map[string]string{"COTRAIN_TOKEN": "x", "COTRAIN_TOKEN_FILE": ""}, "Bearer x"},
	} {
		c.env, got = tt.env, ""
		c.cotrain("whoami").want(t, exitDone)
		if got != tt.want {
			t.Errorf("%s: sent %q, want %q", name, got, tt.want)
		}
	}
	for name, tt := range map[string]struct {
		env  map[string]string
		want string
	}{
		"both":                 {map[string]string{"COTRAIN_TOKEN": "x", "COTRAIN_TOKEN_FILE": "/run/token"}, "both set"},
		"a file that is not":   {map[string]string{"COTRAIN_TOKEN_FILE": "/none"}, "COTRAIN_TOKEN_FILE"},
		"two lines":            {map[string]string{"COTRAIN_TOKEN": "secret\nX-Evil: 1"}, "characters that none has"},
		"of another character": {map[string]string{"COTRAIN_TOKEN": "secrét"}, "characters that none has"},
	} {
		c.env = tt.env
		r := c.cotrain("whoami").want(t, exitUsage, tt.want)
		if strings.Contains(r.errOut, "secr") {
			t.Errorf("%s: it prints the token: %s", name, r.errOut)
		}
	}
	for addr, private := range map[string]bool{
		"http://console.example": false, "http://10.1.2.3:8080": false, "http://127.0.0.1.evil.example": false, "http://localhost.evil.example": false, "10.1.2.3:80": false,
		"https://console.example": true, "http://127.8.0.1:1": true, "http://[::1]:1": true, "http://localhost:1": true, "127.0.0.1:1": true,
	} {
		cl, err := client.New(addr)
		if err != nil || cl.Private() != private {
			t.Errorf("%s: %v, %v", addr, cl.Private(), err)
		}
	}
	c.env = map[string]string{"COTRAIN_TOKEN": "secret"}
	c.cotrain("whoami", "--addr", "http://192.0.2.1:1").want(t, exitUsage, "plain HTTP", "--plain-http")
	got = ""
	c.env["COTRAIN_ADDR"] = srv.URL
	c.cotrain("whoami", "--plain-http").want(t, exitDone)
}
