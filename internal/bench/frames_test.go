package bench

import (
	bigendian "encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/gorilla/websocket"
)

// edge has a socket told when something comes, and not as long as there is something.
const edge = 1 << 31 // EPOLLET, which package syscall has as a negative number

// Frames of RFC 6455, 5.2, as bytes: those of a client are masked, here with zeros.
var (
	pong       = []byte{0x8a, 0x80, 0, 0, 0, 0}
	emptyReply = []byte{0x81, 0x82, 0, 0, 0, 0, '{', '}'} // to the ping of centrifuge
)

// frames reads many sockets in one goroutine, with one read for all that has come to a socket: the more viewers take of the machine, the
// less is measured of the server.
type frames struct {
	poll   int
	conns  map[int32]*frameConn
	events []syscall.EpollEvent
	buf    []byte // what comes at once is shorter
}

// frameConn is a socket, with what came of a frame whose rest did not.
type frameConn struct {
	file *os.File
	part []byte
}

func newFrames(conns []*websocket.Conn) (*frames, error) {
	poll, err := syscall.EpollCreate1(0)
	if err != nil {
		return nil, fmt.Errorf("poll: %w", err)
	}
	f := &frames{poll, map[int32]*frameConn{}, make([]syscall.EpollEvent, 64), make([]byte, 16<<20)}
	for _, conn := range conns {
		tcp, ok := conn.NetConn().(*net.TCPConn)
		if !ok {
			return nil, errors.New("not over TCP")
		}
		file, err := tcp.File() // a further descriptor, which Go does not poll
		if err != nil {
			return nil, err
		}
		if err := tcp.Close(); err != nil {
			return nil, err
		}
		fd := int32(file.Fd())
		f.conns[fd] = &frameConn{file: file}
		if err := syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, int(fd), &syscall.EpollEvent{Events: syscall.EPOLLIN | edge, Fd: fd}); err != nil {
			return nil, fmt.Errorf("poll: %w", err)
		}
	}
	return f, nil
}

// next waits, and calls fn with the text of each frame that has come.
func (f *frames) next(fn func(text []byte) error) error {
	n, err := syscall.EpollWait(f.poll, f.events, -1)
	if err != nil && !errors.Is(err, syscall.EINTR) {
		return fmt.Errorf("poll: %w", err)
	}
	for _, ev := range f.events[:max(n, 0)] {
		if err := f.read(ev.Fd, fn); err != nil {
			return err
		}
	}
	return nil
}

func (f *frames) read(fd int32, fn func(text []byte) error) error {
	c := f.conns[fd]
	had := copy(f.buf, c.part)
	n, err := syscall.Read(int(fd), f.buf[had:])
	if err != nil || n == 0 { // disconnected
		return errors.Join(syscall.EpollCtl(f.poll, syscall.EPOLL_CTL_DEL, int(fd), nil), c.file.Close())
	}
	rest := f.buf[:had+n]
	for {
		kind, body, after, whole := cutFrame(rest)
		if !whole {
			c.part = append(c.part[:0], rest...)
			return nil
		}
		rest = after
		var reply []byte
		switch {
		case kind == websocket.PingMessage:
			reply = pong
		case string(body) == "{}":
			reply = emptyReply
		case kind == websocket.TextMessage:
			if err := fn(body); err != nil {
				return err
			}
		}
		if reply != nil {
			if _, err := syscall.Write(int(fd), reply); err != nil {
				return err
			}
		}
	}
}

// cutFrame returns a server's first frame and what comes after it.
func cutFrame(b []byte) (kind int, body, after []byte, whole bool) {
	if len(b) < 2 {
		return 0, nil, nil, false
	}
	head, size := 2, uint64(b[1])
	switch size {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	if len(b) < head {
		return 0, nil, nil, false
	}
	switch head {
	case 4:
		size = uint64(bigendian.BigEndian.Uint16(b[2:]))
	case 10:
		size = bigendian.BigEndian.Uint64(b[2:])
	}
	if uint64(len(b)-head) < size {
		return 0, nil, nil, false
	}
	return int(b[0] & 0x0f), b[head : head+int(size)], b[head+int(size):], true
}
