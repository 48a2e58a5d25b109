package reftrain

import "math"

// The constants that CotrainCore does not let a user set: PyTorch's AdamW epsilon, and the gradient clip and outer
// momentum in its train.py and diloco.py.
const (
	adamEpsilon   = 1e-8
	clipNorm      = 1.0
	outerMomentum = 0.9
)

// adamW is one update of AdamW with decoupled weight decay; t counts updates from 1.
func adamW(o optimizerConfig, lr float64, t int64, params, m, v, grad []float64) {
	b1, b2 := o.Betas1, o.Betas2
	c1 := 1 - math.Pow(b1, float64(t))
	c2 := math.Sqrt(1 - math.Pow(b2, float64(t)))
	decay := 1 - lr*o.weightDecay()
	for i, g := range grad {
		m[i] = b1*m[i] + (1-b1)*g
		v[i] = b2*v[i] + (1-b2)*g*g
		params[i] = params[i]*decay - lr*(m[i]/c1)/(math.Sqrt(v[i])/c2+adamEpsilon)
	}
}

// outerStep is one update of SGD with Nesterov momentum, as torch.optim.SGD does it: base moves against the averaged
// pseudo-gradient.
func outerStep(lr float64, base, momentum, pseudo []float64) {
	for i, g := range pseudo {
		momentum[i] = outerMomentum*momentum[i] + g
		base[i] -= lr * (g + outerMomentum*momentum[i])
	}
}

// clip scales grad down to clipNorm and returns its norm before that.
func clip(grad []float64) float64 {
	sum := 0.0
	for _, g := range grad {
		sum += g * g
	}
	norm := math.Sqrt(sum)
	if k := clipNorm / (norm + 1e-6); k < 1 { // PyTorch adds 1e-6 as well
		for i := range grad {
			grad[i] *= k
		}
	}
	return norm
}

// lrFactor is what the learning rate is multiplied by after n updates, as in CotrainCore's lr_scheduler.py and the
// schedules of transformers that it uses.
func lrFactor(o optimConfig, n int64) float64 {
	cur, warm, stable, total := float64(n), float64(o.WarmupSteps), float64(o.StableSteps), float64(o.TotalSteps)
	if cur < warm {
		return cur / max(1, warm)
	}
	switch o.SchedType {
	case "linear":
		return max(0, (total-cur)/max(1, total-warm))
	case "wsd-sqrt":
		if cur < stable {
			return 1
		}
		return max(0, 1-math.Sqrt((cur-stable)/(total-stable)))
	default: // cosine
		return max(0, 0.5*(1+math.Cos(math.Pi*(cur-warm)/max(1, total-warm))))
	}
}
