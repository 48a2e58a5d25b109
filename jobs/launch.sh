#!/bin/sh
# Starts the trainer on one worker: finds worker 0, sets what CotrainCore reads from its environment, adds the flags of
# this attempt, and becomes the trainer, so that signals and the exit code are the trainer's own. torchrun is taught to
# wait for a checkpoint as long as Nomad does, and to exit with the code of the process that failed.
#
# Arguments: the command to execute. Without any, torchrun with $COTRAIN_TRAINER.
# Exit codes of its own: 75 worker 0 did not appear in time, 76 a port of worker 0 is taken (another allocation gets other
# ports), 78 something on the node or of the run is missing, 127 no such command.
#
# Its variables begin with ct_, so that none of the trainer's environment is changed by accident.
set -eu

ct_nodes=${COTRAIN_NODES:-1}
ct_rank=${NOMAD_ALLOC_INDEX:-0}
ct_task_dir=${NOMAD_TASK_DIR:?is not set: this script runs as a Nomad task}
ct_config=$ct_task_dir/config.toml
ct_proc=${COTRAIN_PROC_DIR:-/proc}
# Where this worker listens: in a network namespace of its own (mode = "bridge") that is another address than others reach it at.
ct_own_ip=${NOMAD_ALLOC_IP_rdzv:-${NOMAD_IP_rdzv:-}}
ct_own_port=${NOMAD_ALLOC_PORT_rdzv:-${NOMAD_PORT_rdzv:-}}
ct_set=''  # names that this script has set
ct_run=' ' # names that the run has set

# Fields of CotrainCore, as ZERO_BAND_<name> overrides them. Any other variable with that beginning keeps the core from
# starting.
ct_known='
NAME_MODEL TYPE_MODEL PROJECT RUN_ID RUN_NAME METRIC_LOGGER_TYPE WANDB_RESUME LOG_LEVEL LOG_ALL_RANK
DATA_DATASET_NAME_OR_PATHS DATA_VAL_DATASET_NAME_OR_PATHS DATA_SEQUENCE_PACKING DATA_SEQ_LENGTH DATA_FAKE
DATA_NUM_WORKERS DATA_MAX_TRAIN_SAMPLES DATA_MAX_EVAL_SAMPLES DATA_DATASET_RATIO DATA_DATA_RANK DATA_DATA_WORLD_SIZE
DATA_REVERSE_DATA_FILES DATA_SPLIT_BY_DATA_RANK OPTIM_SCHED_TYPE OPTIM_WARMUP_STEPS OPTIM_STABLE_STEPS
OPTIM_TOTAL_STEPS OPTIM_BATCH_SIZE OPTIM_Z_LOSS OPTIM_Z_LOSS_WEIGHT OPTIM_NUM_CHUNKS OPTIM_OPTIM_TYPE OPTIM_OPTIM_LR
OPTIM_OPTIM_WEIGHT_DECAY OPTIM_OPTIM_BETAS1 OPTIM_OPTIM_BETAS2 OPTIM_OPTIM_MAX_PRECONDITIONER_DIM
OPTIM_OPTIM_PRECONDITION_FREQUENCY DILOCO_OUTER_LR DILOCO_INNER_STEPS DILOCO_COMPRESSION DILOCO_RETRY_ALL_REDUCE
TRAIN_MICRO_BS TRAIN_AC_CKPT TRAIN_RESHARD_AFTER_FORWARD TRAIN_REDUCE_FP32 TRAIN_LOG_MODEL_HASH TRAIN_TORCH_PROFILER
TRAIN_TORCH_COMPILE TRAIN_FUSED_LINEAR_CE TRAIN_FSDP_CPU_OFFLOAD TRAIN_ATTN_FN TRAIN_MEMORY_PROFILER_FREQ
TRAIN_MEMORY_PROFILER_SNAPSHOT_DIR MONITOR_LOG_FLUSH_INTERVAL MONITOR_BASE_URL MONITOR_AUTH_TOKEN CKPT_PATH
CKPT_INTERVAL CKPT_TOPK CKPT_REMOTE_DATA_PATH CKPT_REMOTE_DATA_LOAD CKPT_RESUME CKPT_SKIP_DATALOADER
CKPT_LIVE_RECOVERY_RANK_SRC CKPT_DATA_PATH CKPT_TOKEN_COUNT CKPT_REMOTE_PATH CKPT_REMOTE_INTERVAL
'

