"""Rows worth five times the memory, in a view with `evict: true`: what is found in memory, and what
the others cost."""

import json
import os
import subprocess

from comparison.report import line_make
from comparison.servers import BUILD, Failed, fsd_arguments, say

CASES = ["warm_zipf", "warm_set", "warm_p50", "warm_p99"]
SERVER = "fstore-warm"
MEMORY_MIB, MEMORY_MIB_QUICK = 1024, 64
PARTITION_MIB = 16
QUICK_SECONDS = 40  # that filling and measuring take, about, with --quick
TIMES, ROW_BYTES = 5, 450  # of the memory; of a row with its part of the index
SETTLE_SECONDS, MEASURE_SECONDS = 60.0, 20.0
SETTLE_SECONDS_QUICK, MEASURE_SECONDS_QUICK = 2.0, 1.0
SET_SHARE, HOT_SHARE = 10, 200  # parts of all rows: the working set, and what surely stays
EXPONENT = 0.99
LOAD = ["online", "--entities-per-request", "10", "--connections", "16", "--depth", "4"]
ALONE = ["online", "--connections", "1", "--depth", "1"]


def fsd_warm_arguments(port, folder, mib):
    """A store of its own, with partitions of 16 MiB: a place of one size is of no use to another,
    and in few MiB there is little choice."""
    partitions = max(1, min(64, mib // PARTITION_MIB))
    arguments = fsd_arguments(port, folder, ["--memory", "%dM" % mib,
                                             "--partitions", str(partitions)])
    arguments[arguments.index("--data") + 1] += "-warm"
    return arguments


def status_of(server):
    """Counters and figures of `fsctl status`, by name."""
    done = subprocess.run([os.path.join(BUILD, "fsctl"), "--server", server.address, "--json",
                           "status"], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failed("fsctl status failed")
    status = json.loads(done.stdout)
    found = {one["name"]: one["value"] for one in status["metrics"]}
    found.update(rows=int(status["fields"]["rows"]),
                 rows_evicted_now=int(status["fields"]["evicted"]))
    return found


def zeta(count, exponent):
    """Sum of i^-exponent for i = 1 to count: the first terms, and an integral."""
    first = min(count, 100000)
    total = sum(i ** -exponent for i in range(1, first + 1))
    rest = 1 - exponent
    return total + ((count + 0.5) ** rest - (first + 0.5) ** rest) / rest


def hit_ideal(in_memory, rows, exponent):
    """Share of the reads that go to the `in_memory` keys which are read most."""
    if exponent == 0:
        return min(1.0, in_memory / rows)
    return zeta(min(in_memory, rows), exponent) / zeta(rows, exponent)


class Tiers:
    def __init__(self, meter, rows):
        self.meter = meter
        self.rows = rows
        self.server = meter.bench.servers[SERVER]
        quick = meter.options.quick
        self.settle = SETTLE_SECONDS_QUICK if quick else SETTLE_SECONDS
        self.measure = MEASURE_SECONDS_QUICK if quick else MEASURE_SECONDS

    def run(self, load, keys, seconds):
        return self.meter.run(SERVER, load + keys + [
            "--duration", "%dms" % round(1000 * seconds), "--warmup", "0"])

    def hits(self, keys):
        """Share of the keys that were found in memory, once it has settled; the status behind."""
        self.run(LOAD, keys, self.settle)
        before = status_of(self.server)
        self.run(LOAD, keys, self.measure)
        after = status_of(self.server)
        read = after["keys_read"] - before["keys_read"]
        return 1 - (after["warm_rows"] - before["warm_rows"]) / read, after

    def latency(self, keys):
        """Microseconds by quantile of single reads, one at a time, and the share from disk."""
        before = status_of(self.server)
        result = self.run(ALONE, keys, self.measure)
        after = status_of(self.server)
        warm = (after["warm_rows"] - before["warm_rows"]) / (
            after["keys_read"] - before["keys_read"])
        return result["read_us"], warm


def hit_line(case, hit, ideal, status):
    note = "of keys read; {:,} of {:,} rows evicted".format(
        status["rows_evicted_now"], status["rows"])
    return line_make(case, "ideal", [hit], [ideal], "in memory", note=note,
                     rows=status["rows"], rows_evicted_now=status["rows_evicted_now"],
                     rows_evicted=status["rows_evicted"], rows_promoted=status["rows_promoted"])


def hit_lines(tiers, cases):
    lines = []
    part = tiers.rows // SET_SHARE
    for case, count, keys, exponent in (
            ("warm_zipf", tiers.rows, ["--keys", "zipf:%.2f" % EXPONENT], EXPONENT),
            ("warm_set", part, [], 0)):
        if case in cases:
            hit, status = tiers.hits(keys + ["--entities", str(count)])
            in_memory = status["rows"] - status["rows_evicted_now"]
            lines.append(hit_line(case, hit, hit_ideal(in_memory, count, exponent), status))
    return lines


def latency_lines(tiers, cases):
    """Of a few keys that were just read often, and of all but the working set."""
    hot_keys = ["--entities", str(max(1, tiers.rows // HOT_SHARE))]
    part = tiers.rows // SET_SHARE
    cold_keys = ["--first", str(part), "--entities", str(tiers.rows - part)]
    tiers.run(LOAD, hot_keys, tiers.settle)
    hot, hot_warm = tiers.latency(hot_keys)
    cold, cold_warm = tiers.latency(cold_keys)
    note = "one at a time; {:.1%} and {:.1%} of the keys from disk".format(cold_warm, hot_warm)
    return [line_make("warm_" + name, "hot keys", [cold[name]], [hot[name]], "us", note=note,
                      ours_from_disk=round(cold_warm, 4), theirs_from_disk=round(hot_warm, 4))
            for name in ("p50", "p99") if "warm_" + name in cases]


def warm_measure(meter, cases):
    """Starts a server of its own, fills it, measures, and stops it."""
    mib = MEMORY_MIB_QUICK if meter.options.quick else MEMORY_MIB
    rows = TIMES * (mib << 20) // ROW_BYTES
    server = meter.bench.start(SERVER, fsd_warm_arguments, mib)
    meter.fill(SERVER, ["online", "--evict", "--entities", str(rows)])
    say("warm tier: {:,} rows and {:,} MiB of memory".format(rows, mib))
    tiers = Tiers(meter, rows)
    lines = hit_lines(tiers, cases)
    if "warm_p50" in cases or "warm_p99" in cases:
        lines += latency_lines(tiers, cases)
    server.stop()
    return lines
