package config

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// line accepts text without control characters.
func line(s string) *problem {
	if len(s) > 4096 || strings.ContainsFunc(s, unicode.IsControl) {
		return broken("must be one line of at most 4096 bytes without control characters", "write it on one line")
	}
	return nil
}

// word accepts a line without white space.
func word(s string) *problem {
	if len(s) > 512 || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return broken("must be one word of at most 512 bytes", "remove the white space")
	}
	return nil
}

func items(check func(string) *problem) func([]string) *problem {
	return func(list []string) *problem {
		for _, item := range list {
			if strings.TrimSpace(item) == "" {
				return broken("has an empty item", "remove it")
			}
			if p := check(item); p != nil {
				return p
			}
		}
		return nil
	}
}

func between(low, high int) func(int) *problem {
	return func(n int) *problem {
		if n < low || n > high {
			return broken(fmt.Sprintf("must be from %d to %d", low, high), fmt.Sprintf("use %d", min(max(n, low), high)))
		}
		return nil
	}
}

func oneOf(values ...string) func(string) *problem {
	return func(s string) *problem {
		if !slices.Contains(values, s) {
			last := len(values) - 1
			return broken("must be "+strings.Join(values[:last], ", ")+" or "+values[last], "use "+values[last])
		}
		return nil
	}
}

// absolute accepts an absolute path that can stand in a mount.
func absolute(path string) *problem {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, ":") {
		return broken("must be an absolute path without a colon", "use /srv/cotrain, for example")
	}
	return nil
}

// octalMode accepts a folder's mode in chmod's form, with all rights for the owner and no setuid bit.
func octalMode(mode string) *problem {
	n, err := strconv.ParseUint(mode, 8, 32)
	if err != nil || len(mode) < 3 || len(mode) > 5 || n > 0o3777 || n&0o700 != 0o700 {
		return broken("must be the mode of a folder in octal, in which its owner may do everything", "use 2775")
	}
	return nil
}

// timeout accepts one second to one hour.
func timeout(d time.Duration) *problem {
	if d < time.Second || d > time.Hour {
		return broken("must be from 1s to 1h", "use "+min(max(d, time.Second), time.Hour).String())
	}
	return nil
}

// nomadAddress accepts http://host:port, https://host:port and unix:///path, several of them separated by commas, and
// consul://service.
func nomadAddress(addresses string) *problem {
	if strings.Contains(addresses, "@") {
		return &problem{rule: "must not hold a user or password", fix: "use NOMAD_TOKEN for the token", hide: true}
	}
	if u, err := url.Parse(addresses); err == nil && u.Scheme == "consul" {
		return lookUp(u)
	}
	var seen []string
	for _, address := range strings.Split(addresses, ",") {
		address = strings.TrimSpace(address)
		if slices.Contains(seen, address) {
			return broken("must not hold an address twice", "remove it")
		}
		seen = append(seen, address)
		u, err := url.Parse(address)
		switch {
		case err == nil && u.Scheme == "unix" && strings.HasPrefix(u.Path, "/"):
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
			return broken("must be a URL that begins with http://, https:// or unix:///, several separated by commas, or consul://nomad", "use http://127.0.0.1:4646, for example")
		case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
			return broken("must end after the port", "use "+u.Scheme+"://"+u.Host)
		}
	}
	return nil
}
