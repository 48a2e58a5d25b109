package task

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func TestARestartPolicyCountsByIntervalAndFailsOrWaits(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]restartDecision{
		"fail":  {failed: true, reason: `Exceeded allowed attempts 2 in interval 1m0s and mode is "fail"`},
		"delay": {restart: true, reason: reasonDelayed, delay: 40 * time.Second},
	} {
		now := time.Unix(1000, 0)
		r := newRestartTracker(&api.RestartPolicy{
			Attempts: new(2), Interval: new(time.Minute), Delay: new(4 * time.Second), Mode: &mode,
		}, func() time.Time { return now })
		again := func() {
			t.Helper()
			if d := r.next(false); !d.restart || d.reason != reasonWithinPolicy || d.delay < 4*time.Second || d.delay > 5*time.Second {
				t.Errorf("%s: within the policy it decides %+v", mode, d)
			}
		}
		again()
		now = now.Add(20 * time.Second)
		again()
		if d := r.next(false); d != want {
			t.Errorf("%s: after that %+v, want %+v", mode, d, want)
		}
		now = now.Add(time.Minute)
		again() // in the next interval
		if d := r.next(true); d.restart || d.failed {
			t.Errorf("%s: a good end is followed by %+v", mode, d)
		}
	}
}

func TestTheMetaOfADispatchCannotLeadATemplateOutOfItsAllocation(t *testing.T) {
	t.Parallel()
	dir := Dir(filepath.Join(t.TempDir(), "alloc-id"))
	task := &taskRunner{r: &allocRunner{dir: dir}, task: &api.Task{Name: "t"}, env: &environment{env: map[string]string{
		"NOMAD_META_up": "../../..", "NOMAD_META_abs": "/etc/passwd", "NOMAD_SECRETS_DIR": dir.Secrets("t"),
	}}}
	for path, want := range map[string]string{
		"local/x": filepath.Join(dir.Local("t"), "x"), "${NOMAD_SECRETS_DIR}/x": filepath.Join(dir.Secrets("t"), "x"),
		"${NOMAD_META_up}/x": "", "${NOMAD_SECRETS_DIR}/${NOMAD_META_up}/x": "", "${NOMAD_META_abs}": filepath.Join(dir.Task("t"), "etc/passwd"),
	} {
		if got, err := task.templatePath(path); got != want || (err != nil) != (want == "") {
			t.Errorf("%s is %q, %v, want %q", path, got, err, want)
		}
	}
}
