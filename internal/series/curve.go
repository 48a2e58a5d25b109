package series

import (
	"fmt"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// A curve block is like a chunk: columns of steps, times and workers, then values of minima, maxima and sums, each after its
// length. Length 0 repeats the values before, as one worker's are all the same. The mean is sum / workers.

// EncodeCurve compresses 1 to [MaxChunkPoints] points of ascending steps, without loss except that means become Sum /
// Workers, times whole milliseconds, and NaN loses its payload.
func EncodeCurve(curve []run.CurvePoint) ([]byte, error) {
	if len(curve) == 0 || len(curve) > MaxChunkPoints {
		return nil, fmt.Errorf("encode curve: %d points, want 1 to %d", len(curve), MaxChunkPoints)
	}
	var integers [3][]int64
	var floats [3][]float64
	for i := range integers {
		integers[i], floats[i] = make([]int64, len(curve)), make([]float64, len(curve))
	}
	for i, p := range curve {
		if i > 0 && p.Step <= curve[i-1].Step {
			return nil, fmt.Errorf("encode curve: step %d comes after step %d", p.Step, curve[i-1].Step)
		}
		if p.Workers < 1 {
			return nil, fmt.Errorf("encode curve: step %d has %d workers", p.Step, p.Workers)
		}
		integers[0][i], integers[1][i], integers[2][i] = p.Step, p.At.UnixMilli(), int64(p.Workers)
		floats[0][i], floats[1][i], floats[2][i] = p.Min, p.Max, p.Sum
	}
	out := begin(len(curve))
	for _, numbers := range integers {
		out = appendPart(out, appendColumn(nil, numbers))
	}
	var before []byte
	for _, f := range floats {
		v := appendValues(nil, f)
		if slices.Equal(v, before) {
			out = appendPart(out, nil)
			continue
		}
		out, before = appendPart(out, v), v
	}
	return seal(out), nil
}

// AppendCurve appends a block of [EncodeCurve] to a curve; other data is [ErrDamaged].
func AppendCurve(curve []run.CurvePoint, data []byte) ([]run.CurvePoint, error) {
	body, err := verified(data)
	if err != nil {
		return curve, err
	}
	first := len(curve)
	if isOld(body) {
		curve, err = appendOldCurve(curve, body)
	} else {
		curve, err = appendCurve(curve, body)
	}
	if err != nil {
		return curve[:first], err
	}
	for i, p := range curve[first:] {
		if p.Workers < 1 || p.Workers > maxWorkers || i > 0 && p.Step <= curve[first+i-1].Step {
			return curve[:first], fmt.Errorf("%w: %d workers at step %d", ErrDamaged, p.Workers, p.Step)
		}
	}
	return curve, nil
}

// maxWorkers is more than a run can have.
const maxWorkers = 1 << 20

func appendCurve(curve []run.CurvePoint, body []byte) ([]run.CurvePoint, error) {
	count, body, err := counted(body)
	if err != nil {
		return curve, err
	}
	var integers [3]column
	var floats [3]values
	for i := range integers {
		if body, err = openPart(body, integers[i].open); err != nil {
			return curve, err
		}
	}
	same := [len(floats)]bool{}
	for i := range floats {
		if same[i] = i > 0 && len(body) > 0 && body[0] == 0; same[i] {
			body = body[1:]
		} else if body, err = openPart(body, floats[i].open); err != nil {
			return curve, err
		}
	}
	if len(body) > 0 {
		return curve, fmt.Errorf("%w: %d bytes too many", ErrDamaged, len(body))
	}
	curve = slices.Grow(curve, count)
	var numbers [len(integers)][blockLen]int64
	var f [len(floats)][blockLen]float64
	var space [blockLen]int64
	for ; count > 0; count -= min(count, blockLen) {
		n := min(count, blockLen)
		for i := range integers {
			if err := integers[i].next(numbers[i][:n]); err != nil {
				return curve, err
			}
		}
		for i := range floats {
			if same[i] {
				f[i] = f[i-1]
			} else if err := floats[i].next(f[i][:n], space[:]); err != nil {
				return curve, err
			}
		}
		for i := range n {
			curve = append(curve, curvePoint(numbers[0][i], numbers[1][i], numbers[2][i], f[0][i], f[1][i], f[2][i]))
		}
	}
	return curve, nil
}

func curvePoint(step, at, workers int64, low, high, sum float64) run.CurvePoint {
	return run.CurvePoint{
		Step: step, At: time.UnixMilli(at).UTC(), Workers: int(workers), Min: low, Max: high, Sum: sum, Mean: sum / float64(workers),
	}
}

// oldCurveColumns are the XOR chunks of an old curve block, each after its length: steps with minima, then maxima and sums under
// time 0, then times with worker counts.
const oldCurveColumns = 4

func appendOldCurve(curve []run.CurvePoint, body []byte) ([]run.CurvePoint, error) {
	var columns [oldCurveColumns]xorColumn
	count := 0
	for i := range columns {
		part, rest, err := cut(body)
		if err != nil {
			return curve, err
		}
		body = rest
		has, err := columns[i].open(part)
		if err != nil {
			return curve, err
		}
		if i == 0 {
			count = has
		}
		if has != count || has < 1 || has > MaxChunkPoints {
			return curve, fmt.Errorf("%w: a column of %d points beside one of %d", ErrDamaged, has, count)
		}
	}
	if len(body) > 0 {
		return curve, fmt.Errorf("%w: %d bytes too many", ErrDamaged, len(body))
	}
	for range count {
		var t [oldCurveColumns]int64
		var v [oldCurveColumns]float64
		for i := range columns {
			var err error
			if t[i], v[i], err = columns[i].next(); err != nil {
				return curve, err
			}
		}
		workers := v[3]
		if !(workers >= 1 && workers <= maxWorkers) || workers != float64(int64(workers)) {
			return curve, fmt.Errorf("%w: %g workers at step %d", ErrDamaged, workers, t[0])
		}
		curve = append(curve, curvePoint(t[0], t[3], int64(workers), v[0], v[1], v[2]))
	}
	return curve, nil
}
