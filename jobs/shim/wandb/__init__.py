"""Stands for wandb in a training process that CoTrain runs.

Every dict that the trainer logs becomes one line on stdout, "COTRAIN {json}", which the console reads; nothing goes over the
network. The process also samples /proc now and then. Nothing here raises into the trainer. With COTRAIN_REAL_WANDB=1
the real package takes this module's place.
"""

import json
import math
import os
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


_lock = threading.Lock()


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


class _Nothing:
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


def init(project=None, config=None, name=None, resume=None, *args, **kwargs):
    global run, summary
    run = Run(project, name, config)
    globals()["config"] = run.config
    summary = run.summary
    fields = {"name": "metrics_started", "message": "the trainer opened its metrics"}
    if project:
        fields["project"] = str(project)[:200]
    if resume:
        fields["resume"] = str(resume)[:200]
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


# Samples of the machine.

_PROC = os.environ.get("COTRAIN_PROC_DIR", "/proc")


def _read(name):
    with open(os.path.join(_PROC, name)) as f:
        return f.read()


def _cpu():
    """Busy and total time since boot, in ticks, over all cores."""
    ticks = [int(x) for x in _read("stat").split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, sum(ticks)


def _memory():
    kib = {}
    for line in _read("meminfo").splitlines():
        key, _, value = line.partition(":")
        if key in ("MemTotal", "MemAvailable"):
            kib[key] = int(value.split()[0])
    return kib["MemTotal"] * 1024, (kib["MemTotal"] - kib["MemAvailable"]) * 1024


def _network():
    """Bytes received and sent by all interfaces but loopback."""
    rx = tx = 0
    for line in _read("net/dev").splitlines()[2:]:
        name, _, rest = line.partition(":")
        values = rest.split()
        if name.strip() != "lo" and len(values) >= 9:
            rx += int(values[0])
            tx += int(values[8])
    return rx, tx


def _disk():
    """Bytes read and written by whole disks; diskstats counts in sectors of 512 bytes."""
    read = written = 0
    for line in _read("diskstats").splitlines():
        f = line.split()
        if len(f) < 10 or f[2].startswith(("loop", "ram", "zram", "dm-", "md", "sr", "fd")):
            continue
        if os.path.exists("/sys/class/block/" + f[2] + "/partition"):
            continue
        read += int(f[5]) * 512
        written += int(f[9]) * 512
    return read, written


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
        _start_sampler()
    except Exception:
        pass
