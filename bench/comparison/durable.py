"""Rows of 400 bytes written, by acknowledgement level and by clients.

Cases
  durable_cN_dM  answered when on disk, N connections, M requests deep
  memory_cN_dM   answered when in memory (--ack memory)

Peers
  redis-always, -everysec, -no   the packed string, written with that appendfsync
"""

import time

from comparison.meter import Meter, quick_times_settle, rounds_run
from comparison.report import load_line_make
from comparison.servers import fsd_arguments, redis_aof, redis_arguments

CLIENTS, DEPTHS = (1, 8, 64), (1, 16)
FSYNCS = ("always", "everysec", "no")
PEERS = {"durable": FSYNCS, "memory": ("everysec", "no")}
SHAPES = ["c%d_d%d" % (clients, depth) for clients in CLIENTS for depth in DEPTHS]
CASES = ["%s_%s" % (level, shape) for shape in SHAPES for level in PEERS]
ROUNDS, ENTITIES, ENTITIES_QUICK = 3, 1000000, 100000


def turns_make(shape, levels):
    """All writers of one shape; a peer is measured once for both levels."""
    clients, depth = (text[1:] for text in shape.split("_"))
    how = ["--connections", clients, "--depth", depth]
    peers = [name for name in FSYNCS if any(name in PEERS[level] for level in levels)]
    return ([(level, "fstore", ["online", "--mix", "0:100", "--ack", level] + how)
             for level in levels]
            + [(name, "redis-" + name, ["redis", "--command", "set"] + how) for name in peers])


def compare(bench):
    options = bench.options
    bench.start("fstore", fsd_arguments)
    for name in FSYNCS:
        bench.start("redis-" + name, redis_arguments, "redis-" + name, redis_aof(name))
    meter = Meter(bench)
    meter.fill("fstore", ["online"])
    levels = {shape: [level for level in PEERS if "%s_%s" % (level, shape) in options.cases]
              for shape in SHAPES}
    cases = {shape: turns_make(shape, levels[shape]) for shape in SHAPES if levels[shape]}
    if options.is_paced:
        quick_times_settle(options, sum(map(len, cases.values())),
                           options.deadline - time.monotonic())
    results = rounds_run(meter, cases)
    options.method = "%d rounds of %.1f s" % (options.rounds, options.duration)
    return [load_line_make("%s_%s" % (level, shape), "redis-" + name, results[shape][level],
                           results[shape][name], "rows/s")
            for shape in cases for level in levels[shape] for name in PEERS[level]]
