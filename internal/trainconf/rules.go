package trainconf

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Validate checks the rules between fields that the core checks only once processes and GPUs are up, for a run of
// this shape. Errors mean that the run cannot work; warnings that it may not do what was meant. A shape that is
// itself wrong is [ValidateShape]'s.
func (c Config) Validate(shape run.Shape) (errs, warns run.FieldErrors) {
	v := validation{c: c, gpus: processes(shape), nodes: max(1, shape.Nodes)}
	v.required()
	v.batch()
	v.schedule()
	v.optimiser()
	v.data()
	v.localPaths()
	v.diloco()
	v.checkpointPlaces()
	v.checkpointTimes()
	v.model()
	v.performance()
	v.logging()
	v.payload()
	return v.errs, v.warns
}

// processes is how many training processes a worker runs: one a GPU, and one without GPUs.
func processes(shape run.Shape) int64 { return int64(max(1, shape.GPUs)) }

type validation struct {
	c           Config
	gpus        int64 // processes per worker
	nodes       int
	errs, warns run.FieldErrors
}

// err adds an error about a field with its value.
func (v *validation) err(path, rule, fix string) {
	v.errs = append(v.errs, v.fault(path, rule, fix))
}

// warn adds a warning about a field with its value.
func (v *validation) warn(path, rule, fix string) {
	v.warns = append(v.warns, v.fault(path, rule, fix))
}

// fault is what is wrong with a field. A value that nobody wrote is said to be the default.
func (v *validation) fault(path, rule, fix string) run.FieldError {
	f, _ := Lookup(path)
	value, written := v.c.Get(path)
	if !written {
		rule = byDefault(v.c.Default(path), rule)
	}
	return fieldError(path, f.shown(value), rule, fix)
}

// byDefault says in a rule what the field is when it is not set.
func byDefault(value, rule string) string {
	if value == "" {
		return rule
	}
	return "is " + value + " by default, and " + rule
}

func (v *validation) required() {
	for i := range schema {
		if f := &schema[i]; f.Required && !v.c.has(f.Path) && v.c.uses(f.Table()) {
			v.errs = append(v.errs, missing(*f, f.Table()))
		}
	}
}

func (v *validation) batch() {
	batch, micro := v.c.number("optim.batch_size"), v.c.number("train.micro_bs")
	unit := v.gpus * micro
	switch {
	case batch%v.gpus != 0:
		v.err("optim.batch_size", fmt.Sprintf("must be a multiple of the GPUs per worker (%d)", v.gpus), "use "+multiples(batch, unit))
	case batch/v.gpus%micro != 0:
		each := batch / v.gpus
		rule := fmt.Sprintf("must be a multiple of train.micro_bs (%d)", micro)
		if v.gpus > 1 {
			rule = fmt.Sprintf("is %d samples on each of %d GPUs, which must be a multiple of train.micro_bs (%d)", each, v.gpus, micro)
		}
		v.err("optim.batch_size", rule, fmt.Sprintf("use %s, or set train.micro_bs to %d", multiples(batch, unit), divisor(each, micro)))
	}
}

// multiples names the multiples of unit on both sides of n: "384 or 512".
func multiples(n, unit int64) string {
	below := n / unit * unit
	if below == 0 {
		return strconv.FormatInt(unit, 10)
	}
	return fmt.Sprintf("%d or %d", below, below+unit)
}

// divisor is the greatest divisor of n that is not above limit; both are at least 1.
func divisor(n, limit int64) int64 {
	d := min(n, limit)
	for n%d != 0 {
		d--
	}
	return d
}

func (v *validation) schedule() {
	c := v.c
	warmup, stable, total := c.number("optim.warmup_steps"), c.number("optim.stable_steps"), c.number("optim.total_steps")
	if c.Effective("optim.sched_type") == "wsd-sqrt" {
		v.stable(stable, total)
		if warmup > stable {
			fix := fmt.Sprintf("use %d or less, or raise optim.stable_steps", min(stable, max(0, total-1)))
			v.err("optim.warmup_steps", fmt.Sprintf("must be at most optim.stable_steps (%d) with wsd-sqrt", stable), fix)
		}
	}
	if warmup >= total {
		fix := fmt.Sprintf("use a value below %d, such as %d", total, total/10)
		v.warn("optim.warmup_steps", fmt.Sprintf("is not less than optim.total_steps (%d), so the learning rate never reaches its full value", total), fix)
	}
	if c.on("train.fused_linear_ce") && c.has("optim.num_chunks") {
		v.warn("optim.num_chunks", "is used together with train.fused_linear_ce, which already saves that memory", "remove it, or set train.fused_linear_ce to false")
	}
}

