package queue

import (
	"errors"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// secretsWait is the time after which a run looks again for secrets that it could not have.
const secretsWait = 30 * time.Second

// errHeld is a run that was not sent because of its secrets; why is stored.
var errHeld = errors.New("not sent because of its secrets")

// equip finds what the secrets of a run stand for that is about to be sent. One that cannot have them is held: others go on, and it
// is not ready until a later time. One whose secret has moved into Vault, or out of it, takes its turn with the shape that it has
// now.
func (q *Queue) equip(u *store.Update, all []run.Secret) (refs []run.SecretRef, held bool) {
	if u.Run.State != run.Queued || u.Attempt.MaybeSent {
		return u.Attempt.Secrets, false // Nomad may have it with these
	}
	refs, errs := u.Run.Options.Secrets.Resolve(u.Run.Project, u.Run.Options.Env, all)
	if len(errs) > 0 {
		u.Run.NotBefore, u.Run.Reason = q.o.Now().Add(secretsWait), run.SecretsWait(errs)
		return nil, true
	}
	if vault := run.NeedVault(refs); vault != u.Run.Shape.Vault {
		u.Run.Shape.Vault = vault
		return nil, true
	}
	return refs, false
}
