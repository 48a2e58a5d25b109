package fault_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
)

func TestEveryKindIsComplete(t *testing.T) {
	t.Parallel()
	code := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	titles := map[string]fault.Kind{}
	for _, k := range fault.Kinds() {
		f := k.Fault()
		if !code.MatchString(string(k)) {
			t.Errorf("%q is no code", k)
		}
		if other, taken := titles[f.Title]; taken || f.Title == "" || strings.HasSuffix(f.Title, ".") {
			t.Errorf("%s: title %q, which %q has too", k, f.Title, other)
		}
		titles[f.Title] = k
		for _, sentence := range []string{f.What, k.Why(), f.Fix} {
			if !strings.HasSuffix(sentence, ".") {
				t.Errorf("%s: %q is not a sentence", k, sentence)
			}
		}
		if k.Status() < 400 || k.Status() > 599 || k.Exit() < fault.ExitFailed || k.Exit() > fault.ExitRefused {
			t.Errorf("%s: %+v, status %d, exit %d", k, f, k.Status(), k.Exit())
		}
		if (k.Exit() == fault.ExitNotFound) != errors.Is(k, fault.ErrNotFound) || (k.Exit() == fault.ExitRefused) != (k.Status() < 500 && !errors.Is(k, fault.ErrNotFound) && k != fault.ErrTooSlow && k != fault.ErrUsage) {
			t.Errorf("%s: exit %d does not fit the status %d", k, k.Exit(), k.Status())
		}
		if !errors.Is(fmt.Errorf("do it: %w", k), k) || errors.Is(k, fault.Kind("")) {
			t.Errorf("%s is no sentinel", k)
		}
	}
}

func TestAFaultMatchesItsKindTheGeneralOneAndItsCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("database or disk is full")
	err := fmt.Errorf("store run: %w", fault.ErrFull.Fault().Because(cause))
	for _, target := range []error{fault.ErrFull, fault.ErrUnavailable, cause} {
		if !errors.Is(err, target) {
			t.Errorf("does not match %v", target)
		}
	}
	for _, target := range []error{fault.ErrConflict, fault.ErrNomadUnreachable} {
		if errors.Is(err, target) {
			t.Errorf("matches %v", target)
		}
	}
	if got := fault.Of(err); strings.Contains(got.Text(), cause.Error()) || !strings.Contains(err.Error(), cause.Error()) {
		t.Errorf("client reads %q, log %q", got.Text(), err.Error())
	}
}

func TestTheOutermostWordsAreTold(t *testing.T) {
	t.Parallel()
	inner := fault.New(fault.ErrKeyReused, "The key belongs to run r-1.", "")
	for name, c := range map[string]struct {
		err  error
		kind fault.Kind
		what string
	}{
		"a fault in an error":        {fmt.Errorf("submit: %w", inner), fault.ErrKeyReused, "The key belongs to run r-1."},
		"a kind in an error":         {fmt.Errorf("run r-1: %w", fault.ErrNoRun), fault.ErrNoRun, fault.ErrNoRun.Fault().What},
		"a kind in front of a fault": {fmt.Errorf("%w: %w", fault.ErrNotFound, inner), fault.ErrNotFound, fault.ErrNotFound.Fault().What},
		"joined errors":              {errors.Join(errors.New("x"), inner), fault.ErrKeyReused, inner.What},
		"a deadline":                 {fmt.Errorf("read: %w", context.DeadlineExceeded), fault.ErrTimeout, fault.ErrTimeout.Fault().What},
		"a request that has ended":   {context.Canceled, fault.ErrInterrupted, fault.ErrInterrupted.Fault().What},
		"no words at all":            {errors.New("dial tcp 10.1.2.3: secret"), fault.ErrInternal, fault.ErrInternal.Fault().What},
		"a kind that is not known":   {fault.Kind("newer"), fault.Kind("newer"), fault.ErrInternal.Fault().What},
	} {
		if got := fault.Of(c.err); got.Kind != c.kind || got.What != c.what {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
