package config

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// parseDatabaseURL returns the parameters that a URL gives, by name. It splits as libpq and pgx do, and refuses what they
// would take for something else than its author meant. Problems repeat nothing of it but parameters' known names: in a
// malformed URL anything may be the password.
func parseDatabaseURL(s string) (map[string]string, *problem) {
	scheme, rest, _ := strings.Cut(s, "://")
	if scheme != "postgres" && scheme != "postgresql" {
		return nil, broken("must begin with postgres:// or postgresql://", "use "+exampleURL+", or leave it unset for SQLite in the data folder")
	}
	if strings.Contains(rest, " ") {
		return nil, broken("has a space", "write it as %20")
	}
	p := urlParser{params: map[string]string{}}
	if at := strings.IndexByte(rest, '@'); at >= 0 {
		if strings.Contains(rest[:at], "/") || strings.Contains(rest[at+1:], "@") {
			return nil, broken("has an @ or / in a place where none can stand", "write an @ in a user, password or name as %40 and a / as %2F")
		}
		user, password, _ := strings.Cut(rest[:at], ":")
		p.set("user", user)
		p.set("password", password)
		rest = rest[at+1:]
	}
	rest, query, _ := strings.Cut(rest, "?")
	addresses, name, _ := strings.Cut(rest, "/")
	var hosts, ports []string
	for address := range strings.SplitSeq(addresses, ",") {
		host, port := splitAddress(address)
		hosts, ports = append(hosts, host), append(ports, port)
	}
	p.set("host", strings.Join(hosts, ","))
	if strings.Join(ports, "") != "" {
		p.set("port", strings.Join(ports, ","))
	}
	p.set("dbname", name)
	if query != "" {
		for i, pair := range strings.Split(query, "&") {
			p.setPair(i+1, pair)
		}
	}
	if p.problem != nil {
		return nil, p.problem
	}
	return p.params, nil
}

// urlParser collects parameters, and the first problem.
type urlParser struct {
	params  map[string]string
	problem *problem
}

func (p *urlParser) fail(rule, fix string) {
	if p.problem == nil {
		p.problem = broken(rule, fix)
	}
}

// set decodes and checks a parameter that parameters lists; empty means absent.
func (p *urlParser) set(name, raw string) {
	if raw == "" {
		return
	}
	value, err := url.PathUnescape(raw)
	if err != nil || line(value) != nil {
		p.fail("has a % in its "+name+" without two hexadecimal digits of a character", "write a % itself as %25")
		return
	}
	if _, twice := p.params[name]; twice {
		p.fail("says its "+name+" twice", "say it once")
		return
	}
	if check := parameterNamed(name).check; check != nil {
		if problem := check(value); problem != nil {
			p.fail("has a "+name+" that "+problem.rule, problem.fix)
			return
		}
	}
	p.params[name] = value
}

// setPair sets the nth NAME=VALUE of the query.
func (p *urlParser) setPair(n int, pair string) {
	name, value, ok := strings.Cut(pair, "=")
	if better := instead[name]; better != "" {
		p.fail("has the parameter "+name+", which CoTrain does not take", "use "+better+" instead")
		return
	}
	if !ok || strings.Contains(value, "=") || parameterNamed(name) == nil {
		names := make([]string, 0, len(parameters))
		for _, known := range parameters {
			names = append(names, known.name)
		}
		p.fail(fmt.Sprintf("has a parameter, number %d after the ?, that CoTrain does not know", n), "write NAME=VALUE with one of "+strings.Join(names, ", "))
		return
	}
	p.set(name, value)
}

// splitAddress splits HOST:PORT, where HOST may be an IPv6 address in brackets.
func splitAddress(address string) (host, port string) {
	if inner, ok := strings.CutPrefix(address, "["); ok {
		host, rest, closed := strings.Cut(inner, "]")
		if port, colon := strings.CutPrefix(rest, ":"); closed && (colon || rest == "") {
			return host, port
		}
		return address, "" // hosts refuses the bracket
	}
	host, port, _ = strings.Cut(address, ":")
	return host, port
}

// hosts accepts names, addresses and folders of sockets, separated by commas.
func hosts(s string) *problem {
	if strings.ContainsAny(s, "[]@?&=#") {
		return broken("must be host names, addresses, or folders of sockets", "write an IPv6 address in brackets, and special characters of user and password as %XX")
	}
	return nil
}

// ports accepts port numbers separated by commas; an empty one is the default.
func ports(s string) *problem {
	for port := range strings.SplitSeq(s, ",") {
		if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
			return broken("must be from 1 to 65535", "use 5432, and write special characters of user and password as %XX")
		}
	}
	return nil
}
