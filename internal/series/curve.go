package series

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/cotrain/cotrain/internal/run"
)

// curveColumns are the XOR chunks of a curve block: steps with minima, then maxima and sums under time 0, then times
// with worker counts. The mean is sum / workers.
const curveColumns = 4

// EncodeCurve compresses 1 to [MaxChunkPoints] points of ascending steps, without loss except that means become Sum /
// Workers and times whole milliseconds.
func EncodeCurve(curve []run.CurvePoint) ([]byte, error) {
	if len(curve) == 0 || len(curve) > MaxChunkPoints {
		return nil, fmt.Errorf("encode curve: %d points, want 1 to %d", len(curve), MaxChunkPoints)
	}
	var columns [curveColumns]*chunkenc.XORChunk
	var to [curveColumns]chunkenc.Appender
	for i := range columns {
		columns[i] = chunkenc.NewXORChunk()
		var err error
		if to[i], err = columns[i].Appender(); err != nil {
			return nil, fmt.Errorf("encode curve: %w", err)
		}
	}
	for i, p := range curve {
		if i > 0 && p.Step <= curve[i-1].Step {
			return nil, fmt.Errorf("encode curve: step %d comes after step %d", p.Step, curve[i-1].Step)
		}
		if p.Workers < 1 {
			return nil, fmt.Errorf("encode curve: step %d has %d workers", p.Step, p.Workers)
		}
		to[0].Append(p.Step, p.Min)
		to[1].Append(0, p.Max)
		to[2].Append(0, p.Sum)
		to[3].Append(p.At.UnixMilli(), float64(p.Workers))
	}
	out := make([]byte, sumBytes)
	for _, c := range columns {
		out = binary.AppendUvarint(out, uint64(len(c.Bytes())))
		out = append(out, c.Bytes()...)
	}
	binary.BigEndian.PutUint32(out, checksum(out[sumBytes:]))
	return out, nil
}

// AppendCurve appends a block of [EncodeCurve] to a curve; other data is [ErrDamaged].
func AppendCurve(curve []run.CurvePoint, data []byte) ([]run.CurvePoint, error) {
	body, err := verified(data)
	if err != nil {
		return curve, err
	}
	return appendCurve(curve, body)
}

func appendCurve(curve []run.CurvePoint, body []byte) ([]run.CurvePoint, error) {
	var columns [curveColumns]chunkenc.XORChunk
	var from [curveColumns]chunkenc.Iterator
	count := 0
	for i := range columns {
		size, n := binary.Uvarint(body)
		if n <= 0 || size < headBytes || size > uint64(len(body)-n) {
			return curve, fmt.Errorf("%w: wrong length of a column", ErrDamaged)
		}
		column := body[n : n+int(size)]
		body = body[n+int(size):]
		has := int(binary.BigEndian.Uint16(column))
		if i == 0 {
			count = has
		}
		if has != count || has < 1 || has > MaxChunkPoints {
			return curve, fmt.Errorf("%w: a column of %d points beside one of %d", ErrDamaged, has, count)
		}
		columns[i].Reset(column)
		from[i] = columns[i].Iterator(nil)
	}
	if len(body) > 0 {
		return curve, fmt.Errorf("%w: %d bytes too many", ErrDamaged, len(body))
	}
	first := len(curve)
	for range count {
		for i := range from {
			if from[i].Next() != chunkenc.ValFloat {
				return curve[:first], fmt.Errorf("%w: points are missing", ErrDamaged)
			}
		}
		var p run.CurvePoint
		var at int64
		var workers float64
		p.Step, p.Min = from[0].At()
		_, p.Max = from[1].At()
		_, p.Sum = from[2].At()
		at, workers = from[3].At()
		if !(workers >= 1 && workers <= maxWorkers) || workers != math.Trunc(workers) || len(curve) > first && p.Step <= curve[len(curve)-1].Step {
			return curve[:first], fmt.Errorf("%w: %g workers at step %d", ErrDamaged, workers, p.Step)
		}
		p.Workers, p.At = int(workers), time.UnixMilli(at).UTC()
		p.Mean = p.Sum / workers
		curve = append(curve, p)
	}
	return curve, nil
}

// maxWorkers is more than a run can have.
const maxWorkers = 1 << 20
