// Package reftrain is the CPU reference trainer, the program behind `cotrain trainer @config.toml`.
//
// It stands in for CotrainCore on machines without GPUs: it reads the same TOML, flags and environment, trains a
// small byte-level language model on real text with hand-written gradients and AdamW, and runs real DiLoCo between
// worker processes over TCP. It prints CotrainCore's lines on stderr and machine lines on stdout, and saves
// checkpoints from which it resumes bit for bit. It is a workload for development, tests and demos; it claims
// nothing more.
//
// # Results
//
// With the same configuration, text and world, the losses are the same bit for bit in every run, as long as no
// worker joins or leaves. A run that was stopped and resumed gives the losses of one that never stopped: with DiLoCo
// each worker keeps its own place in the inner loop. (Where a stop falls into a synchronisation that some workers have
// finished and others have not, the latter take worker 0's state when they resume.)
//
// Over 100 steps of debugmodel, DiLoCo with two or three workers ends within 0.10 nats of one worker that takes the same
// number of steps with the same batch per worker; TestDiLoCoEndsNearSingleWorkerTraining holds it to that. In longer runs
// DiLoCo pulls ahead, since it sees more text. Data-parallel training without [diloco] equals one worker with the
// sum of the batches within rounding.
//
// # What differs from CotrainCore
//
// name_model picks one of six small networks. data.dataset_name_or_paths may name files, and folders with files that
// end in .txt, which are trained on; for other names and other files, and with data.fake, a built-in text is. A path that
// is not there ends the run, as it would the core. Sequences are cut to 128 bytes. optim.optim.type soap runs AdamW.
// MFU is against a nominal 10 GFLOP/s. A failed
// all-reduce is not retried: who is missing is evicted and the average is over the rest, so retry_all_reduce has no use. ckpt.remote copies to a folder. With several workers and no [diloco], worker 0
// writes the checkpoint for all. A worker is one process; with COTRAIN_GPUS it writes the files of as many. A run resumed after its last step is finished at once.
//
// # Health of DiLoCo
//
// After each outer step the machine line has what the pseudo-gradients tell, computed from the vectors that were averaged:
// diloco/pseudo_gradient_norm (this worker's), diloco/mean_pseudo_gradient_norm, diloco/cosine (between the two), diloco/drift (the
// length of their difference as a share of the mean's) and diloco/outer_lr.
//
// # Workers
//
// GLOBAL_RANK, GLOBAL_WORLD_SIZE, GLOBAL_ADDR, GLOBAL_PORT and GLOBAL_UNIQUE_ID say who a worker is. Worker 0 listens
// at GLOBAL_ADDR:GLOBAL_PORT and averages; when it dies the others end with exit code 1. The others may die, be
// evicted, or join late: a joiner is admitted at the next outer step and takes the state of a running worker
// (ckpt.live_recovery_rank_src, rank 0 when it is absent). Without [diloco] the world is fixed, as under torchrun: a
// worker that is lost ends the run. Connections carry no authentication: whatever peers send is bounded and checked,
// and a peer that breaks the protocol is dropped.
//
// # Environment for demos and tests
//
// COTRAIN_TRAINER_PACE is a least duration of one step, such as "200ms". A step's line is printed at its end.
//
// COTRAIN_TRAINER_FAULT is for tests only: a comma list of faults, each with the step after which it happens, and
// optionally ":rank" to limit it to one worker: "exit1@20", "exit1@20:2" (leave with that code at once),
// "cuda-oom@20", "disk-full@20", "nccl-timeout@20", "no-dataset@1", "bad-dataset@5", "bad-checkpoint@1", "ecc@20" (print what a trainer of the field prints then, and exit with 1),
// "kill@20" (end by SIGKILL), "eat@20" (take memory until the kernel does that, 4 GiB at most), "garbage@10" (lines of nonsense), "longline@5" (one line of 1 MiB), "flood=100000@5" (that many lines),
// "binary@3" (4 KiB of bytes that are no text), "hang@12" (no more progress until SIGTERM), "silent" (print
// nothing from the start). With "#1" at its end, as in "ecc@20:1#1", a fault happens in that attempt of a run only.
package reftrain
