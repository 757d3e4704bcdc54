"""Time from starting the program to the first correct answer of a read.

Cases
  restart_clean    after SIGTERM
  restart_kill     after SIGKILL
  restart_rebuild  after SIGKILL, with the tables removed: from LMDB and log

Peers
  redis-aof   the packed string, read from its append-only file
  redis-rdb   the same, read from the RDB file that SAVE made
"""

import os
import shutil
import signal
import subprocess
import time

from comparison.memory import fsd_memory
from comparison.meter import Meter
from comparison.report import line_make
from comparison.servers import Failed, fsd_arguments, redis_aof, redis_arguments, say

SIGNALS = {"restart_clean": signal.SIGTERM, "restart_kill": signal.SIGKILL,
           "restart_rebuild": signal.SIGKILL}
CASES = list(SIGNALS)
ROUNDS, ENTITIES, ENTITIES_QUICK = 3, 10000000, 300000
ANSWER_SECONDS_MAX = 1800
READ = {"fstore": ["online"], "redis-aof": ["redis", "--command", "get"],
        "redis-rdb": ["redis", "--command", "get"]}
WRITE = {"fstore": ["online"], "redis-aof": ["redis", "--command", "set"],
         "redis-rdb": ["redis", "--command", "set"]}


def tables_remove(folder):
    tables = os.path.join(folder, "tables")
    for name in os.listdir(tables):
        shutil.rmtree(os.path.join(tables, name))


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


def restarts_measure(meter, server, folder):
    """Seconds by case, one a round; then every row is compared."""
    options = meter.options
    seconds = {case: [] for case in options.cases}
    for number in range(options.rounds):
        for case in options.cases:
            server.signal(SIGNALS[case])
            if case == "restart_rebuild" and server.name == "fstore":
                tables_remove(folder)
            seconds[case].append(answer_wait(meter, server))
            say("%s %s: %.3f s" % (server.name, case, seconds[case][-1]))
        if number > 0 and time.monotonic() > options.deadline:
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
    for name, how in starts.items():
        server = bench.start(name, *how)
        meter.fill(name, WRITE[name])
        if name == "redis-rdb":
            rdb_save(server)
        seconds[name] = restarts_measure(meter, server, bench.folder)
        server.stop()
    options.method = "up to %d restarts" % options.rounds
    return [line_make(case, name, seconds["fstore"][case], seconds[name][case], "s")
            for case in options.cases for name in starts if name != "fstore"]
