package reftrain

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// frameType says what a frame between workers is for.
type frameType byte

const (
	frameHello     frameType = iota + 1 // worker to worker 0: who I am
	frameWait                           // worker 0: the mesh runs, wait for the next outer step
	frameStart                          // worker 0: you are a member; the blob is the state to take over, if any
	frameHeartbeat                      // both ways: alive
	frameVector                         // worker: my contribution to an average
	frameAverage                        // worker 0: the average, and who the members are now
	frameState                          // worker: my state, for a joiner
	frameBye                            // worker: I leave
	frameShutdown                       // worker 0: you, or all of us, must end
)

// A frame is: magic, type, three zero bytes, header length, blob length, CRC-32C of both, header (JSON), blob.
// Numbers are little endian.
const (
	frameMagic      = "CTW1"
	framePrefix     = 20
	maxHeaderBytes  = 64 << 10
	protocolVersion = 2
)

var errFrame = errors.New("not a frame of this protocol")

// frame is one decoded message.
type frame struct {
	kind frameType
	header
	blob []byte
}

// header is the JSON part of a frame; which fields are used depends on the type.
type header struct {
	Protocol    int      `json:"protocol,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"` // of everything that workers must agree on
	ID          string   `json:"id,omitempty"`
	Rank        int      `json:"rank,omitempty"`
	Source      int      `json:"source,omitempty"` // rank that a joiner wants its state from
	Outer       int64    `json:"outer,omitempty"`
	BaseHash    string   `json:"base_hash,omitempty"`
	Round       int64    `json:"round,omitempty"`
	Encoding    string   `json:"encoding,omitempty"`
	Members     []string `json:"members,omitempty"`
	SendTo      []int    `json:"send_to,omitempty"` // ranks of joiners that wait for this worker's state
	HasState    bool     `json:"has_state,omitempty"`
	Reason      string   `json:"reason,omitempty"`
	Finished    bool     `json:"finished,omitempty"` // shutdown: because training is finished
	Stopping    bool     `json:"stopping,omitempty"` // shutdown: because worker 0 was asked to stop
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // made once inside the package crc32

// encodeFrame returns the bytes of a frame.
func encodeFrame(f frame) ([]byte, error) {
	h, err := json.Marshal(f.header)
	if err != nil {
		return nil, fmt.Errorf("encode header: %w", err)
	}
	if len(h) > maxHeaderBytes || uint64(len(f.blob)) > math.MaxUint32 {
		return nil, fmt.Errorf("encode frame: header of %d and blob of %d bytes are too long", len(h), len(f.blob))
	}
	b := make([]byte, framePrefix, framePrefix+len(h)+len(f.blob))
	copy(b, frameMagic)
	b[4] = byte(f.kind)
	b = append(append(b, h...), f.blob...)
	binary.LittleEndian.PutUint32(b[8:], uint32(len(h)))       // #nosec G115 -- checked above
	binary.LittleEndian.PutUint32(b[12:], uint32(len(f.blob))) // #nosec G115 -- checked above
	binary.LittleEndian.PutUint32(b[16:], crc32.Checksum(b[framePrefix:], castagnoli()))
	return b, nil
}

// readFrame reads one frame with a blob of at most maxBlob bytes. It never takes more memory than the sender may use.
func readFrame(r io.Reader, maxBlob int) (frame, error) {
	var p [framePrefix]byte
	if _, err := io.ReadFull(r, p[:]); err != nil {
		return frame{}, err
	}
	if string(p[:4]) != frameMagic || p[5] != 0 || p[6] != 0 || p[7] != 0 {
		return frame{}, fmt.Errorf("%w: it starts with %q", errFrame, p[:8])
	}
	hlen, blen := binary.LittleEndian.Uint32(p[8:]), binary.LittleEndian.Uint32(p[12:])
	if hlen > maxHeaderBytes || uint64(blen) > uint64(max(0, maxBlob)) {
		return frame{}, fmt.Errorf("%w: header of %d and blob of %d bytes are over the limit", errFrame, hlen, blen)
	}
	body := make([]byte, int(hlen)+int(blen))
	if _, err := io.ReadFull(r, body); err != nil {
		return frame{}, err
	}
	if crc32.Checksum(body, castagnoli()) != binary.LittleEndian.Uint32(p[16:]) {
		return frame{}, fmt.Errorf("%w: its checksum is wrong", errFrame)
	}
	f := frame{kind: frameType(p[4]), blob: body[hlen:]}
	if err := json.Unmarshal(body[:hlen], &f.header); err != nil {
		return frame{}, fmt.Errorf("%w: its header is no JSON", errFrame)
	}
	return f, nil
}

// The encodings of a vector. Pseudo-gradients travel as CotrainCore sends them: 4 bytes a parameter, or 1 with uint8.
// Gradients without DiLoCo keep all their bits.
const (
	encodingF64   = "f64"
	encodingF32   = "f32"
	encodingUint8 = "uint8"
)

// uint8Levels is the number of steps of the 8-bit encoding, which reach over uint8Range standard deviations, as
// CotrainCore's compression does.
const (
	uint8Levels = 256
	uint8Range  = 6.0
)

func encodedLen(encoding string, n int) int {
	switch encoding {
	case encodingF64:
		return 8 * n
	case encodingF32:
		return 4 * n
	default:
		return 4*uint8Levels + n
	}
}

func encodeVector(encoding string, v []float64) []byte {
	b := make([]byte, 0, encodedLen(encoding, len(v)))
	switch encoding {
	case encodingF64:
		for _, x := range v {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		}
	case encodingF32:
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
		}
	default:
		b = appendUint8(b, v)
	}
	return b
}

// appendUint8 writes a table of 256 values and then one index a value. A level's value is the mean of what fell on it,
// so that the sum of the vector survives.
func appendUint8(b []byte, v []float64) []byte {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	scale := uint8Range * math.Sqrt(sum/float64(max(1, len(v)-1))) / uint8Levels
	var sums [uint8Levels]float64
	var counts [uint8Levels]int
	levels := make([]byte, len(v))
	for i, x := range v {
		q := float64(uint8Levels / 2)
		if scale > 0 {
			q += math.Round(x / scale)
		}
		if q = min(max(q, 0), uint8Levels-1); math.IsNaN(q) {
			q = 0
		}
		levels[i] = byte(q)
		sums[levels[i]] += x
		counts[levels[i]]++
	}
	for i, s := range sums {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(s/float64(max(1, counts[i])))))
	}
	return append(b, levels...)
}

var errVector = errors.New("not a vector of this run")

// decodeVector reads exactly len(out) values and refuses ones that are not finite.
func decodeVector(encoding string, b []byte, out []float64) error {
	switch encoding {
	case encodingF64, encodingF32, encodingUint8:
	default:
		return fmt.Errorf("%w: encoding %q", errVector, cut(encoding))
	}
	if want := encodedLen(encoding, len(out)); len(b) != want {
		return fmt.Errorf("%w: %d bytes instead of %d", errVector, len(b), want)
	}
	for i := range out {
		switch encoding {
		case encodingF64:
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		case encodingF32:
			out[i] = f32(b[4*i:])
		default:
			out[i] = f32(b[4*int(b[4*uint8Levels+i]):])
		}
		if math.IsNaN(out[i]) || math.IsInf(out[i], 0) {
			return fmt.Errorf("%w: value %d is not finite", errVector, i)
		}
	}
	return nil
}

func f32(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) }
