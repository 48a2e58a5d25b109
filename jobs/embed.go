package jobs

import _ "embed"

// CotrainCore is the job file behind every run: HCL with variables, for /v1/jobs/parse.
//
//go:embed cotrain-core.nomad.hcl
var CotrainCore string

// LaunchScript is the POSIX shell script that starts the trainer on a worker.
//
//go:embed launch.sh
var LaunchScript string

// WandbShim is the Python module that stands for wandb and prints every metric as a machine line.
//
//go:embed shim/wandb/__init__.py
var WandbShim string

// Measure is the job file of a measurement of nodes and network.
//
//go:embed cotrain-measure.nomad.hcl
var Measure string
