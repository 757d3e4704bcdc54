"""What is answered when more is asked than can be answered: an open loop of reads of 100 entities.

Cases
  goodput_1x, _2x, _5x, _10x   requests answered in time at that multiple of the peak, by the peak;
                               the peak is what a closed loop reaches, of each server its own

Peers
  redis-mget   a string per entity with all features packed

Beside each: how much the server's own memory grew at most meanwhile, and how late the load was.
Requests are large, 100 entities each, because the load sends those of an open loop one by one: of
small ones it can send less than the server answers.
"""

import statistics
import threading
import time

from comparison.meter import Meter, quick_times_settle
from comparison.report import line_make
from comparison.servers import fsd_arguments, redis_arguments, say

MULTIPLES = (1, 2, 5, 10)
CASES = ["goodput_%dx" % multiple for multiple in MULTIPLES]
ROUNDS, ENTITIES, ENTITIES_QUICK = 3, 1000000, 300000
BATCH = ["--entities-per-request", "100", "--depth", "16"]
LOADS = {"fstore": ["online"] + BATCH, "redis-mget": ["redis", "--command", "mget"] + BATCH}
LOOK_SECONDS = 0.05


class MemoryWatch:
    """The most that a server's own memory grows while something runs."""

    def __init__(self, server):
        self.server = server
        self.first = self.most = server.resident_bytes()
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        while not self.end.wait(LOOK_SECONDS):
            self.most = max(self.most, self.server.resident_bytes())

    def growth_bytes(self):
        self.end.set()
        self.thread.join()
        return self.most - self.first


def overload_run(meter, name, rate):
    """The figures of an open loop; fsbench is not asked to judge whether it was the limit."""
    watch = MemoryWatch(meter.bench.servers[name])
    try:
        result = meter.run(name, LOADS[name] + meter.timing() + [
            "--rate", str(int(rate)), "--lateness-max", "0"], has_server_pid=False)
    finally:
        growth = watch.growth_bytes()
    if result:
        result["growth_bytes"] = growth
    return result


def case_line(case, peaks, runs):
    """`peaks` and `runs`: lists by server."""
    goodput = {name: [one["requests_per_s"] / statistics.median(peaks[name]) for one in ones]
               for name, ones in runs.items()}
    more = {}
    for side, name in (("ours", "fstore"), ("theirs", "redis-mget")):
        if not runs[name]:
            return None
        more[side + "_requests_per_s"] = statistics.median(
            one["requests_per_s"] for one in runs[name])
        more[side + "_p99_us"] = statistics.median(one["read_us"]["p99"] for one in runs[name])
        more[side + "_lateness_p99_us"] = statistics.median(
            one["lateness_us"]["p99"] for one in runs[name])
        more[side + "_growth_bytes"] = max(one["growth_bytes"] for one in runs[name])
    note = "grew %d and %d KiB; load late by %.0f and %.0f us at p99" % (
        more["ours_growth_bytes"] >> 10, more["theirs_growth_bytes"] >> 10,
        more["ours_lateness_p99_us"], more["theirs_lateness_p99_us"])
    return line_make(case, "redis-mget", goodput["fstore"], goodput["redis-mget"], "of peak",
                     note=note, **more)


def compare(bench):
    options = bench.options
    bench.start("fstore", fsd_arguments)
    bench.start("redis-mget", redis_arguments, "redis-mget", [])
    meter = Meter(bench)
    for name, load in LOADS.items():
        meter.fill(name, load)
    if options.is_paced:
        quick_times_settle(options, len(LOADS) * (1 + len(options.cases)),
                           options.deadline - time.monotonic())
    peaks = {name: [] for name in LOADS}
    runs = {case: {name: [] for name in LOADS} for case in options.cases}
    for number in range(options.rounds):
        say("round %d of %d" % (number + 1, options.rounds))
        for name, load in LOADS.items():
            peaks[name].append(meter.run(name, load + meter.timing())["requests_per_s"])
            for case in options.cases:
                multiple = MULTIPLES[CASES.index(case)]
                result = overload_run(meter, name, multiple * statistics.median(peaks[name]))
                if result:
                    runs[case][name].append(result)
    options.method = "%d rounds of %.1f s" % (options.rounds, options.duration)
    return [case_line(case, peaks, runs[case]) for case in options.cases]
