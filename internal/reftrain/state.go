package reftrain

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
)

// progress is where training stands.
type progress struct {
	Step        int64 `json:"step"`         // optimiser steps done
	Outer       int64 `json:"outer_step"`   // outer steps done
	Inner       int   `json:"inner_step"`   // steps done since the last outer step
	TotalTokens int64 `json:"total_tokens"` // over all workers
	Samples     int64 `json:"samples"`      // that this worker has read
}

// state is everything that training depends on besides the configuration and the text.
type state struct {
	progress
	params, m, v   []float64 // model and AdamW moments
	base, momentum []float64 // DiLoCo: model at the last outer step, outer momentum; nil without
}

func newState(params []float64, diloco bool) *state {
	n := len(params)
	s := &state{params: params, m: make([]float64, n), v: make([]float64, n)}
	if diloco {
		s.base, s.momentum = slices.Clone(params), make([]float64, n)
	}
	return s
}

// baseHash names what workers must share between two outer steps.
func (s *state) baseHash() string {
	p := s.base
	if p == nil {
		p = s.params
	}
	sum := sha256.Sum256(encodeVector(encodingF64, p))
	return fmt.Sprintf("%x", sum[:8])
}

// snapshot is the whole state as bytes, for a joiner.
func (s *state) snapshot() ([]byte, error) {
	return encodeArrays(s.progress, s.params, s.m, s.v, s.base, s.momentum)
}

// restore replaces the state by a snapshot of one of the same size, or leaves it as it was.
func (s *state) restore(b []byte) error {
	var p progress
	arrays, err := decodeArrays(b, &p)
	if err != nil {
		return err
	}
	return s.adopt(p, arrays, s.params, s.m, s.v, s.base, s.momentum)
}

// adopt copies arrays into dst and takes p over, if everything fits.
func (s *state) adopt(p progress, arrays [][]float64, dst ...[]float64) error {
	if len(arrays) != len(dst) {
		return fmt.Errorf("%w: it has %d arrays instead of %d", errArrays, len(arrays), len(dst))
	}
	for i, a := range arrays {
		if len(a) != len(dst[i]) {
			return fmt.Errorf("%w: array %d has %d values instead of %d", errArrays, i, len(a), len(dst[i]))
		}
	}
	if p.Step < 0 || p.Outer < 0 || p.Inner < 0 || p.TotalTokens < 0 || p.Samples < 0 || p.Samples > 1<<53 || p.Step > maxCount {
		return fmt.Errorf("%w: its progress is %+v", errArrays, p)
	}
	for i, a := range arrays {
		copy(dst[i], a)
	}
	s.progress = p
	return nil
}

// The form of stored state: magic, length of the JSON that follows, the JSON, number of arrays, for each its length
// and its values, CRC-32C of everything before. Numbers are little endian.
const (
	arraysMagic = "CTRT1\n"
	maxArrays   = 16
)

var errArrays = errors.New("not a complete state of this trainer")

func encodeArrays(meta any, arrays ...[]float64) ([]byte, error) {
	j, err := json.Marshal(meta)
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	size := len(arraysMagic) + 4 + len(j) + 4 + 4
	for _, a := range arrays {
		size += 8 + 8*len(a)
	}
	b := append(make([]byte, 0, size), arraysMagic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(j))) // #nosec G115 -- a few hundred bytes
	b = append(b, j...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(arrays))) // #nosec G115 -- at most maxArrays
	for _, a := range arrays {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(a)))
		for _, x := range a {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		}
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli())), nil
}

// decodeArrays fills meta and returns the arrays. Memory is taken only for values that are there.
func decodeArrays(b []byte, meta any) ([][]float64, error) {
	if len(b) < len(arraysMagic)+12 || !bytes.HasPrefix(b, []byte(arraysMagic)) {
		return nil, fmt.Errorf("%w: %d bytes without its first line", errArrays, len(b))
	}
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli()) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return nil, fmt.Errorf("%w: its checksum is wrong", errArrays)
	}
	body = body[len(arraysMagic):]
	n := uint64(binary.LittleEndian.Uint32(body))
	if body = body[4:]; n+4 > uint64(len(body)) {
		return nil, fmt.Errorf("%w: it ends early", errArrays)
	}
	if err := json.Unmarshal(body[:n], meta); err != nil {
		return nil, fmt.Errorf("%w: its description is no JSON", errArrays)
	}
	body = body[n:]
	count := binary.LittleEndian.Uint32(body)
	if body = body[4:]; count > maxArrays {
		return nil, fmt.Errorf("%w: %d arrays", errArrays, count)
	}
	arrays := make([][]float64, 0, count)
	for range count {
		if len(body) < 8 {
			return nil, fmt.Errorf("%w: it ends early", errArrays)
		}
		n := binary.LittleEndian.Uint64(body)
		if body = body[8:]; n > uint64(len(body)/8) {
			return nil, fmt.Errorf("%w: it ends early", errArrays)
		}
		a := make([]float64, n)
		for i := range a {
			a[i] = math.Float64frombits(binary.LittleEndian.Uint64(body[8*i:]))
		}
		arrays, body = append(arrays, a), body[8*n:]
	}
	if len(body) != 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", errArrays, len(body))
	}
	return arrays, nil
}
