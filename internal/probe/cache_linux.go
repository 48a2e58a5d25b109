package probe

import (
	"os"

	"golang.org/x/sys/unix"
)

// dropCache has what is read next of a file that is on the disk come from there.
func dropCache(f *os.File) {
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) // advice: without it the number is too good
}
