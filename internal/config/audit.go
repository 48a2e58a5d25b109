package config

import (
	"net/url"
	"strings"
	"time"
)

// retention accepts no limit, or a day at least.
func retention(d time.Duration) *problem {
	if d != 0 && d < 24*time.Hour {
		return broken("must be 0s, for ever, or at least 24h", "use 8760h for a year")
	}
	return nil
}

// syslogAddress accepts udp://, tcp:// and tls:// with a host.
func syslogAddress(s string) *problem {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "udp" && u.Scheme != "tcp" && u.Scheme != "tls" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return broken("must be udp://, tcp:// or tls:// with a host and perhaps a port", "use tls://logs.example.org:6514")
	}
	return nil
}

// webhookURL accepts http and https.
func webhookURL(s string) *problem {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return &problem{rule: "must be http:// or https:// with a host, without a user", fix: "use https://example.org/hooks/audit", hide: true}
	}
	return nil
}
