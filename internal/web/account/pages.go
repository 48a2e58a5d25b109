package account

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/web/page"
)

// LogIns lets people in and out.
type LogIns interface {
	// LogIn and SetUp set the cookie of a new session.
	LogIn(w http.ResponseWriter, r *http.Request, name, password string) error
	LogOut(w http.ResponseWriter, r *http.Request) error
	// IsSetUp reports whether there is anybody who could sign in; while not, CheckSetUp and SetUp accept the code of a link.
	IsSetUp() bool
	CheckSetUp(code string) error
	SetUp(w http.ResponseWriter, r *http.Request, code, name, password string) error
}

// Pages are the handlers.
type Pages struct {
	*page.Site
	LogIns LogIns
}
