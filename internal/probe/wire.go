package probe

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	magic = "cotrain-measure/1\n"
	// dialTimeout bounds connecting, and handshakeTimeout what proves that both ends belong together.
	dialTimeout      = 3 * time.Second
	handshakeTimeout = 5 * time.Second
	maxFrame         = 4096
	nonceSize        = 16
)

// Kinds of connections.
const (
	kindContact = "contact" // round trips, and what ports there are
	kindPort    = "port"    // nothing: it shows that a port is open
	kindRound   = "round"   // tells the round of the other
	kindTurn    = "turn"    // transfers, when the other is in that round
	kindData    = "data"    // a stream of such a turn
)

// hello is what a connection is for.
type hello struct {
	Kind    string `json:"kind"`
	From    string `json:"from"`
	Round   int    `json:"round,omitempty"`
	Session string `json:"session,omitempty"`
}

var errStranger = errors.New("whoever answers does not belong to this measurement")

// proof shows that one knows the token.
func proof(token string, parts ...string) []byte {
	mac := hmac.New(sha256.New, []byte(token))
	for _, p := range parts {
		_ = binary.Write(mac, binary.BigEndian, uint32(len(p))) //nolint:gosec // short; never fails
		_, _ = io.WriteString(mac, p)
	}
	return mac.Sum(nil)
}

// connect reaches a node at an address for a purpose. The connection's deadline is that of the handshake: the caller sets another.
func (n *node) connect(ctx context.Context, id, address string, h hello) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, reason(err)
	}
	h.From = n.c.Self
	if err := introduce(conn, n.c.Token, id, h); err != nil {
		_ = conn.Close() // useless
		return nil, reason(err)
	}
	return conn, nil
}

func introduce(conn net.Conn, token, id string, h hello) error {
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout)) // a broken connection shows at once
	mine := rand.Text()[:nonceSize]
	if _, err := io.WriteString(conn, magic+mine); err != nil {
		return err
	}
	answer := make([]byte, nonceSize+sha256.Size)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	theirs := string(answer[:nonceSize])
	if !hmac.Equal(answer[nonceSize:], proof(token, "server", id, mine, theirs)) {
		return errStranger
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	_, err = conn.Write(append(proof(token, "client", id, mine, theirs, string(text)), framed(text)...))
	return err
}

// admit reads what a connection is for, from one that knows the token.
func admit(conn net.Conn, token, self string) (hello, error) {
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	var h hello
	first := make([]byte, len(magic)+nonceSize)
	if _, err := io.ReadFull(conn, first); err != nil {
		return h, err
	}
	if string(first[:len(magic)]) != magic {
		return h, errStranger
	}
	theirs, mine := string(first[len(magic):]), rand.Text()[:nonceSize]
	if _, err := conn.Write(append([]byte(mine), proof(token, "server", self, theirs, mine)...)); err != nil {
		return h, err
	}
	mac := make([]byte, sha256.Size)
	if _, err := io.ReadFull(conn, mac); err != nil {
		return h, err
	}
	text, err := readFrame(conn)
	if err != nil {
		return h, err
	}
	if !hmac.Equal(mac, proof(token, "client", self, theirs, mine, string(text))) {
		return h, errStranger
	}
	return h, json.Unmarshal(text, &h)
}

func framed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) //nolint:gosec // below maxFrame
}

func readFrame(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(size[:])
	if n > maxFrame {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

func send(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(framed(b))
	return err
}

func receive(r io.Reader, v any) error {
	b, err := readFrame(r)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// reason says what is wrong with a connection, as a person would.
func reason(err error) error {
	var timeout net.Error
	var op *net.OpError
	switch {
	case errors.Is(err, errStranger):
		return err
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer in time")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection was closed")
	case errors.As(err, &op):
		return op.Err // without addresses: who reads it knows the nodes
	}
	return err
}
