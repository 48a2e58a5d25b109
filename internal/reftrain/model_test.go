package reftrain

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// batchLoss is the mean loss over samples and its gradient.
func batchLoss(m *model, samples [][]byte, zWeight float64) (float64, []float64) {
	grad := make([]float64, m.count())
	scale := 1 / float64(len(samples)*(len(samples[0])-1))
	m.prepare()
	sum := 0.0
	for _, s := range samples {
		ce, z := m.sample(s, scale, zWeight, grad)
		sum += ce + zWeight*z
	}
	m.finish(grad)
	return sum * scale, grad
}

func TestGradientsEqualFiniteDifferences(t *testing.T) {
	t.Parallel()
	samples := [][]byte{{0, 1, 2, 3, 4, 0, 0, 2}, {4, 4, 3, 1, 0, 2, 1, 1}, {2, 0, 1, 3, 3, 3, 3, 4}}
	for _, zWeight := range []float64{0, 0.3} {
		m := newModel(modelSize{context: 3, emb: 3, hidden: 5}, 5)
		m.initialise(1)
		_, grad := batchLoss(m, samples, zWeight)
		for i := range m.params {
			const h = 1e-5
			old := m.params[i]
			m.params[i] = old + h
			up, _ := batchLoss(m, samples, zWeight)
			m.params[i] = old - h
			down, _ := batchLoss(m, samples, zWeight)
			m.params[i] = old
			if want := (up - down) / (2 * h); math.Abs(grad[i]-want) > 1e-8+1e-6*math.Abs(want) {
				t.Errorf("z weight %v, parameter %d: gradient %v, finite difference %v", zWeight, i, grad[i], want)
			}
		}
	}
}

func TestLossOfAnUntrainedModelIsNearUniform(t *testing.T) {
	t.Parallel()
	m := newModel(modelSize{context: 2, emb: 2, hidden: 3}, 7) // all parameters zero
	loss, _ := batchLoss(m, [][]byte{{0, 1, 2, 3, 4, 5, 6}}, 0)
	if want := math.Log(7); math.Abs(loss-want) > 1e-12 {
		t.Errorf("loss %v, want ln 7 = %v", loss, want)
	}
}

func TestSoftmaxStandsExtremes(t *testing.T) {
	t.Parallel()
	logits := []float64{1e4, 0, -1e4}
	if lse := softmax(logits); lse != 1e4 {
		t.Errorf("log-sum-exp %v, want 1e4", lse)
	}
	if diff := cmp.Diff([]float64{1, 0, 0}, logits); diff != "" {
		t.Errorf("probabilities (-want +got):\n%s", diff)
	}
}

