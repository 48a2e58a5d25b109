// Package logfile keeps the output of tasks as a Nomad client does: files of <task>.<stdout|stderr>.<n>, none larger than
// its limit, the newest ones kept; and follows them for readers, who are woken by every write.
package logfile
