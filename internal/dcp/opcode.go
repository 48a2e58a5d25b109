package dcp

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"unicode/utf8"
)

func (r *reader) pushNumber(op byte) error {
	var v value
	switch op {
	case 'K', 'M':
		n, err := r.number(1 + int(op-'K')/2)
		if err != nil {
			return err
		}
		v = int64(n)
	case 'J':
		b, err := r.take(4)
		if err != nil {
			return err
		}
		v = int64(int32(binary.LittleEndian.Uint32(b))) // #nosec G115 -- two's complement
	case 'G':
		b, err := r.take(8)
		if err != nil {
			return err
		}
		v = math.Float64frombits(binary.BigEndian.Uint64(b))
	default:
		n, err := r.number(1)
		if err != nil {
			return err
		}
		if n > 8 {
			return r.fail("it has a number of %d bytes", n)
		}
		b, err := r.take(n)
		if err != nil {
			return err
		}
		var whole [8]byte
		if n > 0 && b[n-1]&0x80 != 0 {
			whole = [8]byte{255, 255, 255, 255, 255, 255, 255, 255}
		}
		copy(whole[:], b)
		v = int64(binary.LittleEndian.Uint64(whole[:])) // #nosec G115 -- two's complement
	}
	return r.push(v, 8)
}

func (r *reader) pushText(op byte) error {
	width := 1
	if op == 'X' {
		width = 4
	}
	n, err := r.number(width)
	if err != nil {
		return err
	}
	if n > maxText {
		return r.fail("it has a text of %d bytes", n)
	}
	b, err := r.take(n)
	if err != nil {
		return err
	}
	if !utf8.Valid(b) {
		return r.fail("a text is not UTF-8")
	}
	return r.push(string(b), valueSize+n)
}

// remember keeps a value under the next number, or brings one back. Numbers are given in order.
func (r *reader) remember(op byte) error {
	at, err := len(r.memo), error(nil)
	switch op {
	case 'q', 'h':
		at, err = r.number(1)
	case 'r', 'j':
		at, err = r.number(4)
	}
	if err != nil {
		return err
	}
	if op == 'h' || op == 'j' {
		if at >= len(r.memo) {
			return r.fail("it refers to what it has not kept")
		}
		return r.push(r.memo[at], 0)
	}
	v, err := r.pop()
	if err != nil {
		return err
	}
	switch {
	case at < len(r.memo):
		r.memo[at] = v
	case at == len(r.memo):
		if r.memo, err = r.add(r.memo, v); err != nil {
			return err
		}
	default:
		return r.fail("it keeps a value out of order")
	}
	return r.push(v, 0)
}

func (r *reader) pushTuple(op byte) error {
	var items []value
	if op != ')' {
		var err error
		if items, err = r.above(op != 't', int(op)-0x84); err != nil {
			return err
		}
	}
	if err := r.hold(valueSize + slotSize*len(items)); err != nil {
		return err
	}
	return r.push(tuple(slices.Clone(items)), 0)
}

func (r *reader) fillList(op byte) error {
	if op == ']' {
		return r.push(&list{}, valueSize)
	}
	items, err := r.above(op == 'a', 1)
	if err != nil {
		return err
	}
	l, ok := r.top().(*list)
	if !ok {
		return r.fail("it appends to what is no list")
	}
	l.items, err = r.add(l.items, items...)
	return err
}

func (r *reader) fillDict(op byte) error {
	if op == '}' {
		return r.push(&dict{}, valueSize)
	}
	items, err := r.above(op == 's', 2)
	if err != nil {
		return err
	}
	d, ok := r.top().(*dict)
	if !ok || len(items)%2 != 0 {
		return r.fail("it sets items of what is no dict")
	}
	for i := 0; i < len(items) && err == nil; i += 2 {
		if d.keys, err = r.add(d.keys, items[i]); err == nil {
			d.values, err = r.add(d.values, items[i+1])
		}
	}
	return err
}

// above takes the topmost n values when fixed, else all above the last mark. They stay on the stack's room: the next push
// overwrites them.
func (r *reader) above(fixed bool, n int) ([]value, error) {
	marked := func(v value) bool { _, ok := v.(mark); return ok }
	start := len(r.stack) - n
	if !fixed {
		for start = len(r.stack); start > 0 && !marked(r.stack[start-1]); {
			start--
		}
		if start == 0 {
			return nil, r.fail("it has no mark")
		}
	}
	if start < 0 {
		return nil, r.fail("its stack is empty")
	}
	items := r.stack[start:]
	if slices.ContainsFunc(items, marked) {
		return nil, r.fail("a mark stands where a value must")
	}
	if !fixed {
		start--
	}
	r.stack = r.stack[:start]
	return items, nil
}

// top is the value on top of the stack, nil for none.
func (r *reader) top() value {
	if len(r.stack) == 0 {
		return nil
	}
	return r.stack[len(r.stack)-1]
}

func (r *reader) pushClass(op byte) error {
	var module, name string
	if op == 'c' {
		for _, into := range []*string{&module, &name} {
			end := bytes.IndexByte(r.in[r.at:], '\n')
			if end < 0 || end > maxText {
				return r.fail("it ends early")
			}
			*into = string(r.in[r.at : r.at+end])
			r.at += end + 1
		}
	} else {
		b, err := r.above(true, 2)
		if err != nil {
			return err
		}
		var is, has bool
		module, is = b[0].(string)
		name, has = b[1].(string)
		if !is || !has {
			return r.fail("the name of a class is no text")
		}
	}
	c := class(module + "." + name)
	if !known(module, name) {
		return r.fail("%.100q is not a class of a checkpoint", string(c))
	}
	return r.push(c, valueSize)
}

func (r *reader) makeObject(op byte) error {
	two, err := r.above(true, 2)
	if err != nil {
		return err
	}
	if op == 'b' {
		o, ok := two[0].(*object)
		if !ok || o.state != nil {
			return r.fail("it builds what is no new object")
		}
		o.state = two[1]
		return r.push(o, 0)
	}
	c, ok := two[0].(class)
	args, is := two[1].(tuple)
	if !ok || !is {
		return r.fail("it makes an object of what is no class")
	}
	if c == getAttribute { // how Python 3.11 writes a member of an enumeration
		if len(args) != 2 {
			return r.fail("it asks for an attribute of nothing")
		}
		if of, ok := args[0].(class); !ok || !enumeration(of) {
			return r.fail("it asks for an attribute of what is no enumeration")
		}
	}
	return r.push(&object{class: c, args: args}, valueSize+slotSize*2)
}
