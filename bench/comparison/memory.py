"""Memory for rows of 50 float64, and reads while a table grows.

Cases
  rss50          bytes per row: resident memory of the process, and for fsd the table files
  growth_p999    p99.9 of reads of 100 entities, in an open loop at half of their peak, while
                 the table grows from --entities rows to 20 times as many (--quick: 5 times)
  warm_zipf      share of the keys read that are in memory, where rows are worth five times the
                 memory and may be evicted; keys by a Zipf distribution of exponent 0.99
  warm_set       the same of a tenth of the keys, all alike
  warm_p50, _p99 latency of a single read of rows that are on the disk

Peers
  ideal          warm_zipf, warm_set: the rows in memory were those that are read most
  hot keys       warm_p50, _p99: the same of rows that are in memory
  no growth      growth_p999: the same reads of the same server before, without any writes
  redis-hash     a hash per entity, a field per feature
  redis-string   a string per entity with all features packed
"""

import json
import os
import subprocess
import time

from comparison import warm
from comparison.growth import factor, growth_measure
from comparison.meter import Meter
from comparison.report import line_make
from comparison.servers import BUILD, Failed, folder_bytes, fsd_arguments, redis_arguments, say

CASES = ["rss50", "growth_p999"] + warm.CASES
ROUNDS, ENTITIES, ENTITIES_QUICK = 1, 1000000, 200000
PARTS = ("payload", "index", "headers", "slack", "free", "waiting", "ahead", "fixed")
ROW_BYTES_MAX = 600  # what --memory of fsd must have room for


def fsd_memory(entities):
    return ["--memory", "%dM" % max(4096, entities * ROW_BYTES_MAX >> 20)]


def memory_of(server):
    """fsd's own account of its tables (docs/operations.md)."""
    done = subprocess.run([os.path.join(BUILD, "fsctl"), "--server", server.address, "--json",
                           "status"], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failed("fsctl status failed")
    return json.loads(done.stdout)["memory"]


def parts_note(memory, entities):
    """Where the memory of a row is, by fsd's own account."""
    return "tables %.3f of payload; parts: %s" % (
        memory["total_of_payload"],
        ", ".join("%s %.4g" % (name, memory[name] / entities) for name in PARTS))


def rss_lines(meter, fsd, tables):
    """With fsd filled; the peers are started here, one after another."""
    bench, options = meter.bench, meter.options
    ours = fsd.resident_bytes() + folder_bytes(tables)
    memory = memory_of(fsd)
    bytes_by_name = {}
    for name, command in (("redis-hash", "hmget"), ("redis-string", "get")):
        server = bench.start(name, redis_arguments, name, [])
        meter.fill(name, ["redis", "--command", command])
        bytes_by_name[name] = server.resident_bytes()
        server.stop()
    return [line_make("rss50", name, [ours / options.entities], [theirs / options.entities],
                      "bytes/row", note=parts_note(memory, options.entities),
                      ours_of_payload=round(ours / memory["payload"], 4),
                      theirs_of_payload=round(theirs / memory["payload"], 4),
                      tables_of_payload=memory["total_of_payload"], tables=memory)
            for name, theirs in bytes_by_name.items()]


def growing_lines(meter):
    """Of one server that is filled, and then grows."""
    bench, options = meter.bench, meter.options
    fsd = bench.start("fstore", fsd_arguments, fsd_memory(options.entities * factor(options)))
    meter.fill("fstore", ["online"])
    lines = []
    if "rss50" in options.cases:
        lines += rss_lines(meter, fsd, os.path.join(bench.folder, "tables"))
    if "growth_p999" in options.cases:
        lines.append(growth_measure(meter))
    fsd.stop()
    return lines


def compare(bench):
    options = bench.options
    meter = Meter(bench)
    lines = []
    if {"rss50", "growth_p999"} & set(options.cases):
        lines += growing_lines(meter)
    if set(warm.CASES) & set(options.cases):
        if lines and time.monotonic() > options.deadline - warm.QUICK_SECONDS:
            say("no time left for the warm tier in a quick run: --cases %s" % ",".join(warm.CASES))
        else:
            lines += warm.warm_measure(meter, options.cases)
    options.method = "filled once"
    return lines
