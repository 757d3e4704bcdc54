"""Time from starting the program to the first correct answer of a read.

Cases
  restart_clean    after SIGTERM
  restart_kill     after SIGKILL
  restart_rebuild  after SIGKILL, with the tables removed: from LMDB and log
  restart_upgrade  after SIGTERM, of another file of the program, as after an upgrade

Peers
  redis-aof   the packed string, read from its append-only file
  redis-rdb   the same, read from the RDB file that SAVE made

A peer keeps nothing but such a file: after SIGKILL it does the same with or without tables, and
after SIGTERM the same with any file of the program; it is measured once for both.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time

from comparison.memory import fsd_memory
from comparison.meter import Meter
from comparison.report import line_make
from comparison.servers import PINNING, Failed, fsd_arguments, redis_aof, redis_arguments, say

SIGNALS = {"restart_clean": signal.SIGTERM, "restart_kill": signal.SIGKILL,
           "restart_rebuild": signal.SIGKILL, "restart_upgrade": signal.SIGTERM}
PEER_CASES = {"restart_rebuild": "restart_kill", "restart_upgrade": "restart_clean"}
CASES = list(SIGNALS)
ROUNDS, ENTITIES, ENTITIES_QUICK = 3, 10000000, 1000000
ANSWER_SECONDS_MAX = 1800
READ = {"fstore": ["online"], "redis-aof": ["redis", "--command", "get"],
        "redis-rdb": ["redis", "--command", "get"]}
WRITE = {"fstore": ["online"], "redis-aof": ["redis", "--command", "set"],
         "redis-rdb": ["redis", "--command", "set"]}


def tables_remove(folder):
    tables = os.path.join(folder, "tables")
    for name in os.listdir(tables):
        shutil.rmtree(os.path.join(tables, name))


def program_copy(server):
    """Gives the server a file of its program that it has not run before: its command line."""
    place = tempfile.mkdtemp(dir=server.folder, prefix="upgrade-")
    index = len(PINNING)
    program = shutil.copy(server.command[index], place)
    return server.command[:index] + [program] + server.command[index + 1:]


def cases_of(name, cases):
    """What is measured of a server for these cases, each once, in order."""
    if name == "fstore":
        return list(cases)
    return list(dict.fromkeys(PEER_CASES.get(case, case) for case in cases))


def restart_measure(meter, server, case, folder):
    """Seconds to the first answer. Afterwards the server's own program is its command again."""
    command = server.command
    server.signal(SIGNALS[case])
    if case == "restart_rebuild":
        tables_remove(folder)
    if case == "restart_upgrade":
        server.command = program_copy(server)
    seconds = answer_wait(meter, server)
    server.command = command
    return seconds


def answer_wait(meter, server):
    """Seconds from the start of the program to its first answer, which is compared. Starting
    fsbench for each attempt is part of it: some milliseconds, for all alike."""
    begin = time.monotonic()
    server.exec()
    while not meter.answers(server.name, READ[server.name]):
        if server.process.poll() is not None:
            raise Failed("%s ended:\n%s" % (server.name, server.log_end()))
        if time.monotonic() - begin > ANSWER_SECONDS_MAX:
            raise Failed("%s does not answer:\n%s" % (server.name, server.log_end()))
        time.sleep(0.005)
    return time.monotonic() - begin


def restarts_measure(meter, server, folder, deadline):
    """Seconds by case, one a round; then every row is compared. A round that would end after the
    deadline is left out."""
    options = meter.options
    seconds = {case: [] for case in cases_of(server.name, options.cases)}
    for _ in range(options.rounds):
        begin = time.monotonic()
        for case in seconds:
            seconds[case].append(restart_measure(meter, server, case, folder))
            say("%s %s: %.3f s" % (server.name, case, seconds[case][-1]))
        now = time.monotonic()
        if now + (now - begin) > deadline:
            break
    meter.run(server.name, READ[server.name] + ["--verify-load", "--duration", "0"])
    return seconds


def rdb_save(server):
    done = subprocess.run(["redis-cli", "-p", str(server.port), "save"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0 or "OK" not in done.stdout:
        raise Failed("redis-cli save: %s" % done.stdout)


def compare(bench):
    """One server after another, so that each has the memory for itself."""
    options = bench.options
    meter = Meter(bench)
    starts = {"fstore": (fsd_arguments, fsd_memory(options.entities)),
              "redis-aof": (redis_arguments, "redis-aof", redis_aof("everysec")),
              "redis-rdb": (redis_arguments, "redis-rdb", [])}
    seconds = {}
    for number, (name, how) in enumerate(starts.items()):
        now = time.monotonic()
        deadline = now + (options.deadline - now) / (len(starts) - number)
        server = bench.start(name, *how)
        meter.fill(name, WRITE[name])
        if name == "redis-rdb":
            rdb_save(server)
        seconds[name] = restarts_measure(meter, server, bench.folder, deadline)
        server.stop()
    options.method = "up to %d restarts" % options.rounds
    return [line_make(case, name, seconds["fstore"][case],
                      seconds[name][PEER_CASES.get(case, case)], "s")
            for case in options.cases for name in starts if name != "fstore"]
