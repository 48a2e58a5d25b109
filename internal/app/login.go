package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/auth/oidc"
)

// openLogIns knows who may do what, and how they sign in. A provider is not asked yet: it may be away.
func (a *App) openLogIns(ctx context.Context) (err error) {
	log := a.log.With("part", "auth")
	o := auth.Options{Accounts: a.store.Accounts, Audit: a.refusals, Logger: log, Now: time.Now, Public: a.front.Public, NoPasswords: !a.cfg.Auth.Local,
		RequireSecondFactor: a.cfg.Auth.RequireSecondFactor, SecretKey: string(a.cfg.Auth.SecretKey),
		Placement: a.place}
	if c := a.cfg.OIDC; c.Issuer != "" {
		authorities, err := authority("oidc.ca_cert", c.CACert)
		if err != nil {
			return err
		}
		o.Provider = &auth.Provider{
			Issuer: c.Issuer, Name: c.Name, Groups: c.Groups, Allowed: c.AllowedGroups,
			OIDC: oidc.New(oidc.Options{
				Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: string(c.ClientSecret), Scopes: c.Scopes,
				UserClaim: c.UserClaim, GroupsClaim: c.GroupsClaim, SecondFactor: c.SecondFactor, Client: oidc.NewClient(authorities), Logger: log, Now: time.Now,
			}),
		}
	}
	a.logIns, err = auth.New(ctx, o)
	return err
}

// place judges new settings of a project against the cluster, and makes its folder in shared storage.
func (a *App) place(ctx context.Context, before, after access.Settings) error {
	if err := a.nomad.CheckSettings(ctx, before, after); err != nil {
		return err
	}
	if after.Folder == "" || after.Folder == before.Folder {
		return nil
	}
	return a.makeFolder(ctx, after.Folder)
}

// authority trusts the certificates of a file that a setting names, or nil for those that the machine trusts.
func authority(setting, file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // as documented
	}
	pem, err := os.ReadFile(file) // #nosec G304 -- a setting names it
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s has no certificate in PEM", setting, file)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
