"""Rows of 400 bytes written, by acknowledgement level and by clients.

Cases
  durable_cN_dM  answered when on disk, N connections, M requests deep
  memory_cN_dM   answered when in memory: --ack memory, to a view with `visible: memory`

Peers
  redis-always, -everysec   the packed string, written with that appendfsync
"""

import json
import os
import subprocess
import time

from comparison.meter import FEATURES, Meter, quick_times_settle, rounds_run
from comparison.report import load_line_make
from comparison.servers import BUILD, Failed, fsd_arguments, redis_aof, redis_arguments

CLIENTS, DEPTHS = (1, 16, 64), (1, 16)
FSYNCS = ("always", "everysec")
LEVELS = {"durable": "fstore", "memory": "fstore-memory"}  # server, by level
SHAPES = ["c%d_d%d" % (clients, depth) for clients in CLIENTS for depth in DEPTHS]
CASES = ["%s_%s" % (level, shape) for shape in SHAPES for level in LEVELS]
ROUNDS, ENTITIES, ENTITIES_QUICK = 5, 1000000, 100000


def memory_view_make():
    """fsbench's view, shown from memory. It fills one that is shown when it is durable; this is
    applied afterwards, because with that one level memory would not be answered any earlier."""
    return ("namespace: bench\nviews:\n  - name: wide_%d\n    entity: item\n    visible: memory\n"
            "    features:\n" % FEATURES
            + "".join("      - {name: f%d, type: float64}\n" % i for i in range(FEATURES)))


def fsd_memory_arguments(port, folder):
    """A second store beside the first."""
    arguments = fsd_arguments(port, folder)
    arguments[arguments.index("--data") + 1] += "-memory"
    return arguments


def fsctl(bench, server, *arguments):
    command = [os.path.join(BUILD, "fsctl"), "--server", bench.servers[server].address]
    done = subprocess.run(command + list(arguments), capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed("%s\n%s%s" % (" ".join(command), done.stdout, done.stderr))
    return done.stdout


def stores_fill(bench, meter):
    for server in LEVELS.values():
        meter.fill(server, ["online"])
    path = os.path.join(bench.folder, "memory.yaml")
    with open(path, "w") as file:
        file.write(memory_view_make())
    fsctl(bench, LEVELS["memory"], "apply", "-f", path)


def sync_of(fields):
    """How a store makes its log durable, as the status of its server says."""
    sync = {name: fields[name] for name in ("sync_method", "dsync_us", "fdatasync_us")
            if name in fields}
    return {name: int(text) if name.endswith("_us") else text for name, text in sync.items()}


def sync_text(sync):
    text = "log synced by " + sync["sync_method"]
    if "dsync_us" not in sync:
        return text
    return text + " (at the start dsync took %(dsync_us)d us, fdatasync %(fdatasync_us)d us)" % sync


def turns_make(shape, levels):
    """All writers of one shape; a peer is measured once for both levels."""
    clients, depth = (text[1:] for text in shape.split("_"))
    how = ["--connections", clients, "--depth", depth]
    return ([(level, LEVELS[level], ["online", "--mix", "0:100", "--ack", level] + how)
             for level in levels]
            + [(name, "redis-" + name, ["redis", "--command", "set"] + how) for name in FSYNCS])


def lines_make(cases, levels, results, sync):
    lines = [load_line_make("%s_%s" % (level, shape), "redis-" + name, results[shape][level],
                            results[shape][name], "rows/s")
             for shape in cases for level in levels[shape] for name in FSYNCS]
    return [dict(line, **sync) for line in lines if line]


def compare(bench):
    options = bench.options
    bench.start(LEVELS["durable"], fsd_arguments)
    bench.start(LEVELS["memory"], fsd_memory_arguments)
    for name in FSYNCS:
        bench.start("redis-" + name, redis_arguments, "redis-" + name, redis_aof(name))
    meter = Meter(bench)
    stores_fill(bench, meter)
    sync = sync_of(json.loads(fsctl(bench, LEVELS["durable"], "--json", "status"))["fields"])
    levels = {shape: [level for level in LEVELS if "%s_%s" % (level, shape) in options.cases]
              for shape in SHAPES}
    cases = {shape: turns_make(shape, levels[shape]) for shape in SHAPES if levels[shape]}
    if options.is_paced:
        quick_times_settle(options, sum(map(len, cases.values())),
                           options.deadline - time.monotonic())
    results = rounds_run(meter, cases)
    options.method = "%d rounds of %.1f s; %s" % (options.rounds, options.duration, sync_text(sync))
    return lines_make(cases, levels, results, sync)
