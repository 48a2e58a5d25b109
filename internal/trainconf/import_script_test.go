package trainconf

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// outcome is what an import made of a text, a line for each thing.
func outcome(im Imported) (understood, ignored, errs []string) {
	for _, l := range im.Understood {
		understood = append(understood, fmt.Sprintf("%d %s", l.Number, l.Why))
	}
	for _, l := range im.Ignored {
		ignored = append(ignored, fmt.Sprintf("%d %s", l.Number, l.Text))
	}
	for _, e := range im.Errors {
		errs = append(errs, e.Field+" "+e.Rule)
	}
	return understood, ignored, errs
}

func TestImportIgnoresOrdinaryShell(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"x=$(hostname)", "x=`hostname`", "x=${y:-1}", "x=1", `model="7B"`, "lr=3e-4 # peak", "n=$((n + 1))", "ids=()", "ids+=($!)", "nodes=( $(scontrol show hostnames) )", "NODES=($LIST)",
		"exit 1", "exit", "nvidia-smi", "nvidia-smi --query-gpu=name --format=csv,noheader | wc -l", "git pull", "git clone --depth 1 x", "date", "wait", "wait $!",
		`[ -n "$X" ] && echo there`, `[[ -z "${Y:-}" ]] || exit 1`, `if [ "$#" -lt 3 ]; then`, "else", "fi", "case $1 in", "  start) go ;;", "-h|--help) usage; exit ;;", "--nnodes)", "  --optim.batch_size) bs=$2; shift 2 ;;", "*) ;;", "esac",
		"for i in $(seq 0 3); do", "while ss -tuln | grep -q \":$port \"; do", "until curl -sf x; do", "done", "do", "function log() {", "usage() { exit 1; }", "log () {", "}", "{", "(cd x && make)", "((killed++))",
		"ps aux | grep x", "kill -9 $pid 2>/dev/null", "> \"$LOG\"", "tail -f log &", `: "${X:?not set}"`, ". ~/.bashrc", "~/bin/setup --fast", "./train.sh a b", "eval \"$(conda shell.bash hook)\"",
		"shift 2", "local num_gpu=$1", "trap cleanup SIGINT", "make -j 8 CC=gcc", "dd if=/dev/zero of=x bs=1M", "srun --nodes=2 --ntasks=4 hostname", "gcloud compute ssh --project mine", "gunicorn --log-level debug app",
		"echo \"--optim.batch_size 5\"", "echo ZERO_BAND_OPTIM_BATCH_SIZE=5", "printf '%s\\n' --data.fake", "user@host:~$ ls", "cat <<< \"$X\"", "awk '{print $1}' x", "alias t=torchrun", "TODO: look at this again",
	} {
		im := Import([]byte(line + "\n"))
		if len(im.Errors)+len(im.Understood) > 0 || len(im.Ignored) != 1 || im.Ignored[0].Number != 1 || im.Request.Config != (Config{}) {
			t.Errorf("%q: ignored %v, understood %v, errors %v", line, im.Ignored, im.Understood, im.Errors)
		}
		im = Import([]byte("[train]\nmicro_bs = 4\n\n" + line + "\nexport ZERO_BAND_OPTIM_BATCH_SIZE=64\n"))
		if len(im.Errors) > 0 || im.Request.Get("train.micro_bs") != "4" || len(im.Ignored) == 0 {
			t.Errorf("%q after TOML: ignored %v, errors %v", line, im.Ignored, im.Errors)
		}
	}
}

// script is a launch script as people write them.
const script = `#!/usr/bin/env bash
#SBATCH --nodes=2
set -euo pipefail

usage() {
  cat <<EOF
Usage: $0 [--nnodes N] [--data.seq_length N]
  --nnodes N             nodes
  --data.seq_length many tokens
[data]
EOF
  exit 1
}
[ "$#" -ge 1 ] || usage
head_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
seq_length=2048
while [[ $# -gt 0 ]]; do
  case "$1" in
    --nnodes) N="$2"; shift 2 ;;
    *) usage ;;
  esac
done

cat > debug.toml <<-'TOML'
	name_model = "1B"
	[train]
	micro_bs = 4
	TOML
tee .env <<END >/dev/null
ZERO_BAND_LOG_LEVEL=DEBUG
HOST=$(hostname)
END
python3 - <<'PY'
name_model = "7B"
LIMIT = 5
print(f"{name_model}")
PY
echo "
seq_length = 4
"
ARGS=(
  --optim.batch_size 64
  --data.seq_length=$seq_length
)
for i in 0 1; do
  GLOBAL_RANK=$i CUDA_VISIBLE_DEVICES="$i" torchrun --nproc_per_node=4 \
    --rdzv-endpoint="$head_node:29500" train.py @debug.toml --ckpt.interval 10 \
    "${ARGS[@]}" > "log$i" 2>&1 &
  pids+=($!)
done
`

