package feed

import "sync"

// Form is a form in which messages are sent. What a form holds is the business of its transport.
type Form int

// The forms: frames of sockets and events of streams.
const (
	Frame Form = iota
	Event
	forms
)

// encodings keeps the forms of a message, for as long as its topic keeps the message.
type encodings [forms]struct {
	once sync.Once
	is   any
	err  error
}

// In returns a form of the message, which encode makes once for all viewers.
func (m Message) In(f Form, encode func(Message) (any, error)) (any, error) {
	if m.encoded == nil { // a gap of one viewer
		return encode(m)
	}
	e := &m.encoded[f]
	e.once.Do(func() { e.is, e.err = encode(m) })
	return e.is, e.err
}
