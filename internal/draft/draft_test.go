package draft

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

func TestTooLongAConfigurationIsToldInTheWordsOfTrainconf(t *testing.T) {
	t.Parallel()
	base := "name_model = \"debugmodel\"\n[data]\nfake = true\n[train]\n"
	fits := base + "# " + strings.Repeat("x", trainconf.MaxPayload-len(base)-3) + "\n"
	if v := validate(Source{Config: fits}); !v.Valid {
		t.Errorf("what just fits: %+v", v.Errors)
	}
	// One byte too many; and one that is too long only once the run has its ID.
	for _, text := range []string{fits + "#", strings.Replace(fits, "# xxxxx", "# {run}", 1)} {
		want := trainconf.ValidatePayload(text)
		if want == nil {
			t.Fatal("it fits")
		}
		v := validate(Source{Config: text})
		if diff := cmp.Diff([]run.FieldError{*want}, v.Errors); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestAConfigurationStaysAsItWasWrittenUnlessItIsChanged(t *testing.T) {
	t.Parallel()
	const text = "# mine\n[train]\nmicro_bs = 4\n"
	start, err := trainconf.StartOfTemplate(run.Template{Name: "mine", Version: 2, Config: text, Shape: run.Shape{Nodes: 2}})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		src  Source
		want string
	}{
		"nothing changed":          {Source{}, text},
		"set to what it is":        {Source{Set: map[string]string{"train.micro_bs": "4", "nodes": "3"}}, text},
		"a field changed":          {Source{Set: map[string]string{"train.micro_bs": "8"}}, "[train]\nmicro_bs = 8\n"},
		"another in place of this": {Source{Config: "# other\n[train]\nmicro_bs = 2\n"}, "# other\n[train]\nmicro_bs = 2\n"},
	} {
		d := tt.src.Apply(start, nil)
		if warns := d.Check(false); len(d.Errs) > 0 || d.Submission().Config != tt.want || d.Submission().Origin.Template != "mine@2" {
			t.Errorf("%s: %+v, errors %v, warnings %v", name, d.Submission(), d.Errs, warns)
		}
	}
}

func TestNoGPUsAreAskedForBeforeWhatIsAskedOfThem(t *testing.T) {
	t.Parallel()
	got := InOrder(map[string]string{"cpu": "1", "gpu_model": "A100", "gpus": "0", "nodes": "2"})
	if want := []string{"gpus", "cpu", "gpu_model", "nodes"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// validate checks a source as the command line does without a console.
func validate(src Source) Validation {
	d := src.Apply(Empty(), nil)
	return d.Validation(false, trainconf.EstimateInput{})
}
