package store_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/certfile/certtest"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

func TestTheConnectionToPostgreSQLIsVerified(t *testing.T) {
	t.Parallel()
	authority, other := certtest.New(t), certtest.New(t)
	dir, later := t.TempDir(), time.Now().Add(time.Hour)
	roots := map[string]string{}
	for name, a := range map[string]*certtest.Authority{"trusted": authority, "other": other} {
		roots[name] = filepath.Join(dir, name+".pem")
		must(t, os.WriteFile(roots[name], a.PEM, 0o600))
	}
	good := authority.Issue(later, "127.0.0.1")
	server := pgtest.Start(t, pgtest.TLS(good.Cert, good.Key))
	open := func(mode, root string) (*store.Store, error) {
		u := server.NetworkURL() + "?" + url.Values{"sslmode": {mode}, "sslrootcert": {roots[root]}}.Encode()
		o := on(u)
		return store.OpenAt(t.Context(), t.TempDir(), o)
	}
	for _, c := range []struct {
		name, mode, root string
		pair             certtest.Pair
		says             string // "" if it connects
	}{
		{"the right one", "verify-full", "trusted", good, ""},
		{"the right one, also without its name", "verify-ca", "trusted", good, ""},
		{"one of another authority", "verify-full", "other", good, "authority that the console does not trust (database test1 at 127.0.0.1:"},
		{"one for another name", "verify-full", "trusted", authority.Issue(later, "db.example"), "certificate is not for 127.0.0.1 (database test1 at"},
		{"one for another name, which is not asked for", "verify-ca", "trusted", authority.Issue(later, "db.example"), ""},
		{"one that has expired", "verify-full", "trusted", authority.Issue(time.Now().Add(-time.Minute), "127.0.0.1"), "UTC only"},
	} {
		server.SetCertificate(c.pair.Cert, c.pair.Key)
		s, err := open(c.mode, c.root)
		if c.says == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			must(t, s.Close())
			continue
		}
		told(t, c.name, err, fault.ErrStoreUnavailable, c.says)
		if strings.Contains(fault.Of(err).Fix, "keeps trying") {
			t.Errorf("%s: a program that ends says %q", c.name, fault.Of(err).Fix)
		}
	}

	server.SetCertificate(good.Cert, good.Key)
	s, err := open("verify-full", "trusted")
	must(t, err)
	expired := authority.Issue(time.Now().Add(-time.Minute), "127.0.0.1")
	server.SetCertificate(expired.Cert, expired.Key) // as it is noticed by a console that runs
	_, err = s.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects()})
	told(t, "expired meanwhile", err, fault.ErrStoreUnavailable, "UTC only")
	server.SetCertificate(good.Cert, good.Key)
	if _, err = s.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects()}); err != nil {
		t.Errorf("with a new certificate: %v", err)
	}
	must(t, s.Close())
}
