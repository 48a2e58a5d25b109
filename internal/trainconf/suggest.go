package trainconf

import (
	"cmp"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// maxSuggest is the longest key that is compared with the known ones: beyond it nothing can be near.
const maxSuggest = 64

// otherNames is what a setting is called elsewhere: in earlier versions of the core (optim.adam_betas1), and in other trainers
// and launchers. A name without a table is that of any table, unless the one with it is here too.
var otherNames = map[string]string{
	"adam_betas1": "optim.optim.betas1", "adam_betas2": "optim.optim.betas2", "adam_beta1": "optim.optim.betas1", "adam_beta2": "optim.optim.betas2", "beta1": "optim.optim.betas1",
	"beta2": "optim.optim.betas2", "betas": "optim.optim.betas1", "learning_rate": "optim.optim.lr", "peak_lr": "optim.optim.lr", "max_lr": "optim.optim.lr", "wd": "optim.optim.weight_decay",
	"optimizer": "optim.optim.type", "optimiser": "optim.optim.type", "scheduler": "optim.sched_type", "lr_scheduler": "optim.sched_type", "lr_scheduler_type": "optim.sched_type", "schedule": "optim.sched_type",
	"warmup": "optim.warmup_steps", "num_warmup_steps": "optim.warmup_steps", "steps": "optim.total_steps", "max_steps": "optim.total_steps", "num_steps": "optim.total_steps",
	"train_steps": "optim.total_steps", "num_training_steps": "optim.total_steps", "iterations": "optim.total_steps", "epochs": "optim.total_steps", "num_epochs": "optim.total_steps",
	"global_batch_size": "optim.batch_size", "train_batch_size": "optim.batch_size", "batch": "optim.batch_size", "optim.bs": "optim.batch_size", "bs": "optim.batch_size",
	"micro_batch_size": "train.micro_bs", "micro_batch": "train.micro_bs", "microbatch": "train.micro_bs", "local_batch_size": "train.micro_bs", "per_device_train_batch_size": "train.micro_bs",
	"device_batch_size": "train.micro_bs", "compile": "train.torch_compile", "activation_checkpointing": "train.ac_ckpt", "gradient_checkpointing": "train.ac_ckpt", "ac_checkpoint": "train.ac_ckpt",
	"attention": "train.attn_fn", "attn": "train.attn_fn", "attn_impl": "train.attn_fn", "cpu_offload": "train.fsdp_cpu_offload", "fused_ce": "train.fused_linear_ce", "profiler": "train.torch_profiler",
	"fake_data": "data.fake", "use_fake_data": "data.fake", "synthetic": "data.fake", "dataset": "data.dataset_name_or_paths", "datasets": "data.dataset_name_or_paths",
	"dataset_path": "data.dataset_name_or_paths", "dataset_paths": "data.dataset_name_or_paths", "dataset_name": "data.dataset_name_or_paths", "dataset_name_or_path": "data.dataset_name_or_paths",
	"data.path": "data.dataset_name_or_paths", "data_path": "data.dataset_name_or_paths", "val_dataset": "data.val_dataset_name_or_paths", "val_dataset_path": "data.val_dataset_name_or_paths",
	"seq_len": "data.seq_length", "sequence_length": "data.seq_length", "max_seq_length": "data.seq_length", "max_seq_len": "data.seq_length", "context_length": "data.seq_length", "block_size": "data.seq_length",
	"local_steps": "diloco.inner_steps", "sync_every": "diloco.inner_steps", "sync_steps": "diloco.inner_steps", "diloco.h": "diloco.inner_steps", "diloco.lr": "diloco.outer_lr",
	"diloco.learning_rate": "diloco.outer_lr", "quantize": "diloco.compression", "quantise": "diloco.compression", "diloco.retries": "diloco.retry_all_reduce", "diloco.steps": "diloco.inner_steps",
	"ckpt.dir": "ckpt.path", "ckpt.folder": "ckpt.path", "checkpoint_path": "ckpt.path", "checkpoint_dir": "ckpt.path", "ckpt_path": "ckpt.path", "save_dir": "ckpt.path", "output_dir": "ckpt.path",
	"path": "ckpt.path", "interval": "ckpt.interval", "save_interval": "ckpt.interval", "save_steps": "ckpt.interval", "ckpt.freq": "ckpt.interval", "ckpt.every": "ckpt.interval",
	"checkpoint_interval": "ckpt.interval", "ckpt.keep": "ckpt.topk", "keep_latest_k": "ckpt.topk", "save_total_limit": "ckpt.topk", "resume_path": "ckpt.resume", "resume_from": "ckpt.resume",
	"resume_from_checkpoint": "ckpt.resume", "model": "name_model", "model_name": "name_model", "model_size": "name_model", "model.name": "name_model", "model.type": "type_model", "model_type": "type_model",
	"architecture": "type_model", "wandb_project": "project", "wandb_name": "run_name", "wandb_run_name": "run_name", "loglevel": "log_level",
}

// otherRunNames is what a setting of a run is called elsewhere.
var otherRunNames = map[string]string{
	"num_nodes": "nodes", "n_nodes": "nodes", "nnodes": "nodes", "workers": "nodes", "world_size": "nodes", "num_gpus": "gpus", "n_gpus": "gpus", "gpus_per_node": "gpus", "gpu_count": "gpus", "nproc": "gpus",
	"nproc_per_node": "gpus", "gpu_type": "gpu_model", "gpu_name": "gpu_model", "gpu_memory": "gpu_min_memory", "gpu_mem": "gpu_min_memory", "vram": "gpu_min_memory", "cpus": "cpu", "cores": "cpu", "mem": "memory", "ram": "memory",
	"datacenter": "site", "region": "site", "prio": "priority", "timeout": "max_duration", "time_limit": "max_duration", "max_time": "max_duration", "duration": "max_duration", "max_duration_seconds": "max_duration",
	"retry": "retries", "max_retries": "retries", "attempts": "retries", "label": "tags", "labels": "tags", "environment": "env", "environ": "env", "arguments": "args", "flags": "args", "secret": "secrets", "title": "name",
	"notes": "description", "comment": "description",
}

// nearestPath returns the field, or with table the table, that an unknown path most likely means, or "" when there is none that
// it would be no mistake to name.
func nearestPath(path string, table bool) string {
	if len(path) > maxSuggest {
		return ""
	}
	path = strings.ToLower(strings.ReplaceAll(path, "-", "_"))
	if table {
		tables := make([]string, 0, len(schemaTables))
		for t := range schemaTables {
			tables = append(tables, t)
		}
		slices.Sort(tables)
		return typo(path, tables)
	}
	within, key := path[:max(0, strings.LastIndexByte(path, '.'))], path[strings.LastIndexByte(path, '.')+1:]
	for _, name := range []string{path, key} {
		if other := otherNames[name]; other != "" && (name == path || fitsTable(other, within)) {
			return other
		}
	}
	return nearestKey(path, within, key)
}

// fitsTable reports whether what a key means in any table can be meant in this one: words such as path and steps
// say something else in each.
func fitsTable(field, within string) bool {
	return within == "" || strings.Contains(field[strings.LastIndexByte(field, '.')+1:], "_") || within != "data" && within != "monitor" && !strings.Contains(within, ".") || strings.HasPrefix(field, within+".")
}

// nearestKey finds a field by its key: the same in another table, one of the same table with a typing error, or the only one
// of the table with all its words.
func nearestKey(path, within, key string) string {
	var same, paths, keys, worded []string
	inTable := map[string]string{}
	for i := range schema {
		f := &schema[i]
		paths = append(paths, f.Path)
		if f.Key() == key {
			same = append(same, f.Path)
		}
		if within != "" && !strings.HasPrefix(f.Path, within+".") {
			continue
		}
		if inTable[f.Key()] == "" {
			keys = append(keys, f.Key())
			inTable[f.Key()] = f.Path
		}
		if within != "" && hasWords(strings.ReplaceAll(strings.TrimPrefix(f.Path, within+"."), ".", "_"), key) {
			worded = append(worded, f.Path)
		}
	}
	if len(same) == 1 {
		return same[0]
	}
	if near := typo(key, keys); near != "" {
		return inTable[near]
	}
	if near := typo(path, paths); near != "" {
		return near
	}
	return fewestWords(worded)
}

// fewestWords is the shortest of some paths, or "" when two are.
func fewestWords(paths []string) string {
	best, least, tie := "", 0, false
	for _, p := range paths {
		switch n := strings.Count(p, "_"); {
		case best == "" || n < least:
			best, least, tie = p, n, false
		case n == least:
			tie = true
		}
	}
	if tie {
		return ""
	}
	return best
}

// hasWords reports whether every word of a key is one of a name, or begins one.
func hasWords(name, key string) bool {
	words := strings.Split(name, "_")
	for w := range strings.SplitSeq(key, "_") {
		if len(w) < 3 || !slices.ContainsFunc(words, func(of string) bool { return strings.HasPrefix(of, w) }) {
			return false
		}
	}
	return true
}

// typo returns the one of some names that was meant when text has one or two typing errors, or "". Short names must have fewer,
// or every one would be near another.
func typo(text string, names []string) string {
	if len(text) > maxSuggest {
		return ""
	}
	best, bestScore := "", 1
	switch {
	case len(text) > 4:
		bestScore = 3
	case len(text) > 2:
		bestScore = 2
	}
	for _, name := range names {
		if d := levenshtein.Distance(text, name, nil); d < bestScore {
			best, bestScore = name, d
		}
	}
	return best
}

// nearestRunField returns the setting of a run that an unknown name most likely means, or "".
func nearestRunField(name string) string {
	name = strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	if other := otherRunNames[name]; other != "" {
		return other
	}
	names := []string{FieldName}
	for i := range placement {
		names = append(names, placement[i].Path)
	}
	return typo(name, names)
}

// nearestEnv is the variable that an unknown one most likely means, or "".
func nearestEnv(name string) string {
	words := strings.ToLower(strings.TrimPrefix(name, envPrefix))
	table := ""
	for t := range schemaTables {
		if len(t) > len(table) && strings.HasPrefix(words, strings.ReplaceAll(t, ".", "_")+"_") {
			table = t
		}
	}
	path := words
	if table != "" {
		path = table + "." + words[len(table)+1:]
	}
	if near := nearestPath(path, false); near != "" {
		return EnvName(near)
	}
	return ""
}

// Near returns up to three names that a mistyped one may mean, the most likely first.
func Near(text string, names []string) []string {
	if text = strings.ToLower(text); text == "" || len(text) > maxSuggest {
		return nil
	}
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	for _, name := range names {
		d := levenshtein.Distance(text, strings.ToLower(name), nil)
		if d <= max(1, len(text)/3) || len(text) > 2 && strings.Contains(strings.ToLower(name), text) {
			found = append(found, candidate{name, d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var out []string
	for _, c := range found[:min(len(found), 3)] {
		out = append(out, c.name)
	}
	return out
}

// nearestChoice returns the choice that text most likely means, or "".
func nearestChoice(text string, choices []string) string {
	if len(text) > maxSuggest {
		return ""
	}
	best, bestScore := "", max(1, len(text)/3)+1
	for _, c := range choices {
		if d := levenshtein.Distance(strings.ToLower(text), strings.ToLower(c), nil); d < bestScore {
			best, bestScore = c, d
		}
	}
	return best
}
