"""Stands for wandb in a training process that CoTrain runs.

Every dict that the trainer logs becomes one line on stdout, "COTRAIN {json}", which the console reads; nothing goes over the
network. The process also samples /proc now and then. Nothing here raises into the trainer. With COTRAIN_REAL_WANDB=1
the real package takes this module's place.
"""

import json
import math
import os
import subprocess
import sys
import threading
import time

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_MAX_LINE = 256 * 1024  # longer than any dict of metrics


def _step_aside():
    """Loads the real wandb in place of this module; ImportError when it is not installed."""
    import importlib.machinery
    import importlib.util

    path = [p for p in sys.path if os.path.abspath(p or os.getcwd()) != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("wandb", path)
    if spec is None or spec.loader is None:
        raise ImportError("COTRAIN_REAL_WANDB is set, but wandb is not installed here")
    module = importlib.util.module_from_spec(spec)
    sys.modules["wandb"] = module
    spec.loader.exec_module(module)


def _number(value):
    """The value as something that JSON can hold, or None when it is no number."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, (str, bytes, type(None))):
        return None
    try:
        f = float(value)  # tensors and numpy scalars too
    except Exception:
        return None
    if math.isnan(f):
        return "NaN"
    if math.isinf(f):
        return "Infinity" if f > 0 else "-Infinity"
    return f


def _flatten(data, prefix, out, depth=0):
    for key, value in dict(data).items():
        name = prefix + str(key)[:200]
        if isinstance(value, dict):
            if depth < 4:
                _flatten(value, name + ".", out, depth + 1)
            continue
        number = _number(value)
        if number is not None:
            out[name] = number


def _new_lock():
    """A lock of this process: one that another thread held while the process forked would never be free again."""
    global _lock
    _lock = threading.RLock()  # a signal's handler may log while the thread that it interrupts does


_new_lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


def _emit(kind, fields):
    """Writes one line, in one call, so that lines of several processes do not mix."""
    try:
        line = {"v": 1, "kind": kind}
        for key, value in fields.items():
            line[key + "_" if key in ("v", "kind") else key] = value
        data = ("COTRAIN " + json.dumps(line, separators=(",", ":")) + "\n").encode("utf-8")
        if len(data) > _MAX_LINE:
            return
        with _lock:
            try:
                sys.stdout.flush()
            except Exception:
                pass
            while data:
                data = data[os.write(1, data):]
    except Exception:
        pass


class _Kind(type):
    """A class whose attributes are nothing too, such as wandb.AlertLevel.WARN."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing()


class _Nothing(metaclass=_Kind):
    """Whatever else a trainer uses of wandb: it takes any call and does nothing."""

    def __init__(self, *args, **kwargs):
        pass

    def __call__(self, *args, **kwargs):
        return self

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False

    def __bool__(self):
        return False

    def __iter__(self):
        return iter(())


class Config(dict):
    """The run's configuration: a dict whose keys are attributes too."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name)

    def __setattr__(self, name, value):
        self[name] = value

    def update(self, *args, **kwargs):
        kwargs.pop("allow_val_change", None)
        try:
            super().update(*args, **kwargs)
        except Exception:
            pass

    setdefaults = update


class Run(_Nothing):
    """What init returns."""

    def __init__(self, project=None, name=None, settings=None):
        self.project = project
        self.id = os.environ.get("NOMAD_META_run_id", "cotrain")
        self.name = name or self.id
        self.config = Config()
        self.summary = Config()
        self.url = ""
        self.dir = os.environ.get("NOMAD_TASK_DIR", ".")
        self.step = 0
        try:
            self.config.update(dict(settings or {}))
        except Exception:
            pass

    def __bool__(self):
        return True

    def log(self, data=None, step=None, *args, **kwargs):
        try:
            out = {}
            _flatten(data or {}, "", out)
            if step is not None and "step" not in out:
                number = _number(step)
                if number is not None:
                    out["step"] = number
            if out:
                _emit("metrics", out)
                self.summary.update(out)
        except Exception:
            pass

    def finish(self, exit_code=None, *args, **kwargs):
        _emit("event", {"name": "metrics_finished", "message": "the trainer closed its metrics"})


run = None
config = Config()
summary = Config()


def _text(value):
    """The value as a short text, "" when it is none."""
    try:
        return str(value)[:200] if value else ""
    except Exception:
        return ""


def init(project=None, config=None, name=None, resume=None, *args, **kwargs):
    global run, summary
    run = Run(_text(project), _text(name), config)
    globals()["config"] = run.config
    summary = run.summary
    fields = {"name": "metrics_started", "message": "the trainer opened its metrics"}
    for key, value in (("project", run.project), ("resume", _text(resume))):
        if value:
            fields[key] = value
    _emit("event", fields)
    return run


def log(data=None, step=None, *args, **kwargs):
    (run or Run()).log(data, step)


def finish(*args, **kwargs):
    global run
    if run is not None:
        run.finish()
    run = None


def login(*args, **kwargs):
    return True


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _Nothing


class _Submodules:
    """Finds every module below this one, as an empty one that answers like this one."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if not name.startswith(__name__ + "."):
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, _Submodules, is_package=True)

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        module.__getattr__ = __getattr__


