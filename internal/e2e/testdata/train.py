"""A trainer for torchrun in CotrainCore's manner, small enough for a test: a linear model on CPU, averaged over gloo.

FAULT=<rank>:<step>:<code> makes a worker exit there, or with a code below zero be ended by that signal. PACE is the least
time of a step in seconds, SAVE how long a save takes after SIGTERM.
"""

import datetime
import os
import signal
import sys
import time
import tomllib

import torch
import torch.distributed as dist

local = int(os.environ["LOCAL_RANK"])
with open(sys.argv[1].removeprefix("@"), "rb") as f:
    config = tomllib.load(f)
inner = config.get("diloco", {}).get("inner_steps", 0)
total = config["optim"]["total_steps"]
if inner:
    total = -(-total // inner) * inner


def log(message):
    if local == 0:
        sys.stderr.write(time.strftime("%H:%M:%S") + " [INFO] [Rank 0] " + message + "\n")
        sys.stderr.flush()


def save(*_):
    log("saving")
    time.sleep(float(os.environ.get("SAVE", "0")))
    log("saved")
    os._exit(0)


# The mesh of DiLoCo workers, or the world that torchrun has made.
wait = datetime.timedelta(seconds=60)
if inner:
    rank, size = int(os.environ["GLOBAL_RANK"]), int(os.environ["GLOBAL_WORLD_SIZE"])
    store = dist.TCPStore(os.environ["GLOBAL_ADDR"], int(os.environ["GLOBAL_PORT"]) + local, size, rank == 0, wait)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=wait)
else:
    dist.init_process_group("gloo", timeout=wait)
    rank, size = dist.get_rank(), dist.get_world_size()
signal.signal(signal.SIGTERM, save)
log(f"world of {size}")

torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
torch.manual_seed(1 + rank)
truth = torch.tensor([[1.0], [-2.0], [3.0], [0.5]])
fault = [int(v) for v in os.environ.get("FAULT", "-1:0:0").split(":")]
peers = size


def average(tensors):
    """Averages over all workers; one that is gone leaves the others alone, as CotrainCore does."""
    global peers
    if peers == 1:
        return
    try:
        for t in tensors:
            dist.all_reduce(t)
            t /= size
    except RuntimeError as e:
        if not inner:
            raise
        log(f"Failed to sync pseudo gradient after 3 retries: {str(e)[:60]}")
        peers = 1


for step in range(1, total + 1):
    began = time.monotonic()
    if fault[:2] == [rank, step]:
        if fault[2] < 0:
            os.kill(os.getpid(), -fault[2])
        os._exit(fault[2])
    x = torch.randn(16, 4)
    loss = (model(x) - x @ truth).square().mean()
    optimizer.zero_grad()
    loss.backward()
    if not inner:
        average([p.grad for p in model.parameters()])
    optimizer.step()
    if inner and step % inner == 0:
        average([p.data for p in model.parameters()])
    time.sleep(max(0.0, began + float(os.environ.get("PACE", "0")) - time.monotonic()))
    log(f"step: {step}, loss: {loss.item():.4f}, diloco_peers: {peers}")

log("parameters " + " ".join(f"{v:.6f}" for p in model.parameters() for v in p.flatten().tolist()))
log("Training finished, exiting ...")
