"""Where the server's processor time goes: nanoseconds and cycles per request, by stage.

Cases
  get50, get50_depth1, batch100, put_durable   as in `bench/compare online`

Peers
  none: fstore alone

perf takes samples of the server's processor time while the load runs (cpu-clock: a virtual machine
has no counters of cycles). A sample in fsd belongs to the stage of the innermost function that has
one, inlined ones included, by its source file. Time per request is the server's processor time by
the requests answered meanwhile; cycles are that time at the clock rate of /proc/cpuinfo.
"""

import collections
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import time

from comparison.meter import Meter
from comparison.online import TURNS
from comparison.report import head_make
from comparison.servers import BUILD, ROOT, Failed, fsd_arguments, say

CASES = list(TURNS)
ROUNDS, ENTITIES, ENTITIES_QUICK = 3, 1000000, 300000
SAMPLES_PER_S = 4000
QUICK_DURATION = 3.0
PERF_SECONDS_MAX = 20

# The first pattern that is found in the path of a source file names its stage.
FILES = [
    (r"^net/(frame|conn|input|chunk)", "frames"),
    (r"^net/", "sockets"),
    (r"^(storage/online/index|src/base/hash|src/model/key)", "key hash and index"),
    (r"^(src/query/(copy_plan|number_plan|row_set)|src/model/row|storage/online/stored_row)",
     "row copy"),
    (r"^storage/online/(client_table|partition_(write|row)|slab)", "row writing"),
    (r"^storage/online/", "row lookup"),
    (r"^src/query/(copy_plan|number_plan|row_set)|^/?src/model/row", "row copy"),
    (r"^src/query/(write_block|write_plan)", "rows of a write"),
    (r"^src/query/reply", "reply"),
    (r"^src/query/", "lookup of a batch"),
    (r"^storage/log/", "log"),
    (r"^src/shard/committer", "log"),
    (r"^(src/shard/requests|src/shard/session|src/shard/write_request)", "requests"),
    (r"^src/(shard|base/(epoch|spsc|arena|buffers|pool|time|io_posix)|server)", "tick and epoch"),
]
KERNEL = [
    (r"tcp|inet|ip_|sock|skb|net|loopback|dev_|qdisc|csum|napi|nf_|xmit", "kernel: network"),
    (r"copy|rep_movs|memcpy|clear_page", "kernel: copying"),
    (r"io_|uring", "kernel: io_uring"),
    (r"ext4|blk|bio|virt|jbd|iomap|submit", "kernel: disk"),
]
LIBRARY = [(r"^(mem|__mem|__GI_mem)", "row copy"), (r"XXH", "key hash and index")]
OTHER = "other"


def stage_find(table, text):
    for pattern, stage in table:
        if re.search(pattern, text):
            return stage
    return None


class Program:
    """Source files of addresses in a running fsd."""

    def __init__(self, pid, path):
        self.path = path
        self.first = None
        with open("/proc/%d/maps" % pid) as maps:
            for line in maps:
                fields = line.split()
                if fields[-1] == path and int(fields[2], 16) == 0:
                    self.first = int(fields[0].split("-")[0], 16)
        if self.first is None:
            raise Failed("%s is not in the memory of process %d" % (path, pid))

    def stages(self, addresses):
        """Stage by address; inlined functions count for themselves."""
        text = "".join("0x%x\n" % (address - self.first) for address in addresses)
        done = subprocess.run(["addr2line", "-a", "-i", "-e", self.path], input=text,
                              stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Failed("addr2line failed")
        return dict(zip(addresses, stages_decode(done.stdout)))


def stages_decode(text):
    """Of the output of addr2line -a -i: a stage per address, in its order."""
    stages = []
    for line in text.splitlines():
        if line.startswith("0x"):
            stages.append(None)
        elif stages[-1] is None:
            stages[-1] = stage_find(FILES, line[len(ROOT) + 1:] if line.startswith(ROOT) else "")
    return [stage or OTHER for stage in stages]


def samples_decode(text):
    """Of `perf script -F ip,sym,dso`: counts by (address, symbol, file)."""
    counts = collections.Counter()
    for line in text.splitlines():
        found = re.match(r"\s*([0-9a-f]+)\s+(.*)\s+\(([^()]*(?:\([^()]*\))?[^()]*)\)\s*$", line)
        if found:
            counts[int(found.group(1), 16), found.group(2), found.group(3)] += 1
    return counts


def shares_make(counts, program):
    """Stage -> share of the samples."""
    own = [address for address, _, path in counts if path == program.path]
    by_address = program.stages(own)
    stages = collections.Counter()
    for (address, symbol, path), count in counts.items():
        if path == program.path:
            stage = by_address[address]
        elif path.startswith("[") or path.endswith(".ko"):
            stage = stage_find(KERNEL, symbol) or "kernel: other"
        else:
            stage = stage_find(LIBRARY, symbol) or OTHER
        stages[stage] += count
    total = sum(stages.values())
    return {stage: count / total for stage, count in stages.items()}


def descriptors_of(pid):
    """What a process has open; nothing of one that has just ended."""
    try:
        folder = "/proc/%d/fd" % pid
        return [os.readlink(os.path.join(folder, number)) for number in os.listdir(folder)]
    except OSError:
        return []


def perf_start(pid, data):
    """Returns once samples are taken."""
    perf = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", str(SAMPLES_PER_S),
                             "-p", str(pid), "-o", data],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PERF_SECONDS_MAX
    while perf.poll() is None and time.monotonic() < deadline:
        if any("perf_event" in target for target in descriptors_of(perf.pid)):
            return perf
        time.sleep(0.01)
    perf.kill()
    raise Failed("perf record does not start: is it allowed (kernel.perf_event_paranoid)?")