# --- What it says.

# json TEXT: as the inside of a JSON string.
json() {
	printf '%s' "$1" | tr '\n\t' '  ' | tr -d '\000-\037\177' | sed 's/[\\"]/\\&/g'
}

# event NAME MESSAGE [FIELDS]: a machine line on stdout. FIELDS begin with a comma.
event() {
	printf 'COTRAIN {"v":1,"kind":"event","name":"%s","rank":%d,"message":"%s"%s}\n' "$1" "$ct_rank" "$(json "$2")" "${3:-}"
}

# give_up CODE NAME MESSAGE
give_up() {
	event "$2" "$3" ",\"level\":\"error\",\"exit_code\":$1"
	printf 'cotrain: %s\n' "$3" >&2
	exit "$1"
}

# words ARGUMENT...: one line that a shell would read as the same words.
words() {
	for ct_word in "$@"; do
		case $ct_word in
		*[!A-Za-z0-9_@%+=:,./-]* | '') printf "'%s' " "$(printf '%s' "$ct_word" | sed "s/'/'\\\\''/g")" ;;
		*) printf '%s ' "$ct_word" ;;
		esac
	done
}

# give NAME VALUE: sets a variable of the trainer's.
give() {
	export "$1=$2"
	ct_set="$ct_set $1"
}

# given: what this script and the run have set, as the inside of a JSON object; names alone when that is long.
given() {
	ct_out=''
	for ct_name in $ct_run $ct_set; do
		ct_out="$ct_out,\"$ct_name\":\"$(json "$(printenv "$ct_name" || :)")\""
	done
	if [ "${#ct_out}" -gt 16384 ]; then
		ct_out=''
		for ct_name in $ct_run $ct_set; do ct_out="$ct_out,\"$ct_name\":\"...\""; done
	fi
	printf '%s' "${ct_out#,}"
}

# --- What the run brings along.

# valid_name NAME: reports whether a shell can export it.
valid_name() {
	case $1 in
	'' | [0123456789]* | *[!ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_]*) return 1 ;;
	*) return 0 ;;
	esac
}

# run_secrets: exports the secrets of the run, or ends with what is wrong with them. An older job file has them in the environment.
run_secrets() {
	ct_file=${NOMAD_SECRETS_DIR:+$NOMAD_SECRETS_DIR/run.sh}
	if [ -n "$ct_file" ] && [ -e "$ct_file" ]; then
		# shellcheck disable=SC1090 # written by Nomad
		if ! (. "$ct_file") >/dev/null 2>&1; then
			give_up 78 secrets_missing "the run does not get its secrets: this user or shell cannot read $ct_file"
		fi
		# shellcheck disable=SC1090
		. "$ct_file"
	fi
	if [ -n "${COTRAIN_SECRETS_MISSING:-}" ]; then
		give_up 78 secrets_missing "the run does not get its secrets: $COTRAIN_SECRETS_MISSING"
	fi
	unset COTRAIN_SECRETS_MISSING
}

# run_environment: exports the KEY=VALUE lines of the run. They are never evaluated.
run_environment() {
	while IFS= read -r ct_line; do
		[ -n "$ct_line" ] || continue
		ct_name=${ct_line%%=*}
		if [ "$ct_name" = "$ct_line" ] || ! valid_name "$ct_name"; then
			event env_dropped "a line of the run's environment is no NAME=VALUE" ',"level":"warning"'
			continue
		fi
		case $ct_name in
		NOMAD_* | GLOBAL_* | COTRAIN_* | ct_* | IFS)
			event env_dropped "$ct_name of the run's environment is dropped: Nomad or CoTrain sets it" ',"level":"warning"'
			continue
			;;
		*) ;;
		esac
		# Some shells refuse to change names of their own, such as UID.
		if ! (export "${ct_line?}") 2>/dev/null; then
			event env_dropped "$ct_name of the run's environment is dropped: the shell does not let it be set" ',"level":"warning"'
			continue
		fi
		export "${ct_line?}"
		ct_run="$ct_run$ct_name "
	done <<END
