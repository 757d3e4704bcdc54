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
