package inbound

import (
	"context"
	"net/http"
)

// CookieName is the name of a cookie that holds a secret, with the prefix that has browsers refuse it from anybody but the
// console over TLS.
func CookieName(ctx context.Context, name string) string {
	switch hop := Of(ctx); {
	case !hop.TLS:
		return name
	case hop.Base != "": // __Host- cookies go to the whole host
		return "__Secure-" + name
	}
	return "__Host-" + name
}

// SetCookie sets a cookie for the console's own paths, and over TLS for TLS only. It overwrites Path and Secure.
func SetCookie(w http.ResponseWriter, r *http.Request, c http.Cookie) {
	hop := Of(r.Context())
	c.Path, c.Secure = "/", hop.TLS
	if hop.Base != "" {
		c.Path = hop.Base
	}
	http.SetCookie(w, &c)
}
