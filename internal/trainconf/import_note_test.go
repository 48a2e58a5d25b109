package trainconf

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestImportSaysThatTheResultIsNotValidAsItStands(t *testing.T) {
	t.Parallel()
	const lost = "[train]\n\ntorchrun --nnodes=1 train.py --ckpt.path /data/$USER/ckpt --ckpt.interval 500\n"
	im := Import([]byte(lost))
	if len(im.Errors) > 0 || len(im.Invalid) != 1 || im.Invalid[0].Field != "ckpt.path" || im.Request.Get("ckpt.interval") != "500" {
		t.Errorf("errors %v, invalid %v", im.Errors, im.Invalid)
	}
	if im := Import([]byte(strings.ReplaceAll(lost, "$USER", "me"))); len(im.Errors)+len(im.Invalid) > 0 {
		t.Errorf("a valid one: errors %v, invalid %v", im.Errors, im.Invalid)
	}
	if im := Import([]byte(lost + "--optim.batch_size none\n")); len(im.Errors) != 1 || im.Invalid != nil {
		t.Errorf("one that was not understood: errors %v, invalid %v", im.Errors, im.Invalid)
	}
}

// reasons is why each line was ignored.
func reasons(im Imported) (out []string) {
	for _, l := range im.Ignored {
		out = append(out, l.Text+": "+l.Why)
	}
	return out
}

func TestImportSaysOfWhatAShellFillsInThatOnlyTheShellKnowsIt(t *testing.T) {
	t.Parallel()
	im := Import([]byte("torchrun --nnodes=$NODES --nproc_per_node $GPUS --node_rank=$RANK train.py --ckpt.resume $DIR/step_5 --data.data_rank $RANK\n"))
	if diff := cmp.Diff([]string{
		"--nnodes $NODES: " + onlyShellKnows, "--nproc_per_node $GPUS: " + onlyShellKnows, "--node_rank $RANK: " + setForWorkers,
		"--ckpt.resume $DIR/step_5: " + onlyShellKnows, "--data.data_rank $RANK: CoTrain gives each worker its own",
	}, reasons(im)); diff != "" {
		t.Error(diff)
	}
}

func TestImportUsesAConfigurationThatTheScriptWrites(t *testing.T) {
	t.Parallel()
	const body = "[train]\nmicro_bs = 4\nEOF\n"
	for _, tc := range []struct{ name, text, ignored string }{
		{"cat", "cat > cfg.toml <<EOF\n" + body + "torchrun train.py @cfg.toml\n", ""},
		{"cat, the file at last", "cat <<'EOF' > \"$DIR/cfg.toml\"\n" + body + "torchrun train.py @$DIR/cfg.toml\n", ""},
		{"tee", "tee cfg.toml <<EOF\n" + body + "torchrun train.py @cfg.toml\n", ""},
		{"another file", "cat > cfg.toml <<EOF\n" + body + "torchrun train.py @other.toml\n", "@other.toml: names a file: paste what it holds as well"},
	} {
		im := Import([]byte(tc.text))
		if got := strings.Join(reasons(im), "\n"); got != tc.ignored || len(im.Errors) > 0 || im.Request.Get("train.micro_bs") != "4" {
			t.Errorf("%s: ignored %q, want %q; errors %v", tc.name, got, tc.ignored, im.Errors)
		}
	}
}

func TestImportTakesAwayWhatIsUnsetBeforeTheTrainerStarts(t *testing.T) {
	t.Parallel()
	const set = "export ZERO_BAND_OPTIM_TOTAL_STEPS=500\n"
	for _, tc := range []struct{ name, text, want, ignored string }{
		{"unset", set + "unset ZERO_BAND_OPTIM_TOTAL_STEPS\ntorchrun train.py\n", "", "ZERO_BAND_OPTIM_TOTAL_STEPS=500: is unset again on line 2"},
		{"one of several, in a file without a start", set + "unset -v HOME ZERO_BAND_OPTIM_TOTAL_STEPS", "", "ZERO_BAND_OPTIM_TOTAL_STEPS=500: is unset again on line 2"},
		{"set again", set + "unset ZERO_BAND_OPTIM_TOTAL_STEPS\nexport ZERO_BAND_OPTIM_TOTAL_STEPS=600\n", "600", "ZERO_BAND_OPTIM_TOTAL_STEPS=500: is unset again on line 2"},
		{"after the start", set + "torchrun train.py --train.micro_bs 4\nunset ZERO_BAND_OPTIM_TOTAL_STEPS\n", "500", "unset ZERO_BAND_OPTIM_TOTAL_STEPS: " + notAnySetting},
		{"a function", set + "unset -f ZERO_BAND_OPTIM_TOTAL_STEPS\n", "500", "unset -f ZERO_BAND_OPTIM_TOTAL_STEPS: " + notAnySetting},
	} {
		im := Import([]byte(tc.text))
		got := strings.Join(slices.DeleteFunc(reasons(im), func(s string) bool { return strings.HasPrefix(s, "torchrun") }), "\n")
		if im.Request.Get("optim.total_steps") != tc.want || got != tc.ignored {
			t.Errorf("%s: total_steps %q, want %q; ignored %q, want %q", tc.name, im.Request.Get("optim.total_steps"), tc.want, got, tc.ignored)
		}
	}
}

func TestImportSaysOfAValueThatTheScriptMayNotSet(t *testing.T) {
	t.Parallel()
	const set, taken = "export ZERO_BAND_OPTIM_BATCH_SIZE=64", "stands under a condition, and was taken"
	const uncalled = "stands in the function debug, which the script does not call, and was taken"
	for _, tc := range []struct{ name, text, want string }{
		{"plain", set, ""},
		{"if on one line", "if false; then " + set + "; fi", taken},
		{"if", "if [ -n \"$DEBUG\" ]; then\n  " + set + "\nfi", taken},
		{"else", "if [ -n \"$DEBUG\" ]; then\n  date\nelse\n  " + set + "\nfi", taken},
		{"after an if", "if [ -n \"$DEBUG\" ]; then\n  date\nfi\n" + set, ""},
		{"case", "case $1 in\n  fast) " + set + " ;;\nesac", taken},
		{"after a case", "case $1 in\n  fast) date ;;\nesac\n" + set, ""},
		{"and", "[ -f x ] && " + set, taken},
		{"or", "cd x || " + set, taken},
		{"after and", "[ -f x ] && date\n" + set, ""},
		{"a command that is to succeed", "cd x && " + set, ""},
		{"a function that is not called", "debug() {\n  " + set + "\n}\ndate", uncalled},
		{"another way to write one", "function debug {\n  " + set + "\n}\ndate", uncalled},
		{"a function that is called", "debug() {\n  " + set + "\n}\ndebug", ""},
		{"after a function", "debug() {\n  date\n}\n" + set, ""},
		{"after a function on one line", "debug() { date; }\n" + set, ""},
		{"a loop", "for i in 0 1; do\n  " + set + "\ndone", ""},
	} {
		im := Import([]byte(tc.text + "\n"))
		if len(im.Understood) != 1 || im.Understood[0].Doubt != tc.want || im.Request.Get("optim.batch_size") != "64" {
			t.Errorf("%s: %+v, want %q", tc.name, im.Understood, tc.want)
		}
	}
}
