package config

import "time"

// Agent configures the embedded agent when started alone. It has no file or variables: the tags define its command's
// flags.
type Agent struct {
	Listen  string        `default:"127.0.0.1:4646" help:"Loopback host:port, where every user of the machine can run commands as this one, since there is no log-in; or unix:///path of a socket that only this user can open, which is safer."`
	DataDir string        `default:".cotrain/agent" help:"Folder for its state and its allocations."`
	Nodes   *int          `placeholder:"N" help:"Local nodes, 1 to 64. Without it one with all of the machine's NVIDIA GPUs, or 4 where it has none."`
	GPUs    *int          `name:"gpus" placeholder:"N" help:"Simulated GPUs of each node, 0 to 64. Without it the nodes share the machine's NVIDIA GPUs, or have 2 simulated ones where it has none, or none where nvidia-smi fails."`
	KeyFile string        `name:"variables-key-file" placeholder:"FILE" help:"File with a key of 32 characters or more that encrypts variables on disk. Without it the agent makes one, variables.key in its folder."`
	Kill    time.Duration `name:"stop-timeout" default:"75s" help:"How long its tasks may take to end when it stops."`
}
