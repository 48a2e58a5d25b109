package trainconf

import (
	"strings"
	"testing"
)

func TestWhatTakesTheirPlaceIsNamedForSettingsThatAreNotThere(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]string{
		// what earlier versions of the core and other trainers call them
		"optim.adam_betas1": "optim.optim.betas1", "optim.adam_betas2": "optim.optim.betas2", "optim.lr": "optim.optim.lr", "optim.weight_decay": "optim.optim.weight_decay",
		"data.fake_data": "data.fake", "data.path": "data.dataset_name_or_paths", "data.dataset_path": "data.dataset_name_or_paths", "data.seq_len": "data.seq_length", "data.sequence_length": "data.seq_length",
		"optim.learning_rate": "optim.optim.lr", "optim.optimizer": "optim.optim.type", "optim.max_steps": "optim.total_steps", "train.micro_batch_size": "train.micro_bs", "train.batch_size": "optim.batch_size",
		"train.compile": "train.torch_compile", "ckpt.dir": "ckpt.path", "ckpt.freq": "ckpt.interval", "ckpt.resume_path": "ckpt.resume", "ckpt.remote_path": "ckpt.remote.path", "diloco.lr": "diloco.outer_lr",
		"diloco.local_steps": "diloco.inner_steps", "model.type": "type_model", "model_name": "name_model", "monitor.interval": "monitor.log_flush_interval", "optim.optim.wd": "optim.optim.weight_decay",
		"num_nodes": "nodes", "gpus_per_node": "gpus", "cpus": "cpu", "timeout": "max_duration", "labels": "tags", "max-duration": "max_duration", "Nodes": "nodes",
		// typing errors
		"optim.z_los": "optim.z_loss", "trian.micro_bs": "train.micro_bs", "data.num_workrs": "data.num_workers", "optim.stable": "optim.stable_steps", "data.rank": "data.data_rank", "retrys": "retry",
		// nothing is better than a field that means something else
		"optim.decay_steps": "", "optim.min_lr": "", "optim.eps": "", "train.dtype": "", "train.memory_monitor": "", "monitor.path": "", "data.interval": "", "data.max_samples": "", "diloco.timeout": "", "seed": "", "nope": "", "run": "",
	} {
		r := NewRequest()
		errs := AsFieldErrors(r.Set(field, "1"))
		if len(errs) != 1 {
			t.Errorf("%s: %v", field, errs)
			continue
		}
		fix := "remove it"
		if want != "" {
			fix = "use " + want + ", or remove it"
			if _, ok := Lookup(want); !ok {
				t.Errorf("%s is no field", want)
			}
		}
		if errs[0].Fix != fix {
			t.Errorf("%s: %q, want %q", field, errs[0].Fix, fix)
		}
		if table, _, _ := strings.Cut(field, "."); EnvName(want) != "" && schemaTables[table] {
			name := envPrefix + strings.ToUpper(strings.ReplaceAll(field, ".", "_"))
			if got := nearestEnv(name); got != EnvName(want) {
				t.Errorf("%s: %q, want %q", name, got, EnvName(want))
			}
		}
	}
	for name, other := range otherNames {
		if _, ok := schemaIndex[other]; !ok {
			t.Errorf("%s stands for %s, which the core does not have", name, other)
		}
		if _, ok := schemaIndex[name]; ok {
			t.Errorf("%s is a field itself", name)
		}
	}
	for name, other := range otherRunNames {
		if _, ok := Lookup(other); !ok || EnvName(other) != "" {
			t.Errorf("%s stands for %s, which a run does not have", name, other)
		}
	}
}
