package logarchive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// BlockBytes is how much output makes a block: the more, the better it compresses; a reader of one line decompresses a block.
const BlockBytes = 4 << 20

// maxBlock bounds a decompressed block.
const maxBlock = 8 * BlockBytes

// ErrDamaged is what [Decode] says of bytes that are no block.
var ErrDamaged = errors.New("a block of the log archive is damaged")

// A block is a zstd file, so that `zstd -dc` prints its lines if all else is lost: a skippable frame with the compressed columns of its
// chunks, and a frame with their data.
const (
	skippable    = 0x184D2A50 | 0x7 // one of the magic numbers of zstd's skippable frames
	frameHeader  = 8                // magic number, and length of the content
	blockVersion = 2
)

var (
	encoders = sync.Pool{New: func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20))
		if err != nil {
			panic(err) // the options are constants
		}
		return e
	}}
	decoders = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock), zstd.WithDecodeAllCapLimit(false))
		if err != nil {
			panic(err)
		}
		return d
	}}
)

// Encode makes a block of chunks in the order of their IDs.
func Encode(chunks []Chunk) []byte {
	var streams []string
	size := 0
	// Columns compress better than rows: each is one kind of small number.
	var columns [5][]byte
	var last Chunk
	for _, c := range chunks {
		stream := slices.Index(streams, c.Stream)
		if stream < 0 {
			stream = len(streams)
			streams = append(streams, c.Stream)
		}
		columns[0] = binary.AppendUvarint(columns[0], uint64(c.ID-last.ID))
		columns[1] = binary.AppendVarint(columns[1], int64(c.Rank))
		columns[2] = binary.AppendVarint(columns[2], c.At-last.At)
		columns[3] = binary.AppendUvarint(columns[3], uint64(stream))
		columns[4] = binary.AppendUvarint(columns[4], uint64(len(c.Data)))
		last, size = c, size+len(c.Data)
	}
	head := binary.AppendUvarint([]byte{blockVersion}, uint64(len(streams)))
	for _, s := range streams {
		head = append(binary.AppendUvarint(head, uint64(len(s))), s...)
	}
	head = binary.AppendUvarint(head, uint64(len(chunks)))
	for _, c := range columns {
		head = append(head, c...)
	}
	data := make([]byte, 0, size)
	for _, c := range chunks {
		data = append(data, c.Data...)
	}
	enc := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(enc)
	out := enc.EncodeAll(head, make([]byte, frameHeader, frameHeader+size/4))
	binary.LittleEndian.PutUint32(out, skippable)
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-frameHeader)) // #nosec G115 -- smaller than a block
	return enc.EncodeAll(data, out)
}

// Decode returns the chunks of a block. Their data lie in one piece of memory, which is left in buf, and taken from there if it is large
// enough; buf may be nil.
func Decode(block []byte, buf *[]byte) ([]Chunk, error) {
	if buf == nil {
		buf = new([]byte)
	}
	dec := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(dec)
	unzip := func(b, buf []byte) ([]byte, error) {
		out, err := dec.DecodeAll(b, buf[:0])
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrDamaged, err) //nolint:errorlint // its end of file is not that of a connection
		}
		return out, nil
	}
	if len(block) < frameHeader || binary.LittleEndian.Uint32(block) != skippable {
		raw, err := unzip(block, *buf)
		if err != nil {
			return nil, err
		}
		*buf = raw
		return decodeRows(raw)
	}
	n := binary.LittleEndian.Uint32(block[4:])
	if uint64(n) > uint64(len(block)-frameHeader) {
		return nil, ErrDamaged
	}
	head, err := unzip(block[frameHeader:frameHeader+int(n)], nil)
	if err != nil {
		return nil, err
	}
	data, err := unzip(block[frameHeader+int(n):], *buf)
	if err != nil {
		return nil, err
	}
	*buf = data
	return decodeColumns(head, data)
}

// reader takes numbers off the front of bytes; bad once they end too early.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.skip(n)
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	r.skip(n)
	return v
}

func (r *reader) skip(n int) {
	if r.bad = r.bad || n <= 0; !r.bad {
		r.b = r.b[n:]
	}
}

// take returns the next n bytes.
func (r *reader) take(n uint64) []byte {
	if r.bad = r.bad || n > uint64(len(r.b)); r.bad {
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func decodeColumns(head, data []byte) ([]Chunk, error) {
	r := &reader{b: head}
	version := r.take(1)
	if r.bad || version[0] != blockVersion {
		return nil, fmt.Errorf("%w: it is of another version of the console", ErrDamaged)
	}
	streams := make([]string, min(r.uvarint(), 16))
	for i := range streams {
		streams[i] = string(r.take(r.uvarint()))
	}
	n := r.uvarint()
	if n == 0 || n > uint64(len(head)) { // a chunk has a byte in each column
		return nil, ErrDamaged
	}
	chunks := make([]Chunk, n)
	var id, at int64
	for i := range chunks {
		id += int64(r.uvarint()) // #nosec G115 -- overflow is damage, and harmless
		chunks[i].ID = id
	}
	for i := range chunks {
		chunks[i].Rank = int(r.varint())
	}
	for i := range chunks {
		at += r.varint()
		chunks[i].At = at
	}
	for i := range chunks {
		s := r.uvarint()
		if r.bad || s >= uint64(len(streams)) {
			return nil, ErrDamaged
		}
		chunks[i].Stream = streams[s]
	}
	rest := &reader{b: data}
	for i := range chunks {
		chunks[i].Data = rest.take(r.uvarint())
	}
	if r.bad || rest.bad || len(rest.b) > 0 {
		return nil, ErrDamaged
	}
	return chunks, nil
}

// decodeRows reads the blocks of earlier versions: of each chunk ID, rank, time, length of the stream's name and of the data, then these.
func decodeRows(raw []byte) (out []Chunk, err error) {
	for r := (&reader{b: raw}); len(r.b) > 0; {
		c := Chunk{ID: int64(r.uvarint()), Rank: int(r.varint()), At: r.varint()} // #nosec G115 -- as written
		stream, data := r.uvarint(), r.uvarint()
		c.Stream, c.Data = string(r.take(stream)), r.take(data)
		if r.bad {
			return nil, ErrDamaged
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, ErrDamaged
	}
	return out, nil
}
