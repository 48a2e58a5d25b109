package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/cotrain/cotrain/internal/fault"
)

const (
	// discoverEvery is how long a provider's addresses and keys are used; unknown keys are asked for at once.
	discoverEvery = time.Hour
	// retryEvery spares a provider that does not answer, and those who wait for it.
	retryEvery = 2 * time.Second
	// Timeout bounds each answer of a provider: a page waits for at most three.
	Timeout = 3 * time.Second
	// Skew is how far the provider's clock may be from ours.
	Skew = time.Minute
)

// Faults that a person can do something about.
var (
	ErrAway     = fault.New(fault.ErrUnavailable, "The log-in provider does not answer as it should.", "Try again in a moment; if it persists, tell an administrator: the console's log has the details.")
	ErrRejected = fault.New(fault.ErrForbidden, "The log-in provider did not let you in.", "Try again, or ask whoever runs it whether you may use this console.")
	ErrInvalid  = fault.New(fault.ErrForbidden, "The answer of the log-in provider is not valid.", "Sign in again; if it persists, tell an administrator: the console's log has the details.")
)

// Options is what a Provider is made from.
type Options struct {
	Issuer       string
	ClientID     string
	ClientSecret string // "" for a public client
	Scopes       []string
	UserClaim    string
	GroupsClaim  string
	SecondFactor []string     // values of amr or acr by which the provider says that it asked for one; see [AnyLogIn]
	Client       *http.Client // see [NewClient]
	Logger       *slog.Logger
	Now          func() time.Time
}

// Provider is a provider of log-ins. It is asked for the first time when somebody signs in.
type Provider struct {
	o Options

	asking   sync.Mutex // one question for the addresses at a time
	mu       sync.Mutex
	known    *discovered
	failed   error
	failedAt time.Time
}

// discovered is what the provider says of itself.
type discovered struct {
	at         time.Time
	config     *oauth2.Config
	provider   *oidc.Provider
	verifier   *oidc.IDTokenVerifier
	endSession string
}

// New returns a provider that was not asked yet.
func New(o Options) *Provider { return &Provider{o: o} }

// Begin returns where a browser signs in. secret is kept in the browser, where nobody else reads it, and given to
// [Provider.Finish]; back is where the provider sends the browser to.
func (p *Provider) Begin(ctx context.Context, secret, back string) (string, error) {
	d, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	return d.config.AuthCodeURL(derived("state", secret), oidc.Nonce(derived("nonce", secret)),
		oauth2.S256ChallengeOption(derived("verifier", secret)), oauth2.SetAuthURLParam("redirect_uri", back)), nil
}

// IsState reports whether a browser that comes back was sent with a secret.
func IsState(state, secret string) bool {
	return secret != "" && equal(state, derived("state", secret))
}

// Finish finds out who came back, from the query of the provider's answer, of which the state was checked. An error is one
// of the package's faults, with what the log tells of it.
func (p *Provider) Finish(ctx context.Context, secret, back string, query url.Values) (Person, error) {
	if iss := query["iss"]; len(iss) > 0 && (len(iss) > 1 || iss[0] != p.o.Issuer) {
		return Person{}, ErrInvalid.Because(errors.New("the answer is another provider's"))
	}
	if query.Has("error") {
		return Person{}, refusal(query)
	}
	if len(query["code"]) != 1 || query.Get("code") == "" {
		return Person{}, ErrInvalid.Because(errors.New("the answer has no code"))
	}
	d, err := p.discover(ctx)
	if err != nil {
		return Person{}, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.o.Client), 2*Timeout)
	defer cancel()
	token, err := d.config.Exchange(ctx, query.Get("code"), oauth2.VerifierOption(derived("verifier", secret)), oauth2.SetAuthURLParam("redirect_uri", back))
	if err != nil {
		return Person{}, exchangeFault(err)
	}
	return p.person(ctx, d, token, derived("nonce", secret))
}

// LogOutURL is where the provider ends its own session, "" if it has no such place or is not known.
func (p *Provider) LogOutURL(back string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || p.known.endSession == "" {
		return ""
	}
	u, err := url.Parse(p.known.endSession)
	if err != nil { // checked when it was discovered
		return ""
	}
	q := u.Query()
	q.Set("client_id", p.o.ClientID)
	q.Set("post_logout_redirect_uri", back)
	u.RawQuery = q.Encode()
	return u.String()
}

// derived makes a value of 256 bits, of which none tells another or the secret. That the browser alone has the secret is
// what binds a log-in to it.
func derived(what, secret string) string {
	sum := sha256.Sum256([]byte("cotrain log-in " + what + "\x00" + secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// discover returns the provider's addresses. What is known stays in use while it is away.
func (p *Provider) discover(ctx context.Context) (*discovered, error) {
	if d, err, done := p.remembered(); done {
		return d, err
	}
	p.asking.Lock()
	defer p.asking.Unlock()
	if d, err, done := p.remembered(); done { // somebody else's answer
		return d, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
	defer cancel()
	d, err := p.ask(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.known, p.failed = d, nil
		return d, nil
	}
	p.failed, p.failedAt = ErrAway.Because(err), p.o.Now()
	p.o.Logger.Warn("the log-in provider cannot be asked", "issuer", p.o.Issuer, "err", fault.Cut(err.Error(), maxLogged))
	if p.known != nil {
		return p.known, nil
	}
	return nil, p.failed
}

// remembered is what was found out so far, if that will do.
func (p *Provider) remembered() (d *discovered, err error, done bool) { //nolint:revive // the error is remembered, too
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.o.Now()
	away := p.failed != nil && now.Sub(p.failedAt) < retryEvery
	switch {
	case p.known != nil && (away || now.Sub(p.known.at) < discoverEvery):
		return p.known, nil, true
	case away:
		return nil, p.failed, true
	}
	return nil, nil, false
}

func (p *Provider) ask(ctx context.Context) (*discovered, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, p.o.Client), p.o.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		JWKS       string `json:"jwks_uri"`
		EndSession string `json:"end_session_endpoint"`
	}
	if err := provider.Claims(&more); err != nil {
		return nil, err
	}
	endpoint := provider.Endpoint()
	for what, address := range map[string]string{"authorization_endpoint": endpoint.AuthURL, "token_endpoint": endpoint.TokenURL, "jwks_uri": more.JWKS} {
		if err := p.checkAddress(address); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	if p.checkAddress(more.EndSession) != nil {
		more.EndSession = ""
	}
	return &discovered{
		at: p.o.Now(), provider: provider, endSession: more.EndSession,
		config: &oauth2.Config{ClientID: p.o.ClientID, ClientSecret: p.o.ClientSecret, Endpoint: endpoint, Scopes: p.o.Scopes},
		// Expiry is checked here: the library's leeway is another. It accepts asymmetric algorithms only.
		verifier: provider.Verifier(&oidc.Config{ClientID: p.o.ClientID, SkipExpiryCheck: true}),
	}, nil
}

// checkAddress accepts an address of the provider: encrypted, as the issuer is.
func (p *Provider) checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !plain(p.o.Issuer)) {
		return errors.New("is no address that can be used")
	}
	return nil
}

func plain(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && u.Scheme == "http"
}
