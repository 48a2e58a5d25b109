package reftrain

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// nominalPeakFLOPS is what MFU is computed against: a round figure for one CPU core doing scalar arithmetic. It makes
// the lines complete; it measures no machine.
const nominalPeakFLOPS = 1e10

// trainer is one worker.
type trainer struct {
	cfg   config
	world world
	pace  time.Duration
	// processes is for how many this worker writes checkpoints: one for each of its GPUs.
	processes int
	faults    []fault
	flat      float64 // the loss that the fault flat repeats
	risen     float64 // by how much the fault spike raises it
	log       *logger

	corpus *corpus
	model  *model
	grad   []float64
	s      *state
	mesh   mesh
	view   view
	rate   rate
}

func newTrainer(cfg config, w world, log *logger) (*trainer, error) {
	c, err := loadCorpus(cfg.Data, w.rank, w.size)
	if err != nil {
		return nil, err
	}
	size, err := sizeOf(cfg.NameModel)
	if err != nil {
		return nil, err
	}
	t := &trainer{cfg: cfg, world: w, processes: 1, log: log, corpus: c, model: newModel(size, len(c.vocab))}
	t.model.initialise(defaultSeed)
	t.grad = make([]float64, t.model.count())
	t.s = newState(t.model.params, cfg.DiLoCo != nil)
	return t, nil
}

// modelID names what a checkpoint's parameters belong to: the sizes and the vocabulary.
func (t *trainer) modelID() string {
	m := t.model
	return fmt.Sprintf("context %d, embedding %d, hidden %d, vocabulary %d %x", m.context, m.emb, m.hidden, m.vocab,
		sha256.Sum256(t.corpus.vocab))
}

// fingerprint names everything that workers of one run must agree on.
func (t *trainer) fingerprint() (string, error) {
	b, err := json.Marshal(struct {
		Model, Text string
		Optim       optimConfig
		DiLoCo      *dilocoConfig
	}{t.modelID(), t.corpus.hash(), t.cfg.Optim, t.cfg.DiLoCo})
	if err != nil {
		return "", fmt.Errorf("fingerprint of the configuration: %w", err)
	}
	sum := sha256.Sum256(b)
	return fmt.Sprintf("%x", sum[:16]), nil
}

// announce prints the facts of the run that CotrainCore prints before it starts.
func (t *trainer) announce() {
	t.log.info("Peak FLOPS used for computing MFU: %.3e", nominalPeakFLOPS)
	t.log.info("Number of parameters: %d", t.model.count()-t.model.embedCount())
	if t.cfg.Data.SeqLength > maxSeqLength {
		t.log.warn("data.seq_length %d is cut to %d by the reference trainer", t.cfg.Data.SeqLength, maxSeqLength)
	}
	if t.cfg.Optim.Optim.Type == "soap" {
		t.log.warn("optim.optim.type soap is not in the reference trainer: AdamW runs with its values")
	}
}

// run trains to the end. It closes the mesh.
func (t *trainer) run(ctx context.Context) (err error) {
	why := partFailed
	defer func() {
		var f faultExit
		switch {
		case err == nil:
			why = partFinished
		case errors.As(err, &f):
			why = partAbrupt
		case ctx.Err() != nil:
			why = partStopping
		}
		t.mesh.close(why)
	}()
	if err := t.prepare(); err != nil {
		return err
	}
	if err := t.join(ctx); errors.Is(err, errFinished) {
		return nil // it came when everything was done
	} else if err != nil {
		return err
	}
	for t.s.Step < int64(t.cfg.Optim.TotalSteps) || t.s.Inner > 0 {
		if err := t.outer(ctx); err != nil {
			return err
		}
	}
	return nil
}

