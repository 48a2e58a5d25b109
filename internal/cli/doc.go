// Package cli is the command line: one file for each command, named after it (run_submit.go), whose Run prints what a
// console answers. What runs in this process instead (server, agent, trainer) is handed to [Main].
package cli
