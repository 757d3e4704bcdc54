"""What is acknowledged survives: kills at any moment, lost tables, lost LMDB, other shards, damage.

Every key is written with rising values, one per sequence; after a restart the value read must be at
least the last one that was acknowledged as durable, and at most the last one that was sent.
FST_KILL_CYCLES sets how many kills (default 20).
"""

import os
import random
import shutil
import struct
import threading
import time

import pytest

import wire
from conftest import DEFINITIONS

CYCLES = int(os.environ.get("FST_KILL_CYCLES", "20"))
SEED = int(os.environ.get("FST_SEED", "42"))
KEYS = 200
NOW = int(time.time() * 1e6)


def key(n):
    return struct.pack("<q", n)


class Writer(threading.Thread):
    """Writes rising values, several requests deep, until the server goes away."""

    def __init__(self, server, client_id, start_value, view="t.profile"):
        super().__init__()
        self.connection = server.connect(client_id=client_id)
        self.layout = self.connection.writing(view, "age" if view == "t.profile" else "n")
        self.value, self.acked, self.sent = start_value, {}, {}
        self.pending = {}
        self.count = 0
        self.failure = None

    def run(self):
        rng = random.Random(self.value)
        try:
            while True:
                while len(self.pending) < 8:
                    rows = {}
                    for _ in range(rng.choice([1, 1, 3, 20])):
                        self.value += 1
                        rows[rng.randrange(KEYS)] = self.value
                    now = int(time.time() * 1e6)
                    self.sent.update(rows)
                    block = [(now, k, v) for k, v in rows.items()]
                    self.pending[self.connection.write_send(self.layout, block)] = rows
                reply = self.connection.receive()
                rows = self.pending.pop(reply.request_id)
                for (k, v), status in zip(rows.items(), wire.statuses(reply)):
                    if status == wire.OK:
                        self.acked[k] = v
                        self.count += 1
                    else:
                        assert status in (wire.STALE, wire.OVERLOADED), status
        except (EOFError, OSError):
            pass  # The server was killed.
        except AssertionError as failure:
            self.failure = failure

    def end(self):
        """Waits for the thread; what it found wrong fails the test."""
        self.join()
        if self.failure:
            raise self.failure


def verify(server, acked, sent):
    c = server.connect()
    layout = c.features("t.profile:age")
    rows = c.get(layout, [key(k) for k in range(KEYS)])
    for k, row in enumerate(rows):
        status, value = row["age"]
        if k in acked:
            assert status == "PRESENT" and acked[k] <= value <= sent[k], (
                k,
                status,
                value,
                acked[k],
                sent[k],
            )
        elif k not in sent:
            assert status == "NOT_FOUND", (k, status, value)
    c.close()


