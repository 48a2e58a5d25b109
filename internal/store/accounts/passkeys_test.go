package accounts_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/accounts"
)

func TestPasskeys(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		must(t, s.CreateUser(ctx, access.User{ID: "u-ann", Name: "ann", Kind: access.Person}, "hash"))
		must(t, s.CreateUser(ctx, access.User{ID: "u-bob", Name: "bob", Kind: access.Person}, "hash"))
		session := func(id, issuer string) error {
			return s.CreateSession(ctx, "key of "+id, access.Session{ID: id, User: "u-ann", CreatedAt: epoch, SeenAt: epoch, ExpiresAt: epoch.Add(time.Hour), Issuer: issuer}, "hash")
		}
		issuers := func() map[string]string {
			all, err := s.Sessions(ctx, "u-ann")
			must(t, err)
			out := map[string]string{}
			for _, se := range all {
				out[se.ID] = se.Issuer
			}
			return out
		}
		must(t, session("password", ""))
		must(t, session("enrols", ""))
		must(t, session("provider", "https://id.example"))

		p := access.Passkey{ID: "one", User: "u-ann", Name: "laptop", Domain: "localhost", CreatedAt: epoch, Syncs: true, Credential: []byte{0, 1, 0xff}, PublicKey: []byte{0}, Uses: math.MaxUint32 - 1}
		must(t, s.AddPasskey(ctx, p, "enrols"))
		same(t, "sessions", issuers(), map[string]string{"password": "", "enrols": "passkey:one", "provider": "https://id.example"})
		again := p
		again.ID, again.User = "two", "u-bob"
		wants(t, fault.ErrConflict, s.AddPasskey(ctx, again, ""))
		again.User, again.Credential = "u-nobody", []byte("x")
		wants(t, fault.ErrNoUser, s.AddPasskey(ctx, again, ""))
		got, err := s.PasskeyByCredential(ctx, p.Credential)
		must(t, err)
		same(t, "the passkey", got, p)
		_, err = s.PasskeyByCredential(ctx, []byte{0, 1})
		wants(t, fault.ErrNotFound, err)

		// A device that counts must count on; one that does not stays at 0.
		must(t, s.UsePasskey(ctx, "one", math.MaxUint32, true, epoch.Add(time.Minute)))
		for _, uses := range []uint32{0, 7, math.MaxUint32} {
			wants(t, fault.ErrConflict, s.UsePasskey(ctx, "one", uses, false, epoch))
		}
		wants(t, fault.ErrNotFound, s.UsePasskey(ctx, "none", 1, false, epoch))
		for i := 1; i < accounts.MaxPasskeys; i++ {
			must(t, s.AddPasskey(ctx, access.Passkey{ID: fmt.Sprint("p", i), User: "u-ann", Credential: []byte{byte(i)}, PublicKey: []byte{0}}, ""))
		}
		must(t, s.UsePasskey(ctx, "p1", 0, false, epoch))
		must(t, s.UsePasskey(ctx, "p1", 0, false, epoch))
		wants(t, fault.ErrConflict, s.AddPasskey(ctx, access.Passkey{ID: "many", User: "u-ann", Credential: []byte("many"), PublicKey: []byte{0}}, ""))

		wants(t, fault.ErrNotFound, s.RenamePasskey(ctx, "u-bob", "one", "his"))
		must(t, s.RenamePasskey(ctx, "u-ann", "one", "old laptop"))
		p.Name, p.Uses, p.Synced, p.UsedAt = "old laptop", math.MaxUint32, true, epoch.Add(time.Minute)
		all, err := s.Passkeys(ctx, "u-ann")
		must(t, err)
		if len(all) != accounts.MaxPasskeys {
			t.Fatalf("%d passkeys", len(all))
		}
		same(t, "the passkey", all[0], p)

		// What signs in with a passkey ends with it.
		must(t, session("phone", access.PasskeyIssuer("one")))
		wants(t, fault.ErrNotFound, s.RemovePasskey(ctx, "u-bob", "one", ""))
		must(t, s.RemovePasskey(ctx, "u-ann", "one", "enrols"))
		same(t, "sessions", issuers(), map[string]string{"password": "", "enrols": "", "provider": "https://id.example"})
		wants(t, fault.ErrSignedOut, session("late", access.PasskeyIssuer("one")))
		must(t, session("p2", access.PasskeyIssuer("p2")))
		must(t, s.RemoveFactors(ctx, "u-ann"))
		same(t, "sessions", issuers(), map[string]string{"password": "", "enrols": "", "provider": "https://id.example"})
		wants(t, fault.ErrConflict, s.RemoveFactors(ctx, "u-ann"))

		must(t, s.AddPasskey(ctx, access.Passkey{ID: "his", User: "u-bob", Credential: []byte("his"), PublicKey: []byte{0}}, ""))
		if u, err := s.User(ctx, "u-bob"); err != nil || u.Passkeys != 1 {
			t.Errorf("%+v, %v", u, err)
		}
		must(t, s.DeleteUser(ctx, "u-bob"))
		_, err = s.PasskeyByCredential(ctx, []byte("his"))
		wants(t, fault.ErrNotFound, err)
	})
}