func TestMicroBatchesGiveTheSameStepAsOneBatch(t *testing.T) {
	t.Parallel()
	grads := map[int][]float64{}
	for _, micro := range []int{1, 2, 8} {
		cfg := defaultConfig()
		if err := decodeTOML(tiny(10, ""), &cfg); err != nil {
			t.Fatal(err)
		}
		cfg.Optim.BatchSize, cfg.Train.MicroBS = 8, micro
		tr, err := newTrainer(cfg, world{size: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		tr.mesh = &hub{}
		loss, _, err := tr.gradient(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		grads[micro] = append(slices.Clone(tr.grad), loss)
	}
	for _, micro := range []int{1, 2} {
		if diff := cmp.Diff(grads[8], grads[micro], cmpopts.EquateApprox(1e-9, 1e-12)); diff != "" {
			t.Errorf("micro_bs %d differs from 8 (-want +got):\n%s", micro, diff)
		}
	}
}

func TestAdamWFollowsItsDefinition(t *testing.T) {
	t.Parallel()
	wd := 0.1
	o := optimizerConfig{Betas1: 0.9, Betas2: 0.95, WeightDecay: &wd}
	p, m, v := []float64{2}, []float64{0}, []float64{0}
	adamW(o, 0.01, 1, p, m, v, []float64{-3}) // the first step moves by lr against the sign, whatever the size
	if want := 2*(1-0.001) + 0.01; math.Abs(p[0]-want) > 1e-9 {
		t.Errorf("after step 1: %v, want %v", p[0], want)
	}
	adamW(o, 0.01, 2, p, m, v, []float64{1})
	mh := (0.9*-0.3 + 0.1) / (1 - 0.81)
	vh := (0.95*0.45 + 0.05) / (1 - 0.9025)
	if want := (2*0.999+0.01)*0.999 - 0.01*mh/math.Sqrt(vh); math.Abs(p[0]-want) > 1e-9 {
		t.Errorf("after step 2: %v, want %v", p[0], want)
	}
}

func TestOuterStepIsNesterovMomentum(t *testing.T) {
	t.Parallel()
	base, mom := []float64{1}, []float64{0}
	outerStep(0.7, base, mom, []float64{0.5}) // buffer 0.5, update 0.5+0.45
	outerStep(0.7, base, mom, []float64{0.2}) // buffer 0.65, update 0.2+0.585
	if want := 1 - 0.7*0.95 - 0.7*0.785; math.Abs(base[0]-want) > 1e-12 {
		t.Errorf("base %v, want %v", base[0], want)
	}
}

func TestClipLimitsTheNorm(t *testing.T) {
	t.Parallel()
	g := []float64{3, 4}
	if n := clip(g); n != 5 {
		t.Errorf("norm %v, want 5", n)
	}
	if n := math.Hypot(g[0], g[1]); math.Abs(n-1) > 1e-6 {
		t.Errorf("clipped norm %v, want 1", n)
	}
	g = []float64{0.3, 0.4}
	clip(g)
	if g[0] != 0.3 {
		t.Errorf("a small gradient was changed to %v", g)
	}
}

func TestLearningRateFollowsItsSchedule(t *testing.T) {
	t.Parallel()
	o := optimConfig{WarmupSteps: 10, StableSteps: 60, TotalSteps: 110}
	for _, tt := range []struct {
		sched string
		at    int64
		want  float64
	}{
		{"cosine", 0, 0}, {"cosine", 5, 0.5}, {"cosine", 10, 1}, {"cosine", 60, 0.5}, {"cosine", 110, 0},
		{"linear", 5, 0.5}, {"linear", 10, 1}, {"linear", 60, 0.5}, {"linear", 110, 0}, {"linear", 120, 0},
		{"wsd-sqrt", 9, 0.9}, {"wsd-sqrt", 10, 1}, {"wsd-sqrt", 59, 1}, {"wsd-sqrt", 60, 1}, {"wsd-sqrt", 72, 1 - math.Sqrt(0.24)},
		{"wsd-sqrt", 110, 0}, {"wsd-sqrt", 200, 0},
	} {
		o.SchedType = tt.sched
		if got := lrFactor(o, tt.at); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("%s after %d steps: %v, want %v", tt.sched, tt.at, got, tt.want)
		}
	}
	for _, at := range []int64{10, 110, 120} { // stable beyond the end: it never decays
		if got := lrFactor(optimConfig{SchedType: "wsd-sqrt", WarmupSteps: 10, StableSteps: 120, TotalSteps: 110}, at); got != 1 {
			t.Errorf("after %d steps: %v, want 1", at, got)
		}
	}
}

func TestSplitsOfTheDataAreInterleaved(t *testing.T) {
	t.Parallel()
	d := defaultConfig().Data
	d.SeqLength, d.Fake = 16, true
	load := func(rank, world int) *corpus {
		c, err := loadCorpus(d, rank, world)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one, a, b := load(0, 1), load(0, 2), load(1, 2)
	for n := range int64(20) {
		for rank, c := range []*corpus{a, b} {
			if got, want := c.sample(n), one.sample(2*n+int64(rank)); string(got) != string(want) {
				t.Fatalf("sample %d of rank %d is not sample %d of the whole", n, rank, 2*n+int64(rank))
			}
		}
	}
}

func TestEveryModelNameHasASize(t *testing.T) {
	t.Parallel()
	last := 0
	for _, name := range modelNames {
		size, err := sizeOf(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := newModel(size, 64).count(); n < last {
			t.Errorf("%s has %d parameters, fewer than the model before it", name, n)
		} else {
			last = n
		}
	}
}

// BenchmarkStep is one optimiser step of the debug preset: 16 samples of 64 bytes.
func BenchmarkStep(b *testing.B) {
	for _, name := range []string{"debugmodel", "150M", "70B"} {
		b.Run(name, func(b *testing.B) {
			cfg := defaultConfig()
			cfg.Train = defaultTrain()
			cfg.NameModel, cfg.Train.MicroBS, cfg.Optim.BatchSize, cfg.Data.SeqLength = name, 8, 16, 64
			tr, err := newTrainer(cfg, world{size: 1}, nil)
			if err != nil {
				b.Fatal(err)
			}
			tr.mesh = &hub{}
			var t int64
			for b.Loop() {
				if _, _, err := tr.gradient(b.Context()); err != nil {
					b.Fatal(err)
				}
				t++
				clip(tr.grad)
				adamW(cfg.Optim.Optim, 1e-3, t, tr.s.params, tr.s.m, tr.s.v, tr.grad)
			}
			tokens := float64(16*64*b.N) / b.Elapsed().Seconds()
			b.ReportMetric(tokens, "tokens/s")
			if math.IsNaN(tr.s.params[0]) {
				b.Fatal(fmt.Errorf("parameters are not finite"))
			}
		})
	}
}
