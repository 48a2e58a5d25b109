package page

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// ErrBadForm is the fault for a form that no page of the console sends.
var ErrBadForm = fault.New(fault.ErrBadRequest, "The request is not a form of this page.", "Reload the page and fill it in again.")

// ReadForm parses the body as a form.
func ReadForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return FormError(r, err)
	}
	return nil
}

// FormError is the fault for an unreadable form.
func FormError(r *http.Request, err error) error {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return tooLarge(r, long.Limit)
	}
	return ErrBadForm.Because(err)
}

// tooLarge is the fault for a body over the limit.
func tooLarge(r *http.Request, limit int64) *fault.Error {
	what := "The request"
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && (media == "multipart/form-data" || media == "application/x-www-form-urlencoded") {
		what = "The form"
	}
	if r.ContentLength > limit {
		what += " has " + ui.Bytes(float64(r.ContentLength)) + ", and"
	}
	return fault.New(fault.ErrTooLarge, fmt.Sprintf("%s may have at most %s.", what, ui.Bytes(float64(limit))),
		"Shorten the text or choose a smaller file.")
}

// LayoutFor reads for whom the form of a layout saves it: me, project, or nobody, which resets it.
func LayoutFor(r *http.Request) (string, error) {
	if err := ReadForm(r); err != nil {
		return "", err
	}
	who := r.PostForm.Get("for")
	switch who {
	case "me", "project", "nobody":
		return who, nil
	}
	return "", run.FieldErrors{{Field: "for", Value: Text(who, 40), Rule: "is nobody that a layout is saved for", Fix: "send me, project, or nobody to reset it"}}
}

// IsFragment reports whether htmx asks for a part of a page.
func IsFragment(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }

// RunID reads the run's ID from the path. A malformed ID is a missing run.
func RunID(r *http.Request) (run.ID, error) {
	id, err := run.ParseID(r.PathValue("id"))
	if err != nil {
		return "", run.NoRun(r.PathValue("id"))
	}
	return id, nil
}

// Text trims and cuts user input to n bytes of valid UTF-8.
func Text(s string, n int) string {
	return fault.Cut(strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD")), n)
}

// Number reads an integer from the query.
func Number(r *http.Request, name string, otherwise, low, high int64) (int64, error) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return otherwise, nil
	}
	return ParseNumber(name, v, otherwise, low, high)
}

// ParseNumber reads the value of a field; the error names one that would pass.
func ParseNumber(name, value string, otherwise, low, high int64) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < low || n > high {
		return 0, run.FieldErrors{{Field: name, Value: Text(value, 40), Rule: fmt.Sprintf("is not a whole number from %d to %d", low, high), Fix: fmt.Sprintf("use %d", otherwise)}}
	}
	return n, nil
}

// BadCursor is the error for a malformed paging parameter.
func BadCursor(field, value, what string) error {
	return run.FieldErrors{{Field: field, Value: Text(value, 60), Rule: "is not " + what, Fix: "leave it out to start with the newest"}}
}