${NOMAD_META_env:-}
END
}

# drop_unknown: takes away what would keep the core from starting.
drop_unknown() {
	ct_all=" $(printf '%s' "$ct_known" | tr '\n' ' ') "
	# A value with several lines can hold what looks like a variable: printenv knows better.
	for ct_name in $(env | sed -n 's/^\(ZERO_BAND_[A-Za-z0-9_]*\)=.*/\1/p' | sort -u); do
		case $ct_all in
		*" ${ct_name#ZERO_BAND_} "*) [ "$ct_name" = ZERO_BAND_ ] || continue ;;
		*) ;;
		esac
		if printenv "$ct_name" >/dev/null; then
			unset "$ct_name"
			ct_run=$(printf '%s' "$ct_run" | sed "s/ $ct_name / /")
			event env_dropped "$ct_name is dropped: CotrainCore does not know it, and would not start" ',"level":"warning"'
		fi
	done
}

# over FIELD: a variable must not win over the flag that this worker is given.
over() {
	if printenv "ZERO_BAND_$1" >/dev/null; then
		unset "ZERO_BAND_$1"
		ct_run=$(printf '%s' "$ct_run" | sed "s/ ZERO_BAND_$1 / /")
		event env_dropped "ZERO_BAND_$1 is dropped: this worker gets a value of its own" ',"level":"warning"'
	fi
}

# enter_directory: relative paths of a configuration begin in the shared storage, or without one in the trainer's folder.
# ct_home is that folder when it is not where the trainer starts: what names the trainer begins there.
enter_directory() {
	ct_home=''
	if [ -n "${COTRAIN_WORK_DIR:-}" ]; then
		cd "$COTRAIN_WORK_DIR" 2>/dev/null || give_up 78 work_dir_missing "the working directory $COTRAIN_WORK_DIR does not exist on this node, or cannot be entered"
		[ -z "${COTRAIN_STORAGE:-}" ] || ct_home=$(pwd)
	fi
	if [ -n "${COTRAIN_STORAGE:-}" ]; then
		cd "$COTRAIN_STORAGE" 2>/dev/null || give_up 78 storage_missing "the shared storage $COTRAIN_STORAGE does not exist on this node, or cannot be entered"
	fi
}

# --- Who is where.

# find_worker0: sets ct_addr and ct_port, waits for at most $COTRAIN_RENDEZVOUS_TIMEOUT seconds.
find_worker0() {
	if [ "$ct_rank" -eq 0 ] && [ -n "$ct_own_ip" ] && [ -n "$ct_own_port" ]; then
		ct_addr=$ct_own_ip ct_port=$ct_own_port
		return 0
	fi
	ct_timeout=${COTRAIN_RENDEZVOUS_TIMEOUT:-600}
	ct_waited=0 # tenths of a second
	event rendezvous_waiting "waiting for worker 0 to register, at most $ct_timeout s"
	while :; do
		ct_addr='' ct_port=''
		if [ -r "$ct_task_dir/worker0" ]; then
			# The template leaves an empty line around the entry; a half-written file has no port yet.
			while read -r ct_a ct_p _; do
				if [ -n "$ct_a" ] && [ -n "$ct_p" ]; then
					ct_addr=$ct_a ct_port=$ct_p
					break
				fi
			done <"$ct_task_dir/worker0"
		fi
		[ -z "$ct_port" ] || return 0
		# Counted, not read from a clock: bash 5.2 misreads a trap while it parses a command substitution, and ends with 2.
		if [ "$ct_waited" -ge $((ct_timeout * 10)) ]; then
			give_up 75 rendezvous_timeout "worker 0 has not registered within $ct_timeout s: it is not running, or this node cannot reach the Nomad servers"
		fi
		if sleep 0.2 2>/dev/null; then
			ct_waited=$((ct_waited + 2))
		else
			sleep 1
			ct_waited=$((ct_waited + 10))
		fi
	done
}

