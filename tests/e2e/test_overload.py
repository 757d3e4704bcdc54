"""More work than can be done at once: who waits, for what, and who does not."""

import contextlib
import os
import signal
import struct

import pytest

import wire
from conftest import DEFINITIONS
from wire import NOW


def key(n):
    return struct.pack("<q", n)


@pytest.fixture(params=["uring", "epoll"])
def one(request, make_server):
    """A server with one shard, so that all connections meet."""
    server = make_server(io=request.param, shards=1).start()
    server.apply(DEFINITIONS)
    return server


@contextlib.contextmanager
def stopped(server):
    """The server stands still: what is sent meanwhile is received in one go."""
    os.kill(server.process.pid, signal.SIGSTOP)
    os.waitpid(server.process.pid, os.WUNTRACED)
    yield
    os.kill(server.process.pid, signal.SIGCONT)


def send_some(connection, data):
    """As much as the kernel takes without a reader; the rest."""
    connection.socket.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while data:
            data = data[connection.socket.send(data) :]
    connection.socket.settimeout(20)
    return data


def test_a_greedy_connection_waits_its_turn(one):
    """A thousand requests of one connection, and one write of another, arrive together. The write
    is not behind them all: most of the thousand see what it wrote. The reads have strings, so each
    is answered from what is there when its turn comes."""
    greedy, modest = one.connect(), one.connect(client_id=6)
    w, layout = modest.writing("t.fast"), greedy.features("t.fast:n", "t.profile:label")
    assert modest.write(w, [(NOW, 1, 7)]) == [wire.OK]
    count = 1000
    with stopped(one):
        get = greedy.get_payload(layout, [key(1)])
        rest = send_some(
            greedy, b"".join(greedy.frame(wire.GET, get, layout.handle) for _ in range(count))
        )
        modest.write_send(w, [(NOW, 1, 8)], ack=0)
    greedy.socket.sendall(rest)
    assert wire.statuses(modest.receive()) == [wire.OK]
    seen = [wire.decode_rows(layout, greedy.receive().payload)[0]["n"][1] for _ in range(count)]
    assert seen == sorted(seen) and seen[-1] == 8
    assert seen.count(7) < 400  # Two ticks' share.


def test_expired_requests_are_dropped(one):
    """Many requests of one connection arrive together and may wait a microsecond. The first are
    served at once; by the time the later ones have their turn it is over, and they are told so.
    Others have time, or no limit; the connection goes on."""
    c = one.connect()
    layout = c.features("t.fast:n", "t.profile:label")
    count = 600
    with stopped(one):
        get = c.get_payload(layout, [key(1)], deadline=1)
        rest = send_some(c, b"".join(c.frame(wire.GET, get, layout.handle) for _ in range(count)))
    c.socket.sendall(rest)
    replies = [c.receive() for _ in range(count)]
    late = [reply for reply in replies if reply.status == wire.TIMEOUT]
    assert {reply.status for reply in replies} == {wire.OK, wire.TIMEOUT}
    assert {reply.status for reply in replies[:80]} == {wire.OK}  # Before a clock is read again.
    assert replies[200].status == wire.TIMEOUT  # It came with the first, and had to wait.
    retry_us, text = late[0].error()
    assert retry_us == 0 and text.startswith("GET deadline_us: expected to be served within 1 us")
    assert one.metric("gets_late") == len(late)
    assert one.metric("keys_read") == count - len(late)
    for deadline in (0, 2**63 - 1, 3600 * 10**6):
        assert len(c.get(layout, [key(1)], deadline=deadline)) == 1
