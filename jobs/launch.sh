#!/bin/sh
# Starts the trainer on one worker: finds worker 0, sets what CotrainCore reads from its environment, adds the flags of
# this attempt, and becomes the trainer, so that signals and the exit code are the trainer's own.
#
# Arguments: the command to execute. Without any, torchrun with $COTRAIN_TRAINER.
# Exit codes of its own: 75 worker 0 did not appear in time, 78 something on the node is missing, 127 no such command.
set -eu

nodes=${COTRAIN_NODES:-1}
gpus=${COTRAIN_GPUS:-0}
rank=${NOMAD_ALLOC_INDEX:-0}
task_dir=${NOMAD_TASK_DIR:?is not set: this script runs as a Nomad task}
config=$task_dir/config.toml
worker0=$task_dir/worker0

# json TEXT: as the inside of a JSON string.
json() {
	printf '%s' "$1" | tr '\n\t' '  ' | tr -d '\000-\037\177' | sed 's/[\\"]/\\&/g'
}

# event NAME MESSAGE: a machine line on stdout.
event() {
	printf 'COTRAIN {"v":1,"kind":"event","name":"%s","rank":%d,"message":"%s"}\n' "$1" "$rank" "$(json "$2")"
}

# give_up CODE NAME MESSAGE
give_up() {
	event "$2" "$3"
	printf 'cotrain: %s\n' "$3" >&2
	exit "$1"
}

# As process 1 of a container the shell would ignore these while it waits.
trap 'exit 143' TERM
trap 'exit 130' INT

[ -s "$config" ] || give_up 78 config_missing "the run's configuration is not at $config"

# A run with DiLoCo has the table [diloco], or one of its fields with the table's name before it.
diloco=0
if grep -Eq '^[[:space:]]*(\[[[:space:]]*diloco[[:space:]]*[].]|diloco[[:space:]]*[.=])' "$config"; then
	diloco=1
fi

if [ -n "${COTRAIN_WORK_DIR:-}" ]; then
	cd "$COTRAIN_WORK_DIR" 2>/dev/null || give_up 78 work_dir_missing "the working directory $COTRAIN_WORK_DIR does not exist on this node, or cannot be entered"
fi

# Before anyone waits for anyone: without it this worker will never start.
command -v "${1:-torchrun}" >/dev/null 2>&1 || give_up 127 command_missing "the command ${1:-torchrun} does not exist on this node, or cannot be executed"

# find_worker0: sets addr and port, waits for at most $COTRAIN_RENDEZVOUS_TIMEOUT seconds.
find_worker0() {
	if [ "$rank" -eq 0 ] && [ -n "${NOMAD_IP_rdzv:-}" ] && [ -n "${NOMAD_PORT_rdzv:-}" ]; then
		addr=$NOMAD_IP_rdzv port=$NOMAD_PORT_rdzv
		return
	fi
	timeout=${COTRAIN_RENDEZVOUS_TIMEOUT:-600}
	begin=$(date +%s)
	event rendezvous_waiting "waiting for worker 0 to register, at most $timeout s"
	while :; do
		addr='' port=''
		if [ -r "$worker0" ]; then
			# The template leaves an empty line around the entry; a half-written file has no port yet.
			while read -r a p _; do
				if [ -n "$a" ] && [ -n "$p" ]; then
					addr=$a port=$p
					break
				fi
			done <"$worker0"
		fi
		[ -z "$port" ] || return 0
		if [ $(($(date +%s) - begin)) -ge "$timeout" ]; then
			give_up 75 rendezvous_timeout "worker 0 has not registered within $timeout s: it is not running, or this node cannot reach the Nomad servers"
		fi
		sleep 0.2 2>/dev/null || sleep 1
	done
}
find_worker0

if [ "${COTRAIN_REAL_WANDB:-}" != 1 ]; then
	PYTHONPATH=$task_dir/shim${PYTHONPATH:+:$PYTHONPATH}
	export PYTHONPATH
fi
if [ -n "${COTRAIN_INTERFACE:-}" ]; then
	GLOO_SOCKET_IFNAME=$COTRAIN_INTERFACE
	export GLOO_SOCKET_IFNAME
fi

# Without DiLoCo several workers are one torchrun world, and the mesh of single trainers does not exist.
mesh=1
if [ $# -eq 0 ]; then
	processes=$gpus
	[ "$processes" -gt 0 ] || processes=1
	if [ "$diloco" -eq 1 ] || [ "$nodes" -eq 1 ]; then
		set -- torchrun "--nproc_per_node=$processes" --nnodes=1 --node-rank 0 \
			--rdzv-endpoint "localhost:${NOMAD_PORT_local:-29400}"
	else
		mesh=0
		set -- torchrun "--nproc_per_node=$processes" "--nnodes=$nodes" "--node-rank=$rank" \
			"--rdzv-endpoint=$addr:$port"
	fi
	set -- "$@" "${COTRAIN_TRAINER:?is not set and there is no command}"
fi
if [ "$mesh" -eq 1 ]; then
	GLOBAL_ADDR=$addr
	GLOBAL_PORT=$port
	GLOBAL_RANK=$rank
	GLOBAL_WORLD_SIZE=$nodes
	GLOBAL_UNIQUE_ID=${NOMAD_ALLOC_ID:-$rank}
	export GLOBAL_ADDR GLOBAL_PORT GLOBAL_RANK GLOBAL_WORLD_SIZE GLOBAL_UNIQUE_ID
fi

set -- "$@" "@$config"
if [ "$diloco" -eq 1 ] && [ "$nodes" -gt 1 ]; then
	set -- "$@" --data.data_rank "$rank" --data.data_world_size "$nodes"
fi
if [ -n "${NOMAD_META_resume:-}" ]; then
	event resume "resuming from $NOMAD_META_resume"
	set -- "$@" --ckpt.resume "$NOMAD_META_resume"
fi

event launch "worker $rank of $nodes, worker 0 is at $addr:$port: $*"
exec "$@"