# taken FIRST COUNT: ports of the block that a socket of this node holds. One in TIME_WAIT (06) keeps no listener away.
taken() {
	ct_hex='' ct_i=0
	while [ "$ct_i" -lt "$2" ]; do
		ct_hex="$ct_hex|$(printf '%04X' $(($1 + ct_i)))"
		ct_i=$((ct_i + 1))
	done
	cat "$ct_proc/net/tcp" "$ct_proc/net/tcp6" 2>/dev/null |
		grep -E "^ *[0-9]+: [0-9A-F]+:(${ct_hex#|}) [0-9A-F]+:[0-9A-F]+ (0[0-57-9A-F]|[1-9A-F].) " |
		sed 's/^ *[0-9]*: [0-9A-F]*:\([0-9A-F]*\) .*/\1/' | sort -u |
		while read -r ct_one; do printf '%d ' "0x$ct_one"; done
}

# check_ports: worker 0 listens on one port for each local rank. Nomad has reserved the first alone, so a socket of
# something else may be on those that follow. What another allocation has reserved and not opened yet cannot be seen.
check_ports() {
	ct_block=0 # a single trainer without a mesh does not listen
	[ "$ct_nodes" -eq 1 ] || ct_block=1
	[ "$ct_diloco" -eq 0 ] || ct_block=$ct_processes
	if [ "$ct_rank" -eq 0 ] && [ "$ct_block" -gt 0 ]; then
		ct_last=$((ct_port + ct_block - 1))
		ct_busy=$(taken "$ct_port" "$ct_block")
		if [ -n "${NOMAD_PORT_local:-}" ] && [ "$NOMAD_PORT_local" -gt "$ct_port" ] && [ "$NOMAD_PORT_local" -le "$ct_last" ]; then
			ct_busy="$ct_busy$NOMAD_PORT_local "
		fi
		if [ "$ct_last" -gt 65535 ]; then
			ct_busy="$ct_busy$ct_last "
		fi
		if [ -n "$ct_busy" ]; then
			give_up 76 port_conflict "worker 0 needs the ports $ct_port to $ct_last and cannot have ${ct_busy% }: another allocation gets others"
		fi
	fi
	# The core measures the mesh with iperf, and trains without a measurement too.
	if [ "$ct_diloco" -eq 1 ] && [ -n "$(taken $((10101 + ct_rank)) 1)" ]; then
		event port_busy "port $((10101 + ct_rank)) is taken: this worker cannot measure its connection to the others" ',"level":"warning"'
	fi
}

# interface_of ADDRESS: prints the interface that holds it, or nothing.
interface_of() {
	case $1 in
	'') return 0 ;;
	127.* | ::1)
		echo lo
		return 0
		;;
	*) ;;
	esac
	ct_if=$(ip -o addr show 2>/dev/null | while read -r _ ct_name _ ct_cidr _; do
		[ "${ct_cidr%%/*}" != "$1" ] || {
			echo "${ct_name%%@*}"
			break
		}
	done) || :
	[ -n "$ct_if" ] || ct_if=$(interface_by_route "$1")
	printf '%s' "$ct_if"
}

# interface_by_route ADDRESS: as above, from what the kernel says without any tool. It is the interface of the narrowest
# route to an IPv4 address that is this node's own.
interface_by_route() {
	case $1 in
	*[!0-9.]* | *.*.*.*.* | '') return 0 ;;
	*.*.*.*) ;;
	*) return 0 ;;
	esac
	grep -A1 "|-- $(printf '%s' "$1" | sed 's/\./\\./g')\$" "$ct_proc/net/fib_trie" 2>/dev/null | grep -q 'host LOCAL' || return 0
	ct_ip=$(printf '%s\n' "$1" | {
		IFS=. read -r ct_1 ct_2 ct_3 ct_4
		echo $((ct_1 + (ct_2 << 8) + (ct_3 << 16) + (ct_4 << 24)))
	})
	ct_best=-1 ct_found=''
	while read -r ct_name ct_dest _ _ _ _ _ ct_mask _; do
		case $ct_dest$ct_mask in
		*[!0-9A-Fa-f]*) continue ;;
		*) ;;
		esac
		if [ $((ct_ip & 0x$ct_mask)) -eq $((0x$ct_dest)) ] && [ $((0x$ct_mask)) -gt "$ct_best" ]; then
			ct_best=$((0x$ct_mask)) ct_found=$ct_name
		fi
	done <"$ct_proc/net/route"
	printf '%s' "$ct_found"
}

