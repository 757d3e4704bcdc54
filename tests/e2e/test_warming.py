"""A restart that has tables to rebuild: whoever asks meanwhile gets WARMING or the right answer,
never a wrong one; it may be ended or killed in the middle; an upgrade maps the tables."""

import shutil
import signal
import struct
import threading
import time

import pytest

import wire
from conftest import BUILD, DEFINITIONS

ROWS = 60000
NOW = int(time.time() * 1e6)


@pytest.fixture
def filled(make_server):
    """A stopped store: a checkpoint, and as many rows again that only the log has."""
    server = make_server().start()
    server.apply(DEFINITIONS)
    c = server.connect()
    layout = c.writing("t.profile", "age")
    for half in range(2):
        for first in range(half * ROWS, (half + 1) * ROWS, 10000):
            rows = [(NOW, k, k) for k in range(first, first + 10000)]
            assert set(c.write(layout, rows)) == {wire.OK}
        if half == 0:
            server.fsctl("checkpoint")
    server.kill()
    return server


def lose(server, what):
    for folder in what:
        path = server.tables if folder == "tables" else server.data / folder
        shutil.rmtree(path)
        path.mkdir()


def answer(server, keys):
    """One question on a connection of its own: the rows, or None for WARMING."""
    c = wire.Connection(server.port, hello=False)
    try:
        c.send(wire.HELLO, struct.pack("<IHHQ", wire.MAGIC, 1, 1, 7) + wire.short(""))
        hello = c.receive()
        if hello.status == wire.WARMING:
            retry, text = hello.error()
            assert 10000 <= retry <= 1000000 and "rebuilding" in text
            return None
        assert hello.status == wire.OK, hello.status
        layout = c.features("t.profile:age")
        return [row["age"][1] for row in c.get(layout, [struct.pack("<q", k) for k in keys])]
    except (EOFError, ConnectionResetError):
        return None  # It was accepted as the rebuild ended.
    finally:
        c.close()


def verify(server):
    keys = list(range(0, 2 * ROWS, 41))
    for first in range(0, len(keys), 1000):
        part = keys[first : first + 1000]
        assert answer(server, part) == part


@pytest.mark.parametrize("io", ["uring", "epoll"])
@pytest.mark.parametrize("lost", [["tables"], ["meta"], ["tables", "meta"]])
def test_warming_or_right(filled, lost, io):
    filled.options[filled.options.index("--io") + 1] = io
    lose(filled, lost)
    filled.launch()
    keys = list(range(0, 2 * ROWS, 997))
    answers = []

    def ask():
        while not answers or answers[-1] is None:
            answers.append(answer(filled, keys))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    filled.wait_for("server.ready")
    for asker in askers:
        asker.join()
    assert all(a is None or a == keys for a in answers) and keys in answers
    assert " store.rebuild phase=" in filled.log()
    assert "restored=16" in filled.log()
    verify(filled)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_rebuild_that_is_ended(filled, end):
    """Again and again, each time from what the one before left; then it comes to its end."""
    lose(filled, ["tables"])
    for what in ("phase=rows", "phase=log", "phase=rows"):
        filled.launch()
        filled.wait_for(f"store.rebuild {what}", "server.ready")
        filled.process.send_signal(end)
        code = filled.end()
        assert code == (-signal.SIGKILL if end == signal.SIGKILL else 0), filled.log()
        if what == "phase=log":
            lose(filled, ["tables"])
    filled.start()
    verify(filled)


def test_a_start_with_whole_tables_is_no_rebuild(filled):
    filled.start()
    assert "mapped=16" in filled.log() and "store.rebuild" not in filled.log()
    verify(filled)


def test_an_upgrade_of_the_program_maps_the_tables(filled, tmp_path):
    other = tmp_path / "fsd-next"
    shutil.copy(BUILD / "fsd", other)
    filled.start(program=other)
    assert "mapped=16 restored=0" in filled.log()
    assert filled.stop() == 0
    filled.start()
    assert "mapped=16 restored=0" in filled.log()
    verify(filled)


def test_fsctl_waits_for_the_rebuild(filled):
    lose(filled, ["tables", "meta"])
    filled.launch()
    assert "profile" in filled.fsctl("list").stdout
    filled.wait_for("server.ready")