func TestImportReadsALaunchScript(t *testing.T) {
	t.Parallel()
	understood, ignored, errs := outcome(Import([]byte(script)))
	if diff := cmp.Diff([]string{
		"24 the configuration in debug.toml", "25 name_model", "27 train.micro_bs", "30 log_level", "42 optim.batch_size", "46 gpus",
		"47 the configuration that the script writes", "47 ckpt.interval",
	}, understood); diff != "" {
		t.Errorf("understood (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"3 set -euo pipefail", "5 usage() {", "6 cat <<EOF", "7 Usage: $0 [--nnodes N] [--data.seq_length N]", "12 exit 1", "13 }", `14 [ "$#" -ge 1 ] || usage`,
		`15 head_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)`, "16 seq_length=2048", "17 while [[ $# -gt 0 ]]; do", `18 case "$1" in`, `19 N=$2`, "20 *) usage ;;", "21 esac", "22 done",
		"29 tee .env <<END >/dev/null", "31 HOST=$(hostname)", "33 python3 - <<'PY'", `34 name_model = "7B"`, `38 echo "`, "41 ARGS=(...)", "43 --data.seq_length $seq_length", "44 )",
		"45 for i in 0 1; do", "46 GLOBAL_RANK=$i", "46 CUDA_VISIBLE_DEVICES=$i", "47 --rdzv-endpoint $head_node:29500", "49 pids=(...)", "50 done",
	}, ignored); diff != "" {
		t.Errorf("ignored (-want +got):\n%s", diff)
	}
	if len(errs) > 0 {
		t.Errorf("errors %v", errs)
	}
}

func TestImportTellsMistakesOfTOMLAmongShell(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, field, rule string }{
		{"[train]\nmicro_bs 4\n", "config", "line 2: is not TOML"},
		{"[train]\n\nmicro_bs 4\n", "config", "line 3: is not TOML"},
		{"[train]\n\nmicro-batch 4\n", "config", "line 3: is not TOML"},
		{"export A=1\n[train]\nmicro-batch 4\n", "config", "line 3: is not TOML"},
		{"export A=1\n[train]\n\nmicro_bs: 4\n", "config", "line 4: is not TOML"},
		{"export A=1\n[train\nmicro_bs = 4\n", "config", "line 2: is not TOML"},
		{"export A=1\nname_model = B1\n", "config", "line 2: is not TOML"},
		{"export A=1\n[train]\nmicro_bs=many\n", "config", "line 3: is not TOML"},
		{"export A=1\n[train]\nmicro=1\n", "train.micro", "line 3: is not a setting"},
		{"name_model=\"1B\"\n\nmicro=1\n", "micro", "line 3: is not a setting"},
		{"export A=1\nname_model=\"2B\"\n", "name_model", "line 2: must be one of"},
		{"cat > x.toml <<EOF\n[train]\nmicro_bs = 0\nEOF\nnvidia-smi\n", "train.micro_bs", "line 3: must be a whole number"},
		{"cat > x.toml <<EOF\n[train]\n\nmicro_bs 4\nEOF\nnvidia-smi\n", "config", "line 4: is not TOML"},
	} {
		im := Import([]byte(tt.text))
		if len(im.Errors) != 1 || im.Errors[0].Field != tt.field || !strings.HasPrefix(im.Errors[0].Rule, tt.rule) {
			t.Errorf("%q: got %v, want one error of %s with %q", tt.text, im.Errors, tt.field, tt.rule)
		}
	}
}

func TestImportLeavesOutTOMLThatOnlyAShellCanFill(t *testing.T) {
	t.Parallel()
	for text, why := range map[string]string{
		"export A=1\n[train]\nmicro_bs = $MB\n": onlyShellKnows, "cat > x.toml <<EOF\n[ckpt]\npath = \"$OUT/x\"\nEOF\n": onlyShellKnows,
		"[ckpt]\n\npath = ${OUT}/x\n": onlyShellKnows, "export A=1\n[ckpt]\npath=\"${OUT}/x\"\n": "is a variable of the script, and no setting",
	} {
		im := Import([]byte(text))
		i := len(im.Ignored) - 1
		if len(im.Errors) > 0 || i < 0 || im.Ignored[i].Number != 3 || im.Ignored[i].Why != why || im.Request.Config != (Config{}) {
			t.Errorf("%q: ignored %v, errors %v", text, im.Ignored, im.Errors)
		}
	}
}

func TestImportTakesTOMLWithADollarAsItStands(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"$(", "${OUT}/x", "$OUT/x", "`x`"} {
		c := with(Config{}, "ckpt.path", value, "run_name", value)
		if im := Import(c.TOML()); len(im.Errors)+len(im.Ignored) > 0 || im.Request.Config != c {
			t.Errorf("%s: %v %v\n%s", value, im.Errors, im.Ignored, im.Request.Config.TOML())
		}
	}
}

func TestImportShowsNoSecretOfAScript(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"wandb login hunter2", "curl -H 'Authorization: Bearer hunter2' x", "git clone https://me:hunter2@host/x", "sshpass -p hunter2 ssh x", "CMD=\"docker run -e HF_TOKEN=hunter2 x\"",
		"CMD=\"wandb login hunter2\"", "export PROXY=http://me:hunter2@host:80", "api_key=hunter2", "echo \"\ntoken = hunter2\n\"", "local password=hunter2", "cat > x <<EOF\n[monitor]\nauth_token = \"$X hunter2\"\nEOF",
		"TOKENS=(hunter2 b)", "tokens=(hunter2\n b)", "python - <<EOF\ntoken = 'hunter2'\nEOF",
		"password:\n  hunter2", "[monitor]\nauth_token =\n\"hunter2\"",
	} {
		im := Import([]byte(text + "\nexport A=1\n"))
		if out := fmt.Sprintf("%+v", im); strings.Contains(out, "hunter2") {
			t.Errorf("%q: the secret is in %s", text, out)
		}
	}
}