@pytest.mark.parametrize("io", ["uring", "epoll"])
def test_kill_cycles(make_server, io):
    rng = random.Random(SEED)
    server = make_server(io=io)
    acked, sent, value, written = {}, {}, 0, 0
    server.start("--checkpoint-interval", "100ms")
    server.apply(DEFINITIONS)
    for cycle in range(max(1, CYCLES // 2)):
        writer = Writer(server, 1000 + cycle, value)
        writer.start()
        limit = rng.choice([1, 5, 50, 300])
        while writer.count < limit and writer.is_alive():
            time.sleep(0)
        server.kill()
        writer.end()
        value, written = writer.value, written + writer.count
        acked.update(writer.acked)
        sent.update(writer.sent)
        how = rng.randrange(6)
        if how == 0:
            shutil.rmtree(server.tables)
            server.tables.mkdir()
        if how == 1:
            server.options[server.options.index("--shards") + 1] = str(rng.choice([1, 2, 3, 7]))
        if how == 2:
            shutil.rmtree(server.data / "meta")
        method = rng.choice(["auto", "dsync", "fdatasync"])
        server.start("--checkpoint-interval", "100ms", "--sync-method", method)
        verify(server, acked, sent)
    assert written > 0


def test_clean_stop_and_start(make_server):
    server = make_server().start()
    server.apply(DEFINITIONS)
    c = server.connect()
    assert (
        c.write(c.writing("t.profile", "age", "label"), [(NOW, k, k, "x" * k) for k in range(100)])
        == [wire.OK] * 100
    )
    assert server.stop() == 0
    server.start()
    c = server.connect()
    rows = c.get(
        c.features("t.profile:age", "t.profile:label"), [key(k) for k in range(100)], options=1
    )
    assert [r["age"][1] for r in rows] == list(range(100))
    assert [len(r["label"][1]) for r in rows] == list(range(100))


def test_other_numbers_of_shards(make_server):
    server = make_server(shards=1)
    expected = {}
    for turn, shards in enumerate([1, 2, 3, 7, 1]):
        server.options[server.options.index("--shards") + 1] = str(shards)
        server.start()
        if turn == 0:
            server.apply(DEFINITIONS)
        c = server.connect(client_id=turn + 1)
        layout = c.features("t.profile:age")
        for k, row in enumerate(c.get(layout, [key(k) for k in range(KEYS)], options=1)):
            assert row["age"][1] == expected.get(k, 0)
        rows = [(NOW + turn, k, turn * 1000 + k) for k in range(turn, KEYS, 3)]
        assert c.write(c.writing("t.profile", "age"), rows) == [wire.OK] * len(rows)
        expected.update({k: v for _, k, v in rows})
        server.stop()


def test_sequences_survive(make_server):
    server = make_server().start()
    server.apply(DEFINITIONS)
    c = server.connect(client_id=7)
    assert c.write(c.writing("t.profile", "age"), [(1, 1, 1)], sequence=3) == [wire.OK]
    for lost in (None, server.tables, server.data / "meta"):
        server.kill()
        if lost:
            shutil.rmtree(lost)
            server.tables.mkdir(exist_ok=True)
        server.options[server.options.index("--shards") + 1] = "3"
        server.start()
        c = server.connect(client_id=7)
        assert c.write(c.writing("t.profile", "age"), [(2, 1, 9)], sequence=3) == [
            wire.DUPLICATE
        ], lost


def test_definitions_and_keys_survive_the_loss_of_lmdb(make_server):
    server = make_server().start()
    server.apply(DEFINITIONS)
    made = server.json("key", "create", "boss", "--role", "admin")[0]["key"]
    server.kill()
    shutil.rmtree(server.data / "meta")
    server.start()
    assert server.fsctl("list", check=False).returncode != 0
    assert "profile" in server.fsctl("--key", made, "list").stdout


def test_second_process_is_refused(make_server):
    server = make_server().start()
    code, said = server.fails_to_start()
    assert code == 3 and "BUSY" in said


def log_files(server):
    return sorted((server.data / "log").glob("*.log"))


def test_log_files_are_counted(make_server):
    """As the server starts, and at each checkpoint: with two shards there are at least two."""
    server = make_server().start()
    for _ in range(2):  # Files are made ready between the two.
        server.fsctl("checkpoint")
    count = server.metric("log_files")
    assert count >= 2 and count == len(log_files(server))


def test_damage_in_acknowledged_data_refuses_to_start(make_server):
    server = make_server(shards=1).start()
    server.apply(DEFINITIONS)
    c = server.connect()
    w = c.writing("t.profile", "age")
    for n in range(5):
        assert c.write(w, [(n + 1, n, n)]) == [wire.OK]
    server.kill()
    shutil.rmtree(server.tables)
    server.tables.mkdir()
    shutil.rmtree(server.data / "meta")
    path = log_files(server)[0]
    data = bytearray(path.read_bytes())
    data[4096 + 100] ^= 1
    path.write_bytes(data)
    code, said = server.fails_to_start()
    assert code == 3 and path.name in said and "offset" in said


def test_store_that_is_not_one(make_server, tmp_path):
    server = make_server()
    server.data.mkdir()
    (server.data / "STORE").write_text("hello\n")
    code, said = server.fails_to_start()
    assert code in (2, 3) and "STORE" in said


def test_check_walks_a_stopped_store(make_server):
    server = make_server().start()
    server.apply(DEFINITIONS)
    c = server.connect()
    assert (
        c.write(c.writing("t.profile", "age"), [(1, k, k) for k in range(50)]) == [wire.OK] * 50
    )
    server.stop()
    done = server.fsctl("check", server.data)
    assert "ok" in done.stdout
    path = log_files(server)[0]
    data = bytearray(path.read_bytes())
    data[4096 + 70] ^= 4
    path.write_bytes(data)
    done = server.fsctl("check", server.data, check=False)
    assert done.returncode != 0 and path.name in done.stdout + done.stderr
