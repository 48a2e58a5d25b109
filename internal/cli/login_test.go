package cli

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// shown are the tokens that the requests of a command carried.
func (c *console) shown(t *testing.T, tokens *[]string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*tokens = append(*tokens, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		c.handler().ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	c.url = srv.URL
}

func TestTheCommandLineSignsInAndOut(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	var tokens []string
	c.shown(t, &tokens)
	file := filepath.Join(c.home, "cotrain", "credentials")

	c.cotrain("login", "--name", "anvil", "--only", "vision").want(t, exitDone, "open "+c.url+"/device\n", "the code BCDF-GHJK", "waiting until ", "Signed in to "+c.url+" as ann")
	if want := []time.Duration{5 * time.Second, 5 * time.Second, 10 * time.Second}; !slices.Equal(c.waited, want) {
		t.Errorf("waited %v, want %v: the console slows down who asks too soon", c.waited, want)
	}
	if slices.ContainsFunc(tokens[:4], func(s string) bool { return s != "" }) || tokens[4] != "ctk_token1" {
		t.Errorf("the log-in showed the tokens %q", tokens)
	}
	for _, path := range []string{filepath.Dir(file), file} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}

	tokens = nil
	c.cotrain("whoami").want(t, exitDone, "ann")
	c.env = map[string]string{"COTRAIN_TOKEN": "ctk_mine"}
	c.cotrain("whoami").want(t, exitDone)
	if !slices.Equal(tokens, []string{"ctk_token1", "ctk_mine"}) {
		t.Errorf("the commands showed %q", tokens)
	}

	tokens, c.waited = nil, nil
	c.cotrain("login").want(t, exitDone, "COTRAIN_TOKEN is set") // revokes the token before
	if tokens[4] != "ctk_token1" {
		t.Errorf("the earlier token stays: %q", tokens)
	}
	c.env = nil
	other := strings.Replace(c.url, "127.0.0.1", "localhost", 1)
	c.cotrain("logout", "--addr", other).want(t, exitNotFound, "not signed in to "+other)
	c.cotrain("logout").want(t, exitDone, "Signed out")
	c.cotrain("logout").want(t, exitNotFound)
	var kept map[string]credential
	if content, err := os.ReadFile(file); err != nil || json.Unmarshal(content, &kept) != nil || len(kept) != 0 {
		t.Errorf("kept %v, %v", kept, err)
	}
}

func TestALogInThatIsDeniedKeepsNothing(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.cotrain("login", "--name", "mallory").want(t, exitRefused, "denied")
	c.cotrain("login", "--scope", "everything").want(t, exitUsage, "is no scope")
	if _, err := os.Stat(filepath.Join(c.home, "cotrain")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a folder: %v", err)
	}
}

func TestCredentialsThatOthersCanReadAreRefused(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.cotrain("login").want(t, exitDone)
	file := filepath.Join(c.home, "cotrain", "credentials")
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	c.cotrain("whoami").want(t, exitUsage, "chmod 600")
	c.env = map[string]string{"COTRAIN_TOKEN": "ctk_x"}
	c.cotrain("whoami").want(t, exitDone) // does not need the file
	c.env = nil
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.cotrain("whoami").want(t, exitUsage, "repair or remove it")
}

func TestABrowserIsOpenedOnATerminalOnly(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	var opened []string
	c.browse = func(url string) error {
		opened = append(opened, url)
		return errors.New("there is none")
	}
	c.cotrain("login").want(t, exitDone)
	c.errTerminal = true
	c.cotrain("login", "--no-browser").want(t, exitDone)
	if len(opened) != 0 {
		t.Errorf("opened %q", opened)
	}
	c.cotrain("login").want(t, exitDone, "any other will do")
	if !slices.Equal(opened, []string{c.url + "/device?code=BCDF-GHJK"}) {
		t.Errorf("opened %q", opened)
	}
	for _, address := range []string{"file:///etc/passwd", "javascript:alert(1)", "/device", "http://", "x://y"} {
		if err := browse(address); err == nil {
			t.Errorf("%s is opened", address)
		}
	}
}

func TestALogInOverPlainHTTPIsRefused(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.cotrain("login", "--addr", "http://192.0.2.1:1").want(t, exitUsage, "plain HTTP", "--plain-http")
}
