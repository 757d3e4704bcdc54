"""Reads and durable writes of rows of 50 float64.

Cases
  get50          1 entity x 50 float64, 64 connections, 16 requests deep
  get50_depth1   the same, one request at a time per connection
  batch100       100 entities x 50 float64 per request, 64 connections, 16 deep
  put_durable    writes of 400-byte rows, answered when on disk, 64 connections, 16 deep
  get50_p99      p99 latency of get50 in an open loop at half of fstore's peak, beside echo

Peers
  redis-hmget       a hash per entity, a field per feature
  redis-get, -mget  a string per entity with all features packed
  redis-aof-always  the packed string, written with appendfsync always
  valkey-*          the same of Valkey (not with --quick)
  echo              fsecho: a bare io_uring server that sends replies of the same size; the floor
"""

import os
import statistics
import time

from comparison.meter import FEATURES, ROUNDS_MIN, Meter, quick_times_settle, rounds_run
from comparison.report import line_make, load_fields, load_line_make
from comparison.servers import BUILD, fsd_arguments, redis_aof, redis_arguments, valkey_find

BATCH_KEYS = 100
TAIL = "get50_p99"

# Bytes on the wire of fstore's requests and replies (docs/protocol.md): the echo's are the same.
GET_HEAD, KEY = 16 + 32, 8
REPLY_HEAD, ROW = 16 + 8, 32 + 8 + 8 * FEATURES


def echo_load(keys):
    return ["echo", "--request-bytes", str(GET_HEAD + KEY * keys),
            "--reply-bytes", str(REPLY_HEAD + ROW * keys)]


def echo_arguments(port, folder, keys):
    del folder
    return [os.path.join(BUILD, "fsecho"), "--port", str(port)] + echo_load(keys)[1:]


# Case, then who takes part: name in the results, server, arguments of fsbench.
GET50 = [
    ("fstore", "fstore", ["online"]),
    ("redis-hmget", "redis-fields", ["redis", "--command", "hmget"]),
    ("redis-get", "redis-blobs", ["redis", "--command", "get"]),
    ("echo", "echo-1", echo_load(1)),
]
BATCH = ["--entities-per-request", str(BATCH_KEYS)]
TURNS = {
    "get50": [(n, s, a + ["--depth", "16"]) for n, s, a in GET50],
    "get50_depth1": [(n, s, a + ["--depth", "1"]) for n, s, a in GET50],
    "batch100": [
        ("fstore", "fstore", ["online"] + BATCH),
        ("redis-mget", "redis-blobs", ["redis", "--command", "mget"] + BATCH),
        ("echo", "echo-batch", echo_load(BATCH_KEYS)),
    ],
    "put_durable": [
        ("fstore", "fstore", ["online", "--mix", "0:100", "--ack", "durable"]),
        ("redis-aof-always", "redis-aof", ["redis", "--command", "set"]),
    ],
}
CASES = list(TURNS) + [TAIL]
REDIS, VALKEY = "redis-", "valkey-"
ROUNDS, ENTITIES, ENTITIES_QUICK = 5, 1000000, 300000


def redis_start(bench, prefix, program):
    """The three servers of Redis, or of what speaks like it."""
    for kind, more in (("fields", []), ("blobs", []), ("aof", redis_aof("always"))):
        bench.start(prefix + kind, redis_arguments, prefix + kind, more, program)


def redis_fill(meter, prefix):
    meter.fill(prefix + "fields", ["redis", "--command", "hmget"])
    meter.fill(prefix + "blobs", ["redis", "--command", "get"])


def valkey_turns(turns):
    """Those of Redis once more, of Valkey."""
    return turns + [(VALKEY + name[len(REDIS):], VALKEY + server[len(REDIS):], arguments)
                    for name, server, arguments in turns if name.startswith(REDIS)]


def servers_start(bench):
    bench.start("fstore", fsd_arguments)
    redis_start(bench, REDIS, "redis-server")
    bench.start("echo-1", echo_arguments, 1)
    bench.start("echo-batch", echo_arguments, BATCH_KEYS)


def tail_line(meter, peak):
    """The p99 in microseconds of fstore and echo at half of `peak` requests a second."""
    open_loop = meter.timing() + ["--rate", str(int(peak / 2))]
    runs = {"fstore": [], "echo": []}
    for _ in range(meter.options.rounds):
        for name, server, arguments in (("fstore", "fstore", ["online"]),
                                        ("echo", "echo-1", echo_load(1))):
            result = meter.run(server, arguments + open_loop)
            if result:
                runs[name].append(result)
    p99 = {name: [one["read_us"]["p99"] for one in results] for name, results in runs.items()}
    return line_make(TAIL, "echo", p99["fstore"], p99["echo"], "us", rate=int(peak / 2),
                     **load_fields(runs["fstore"] + runs["echo"]))


def peak_find(meter, results):
    """Requests a second of get50 in a closed loop."""
    runs = results.get("get50", {}).get("fstore")
    if not runs:
        (_, server, arguments) = TURNS["get50"][0]
        runs = [meter.run(server, arguments + meter.timing()) for _ in range(ROUNDS_MIN)]
    return statistics.median(one["requests_per_s"] for one in runs)


def compare(bench):
    options = bench.options
    servers_start(bench)
    meter = Meter(bench)
    meter.fill("fstore", ["online"])
    redis_fill(meter, REDIS)
    cases = {case: TURNS[case] for case in options.cases if case != TAIL}
    valkey = None if options.quick else valkey_find()
    if valkey:
        redis_start(bench, VALKEY, valkey)
        redis_fill(meter, VALKEY)
        cases = {case: valkey_turns(turns) for case, turns in cases.items()}
    has_tail = TAIL in options.cases
    if options.is_paced:
        turns = sum(map(len, cases.values())) + 2 * has_tail
        quick_times_settle(options, turns, options.deadline - time.monotonic())
    results = rounds_run(meter, cases)
    lines = [load_line_make(case, name, by_name["fstore"], runs)
             for case, by_name in results.items()
             for name, runs in by_name.items() if name != "fstore"]
    if has_tail:
        lines.append(tail_line(meter, peak_find(meter, results)))
    options.method = "%d rounds of %.1f s" % (options.rounds, options.duration)
    return lines