// prepare checks the checkpoint folder and resumes.
func (t *trainer) prepare() error {
	if p := t.cfg.Ckpt.Path; p != nil && t.saves() {
		if err := checkAccess(*p); err != nil {
			t.log.error("Error checking path access %s: %s, aborting training", *p, err)
			return err
		}
	}
	if t.cfg.Ckpt.Resume == nil {
		return nil
	}
	start := time.Now()
	dir := *t.cfg.Ckpt.Resume
	if t.cfg.DiLoCo != nil {
		dir = resumeDir(dir, t.world.rank)
	}
	md, err := readMetadata(dir)
	if errors.Is(err, fs.ErrNotExist) && t.world.rank > 0 {
		t.log.warn("%s: taking the state from worker 0", err)
		return nil
	}
	if err != nil {
		return err
	}
	if err := md.readInto(dir, t.modelID(), t.s); err != nil {
		return err
	}
	if err := t.adjustResumed(); err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	t.log.info("Loaded checkpoint from %s in %s seconds", dir, pyFloat(seconds))
	return nil
}

// adjustResumed applies the fields that change what a checkpoint says.
func (t *trainer) adjustResumed() error {
	k := t.cfg.Ckpt
	if k.TokenCount != nil {
		t.s.TotalTokens = *k.TokenCount
	}
	switch {
	case k.SkipDataloader:
		t.s.Samples = 0
	case k.DataPath != nil:
		samples, err := readPlace(filepath.Join(*k.DataPath, filepath.FromSlash(placeName(0))))
		if err != nil {
			return err
		}
		t.s.Samples = max(0, samples)
	}
	return nil
}

