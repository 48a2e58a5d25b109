package run

import (
	"cmp"
	"fmt"
)

// What is done about a hang, and about a loss that is not finite, diverges or falls no more. "" is PolicyAlert.
const (
	PolicyAlert    = "alert"    // a notice and an event
	PolicyDump     = "dump"     // of a hang: and the stacks of those that hang are asked for
	PolicyRestart  = "restart"  // of a hang: as PolicyDump, and the attempt ends as one that failed
	PolicyStop     = "stop"     // of a loss: the run is stopped
	PolicyRollback = "rollback" // of a loss: another attempt continues from a checkpoint before it
)

// HangPolicies and LossPolicies list what there is, the default first.
func HangPolicies() []string { return []string{PolicyAlert, PolicyDump, PolicyRestart} }

// LossPolicies lists what may be done about a loss.
func LossPolicies() []string { return []string{PolicyAlert, PolicyStop, PolicyRollback} }

// Policy is what the options say to do about a kind of notice.
func (o Options) Policy(kind NoticeKind) string {
	p := ""
	switch kind {
	case NoticeHang:
		p = o.OnHang
	case NoticeNotFinite:
		p = o.OnNaN
	case NoticeDiverged:
		p = o.OnDivergence
	case NoticePlateau:
		p = o.OnPlateau
	}
	return cmp.Or(p, PolicyAlert)
}

// policyFields are the options by kind of notice.
var policyFields = map[NoticeKind]string{NoticeHang: "on_hang", NoticeNotFinite: "on_nan", NoticeDiverged: "on_divergence", NoticePlateau: "on_plateau"}

// EndedBy is the notice because of which a policy had the workers of the run stopped, nil if none did.
func (r *Run) EndedBy() *Notice {
	switch r.StopCause {
	case StopHang:
		return r.Notice(NoticeHang)
	case StopLoss, StopRollback, StopSpoiled:
		for _, kind := range []NoticeKind{NoticeNotFinite, NoticeDiverged, NoticePlateau} {
			if n := r.Notice(kind); n != nil && r.Options.Policy(kind) != PolicyAlert {
				return n
			}
		}
	}
	return nil
}

// StopPolicy says which of the run's policies ended it for good, because of a notice of that kind.
func (r *Run) StopPolicy(kind NoticeKind) string {
	policy := r.Options.Policy(kind)
	text := fmt.Sprintf("its policy is %s = %s", policyFields[kind], policy)
	if policy == PolicyRollback && (r.Rollback == nil || r.Rollback.Count < MaxRollbacks) {
		return text + ", and starting over unchanged would not help"
	}
	if policy == PolicyRollback {
		text += fmt.Sprintf(", and it went back %d times already", MaxRollbacks)
	}
	return text
}

// MaxRollbacks bounds how often a run goes back because of its loss.
const MaxRollbacks = 3
