package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/user"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/accounts"
	"github.com/cotrain/cotrain/internal/store/auditlog"
)

// ResetPassword gives a person of the configured console a one-time password, whether the console runs or not, and
// returns it with the number of API tokens that stay valid and what else there is to know. The audit log has it as done by
// [access.Machine].
func ResetPassword(ctx context.Context, cfg config.Config, name string, removeFactor, revokeTokens bool) (password string, tokens int, notes []string, err error) {
	d, err := store.OpenBeside(ctx, side(cfg, ""))
	if err != nil {
		return "", 0, nil, startError(err)
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	logIns, err := auth.New(ctx, auth.Options{Accounts: accounts.New(d), Audit: auditlog.New(d), Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		return "", 0, nil, err
	}
	ctx = access.With(audit.WithRequest(ctx, audit.Request{Agent: "cotrain user reset-password, run by " + runBy()}), access.Machine())
	all, err := logIns.Users(ctx)
	switch {
	case err != nil:
		return "", 0, nil, err
	case len(all) == 0:
		return "", 0, nil, fault.New(fault.ErrNoUser, "This console has no users yet.", "Start it, and open the set-up link in its log: it makes the first administrator.")
	}
	u, err := logIns.User(ctx, name)
	if err != nil {
		return "", 0, nil, err
	}
	if removeFactor && (u.SecondFactor || u.Passkeys > 0) {
		if err := logIns.RemoveUserFactor(ctx, u.Name); err != nil {
			return "", 0, nil, err
		}
	}
	if password, tokens, err = logIns.ResetPassword(ctx, u.Name, revokeTokens); err != nil {
		return "", 0, nil, err
	}
	return password, tokens, stillInTheWay(cfg, u, removeFactor), nil
}

// stillInTheWay is what keeps a user out who has a new password.
func stillInTheWay(cfg config.Config, u access.User, removedFactor bool) (notes []string) {
	if u.Disabled {
		notes = append(notes, fmt.Sprintf("%s is disabled, and stays so until an administrator enables it", u.Name))
	}
	if u.SecondFactor && !removedFactor {
		notes = append(notes, fmt.Sprintf("%s is asked for the second factor, too: --remove-second-factor removes it", u.Name))
	}
	if !cfg.Auth.Local {
		notes = append(notes, "nobody signs in with a password on this console: start it with --auth-local=true")
	}
	return notes
}

func runBy() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "an unknown user"
}