func checkAccess(path string) error {
	if err := os.MkdirAll(path, 0o755); err != nil { // #nosec G301 -- others may read models
		return fmt.Errorf("make checkpoint folder: %w", err)
	}
	f, err := os.CreateTemp(path, ".dummy_file_*.txt")
	if err != nil {
		return fmt.Errorf("write to checkpoint folder: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// join waits for the mesh and takes over the state that it gives.
func (t *trainer) join(ctx context.Context) error {
	start := time.Now()
	v, blob, err := t.mesh.start(ctx, position{outer: t.s.Outer, baseHash: t.s.baseHash(), snapshot: t.s.snapshot})
	if err != nil {
		return err
	}
	t.view = v
	if t.cfg.DiLoCo != nil {
		t.log.info("Elastic Device mesh init done with %d peers in %s seconds", v.size(), pyFloat(time.Since(start).Seconds()))
		t.log.info("global_pg size : %d, local_pg size: 1", v.size())
	}
	if blob == nil {
		return nil
	}
	start = time.Now()
	source := 0
	if s := t.cfg.Ckpt.LiveRecoveryRankSrc; s != nil {
		source = *s
	}
	t.log.info("Start live recovery from rank %d", source)
	if err := t.s.restore(blob); err != nil {
		return fmt.Errorf("live recovery: %w", err)
	}
	t.log.info("live recovery done in %f", time.Since(start).Seconds())
	return nil
}

// outer is one round of CotrainCore's outer loop: with DiLoCo its inner steps and the synchronisation, else one step.
func (t *trainer) outer(ctx context.Context) error {
	n := t.cfg.innerSteps()
	if n > 1 {
		t.log.info("outer_step step: %d", t.s.Outer)
	}
	start := time.Now()
	if err := t.mesh.handOver(ctx, t.s.snapshot); err != nil {
		return err
	}
	for t.s.Inner < n {
		if err := t.step(ctx); err != nil {
			return err
		}
	}
	sync, health, err := t.synchronise(ctx)
	if err != nil {
		return err
	}
	t.s.Inner = 0
	t.s.Outer++
	if i := t.cfg.Ckpt.Interval; i != nil && t.s.Step%int64(*i) == 0 {
		if err := t.save(); err != nil {
			return err
		}
	}
	if t.cfg.DiLoCo != nil {
		t.reportOuter(time.Since(start), sync, health)
	}
	return nil
}

// synchronise averages the pseudo-gradients and takes the outer step.
func (t *trainer) synchronise(ctx context.Context) (took time.Duration, health []field, err error) {
	d := t.cfg.DiLoCo
	if d == nil {
		return 0, nil, nil
	}
	start := time.Now()
	pseudo := t.grad // not in use between two steps
	for i, b := range t.s.base {
		pseudo[i] = b - t.s.params[i]
	}
	own := slices.Clone(pseudo)
	encoding := encodingF32
	if d.Compression == "uint8" {
		encoding = encodingUint8
	}
	last := t.s.Step >= int64(t.cfg.Optim.TotalSteps)
	v, err := t.mesh.average(ctx, t.s.Outer, encoding, pseudo, last)
	if err != nil {
		return 0, nil, err
	}
	if !slices.Equal(v.ids, t.view.ids) {
		t.log.info("Destroyed process group")
		t.log.info("global_pg size : %d, local_pg size: 1", v.size())
	}
	t.view = v
	if t.isolated() {
		outerStep(d.OuterLR, t.s.base, t.s.momentum, pseudo)
		copy(t.s.params, t.s.base)
		return time.Since(start), nil, nil
	}
	t.log.info("Sync psuedo-gradient in %.6f seconds", time.Since(start).Seconds()) //nolint:misspell // CotrainCore writes it so
	took = time.Since(start)
	t.log.info("all reduce pseudo gradient in: %s seconds", pyFloat(took.Seconds()))
	outerStep(d.OuterLR, t.s.base, t.s.momentum, pseudo)
	copy(t.s.params, t.s.base)
	return took, append(agreement(own, pseudo), field{"diloco/outer_lr", d.OuterLR}), nil
}

// agreement is how a worker's pseudo-gradient compares with the mean over all workers: its length, the cosine of the angle between
// them, and the drift, which is the length of their difference as a share of the mean's.
func agreement(own, mean []float64) []field {
	var squares, meanSquares, product, apart float64
	for i, v := range own {
		squares, meanSquares, product = squares+v*v, meanSquares+mean[i]*mean[i], product+v*mean[i]
		apart += (v - mean[i]) * (v - mean[i])
	}
	out := []field{{"diloco/pseudo_gradient_norm", math.Sqrt(squares)}, {"diloco/mean_pseudo_gradient_norm", math.Sqrt(meanSquares)}}
	if squares > 0 && meanSquares > 0 { // else there is no direction
		out = append(out, field{"diloco/cosine", product / math.Sqrt(squares*meanSquares)}, field{"diloco/drift", math.Sqrt(apart / meanSquares)})
	}
	return out
}

// reportOuter prints what an outer step was; health is what its pseudo-gradients tell.
func (t *trainer) reportOuter(took, sync time.Duration, health []field) {
	tps := float64(t.cfg.Optim.BatchSize) * float64(t.cfg.DiLoCo.InnerSteps) * float64(t.corpus.seq) / max(took.Seconds(), 1e-9)
	mfu := t.mfu(tps)
	t.log.info("effective mfu: %s", pyFloat(mfu))
	if t.cfg.MetricLoggerType == "wandb" {
		t.log.machine("metrics", append([]field{{"outer_mfu", mfu}, {"step", t.s.Step}, {"outer_step", t.s.Outer},
			{"outer_tokens_per_second", tps}, {"all_reduce_step", sync.Seconds()}}, health...)...)
	}
}

func (t *trainer) mfu(tokensPerSecond float64) float64 {
	return 100 * t.model.flopPerToken() * tokensPerSecond / nominalPeakFLOPS
}

// rate is CotrainCore's PerfCounter: tokens per second over the last ten steps.
type rate struct {
	tokens []float64
	times  []time.Time
}

const rateWindow = 10

func (r *rate) count(tokens float64, at time.Time) {
	r.tokens, r.times = append(r.tokens, tokens), append(r.times, at)
	if len(r.tokens) > rateWindow {
		r.tokens, r.times = r.tokens[1:], r.times[1:]
	}
}

// perSecond is not known before the second step after a start.
func (r *rate) perSecond() (float64, bool) {
	if len(r.tokens) < 2 {
		return 0, false
	}
	sum := 0.0
	for _, n := range r.tokens[1:] {
		sum += n
	}
	span := r.times[len(r.times)-1].Sub(r.times[0]).Seconds()
	return sum / math.Max(span, 1e-9), true
}