# choose_interface: the one between the workers, from the run, the site, the node's environment, or the address that
# Nomad gave this worker.
choose_interface() {
	ct_if='' ct_why=''
	case $ct_run in
	*' GLOO_SOCKET_IFNAME '*) ct_if=$GLOO_SOCKET_IFNAME ct_why='the run names it' ;;
	*)
		if [ -n "${COTRAIN_INTERFACE:-}" ]; then
			ct_if=$COTRAIN_INTERFACE ct_why='the job names it'
		elif [ -n "${GLOO_SOCKET_IFNAME:-}" ]; then
			ct_if=$GLOO_SOCKET_IFNAME ct_why='the environment of the node names it'
		else
			ct_if=$(interface_of "$ct_own_ip")
			ct_why="it holds $ct_own_ip"
		fi
		[ -z "$ct_if" ] || give GLOO_SOCKET_IFNAME "$ct_if"
		;;
	esac
	if [ -n "$ct_if" ]; then
		event interface "workers talk through $ct_if: $ct_why"
	else
		event interface "no interface holds ${ct_own_ip:-an address of this worker}: the trainer's default is used" ',"level":"warning"'
	fi
}

# choose_gpus: the trainer sees what Nomad has given this worker.
choose_gpus() {
	if [ -n "${CUDA_VISIBLE_DEVICES:-}" ] || [ "$ct_gpus" -eq 0 ]; then
		return 0
	fi
	case ${NVIDIA_VISIBLE_DEVICES:-} in
	'' | all | none | void) ;;
	*) give CUDA_VISIBLE_DEVICES "$NVIDIA_VISIBLE_DEVICES" ;;
	esac
}

# --- Whether it has been here before.

# record_start: sets ct_id, an identity that no start has had, and ct_joins to 1 when this worker takes up the place of
# one that trained in this attempt: a restart in this allocation, or an allocation in place of another one, of which
# the shared storage tells, or Nomad's copy of the allocation's data.
record_start() {
	ct_id=${NOMAD_ALLOC_ID:-$ct_rank} ct_joins=0
	for ct_log in "${NOMAD_ALLOC_DIR:+$NOMAD_ALLOC_DIR/data}" "${COTRAIN_STORAGE:+$COTRAIN_STORAGE/logs/system}"; do
		if [ -z "$ct_log" ] || ! [ -d "$ct_log" ] || ! [ -w "$ct_log" ]; then
			continue
		fi
		ct_log=$ct_log/$(printf '%s' "${NOMAD_META_run_id:-run}-${NOMAD_META_attempt:-1}" | tr / _)-worker-$ct_rank.starts
		if [ -s "$ct_log" ]; then
			ct_joins=1
			ct_before=$(grep -c "^${NOMAD_ALLOC_ID:-$ct_rank} " "$ct_log" || :)
			[ "$ct_before" -eq 0 ] || ct_id=${NOMAD_ALLOC_ID:-$ct_rank}-$ct_before
		fi
		printf '%s %s\n' "${NOMAD_ALLOC_ID:-$ct_rank}" "$(date +%s)" >>"$ct_log" || :
	done
	if [ "$ct_rank" -eq 0 ] || [ "$ct_diloco" -eq 0 ]; then
		ct_joins=0 # the mesh is worker 0's, and a torchrun world takes nobody back
	fi
}

