package config

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// said is what a connection string gives, read by another parser than ours.
func said(t *testing.T, conn string) map[string]string {
	t.Helper()
	u, err := url.Parse(conn)
	if err != nil || u.Scheme != "postgres" || u.Host != "" {
		t.Fatalf("%q: %v", conn, err)
	}
	got := map[string]string{}
	for name, values := range u.Query() {
		got[name] = strings.Join(values, " and ")
	}
	return got
}

func TestAURLSaysWhatItSaysToPsql(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]map[string]string{
		"postgres://db":             {"host": "db"},
		"postgresql://db/":          {"host": "db"},
		"postgres://me@/runs":       {"user": "me", "dbname": "runs"},
		"postgres:///runs":          {"dbname": "runs"},
		"postgres://db:5433/a%20b":  {"host": "db", "port": "5433", "dbname": "a b"},
		"postgres://[::1]:5433/d":   {"host": "::1", "port": "5433", "dbname": "d"},
		"postgres://[fe80::1]/d":    {"host": "fe80::1", "dbname": "d"},
		"postgres://a,b:5433/d":     {"host": "a,b", "port": ",5433", "dbname": "d", "target_session_attrs": "read-write"},
		"postgres://a:1,[::1]:2":    {"host": "a,::1", "port": "1,2", "target_session_attrs": "read-write"},
		"postgres://u:a+b%40c@h":    {"host": "h", "user": "u", "password": "a+b@c"},
		"postgres://u:a:b?c#d@h":    {"host": "h", "user": "u", "password": "a:b?c#d"},
		"postgres://%2Frun%2Fpg/d":  {"host": "/run/pg", "dbname": "d"},
		"postgres:///d?host=/run/p": {"host": "/run/p", "dbname": "d"},
		"postgres://?service=train": {"service": "train"},
		"postgres://h/d?options=-cwork_mem%3D8MB&search_path=train%2C%20public": {
			"host": "h", "dbname": "d", "options": "-cwork_mem=8MB", "search_path": "train, public"},
		"postgres://h,i?target_session_attrs=primary&sslmode=require&application_name=": {
			"host": "h,i", "target_session_attrs": "primary", "sslmode": "require"},
	} {
		cfg, err := world{env: map[string]string{"COTRAIN_DATABASE_URL": in}}.load()
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if diff := cmp.Diff(want, said(t, cfg.Database.ConnString())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
	if got := (Database{Password: "hunter2"}).ConnString(); got != "" {
		t.Errorf("without a URL: %q", got)
	}
}

func TestSettingsCompleteTheURL(t *testing.T) {
	t.Parallel()
	cfg, err := world{
		flags: Flags{"config": "c.toml"},
		env:   map[string]string{"COTRAIN_DATABASE_SSL_CERT": "cert.pem", "PGHOST": "elsewhere", "PGPASSWORD": "other", "PGSSLMODE": "disable"},
		files: map[string]string{"cert.pem": "", "key.pem": "", "password": "p&s = w+rd%\n", "c.toml": `
[database]
url = "postgres://u@h/d?sslmode=verify-ca"
password_file = "password"
ssl_root_cert = "system"
ssl_key = "key.pem"
ssl_mode = "verify-ca"
`}}.load()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"host": "h", "user": "u", "dbname": "d", "password": "p&s = w+rd%", "sslmode": "verify-ca", "sslrootcert": "system",
		"sslcert": "cert.pem", "sslkey": "key.pem"}
	conn := cfg.Database.ConnString()
	if diff := cmp.Diff(want, said(t, conn)); diff != "" || strings.Contains(conn, "+") { // libpq takes a + for itself
		t.Errorf("%s (-want +got):\n%s", conn, diff)
	}
}

func TestPostgreSQLsOwnVariablesCompleteTheURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, name, value string }{
		{"postgres://", "PGHOST", "db"},
		{"postgresql://", "PGSERVICE", "train"},
		{"postgres:///", "PGDATABASE", "runs"},
	} {
		cfg, err := world{flags: Flags{"database.url": tt.url}, env: map[string]string{tt.name: tt.value}}.load()
		if got := cfg.Database.ConnString(); err != nil || got != "postgres://?" || cfg.Notes != nil {
			t.Errorf("%s with %s: %s, %q, %v", tt.url, tt.name, got, cfg.Notes, err)
		}
	}
}

