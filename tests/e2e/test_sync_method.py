"""How log writes become durable: measured at the start or as asked for, logged, shown, and done."""

import os
import pathlib
import re

import pytest

import wire
from conftest import DEFINITIONS
from test_start import without_io_uring

MEASURED = re.compile(
    r" info log\.sync_method method=(\w+) dsync_us=(\d+) fdatasync_us=(\d+) rounds=\d+ "
    r"took_us=\d+$",
    re.M,
)


def fields(server):
    return server.json("status")[0]["fields"]


def syncs_itself(server):
    """Whether any log file that the server has open syncs each write, as the kernel knows. Files
    that are still being filled do not."""
    for link in pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            is_log = os.readlink(link).endswith(".log")
            info = pathlib.Path(str(link).replace("/fd/", "/fdinfo/")).read_text()
        except FileNotFoundError:
            continue  # closed meanwhile
        flags = int(re.search(r"flags:\s*([0-7]+)", info).group(1), 8)
        if is_log and flags & os.O_DSYNC == os.O_DSYNC:
            return True
    return False


def serves(server):
    server.apply(DEFINITIONS)
    c = server.connect()
    assert c.write(c.writing("t.profile", "age"), [(1, 7, 1)]) == [wire.OK]


@pytest.mark.parametrize("io", ["uring", "epoll"])
def test_measured(make_server, io):
    server = make_server(io=io).start()
    method, dsync_us, fdatasync_us = MEASURED.search(server.log()).groups()
    seen = fields(server)
    assert seen["sync_method"] == method
    assert (seen["dsync_us"], seen["fdatasync_us"]) == (dsync_us, fdatasync_us)
    assert syncs_itself(server) == (method == "dsync")
    assert all(name.endswith(".log") for name in os.listdir(server.data / "log"))
    serves(server)
    assert server.stop() == 0


@pytest.mark.parametrize("method", ["dsync", "fdatasync"])
@pytest.mark.parametrize("io", ["uring", "epoll"])
def test_asked_for(make_server, io, method):
    """Also: what a start that was killed while it measured has left is removed."""
    server = make_server(io=io)
    (server.data / "log").mkdir(parents=True)
    (server.data / "log" / "sync-calibration").write_bytes(bytes(4096))
    server.start("--sync-method", method)
    assert f' info log.sync_method method={method} reason="asked for"\n' in server.log()
    seen = fields(server)
    assert seen["sync_method"] == method and "dsync_us" not in seen
    assert syncs_itself(server) == (method == "dsync")
    assert all(name.endswith(".log") for name in os.listdir(server.data / "log"))
    serves(server)
    assert server.stop() == 0


def test_measured_on_a_memory_file_system(make_server):
    server = make_server()
    server.data = server.tables / "data"
    server.start()
    assert MEASURED.search(server.log()), server.log()
    serves(server)
    assert server.stop() == 0


def test_measured_without_io_uring(make_server):
    server = make_server().start(wrapper=without_io_uring())
    assert MEASURED.search(server.log()), server.log()
    assert server.stop() == 0


def test_not_measured(make_server):
    """A folder stands where the scratch file would be made."""
    server = make_server()
    (server.data / "log" / "sync-calibration").mkdir(parents=True)
    server.start()
    said = ' warn log.sync_method method=dsync reason="not measured: '
    assert said in server.log() and "File exists" in server.log(), server.log()
    assert fields(server)["sync_method"] == "dsync"
    serves(server)
    assert server.stop() == 0
