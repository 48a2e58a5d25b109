package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
)

// Errors that the sentinels of package run do not cover.
var (
	// ErrDenied means that Nomad refuses the token, or the token may not do this. Trying again does not help.
	ErrDenied error = fault.ErrNomadDenied
	// ErrParentMissing means that the parent job does not exist, or was stopped: ensure it and dispatch again.
	ErrParentMissing = errors.New("the parent job is gone or stopped")
	// ErrNotStarted means that the task has no log yet because it has not started.
	ErrNotStarted = errors.New("the task has not started yet")
)

// answer is what Nomad said instead of what was asked for.
type answer struct {
	code int
	text string
}

func (a *answer) Error() string { return fmt.Sprintf("Nomad answers %d: %s", a.code, a.text) }

// clean cuts text that came from outside to one line of at most 400 bytes.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return fault.Clip(strings.TrimSpace(s), 400)
}

// classify wraps err with what was being done and with the sentinel that says what it means. nil stays nil.
func classify(doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	var unexpected api.UnexpectedResponseError
	var said *answer
	switch {
	case errors.As(err, &unexpected):
		said = &answer{unexpected.StatusCode(), clean(unexpected.Body())}
	case errors.As(err, &said):
	case asSyntax(err) || errors.Is(err, errAnswerTooLong):
		return fmt.Errorf("%s: %w: what answers does not speak as Nomad does: %w", doing, fault.ErrNomadAway, err)
	case unreachable(err):
		return fmt.Errorf("%s: %w: %w", doing, fault.ErrNomadAway, err)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
	kind := said.kind()
	if errors.Is(kind, fault.ErrInvalid) {
		return fmt.Errorf("%s: %w", doing, fault.New(fault.ErrNomadRefused, fmt.Sprintf("Nomad refuses the job: %s", strings.TrimSuffix(said.text, ".")+"."), "").Because(said))
	}
	if kind != nil {
		return fmt.Errorf("%s: %w: %w", doing, kind, said)
	}
	return fmt.Errorf("%s: %w", doing, said)
}

// unreachable reports whether err says that there was no answer at all, or only a part of one.
func unreachable(err error) bool {
	var netErr net.Error
	var urlErr *url.Error
	return errors.As(err, &netErr) || errors.As(err, &urlErr) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// texts of Nomad's errors that decide what they mean, since most come with code 500.
var (
	parentTexts  = []string{"parameterized job not found", "is not a parameterized job", "\" is stopped"}
	invalidTexts = []string{"Payload exceeds maximum size", "Payload is not provided", "Payload provided but forbidden",
		"unpermitted metadata keys", "required meta keys", "did not provide required", "Failed to parse job", "validation error"}
	goneTexts = []string{"Unknown allocation", "unknown allocation", "state for allocation", "alloc not found", "job not found", "eval not found", "no such file or directory"}
	awayTexts = []string{"No cluster leader", "No path to region", "No path to node", "No Node Connection", "no servers",
		"leadership lost", "rpc error", "connection refused", "connection reset", "i/o timeout", "Nomad server", "server is not"}
	deniedText = []string{"Permission denied", "ACL token not found", "ACL token expired"}
)

func anyIn(text string, of []string) bool {
	for _, s := range of {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}

// kind returns the sentinel that the answer stands for, or nil.
func (a *answer) kind() error {
	switch {
	case a.code == http.StatusForbidden || a.code == http.StatusUnauthorized || anyIn(a.text, deniedText):
		return ErrDenied
	case a.code == http.StatusTooManyRequests, a.code == http.StatusBadGateway,
		a.code == http.StatusServiceUnavailable, a.code == http.StatusGatewayTimeout:
		return fault.ErrNomadAway
	case strings.Contains(a.text, "not started yet"):
		return ErrNotStarted
	case anyIn(a.text, parentTexts):
		return ErrParentMissing
	case anyIn(a.text, awayTexts), strings.HasPrefix(a.text, "<"): // a page of whatever stands before Nomad, which answers in plain text
		return fault.ErrNomadAway
	case a.code == http.StatusNotFound || anyIn(a.text, goneTexts):
		return fault.ErrNotFound
	case a.code == http.StatusBadRequest || anyIn(a.text, invalidTexts):
		return fault.ErrInvalid
	}
	return nil
}

// asSyntax reports whether err comes from an answer that is not the JSON it should be.
func asSyntax(err error) bool {
	var syn *json.SyntaxError
	var typ *json.UnmarshalTypeError
	return errors.As(err, &syn) || errors.As(err, &typ)
}
