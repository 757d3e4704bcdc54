"""What is answered when more is asked than can be answered: an open loop of reads of 100 entities.

Cases
  goodput_1x, _2x, _5x, _10x   requests answered in time at that multiple of the peak, by the peak;
                               the peak is what a closed loop reaches, of each server its own
  recovery_10x                 seconds from the end of a load of 10 times the peak, whose clients
                               leave without waiting for answers, until reads at half of the peak
                               are answered as fast as before it

Peers
  redis-mget   a string per entity with all features packed

In time is within 200 ms of when the request was sent. fstore is told a part of that with each
request (--deadline 50ms): it counts from when it received it, and what it begins it finishes. Redis
has no such thing. Beside each: how much the server's own
memory grew at most meanwhile, p99 of what was answered, from when it was sent, and how late the
load was. Requests are large, 100 entities each: of small ones the load can send hardly more than
the server answers. The peak is measured anew before each multiple of it.
"""

import statistics
import subprocess
import threading
import time

from comparison.meter import Meter, quick_times_settle
from comparison.report import line_make
from comparison.servers import Failed, fsd_arguments, redis_arguments, say

MULTIPLES = {"goodput_1x": 1, "goodput_2x": 2, "goodput_5x": 5, "goodput_10x": 10}
RECOVERY = "recovery_10x"
CASES = list(MULTIPLES) + [RECOVERY]
ROUNDS, ENTITIES, ENTITIES_QUICK = 3, 1000000, 300000
ROUNDS_QUICK, DRAIN_SECONDS = 2, 0.4  # a run ends when all that was sent is answered
PEER = "redis-mget"
BATCH = ["--entities-per-request", "100", "--depth", "64"]
LOADS = {"fstore": ["online"] + BATCH, PEER: ["redis", "--command", "mget"] + BATCH}
IN_TIME = ["--in-time", "200ms"]
OPEN_LOOPS = {"fstore": LOADS["fstore"] + IN_TIME + ["--deadline", "50ms"],
              PEER: LOADS[PEER] + IN_TIME}
GOODPUT_MIN = 0.001  # of the peak: what stands for nothing at all, so that there is a ratio
LOOK_SECONDS = 0.05
FLOOD_MULTIPLE, INTERVAL_SECONDS, RECOVERY_SECONDS = 10, 0.1, 1.5
CALM_FACTOR, CALM_US_MIN = 2, 1000  # of the p99 before: below that a server is itself again


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


def open_loop(name, rate):
    return OPEN_LOOPS[name] + ["--rate", str(max(1, int(rate))), "--lateness-max", "0"]


def overload_run(meter, name, rate):
    """The figures of an open loop; fsbench is not asked to judge whether it was the limit."""
    watch = MemoryWatch(meter.bench.servers[name])
    try:
        result = meter.run(name, open_loop(name, rate) + meter.timing(), has_server_pid=False,
                           may_be_silent=True)
    finally:
        growth = watch.growth_bytes()
    result["growth_bytes"] = growth
    return result


def goodput(result):
    """Answers a second that came in time."""
    return result["requests_per_s"] * (1 - result["late"] / max(1, result["replies"]))


def flood(meter, name, rate, seconds):
    """A load that is gone in the middle of its work."""
    command = meter.command(name, open_loop(name, rate) + ["--duration", "1h", "--warmup", "0"])
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return
    raise Failed("the flood of %s ended by itself" % name)


def calm_after_seconds(intervals, bound_us):
    """From the first interval to the end of the first from which on all keep the bound."""
    bad = [number for number, one in enumerate(intervals)
           if one["read_us"]["count"] == 0 or one["read_us"]["p99"] > bound_us]
    return INTERVAL_SECONDS * (max(bad, default=-1) + 2)


def recovery_run(meter, name, peak):
    """Seconds from the end of a flood until the server answers as before; to 0.1 s."""
    calm = open_loop(name, peak / 2)
    before = meter.run(name, calm + meter.timing(), has_server_pid=False)
    bound_us = max(CALM_FACTOR * before["read_us"]["p99"], CALM_US_MIN)
    flood(meter, name, FLOOD_MULTIPLE * peak, meter.options.duration)
    begin = time.monotonic()
    after = meter.run(name, calm + [
        "--warmup", "0", "--duration", "%dms" % (1000 * RECOVERY_SECONDS),
        "--interval", "%dms" % (1000 * INTERVAL_SECONDS)], has_server_pid=False, may_be_silent=True)
    connecting = max(0, time.monotonic() - begin - RECOVERY_SECONDS)
    return connecting + calm_after_seconds(after["intervals"], bound_us)


def side_fields(side, runs):
    return {side + "_requests_per_s": statistics.median(map(goodput, runs)),
            side + "_p99_us": statistics.median(one["service_us"]["p99"] for one in runs),
            side + "_timeouts": sum(one["timeouts"] for one in runs),
            side + "_late": sum(one["late"] for one in runs),
            side + "_lateness_p99_us": statistics.median(
                one["lateness_us"]["p99"] for one in runs),
            side + "_growth_bytes": max(one["growth_bytes"] for one in runs)}


def case_line(case, peaks, runs):
    """`peaks` and `runs`: lists by server, of each run and the peak before it."""
    if not runs["fstore"] or not runs[PEER]:
        return None
    if case == RECOVERY:
        return line_make(case, PEER, runs["fstore"], runs[PEER], "s")
    good = {name: [max(GOODPUT_MIN, goodput(one) / peak) for one, peak in zip(ones, peaks[name])]
            for name, ones in runs.items()}
    more = side_fields("ours", runs["fstore"])
    more.update(side_fields("theirs", runs[PEER]))
    note = "p99 %.1f and %.1f ms; grew %d and %d KiB; load late by %.0f and %.0f us at p99" % (
        more["ours_p99_us"] / 1000, more["theirs_p99_us"] / 1000,
        more["ours_growth_bytes"] >> 10, more["theirs_growth_bytes"] >> 10,
        more["ours_lateness_p99_us"], more["theirs_lateness_p99_us"])
    return line_make(case, PEER, good["fstore"], good[PEER], "of peak", note=note, **more)


def case_run(meter, case, name, peak):
    if case == RECOVERY:
        return recovery_run(meter, name, peak)
    return overload_run(meter, name, MULTIPLES[case] * peak)


def compare(bench):
    options = bench.options
    bench.start("fstore", fsd_arguments)
    bench.start(PEER, redis_arguments, PEER, [])
    meter = Meter(bench)
    for name, load in LOADS.items():
        meter.fill(name, load)
    if options.is_paced:
        turns = 2 * len(options.cases) + (RECOVERY in options.cases)
        options.rounds = min(options.rounds, ROUNDS_QUICK)
        fixed = options.rounds * len(LOADS) * (
            RECOVERY_SECONDS * (RECOVERY in options.cases) + DRAIN_SECONDS * len(options.cases))
        quick_times_settle(options, len(LOADS) * turns,
                           options.deadline - time.monotonic() - fixed)
    peaks, runs = ({case: {name: [] for name in LOADS} for case in options.cases}
                   for _ in range(2))
    for number in range(options.rounds):
        say("round %d of %d" % (number + 1, options.rounds))
        for name, load in LOADS.items():
            for case in options.cases:
                peak = meter.run(name, load + meter.timing())["requests_per_s"]
                peaks[case][name].append(peak)
                runs[case][name].append(case_run(meter, case, name, peak))
    options.method = "%d rounds of %.1f s" % (options.rounds, options.duration)
    return [case_line(case, peaks[case], runs[case]) for case in options.cases]
