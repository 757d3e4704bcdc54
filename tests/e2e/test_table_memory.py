"""A memory file system that is too small for the tables, or is filled by somebody else."""

import os
import struct
import subprocess
import time

import pytest

import wire
from conftest import DEFINITIONS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")


@pytest.fixture
def small_memory(tmp_path):
    place = tmp_path / "memory"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80M", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def small_server(make_server, small_memory, memory):
    server = make_server(shards=1)
    server.tables.rmdir()
    server.tables = small_memory
    server.options[server.options.index("--memory") + 1] = memory
    return server


def write_some(connection, layout, first):
    """One request of 1,000 new rows; the statuses that came."""
    now = int(time.time() * 1e6)
    rows = [(now, first + k, first + k, "x" * (k % 300)) for k in range(1000)]
    payload = connection.write_payload(layout, rows)
    return set(wire.statuses(connection.call(wire.WRITE, payload, layout.handle)))


def fill(connection, layout, first):
    for turn in range(2000):
        seen = write_some(connection, layout, first + turn * 1000)
        assert seen <= {wire.OK, wire.FULL, wire.OVERLOADED}, seen
        if seen == {wire.FULL}:
            return first + turn * 1000
    raise AssertionError("the memory never filled")


def row_of(connection, number):
    layout = connection.features("t.profile:age")
    return connection.get(layout, [struct.pack("<q", number)])[0]["age"]


def test_too_small_to_start(make_server, small_memory):
    server = small_server(make_server, small_memory, "512M")
    for more in ([], ["--plan"]):
        code, text = server.fails_to_start(*more)
        assert code == 2, text
        assert f"--table-dir {small_memory}: its file system has 80 MiB left" in text
        assert "--memory expects 512 MiB" in text
    server = small_server(make_server, small_memory, "64M")
    code, text = server.fails_to_start("--plan")
    assert code == 0, text


def test_filled_to_the_limit_and_opened_again(make_server, small_memory):
    """What the tables of a store hold is room for them: full, it starts again."""
    server = small_server(make_server, small_memory, "80M").start()
    server.apply(DEFINITIONS)
    c = server.connect()
    w = c.writing("t.profile", "age", "label")
    fill(c, w, 0)
    assert row_of(c, 500) == ("PRESENT", 500)
    server.kill()
    server.start()
    assert row_of(server.connect(), 500) == ("PRESENT", 500)
    assert server.stop() == 0


def test_filled_by_somebody_else(make_server, small_memory):
    """Rows that find no room are refused, and taken again when there is some; nothing dies."""
    server = small_server(make_server, small_memory, "64M").start()
    server.apply(DEFINITIONS)
    c = server.connect()
    w = c.writing("t.profile", "age", "label")
    assert write_some(c, w, 0) == {wire.OK}
    ballast = small_memory / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * (1 << 16))
        except OSError:
            pass
    first = fill(c, w, 10_000_000)
    assert row_of(c, 500) == ("PRESENT", 500)
    now = int(time.time() * 1e6)
    assert c.write(w, [(now, 500, 77, "x" * 200)]) == [wire.OK]
    assert row_of(c, 500) == ("PRESENT", 77)
    ballast.unlink()
    assert write_some(c, w, first) == {wire.OK}
    server.kill()
    server.start()
    c = server.connect()
    assert row_of(c, 500) == ("PRESENT", 77)
    assert row_of(c, first + 1) == ("PRESENT", first + 1)
    assert server.stop() == 0
