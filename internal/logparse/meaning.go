package logparse

import "bytes"

// role is what a printed name stands for.
type role uint8

const (
	roleOther   role = iota // a metric under its printed name
	roleMetric              // a metric with a canonical name
	roleLike                // the same, unless another name on the line says it better
	roleStep                // a step; the higher of several roles counts
	rolePart                // a step within an epoch: "batch 3/10"
	roleEpoch               // an epoch
	roleIgnored             // no measurement: times left, totals
)

// meaning is a role with its canonical name, and how much a step counts against others of the line.
type meaning struct {
	role role
	name string
	rank uint8
}

// maxMeaning is the longest name that can have a canonical one.
const maxMeaning = 40

// knownNames bounds a parser's memory of what names mean; knownBytes is the longest that it holds.
const (
	knownNames = 64
	knownBytes = 24
)

// known is a name with its meaning.
type known struct {
	key  [knownBytes]byte
	size int
	meaning
}

// meaningOf is [meaningOf] from memory: a stream has few names, and each of its records has them.
func (p *Parser) meaningOf(key, unit []byte) meaning {
	if len(key) == 0 || len(key) > knownBytes {
		return meaningOf(key, unit)
	}
	if p.known == nil {
		p.known = make([]known, knownNames)
	}
	k := &p.known[(31*len(key)+7*int(key[0])+int(key[len(key)-1]))%knownNames]
	if k.size == len(key) && bytes.Equal(k.key[:k.size], key) {
		return k.meaning
	}
	m := meaningOf(key, unit)
	if m == meaningOf(key, nil) && m == meaningOf(key, []byte("tok")) { // whatever the unit
		k.size, k.meaning = copy(k.key[:], key), m
	}
	return m
}

// meaningOf reads a printed name without regard to case, spaces, dots and dashes.
func meaningOf(key, unit []byte) meaning {
	var buf [maxMeaning]byte
	name := plainName(buf[:0], key)
	if m, ok := meanings[string(name)]; ok {
		return m
	}
	switch {
	case string(name) == "throughput" && hasAnyPrefix(unit, "tok"):
		return meaning{role: roleMetric, name: "tokens_per_second"}
	case bytes.HasSuffix(name, []byte("_step")) && saysStep(name[:len(name)-len("_step")]):
		return meaning{role: roleStep, rank: 4}
	case bytes.HasSuffix(name, []byte("_iteration")) && saysStep(name[:len(name)-len("_iteration")]):
		return meaning{role: roleStep, rank: 3}
	case string(name) == "training_epoch", string(name) == "train_epoch", bytes.HasSuffix(name, []byte("at_epoch")):
		return meaning{role: roleEpoch}
	}
	return meaning{}
}

func saysStep(before []byte) bool {
	switch string(before) {
	case "training", "train", "completed", "current", "optimizer", "optimiser", "trainer_global", "train_global", "training_global", "validate":
		return true
	}
	return bytes.HasSuffix(before, []byte("_at")) || string(before) == "at"
}

// plainName lowers a name's case, makes one underscore of what separates its words, and strips words and groups that do not change
// what it names. Longer names give nothing.
func plainName(dst, key []byte) []byte {
	for _, c := range key {
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c == ' ' || c == '.' || c == '-':
			c = '_'
		case c == '(':
			if len(dst) > 0 && !bytes.HasPrefix(dst, []byte("epoch")) && !bytes.HasPrefix(dst, []byte("iter")) {
				return bytes.TrimRight(dst, "_") // its unit
			}
		}
		if c == '_' && (len(dst) == 0 || dst[len(dst)-1] == '_') {
			continue
		}
		if len(dst) == maxMeaning {
			return nil
		}
		dst = append(dst, c)
	}
	dst = bytes.TrimRight(dst, "_")
	for _, suffix := range [...]string{"_is", "_at", "_value"} {
		dst = bytes.TrimSuffix(dst, []byte(suffix))
	}
	for _, prefix := range [...]string{"current_", "train/", "training/"} {
		dst = bytes.TrimPrefix(dst, []byte(prefix))
	}
	return dst
}

// meanings are the names that many trainers share. "train_loss" is "loss" only where nothing else is.
var meanings = func() map[string]meaning {
	out := map[string]meaning{}
	add := func(m meaning, names ...string) {
		for _, name := range names {
			out[name] = m
		}
	}
	metric := func(name string) meaning { return meaning{role: roleMetric, name: name} }
	add(metric("loss"), "loss")
	add(meaning{role: roleLike, name: "loss"}, "train_loss", "training_loss", "lm_loss", "total_loss", "loss_total", "reduced_train_loss", "step_loss", "train_loss_step", "loss_step",
		"loss_train", "average_loss", "avg_loss", "mean_loss", "crossentropyloss", "cross_entropy_loss", "loss/train/total", "ce_loss", "loss/total_loss", "total_loss/loss")
	add(metric("val_loss"), "val_loss", "valid_loss", "validation_loss", "loss_val", "val/loss", "valid/loss", "validation/loss", "loss/val/total")
	add(metric("eval_loss"), "eval_loss", "evaluation_loss", "eval/loss", "loss_eval")
	add(metric("learning_rate"), "learning_rate", "lr", "inner_lr", "optim/learning_rate_group0", "optim/lr")
	add(metric("grad_norm"), "grad_norm", "gnorm", "gradient_norm", "gradnorm", "total_grad_norm", "global_grad_norm", "actor/grad_norm", "optim/total_grad_norm")
	add(metric("tokens_per_second"), "tokens_per_second", "tokens_per_sec", "tps", "tok/s", "tok/sec", "tok_s", "toks/s", "tokens/s", "tokens/sec", "tokens/second",
		"tokens/s/device", "tokens/s/gpu", "tokens/sec/gpu", "tokens/gpu/s", "tokens_per_second_per_gpu", "tokens_per_gpu_per_second", "tokens_per_sec_per_gpu", "tok_per_sec",
		"tgs", "throughput/device/tokens_per_second", "throughput/device/tps", "throughput/tokens_per_sec", "perf/throughput")
	add(metric("mfu"), "mfu", "bf16_mfu")
	add(metric("perplexity"), "perplexity", "ppl")
	add(metric("num_peers"), "num_peers", "diloco_peers")
	add(metric("total_tokens"), "total_tokens", "throughput/total_tokens")
	add(metric("reward"), "reward", "avg_reward", "mean_reward", "critic/rewards/mean")
	add(meaning{role: roleEpoch}, "epoch", "epoch(train)", "epoch(val)", "epoch(test)", "ep", "end_of_epoch")
	add(meaning{role: roleStep, rank: 5}, "global_step", "global_steps", "num_updates", "train_num_updates", "valid_num_updates", "current_steps", "trainer/global_step")
	add(meaning{role: roleStep, rank: 4}, "step", "steps", "_step")
	add(meaning{role: roleStep, rank: 3}, "iteration", "iter", "it", "iters", "update", "updates", "iter(train)", "iter(val)")
	add(meaning{role: rolePart, rank: 1}, "batch", "batches", "minibatch", "batch_idx")
	add(meaning{role: roleIgnored}, "eta", "total", "total_steps", "max_steps", "v_num", "elapsed", "remaining", "file", "rank", "pid", "local_rank", "seed", "time_left", "version", "line")
	return out
}()

// Shared reports whether a name is one of those that metrics of every trainer share.
func Shared(name string) bool {
	switch name {
	case "loss", "val_loss", "eval_loss", "learning_rate", "grad_norm", "tokens_per_second", "mfu", "perplexity", "epoch", "num_peers", "total_tokens", "reward":
		return true
	}
	return false
}
