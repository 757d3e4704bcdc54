"""The load: runs of fsbench, pinned, with what all of them share."""

import json
import os
import subprocess
import time

from comparison.servers import BUILD, Failed, say

FSBENCH = os.path.join(BUILD, "fsbench")
FEATURES = 50
REFUSED = 4  # fsbench's exit code for an open loop that it did not keep
ROUND_OVERHEAD_SECONDS = 0.12  # connecting, and starting fsbench
ROUNDS_MIN = 3


class Meter:
    def __init__(self, bench):
        self.bench = bench
        self.options = bench.options

    def timing(self):
        return ["--duration", "%dms" % round(self.options.duration * 1000),
                "--warmup", "%dms" % round(self.options.warmup * 1000)]

    def command(self, server, arguments):
        """What `arguments` do not say is as the options have it."""
        shared = {"--entities": self.options.entities, "--features": FEATURES,
                  "--connections": self.options.connections, "--cpu": self.options.load_cpu,
                  "--server": self.bench.servers[server].address}
        given = [text for name, value in shared.items() if name not in arguments
                 for text in (name, str(value))]
        return [FSBENCH] + arguments + given + ["--json"]

    def run(self, server, arguments, has_server_pid=True, may_be_silent=False):
        """The figures of one run; None if fsbench refuses it, which is said. A server that answers
        nothing in time has failed, unless it may be silent."""
        command = self.command(server, arguments)
        is_kept = self.options.untrusted and "--rate" in command
        if is_kept and "--lateness-max" not in command:
            command += ["--lateness-max", "0"]
        if has_server_pid and not is_kept:
            command += ["--server-pid", str(self.bench.servers[server].process.pid)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        if done.returncode == REFUSED:
            say("left out: %s\n%s" % (" ".join(command), done.stderr.strip()))
            return None
        if done.returncode == 1 and may_be_silent and done.stdout:
            result = json.loads(done.stdout)
            if result["wrong"] == 0:
                say("no answer in time: %s" % " ".join(command))
                return result
        if done.returncode != 0:
            raise Failed("%s\n%s%s" % (" ".join(command), done.stdout, done.stderr))
        return json.loads(done.stdout) if done.stdout else None

    def fill(self, server, arguments):
        start = time.monotonic()
        self.run(server, arguments + ["--load", "--duration", "0"])
        say("%s filled in %.1f s" % (server, time.monotonic() - start))

    def answers(self, server, arguments):
        """Whether the server answers a read of its first row now, with all its values."""
        command = self.command(server, arguments + ["--entities", "1", "--connections", "1",
                                                    "--verify-load", "--duration", "0"])
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0


def quick_times_settle(options, turns, seconds_left):
    """Spreads what is left of the time over the turns of all rounds."""
    each = seconds_left / (options.rounds * turns) - ROUND_OVERHEAD_SECONDS
    options.duration = min(max(each * 0.75, 0.15), 2.0)
    options.warmup = options.duration / 3


def rounds_run(meter, cases):
    """All results: case -> name -> list of fsbench objects, one a round. `cases` has a list of
    (name, server, arguments) by case. After ROUNDS_MIN, a round that would end after the deadline
    is left out."""
    options = meter.options
    results = {case: {name: [] for name, _, _ in turns} for case, turns in cases.items()}
    number = 0
    for number in range(options.rounds):
        begin = time.monotonic()
        say("round %d of %d" % (number + 1, options.rounds))
        for case, turns in cases.items():
            shift = number % len(turns)
            for name, server, arguments in turns[shift:] + turns[:shift]:
                result = meter.run(server, arguments + meter.timing(), may_be_silent=True)
                if result:
                    results[case][name].append(result)
        now = time.monotonic()
        if number + 1 >= ROUNDS_MIN and now + (now - begin) > options.deadline:
            break
    options.rounds = number + 1
    return results
