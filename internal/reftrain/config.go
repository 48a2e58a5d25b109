package reftrain

// config is CotrainCore's configuration, all of it; fields that mean nothing on a CPU are read, checked for their type
// and ignored. Pointers are what may be absent.
type config struct {
	NameModel        string  `toml:"name_model"`
	TypeModel        string  `toml:"type_model"`
	Project          string  `toml:"project"`
	RunID            *string `toml:"run_id"`
	RunName          *string `toml:"run_name"`
	MetricLoggerType string  `toml:"metric_logger_type"`
	WandbResume      bool    `toml:"wandb_resume"`
	LogLevel         string  `toml:"log_level"`
	LogAllRank       bool    `toml:"log_all_rank"`

	DiLoCo  *dilocoConfig  `toml:"diloco"`
	Data    dataConfig     `toml:"data"`
	Optim   optimConfig    `toml:"optim"`
	Train   *trainConfig   `toml:"train"`
	Monitor *monitorConfig `toml:"monitor"`
	Ckpt    ckptConfig     `toml:"ckpt"`
}

type dilocoConfig struct {
	OuterLR        float64 `toml:"outer_lr"`
	InnerSteps     int     `toml:"inner_steps"`
	Compression    string  `toml:"compression"`
	RetryAllReduce int     `toml:"retry_all_reduce"`
}

type dataConfig struct {
	DatasetNameOrPaths    string  `toml:"dataset_name_or_paths"`
	ValDatasetNameOrPaths *string `toml:"val_dataset_name_or_paths"`
	SequencePacking       bool    `toml:"sequence_packing"`
	SeqLength             int     `toml:"seq_length"`
	Fake                  bool    `toml:"fake"`
	NumWorkers            int     `toml:"num_workers"`
	MaxTrainSamples       *int    `toml:"max_train_samples"`
	MaxEvalSamples        *int    `toml:"max_eval_samples"`
	DatasetRatio          *string `toml:"dataset_ratio"`
	DataRank              *int    `toml:"data_rank"`
	DataWorldSize         *int    `toml:"data_world_size"`
	ReverseDataFiles      bool    `toml:"reverse_data_files"`
	SplitByDataRank       bool    `toml:"split_by_data_rank"`
}

type optimConfig struct {
	Optim       optimizerConfig `toml:"optim"`
	SchedType   string          `toml:"sched_type"`
	WarmupSteps int             `toml:"warmup_steps"`
	StableSteps int             `toml:"stable_steps"`
	TotalSteps  int             `toml:"total_steps"`
	BatchSize   int             `toml:"batch_size"`
	ZLoss       bool            `toml:"z_loss"`
	ZLossWeight float64         `toml:"z_loss_weight"`
	NumChunks   *int            `toml:"num_chunks"`
}

type optimizerConfig struct {
	Type                  string   `toml:"type"`
	LR                    float64  `toml:"lr"`
	WeightDecay           *float64 `toml:"weight_decay"` // its default depends on Type
	Betas1                float64  `toml:"betas1"`
	Betas2                float64  `toml:"betas2"`
	MaxPreconditionerDim  int      `toml:"max_preconditioner_dim"`
	PreconditionFrequency int      `toml:"precondition_frequency"`
}

type trainConfig struct {
	MicroBS             int             `toml:"micro_bs"`
	ACCkpt              any             `toml:"ac_ckpt"` // false, true or a number of layers
	ReshardAfterForward bool            `toml:"reshard_after_forward"`
	ReduceFP32          bool            `toml:"reduce_fp32"`
	LogModelHash        bool            `toml:"log_model_hash"`
	MemoryProfiler      *profilerConfig `toml:"memory_profiler"`
	TorchProfiler       bool            `toml:"torch_profiler"`
	TorchCompile        bool            `toml:"torch_compile"`
	FusedLinearCE       bool            `toml:"fused_linear_ce"`
	FSDPCPUOffload      bool            `toml:"fsdp_cpu_offload"`
	AttnFn              string          `toml:"attn_fn"`
}

type profilerConfig struct {
	Freq        int    `toml:"freq"`
	SnapshotDir string `toml:"snapshot_dir"`
}

type monitorConfig struct {
	LogFlushInterval int     `toml:"log_flush_interval"`
	BaseURL          *string `toml:"base_url"`
	AuthToken        *string `toml:"auth_token"`
}

type remoteConfig struct {
	Path     string `toml:"path"`
	Interval int    `toml:"interval"`
}

type ckptConfig struct {
	Path                *string       `toml:"path"`
	Interval            *int          `toml:"interval"`
	TopK                *int          `toml:"topk"`
	Remote              *remoteConfig `toml:"remote"`
	RemoteDataPath      *string       `toml:"remote_data_path"`
	RemoteDataLoad      bool          `toml:"remote_data_load"`
	Resume              *string       `toml:"resume"`
	SkipDataloader      bool          `toml:"skip_dataloader"`
	LiveRecoveryRankSrc *int          `toml:"live_recovery_rank_src"`
	DataPath            *string       `toml:"data_path"`
	TokenCount          *int64        `toml:"token_count"`
}

// defaultConfig is what CotrainCore assumes for everything that is not given.
func defaultConfig() config {
	return config{
		NameModel: "150M", TypeModel: "llama3", Project: "zeroband", MetricLoggerType: "wandb", LogLevel: "INFO",
		Data: dataConfig{
			DatasetNameOrPaths: "datasets/fineweb-edu", SequencePacking: true, SeqLength: 1024, NumWorkers: 4,
			SplitByDataRank: true,
		},
		Optim: optimConfig{
			Optim: optimizerConfig{
				Type: "adam", LR: 4e-4, Betas1: 0.9, Betas2: 0.95, MaxPreconditionerDim: 8192, PreconditionFrequency: 100,
			},
			SchedType: "cosine", WarmupSteps: 1000, StableSteps: 80000, TotalSteps: 88000, BatchSize: 512, ZLossWeight: 2e-4,
		},
	}
}

// The defaults of the sections that are absent unless something in them is given.
func defaultDiLoCo() *dilocoConfig {
	return &dilocoConfig{OuterLR: 0.7, Compression: "no", RetryAllReduce: 3}
}

func defaultTrain() *trainConfig {
	return &trainConfig{MicroBS: 1, ACCkpt: false, ReshardAfterForward: true, TorchCompile: true, AttnFn: "flex"}
}

func defaultProfiler() *profilerConfig { return &profilerConfig{Freq: 10} }
func defaultMonitor() *monitorConfig   { return &monitorConfig{LogFlushInterval: 10} }

// weightDecay is the configured decay, or the default of the optimiser.
func (o optimizerConfig) weightDecay() float64 {
	switch {
	case o.WeightDecay != nil:
		return *o.WeightDecay
	case o.Type == "soap":
		return 1e-5
	default:
		return 0.1
	}
}

// innerSteps is the number of steps between two synchronisations of DiLoCo, 1 without it.
func (c config) innerSteps() int {
	if c.DiLoCo == nil {
		return 1
	}
	return c.DiLoCo.InnerSteps
}