# Samples of the machine, or of the container that this process is in.

_PROC = os.environ.get("COTRAIN_PROC_DIR", "/proc")
_SYS = os.environ.get("COTRAIN_SYS_DIR", "/sys")


def _read(*name):
    with open(os.path.join(*name)) as f:
        return f.read()


def _number_in(*name):
    """A number that the kernel gives as a file, or None where there is none: no such file, or no limit."""
    try:
        return int(_read(*name))
    except (OSError, ValueError):
        return None


def _cgroups(controller):
    """The folders of the control groups that may limit this process, own first: version 2, or a controller of 1."""
    out = []
    for line in _read(_PROC, "self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        root = os.path.join(_SYS, "fs/cgroup", controller if names else "")
        parts = [p for p in path.split("/") if p not in ("", "..")]
        for n in range(len(parts), -1, -1):  # in a container the path may be the host's: then only the root is there
            folder = os.path.join(root, *parts[:n])
            if os.path.isdir(folder):
                out.append(folder)
    return out


def _memory_limit(below):
    """The lowest limit in bytes and what is in use under it, without page cache that can be dropped; or None."""
    best = None
    for folder in _cgroups("memory"):
        for limit, usage, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            most, used = _number_in(folder, limit), _number_in(folder, usage)
            if most is None or used is None or most >= below:
                continue
            for line in _read(folder, "memory.stat").splitlines():
                key, _, value = line.partition(" ")
                if key == cache:
                    used -= int(value)
            best, below = (most, max(0, used)), most
    return best


def _cpu_limit(below):
    """The fewest cores that a control group may use and the seconds of them that it has used; or None."""
    best = None
    for folder in _cgroups("cpu"):
        try:  # version 2
            quota, period = _read(folder, "cpu.max").split()
            stat = dict(line.split(" ", 1) for line in _read(folder, "cpu.stat").splitlines())
            used = int(stat["usage_usec"]) / 1e6
        except (OSError, ValueError, KeyError):
            quota, period = _number_in(folder, "cpu.cfs_quota_us"), _number_in(folder, "cpu.cfs_period_us")
            used = _number_in(folder, "cpuacct.usage")
            if used is None:
                continue
            used /= 1e9
        if quota in (None, "max") or int(quota) <= 0 or not period:
            continue
        cores = int(quota) / int(period)
        if cores < below:
            best, below = (cores, used), cores
    return best


def _cpu():
    """Busy and total time, over all cores or those that this container may use; only differences mean something."""
    text = _read(_PROC, "stat")
    ticks = [int(x) for x in text.split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    try:
        cores = sum(1 for line in text.splitlines() if line.startswith("cpu") and line[3:4].isdigit())
        limit = _cpu_limit(cores)
    except Exception:
        limit = None
    if limit:
        return limit[1], limit[0] * time.monotonic()
    return sum(ticks) - idle, sum(ticks)


def _memory():
    kib = {}
    for line in _read(_PROC, "meminfo").splitlines():
        key, _, value = line.partition(":")
        if key in ("MemTotal", "MemAvailable"):
            kib[key] = int(value.split()[0])
    total, used = kib["MemTotal"] * 1024, (kib["MemTotal"] - kib["MemAvailable"]) * 1024
    try:
        return _memory_limit(total) or (total, used)
    except Exception:
        return total, used


def _network():
    """Bytes received and sent by all interfaces but loopback."""
    rx = tx = 0
    for line in _read(_PROC, "net/dev").splitlines()[2:]:
        name, _, rest = line.partition(":")
        values = rest.split()
        if name.strip() != "lo" and len(values) >= 9:
            rx += int(values[0])
            tx += int(values[8])
    return rx, tx


def _disk():
    """Bytes read and written by whole disks; diskstats counts in sectors of 512 bytes."""
    read = written = 0
    for line in _read(_PROC, "diskstats").splitlines():
        f = line.split()
        if len(f) < 10 or f[2].startswith(("loop", "ram", "zram", "dm-", "md", "sr", "fd")):
            continue
        if os.path.exists(os.path.join(_SYS, "class/block", f[2], "partition")):
            continue
        read += int(f[5]) * 512
        written += int(f[9]) * 512
    return read, written


def _open_files():
    """Open files of the processes of this one's group."""
    group, n = os.getpgrp(), 0
    for name in os.listdir(_PROC):
        if not name.isdigit():
            continue
        try:  # the name of a program, in brackets, may have anything
            if int(_read(_PROC, name, "stat").rpartition(")")[2].split()[2]) == group:
                n += len(os.listdir(os.path.join(_PROC, name, "fd")))
        except (OSError, ValueError, IndexError):
            pass  # it has ended, or is somebody else's
    return n


# Why the driver holds a GPU's clocks down: slowed by the hardware, heat by the driver's and by the hardware's judgement, and a brake of the
# power supply; from nvml.h. A power cap is not among them: it is usual at full load.
_HELD_DOWN = 0x08 | 0x20 | 0x40 | 0x80
_GPU_FIELDS = "uuid,clocks.sm,clocks.mem,clocks_throttle_reasons.active"
_gpu_failures = 0  # in a row


def _gpus():
    """Clocks of this worker's GPUs, in the order in which it has them, as nvidia-smi tells them; a driver that hangs is left alone."""
    global _gpu_failures
    if _gpu_failures >= 3:
        return {}
    try:
        text = subprocess.run(
            ["nvidia-smi", "--query-gpu=" + _GPU_FIELDS, "--format=csv,noheader,nounits"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=5, check=True,
        ).stdout.decode("utf-8", "replace")
        _gpu_failures = 0
    except FileNotFoundError:
        _gpu_failures = 3
        return {}
    except (OSError, subprocess.SubprocessError):
        _gpu_failures += 1
        return {}
    rows = [[field.strip() for field in line.split(",")] for line in text.splitlines()]
    rows = [row for row in rows if len(row) == 4]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        by_name = dict(zip(map(str, range(len(rows))), rows), **{row[0]: row for row in rows})
        rows = [by_name.get(name.strip()) for name in visible.split(",")]
    out = {}
    for i, row in enumerate(rows[:64]):
        if row is None:  # a slice of a GPU, which has no clocks of its own
            continue
        for name, value in (("clock_sm_mhz", row[1]), ("clock_memory_mhz", row[2])):
            if value.isdigit():
                out["gpu%d/%s" % (i, name)] = int(value)
        try:
            out["gpu%d/throttled" % i] = int(int(row[3], 16) & _HELD_DOWN != 0)
        except ValueError:
            pass
    return out


def _snapshot():
    """What can be read now; a missing file leaves its part out."""
    shot = {"time": time.monotonic()}
    for key, read in (("cpu", _cpu), ("memory", _memory), ("network", _network), ("disk", _disk)):
        try:
            shot[key] = read()
        except Exception:
            pass
    return shot


def _between(a, b):
    """The fields of a system line from two snapshots."""
    out = {}
    seconds = b["time"] - a["time"]
    if "memory" in b:
        out["memory_total_bytes"], out["memory_used_bytes"] = b["memory"]
    if "cpu" in a and "cpu" in b and b["cpu"][1] > a["cpu"][1]:
        busy = (b["cpu"][0] - a["cpu"][0]) / (b["cpu"][1] - a["cpu"][1])
        out["cpu_percent"] = round(100 * min(1, max(0, busy)), 2)
    for key, names in (("network", ("net_rx", "net_tx")), ("disk", ("disk_read", "disk_write"))):
        if key in a and key in b and seconds > 0:
            for i, name in enumerate(names):
                rate = max(0, b[key][i] - a[key][i]) / seconds
                out[name + "_bytes_per_second"] = round(rate, 1)
    for more in (lambda: {"open_files": _open_files()}, _gpus):
        try:
            out.update(more())
        except Exception:
            pass
    return out


def _sample(period):
    last = _snapshot()
    while True:
        time.sleep(period)
        try:
            now = _snapshot()
            _emit("system", _between(last, now))
            last = now
        except Exception:
            pass


def _start_sampler():
    """One sampler for each worker: in local rank 0, and not again in the processes that it starts."""
    if os.environ.get("LOCAL_RANK", "0") != "0" or os.environ.get("COTRAIN_SAMPLER"):
        return
    os.environ["COTRAIN_SAMPLER"] = str(os.getpid())
    try:
        period = float(os.environ.get("COTRAIN_SYSTEM_PERIOD", "10"))
    except ValueError:
        period = 10.0
    threading.Thread(target=_sample, args=(max(0.05, period),), name="cotrain-sampler", daemon=True).start()


if os.environ.get("COTRAIN_REAL_WANDB") == "1":
    _step_aside()
else:
    try:
        sys.meta_path.append(_Submodules)
        _start_sampler()
    except Exception:
        pass
