package config

import (
	"net/url"
	"strings"
)

// parameter is what a PostgreSQL URL can say, named as in libpq.
type parameter struct {
	name   string
	env    string                 // PostgreSQL's own variable, for where neither URL nor setting says it
	key    string                 // of the setting that says the same, if any
	field  func(*Database) string // that setting
	check  func(string) *problem
	file   bool
	secret bool
}

// parameters are those that libpq and pgx have, less what a setting does better. pgx would hand any other to the server.
var parameters = []parameter{
	{name: "host", env: "PGHOST", check: hosts},
	{name: "port", env: "PGPORT", check: ports},
	{name: "user", env: "PGUSER", key: "database.user", field: func(d *Database) string { return d.User }},
	{name: "password", env: "PGPASSWORD", key: "database.password", field: func(d *Database) string { return string(d.Password) }, secret: true},
	{name: "dbname", env: "PGDATABASE"},
	{name: "service", env: "PGSERVICE"},
	{name: "passfile", env: "PGPASSFILE"},
	{name: "sslmode", env: "PGSSLMODE", key: "database.ssl_mode", field: func(d *Database) string { return d.SSLMode }, check: sslMode},
	{name: "sslrootcert", env: "PGSSLROOTCERT", key: "database.ssl_root_cert", field: func(d *Database) string { return d.SSLRootCert }, file: true},
	{name: "sslcert", env: "PGSSLCERT", key: "database.ssl_cert", field: func(d *Database) string { return d.SSLCert }, file: true},
	{name: "sslkey", env: "PGSSLKEY", key: "database.ssl_key", field: func(d *Database) string { return d.SSLKey }, file: true},
	{name: "sslpassword", env: "PGSSLPASSWORD", secret: true},
	{name: "sslcertmode", env: "PGSSLCERTMODE", check: oneOf("disable", "allow", "require")},
	{name: "sslnegotiation", env: "PGSSLNEGOTIATION", check: oneOf("postgres", "direct")},
	{name: "sslsni", env: "PGSSLSNI", check: oneOf("0", "1")},
	{name: "channel_binding", env: "PGCHANNELBINDING", check: oneOf("disable", "prefer", "require")},
	{name: "require_auth", env: "PGREQUIREAUTH"},
	{name: "target_session_attrs", env: "PGTARGETSESSIONATTRS", check: oneOf("any", "primary", "read-write")},
	{name: "application_name", env: "PGAPPNAME"},
	{name: "options", env: "PGOPTIONS"},
	{name: "search_path"}, // of pgx alone: the schema
}

// instead names what to use for well-known parameters that are not taken.
var instead = map[string]string{
	"connect_timeout":   "database.connect_timeout",
	"pool_max_conns":    "database.max_connections",
	"statement_timeout": "database.timeout",
	"database":          "dbname",
	"ssl":               "sslmode",
}

const exampleURL = "postgres://cotrain@db.example/cotrain, for example"

func parameterNamed(name string) *parameter {
	for i := range parameters {
		if parameters[i].name == name {
			return &parameters[i]
		}
	}
	return nil
}

