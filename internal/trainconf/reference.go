package trainconf

import (
	"bytes"
	"fmt"
	"strings"
)

// statedRule is a rule between fields as the reference states it.
type statedRule struct {
	field   string // with which it is reported
	rule    string
	warning bool
}

// statedRules are those that [Config.Validate] checks; a test holds them to be complete.
var statedRules = [...]statedRule{
	{"optim.batch_size", "is a multiple of the GPUs per worker, and that quotient a multiple of `train.micro_bs`", false},
	{"optim.stable_steps", "is not `optim.total_steps` with wsd-sqrt, and when it is more, not less than the step at which training really ends", false},
	{"optim.stable_steps", "is less than `optim.total_steps` with wsd-sqrt, or the learning rate never decays", true},
	{"optim.warmup_steps", "is at most `optim.stable_steps` with wsd-sqrt", false},
	{"optim.warmup_steps", "is less than `optim.total_steps`, or the learning rate never reaches its full value", true},
	{"optim.total_steps", "is a multiple of `diloco.inner_steps`, or is rounded up to one: training ends only at the end of an outer step", true},
	{"optim.num_chunks", "is of no use with `train.fused_linear_ce`", true},
	{"optim.optim.max_preconditioner_dim", "is for the optimiser soap only", false},
	{"optim.optim.precondition_frequency", "is for the optimiser soap only", false},
	{"data.dataset_ratio", "has as many parts as `data.dataset_name_or_paths` has datasets", false},
	{"data.dataset_name_or_paths", "is not read when `data.fake` is true", true},
	{"data.fake", "is true with debugmodel", true},
	{"data.data_rank", "and `data.data_world_size` are set together, the first less than the second", false},
	{"data.data_world_size", "and `data.data_rank` are set together", false},
	{"data.data_rank", "is replaced: CoTrain gives each worker its own part of the data", true},
	{"diloco.inner_steps", "is set as soon as anything in [diloco] is", false},
	{"train.memory_profiler.snapshot_dir", "is set as soon as anything in [train.memory_profiler] is", false},
	{"train.ac_ckpt", "above 1 applies to the first layer only in the published core", true},
	{"ckpt.interval", "and `ckpt.path` are set together", false},
	{"ckpt.path", "and `ckpt.interval` are set together; [ckpt.remote] needs them too", false},
	{"ckpt.interval", "is a multiple of `diloco.inner_steps`", false},
	{"ckpt.interval", "is at most the number of steps, or nothing is saved", true},
	{"ckpt.remote.path", "is set as soon as anything in [ckpt.remote] is", false},
	{"ckpt.remote.interval", "is set as soon as anything in [ckpt.remote] is", false},
	{"ckpt.remote.interval", "is a multiple of `ckpt.interval`, or only checkpoints at multiples of both are copied", true},
	{"ckpt.remote_data_path", "is set when `ckpt.remote_data_load` is true", false},
	{"ckpt.data_path", "is not set when `ckpt.remote_data_load` is true", false},
	{"ckpt.resume", "names the folder of one step (`.../step_100`), not its parent", true},
	{"ckpt.path", "is a path, not an address: the core opens it on the worker; `ckpt.remote.path` may be one", false},
	{"ckpt.resume", "is a path, not an address", false},
	{"ckpt.data_path", "is a path, not an address", false},
	{"train.memory_profiler.snapshot_dir", "is a path, not an address", false},
	{"data.dataset_name_or_paths", "are paths or names, not addresses", false},
	{"data.val_dataset_name_or_paths", "are paths or names, not addresses", false},
	{"ckpt.live_recovery_rank_src", "needs [diloco]", false},
	{"ckpt.live_recovery_rank_src", "is better left to CoTrain, which sets it for workers that join", true},
	{"ckpt.topk", "makes the published core fail at its first save", true},
	{"type_model", "llama3 has no models but debugmodel, 1B, 10B and 70B in the public core", true},
	{"log_level", "above INFO hides all progress when `metric_logger_type` is dummy", true},
	{"monitor.auth_token", "is a secret and is refused; see below", false},
	{FieldConfig, "has at most 16384 bytes, which is what Nomad dispatches", false},
}

const referenceIntro = `# Configuration of a run

<!-- Written by "go run ./internal/trainconf/gendoc": edit internal/trainconf, not this file. -->

A run is CotrainCore's TOML, what it asks of the cluster, and some options. Form, API, ` + "`cotrain run submit --set FIELD=VALUE`" + `,
` + "`cotrain config validate FILE`" + ` and sweeps take the fields below under the same names, check them with the same rules, and say the
same about what is wrong: the field, its value, the rule, and what would pass. The core checks most of this only once processes and GPUs
are up; CoTrain checks it before.

What wins, as in the core: the TOML, then arguments (` + "`--optim.batch_size 64`" + `), then environment variables
(` + "`ZERO_BAND_OPTIM_BATCH_SIZE=64`" + `). CoTrain applies both before it checks rules between fields. The core refuses to start with any
other variable that begins with ` + "`ZERO_BAND_`" + `, and knows those of [diloco], [monitor], [ckpt.remote] and [train.memory_profiler] only
when the TOML has that table. The table [train] must always be there.

Values: a whole number may be written 88_000 or 1e3; true and false also as on and off; lists are separated by commas; a duration is
2h30m, 90m or 1d12h. An empty value unsets a field.

`

