package pgtest

import (
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// shared is the server of this process: started by the first test that needs it, ended with the process.
var shared = sync.OnceValues(func() (*server, error) { return newServer(options{}) })

// URL returns the address of a new, empty database, which the end of the test drops. Its order of words is not that of bytes,
// and its time zone not that of the machine.
func URL(t testing.TB) string {
	t.Helper()
	return database(t, empty)
}

// Copy returns the address of a database that is a copy of another, which nobody is connected to: much faster than to fill one.
func Copy(t testing.TB, of string) string {
	t.Helper()
	u, err := url.Parse(of)
	if err != nil {
		t.Fatal(err)
	}
	return database(t, strings.TrimPrefix(u.Path, "/"))
}

// empty is the template of new databases.
const empty = "template0"

func database(t testing.TB, template string) string {
	t.Helper()
	s, err := shared()
	if err != nil {
		missing(t, err)
	}
	name, err := s.create(template)
	if err != nil {
		t.Fatalf("create a database: %v", err)
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop the database: %v", err)
		}
	})
	return s.url(name)
}

// missing ends a test that has no PostgreSQL.
func missing(t testing.TB, err error) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("COTRAIN_TEST_REQUIRE"), ","), "postgres") {
		t.Fatalf("no PostgreSQL: %v", err)
	}
	t.Skipf("no PostgreSQL: %v", err)
}