// stable checks the steps before wsd-sqrt decays. The core takes the root of (step - stable) / (total - stable).
func (v *validation) stable(stable, total int64) {
	const path = "optim.stable_steps"
	end := plan(v.c, run.Shape{Nodes: v.nodes}).StepsTotal
	fix := fmt.Sprintf("use %d or less, or raise optim.total_steps", total-1)
	switch {
	case stable < total:
	case stable == total:
		v.err(path, fmt.Sprintf("must be less than optim.total_steps (%d) with wsd-sqrt: the core divides by their difference", total), fix)
	case stable < end: // only DiLoCo's rounding goes that far
		v.err(path, fmt.Sprintf("must be less than optim.total_steps (%d) with wsd-sqrt: training goes on to step %d, and the core fails after step %d", total, end, stable), fix)
	default:
		v.warn(path, fmt.Sprintf("is more than optim.total_steps (%d), so the learning rate never decays", total), fix)
	}
}

func (v *validation) optimiser() {
	if v.c.Effective("optim.optim.type") == "soap" {
		return
	}
	for i := range schema {
		if path := schema[i].Path; soapOnly(path) && v.c.has(path) {
			v.err(path, "is known to the optimiser soap only", "remove it, or set optim.optim.type to soap")
		}
	}
}

// soapOnly reports whether only the optimiser soap has the field.
func soapOnly(path string) bool {
	return path == "optim.optim.max_preconditioner_dim" || path == "optim.optim.precondition_frequency"
}

func (v *validation) data() {
	c := v.c
	fake := c.on("data.fake")
	if ratio, ok := c.Get("data.dataset_ratio"); ok {
		parts, sets := strings.Count(ratio, ":")+1, strings.Count(c.Effective("data.dataset_name_or_paths"), ",")+1
		if parts != sets {
			rule := fmt.Sprintf("has %d parts, and must have as many as data.dataset_name_or_paths has datasets (%d)", parts, sets)
			v.err("data.dataset_ratio", rule, "use "+strings.TrimSuffix(strings.Repeat("1:", min(sets, 20)), ":")+" for equal parts, or remove it")
		}
	}
	if fake && c.has("data.dataset_name_or_paths") {
		v.warn("data.dataset_name_or_paths", "is not read, since data.fake is true", "set data.fake to false, or remove the datasets")
	}
	if !fake && c.Effective("name_model") == "debugmodel" {
		v.warn("data.fake", "does not go with debugmodel, which is meant for synthetic data", "use true, or choose another name_model")
	}
	rank, world := c.has("data.data_rank"), c.has("data.data_world_size")
	switch {
	case rank != world:
		path, example := "data.data_rank", "0"
		if rank {
			path, example = "data.data_world_size", strconv.Itoa(v.nodes)
		}
		v.err(path, "must be set when its counterpart is: data.data_rank and data.data_world_size go together", "use "+example+", or remove both and let CoTrain set them")
	case rank && c.number("data.data_rank") >= c.number("data.data_world_size"):
		v.err("data.data_rank", fmt.Sprintf("must be less than data.data_world_size (%d)", c.number("data.data_world_size")), "use 0, or remove both and let CoTrain set them")
	case rank:
		v.warn("data.data_rank", "is replaced: CoTrain gives each worker its own part of the data", "remove data.data_rank and data.data_world_size")
	}
}

func (v *validation) diloco() {
	c := v.c
	if c.has("ckpt.live_recovery_rank_src") {
		if !c.DiLoCo() {
			v.err("ckpt.live_recovery_rank_src", "needs [diloco]", "remove it, or set diloco.inner_steps")
		} else {
			v.warn("ckpt.live_recovery_rank_src", "makes every worker wait for a peer's state; CoTrain sets it for workers that join", "remove it")
		}
	}
	p := plan(c, run.Shape{Nodes: v.nodes})
	if p.StepsTotal != p.StepsAsked {
		rule := fmt.Sprintf("is not a multiple of diloco.inner_steps (%d): training ends at the end of an outer step, after step %d", p.InnerSteps, p.StepsTotal)
		v.warn("optim.total_steps", rule, "use "+multiples(p.StepsAsked, p.InnerSteps))
	}
}

// stepFolder is what the core calls a checkpoint's folder.
var stepFolder = regexp.MustCompile(`^step_[0-9]+$`)

func (v *validation) checkpointPlaces() {
	c := v.c
	if c.uses("ckpt.remote") && !c.has("ckpt.path") {
		v.err("ckpt.path", "must be set when [ckpt.remote] is used", "use a folder such as "+placeholder("ckpt.path")+", or remove [ckpt.remote]")
	}
	if c.on("ckpt.remote_data_load") {
		if !c.has("ckpt.remote_data_path") {
			v.err("ckpt.remote_data_path", "must be set when ckpt.remote_data_load is true", "use an address such as "+placeholder("ckpt.remote_data_path")+", or set ckpt.remote_data_load to false")
		}
		if c.has("ckpt.data_path") {
			v.err("ckpt.data_path", "excludes ckpt.remote_data_load", "remove it, or set ckpt.remote_data_load to false")
		}
	}
	if resume, ok := c.Get("ckpt.resume"); ok && !isAddress(resume) {
		folder := strings.TrimRight(resume, "/")
		if !stepFolder.MatchString(folder[strings.LastIndexByte(folder, '/')+1:]) {
			v.warn("ckpt.resume", "is not named step_N, as the core names the folder of one step; their parent cannot be resumed from", "use "+fault.Quote(folder)+"/step_100, for example, if it is the parent")
		}
	}
	if c.has("ckpt.topk") {
		v.warn("ckpt.topk", "makes the published core fail at its first save", "remove it unless your build of the core has that corrected")
	}
}