# own_checkpoint FOLDER: this worker's own part of a checkpoint, <path>/worker_<rank>/step_N for <path>/step_N or for
# another worker's, when it is there; else worker 0's, else the folder itself.
own_checkpoint() {
	ct_dir=${1%/}
	ct_step=${ct_dir##*/} ct_dir=${ct_dir%/*}
	case ${ct_dir##*/} in
	worker_*[!0-9]*) ;;
	worker_[0-9]*) ct_dir=${ct_dir%/*} ;;
	*) ;;
	esac
	if [ -d "$ct_dir/worker_$ct_rank/$ct_step" ]; then
		printf '%s' "$ct_dir/worker_$ct_rank/$ct_step"
	elif ! [ -d "$1" ] && [ -d "$ct_dir/worker_0/$ct_step" ]; then
		printf '%s' "$ct_dir/worker_0/$ct_step"
	else
		printf '%s' "$1"
	fi
}

# --- torchrun.

# seconds DURATION: those of a duration such as 1h30m or 90s; nothing for any other text.
seconds() {
	ct_left=$1 ct_sum=0
	while [ -n "$ct_left" ]; do
		ct_number=${ct_left%%[!0123456789]*}
		ct_left=${ct_left#"$ct_number"}
		[ -n "$ct_number" ] || return 0
		case $ct_left in
		h*) ct_sum=$((ct_sum + ct_number * 3600)) ct_left=${ct_left#h} ;;
		m*) ct_sum=$((ct_sum + ct_number * 60)) ct_left=${ct_left#m} ;;
		s*) ct_sum=$((ct_sum + ct_number)) ct_left=${ct_left#s} ;;
		*) return 0 ;;
		esac
	done
	[ "$ct_sum" -eq 0 ] || echo "$ct_sum"
}

# interpreter SCRIPT: the Python that its first line names, with flags; nothing for any other.
interpreter() {
	ct_first=$(head -n 1 "$1" 2>/dev/null | tr -d '\000' | cut -c 1-200) || :
	case $ct_first in
	'#!'*"/env python"*) printf '%s' "${ct_first#*/env }" ;;
	'#!'/*/python*) printf '%s' "${ct_first#'#!'}" ;;
	*) ;;
	esac
}

# dump_py: prints what every Python process of the trainer begins with: its stacks are printed on the signal that asks for
# them. Python takes the first sitecustomize that it finds, so this one goes on to the next.
dump_py() {
	cat <<'END'
import faulthandler
import os
import signal
import sys

try:
    faulthandler.register(getattr(signal, os.environ["COTRAIN_DUMP_SIGNAL"]), all_threads=True)
except Exception:  # no such signal, or no stderr: training goes on without
    pass
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != here]
this = sys.modules.pop(__name__)
try:
    import sitecustomize
except ImportError:
    sys.modules[__name__] = this
END
}

# torchrun_py: prints the program that runs torchrun, for versions before 2.12 too, which know no time-out but their own.
torchrun_py() {
	cat <<'END'
import os
import runpy
import signal
import sys
import traceback


def wait_for_processes():
    """Lets torchrun wait for its processes after a signal as long as it is told, and not kill them after 30 s."""
    from torch.distributed.elastic.multiprocessing import api

    seconds = int(os.environ["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"])
    close = api.PContext.close

    def close_patiently(self, death_sig=None, timeout=30):
        if isinstance(sys.exc_info()[1], api.SignalException):
            timeout = max(timeout, seconds)
        return close(self, death_sig, timeout)

    api.PContext.close = close_patiently


def catches(pid, number):
    with open("/proc/%d/status" % pid) as status:
        for line in status:
            if line.startswith("SigCgt:"):
                return int(line.split()[1], 16) >> (number - 1) & 1
    return False


def pass_on(number, frame):
    """Passes a signal on to the processes of torchrun that catch it: any other would end."""
    for name in os.listdir("/proc"):
        try:
            with open("/proc/%d/stat" % int(name)) as stat:
                parent = int(stat.read().rsplit(")", 1)[1].split()[1])
            if parent == os.getpid() and catches(int(name), number):
                os.kill(int(name), number)
        except (ValueError, OSError):  # no process, or one that has ended
            pass


def pass_on_dumps():
    """Has torchrun, which ends on SIGQUIT and dies of others, pass on the signal that asks for stacks."""
    from torch.distributed.elastic.multiprocessing import api

    number = getattr(signal, os.environ["COTRAIN_DUMP_SIGNAL"])
    start = api.PContext.start

    def start_and_pass_on(self):
        try:
            return start(self)  # sets handlers of its own
        finally:
            signal.signal(number, pass_on)

    signal.signal(number, pass_on)
    api.PContext.start = start_and_pass_on


script = sys.argv[1]
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(script)
try:
    wait_for_processes()
except Exception as e:
    print("cotrain: this torchrun may kill its processes 30 s after a stop: %r" % e, file=sys.stderr)
if os.environ.get("COTRAIN_DUMP_SIGNAL"):
    try:
        pass_on_dumps()
    except Exception as e:
        print("cotrain: this torchrun may end when its stacks are asked for: %r" % e, file=sys.stderr)
try:
    runpy.run_path(script, run_name="__main__")
except Exception as e:
    if type(e).__name__ == "SignalException":
        sys.exit(128 + e.sigval)
    traceback.print_exc()
    code = 1
    if type(e).__name__ == "ChildFailedError":
        code = e.get_first_failure()[1].exitcode
    sys.exit(code if code > 0 else 128 - code)
END
}

# become COMMAND ARGUMENT...
become() {
	ct_python=''
	case ${1##*/} in
	torchrun)
		ct_path=$(command -v "$1")
		ct_python=$(interpreter "$ct_path")
		;;
	*) ;;
	esac
	if [ -n "$ct_python" ] && torchrun_py 2>/dev/null >"$ct_task_dir/torchrun.py"; then
		shift
		# shellcheck disable=SC2086 # with its flags
		exec $ct_python "$ct_task_dir/torchrun.py" "$ct_path" "$@"
	fi
	if [ "${1##*/}" = torchrun ] && [ "$TORCH_ELASTIC_SHUTDOWN_TIMEOUT" -gt 30 ] 2>/dev/null; then
		event torchrun_waits_30s "torchrun is no Python script here: with a PyTorch before 2.12 it kills its processes 30 s after a stop, before Nomad does" ',"level":"warning"'
	fi
	exec "$@"
}

