//go:build unix && !linux

package task

import "syscall"

// groupAttr makes a child the leader of its own process group. There is no
// parent-death signal here: the reaper alone kills what an agent leaves.
func groupAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func waitUnreaped(int) {}

// outOfMemory knows nothing here: the kernel has no log that can be read.
func outOfMemory(int) bool { return false }

// KillStrays finds nothing here: there is no /proc.
func KillStrays(string) int { return 0 }