func TestPostgreSQLsVariablesAloneSelectNothingAndAreNoted(t *testing.T) {
	t.Parallel()
	cfg, err := world{env: map[string]string{"PGHOST": "db", "PGDATABASE": "x", "PGPASSWORD": "hunter2", "PGSSLMODE": "nonsense"}}.load()
	if err != nil || cfg.Database.ConnString() != "" {
		t.Errorf("%q, %v", cfg.Database.ConnString(), err)
	}
	if note := strings.Join(cfg.Notes, " | "); !strings.Contains(note, "PGHOST, PGDATABASE set") || !strings.Contains(note, "COTRAIN_DATABASE_URL") || strings.Contains(note, "|") {
		t.Errorf("noted: %s", note)
	}
	if cfg, err := (world{env: map[string]string{"PGPASSWORD": "x", "PGSSLMODE": "require"}}).load(); err != nil || cfg.Notes != nil {
		t.Errorf("what names no database is noted: %q, %v", cfg.Notes, err)
	}
}

func TestProblemsWithTheDatabaseNameTheirSourceAndWhatPasses(t *testing.T) {
	t.Parallel()
	const envURL = "COTRAIN_DATABASE_URL"
	env := func(url string, more ...string) world {
		w := world{env: map[string]string{envURL: url}, files: map[string]string{"a.pem": "", "password": "hunter2"}}
		for i := 0; i < len(more); i += 2 {
			w.env[more[i]] = more[i+1]
		}
		return w
	}
	file := func(text string) world {
		return world{flags: Flags{"config": "c.toml"}, files: map[string]string{"c.toml": "[database]\n" + text, "a.pem": "", "password": "hunter2"}}
	}
	for _, tt := range []struct {
		name             string
		w                world
		field, rule, fix string
	}{
		{"another database", env("mysql://u:hunter2@h/d"), envURL, "begin with postgres://", "SQLite"},
		{"a file of SQLite", file("url = 'sqlite:cotrain.db'"), "c.toml: database.url", "begin with postgres://", "leave it unset for SQLite"},
		{"keywords and values", env("host=h password=hunter2"), envURL, "begin with postgres://", "use postgres://"},
		{"a host alone", env("db.example"), envURL, "begin with postgres://", "use postgres://"},
		{"two lines", env("postgres://h/d\npostgres://hunter2"), envURL, "one line", "check"},
		{"nothing said", env("postgres://"), envURL, "neither do PGHOST", "use postgres://"},
		{"an @ in the password", env("postgres://u:a@hunter2@h/d"), envURL, "an @ or / in a place", "%40"},
		{"a / in the password", env("postgres://u:1/hunter2@h/d"), envURL, "an @ or / in a place", "%2F"},
		{"an @ in the query", env("postgres://h/d?user=hunter2@azure"), envURL, "an @ or / in a place", "%40"},
		{"a % in the password", env("postgres://u:hunter2%@h/d"), envURL, "a % in its password", "%25"},
		{"a space", env("postgres://u:hunter2 3@h/d"), envURL, "a space", "%20"},
		{"a NUL", env("postgres://u:hunter2%00@h/d"), envURL, "a % in its password", "%25"},
		{"a port by name", env("postgres://h:pg/d"), envURL, "from 1 to 65535", "use 5432"},
		{"a port that is too great", env("postgres://a,b:65536/d"), envURL, "from 1 to 65535", "use 5432"},
		{"port 0", env("postgres://h/d?port=0"), envURL, "from 1 to 65535", "use 5432"},
		{"an open bracket", env("postgres://[::1/d"), envURL, "host names, addresses", "brackets"},
		{"text after a bracket", env("postgres://[::1]x:1/d"), envURL, "host names, addresses", "brackets"},
		{"two hosts in one place", env("postgres://a/d?host=b"), envURL, "says its host twice", "once"},
		{"a parameter that is unknown", env("postgres://h/d?sslmode=require&hunter2=1"), envURL, "number 2 after the ?", "sslmode"},
		{"a parameter of the server", env("postgres://h/d?work_mem=1GB"), envURL, "number 1 after the ?", "options"},
		{"a parameter without value", env("postgres://h/d?hunter2"), envURL, "number 1 after the ?", "NAME=VALUE"},
		{"a parameter that is a setting", env("postgres://h/d?connect_timeout=1"), envURL, "connect_timeout", "use database.connect_timeout"},
		{"a parameter of pgx's pool", env("postgres://h/d?pool_max_conns=9"), envURL, "pool_max_conns", "use database.max_connections"},
		{"a parameter of JDBC", env("postgres://h/d?ssl=true"), envURL, "the parameter ssl", "use sslmode"},
		{"a mode of TLS that is none", env("postgres://h/d?sslmode=hunter2"), envURL, "sslmode that must be disable, allow", "use verify-full"},
		{"a session that cannot write", env("postgres://h/d?target_session_attrs=standby"), envURL, "any, primary or read-write", "use read-write"},
		{"a password in the file", file("url = ' postgres://u:hunter2@h/d'"), "c.toml: database.url", "holds a password", "database.url_file"},
		{"a password as a parameter in the file", file("url = 'postgres://h/d?password=hunter2'"), "c.toml: database.url", "holds a password", "database.password_file"},
		{"a key's password in a flag", world{flags: Flags{"database.url": "postgres://h/d?sslpassword=hunter2"}}, "--database-url", "holds a sslpassword", "database.url_file"},
		{"a URL that is no text", file("url = 1"), "c.toml: database.url", "text in quotes", "correct"},
		{"a URL for its file's name", env("", "COTRAIN_DATABASE_URL_FILE", "postgres://u:hunter2@h/d"), "COTRAIN_DATABASE_URL_FILE", "cannot be read", "COTRAIN_DATABASE_URL"},
		{"a URL and its file", env("postgres://h/d", "COTRAIN_DATABASE_URL_FILE", "hunter2"), "COTRAIN_DATABASE_URL_FILE", "together with COTRAIN_DATABASE_URL", "unset one"},
		{"a URL and its file in the file", file("url = 'postgres://h'\nurl_file = 'a.pem'"), "c.toml: database.url_file", "together with c.toml: database.url", "unset one"},
		{"a URL and its file as flags", world{flags: Flags{"database.url": "postgres://h", "database.url_file": "u"}}, "--database-url-file", "together with --database-url", "unset one"},
		{"a password in the configuration file", file("url = 'postgres://h'\npassword = 'hunter2'"), "c.toml: database.password", "a secret", "database.password_file"},
		{"two passwords", env("postgres://u:hunter2@h/d", "COTRAIN_DATABASE_PASSWORD", "other"), "COTRAIN_DATABASE_PASSWORD", "contradicts the password in database.url (COTRAIN_DATABASE_URL)", "one of them"},
		{"two modes of TLS", file("url = 'postgres://h/d?sslmode=require'\nssl_mode = 'verify-full'"), "c.toml: database.ssl_mode", "contradicts the sslmode in database.url (c.toml: database.url)", "one of them"},
		{"a mode of TLS that is none in a setting", file("url = 'postgres://h'\nssl_mode = 'on'"), "c.toml: database.ssl_mode", "disable, allow", "use verify-full"},
		{"a mode of TLS that is none in a variable", env("postgres://h", "PGSSLMODE", "on"), "PGSSLMODE", "disable, allow", "use verify-full"},
		{"an authority that is missing", env("postgres://h", "COTRAIN_DATABASE_SSL_ROOT_CERT", "gone"), "COTRAIN_DATABASE_SSL_ROOT_CERT", "(sslrootcert) that cannot be read: file does not exist", "correct the path"},
		{"an authority that is missing, in the URL", env("postgres://h?sslrootcert=hunter2"), envURL, "(sslrootcert) that cannot be read", "correct the path"},
		{"an authority that is missing, in a variable", env("postgres://h", "PGSSLROOTCERT", "gone"), "PGSSLROOTCERT", "(sslrootcert) that cannot be read", "correct the path"},
		{"a certificate without key", env("postgres://h", "COTRAIN_DATABASE_SSL_CERT", "a.pem"), "COTRAIN_DATABASE_SSL_CERT", "sslcert without sslkey", "both or neither"},
		{"a key without certificate", env("postgres://h?sslkey=a.pem"), envURL, "sslkey without sslcert", "both or neither"},
		{"one connection", env("postgres://h", "COTRAIN_DATABASE_MAX_CONNECTIONS", "1"), "COTRAIN_DATABASE_MAX_CONNECTIONS", "from 2 to 200", "use 2"},
		{"too many connections", file("url = 'postgres://h'\nmax_connections = 201"), "c.toml: database.max_connections", "from 2 to 200", "use 200"},
		{"no time for an answer", env("postgres://h", "COTRAIN_DATABASE_TIMEOUT", "0s"), "COTRAIN_DATABASE_TIMEOUT", "from 1s to 1h", "use 1s"},
		{"too much time to connect", env("postgres://h", "COTRAIN_DATABASE_CONNECT_TIMEOUT", "2h"), "COTRAIN_DATABASE_CONNECT_TIMEOUT", "from 1s to 1h", "use 1h"},
		{"connections of SQLite", file("max_connections = 16"), "c.toml: database.max_connections", "about PostgreSQL", "set database.url"},
		{"a password for SQLite", file("password_file = 'password'"), "c.toml: database.password_file", "about PostgreSQL", "set database.url"},
		{"a time-out of SQLite", world{flags: Flags{"database.timeout": "9s"}}, "--database-timeout", "about PostgreSQL", "set database.url"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.w.wantProblem(t, tt.field, tt.rule, tt.fix)
		})
	}
}