# --- The start.

# As process 1 of a container the shell would ignore these while it waits.
trap 'exit 143' TERM
trap 'exit 130' INT
# Ignored by what is executed, too, unless it knows better: a trainer that prints no stacks must not die of being asked.
[ -z "${COTRAIN_DUMP_SIGNAL:-}" ] || trap '' "${COTRAIN_DUMP_SIGNAL#SIG}"

[ -s "$ct_config" ] || give_up 78 config_missing "the run's configuration is not at $ct_config"

# A run with DiLoCo has the table [diloco], or one of its fields with the table's name before it.
ct_diloco=0
if grep -Eq '^[[:space:]]*(\[[[:space:]]*diloco[[:space:]]*[].]|diloco[[:space:]]*[.=])' "$ct_config"; then
	ct_diloco=1
fi

run_secrets
run_environment
enter_directory
if [ -n "$ct_home" ]; then
	case ${COTRAIN_TRAINER:-} in
	'' | /*) ;;
	*) COTRAIN_TRAINER=$ct_home/$COTRAIN_TRAINER ;;
	esac
	# Of a command, its name when that is a path, and words that name a file there.
	ct_i=0 ct_count=$#
	while [ "$ct_i" -lt "$ct_count" ]; do
		ct_word=$1
		case $ct_i$1 in
		[0-9]*/* | [1-9]*) [ "${1#/}" != "$1" ] || ! [ -f "$ct_home/$1" ] || ct_word=$ct_home/$1 ;;
		*) ;;
		esac
		shift
		set -- "$@" "$ct_word"
		ct_i=$((ct_i + 1))
	done
