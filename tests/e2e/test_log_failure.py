"""A log write fails: nothing more is acknowledged, the server ends, a start brings back what was.

The failure of a write is real: the running server's limit on file sizes is set below where its log
is being written, so that the kernel refuses the write of either I/O backend. That of a sync is
injected, which strace can do for system calls only, and so for epoll.
"""

import os
import resource
import struct
import time

import pytest

import wire
from conftest import DEFINITIONS

EXIT_LOG_WRITE = 4
KEY = struct.pack("<q", 7)


@pytest.mark.parametrize("method", ["dsync", "fdatasync"])
@pytest.mark.parametrize("io", ["uring", "epoll"])
def test_log_write_fails(make_server, io, method):
    server = make_server(io=io, shards=2)
    server.start("--checkpoint-interval", "1h", "--sync-method", method)
    server.apply(DEFINITIONS)
    c = server.connect(client_id=77)
    layout = c.writing("t.profile", "age")
    now = int(time.time() * 1e6)
    assert c.write(layout, [(now, 7, 1)]) == [wire.OK]

    limits = (4096, resource.RLIM_INFINITY)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
    c.write_send(layout, [(now, 7, 2)])
    try:
        answer = wire.statuses(c.receive())
        assert answer == [wire.OUTCOME_UNKNOWN], "only a write on disk may be acknowledged"
    except (EOFError, ConnectionResetError):
        pass  # Without an answer the outcome is unknown too.
    code = server.end()
    assert code == EXIT_LOG_WRITE, server.log()
    assert "log.write_failed" in server.log()

    server.start()
    reader = server.connect()
    wanted = reader.features("t.profile:age")
    assert reader.get(wanted, [KEY])[0]["age"][1] in (1, 2)
    again = server.connect(client_id=77)
    layout = again.writing("t.profile", "age")
    answer = again.write(layout, [(now, 7, 2)], sequence=2)
    assert answer in ([wire.OK], [wire.DUPLICATE])
    assert reader.get(wanted, [KEY])[0]["age"] == ("PRESENT", 2)
    assert again.write(layout, [(now, 7, 2)], sequence=2) == [wire.DUPLICATE]
    server.stop()


def test_sync_fails(make_server):
    """Groups are written, but the third fdatasync behind one fails. strace counts for each thread:
    the making of the file takes two in another one."""
    server = make_server(io="epoll", shards=1)
    log = server.data / "log" / "00000001-000-000001.log"
    fail = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=3+", "-P", str(log)]
    strace = ["strace", "-D", "-f", "-o", os.devnull, *fail]
    server.start("--checkpoint-interval", "1h", "--sync-method", "fdatasync", wrapper=strace)
    server.apply(DEFINITIONS)
    c = server.connect()
    layout = c.writing("t.profile", "age")
    now, value = int(time.time() * 1e6), 0
    with pytest.raises((AssertionError, EOFError, ConnectionResetError)):
        while value < 9:
            assert c.write(layout, [(now + value, 7, value + 1)]) == [wire.OK]
            value += 1
    assert server.end() == EXIT_LOG_WRITE, server.log()
    assert "log.write_failed" in server.log() and 1 <= value <= 2
    server.start()
    reader = server.connect()
    assert reader.get(reader.features("t.profile:age"), [KEY])[0]["age"][1] in (value, value + 1)
    server.stop()