def profile_run(meter, arguments):
    """Result of fsbench, and shares by stage, of one run."""
    server = meter.bench.servers["fstore"]
    program = Program(server.process.pid, os.path.join(BUILD, "fsd"))
    data = os.path.join(meter.bench.folder, "perf.data")
    perf = perf_start(server.process.pid, data)
    try:
        result = meter.run("fstore", arguments + meter.timing())
    finally:
        perf.send_signal(signal.SIGINT)
        perf.wait()
    done = subprocess.run(["perf", "script", "-i", data, "-F", "ip,sym,dso"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    counts = samples_decode(done.stdout)
    if done.returncode != 0 or not counts:
        raise Failed("perf took no samples: %s" % done.stderr.strip())
    return result, shares_make(counts, program)


def clock_ghz():
    with open("/proc/cpuinfo") as info:
        found = re.search(r"cpu MHz\s*:\s*([0-9.]+)", info.read())
    return float(found.group(1)) / 1000 if found else None


def lines_make(case, runs, ghz):
    """`runs`: (result, shares) by round. The largest stage first."""
    request_ns = statistics.median(
        result["server_cpu"] / result["requests_per_s"] * 1e9 for result, _ in runs)
    lines = []
    for stage in {stage for _, shares in runs for stage in shares}:
        each = [shares.get(stage, 0.0) for _, shares in runs]
        share = statistics.median(each)
        lines.append({"case": case, "stage": stage, "share": round(share, 4),
                      "share_spread": round(max(each) - min(each), 4),
                      "ns": round(share * request_ns, 1),
                      "cycles": round(share * request_ns * ghz) if ghz else None,
                      "request_ns": round(request_ns, 1), "rounds": len(runs)})
    return sorted(lines, key=lambda line: -line["share"])


def compare(bench):
    options = bench.options
    if not shutil.which("perf"):
        raise Failed("perf is missing: install the package linux-perf")
    if options.is_paced:
        options.rounds, options.duration = 1, QUICK_DURATION
        options.warmup = options.duration / 3
    bench.start("fstore", fsd_arguments)
    meter = Meter(bench)
    meter.fill("fstore", ["online"])
    lines = []
    for case in options.cases:
        arguments = next(how for name, _, how in TURNS[case] if name == "fstore")
        say("profile of %s" % case)
        runs = [profile_run(meter, arguments) for _ in range(options.rounds)]
        lines += lines_make(case, runs, clock_ghz())
    options.method = "%d rounds of %.1f s" % (options.rounds, options.duration)
    return lines


def report_print(lines, options):
    if options.json:
        for line in lines:
            print(json.dumps(line))
        return
    form = "| %s | %s | %s | %s | %s |" if options.markdown else "%-13s %-20s %7s %9s %9s"
    print(head_make(options) + ("\n" if options.markdown else ""))
    print(form % ("case", "stage", "share", "ns", "cycles"))
    if options.markdown:
        print("|---|---|---|---|---|")
    for number, line in enumerate(lines):
        if number == 0 or lines[number - 1]["case"] != line["case"]:
            print(form % (line["case"], "all of a request", "100 %", "%.0f" % line["request_ns"],
                          ""))
        print(form % ("", line["stage"], "%.1f %%" % (100 * line["share"]), "%.0f" % line["ns"],
                      "" if line["cycles"] is None else line["cycles"]))
