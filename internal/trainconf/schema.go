package trainconf

import "strings"

// num makes an optional bound.
func num(v float64) *float64 { return &v }

// Bounds are wide: they catch typing errors and keep sums within 64 bits, they do not judge taste.
const (
	maxSteps   = 1e15
	maxBatch   = 1e8
	maxMicro   = 65536
	maxSeq     = 16777216
	maxSamples = 1e15
)

// schema is every setting of the core, table by table; tables come after the keys of the table that they are in, as
// TOML demands. Nothing changes it.
var schema = [...]Field{
	{Path: "name_model", Section: "model", Label: "Model", Type: Choice, Default: "150M", Basic: true,
		Choices: []string{"debugmodel", "70M", "150M", "271M", "1B", "7B", "10B", "13B", "26B", "70B"},
		Help:    "Model size. debugmodel is tiny, for synthetic data.", Keywords: "size parameters"},
	{Path: "type_model", Section: "model", Label: "Architecture", Type: Choice, Default: "llama3",
		Choices: []string{"llama2", "llama3"},
		Help:    "Model family; also selects the tokenizer.", Keywords: "llama tokenizer family"},
	{Path: "project", Section: "logging", Label: "Project", Type: String, Default: "zeroband",
		Help: "Group of the core's metrics.", Keywords: "wandb group"},
	{Path: "run_id", Section: "logging", Label: "Metrics run ID", Type: String, Placeholder: "my-run-1",
		Help: "ID passed to the metrics service.", Keywords: "wandb"},
	{Path: "run_name", Section: "logging", Label: "Metrics run name", Type: String, Placeholder: "my run",
		Help: "Name passed to the metrics service.", Keywords: "wandb title"},
	{Path: "metric_logger_type", Section: "logging", Label: "Metrics", Type: Choice, Default: "wandb",
		Choices: []string{"wandb", "dummy"},
		Help:    "wandb reports every metric, to CoTrain. dummy reports none; log lines remain.", Keywords: "wandb metrics logging"},
	{Path: "wandb_resume", Section: "logging", Label: "Resume metrics run", Type: Bool, Default: "false",
		Help: "Continue an earlier metrics run instead of starting another.", Keywords: "continue"},
	{Path: "log_level", Section: "logging", Label: "Log level", Type: Choice, Default: "INFO",
		Choices: []string{"NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"},
		Help:    "Lowest severity printed. Steps are printed at INFO.", Keywords: "verbosity debug"},
	{Path: "log_all_rank", Section: "logging", Label: "Log all ranks", Type: Bool, Default: "false",
		Help: "Every process logs, not only the first of each worker.", Keywords: "ranks"},

	{Path: "data.dataset_name_or_paths", Section: "data", Label: "Datasets", Type: StringList,
		Default: "datasets/fineweb-edu", Basic: true, Input: true,
		Help: "Dataset names or folders, separated by commas.", Keywords: "corpus training data files huggingface"},
	{Path: "data.val_dataset_name_or_paths", Section: "data", Label: "Validation datasets", Type: StringList, Input: true,
		Placeholder: "datasets/fineweb-edu-val", Help: "Datasets to validate on, separated by commas.", Keywords: "evaluation corpus"},
	{Path: "data.sequence_packing", Section: "data", Label: "Sequence packing", Type: Bool, Default: "true",
		Help: "Pack several documents into a sequence; they do not attend to each other.", Keywords: "attention mask documents"},
	{Path: "data.seq_length", Section: "data", Label: "Sequence length", Unit: "tokens", Type: Int, Default: "1024",
		Min: num(1), Max: num(maxSeq), Basic: true, Help: "Tokens per sample.", Keywords: "context length sequence"},
	{Path: "data.fake", Section: "data", Label: "Synthetic data", Type: Bool, Default: "false", Basic: true,
		Help: "Train on random tokens. Needs no dataset; for tests only.", Keywords: "random synthetic dummy test"},
	{Path: "data.num_workers", Section: "data", Label: "Loader processes", Unit: "processes", Type: Int, Default: "4",
		Min: num(0), Max: num(1024), Help: "Data loader processes per GPU.", Keywords: "dataloader threads"},
	{Path: "data.max_train_samples", Section: "data", Label: "Max training samples", Unit: "samples", Type: Int,
		Min: num(1), Max: num(maxSamples), Placeholder: "100000", Help: "Stop reading training data after this many samples.", Keywords: "limit"},
	{Path: "data.max_eval_samples", Section: "data", Label: "Max validation samples", Unit: "samples", Type: Int,
		Min: num(1), Max: num(maxSamples), Placeholder: "1000", Help: "Stop reading validation data after this many samples.", Keywords: "limit"},
	{Path: "data.dataset_ratio", Section: "data", Label: "Dataset mix", Type: Ratio, Placeholder: "55:45",
		Help: "Weight of each dataset, in order, separated by colons.", Keywords: "mixture weights proportion"},
	{Path: "data.data_rank", Section: "data", Label: "Data rank", Type: Int, Min: num(0), Max: num(65535), Placeholder: "0",
		Help: "Data shard of a worker. CoTrain sets it for each worker.", Keywords: "shard"},
	{Path: "data.data_world_size", Section: "data", Label: "Data shards", Type: Int, Min: num(1), Max: num(65536), Placeholder: "1",
		Help: "Number of data shards. CoTrain sets it to the number of workers.", Keywords: "shards"},
	{Path: "data.reverse_data_files", Section: "data", Label: "Reverse file order", Type: Bool, Default: "false",
		Help: "Read each dataset's files from last to first.", Keywords: "order"},
	{Path: "data.split_by_data_rank", Section: "data", Label: "Shard data by worker", Type: Bool, Default: "true",
		Help: "Turn off only for data that is already sharded.", Keywords: "shard"},

	{Path: "optim.sched_type", Section: "optim", Label: "Schedule", Type: Choice, Default: "cosine",
		Choices: []string{"cosine", "linear", "wsd-sqrt"},
		Help:    "How the learning rate decays after warm-up. wsd-sqrt holds it until the stable steps end.", Keywords: "scheduler decay learning rate lr"},
	{Path: "optim.warmup_steps", Section: "optim", Label: "Warm-up", Unit: "steps", Type: Int, Default: "1000",
		Min: num(0), Max: num(maxSteps), Basic: true, Help: "Steps from zero to the peak learning rate.", Keywords: "scheduler learning rate lr"},
	{Path: "optim.stable_steps", Section: "optim", Label: "Stable until", Unit: "steps", Type: Int, Default: "80000",
		Min: num(0), Max: num(maxSteps), Help: "Step at which wsd-sqrt starts to decay. Other schedules ignore it.", Keywords: "scheduler decay cooldown"},
	{Path: "optim.total_steps", Section: "optim", Label: "Steps", Unit: "steps", Type: Int, Default: "88000",
		Min: num(1), Max: num(maxSteps), Basic: true, Help: "Total training steps. With DiLoCo, training ends with a whole outer step.", Keywords: "length iterations epochs budget"},
	{Path: "optim.batch_size", Section: "optim", Label: "Batch size", Unit: "samples", Type: Int, Default: "512",
		Min: num(1), Max: num(maxBatch), Basic: true, Help: "Samples per step and worker, over all its GPUs.", Keywords: "global batch tokens"},
	{Path: "optim.z_loss", Section: "optim", Label: "Z-loss", Type: Bool, Default: "false",
		Help: "Penalise large logits.", Keywords: "logits regularisation"},
	{Path: "optim.z_loss_weight", Section: "optim", Label: "Z-loss weight", Type: Float, Default: "0.0002",
		Min: num(0), Max: num(1e6), Help: "Weight of the z-loss term.", Keywords: "regularisation"},
	{Path: "optim.num_chunks", Section: "optim", Label: "Loss chunks", Unit: "chunks", Type: Int, Min: num(1), Max: num(65536), Placeholder: "8",
		Help: "Compute the loss in chunks to save memory.", Keywords: "cross entropy memory"},
	{Path: "optim.optim.type", Section: "optim", Label: "Optimiser", Type: Choice, Default: "adam",
		Choices: []string{"adam", "soap"}, Help: "AdamW, or SOAP (Shampoo in Adam's eigenbasis).", Keywords: "adamw shampoo optimizer"},
	{Path: "optim.optim.lr", Section: "optim", Label: "Learning rate", Type: Float, Default: "0.0004",
		Min: num(0), MinOpen: true, Max: num(100), Basic: true, Help: "Peak learning rate of the inner optimiser, reached after warm-up.", Keywords: "lr step size"},
	{Path: "optim.optim.weight_decay", Section: "optim", Label: "Weight decay", Type: Float, Default: "0.1",
		Min: num(0), Max: num(100), Help: "Decoupled weight decay. With soap the default is 0.00001.", Keywords: "regularisation l2"},
	{Path: "optim.optim.betas1", Section: "optim", Label: "Beta 1", Type: Float, Default: "0.9",
		Min: num(0), Max: num(1), MaxOpen: true, Help: "Decay of the running mean of gradients.", Keywords: "momentum"},
	{Path: "optim.optim.betas2", Section: "optim", Label: "Beta 2", Type: Float, Default: "0.95",
		Min: num(0), Max: num(1), MaxOpen: true, Help: "Decay of the running mean of squared gradients.", Keywords: "momentum"},
	{Path: "optim.optim.max_preconditioner_dim", Section: "optim", Label: "Largest preconditioner", Type: Int, Default: "8192",
		Min: num(1), Max: num(1e9), Help: "soap only. Larger dimensions are not preconditioned.", Keywords: "shampoo"},
	{Path: "optim.optim.precondition_frequency", Section: "optim", Label: "Preconditioner interval", Unit: "steps", Type: Int, Default: "100",
		Min: num(1), Max: num(1e9), Help: "soap only. Steps between preconditioner updates.", Keywords: "shampoo"},

	{Path: "diloco.outer_lr", Section: "diloco", Label: "Outer learning rate", Type: Float, Default: "0.7",
		Min: num(0), MinOpen: true, Max: num(100), Help: "Learning rate of the outer optimiser (Nesterov SGD).", Keywords: "lr nesterov"},
	{Path: "diloco.inner_steps", Section: "diloco", Label: "Inner steps", Unit: "steps", Type: Int, Required: true, Placeholder: "100",
		Min: num(1), Max: num(1e9), Basic: true, Help: "Local steps between two syncs.", Keywords: "local steps synchronise averaging interval communication"},
	{Path: "diloco.compression", Section: "diloco", Label: "Compression", Type: Choice, Default: "no",
		Choices: []string{"no", "uint8"}, Help: "uint8 sends 1 byte per parameter instead of 4.", Keywords: "quantise bandwidth communication"},
	{Path: "diloco.retry_all_reduce", Section: "diloco", Label: "All-reduce attempts", Unit: "attempts", Type: Int, Default: "3",
		Min: num(1), Max: num(1000), Help: "Attempts before a sync is given up for this outer step.", Keywords: "all-reduce communication"},

	{Path: "train.micro_bs", Section: "performance", Label: "Micro-batch", Unit: "samples", Type: Int, Default: "1",
		Min: num(1), Max: num(maxMicro), Basic: true, Help: "Samples per GPU and forward pass; gradients are accumulated over the batch.", Keywords: "micro batch size gradient accumulation memory"},
	{Path: "train.ac_ckpt", Section: "performance", Label: "Activation checkpointing", Type: IntOrBool, Default: "false",
		Min: num(1), Max: num(1024), Help: "Recompute activations to save memory: every layer (true), or every N layers.", Keywords: "gradient checkpointing recompute memory"},
	{Path: "train.reshard_after_forward", Section: "performance", Label: "Reshard after forward", Type: Bool, Default: "true",
		Help: "Reshard weights after each forward pass: less memory, more traffic.", Keywords: "fsdp zero memory"},
	{Path: "train.reduce_fp32", Section: "performance", Label: "Reduce in FP32", Type: Bool, Default: "false",
		Help: "Reduce gradients in 32 bits. Worth it over NVLink.", Keywords: "fsdp precision"},
	{Path: "train.log_model_hash", Section: "performance", Label: "Log model hashes", Type: Bool, Default: "false",
		Help: "Log a hash of the weights to compare workers. Slow.", Keywords: "debug"},
	{Path: "train.torch_profiler", Section: "performance", Label: "PyTorch profiler", Type: Bool, Default: "false",
		Help: "Record a PyTorch profile.", Keywords: "trace speed"},
	{Path: "train.torch_compile", Section: "performance", Label: "Compile the model", Type: Bool, Default: "true",
		Help: "Slow first step, faster afterwards.", Keywords: "speed inductor"},
	{Path: "train.fused_linear_ce", Section: "performance", Label: "Fused loss", Type: Bool, Default: "false",
		Help: "Fuse the last layer and the loss: less memory.", Keywords: "liger cross entropy memory"},
	{Path: "train.fsdp_cpu_offload", Section: "performance", Label: "Offload to CPU", Type: Bool, Default: "false",
		Help: "Keep weights and optimiser state in host memory: fits larger models, much slower.", Keywords: "memory host"},
	{Path: "train.attn_fn", Section: "performance", Label: "Attention", Type: Choice, Default: "flex",
		Choices: []string{"flex", "math"}, Help: "flex is fast and needs a recent GPU; math runs anywhere.", Keywords: "flash flex attention kernel"},
	{Path: "train.memory_profiler.freq", Section: "performance", Label: "Memory snapshot interval", Unit: "steps", Type: Int, Default: "10",
		Min: num(1), Max: num(maxSteps), Help: "Steps between GPU memory snapshots.", Keywords: "snapshot debug"},
	{Path: "train.memory_profiler.snapshot_dir", Section: "performance", Label: "Memory snapshot folder", Type: String, Required: true, Output: true,
		Placeholder: "logs/memory", Help: "Folder on the worker. The memory profiler is off unless this is set.", Keywords: "snapshot debug"},

	{Path: "monitor.log_flush_interval", Section: "logging", Label: "Monitor flush interval", Type: Int, Default: "10",
		Min: num(1), Max: num(1e9), Help: "Ignored by the core."},
	{Path: "monitor.base_url", Section: "logging", Label: "Monitor address", Type: String, Placeholder: "http://monitor.example",
		Help: "Ignored by the core.", Keywords: "server url"},
	{Path: "monitor.auth_token", Section: "logging", Label: "Monitor token", Type: String, Secret: true, Placeholder: "token",
		Help: "Ignored by the core; refused, since it would be stored with the run.", Keywords: "secret password"},

	{Path: "ckpt.path", Section: "checkpoints", Label: "Checkpoint folder", Type: String, Basic: true, Output: true, Placeholder: "models/checkpoints/my-run",
		Help: "Folder on each worker, with one step_N folder per checkpoint. Nothing is saved unless this and the interval are set.", Keywords: "save directory output"},
	{Path: "ckpt.interval", Section: "checkpoints", Label: "Checkpoint interval", Unit: "steps", Type: Int, Basic: true, Placeholder: "1000",
		Min: num(1), Max: num(maxSteps), Help: "Steps between checkpoints; with DiLoCo, a multiple of the inner steps.", Keywords: "save frequency"},
	{Path: "ckpt.topk", Section: "checkpoints", Label: "Checkpoints to keep", Unit: "checkpoints", Type: Int, Placeholder: "3",
		Min: num(1), Max: num(1e6), Help: "Older ones are deleted. The published core fails at the first save with it.", Keywords: "retention delete keep"},
	{Path: "ckpt.remote_data_path", Section: "checkpoints", Label: "Remote data state", Type: String, Output: true, Shared: true, Placeholder: "s3://bucket/data-state",
		Help: "Where the data position is copied to.", Keywords: "s3 dataloader"},
	{Path: "ckpt.remote_data_load", Section: "checkpoints", Label: "Load remote data state", Type: Bool, Default: "false",
		Help: "Resume the data position from the remote copy.", Keywords: "s3 dataloader"},
	{Path: "ckpt.resume", Section: "checkpoints", Label: "Resume from", Type: String, Input: true, Placeholder: "models/checkpoints/my-run/step_100",
		Help: "step_N folder of a complete checkpoint.", Keywords: "continue restart load"},
	{Path: "ckpt.skip_dataloader", Section: "checkpoints", Label: "Skip data position", Type: Bool, Default: "false",
		Help: "Resume the model, but read the data from the start.", Keywords: "resume"},
	{Path: "ckpt.live_recovery_rank_src", Section: "checkpoints", Label: "Live recovery from", Type: Int, Min: num(0), Max: num(65535), Placeholder: "0",
		Help: "Rank that sends its state to a joining worker. CoTrain sets it for joiners.", Keywords: "joiner elastic peer"},
	{Path: "ckpt.data_path", Section: "checkpoints", Label: "Data state folder", Type: String, Input: true, Placeholder: "models/checkpoints/my-run/step_100",
		Help: "Load the data position from this folder instead of the checkpoint.", Keywords: "dataloader resume"},
	{Path: "ckpt.token_count", Section: "checkpoints", Label: "Tokens so far", Unit: "tokens", Type: Int, Min: num(0), Max: num(9e15), Placeholder: "0",
		Help: "Token count to resume from.", Keywords: "total tokens"},
	{Path: "ckpt.remote.path", Section: "checkpoints", Label: "Remote checkpoint folder", Type: String, Required: true, Output: true,
		Placeholder: "s3://bucket/checkpoints", Help: "Where checkpoints are copied to; may be an S3 address.", Keywords: "s3 upload copy bucket"},
	{Path: "ckpt.remote.interval", Section: "checkpoints", Label: "Remote copy interval", Unit: "steps", Type: Int, Required: true, Placeholder: "1000",
		Min: num(1), Max: num(maxSteps), Help: "Steps between remote copies; a multiple of the checkpoint interval.", Keywords: "s3 upload copy frequency"},
}

// soapWeightDecay is the default of optim.optim.weight_decay when the optimiser is soap (the core's SoapConfig).
const soapWeightDecay = "1e-5"

// schemaIndex finds a field by its path, and schemaTables holds every TOML table. Nothing changes them.
var schemaIndex, schemaTables = indexSchema()

func indexSchema() (map[string]int, map[string]bool) {
	index, tables := make(map[string]int, len(schema)), map[string]bool{}
	for i, f := range schema {
		index[f.Path] = i
		for t := f.Table(); t != ""; t = t[:max(0, strings.LastIndexByte(t, '.'))] {
			tables[t] = true
		}
	}
	return index, tables
}
