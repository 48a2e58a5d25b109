package reftrain

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

var (
	modelNames  = []string{"debugmodel", "70M", "150M", "271M", "1B", "7B", "10B", "13B", "26B", "70B"}
	levelNames  = []string{"NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
	modelTypes  = []string{"llama2", "llama3"}
	metricTypes = []string{"wandb", "dummy"}
	schedTypes  = []string{"cosine", "linear", "wsd-sqrt"}
	optimTypes  = []string{"adam", "soap"}
	compressors = []string{"no", "uint8"}
	attnFns     = []string{"flex", "math"}
)

// maxCount bounds every count in the configuration, so that products of two of them stay within 64 bits.
const maxCount = 1 << 30

// check applies CotrainCore's rules and returns every one that is broken.
func (c config) check() error {
	var errs []error
	choice := func(field, v string, of []string) {
		if !slices.Contains(of, v) {
			errs = append(errs, fmt.Errorf("%s = %q: must be one of %s", field, cut(v), strings.Join(of, ", ")))
		}
	}
	atLeast := func(field string, v, least int) {
		if v < least || v > maxCount {
			errs = append(errs, fmt.Errorf("%s = %d: must be at least %d and at most %d", field, v, least, maxCount))
		}
	}
	choice("name_model", c.NameModel, modelNames)
	choice("type_model", c.TypeModel, modelTypes)
	choice("metric_logger_type", c.MetricLoggerType, metricTypes)
	choice("log_level", c.LogLevel, levelNames)
	choice("optim.sched_type", c.Optim.SchedType, schedTypes)
	choice("optim.optim.type", c.Optim.Optim.Type, optimTypes)
	atLeast("data.seq_length", c.Data.SeqLength, 1)
	atLeast("optim.batch_size", c.Optim.BatchSize, 1)
	atLeast("optim.warmup_steps", c.Optim.WarmupSteps, 0)
	atLeast("optim.stable_steps", c.Optim.StableSteps, 0)
	atLeast("optim.total_steps", c.Optim.TotalSteps, 1)
	if c.Data.MaxTrainSamples != nil {
		atLeast("data.max_train_samples", *c.Data.MaxTrainSamples, 1)
	}
	if c.Train == nil {
		errs = append(errs, errors.New("train: Field required"))
	} else {
		choice("train.attn_fn", c.Train.AttnFn, attnFns)
		atLeast("train.micro_bs", c.Train.MicroBS, 1)
		errs = append(errs, c.Train.check()...)
	}
	if d := c.DiLoCo; d != nil {
		choice("diloco.compression", d.Compression, compressors)
		atLeast("diloco.inner_steps", d.InnerSteps, 1)
		atLeast("diloco.retry_all_reduce", d.RetryAllReduce, 1)
	}
	errs = append(errs, c.checkNumbers()...)
	if len(errs) == 0 { // the rules across fields need fields that are right in themselves
		errs = append(errs, c.checkAcross()...)
		errs = append(errs, c.checkCkpt()...)
	}
	return errors.Join(errs...)
}

func (t trainConfig) check() []error {
	var errs []error
	switch v := t.ACCkpt.(type) {
	case bool, int64:
	default:
		errs = append(errs, fmt.Errorf("train.ac_ckpt = %v: must be true, false or a whole number", v))
	}
	if p := t.MemoryProfiler; p != nil && p.SnapshotDir == "" {
		errs = append(errs, errors.New("train.memory_profiler.snapshot_dir: Field required"))
	}
	return errs
}

// checkNumbers keeps the optimisers within what they are defined for.
func (c config) checkNumbers() []error {
	var errs []error
	o := c.Optim.Optim
	in := func(field string, v, lo, hi float64) {
		if math.IsNaN(v) || v < lo || v > hi {
			errs = append(errs, fmt.Errorf("%s = %v: must be between %v and %v", field, v, lo, hi))
		}
	}
	in("optim.optim.lr", o.LR, 0, 1e6)
	in("optim.optim.weight_decay", o.weightDecay(), 0, 1e6)
	in("optim.optim.betas1", o.Betas1, 0, math.Nextafter(1, 0))
	in("optim.optim.betas2", o.Betas2, 0, math.Nextafter(1, 0))
	in("optim.z_loss_weight", c.Optim.ZLossWeight, 0, 1e6)
	if c.DiLoCo != nil {
		in("diloco.outer_lr", c.DiLoCo.OuterLR, 0, 1e6)
	}
	return errs
}

func (c config) checkAcross() []error {
	var errs []error
	if c.Optim.BatchSize%c.Train.MicroBS != 0 {
		errs = append(errs, fmt.Errorf("optim.batch_size = %d: the micro batch size (%d) must divide the number of samples",
			c.Optim.BatchSize, c.Train.MicroBS))
	}
	if o := c.Optim; o.SchedType == "wsd-sqrt" {
		// The core divides by total - stable, and takes the root of what is negative beyond stable.
		end := (o.TotalSteps + c.innerSteps() - 1) / c.innerSteps() * c.innerSteps()
		if o.WarmupSteps > o.StableSteps || o.StableSteps == o.TotalSteps || o.StableSteps > o.TotalSteps && end > o.StableSteps {
			errs = append(errs, fmt.Errorf("optim.stable_steps = %d: wsd-sqrt needs warmup_steps (%d) <= stable_steps, which is less than total_steps (%d) or never reached",
				o.StableSteps, o.WarmupSteps, o.TotalSteps))
		}
	}
	if r := c.Data.DatasetRatio; r != nil {
		if n, m := strings.Count(*r, ":")+1, strings.Count(c.Data.DatasetNameOrPaths, ",")+1; n != m {
			errs = append(errs, fmt.Errorf("data.dataset_ratio = %q: has %d parts for %d datasets", cut(*r), n, m))
		}
	}
	if (c.Data.DataRank == nil) != (c.Data.DataWorldSize == nil) {
		errs = append(errs, errors.New("data.data_rank and data.data_world_size must be both set or both absent"))
	} else if c.Data.DataRank != nil && (*c.Data.DataRank < 0 || *c.Data.DataRank >= *c.Data.DataWorldSize) {
		errs = append(errs, fmt.Errorf("data.data_rank = %d: must be at least 0 and below data_world_size (%d)",
			*c.Data.DataRank, *c.Data.DataWorldSize))
	}
	return errs
}

func (c config) checkCkpt() []error {
	var errs []error
	k := c.Ckpt
	if (k.Path == nil) != (k.Interval == nil) {
		errs = append(errs, errors.New("ckpt: path and interval must be both set or both None"))
	}
	if k.Path == nil && k.Remote != nil {
		errs = append(errs, errors.New("ckpt: remote_path is set but path is not set"))
	}
	if k.RemoteDataLoad && k.DataPath != nil {
		errs = append(errs, errors.New("ckpt: remote_data_load and data_path are mutually exclusive"))
	}
	if k.RemoteDataLoad && k.RemoteDataPath == nil {
		errs = append(errs, errors.New("ckpt: remote_data_load is set but remote_data_path is not set"))
	}
	if k.Path != nil && *k.Path == "" {
		errs = append(errs, errors.New("ckpt.path is empty"))
	}
	if k.Interval != nil && *k.Interval < 1 {
		errs = append(errs, fmt.Errorf("ckpt.interval = %d: must be at least 1", *k.Interval))
	}
	if k.Interval != nil && c.DiLoCo != nil && *k.Interval%c.DiLoCo.InnerSteps != 0 {
		errs = append(errs, fmt.Errorf("ckpt.interval = %d: must be a multiple of diloco inner steps (%d) as we only save at the end of an outer step",
			*k.Interval, c.DiLoCo.InnerSteps))
	}
	if k.LiveRecoveryRankSrc != nil && c.DiLoCo == nil {
		errs = append(errs, errors.New("ckpt: live_recovery_rank_src is only supported with diloco"))
	}
	if k.Remote != nil && (k.Remote.Path == "" || k.Remote.Interval < 1) {
		errs = append(errs, errors.New("ckpt.remote: path and an interval of at least 1 are required"))
	}
	if k.TopK != nil && *k.TopK < 1 {
		errs = append(errs, fmt.Errorf("ckpt.topk = %d: must be at least 1", *k.TopK))
	}
	return errs
}
