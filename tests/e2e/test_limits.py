"""Limits that are settings, each at the limit and one past it; what is refused says so."""

import resource
import struct
import time

import pytest

import wire
from conftest import DEFINITIONS
from wire import Connection


def key(n):
    return struct.pack("<q", n)


@pytest.fixture(params=["uring", "epoll"])
def tight(request, make_server):
    server = make_server(io=request.param, shards=1)
    server.start(
        "--connections",
        "4",
        "--in-flight",
        "4",
        "--handshake-timeout",
        "400ms",
        "--frame-timeout",
        "400ms",
        "--frame-bytes",
        "8K",
        "--output-bytes",
        "64K",
        "--keys",
        "1000",
    )
    server.apply(DEFINITIONS)
    return server


def connect_patiently(server):
    """A connection that just closed may still be counted."""
    for _ in range(10000):
        c = Connection(server.port, hello=False)
        c.send(wire.HELLO, struct.pack("<IHHQ", wire.MAGIC, 1, 1, 5) + wire.short(""))
        try:
            if c.receive().status == wire.OK:
                return c
        except (EOFError, ConnectionResetError):
            pass
        c.close()
    raise AssertionError("no connection was ever free")


def test_settings_from_a_file_and_the_plan(make_server):
    """Settings come from a file, the command line goes first; --plan tells and makes nothing."""
    server = make_server(shards=1)
    server.options = ["--pin", "none"]
    settings = server.folder / "fsd.conf"
    settings.write_text("# ours\nshards = 3\npartitions = 8\nmemory = 64M\n")
    code, small = server.fails_to_start("--config", str(settings), "--plan")
    assert code == 0 and not server.data.exists()
    code, large = server.fails_to_start("--config", str(settings), "--memory", "96M", "--plan")
    sums = [int(text.split(" bytes")[-2].split()[-1]) for text in (small, large)]
    assert code == 0 and sums[1] - sums[0] == 32 << 20
    settings.write_text("shards = 3\nshrds = 3\n")
    code, text = server.fails_to_start("--config", str(settings))
    assert code == 2 and ":2:1:" in text and "did you mean" in text and not server.data.exists()
    settings.write_text("shards = 3\npartitions = 8\nmemory = 64M\n")
    server.start("--config", str(settings))
    assert "shards=3" in server.log() and "partitions=8" in server.log()


def test_connections(tight):
    held = [connect_patiently(tight) for _ in range(4)]
    extra = Connection(tight.port, hello=False)
    reply = extra.receive()
    assert reply.status == wire.OVERLOADED and "connections" in reply.error()[1]
    assert extra.is_closed()
    assert all(c.call(wire.PING).status == wire.OK for c in held)
    held.pop().close()
    assert connect_patiently(tight).call(wire.PING).status == wire.OK


def test_as_many_connections_as_the_limit_says_over_all_shards(make_server):
    """The kernel deals them out by chance; every one of them is served, and the next one is not."""
    count = 600
    server = make_server(shards=3)
    server.start("--connections", str(count))
    held = [server.connect() for _ in range(count)]
    extra = Connection(server.port, hello=False)
    assert extra.receive().status == wire.OVERLOADED
    for c in held:
        assert c.call(wire.PING).status == wire.OK
        c.close()
    extra.close()
    assert connect_patiently(server).call(wire.PING).status == wire.OK


def test_most_rows_per_write(server):
    """65,536 rows in one request, and one more."""
    c = server.connect()
    layout = c.writing("t.profile", "age")
    now = int(time.time() * 1e6)
    rows = [(now, k, k) for k in range(65536)]
    assert set(c.write(layout, rows)) == {wire.OK}
    found = c.get(c.features("t.profile:age"), [key(0), key(65535)])
    assert [row["age"] for row in found] == [("PRESENT", 0), ("PRESENT", 65535)]
    reply = c.call(wire.WRITE, c.write_payload(layout, rows + [(now, 65536, 1)]), layout.handle)
    assert reply.status == wire.TOO_LARGE and "65536" in reply.error()[1]