// sslMode accepts PostgreSQL's modes of TLS.
var sslMode = oneOf("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

// databaseURL accepts a URL of PostgreSQL.
func databaseURL(s string) *problem {
	_, p := parseDatabaseURL(s)
	return p
}

// withoutSecrets refuses a URL with a password in it.
func withoutSecrets(s string) *problem {
	said, _ := parseDatabaseURL(s) // if it does not parse, that is said
	for _, p := range parameters {
		if p.secret && said[p.name] != "" {
			return broken("holds a "+p.name+", which does not belong here",
				"put the whole URL in a file of its own and name that with database.url_file, or only the password and name that with database.password_file")
		}
	}
	return nil
}

// ConnString is all that URL and settings say, as one URL for pgx, or "" for SQLite. It holds the password. What it does
// not say pgx takes from PostgreSQL's own variables.
func (d Database) ConnString() string {
	if d.URL == "" {
		return ""
	}
	said, _ := parseDatabaseURL(string(d.URL)) // checked by Load
	var query []string
	for _, p := range parameters {
		value := said[p.name]
		if value == "" && p.field != nil {
			value = p.field(&d)
		}
		if value == "" && p.name == "target_session_attrs" && strings.Contains(said["host"], ",") {
			value = "read-write" // after a failover another host takes writes
		}
		if value != "" {
			query = append(query, p.name+"="+strings.ReplaceAll(url.QueryEscape(value), "+", "%20"))
		}
	}
	return "postgres://?" + strings.Join(query, "&")
}

// database checks the settings of the database as a whole.
func (l *loader) database() {
	given, set := l.from["database.url"]
	switch {
	case !set:
		l.sqlite()
	case l.cfg.Database.URL != "": // else it was refused
		l.postgres(given)
	}
}

// sqlite refuses what has no effect on SQLite; PostgreSQL's own variables may be there for another program.
func (l *loader) sqlite() {
	for _, s := range Settings() {
		if o, set := l.from[s.Key]; set && strings.HasPrefix(s.Key, "database.") {
			l.fail(s.Key, o.source, o.value, "is about PostgreSQL, and database.url (COTRAIN_DATABASE_URL) is not set", "set database.url, or remove this")
		}
	}
	var unused []string
	for _, name := range []string{"host", "service", "dbname"} {
		env := parameterNamed(name).env
		if value, _ := l.environ(env); value != "" {
			unused = append(unused, env)
		}
	}
	if len(unused) > 0 {
		l.cfg.Notes = append(l.cfg.Notes, strings.Join(unused, ", ")+" set, but not database.url (COTRAIN_DATABASE_URL): the database is SQLite; set it to postgres:// for PostgreSQL")
	}
}

// postgres checks what URL, settings and PostgreSQL's own variables say together.
func (l *loader) postgres(given origin) {
	d := &l.cfg.Database
	said, _ := parseDatabaseURL(string(d.URL)) // checked as it was set
	from := map[string]origin{}
	for _, p := range parameters {
		value, setting := said[p.name], l.from[p.key]
		switch {
		case value != "" && setting.source != "" && value != p.field(d):
			l.fail(p.key, setting.source, setting.value, "contradicts the "+p.name+" in database.url ("+given.source+")", "say it in one of them")
		case value != "":
			from[p.name] = given
		case setting.source != "":
			value, from[p.name] = p.field(d), setting
		default:
			value = l.variable(p, from)
		}
		if p.file && value != "" && value != "system" { // system: the authorities that the machine trusts
			if _, err := l.read(value); err != nil {
				l.fail(p.key, from[p.name].source, from[p.name].value, "names a file ("+p.name+") that cannot be read: "+reason(err), "correct the path or the file's mode")
			}
		}
	}
	for have, lack := range map[string]string{"sslcert": "sslkey", "sslkey": "sslcert"} {
		if o, set := from[have]; set && from[lack].source == "" {
			l.fail("", o.source, o.value, "gives "+have+" without "+lack, "set both or neither")
		}
	}
	for _, name := range []string{"host", "user", "dbname", "service"} {
		if from[name].source != "" {
			return
		}
	}
	l.fail("database.url", given.source, given.value, "does not say which database, and neither do PGHOST, PGUSER, PGDATABASE and PGSERVICE", "use "+exampleURL)
}

// variable is the value of PostgreSQL's own variable, noted in from and checked.
func (l *loader) variable(p parameter, from map[string]origin) string {
	value, _ := l.environ(p.env)
	if value == "" {
		return ""
	}
	from[p.name] = origin{p.env, value}
	if p.secret {
		from[p.name] = origin{p.env, hiddenSecret}
	}
	if p.check != nil {
		if problem := p.check(value); problem != nil {
			l.fail("", p.env, value, problem.rule, problem.fix)
		}
	}
	return value
}
