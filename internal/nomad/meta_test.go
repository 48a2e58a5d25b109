package nomad

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func TestADispatchTellsTheWorkersByItsMeta(t *testing.T) {
	t.Parallel()
	d := Dispatch{RunID: "r-0000000000", Attempt: 3}
	got, err := d.Meta()
	if d := cmp.Diff(map[string]string{"run_id": "r-0000000000", "attempt": "3"}, got); d != "" || err != nil {
		t.Error(d, err)
	}
	d.Resume, d.CheckpointPath = "/c/step_5", "/c"
	d.Secrets = []run.SecretRef{{In: run.InNomad, Path: "nomad/jobs/hub"}, {Env: "HF_TOKEN", In: run.InVault, Path: "secret/a b", Field: "the token"}}
	d.Env, d.Args = map[string]string{"B": "x=y ", "A": ""}, []string{"--a.b", "c d"}
	got, err = d.Meta()
	want := map[string]string{
		"run_id": "r-0000000000", "attempt": "3", "resume": "/c/step_5", "ckpt_path": "/c", "secrets": "\tnomad\tnomad/jobs/hub\t\nHF_TOKEN\tvault\tsecret/a b\tthe token", "env": "A=\nB=x=y ", "args": "--a.b\nc d",
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestWhatCannotTravelWithADispatchIsRefused(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]Dispatch{
		"a name with a dash": {Env: map[string]string{"A-B": "x"}}, "a name with a digit first": {Env: map[string]string{"1A": "x"}}, "an empty name": {Env: map[string]string{"": "x"}},
		"a value of two lines": {Env: map[string]string{"A": "x\nB=y"}}, "a value with a zero byte": {Env: map[string]string{"A": "x\x00"}}, "no text": {Env: map[string]string{"A": "\xff"}},
		"an argument of two lines": {Args: []string{"a", "b\nc"}}, "an empty argument": {Args: []string{""}}, "a checkpoint of two lines": {Resume: "/a\n/b"},
		"a checkpoint path of two lines": {CheckpointPath: "/a\n/b"}, "secrets of another namespace": {Secrets: []run.SecretRef{{In: run.InNomad, Path: "a@other"}}}, "a field of two": {Secrets: []run.SecretRef{{Env: "A", In: run.InVault, Path: "a/b", Field: "c\td"}}},
		"a path of two lines":  {Secrets: []run.SecretRef{{In: run.InVault, Path: "a/b\nc"}}},
		"too much environment": {Env: map[string]string{"A": strings.Repeat("x", MaxMeta)}}, "too many arguments": {Args: []string{strings.Repeat("x", MaxMeta), "y"}},
		"priority": {Priority: 101}, "negative priority": {Priority: -1},
	} {
		if _, err := d.Meta(); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