def test_default_frame_size(server):
    """A frame of 1 MiB that is no WRITE is judged by its content; one byte more is not read."""
    c = server.connect()
    c.socket.sendall(struct.pack("<IBBHII", 1 << 20, wire.GET, 0, 0, 1, 1) + bytes((1 << 20) - 16))
    assert c.receive().status == wire.BAD_FRAME
    c = server.connect()
    c.socket.sendall(struct.pack("<IBBHII", (1 << 20) + 1, wire.GET, 0, 0, 1, 1))
    assert c.receive().status == wire.TOO_LARGE and c.is_closed()


def test_connections_are_counted_and_told_of_changes_whatever_slot_they_take(tight):
    """One that was refused gives its slot back: the next one there is a connection like any."""
    held = [connect_patiently(tight) for _ in range(4)]
    extra = Connection(tight.port, hello=False)
    assert extra.receive().status == wire.OVERLOADED
    held.pop().close()
    assert held[0].call(wire.PING).status == wire.OK
    extra.close()
    assert held[0].call(wire.PING).status == wire.OK
    last = connect_patiently(tight)
    layout = last.features("t.profile:*")
    while held:
        held.pop().close()
    changed = DEFINITIONS.replace("age, type: int32", "age, type: int64")
    assert any(tight.apply(changed, check=False).returncode == 0 for _ in range(100))
    reply = last.call(wire.GET, last.get_payload(layout, [key(1)]), layout.handle)
    assert reply.status == wire.LAYOUT_CHANGED
    last.close()
    assert any(tight.metric("connections") == 1 for _ in range(100))


def test_descriptors_are_raised(make_server):
    """What a shell allows at first is not enough; the server asks for all it may have."""
    few = ["bash", "-c", 'ulimit -S -n 300; ulimit -H -n 2000; exec "$@"', "few"]
    server = make_server(shards=1).start("--connections", "900", wrapper=few)
    soft, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    assert soft == hard == 2000
    held = [server.connect() for _ in range(400)]
    assert all(c.call(wire.PING).status == wire.OK for c in held)
    assert "server.descriptors" not in server.log()
    server.stop()
    server.start("--connections", "1900", wrapper=few)
    assert "server.descriptors found=2000" in server.log()


def test_no_descriptors(server):
    """No log file can be made any more: writes are refused and told so, reads go on."""
    c = server.connect()
    w, layout = c.writing("t.profile", "label"), c.features("t.profile:label")

    def write_once(n):
        rows = [(int(time.time() * 1e6), k, bytes([97 + n % 26]) * 60000) for k in range(8)]
        found = wire.statuses(c.call(wire.WRITE, c.write_payload(w, rows), w.handle))
        return set(found)

    write_once(0)
    pid = server.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    seen, n = set(), 0
    while wire.DISK_FULL not in seen:
        n += 1
        assert n < 1000, "it never ran out of files"
        seen = write_once(n)
    assert seen <= {wire.OK, wire.DISK_FULL}
    assert c.get(layout, [key(7)])[0]["label"][0] == "PRESENT"
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    for n in range(100000):
        seen = write_once(n)
        if seen == {wire.OK}:
            break
    assert seen == {wire.OK}
    server.stop()
    assert server.log().count("log.prepare_failed") <= 2 + server.log().count("disk.room")


def test_handshake_timeout(tight):
    silent = Connection(tight.port, hello=False)
    reply = silent.receive()
    assert reply.status == 33 and silent.is_closed()


def test_partial_frame_timeout(tight):
    slow = tight.connect()
    slow.socket.sendall(b"\x20\0\0\0\x06")
    reply = slow.receive()
    assert reply.status == 33 and slow.is_closed()


def test_frame_size(tight):
    c = tight.connect()
    layout = c.features("t.profile:age")
    fits = (8192 - 16 - 32) // 8
    assert len(c.get(layout, [key(n) for n in range(min(fits, 1000))])) == min(fits, 1000)
    c.send(wire.PING, b"", length=8193)
    reply = c.receive()
    assert reply.status == wire.TOO_LARGE and "8192" in reply.error()[1]
    assert c.is_closed()