fi
# Before anyone waits for anyone: without it this worker will never start.
if ! command -v "${1:-torchrun}" >/dev/null 2>&1; then
	if [ $# -eq 0 ]; then
		give_up 127 command_missing "torchrun is not in the PATH of this node's Nomad agent, or of the image: install PyTorch there, or set the console's COTRAIN_JOB_TRAIN_COMMAND to what starts training"
	fi
	give_up 127 command_missing "the command $1 does not exist on this node, or cannot be executed"
fi
ct_gpus=${COTRAIN_GPUS:-0}
ct_processes=$ct_gpus
[ "$ct_processes" -gt 0 ] || ct_processes=1

find_worker0
check_ports
choose_interface
choose_gpus
record_start

ct_python=${PYTHONPATH:-}${ct_home:+${PYTHONPATH:+:}$ct_home}
if [ "${COTRAIN_REAL_WANDB:-}" != 1 ]; then
	ct_python=$ct_task_dir/shim${ct_python:+:$ct_python}
fi
if [ -n "${COTRAIN_DUMP_SIGNAL:-}" ] && mkdir -p "$ct_task_dir/dump" && dump_py >"$ct_task_dir/dump/sitecustomize.py"; then
	ct_python=$ct_task_dir/dump${ct_python:+:$ct_python}
fi
[ "$ct_python" = "${PYTHONPATH:-}" ] || give PYTHONPATH "$ct_python"

# Without DiLoCo several workers are one torchrun world, and the mesh of single trainers does not exist.
ct_mesh=1
if [ $# -eq 0 ]; then
	if [ "$ct_diloco" -eq 1 ] || [ "$ct_nodes" -eq 1 ]; then
		set -- torchrun "--nproc_per_node=$ct_processes" --nnodes=1 --node_rank=0 \
			"--rdzv_endpoint=localhost:${NOMAD_PORT_local:-29400}"
	else
		ct_mesh=0
		set -- torchrun "--nproc_per_node=$ct_processes" "--nnodes=$ct_nodes" "--node_rank=$ct_rank" \
			"--rdzv_endpoint=$ct_addr:$ct_port"
	fi
	set -- "$@" "${COTRAIN_TRAINER:?is not set and there is no command}"
fi
if [ "${1##*/}" = torchrun ] && [ -z "${TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-}" ]; then
	ct_kill=$(seconds "${COTRAIN_KILL_TIMEOUT:-}")
	give TORCH_ELASTIC_SHUTDOWN_TIMEOUT "${ct_kill:-600}"
fi
if [ "$ct_mesh" -eq 1 ]; then
	give GLOBAL_ADDR "$ct_addr"
	give GLOBAL_PORT "$ct_port"
	give GLOBAL_RANK "$ct_rank"
	give GLOBAL_WORLD_SIZE "$ct_nodes"
	give GLOBAL_UNIQUE_ID "$ct_id"
fi

set -- "$@" "@$ct_config"
ct_resume=${NOMAD_META_resume:-}
if [ "$ct_diloco" -eq 1 ] && [ "$ct_nodes" -gt 1 ]; then
	over DATA_DATA_RANK
	over DATA_DATA_WORLD_SIZE
	set -- "$@" --data.data_rank "$ct_rank" --data.data_world_size "$ct_nodes"
	if [ -n "${NOMAD_META_ckpt_path:-}" ]; then
		# The shards of two workers have the same names.
		over CKPT_PATH
		set -- "$@" --ckpt.path "${NOMAD_META_ckpt_path%/}/worker_$ct_rank"
	fi
	[ -z "$ct_resume" ] || ct_resume=$(own_checkpoint "$ct_resume")
fi
if [ "$ct_joins" -eq 1 ] && [ -n "$ct_resume" ] && ! [ -d "$ct_resume" ]; then
	ct_resume='' # the state comes from a peer
fi
if [ -n "$ct_resume" ]; then
	event resume "resuming from $ct_resume"
	over CKPT_RESUME
	set -- "$@" --ckpt.resume "$ct_resume"
fi
if [ "$ct_joins" -eq 1 ]; then
	# Worker 0 is there, or there is no mesh to join.
	event joining "this worker takes up a place in the running mesh and receives the state from worker 0"
	over CKPT_LIVE_RECOVERY_RANK_SRC
	set -- "$@" --ckpt.live_recovery_rank_src 0
fi
while IFS= read -r ct_line; do
	[ -z "$ct_line" ] || set -- "$@" "$ct_line"
done <<END
${NOMAD_META_args:-}
END
drop_unknown

ct_command=$(words "$@")
event launch "worker $ct_rank of $ct_nodes, worker 0 is at $ct_addr:$ct_port: ${ct_command% }" ",\"command\":\"$(json "${ct_command% }")\",\"env\":{$(given)}"
become "$@"
