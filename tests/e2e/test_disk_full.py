"""A disk without room: writes are refused, reads go on, writing resumes when there is room."""

import os
import struct
import subprocess
import time

import pytest

import wire
from conftest import DEFINITIONS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48M", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def write_some(connection, layout, turn):
    """One request of 2,000 rows; the statuses that came, and how many rows were taken."""
    now = int(time.time() * 1e6)
    reply = connection.call(
        wire.WRITE,
        connection.write_payload(layout, [(now, k, turn * 10000 + k) for k in range(2000)]),
        layout.handle,
    )
    found = wire.statuses(reply)
    return set(found), found.count(wire.OK)


def test_disk_full_and_room_again(make_server, small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (16 << 20))
    server = make_server(shards=1)
    server.data = small_disk / "store"
    server.start("--group-bytes", "256K")
    server.apply(DEFINITIONS)
    c = server.connect()
    w, layout = c.writing("t.profile", "age"), c.features("t.profile:age")
    seen, turn, last = set(), 0, None
    while wire.DISK_FULL not in seen:
        turn += 1
        assert turn < 5000, "the disk never filled"
        seen, taken = write_some(c, w, turn)
        assert seen <= {wire.OK, wire.OVERLOADED, wire.DISK_FULL}, seen
        if taken == 2000:
            last = turn
    row = c.get(layout, [struct.pack("<q", 7)])[0]
    assert row["age"][0] == "PRESENT" and row["age"][1] >= last * 10000 + 7
    ballast.unlink()
    for _ in range(100000):
        seen, taken = write_some(c, w, 1_000)
        if seen == {wire.OK}:
            break
    assert seen == {wire.OK}
    assert c.get(layout, [struct.pack("<q", 7)])[0]["age"] == ("PRESENT", 1_000 * 10000 + 7)
    server.kill()
    server.start("--group-bytes", "256K")
    c = server.connect()
    assert c.get(c.features("t.profile:age"), [struct.pack("<q", 7)])[0]["age"] == (
        "PRESENT",
        1_000 * 10000 + 7,
    )
    server.stop()


def fill_disk(connection, write):
    """Writes until everything that comes is refused for the disk; all statuses that came."""
    all_seen = set()
    for turn in range(5000):
        seen, _ = write_some(connection, write, turn)
        all_seen |= seen
        if seen == {wire.DISK_FULL}:
            return all_seen
    raise AssertionError("the disk never filled")


def test_disk_full_with_rows_that_were_shown(make_server, small_disk):
    """Rows seen before they are durable: their writers are told that nobody knows, new ones that
    the disk is full; nobody waits; and with room the rows become durable."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (16 << 20))
    server = make_server(shards=1)
    server.data = small_disk / "store"
    server.start("--group-bytes", "256K")
    server.apply(DEFINITIONS)
    c = server.connect()
    w, layout = c.writing("t.fast", "n"), c.features("t.fast:n")
    plain = c.writing("t.profile", "age")
    seen = fill_disk(c, w)
    assert wire.OUTCOME_UNKNOWN in seen
    assert seen <= {wire.OK, wire.OVERLOADED, wire.DISK_FULL, wire.OUTCOME_UNKNOWN}
    assert c.write(plain, [(1, 1, 1)]) == [wire.DISK_FULL]
    shown = c.get(layout, [struct.pack("<q", 7)])[0]["n"]
    assert shown[0] == "PRESENT"
    ballast.unlink()
    for _ in range(100000):
        seen, taken = write_some(c, plain, 5)
        if seen == {wire.OK}:
            break
    assert seen == {wire.OK}
    server.kill()
    server.start("--group-bytes", "256K")
    c = server.connect()
    assert c.get(c.features("t.fast:n"), [struct.pack("<q", 7)])[0]["n"] == shown
    server.stop()


def test_definitions_while_lmdb_is_full(make_server):
    """LMDB has no room: definitions change, outlive the process, and are stored once there is."""
    small = ["--meta-bytes", "16M", "--checkpoint-interval", "1h"]
    server = make_server(shards=1)
    server.start(*small)
    server.apply(DEFINITIONS)
    c = server.connect()
    w = c.writing("t.profile", "label")
    for turn in range(12):
        now = int(time.time() * 1e6)
        rows = [(now, turn * 2000 + k, "x" * 900) for k in range(2000)]
        reply = c.call(wire.WRITE, c.write_payload(w, rows), w.handle)
        assert set(wire.statuses(reply)) == {wire.OK}
    assert server.fsctl("checkpoint", check=False).returncode != 0
    feature = "features: [{name: x, type: int64}]"
    server.apply(f"namespace: t\nviews:\n  - {{name: late, entity: customer, {feature}}}\n")
    late = c.writing("t.late", "x")
    assert c.write(late, [(1, 1, 11)]) == [wire.OK]
    for options in (small, ["--meta-bytes", "256M", "--checkpoint-interval", "1h"]):
        server.kill()
        server.start(*options)
        c = server.connect()
        assert c.get(c.features("t.late:x"), [struct.pack("<q", 1)])[0]["x"] == ("PRESENT", 11)
    server.fsctl("checkpoint")
    server.kill()
    code, text = server.fails_to_start("--dump", "meta")
    assert code == 0 and "change generation=2 " in text
    server.start()
    c = server.connect()
    assert c.get(c.features("t.late:x"), [struct.pack("<q", 1)])[0]["x"] == ("PRESENT", 11)
    server.stop()