def test_keys(tight):
    c = tight.connect()
    layout = c.features("t.profile:age")
    assert len(c.get(layout, [key(n) for n in range(1000)])) == 1000
    reply = c.call(wire.GET, c.get_payload(layout, [key(n) for n in range(1001)]), layout.handle)
    assert reply.status == wire.TOO_LARGE and "1000" in reply.error()[1]
    assert c.call(wire.PING).status == wire.OK


def test_in_flight(tight):
    """Writes are in flight until durable: of many at once some are refused, none is lost."""
    c = tight.connect()
    w = c.writing("t.profile", "age")
    now = int(time.time() * 1e6)
    frames = b""
    for n in range(50):
        payload = c.write_payload(w, [(now, n, n)])
        frames += (
            struct.pack("<IBBHII", 16 + len(payload), wire.WRITE, 0, 0, 1000 + n, w.handle)
            + payload
        )
    c.socket.sendall(frames)
    replies = {}
    for _ in range(50):
        reply = c.receive()
        replies[reply.request_id - 1000] = reply
    refused = [n for n, r in replies.items() if r.status == wire.OVERLOADED]
    assert refused and all(replies[n].error()[0] > 0 for n in refused)
    layout = c.features("t.profile:age")
    for n, row in enumerate(c.get(layout, [key(n) for n in range(50)])):
        assert row["age"] == (("NOT_FOUND", 0) if n in refused else ("PRESENT", n))


def test_output_that_is_not_taken(tight):
    """A client that does not read its replies is not read either, and costs the others nothing."""
    greedy = tight.connect()
    layout = greedy.features("t.profile:*")
    payload = greedy.get_payload(layout, [key(n) for n in range(900)])
    frame = struct.pack("<IBBHII", 16 + len(payload), wire.GET, 0, 0, 1, layout.handle) + payload
    greedy.socket.setblocking(False)
    sent = 0
    try:
        for _ in range(100000):
            sent += greedy.socket.send(frame)
    except BlockingIOError:
        pass
    assert sent > 0
    other = tight.connect()
    assert all(other.call(wire.PING).status == wire.OK for _ in range(50))
    greedy.close()


def test_a_reply_that_has_no_room_now_says_when_to_ask_again(tight):
    """Two replies that do not fit beside each other: the second may come later."""
    c = tight.connect()
    layout = c.features("t.profile:age")
    before = tight.metric("overloads")

    def frame(count):
        payload = c.get_payload(layout, [key(n) for n in range(count)])
        return struct.pack("<IBBHII", 16 + len(payload), wire.GET, 0, 0, 1, layout.handle) + payload

    for _ in range(100):
        c.socket.sendall(frame(400) + frame(980))
        assert c.receive().status == wire.OK
        reply = c.receive()
        if reply.status != wire.OK:
            break
    assert reply.status == wire.OVERLOADED and reply.error()[0] > 0
    assert tight.metric("overloads") == before + 1
    assert len(c.get(layout, [key(n) for n in range(980)])) == 980


@pytest.mark.parametrize("name,option", [("age", "--bulk-bytes"), ("label", "--output-bytes")])
def test_a_reply_that_never_has_room(make_server, name, option):
    server = make_server(shards=1)
    server.start("--frame-bytes", "64K", option, "64K")
    server.apply(DEFINITIONS)
    c = server.connect()
    layout = c.features(f"t.profile:{name}")
    fits = (65536 - 24) // layout.row_bytes
    if name == "age":
        assert len(c.get(layout, [key(n) for n in range(fits)])) == fits
    payload = c.get_payload(layout, [key(n) for n in range(fits + 1)])
    reply = c.call(wire.GET, payload, layout.handle)
    assert reply.status == wire.TOO_LARGE and reply.error()[0] == 0
    assert "65536" in reply.error()[1]