func TestTheGuideNamesEverySettingAndParameter(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/database.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range parameters {
		names = append(names, p.name)
	}
	for _, s := range Settings() {
		if strings.HasPrefix(s.Key, "database.") {
			names = append(names, s.Keys()...)
		}
	}
	for _, name := range names {
		if !strings.Contains(string(guide), "`"+name+"`") {
			t.Errorf("docs/database.md does not name %s", name)
		}
	}
}

func TestNothingShowsWhatADatabaseURLHolds(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"postgres://", "u:", "@", "/", "?", "&", "=", "%", "%00", "[", "]", ":5432", ",", "#", " ", "password=", "sslmode=", "sslcert=", "user=", "host", "\n", "'", "\\"}),
		rapid.StringN(0, 3, -1))
	rapid.Check(t, func(rt *rapid.T) {
		before, after := rapid.SliceOfN(piece, 0, 6).Draw(rt, "before"), rapid.SliceOfN(piece, 0, 6).Draw(rt, "after")
		text := strings.Join(before, "") + secret + strings.Join(after, "")
		quoted, err := json.Marshal(text)
		if err != nil {
			rt.Fatal(err)
		}
		for name, w := range map[string]world{
			"variable":          {env: map[string]string{"COTRAIN_DATABASE_URL": text}},
			"file of it":        {flags: Flags{"database.url_file": "u"}, files: map[string]string{"u": text}},
			"flag":              {flags: Flags{"database.url": text}},
			"configuration":     {flags: Flags{"config": "c"}, files: map[string]string{"c": "database.url = " + string(quoted)}},
			"without quotes":    {flags: Flags{"config": "c"}, files: map[string]string{"c": "database.url = " + text}},
			"with one password": {env: map[string]string{"COTRAIN_DATABASE_URL": text, "COTRAIN_DATABASE_PASSWORD": "other"}},
		} {
			cfg, err := w.load()
			shown := fmt.Sprint(err)
			if err == nil {
				data, err := json.Marshal(cfg)
				shown = fmt.Sprintf("%v %+v %#v %s %v", cfg, cfg, cfg, data, err)
			}
			if strings.Contains(shown, secret) {
				rt.Fatalf("%s: %q shows it: %s", name, text, shown)
			}
		}
	})
}