// localPaths refuses addresses where the core opens a path of the machine that it runs on. Only ckpt.remote.path and
// ckpt.remote_data_path may be addresses.
func (v *validation) localPaths() {
	for _, f := range []struct{ path, instead string }{
		{"ckpt.path", "use a folder such as models/checkpoints/{run}; to have checkpoints copied to an address, set it as ckpt.remote.path"},
		{"ckpt.resume", "copy the checkpoint to a folder that every worker sees, such as models/checkpoints/my-run/step_100, and use that"},
		{"ckpt.data_path", "copy the data state to a folder that every worker sees, such as models/checkpoints/my-run/step_100, and use that"},
		{"train.memory_profiler.snapshot_dir", "use a folder such as logs/memory"},
		{"data.dataset_name_or_paths", "copy the dataset to a folder that every worker sees, such as datasets/my-data, or use its name on the hub"},
		{"data.val_dataset_name_or_paths", "copy the dataset to a folder that every worker sees, such as datasets/my-data, or use its name on the hub"},
	} {
		if strings.HasPrefix(f.path, "data.") && v.c.on("data.fake") {
			continue
		}
		text, _ := v.c.Get(f.path)
		for item := range strings.SplitSeq(text, ",") {
			if !isAddress(item) {
				continue
			}
			if local, ok := strings.CutPrefix(item, "file://"); ok && local != "" {
				f.instead = "use " + fault.Quote(local)
			}
			scheme, _, _ := strings.Cut(item, "://")
			v.err(f.path, "must be a path: the core opens it on the worker itself, and cannot open "+fault.Quote(scheme)+":// there", f.instead)
			break
		}
	}
}

// isAddress reports whether a path has a scheme, as in s3://bucket/folder.
func isAddress(path string) bool { return strings.Contains(path, "://") }

func placeholder(path string) string {
	f, _ := Lookup(path)
	return f.Placeholder
}

func (v *validation) checkpointTimes() {
	c := v.c
	p := plan(c, run.Shape{Nodes: v.nodes})
	interval := c.number("ckpt.interval")
	switch {
	case c.has("ckpt.path") && interval == 0:
		v.err("ckpt.interval", "must be set when ckpt.path is", fmt.Sprintf("use %d, for example, or remove ckpt.path", max(1, p.InnerSteps)*max(1, p.StepsTotal/max(1, p.InnerSteps)/10)))
		return
	case interval == 0:
		return
	case !c.has("ckpt.path") && !c.uses("ckpt.remote"): // with ckpt.remote the missing path is reported already
		v.err("ckpt.path", "must be set when ckpt.interval is", "use a folder such as "+placeholder("ckpt.path")+", or remove ckpt.interval")
	}
	switch {
	case p.InnerSteps > 0 && interval%p.InnerSteps != 0:
		v.err("ckpt.interval", fmt.Sprintf("must be a multiple of diloco.inner_steps (%d)", p.InnerSteps), "use "+multiples(interval, p.InnerSteps))
	case interval > p.StepsTotal:
		v.warn("ckpt.interval", fmt.Sprintf("is more than the run's %d steps, so no checkpoint is saved", p.StepsTotal), fmt.Sprintf("use %d", p.StepsTotal))
	}
	if remote := c.number("ckpt.remote.interval"); remote > 0 && remote%interval != 0 {
		v.warn("ckpt.remote.interval", fmt.Sprintf("is not a multiple of ckpt.interval (%d): only checkpoints at multiples of both are copied", interval), "use "+multiples(remote, interval))
	}
}

func (v *validation) model() {
	name, family := v.c.Effective("name_model"), v.c.Effective("type_model")
	if family == "llama3" && !llama3Has(name) {
		v.warn("type_model", "has no "+name+" in the public core, and the run may not start", "use llama2, unless your build of the core has it")
	}
}

func (v *validation) performance() {
	if every, err := strconv.Atoi(v.c.Effective("train.ac_ckpt")); err == nil && every > 1 {
		v.warn("train.ac_ckpt", "makes the published core checkpoint its first layer only", "use true, unless your build of the core has that corrected")
	}
}

func (v *validation) logging() {
	c := v.c
	if c.has("monitor.auth_token") {
		v.err("monitor.auth_token", "is a secret, which would be stored with the run", "remove it, or have it registered as a secret for "+EnvName("monitor.auth_token")+", and name that in secrets")
	}
	switch c.Effective("log_level") {
	case "WARNING", "ERROR", "CRITICAL":
		if c.Effective("metric_logger_type") == "dummy" {
			v.warn("log_level", "hides the lines that report steps, and metric_logger_type dummy reports nothing: the run will show no progress", "use INFO, or set metric_logger_type to wandb")
		}
	}
}

func (v *validation) payload() {
	if bad := ValidatePayload(string(v.c.TOML())); bad != nil {
		v.errs = append(v.errs, *bad)
	}
}
