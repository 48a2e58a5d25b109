package trainconftest

import (
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// Case is one rule between fields.
type Case struct {
	Name    string
	Field   string // the field that the problem is reported with
	Shape   run.Shape
	Warning bool   // the problem is a warning; Bad has no errors then
	Rule    string // part of what is said
	Fix     string // part of what would pass
	Bad     string // TOML that breaks the rule
	Good    string // TOML that does not, and has no errors at all
}

// Cases returns every rule between fields.
func Cases() []Case {
	all := append(training(), checkpoints()...)
	return append(all, extra()...)
}

// gpus is the shape of the cases: three nodes, with so many GPUs each.
func gpus(n int) run.Shape { return run.Shape{Nodes: 3, GPUs: n} }

// text makes a file of lines. Unless they say otherwise the model is one that its architecture has; the table [train] is
// always there.
func text(lines ...string) string {
	out, train, model := strings.Join(lines, "\n")+"\n", false, false
	for _, line := range lines {
		train = train || strings.HasPrefix(line, "train.")
		model = model || strings.HasPrefix(line, "type_model")
	}
	if !model {
		out = "type_model = \"llama2\"\n" + out
	}
	if !train {
		out += "[train]\n"
	}
	return out
}

func training() []Case {
	return []Case{
		{Name: "inner steps with DiLoCo", Field: "diloco.inner_steps", Shape: gpus(0), Rule: `[diloco]`, Fix: `use 100`,
			Bad:  text(`diloco.outer_lr = 0.5`),
			Good: text(`diloco.outer_lr = 0.5`, `diloco.inner_steps = 100`)},
		{Name: "snapshot folder with the memory profiler", Field: "train.memory_profiler.snapshot_dir", Shape: gpus(0), Rule: `must be set`, Fix: `logs/memory`,
			Bad:  text(`train.memory_profiler.freq = 5`),
			Good: text(`train.memory_profiler.freq = 5`, `train.memory_profiler.snapshot_dir = "x"`)},
		{Name: "batch over GPUs", Field: "optim.batch_size", Shape: gpus(8), Rule: `multiple of the GPUs per worker (8)`, Fix: `use 496 or 504`,
			Bad:  text(`optim.batch_size = 500`),
			Good: text(`optim.batch_size = 504`)},
		{Name: "batch smaller than the GPUs", Field: "optim.batch_size", Shape: gpus(8), Rule: `multiple of the GPUs per worker (8)`, Fix: `use 8`,
			Bad:  text(`optim.batch_size = 4`),
			Good: text(`optim.batch_size = 8`)},
		{Name: "batch over micro-batch on many GPUs", Field: "optim.batch_size", Shape: gpus(8), Rule: `is 64 samples on each of 8 GPUs, which must be a multiple of train.micro_bs (48)`, Fix: `use 384 or 768, or set train.micro_bs to 32`,
			Bad:  text(`train.micro_bs = 48`),
			Good: text(`train.micro_bs = 32`)},
		{Name: "batch over micro-batch without GPUs", Field: "optim.batch_size", Shape: gpus(0), Rule: `must be a multiple of train.micro_bs (8)`, Fix: `use 16 or 24, or set train.micro_bs to 5`,
			Bad:  text(`optim.batch_size = 20`, `train.micro_bs = 8`),
			Good: text(`optim.batch_size = 24`, `train.micro_bs = 8`)},
		{Name: "stable steps of wsd-sqrt", Field: "optim.stable_steps", Shape: gpus(0), Rule: `less than optim.total_steps (80000) with wsd-sqrt: the core divides`, Fix: `use 79999 or less`,
			Bad:  text(`optim.sched_type = "wsd-sqrt"`, `optim.total_steps = 80000`),
			Good: text(`optim.sched_type = "wsd-sqrt"`, `optim.stable_steps = 79999`, `optim.total_steps = 80000`)},
		{Name: "stable steps of wsd-sqrt within the last outer step", Field: "optim.stable_steps", Shape: gpus(0), Rule: `goes on to step 80100, and the core fails after step 80050`, Fix: `use 80009 or less`,
			Bad:  text(`diloco.inner_steps = 100`, `optim.sched_type = "wsd-sqrt"`, `optim.stable_steps = 80050`, `optim.total_steps = 80010`),
			Good: text(`diloco.inner_steps = 100`, `optim.sched_type = "wsd-sqrt"`, `optim.stable_steps = 80100`, `optim.total_steps = 80010`)},
		{Name: "stable steps of wsd-sqrt beyond the end", Field: "optim.stable_steps", Shape: gpus(0), Warning: true, Rule: `the learning rate never decays`, Fix: `use 79999 or less`,
			Bad:  text(`optim.sched_type = "wsd-sqrt"`, `optim.stable_steps = 80001`, `optim.total_steps = 80000`),
			Good: text(`optim.sched_type = "wsd-sqrt"`, `optim.stable_steps = 79999`, `optim.total_steps = 80000`)},
		{Name: "warm-up of wsd-sqrt", Field: "optim.warmup_steps", Shape: gpus(0), Rule: `at most optim.stable_steps (80000)`, Fix: `use 80000 or less`,
			Bad:  text(`optim.sched_type = "wsd-sqrt"`, `optim.warmup_steps = 80001`),
			Good: text(`optim.sched_type = "wsd-sqrt"`, `optim.warmup_steps = 80000`)},
		{Name: "stable steps of other schedules", Field: "optim.warmup_steps", Shape: gpus(0), Warning: true, Rule: `never reaches its full value`, Fix: `such as 100`,
			Bad:  text(`optim.total_steps = 1000`),
			Good: text(`optim.warmup_steps = 999`, `optim.total_steps = 1000`)},
		{Name: "chunks with the fused loss", Field: "optim.num_chunks", Shape: gpus(0), Warning: true, Rule: `together with train.fused_linear_ce`, Fix: `remove it`,
			Bad:  text(`optim.num_chunks = 8`, `train.fused_linear_ce = true`),
			Good: text(`train.fused_linear_ce = true`)},
		{Name: "soap's settings with adam", Field: "optim.optim.precondition_frequency", Shape: gpus(0), Rule: `soap only`, Fix: `set optim.optim.type to soap`,
			Bad:  text(`optim.optim.precondition_frequency = 10`),
			Good: text(`optim.optim.type = "soap"`, `optim.optim.precondition_frequency = 10`)},
		{Name: "parts of the mix of datasets", Field: "data.dataset_ratio", Shape: gpus(0), Rule: `has 2 parts, and must have as many as data.dataset_name_or_paths has datasets (1)`, Fix: `use 1 `,
			Bad:  text(`data.dataset_ratio = "55:45"`),
			Good: text(`data.dataset_name_or_paths = "a,b"`, `data.dataset_ratio = "55:45"`)},
		{Name: "datasets with synthetic data", Field: "data.dataset_name_or_paths", Shape: gpus(0), Warning: true, Rule: `not read`, Fix: `remove the datasets`,
			Bad:  text(`data.dataset_name_or_paths = "a"`, `data.fake = true`),
			Good: text(`data.fake = true`)},
		{Name: "debugmodel with real data", Field: "data.fake", Shape: gpus(0), Warning: true, Rule: `debugmodel`, Fix: `use true`,
			Bad:  text(`name_model = "debugmodel"`),
			Good: text(`name_model = "debugmodel"`, `data.fake = true`)},
		{Name: "data rank alone", Field: "data.data_world_size", Shape: gpus(0), Rule: `go together`, Fix: `use 3`,
			Bad:  text(`data.data_rank = 0`),
			Good: text()},
		{Name: "data parts alone", Field: "data.data_rank", Shape: gpus(0), Rule: `go together`, Fix: `use 0`,
			Bad:  text(`data.data_world_size = 3`),
			Good: text()},
		{Name: "data rank beyond the parts", Field: "data.data_rank", Shape: gpus(0), Rule: `less than data.data_world_size (3)`, Fix: `use 0`,
			Bad:  text(`data.data_rank = 3`, `data.data_world_size = 3`),
			Good: text(`data.data_rank = 2`, `data.data_world_size = 3`)},
		{Name: "data rank that is replaced", Field: "data.data_rank", Shape: gpus(0), Warning: true, Rule: `is replaced`, Fix: `remove`,
			Bad:  text(`data.data_rank = 1`, `data.data_world_size = 3`),
			Good: text()},
		{Name: "steps that end within an outer step", Field: "optim.total_steps", Shape: gpus(0), Warning: true, Rule: `after step 1050`, Fix: `use 1000 or 1050`,
			Bad:  text(`optim.total_steps = 1010`, `diloco.inner_steps = 50`),
			Good: text(`optim.total_steps = 1050`, `diloco.inner_steps = 50`)},
		{Name: "a model that the architecture lacks", Field: "type_model", Shape: gpus(0), Warning: true, Rule: `has no 150M`, Fix: `use llama2`,
			Bad:  text(`type_model = "llama3"`),
			Good: text(`name_model = "10B"`, `type_model = "llama3"`)},
		{Name: "no report at all", Field: "log_level", Shape: gpus(0), Warning: true, Rule: `no progress`, Fix: `use INFO`,
			Bad:  text(`metric_logger_type = "dummy"`, `log_level = "ERROR"`),
			Good: text(`metric_logger_type = "dummy"`, `log_level = "INFO"`)},
		{Name: "a secret in the configuration", Field: "monitor.auth_token", Shape: gpus(0), Rule: `is a secret`, Fix: `remove it`,
			Bad:  text(`monitor.auth_token = "x"`),
			Good: text()},
	}
}

func checkpoints() []Case {
	return []Case{
		{Name: "interval of remote checkpoints", Field: "ckpt.remote.interval", Shape: gpus(0), Rule: `must be set`, Fix: `use 1000`,
			Bad:  text(`ckpt.path = "a"`, `ckpt.interval = 5`, `ckpt.remote.path = "s3://b"`),
			Good: text(`ckpt.path = "a"`, `ckpt.interval = 5`, `ckpt.remote.path = "s3://b"`, `ckpt.remote.interval = 10`)},
		{Name: "path of remote checkpoints", Field: "ckpt.remote.path", Shape: gpus(0), Rule: `must be set`, Fix: `s3://`,
			Bad:  text(`ckpt.path = "a"`, `ckpt.interval = 5`, `ckpt.remote.interval = 5`),
			Good: text(`ckpt.path = "a"`, `ckpt.interval = 5`, `ckpt.remote.path = "s3://b"`, `ckpt.remote.interval = 5`)},
		{Name: "live recovery without DiLoCo", Field: "ckpt.live_recovery_rank_src", Shape: gpus(0), Rule: `needs [diloco]`, Fix: `set diloco.inner_steps`,
			Bad:  text(`ckpt.live_recovery_rank_src = 0`),
			Good: text(`diloco.inner_steps = 50`, `ckpt.live_recovery_rank_src = 0`)},
		{Name: "live recovery from the start", Field: "ckpt.live_recovery_rank_src", Shape: gpus(0), Warning: true, Rule: `wait for a peer`, Fix: `remove it`,
			Bad:  text(`diloco.inner_steps = 50`, `ckpt.live_recovery_rank_src = 0`),
			Good: text(`diloco.inner_steps = 50`)},
		{Name: "remote checkpoints without local ones", Field: "ckpt.path", Shape: gpus(0), Rule: `[ckpt.remote]`, Fix: `models/checkpoints`,
			Bad:  text(`ckpt.remote.path = "a"`, `ckpt.remote.interval = 5`),
			Good: text(`ckpt.path = "a"`, `ckpt.interval = 5`, `ckpt.remote.path = "a"`, `ckpt.remote.interval = 5`)},
		{Name: "remote data state without its place", Field: "ckpt.remote_data_path", Shape: gpus(0), Rule: `ckpt.remote_data_load is true`, Fix: `s3://`,
			Bad:  text(`ckpt.remote_data_load = true`),
			Good: text(`ckpt.remote_data_path = "s3://b"`, `ckpt.remote_data_load = true`)},
		{Name: "remote data state and a folder", Field: "ckpt.data_path", Shape: gpus(0), Rule: `excludes ckpt.remote_data_load`, Fix: `remove it`,
			Bad:  text(`ckpt.remote_data_path = "a"`, `ckpt.remote_data_load = true`, `ckpt.data_path = "b"`),
			Good: text(`ckpt.remote_data_path = "a"`, `ckpt.remote_data_load = true`)},
		{Name: "resuming from the parent of the steps", Field: "ckpt.resume", Shape: gpus(0), Warning: true, Rule: `their parent cannot be resumed from`, Fix: `use /data/run/step_100`,
			Bad:  text(`ckpt.resume = "/data/run/"`),
			Good: text(`ckpt.resume = "/data/run/step_100/"`)},
		{Name: "resuming from a step without a number", Field: "ckpt.resume", Shape: gpus(0), Warning: true, Rule: `is not named step_N`, Fix: `/step_100`,
			Bad:  text(`ckpt.resume = "step_latest"`),
			Good: text(`ckpt.resume = "step_0"`)},
		{Name: "checkpoints at an address", Field: "ckpt.path", Shape: gpus(0), Rule: `cannot open s3:// there`, Fix: `set it as ckpt.remote.path`,
			Bad:  text(`ckpt.path = "s3://bucket/run"`, `ckpt.interval = 5`),
			Good: text(`ckpt.path = "a"`, `ckpt.interval = 5`, `ckpt.remote.path = "s3://bucket/run"`, `ckpt.remote.interval = 5`)},
		{Name: "resuming from an address", Field: "ckpt.resume", Shape: gpus(0), Rule: `cannot open gs:// there`, Fix: `copy the checkpoint`,
			Bad:  text(`ckpt.resume = "gs://bucket/run/step_100"`),
			Good: text(`ckpt.resume = "/data/step_100"`)},
		{Name: "resuming from a path that is written as an address", Field: "ckpt.resume", Shape: gpus(0), Rule: `cannot open file:// there`, Fix: `use /data/step_100`,
			Bad:  text(`ckpt.resume = "file:///data/step_100"`),
			Good: text(`ckpt.resume = "/data/step_100"`)},
		{Name: "data state at an address", Field: "ckpt.data_path", Shape: gpus(0), Rule: `cannot open hdfs:// there`, Fix: `copy the data state`,
			Bad:  text(`ckpt.data_path = "hdfs://host/state"`),
			Good: text(`ckpt.remote_data_path = "hdfs://host/state"`)},
		{Name: "memory snapshots at an address", Field: "train.memory_profiler.snapshot_dir", Shape: gpus(0), Rule: `cannot open s3:// there`, Fix: `use a folder`,
			Bad:  text(`train.memory_profiler.snapshot_dir = "s3://bucket/memory"`),
			Good: text(`train.memory_profiler.snapshot_dir = "memory"`)},
		{Name: "a dataset at an address", Field: "data.dataset_name_or_paths", Shape: gpus(0), Rule: `cannot open hf:// there`, Fix: `use its name on the hub`,
			Bad:  text(`data.dataset_name_or_paths = "datasets/a,hf://datasets/b"`),
			Good: text(`data.dataset_name_or_paths = "datasets/a,b/c"`)},
		{Name: "a dataset for validation at an address", Field: "data.val_dataset_name_or_paths", Shape: gpus(0), Rule: `cannot open https:// there`, Fix: `copy the dataset`,
			Bad:  text(`data.val_dataset_name_or_paths = "https://example.org/a"`),
			Good: text(`data.val_dataset_name_or_paths = "a/b"`)},
		{Name: "keeping the newest checkpoints", Field: "ckpt.topk", Shape: gpus(0), Warning: true, Rule: `fail at its first save`, Fix: `remove it`,
			Bad:  text(`ckpt.topk = 3`),
			Good: text()},
		{Name: "checkpoint folder without interval", Field: "ckpt.interval", Shape: gpus(0), Rule: `must be set when ckpt.path is`, Fix: `use 8800`,
			Bad:  text(`diloco.inner_steps = 50`, `ckpt.path = "a"`),
			Good: text(`diloco.inner_steps = 50`, `ckpt.path = "a"`, `ckpt.interval = 8800`)},
		{Name: "checkpoint interval without folder", Field: "ckpt.path", Shape: gpus(0), Rule: `must be set when ckpt.interval is`, Fix: `models/checkpoints`,
			Bad:  text(`ckpt.interval = 50`),
			Good: text(`ckpt.path = "a"`, `ckpt.interval = 50`)},
		{Name: "checkpoint interval within an outer step", Field: "ckpt.interval", Shape: gpus(0), Rule: `multiple of diloco.inner_steps (50)`, Fix: `use 100 or 150`,
			Bad:  text(`diloco.inner_steps = 50`, `ckpt.path = "a"`, `ckpt.interval = 120`),
			Good: text(`diloco.inner_steps = 50`, `ckpt.path = "a"`, `ckpt.interval = 150`)},
		{Name: "checkpoint interval beyond the end", Field: "ckpt.interval", Shape: gpus(0), Warning: true, Rule: `no checkpoint is saved`, Fix: `use 88000`,
			Bad:  text(`ckpt.path = "a"`, `ckpt.interval = 88001`),
			Good: text(`ckpt.path = "a"`, `ckpt.interval = 88000`)},
		{Name: "remote interval between checkpoints", Field: "ckpt.remote.interval", Shape: gpus(0), Warning: true, Rule: `multiples of both`, Fix: `use 200 or 300`,
			Bad:  text(`ckpt.path = "a"`, `ckpt.interval = 100`, `ckpt.remote.path = "b"`, `ckpt.remote.interval = 250`),
			Good: text(`ckpt.path = "a"`, `ckpt.interval = 100`, `ckpt.remote.path = "b"`, `ckpt.remote.interval = 300`)},
	}
}

// extra are rules that need more than a few lines.
func extra() []Case {
	long := strings.Repeat("x", 4096)
	three := []string{`project = "` + long + `"`, `run_id = "` + long + `"`, `run_name = "` + long + `"`}
	return []Case{
		{Name: "activation checkpointing of every so many layers", Field: "train.ac_ckpt", Shape: gpus(0), Warning: true, Rule: `first layer only`, Fix: `use true`,
			Bad:  text(`train.ac_ckpt = 2`),
			Good: text(`train.ac_ckpt = true`)},
		{Name: "more than Nomad dispatches", Field: "config", Shape: gpus(0), Rule: `must have at most 16384 bytes`, Fix: `shorten`,
			Bad:  text(append(three, `ckpt.data_path = "`+long+`"`)...),
			Good: text(three...)},
	}
}
