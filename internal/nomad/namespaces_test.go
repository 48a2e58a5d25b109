package nomad

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func TestSettingsOfAProjectNameWhatNomadHas(t *testing.T) {
	t.Parallel()
	type named struct{ Name string }
	f, c := newFake(t)
	f.HandleFunc("GET /v1/namespaces", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []named{{"team-b"}, {"default"}}) })
	f.HandleFunc("GET /v1/node/pools", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []named{{"all"}, {"gpu"}}) })
	for name, tc := range map[string]struct {
		before, after access.Settings
		want          []string // parts of the errors
	}{
		"what is there":        {access.Settings{}, access.Settings{Namespace: "team-b", NodePool: "gpu"}, nil},
		"all pools":            {access.Settings{}, access.Settings{NodePool: "all"}, nil},
		"nothing":              {access.Settings{Namespace: "gone"}, access.Settings{}, nil},
		"what it was before":   {access.Settings{Namespace: "gone"}, access.Settings{Namespace: "gone", Folder: "x"}, nil},
		"another namespace":    {access.Settings{}, access.Settings{Namespace: "team-c"}, []string{"namespace", "default, team-b", "nomad namespace apply team-c"}},
		"both are not there":   {access.Settings{}, access.Settings{Namespace: "c", NodePool: "d"}, []string{"namespace", "node_pool", "all, gpu"}},
		"only the pool is not": {access.Settings{}, access.Settings{Namespace: "default", NodePool: "d"}, []string{"node_pool"}},
	} {
		err := c.CheckSettings(t.Context(), tc.before, tc.after)
		var errs run.FieldErrors
		if len(tc.want) == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.As(err, &errs) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := errs.Error()
		for _, part := range tc.want {
			if !strings.Contains(text, part) {
				t.Errorf("%s: no %q in %s", name, part, text)
			}
		}
	}
}

func TestSettingsAreNotCheckedAgainstWhatTheTokenMayNotList(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	f.HandleFunc("GET /v1/namespaces", refuse(403, "Permission denied"))
	f.HandleFunc("GET /v1/node/pools", refuse(500, "rpc error: no leader"))
	if err := c.CheckSettings(t.Context(), access.Settings{}, access.Settings{Namespace: "a"}); err != nil {
		t.Error(err)
	}
	if err := c.CheckSettings(t.Context(), access.Settings{}, access.Settings{NodePool: "a"}); !errors.Is(err, fault.ErrUnavailable) {
		t.Error(err)
	}
}

func TestANamespaceThatIsRefusedIsNotTheTokenAsAWhole(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		code      int
		text, say string
	}{
		"it is not there": {500, `1 error occurred: * job "x" is in nonexistent namespace "team-a"`, "has no namespace team-a"},
		"it is closed":    {403, "Permission denied", "work in the namespace team-a"},
	} {
		f, c := newFake(t)
		f.HandleFunc("/", refuse(tc.code, tc.text))
		of := run.Shape{Nodes: 1, Namespace: "team-a"}.ParentJob()
		_, _, workers := c.Workers(t.Context(), of+"/dispatch-1")
		_, pending := c.WhyPending(t.Context(), of+"/dispatch-1")
		_, sent := c.Dispatch(t.Context(), Dispatch{Parent: of, RunID: "r-0000000001", Payload: []byte("x")})
		for _, err := range []error{workers, pending, sent, c.Stop(t.Context(), of+"/dispatch-1")} {
			if !errors.Is(err, fault.ErrNamespace) || errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), tc.say) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := c.Stop(t.Context(), "cotrain-core-x/dispatch-1"); errors.Is(err, fault.ErrNamespace) {
			t.Errorf("%s: of the console's own namespace: %v", name, err)
		}
	}
}