const referenceImport = `## Import

Paste or drop any TOML of CotrainCore: comments, underscores in numbers, dotted keys and inline tables are understood. Lines of a shell may
stand among it, or a whole launch script with here-documents that hold the TOML; nothing of it is run. They count as they would there: ` + "`export ZERO_BAND_X=...`" + `, a .env file, ` + "`docker run -e ZERO_BAND_X=...`" + `, variables before
torchrun and arguments after it, over several lines with ` + "`\\`" + `. ` + "`--nproc_per_node`" + ` becomes the GPUs, ` + "`--nnodes`" + ` and
` + "`GLOBAL_WORLD_SIZE`" + ` the nodes, other variables the environment of the run. What CoTrain sets itself (addresses, ranks, ports) is left out,
and so is what only the shell knows (` + "`$HOME`" + `). Every line that sets nothing is listed with the reason, mistakes of TOML with their line.
A text has at most 64 KiB and 5000 lines.

**Secrets** (` + "`monitor.auth_token`" + `, variables such as ` + "`WANDB_API_KEY`" + `) are taken out and shown nowhere. Where a secret that the
project may use is registered for that environment variable, the import names it in ` + "`secrets`" + `; otherwise it says which one an administrator
has to register (` + "`cotrain secret register`" + `). Only the node that runs the worker reads the value.

`

const referenceEstimates = `## Estimates

N is the number of parameters with embeddings, g the GPUs of a worker, n the workers. The sources are named in internal/trainconf (estimate.go, memory.go).

| estimate | formula |
| --- | --- |
| tokens per step | seq_length x batch_size x n |
| steps | total_steps, with DiLoCo rounded up to a multiple of inner_steps |
| learning rate | as the core's schedulers: cosine and linear of transformers; wsd-sqrt 1 - sqrt((step - stable) / (total - stable)) after the stable steps |
| checkpoint | 12N bytes: weights and Adam's two moments in 32 bits; with DiLoCo 4N more for the outer momentum, in each worker's |
| sync of an outer step | each worker sends 2(n - 1)/n x 4N bytes in a ring, N rather than 4N with uint8; time is that over the bandwidth |
| computing time of an outer step | inner_steps x tokens of a worker x (6N + 12 x layers x width x seq_length) / (g x peak of the GPU x 40 % MFU), N without the input embedding; unknown for unknown GPUs |
| share of syncing | sync / (sync + computing), nothing overlaps |
| weights on a GPU | 4N/g in 32 bits, and gathered in bfloat16: 2N, or with reshard_after_forward two layers and the embeddings |
| gradients on a GPU | 4N/g, and while micro-batches are accumulated 2N more (4N with reduce_fp32) |
| optimiser on a GPU | 8N/g; soap more |
| activations on a GPU | micro_bs x seq_length x layers x (12d + 4k + 6f) bytes with d the width, k that of keys and values, f of the feed-forward; attn_fn math adds 4 x heads x seq_length; with ac_ckpt 2d a layer, and one layer whole |
| logits on a GPU | micro_bs x seq_length x vocabulary x (4 + 4/num_chunks) bytes; none with fused_linear_ce |
| offloading | fsdp_cpu_offload moves what is divided by g to the host |
| memory of the host | 12N bytes for DiLoCo, 16N for offloading |

CUDA, libraries and fragmentation take 1 to 3 GiB of a GPU on top. Dimensions of models are those of the public code; where a model is not in
it, the one of llama2 of that name stands in, and 70M counts by its name alone.
`

// Reference is docs/configuration.md: every field, the rules between them, how to import, and what estimates are made of.
func Reference() []byte {
	var b bytes.Buffer
	b.WriteString(referenceIntro)
	fmt.Fprintf(&b, "`%s` in a folder that the run writes into (`%s`),\nin arguments or in values of the environment becomes the run's ID when the run is made, so that two runs never write into one\nfolder.\n\n",
		RunPlaceholder, strings.Join(OutputFields(), "`, `"))
	for _, s := range Sections() {
		fmt.Fprintf(&b, "## %s\n\n", s.Title)
		b.WriteString("| field | what it takes | default | what it is |\n| --- | --- | --- | --- |\n")
		if s.Key == "run" {
			writeReference(&b, nameField)
		}
		for _, f := range FieldsOf(s.Key) {
			writeReference(&b, f)
		}
		b.WriteByte('\n')
	}
	b.WriteString("## Rules between fields\n\nA run that breaks one is refused; *warning* means that it is allowed and probably not meant.\n\n")
	for _, r := range statedRules {
		note := ""
		if r.warning {
			note = " *(warning)*"
		}
		fmt.Fprintf(&b, "- `%s` %s.%s\n", r.field, r.rule, note)
	}
	b.WriteByte('\n')
	b.WriteString(referenceImport)
	b.WriteString(referenceEstimates)
	return b.Bytes()
}

func writeReference(b *bytes.Buffer, f Field) {
	cell := strings.NewReplacer("|", `\|`, "\n", " ").Replace
	takes := f.Rule()
	if f.Unit != "" {
		takes += " (" + f.Unit + ")"
	}
	kept := ""
	switch {
	case f.Default != "":
		kept = "`" + f.Default + "`"
	case f.Required && f.Table() != "":
		kept = "must be set with its table"
	case f.Required:
		kept = "must be set"
	}
	help := f.Help
	if env := f.Env(); env != "" {
		help += " `" + env + "`"
	}
	fmt.Fprintf(b, "| `%s` | %s | %s | **%s.** %s |\n", f.Path, cell(takes), kept, cell(f.Label), cell(help))
}