def test_reply_size(make_server):
    """A reply has at most 16 MiB in every shape: of one request two fit and two do not."""
    server = make_server(shards=1).start()
    features = "".join(f"      - {{name: f{n}, type: float64}}\n" for n in range(250))
    wide = f"  - name: wide\n    entity: customer\n    features:\n{features}"
    server.apply(DEFINITIONS.replace("services:", wide + "services:"))
    c = server.connect()
    layout = c.features("t.wide:*")
    for shape, most in ((0, 2**24 // layout.row_bytes), (1, 7368), (2, 10000), (3, 8388)):
        for count, status in ((most, wire.OK), (most + 8, wire.TOO_LARGE)):
            if count > 10000:
                continue
            payload = c.get_payload(layout, [key(n) for n in range(count)], shape=shape)
            reply = c.call(wire.GET, payload, layout.handle)
            assert reply.status == status, (shape, count)
            assert status == wire.OK or "fewer keys" in reply.error()[1]
    assert c.call(wire.PING).status == wire.OK


def test_memory_limit(make_server):
    """New rows are refused FULL; those that are there can still be updated and read."""
    server = make_server(shards=1)
    server.options[server.options.index("--memory") + 1] = "64M"
    server.start()
    server.apply(DEFINITIONS)
    c = server.connect()
    w = c.writing("t.profile", "label")
    now = int(time.time() * 1e6)
    statuses, n = set(), 0
    while wire.FULL not in statuses:
        statuses = set(c.write(w, [(now, n + i, "x" * 8000) for i in range(100)]))
        assert statuses <= {wire.OK, wire.FULL}
        n += 100
        assert n < 100000
    layout = c.features("t.profile:label")
    assert c.get(layout, [key(0)])[0]["label"] == ("PRESENT", b"x" * 8000)
    fixed = c.writing("t.profile", "age")
    assert c.write(fixed, [(now + 1, 0, 5)]) == [wire.OK]
    server.kill()
    server.start()
    c = server.connect()
    assert c.get(c.features("t.profile:age"), [key(0)])[0]["age"] == ("PRESENT", 5)


def test_partitions(make_server):
    server = make_server()
    server.options[server.options.index("--partitions") + 1] = "1024"
    server.start()
    hello = server.connect().hello
    assert hello.status == wire.OK and wire.Reader(hello.payload).unpack("HH")[1] == 1024
    code, said = make_server().fails_to_start("--partitions", "1025")
    assert code == 2 and "partitions" in said


def test_control_calls_are_bounded(make_server):
    """What waits for the control thread takes a bounded part of memory: 64 MiB a shard."""
    server = make_server(shards=1).start()
    c = server.connect()
    # An unknown field of 15 MiB: a sound request, whose operation nobody knows.
    payload = b"\xfa\x7f" + b"\x80\x80\xc0\x07" + bytes(15 << 20)
    connections = [server.connect() for _ in range(6)]
    for connection in connections:
        connection.send(wire.CONTROL, payload)
    assert {connection.receive().status for connection in connections} <= {
        wire.UNKNOWN,
        wire.OVERLOADED,
    }
    assert c.call(wire.PING).status == wire.OK


def test_import_with_many_refused_rows(make_server, tmp_path):
    """More refused rows in one piece than anybody wants to read: the others are in, and counted."""
    server = make_server().start()
    server.apply(DEFINITIONS)
    now_us = int(time.time() * 1e6)
    good = [f"{i},{now_us},1" for i in range(500)]
    bad = [f"{i},{now_us + 10**13},1" for i in range(3000)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["customer_id,event_time,n", *good, *bad]) + "\n")
    aside = tmp_path / "bad.csv"
    done = server.fsctl("import", path, "--view", "fast", "--skip-bad", aside, check=False)
    assert "500 rows imported" in done.stdout + done.stderr
    assert (
        sum(line.startswith(tuple("0123456789")) for line in aside.read_text().splitlines())
        == 3000
    )
