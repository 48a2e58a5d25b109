package runs_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestStopAndDeleteAskFirstAndThenAct(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	path := "/runs/" + string(r.ID)
	for _, action := range []string{"stop", "delete"} {
		ask := s.Get(path+"/"+action, 200)
		if ask.Count(fmt.Sprintf(`form[method=post][action="%s/%s"] button[data-action=%s]`, path, action, action)) != 1 {
			t.Errorf("the page for %s has no button that does it", action)
		}
	}
	if len(s.Fake.Did) != 0 {
		t.Fatalf("asking did %v", s.Fake.Did)
	}
	if a := s.Do("POST", path+"/stop", nil); a.Status != http.StatusSeeOther || a.Header.Get("Location") != path {
		t.Errorf("stop: %d to %q", a.Status, a.Header.Get("Location"))
	}
	if a := s.Do("POST", path+"/delete", nil); a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/" {
		t.Errorf("delete: %d to %q", a.Status, a.Header.Get("Location"))
	}
	if got := strings.Join(s.Fake.Did, ", "); got != "stop "+string(r.ID)+", delete "+string(r.ID) {
		t.Errorf("did %s", got)
	}
	s.Fake.Err = fmt.Errorf("inside words: %w", fault.ErrConflict)
	a := s.Do("POST", path+"/stop", nil)
	if a.Status != http.StatusConflict || strings.Contains(a.Body, "inside words") {
		t.Errorf("conflict: %d", a.Status)
	}
}
