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
	"github.com/cotrain/cotrain/internal/nomad/failover"
)

// Errors beside those of package fault.
var (
	// ErrDenied means that the token is refused or lacks rights.
	ErrDenied error = fault.ErrNomadDenied
	// ErrJobFile means that no version of the job file is usable, so that no run can start until it is corrected.
	ErrJobFile = errors.New("unusable job file")
	// ErrParentMissing means that the parent job is gone or stopped: ensure it and dispatch again.
	ErrParentMissing = errors.New("the parent job is gone or stopped")
	// ErrNotStarted means that the task has no log yet.
	ErrNotStarted = errors.New("the task has not started yet")
)

// answer is an error response.
type answer struct {
	code int
	text string
}

func (a *answer) Error() string { return fmt.Sprintf("Nomad answers %d: %s", a.code, a.text) }

// clean cuts outside text to one line of at most 400 bytes.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return fault.Clip(strings.TrimSpace(s), 400)
}

// classify wraps err with the action and the matching sentinel. nil stays nil.
func classify(doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	var unexpected api.UnexpectedResponseError
	var said *answer
	var none *failover.NoneError
	var known *fault.Error
	switch {
	case errors.As(err, &none):
		fix := "Check these servers, and nomad.address (NOMAD_ADDR)."
		if said := untrusted(err); said != nil {
			fix = fault.Of(said).Fix
		}
		return fmt.Errorf("%s: %w", doing, fault.New(fault.ErrNomadUnreachable, fmt.Sprintf("No server of Nomad works: %s.", none), fix).Because(err))
	case errors.As(err, &known):
		return fmt.Errorf("%s: %w", doing, err)
	case errors.As(err, &unexpected):
		said = &answer{unexpected.StatusCode(), clean(unexpected.Body())}
	case errors.As(err, &said):
	case asSyntax(err) || errors.Is(err, errAnswerTooLong):
		return fmt.Errorf("%s: %w: what answers does not speak as Nomad does: %w", doing, fault.ErrNomadUnreachable, err)
	case untrusted(err) != nil:
		return fmt.Errorf("%s: %w", doing, untrusted(err))
	case unreachable(err):
		return fmt.Errorf("%s: %w: %w", doing, fault.ErrNomadUnreachable, err)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
	if strings.Contains(said.text, "not enabled but used in the job") { // "Vault %q" before it
		return fmt.Errorf("%s: %w", doing, fault.New(fault.ErrNomadRefused, "Secrets of the run are in Vault, which Nomad's servers do not know.", enableVault).Because(said))
	}
	if strings.Contains(said.text, "HTTP request to an HTTPS server") {
		return fmt.Errorf("%s: %w", doing, fault.New(fault.ErrNomadUnreachable, "Nomad is asked by HTTP, and takes HTTPS only.", "Give nomad.address (NOMAD_ADDR) with https://, and the authority of its certificate as nomad.ca_cert (NOMAD_CACERT).").Because(said))
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

// ofNamespace is the error of a classified call about a namespace: what is wrong with one that a project has is not wrong with
// the rest of Nomad. It is [fault.ErrNamespace] then.
func (c *Client) ofNamespace(namespace string, err error) error {
	if err == nil || namespace == "" || namespace == c.cfg.Namespace || namespace == api.AllNamespacesNamespace {
		return err
	}
	said := (*answer)(nil)
	switch {
	case errors.As(err, &said) && strings.Contains(said.text, "nonexistent namespace"):
		return fault.New(fault.ErrNamespace, fmt.Sprintf("Nomad has no namespace %s, which the project has.", namespace), "Make it: nomad namespace apply "+namespace).Because(said)
	case errors.Is(err, ErrDenied):
		return fault.New(fault.ErrNamespace, fmt.Sprintf("Nomad does not let the console's token work in the namespace %s, which the project has.", namespace),
			"Give the token there the rights that it has in its own namespace.").Because(said)
	}
	return err
}

// unreachable reports whether there was no answer, or only a part.
func unreachable(err error) bool {
	var netErr net.Error
	var urlErr *url.Error
	return errors.As(err, &netErr) || errors.As(err, &urlErr) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// Most of Nomad's errors have code 500; these texts tell them apart.
var (
	parentTexts  = []string{"parameterized job not found", "is not a parameterized job", "\" is stopped"}
	invalidTexts = []string{"Payload exceeds maximum size", "Payload is not provided", "Payload provided but forbidden",
		"unpermitted metadata keys", "required meta keys", "did not provide required", "Failed to parse job", "validation error"}
	goneTexts = []string{"Unknown allocation", "unknown allocation", "state for allocation", "alloc not found", "job not found", "eval not found", "no such file or directory"}
	awayTexts = []string{"No cluster leader", "No path to region", "No path to node", "No Node Connection", "no servers",
		"leadership lost", "rpc error", "connection refused", "connection reset", "i/o timeout", "Nomad server", "server is not",
		"session shutdown", "stream closed", "broken pipe"}
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

func (a *answer) kind() error {
	switch {
	case a.code == http.StatusForbidden || a.code == http.StatusUnauthorized || anyIn(a.text, deniedText):
		return ErrDenied
	case a.code == http.StatusTooManyRequests, a.code == http.StatusBadGateway,
		a.code == http.StatusServiceUnavailable, a.code == http.StatusGatewayTimeout:
		return fault.ErrNomadUnreachable
	case strings.Contains(a.text, "not started yet"):
		return ErrNotStarted
	case anyIn(a.text, parentTexts):
		return ErrParentMissing
	case anyIn(a.text, awayTexts), strings.HasPrefix(a.text, "<"), // HTML comes from a proxy; Nomad answers in plain text
		a.code == http.StatusInternalServerError && (a.text == "EOF" || strings.HasSuffix(a.text, ": EOF")): // its connection to a node broke in the middle
		return fault.ErrNomadUnreachable
	case a.code == http.StatusNotFound || anyIn(a.text, goneTexts):
		return fault.ErrNotFound
	case a.code == http.StatusBadRequest || anyIn(a.text, invalidTexts):
		return fault.ErrInvalid
	}
	return nil
}

// asSyntax reports whether an answer was not the expected JSON.
func asSyntax(err error) bool {
	var syn *json.SyntaxError
	var typ *json.UnmarshalTypeError
	return errors.As(err, &syn) || errors.As(err, &typ)
}
