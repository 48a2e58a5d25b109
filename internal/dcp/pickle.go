package dcp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrFormat is matched by every error about a file that is not the .metadata of a checkpoint.
var ErrFormat = errors.New("not the .metadata of a checkpoint")

// Bounds of one file. A checkpoint of 70B parameters on 64 GPUs has about 40 MB of metadata, of which the values take twelve
// times as much.
const (
	MaxBytes  = 44 << 20
	maxMemory = 576 << 20 // an estimate of what the values take
	maxText   = 64 << 10  // bytes of one text
)

// A value of a pickle is nil, bool, int64, float64, string, tuple, *list, *dict, class, or *object.
type (
	value any
	tuple []value
	list  struct{ items []value }
	dict  struct{ keys, values []value }
	class string // "module.Name"
	// object is an instance, or the result of a call, of which only the words are kept.
	object struct {
		class class
		args  value
		state value
	}
	mark struct{}
)

// get is a value of a dict with texts for keys: that which was set last.
func (d *dict) get(key string) value {
	for i := len(d.keys) - 1; i >= 0; i-- {
		if d.keys[i] == key {
			return d.values[i]
		}
	}
	return nil
}

// reader is the stack machine of a pickle.
type reader struct {
	in     []byte
	at     int
	stack  []value
	memo   []value
	memory int // that values, stack and memo take
	most   int // of it
}

// What a value takes, about: an interface and the block behind it.
const (
	slotSize  = 16
	valueSize = 48
)

func (r *reader) fail(format string, args ...any) error {
	return fmt.Errorf("%w: at byte %d: %s", ErrFormat, r.at, fmt.Sprintf(format, args...))
}

func (r *reader) take(n int) ([]byte, error) {
	if n > len(r.in)-r.at {
		return nil, r.fail("it ends early")
	}
	b := r.in[r.at : r.at+n]
	r.at += n
	return b, nil
}

// number reads an unsigned little-endian number of 1 to 4 bytes.
func (r *reader) number(n int) (int, error) {
	b, err := r.take(n)
	if err != nil {
		return 0, err
	}
	var whole [8]byte
	copy(whole[:], b)
	return int(binary.LittleEndian.Uint64(whole[:])), nil // #nosec G115 -- at most 32 bits
}

// hold counts memory before it is taken.
func (r *reader) hold(size int) error {
	if r.memory += size; r.memory > r.most {
		return r.fail("it holds too much")
	}
	return nil
}

// add appends values and counts the room for them, as long as they are copied both the old and the new.
func (r *reader) add(to []value, values ...value) ([]value, error) {
	if need := len(to) + len(values); need > cap(to) {
		room := max(need, cap(to)+cap(to)/4)
		if err := r.hold(slotSize * room); err != nil {
			return nil, err
		}
		r.memory -= slotSize * cap(to)
		to = append(make([]value, 0, room), to...)
	}
	return append(to, values...), nil
}

func (r *reader) push(v value, size int) (err error) {
	if err = r.hold(size); err == nil {
		r.stack, err = r.add(r.stack, v)
	}
	return err
}

func (r *reader) pop() (value, error) {
	if len(r.stack) == 0 {
		return nil, r.fail("its stack is empty")
	}
	v := r.stack[len(r.stack)-1]
	if _, ok := v.(mark); ok {
		return nil, r.fail("a mark stands where a value must")
	}
	r.stack = r.stack[:len(r.stack)-1]
	return v, nil
}

// unpickle returns the value that a pickle describes, unless it takes more than so many bytes.
func unpickle(in []byte, most int) (value, error) {
	if len(in) > MaxBytes {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrFormat, MaxBytes)
	}
	r := &reader{in: in, most: most}
	for {
		op, err := r.take(1)
		if err != nil {
			return nil, err
		}
		if op[0] == '.' {
			v, err := r.pop()
			if err == nil && (len(r.stack) > 0 || r.at != len(in)) {
				err = r.fail("something follows its end")
			}
			return v, err
		}
		if err := r.step(op[0]); err != nil {
			return nil, err
		}
	}
}

// step does one opcode; the names are those of Python's pickletools.
func (r *reader) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		n, err := r.number(1)
		if err == nil && (n < 2 || n > 5) {
			err = r.fail("it has protocol %d", n)
		}
		return err
	case 0x95: // FRAME
		_, err := r.take(8)
		return err
	case '(': // MARK
		return r.push(mark{}, 0)
	case 'N': // NONE
		return r.push(nil, 0)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		return r.push(op == 0x88, 0)
	case 'J', 'K', 'M', 0x8a, 'G': // BININT, BININT1, BININT2, LONG1, BINFLOAT
		return r.pushNumber(op)
	case 0x8c, 'X': // SHORT_BINUNICODE, BINUNICODE
		return r.pushText(op)
	case 'q', 'r', 0x94, 'h', 'j': // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
		return r.remember(op)
	case ')', 't', 0x85, 0x86, 0x87: // EMPTY_TUPLE, TUPLE, TUPLE1, TUPLE2, TUPLE3
		return r.pushTuple(op)
	case ']', 'a', 'e': // EMPTY_LIST, APPEND, APPENDS
		return r.fillList(op)
	case '}', 's', 'u': // EMPTY_DICT, SETITEM, SETITEMS
		return r.fillDict(op)
	case 'c', 0x93: // GLOBAL, STACK_GLOBAL
		return r.pushClass(op)
	case 'R', 0x81, 'b': // REDUCE, NEWOBJ, BUILD
		return r.makeObject(op)
	}
	return r.fail("opcode 0x%02x is not one that a checkpoint needs", op)
}
