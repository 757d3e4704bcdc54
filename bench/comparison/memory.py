"""Memory for rows of 50 float64.

Cases
  rss50          bytes per row: resident memory of the process, and for fsd the table files

Peers
  redis-hash     a hash per entity, a field per feature
  redis-string   a string per entity with all features packed
"""

import json
import os
import subprocess

from comparison.meter import Meter
from comparison.report import line_make
from comparison.servers import BUILD, Failed, folder_bytes, fsd_arguments, redis_arguments

CASES = ["rss50"]
ROUNDS, ENTITIES, ENTITIES_QUICK = 1, 1000000, 300000
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


def compare(bench):
    options = bench.options
    meter = Meter(bench)
    tables = os.path.join(bench.folder, "tables")
    bytes_by_name = {}
    fsd = bench.start("fstore", fsd_arguments, fsd_memory(options.entities))
    meter.fill("fstore", ["online"])
    ours = fsd.resident_bytes() + folder_bytes(tables)
    memory = memory_of(fsd)
    fsd.stop()
    for name, command in (("redis-hash", "hmget"), ("redis-string", "get")):
        server = bench.start(name, redis_arguments, name, [])
        meter.fill(name, ["redis", "--command", command])
        bytes_by_name[name] = server.resident_bytes()
        server.stop()
    options.method = "filled once"
    note = "%.3f of payload, tables alone %.3f" % (ours / memory["payload"],
                                                   memory["total_of_payload"])
    return [line_make("rss50", name, [ours / options.entities], [theirs / options.entities],
                      "bytes/row", note=note, ours_of_payload=round(ours / memory["payload"], 4),
                      tables_of_payload=memory["total_of_payload"], tables=memory)
            for name, theirs in bytes_by_name.items()]
