package reftrain

import (
	"context"
	"fmt"
	"math"
	"time"
)

// step is one optimiser step. A step that is cancelled leaves the state as it was before.
func (t *trainer) step(ctx context.Context) error {
	start := time.Now()
	ce, z, err := t.gradient(ctx)
	if err != nil {
		return err
	}
	if t.cfg.DiLoCo == nil && t.world.size > 1 {
		if _, err := t.mesh.average(ctx, t.s.Step, encodingF64, t.grad, false); err != nil {
			return err
		}
	}
	// The rest of a paced step passes before the step counts, as if the arithmetic had taken so long: its line is printed at its end.
	took := time.Since(start)
	if err := t.wait(ctx, max(0, t.pace-took)+t.slowed(took)); err != nil {
		return err
	}
	norm := clip(t.grad)
	o := t.cfg.Optim
	adamW(o.Optim, o.Optim.LR*lrFactor(o, t.s.Step), t.s.Step+1, t.s.params, t.s.m, t.s.v, t.grad)
	t.s.Step++
	t.s.Inner++
	t.s.Samples += int64(o.BatchSize)
	tokens := o.BatchSize * t.corpus.seq
	t.s.TotalTokens += int64(tokens * t.peers())
	t.rate.count(float64(tokens), time.Now())
	t.report(t.shown(ce), z, norm)
	return t.inject(ctx)
}

// peers is how many workers take part.
func (t *trainer) peers() int {
	if t.cfg.DiLoCo == nil {
		return t.world.size
	}
	return t.view.size()
}

// gradient computes the mean loss over the batch and its gradient, micro batch by micro batch.
func (t *trainer) gradient(ctx context.Context) (ce, z float64, err error) {
	o, micro := t.cfg.Optim, t.cfg.Train.MicroBS
	accumulation := o.BatchSize / micro
	scale := 1 / float64(micro*t.corpus.seq) / float64(accumulation)
	weight := 0.0
	if o.ZLoss {
		weight = o.ZLossWeight
	}
	clear(t.grad)
	t.model.prepare()
	n := t.s.Samples
	for range accumulation {
		var microCE, microZ float64
		for range micro {
			if err := t.interrupted(ctx); err != nil {
				return 0, 0, err
			}
			c, zz := t.model.sample(t.corpus.sample(n), scale, weight, t.grad)
			microCE += c
			microZ += zz
			n++
		}
		ce += microCE * scale
		z += microZ * scale * weight
	}
	t.model.finish(t.grad)
	return ce, z, nil
}

// interrupted is the reason to leave the step at once: a stop that was asked for, or a mesh that has ended.
func (t *trainer) interrupted(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.mesh.broken():
		return t.mesh.cause()
	default:
		return nil
	}
}

// wait sleeps for the rest of a paced step.
func (t *trainer) wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.mesh.broken():
		return t.mesh.cause()
	case <-timer.C:
		return nil
	}
}

// report prints the line of a step, and with the wandb logger its machine line.
func (t *trainer) report(ce, z, norm float64) {
	line := fmt.Sprintf("step: %d, loss: %s", t.s.Step, pyFixed(ce, 4))
	lr := t.cfg.Optim.Optim.LR * lrFactor(t.cfg.Optim, t.s.Step) // CotrainCore reports the next step's
	fields := []field{
		{"step", t.s.Step}, {"loss", ce}, {"inner_lr", lr}, {"perplexity", math.Exp(ce)},
		{"total_tokens", t.s.TotalTokens}, {"time", float64(t.log.now().UnixMilli()) / 1000}, {"grad_norm", norm},
	}
	if t.cfg.Optim.ZLoss {
		fields = append(fields, field{"z_loss", z})
	}
	if tps, ok := t.rate.perSecond(); ok {
		mfu := t.mfu(tps)
		line += fmt.Sprintf(", tokens_per_second: %.2f, mfu: %.2f", tps, mfu)
		fields = append(fields, field{"tokens_per_second", tps}, field{"mfu", mfu})
	}
	if t.cfg.DiLoCo != nil {
		line += fmt.Sprintf(", diloco_peers: %d", t.peers())
		fields = append(fields, field{"num_peers", t.peers()})
	}
	// Without DiLoCo the workers are one torchrun world, whose rank 0 alone has a metric logger.
	if t.cfg.MetricLoggerType == "wandb" && (t.cfg.DiLoCo != nil || t.world.rank == 0) {
		t.log.machine("metrics", fields...)
	}
	t.log.info("%s", line)
}
