"""Dialogues with a running server: what is sent, what comes back, what others do not notice."""

import struct
import time

import pytest

import wire
from conftest import DEFINITIONS
from wire import Connection

NOW = int(time.time() * 1e6)  # Of the first test, and much earlier than the last.
DAY = 86_400_000_000
STATUS = b"\x0a\0"  # fst.ControlRequest { status: {} }


def key(n):
    return struct.pack("<q", n)


def card(bank, number):
    return wire.short(bank) + struct.pack("<q", number)


def test_write_then_read(server):
    c = server.connect()
    w = c.writing("t.profile")
    assert [f["name"] for f in w.features] == ["score", "label", "age", "vip"]
    assert c.write(w, [(NOW, 1, 1.25, "gold", 40, True), (NOW, 2, None, None, None, None)]) == [
        wire.OK,
        wire.OK,
    ]
    layout = c.features("t.profile:*")
    one, two, three = c.get(layout, [key(1), key(2), key(3)])
    assert one["score"] == ("PRESENT", 1.25) and one["label"] == ("PRESENT", b"gold")
    assert one["age"] == ("PRESENT", 40) and one["vip"] == ("PRESENT", True)
    assert one["rows"][0][1] == NOW and one["rows"][0][3] > 0
    assert (
        two["score"] == ("NULL", 0.5)
        and two["label"] == ("NULL", b"unknown")
        and two["age"] == ("NULL", 0)
    )
    assert three["score"] == ("NOT_FOUND", 0.5) and three["rows"][0] == (wire.NOT_FOUND, 0, 0, 0)


def test_delete(server):
    """A deleted key is not found; what is older than the delete stays away, also after a kill."""
    c = server.connect()
    w, layout = c.writing("t.profile", "age"), c.features("t.profile:age")
    cards, limits = c.writing("t.limits"), c.features("t.limits:maximum")
    assert c.write(w, [(NOW, n, n) for n in range(4)]) == [wire.OK] * 4
    assert c.write(cards, [(NOW, "b", 23, 1, b"x"), (NOW, "b", 24, 2, b"y")]) == [wire.OK] * 2
    ahead = NOW + 3600 * 1_000_000
    deletes = [(NOW + 1, 0), (NOW - 1, 1), (NOW + 1, 9), (ahead, 2)]
    assert c.delete(w, deletes) == [wire.OK, wire.STALE, wire.OK, wire.FUTURE]
    assert c.delete(cards, [(NOW + 1, "b", 23)]) == [wire.OK]

    def check(c):
        found = c.get(layout, [key(n) for n in (0, 1, 2, 3, 9)])
        assert [row["age"] for row in found[1:4]] == [("PRESENT", n) for n in (1, 2, 3)]
        for row in (found[0], found[4]):
            assert row["age"][0] == "NOT_FOUND" and row["rows"][0] == (wire.NOT_FOUND, 0, 0, 0)
        one, two = c.get(limits, [card("b", 23), card("b", 24)])
        assert one["maximum"][0] == "NOT_FOUND" and two["maximum"] == ("PRESENT", 2)

    check(c)
    assert c.write(w, [(NOW, 0, 7), (NOW, 9, 7)]) == [wire.STALE] * 2
    check(c)
    sequence = c.sequence + 1
    assert c.delete(w, [(NOW + 2, 0)], sequence=sequence) == [wire.OK]
    assert c.delete(w, [(NOW + 2, 0)], sequence=sequence) == [wire.DUPLICATE]
    c.close()
    server.kill()
    server.start()
    c = server.connect(client_id=777)
    w, layout = c.writing("t.profile", "age"), c.features("t.profile:age")
    limits = c.features("t.limits:maximum")
    check(c)
    assert c.write(w, [(NOW + 1, 0, 7), (NOW + 3, 9, 8)]) == [wire.STALE, wire.OK]
    zero, nine = c.get(layout, [key(0), key(9)])
    assert zero["age"][0] == "NOT_FOUND" and nine["age"] == ("PRESENT", 8)
    reply = c.call(wire.WRITE, c.write_payload(w, [(NOW, 1, 1)])[:21] + b"\4\0\0", w.handle)
    assert reply.status == wire.BAD_FRAME


def test_rows_long_past_their_ttl_leave(server):
    """Once past twice its ttl a row is not even found as expired; younger ones stay."""
    c = server.connect()
    w, layout = c.writing("t.profile", "age"), c.features("t.profile:age")
    days = [1, 366, 731]
    assert c.write(w, [(NOW - d * 86_400_000_000, d, d) for d in days]) == [wire.OK] * 3
    until = time.monotonic() + 60
    while c.get(layout, [key(731)])[0]["age"][0] != "NOT_FOUND":
        assert time.monotonic() < until
    found = c.get(layout, [key(d) for d in days], options=1)
    assert [row["age"][0] for row in found] == ["PRESENT", "EXPIRED", "NOT_FOUND"]


def test_service_over_two_entities(server):
    c = server.connect()
    assert c.write(c.writing("t.profile", "age"), [(NOW, 7, 33)]) == [wire.OK]
    assert c.write(c.writing("t.limits"), [(NOW, "b", 23, 12345, b"\0\xff")]) == [wire.OK]
    layout = c.service("t.all")
    assert [k[1] for k in layout.keys] == ["customer_id", "bank", "number"]
    both, other = c.get(layout, [key(7) + card("b", 23), key(7) + card("b2", 3)])
    assert both["age"] == ("PRESENT", 33) and both["maximum"] == ("PRESENT", 12345)
    assert other["maximum"][0] == "NOT_FOUND" and other["age"] == ("PRESENT", 33)


def test_shapes_say_the_same(server):
    """Present, null with and without default, expired and missing, in every shape."""
    c = server.connect()
    w = c.writing("t.profile")
    rows = [
        (NOW, 1, 1.1, "gold", 40, True),
        (NOW, 2, None, None, None, None),
        (NOW - 366 * 86_400_000_000, 3, 3.5, "old", 16777217, False),
    ]
    assert c.write(w, rows) == [wire.OK] * 3
    assert c.write(c.writing("t.fast"), [(NOW, 1, 2**60 + 1)]) == [wire.OK]
    keys = [key(n) for n in (3, 1, 4, 2, 1)]
    layout = c.features("t.profile:label", "t.fast:n", "t.profile:score", "t.profile:age")
    for options in (0, 1):
        want = c.get(layout, keys, options=options)
        assert c.columns(layout, keys, options=options) == want
    assert want[0]["label"] == ("EXPIRED", b"old") and want[1]["n"] == ("PRESENT", 2**60 + 1)

    layout = c.features("t.profile:vip", "t.profile:age", "t.profile:score", "t.fast:n")
    numbers, found = c.matrix(layout, keys, shape=3, options=2)
    assert numbers[1] == numbers[4] == (1, 40, 1.1, 2.0**60)
    assert [str(n) for n in numbers[3]] == ["nan", "nan", "0.5", "nan"]
    assert str(numbers[0]) == str(numbers[2]) == str(numbers[3])
    assert found == [(4, 4, 4, 3), (0, 0, 0, 0), (3, 3, 3, 3), (1, 1, 1, 3), (0, 0, 0, 0)]
    narrow, none = c.matrix(layout, keys, shape=2, options=1)
    assert none is None
    assert narrow[0][:3] == (0, 16777216, 3.5)
    assert narrow[1][2] == struct.unpack("<f", struct.pack("<f", 1.1))[0]
    assert c.matrix(layout, keys, shape=3, options=3)[1][0] == (4, 4, 4, 3)


def test_decimals_in_a_matrix(server):
    c = server.connect()
    assert c.write(c.writing("t.limits"), [(NOW, "b", 1, -1205, None)]) == [wire.OK]
    layout = c.features("t.limits:maximum")
    numbers, found = c.matrix(layout, [card("b", 1), card("b", 2)], shape=3, options=2)
    assert numbers[0] == (-12.05,) and str(numbers[1]) == "(nan,)"
    assert found == [(wire.OK,), (wire.NOT_FOUND,)]


def test_shapes_share_a_tick(server):
    """All shapes at once, pipelined: each request is answered in its own."""
    c = server.connect()
    assert c.write(c.writing("t.profile", "age"), [(NOW, n, n) for n in range(40)]) == [0] * 40
    layout = c.features("t.profile:age", "t.profile:vip")
    sent = {}
    for n in range(48):
        keys = [key(n + i) for i in range(n % 9 + 1)]
        sent[c.send(wire.GET, c.get_payload(layout, keys, shape=n % 4), layout.handle)] = n
    for _ in range(48):
        reply = c.receive()
        n = sent.pop(reply.request_id)
        assert reply.status == wire.OK
        ages = [n + i if n + i < 40 else None for i in range(n % 9 + 1)]
        if n % 4 < 2:
            decode = (wire.decode_rows, wire.decode_columns)[n % 4]
            rows = decode(layout, reply.payload)
            found = [r["age"][1] if r["age"][0] == "PRESENT" else None for r in rows]
        else:
            numbers, _ = wire.decode_matrix(layout, reply.payload, n % 4, False)
            found = [None if r[0] != r[0] else r[0] for r in numbers]
        assert found == ages


def test_order_of_rows(server):
    """(event, created, lsn) decides; a late row is STALE and changes nothing."""
    c = server.connect()
    w = c.writing("t.profile", "age")
    layout = c.features("t.profile:age")
    steps = [
        ((NOW, NOW, 1, 10), wire.OK, 10),
        ((NOW - 1, NOW + 5, 1, 11), wire.STALE, 10),
        ((NOW, NOW - 1, 1, 12), wire.STALE, 10),
        ((NOW, NOW, 1, 13), wire.OK, 13),
        ((NOW, NOW + 1, 1, 14), wire.OK, 14),
        ((NOW + 1, 0, 1, 15), wire.OK, 15),
    ]
    for row, status, value in steps:
        assert c.write(w, [row], created=True) == [status]
        assert c.get(layout, [key(1)], as_of=NOW + DAY)[0]["age"] == ("PRESENT", value)


def test_ttl_both_ends(server):
    c = server.connect()
    day = 86_400_000_000
    assert c.write(c.writing("t.profile", "age"), [(NOW, 1, 5)]) == [wire.OK]
    layout = c.features("t.profile:age", "t.profile:score")
    assert c.get(layout, [key(1)], as_of=NOW + 365 * day)[0]["age"] == ("PRESENT", 5)
    gone = c.get(layout, [key(1)], as_of=NOW + 365 * day + 1)[0]
    assert gone["age"] == ("EXPIRED", 0) and gone["score"] == ("EXPIRED", 0.5)
    assert c.get(layout, [key(1)], as_of=NOW + 365 * day + 1, options=1)[0]["age"] == (
        "EXPIRED",
        5,
    )


def test_future_rows_are_refused(server):
    c = server.connect()
    w = c.writing("t.profile", "age")
    later = int(time.time() * 1e6) + 3_600_000_000
    assert c.write(w, [(NOW, 1, 1), (later, 2, 2)]) == [wire.OK, wire.FUTURE]
    assert c.get(c.features("t.profile:age"), [key(2)])[0]["age"][0] == "NOT_FOUND"


def test_repeated_sequence_is_a_duplicate(server):
    c = server.connect(client_id=99)
    w = c.writing("t.profile", "age")
    assert c.write(w, [(NOW, 1, 1)], sequence=5) == [wire.OK]
    assert c.write(w, [(NOW + 1, 1, 2)], sequence=5) == [wire.DUPLICATE]
    other = server.connect(client_id=99)
    assert other.write(other.writing("t.profile", "age"), [(NOW + 1, 1, 3)], sequence=5) == [
        wire.DUPLICATE
    ]
    third = server.connect(client_id=100)
    assert third.write(third.writing("t.profile", "age"), [(NOW + 1, 1, 4)], sequence=5) == [
        wire.OK
    ]


def test_pipelined_requests_are_all_answered(server):
    c = server.connect()
    w, layout = c.writing("t.profile", "age"), c.features("t.profile:age")
    sent = {}
    for n in range(60):
        if n % 2:
            sent[c.write_send(w, [(NOW, n, n)])] = wire.WRITE
        else:
            sent[c.send(wire.GET, c.get_payload(layout, [key(n)]), layout.handle)] = wire.GET
    for _ in range(60):
        reply = c.receive()
        assert sent.pop(reply.request_id) == reply.opcode and reply.status == wire.OK
    assert c.get(layout, [key(n) for n in range(1, 60, 2)])[-1]["age"] == ("PRESENT", 59)


def test_memory_view_is_seen_at_once(server):
    c = server.connect()
    w = c.writing("t.fast")
    assert c.write(w, [(NOW, 1, 7)], ack=0) == [wire.OK]
    assert c.get(c.features("t.fast:n"), [key(1)])[0]["n"] == ("PRESENT", 7)
    assert c.write(w, [(NOW - 1, 1, 8)], ack=1) == [wire.STALE]


def test_every_type_of_request_needs_hello(server):
    for opcode in (wire.PREPARE, wire.GET, wire.WRITE, wire.CONTROL, wire.PING):
        c = Connection(server.port, hello=False)
        assert c.call(opcode).status == wire.UNAUTHENTICATED
        assert c.is_closed()


HELLO_OK = struct.pack("<IHHQ", wire.MAGIC, 1, 1, 5) + wire.short("")
BAD_HELLOS = {
    "magic": struct.pack("<IHHQ", 1, 1, 1, 5) + wire.short(""),
    "client_id": struct.pack("<IHHQ", wire.MAGIC, 1, 1, 0) + wire.short(""),
    "HELLO": HELLO_OK + b"x",
    "key, no": HELLO_OK[:-1],
    "version": struct.pack("<IHHQ", wire.MAGIC, 2, 9, 5) + wire.short(""),
}


@pytest.mark.parametrize("part", BAD_HELLOS)
def test_bad_hello(server, part):
    c = Connection(server.port, hello=False)
    reply = c.call(wire.HELLO, BAD_HELLOS[part])
    assert reply.status in (wire.BAD_FRAME, wire.UNSUPPORTED)
    assert part in reply.error()[1]
    assert c.is_closed()


def test_bad_headers_close_only_their_connection(server):
    bystander = server.connect()
    before = server.metric("bad_frames")
    cases = [
        dict(opcode=99),
        dict(opcode=wire.PING, flags=1),
        dict(opcode=wire.PING, flags=0x80),
        dict(opcode=wire.PING, reserved=1),
        dict(opcode=wire.PING, length=15),
        dict(opcode=wire.PING, length=0),
        dict(opcode=wire.PING, length=2**20 + 1),
        dict(opcode=wire.WRITE, length=2**24 + 1),
        dict(opcode=wire.PING, length=2**32 - 1),
    ]
    for case in cases:
        c = server.connect()
        c.send(**case)
        reply = c.receive()
        assert reply.status in (wire.BAD_FRAME, wire.TOO_LARGE), case
        assert reply.error()[1]
        assert c.is_closed(), case
    assert bystander.call(wire.PING).status == wire.OK
    assert server.metric("bad_frames") == before + len(cases)


def test_a_handle_belongs_to_get_and_write_only(server):
    before = server.metric("bad_frames")
    prepare = struct.pack("<B3xH", 0, 1) + wire.short("t.profile:age")
    for opcode, payload, name in [
        (wire.PREPARE, prepare, "PREPARE"),
        (wire.CONTROL, STATUS, "CONTROL"),
        (wire.PING, b"", "PING"),
    ]:
        c = server.connect()
        assert c.call(opcode, payload).status == wire.OK
        reply = c.call(opcode, payload, handle=1)
        assert reply.status == wire.BAD_FRAME
        assert reply.error() == (0, f"{name} handle: expected 0, found 1")
        assert c.is_closed()
    c = Connection(server.port, hello=False)
    reply = c.call(wire.HELLO, HELLO_OK, handle=7)
    assert reply.status == wire.BAD_FRAME and "HELLO handle" in reply.error()[1]
    assert c.is_closed()
    assert server.metric("bad_frames") == before + 4


def test_hello_must_be_small_and_alone(server):
    c = Connection(server.port, hello=False)
    c.send(wire.HELLO, b"x" * 4081)
    assert c.receive().status in (wire.TOO_LARGE, wire.BAD_FRAME)
    assert c.is_closed()


def prepare(kind, *names, zeros=bytes(3), count=None, tail=b""):
    head = struct.pack("<B3sH", kind, zeros, len(names) if count is None else count)
    return head + b"".join(map(wire.short, names)) + tail


BAD_PREPARES = {
    "kind": prepare(3, "t.profile:age"),
    "zero": prepare(0, "t.profile:age", zeros=b"\0\0\1"),
    "three": b"\0\0\0\0",
    "names": prepare(0, "t.profile:age", count=2),
    "as many": prepare(0, "t.profile:age", tail=b"x"),
}


@pytest.mark.parametrize("part", BAD_PREPARES)
def test_bad_prepare(server, part):
    c = server.connect()
    reply = c.call(wire.PREPARE, BAD_PREPARES[part])
    assert reply.status == wire.BAD_FRAME and part in reply.error()[1]
    assert c.is_closed()


def test_refused_prepare(server):
    """What is sound but not to be had leaves the connection open."""
    c = server.connect()
    for payload, status, part in [
        (prepare(0), wire.INVALID, "at least one feature"),
        (prepare(0, "t.profile"), wire.INVALID, "view:feature"),
        (prepare(0, *["t.profile:age"] * 1001), wire.INVALID, "twice"),
        (prepare(0, *["t.profile:age"] * 1002), wire.TOO_LARGE, "1000"),
        (prepare(1), wire.INVALID, "one service"),
        (prepare(1, "t.all", "t.all"), wire.INVALID, "one service"),
        (prepare(2), wire.INVALID, "a view"),
        (prepare(2, "t.profile", "age", "age"), wire.INVALID, "twice"),
        (prepare(0, b"t.\xff\xfe:x"), wire.UNKNOWN, "t.\\xff\\xfe"),
        (prepare(2, b"t.\xc3\xa9"), wire.UNKNOWN, "t.\u00e9"),
    ]:
        reply = c.call(wire.PREPARE, payload)
        assert reply.status == status and part in reply.error()[1], (status, reply.error())
    assert c.features("t.profile:age").handle == 1


def test_ping_is_empty(server):
    c = server.connect()
    reply = c.call(wire.PING, b"x")
    assert reply.status == wire.BAD_FRAME and "payload" in reply.error()[1]
    assert c.is_closed()


def test_hello_comes_once(server):
    c = server.connect()
    reply = c.call(wire.HELLO, HELLO_OK)
    assert reply.status == wire.BAD_FRAME and "once" in reply.error()[1]
    assert c.is_closed()


def test_control_is_a_message(server):
    c = server.connect()
    reply = c.call(wire.CONTROL, b"\xff\xff\xff")
    assert reply.status == wire.BAD_FRAME and "fst.ControlRequest" in reply.error()[1]
    assert c.is_closed()


BAD_WRITES = {
    "sequence": (8, 8, 0, wire.BAD_FRAME),
    "rows_count": (16, 4, 0, wire.BAD_FRAME),
    "65536": (16, 4, 65537, wire.TOO_LARGE),
    "values do not lie": (16, 4, 2, wire.BAD_FRAME),
    "ack": (20, 1, 2, wire.BAD_FRAME),
    "columns": (21, 1, 4, wire.BAD_FRAME),
    "reserved": (22, 2, 1, wire.BAD_FRAME),
    "null bits": (40, 1, 2, wire.BAD_FRAME),
}


@pytest.mark.parametrize("part", BAD_WRITES)
def test_bad_write(server, part):
    c = server.connect()
    w = c.writing("t.profile", "age")
    payload = bytearray(c.write_payload(w, [(NOW, 1, 5)]))
    at, size, value, status = BAD_WRITES[part]
    payload[at : at + size] = value.to_bytes(size, "little")
    reply = c.call(wire.WRITE, bytes(payload), w.handle)
    assert reply.status == status and part in reply.error()[1]
    if status == wire.BAD_FRAME:
        assert c.is_closed()
    else:
        assert c.call(wire.PING).status == wire.OK


def get_parts(layout, **change):
    fields = dict(
        id=layout.id, as_of=wire.NOW, deadline=0, count=1, shape=0, options=0, zero=0, keys=key(1)
    )
    fields.update(change)
    return (
        struct.pack(
            "<QqqIBBH",
            *[
                fields[n]
                for n in ("id", "as_of", "deadline", "count", "shape", "options", "zero")
            ],
        )
        + fields["keys"]
    )


BAD_GETS = [
    (dict(shape=4), wire.BAD_FRAME, "shape"),
    (dict(shape=255), wire.BAD_FRAME, "shape"),
    (dict(options=2), wire.BAD_FRAME, "options"),
    (dict(shape=1, options=2), wire.BAD_FRAME, "options"),
    (dict(shape=2, options=4), wire.BAD_FRAME, "options"),
    (dict(shape=2), wire.INVALID, "t.profile:label of type string"),
    (dict(shape=3, options=3), wire.INVALID, "t.profile:label of type string"),
    (dict(zero=1), wire.BAD_FRAME, "reserved"),
    (dict(deadline=-1), wire.BAD_FRAME, "deadline"),
    (dict(count=0, keys=b""), wire.BAD_FRAME, "keys_count"),
    (dict(count=2), wire.BAD_FRAME, "keys"),
    (dict(keys=key(1) + b"x"), wire.BAD_FRAME, "keys"),
    (dict(keys=b"1234567"), wire.BAD_FRAME, "keys"),
    (dict(count=10001, keys=key(1) * 10001), wire.TOO_LARGE, "10000"),
    (dict(as_of=5), wire.UNSUPPORTED, "as_of"),
]


@pytest.mark.parametrize("change,status,part", BAD_GETS)
def test_bad_get(server, change, status, part):
    c = server.connect()
    layout = c.features("t.profile:*")
    reply = c.call(wire.GET, get_parts(layout, **change), layout.handle)
    assert reply.status == status and part in reply.error()[1]
    if status == wire.BAD_FRAME:
        assert c.is_closed()
    else:
        assert c.call(wire.PING).status == wire.OK


def test_most_keys_per_get(server):
    c = server.connect()
    layout = c.features("t.profile:age")
    rows = c.get(layout, [key(n) for n in range(10000)])
    assert len(rows) == 10000 and all(r["age"][0] == "NOT_FOUND" for r in rows)


def test_unknown_names_and_handles(server):
    c = server.connect()
    for kind, names, part in [
        (0, ["t.no:x"], "no"),
        (0, ["t.profile:no"], "no"),
        (1, ["t.no"], "no"),
        (2, ["t.no"], "no"),
        (2, ["t.profile", "no"], "no"),
    ]:
        reply = c.call(
            wire.PREPARE,
            struct.pack("<B3xH", kind, len(names)) + b"".join(map(wire.short, names)),
        )
        assert reply.status == wire.UNKNOWN and part in reply.error()[1]
    layout, writing = c.features("t.profile:*"), c.writing("t.profile")
    assert c.call(wire.GET, c.get_payload(layout, [key(1)]), 99).status == wire.UNKNOWN
    assert c.call(wire.GET, c.get_payload(layout, [key(1)]), 0).status == wire.UNKNOWN
    assert (
        c.call(wire.GET, c.get_payload(layout, [key(1)]), writing.handle).status == wire.UNKNOWN
    )
    assert (
        c.call(
            wire.WRITE,
            c.write_payload(writing, [(NOW, 1, None, None, None, None)]),
            layout.handle,
        ).status
        == wire.UNKNOWN
    )


def test_most_handles_per_connection(server):
    c = server.connect()
    for _ in range(256):
        c.features("t.profile:age")
    reply = c.call(wire.PREPARE, struct.pack("<B3xH", 0, 1) + wire.short("t.profile:age"))
    assert reply.status == wire.TOO_LARGE and "256" in reply.error()[1]


def test_most_features_per_request(server):
    """A thousand features of two views are prepared and read; one more is refused."""
    views = "".join(
        f"  - name: {v}\n    entity: customer\n    features:\n"
        + "".join(f"      - {{name: {v}{n}, type: bool}}\n" for n in range(600))
        for v in ("wide", "wider")
    )
    server.apply(DEFINITIONS.replace("services:", views + "services:"))
    names = [f"t.wide:wide{n}" for n in range(600)] + [f"t.wider:wider{n}" for n in range(401)]
    c = server.connect()
    layout = c.features(*names[:1000])
    assert len(c.get(layout, [key(1)])[0]) == 1 + 1000  # And "rows".
    payload = struct.pack("<B3xH", 0, 1001) + b"".join(map(wire.short, names))
    reply = c.call(wire.PREPARE, payload)
    assert reply.status == wire.TOO_LARGE and "1000" in reply.error()[1]
    assert c.call(wire.PING).status == wire.OK


def test_longest_key(server):
    """A key of 256 bytes is a key; the row of a longer one is refused, and others are not."""
    c = server.connect()
    w = c.writing("t.limits", "raw")
    fits, longer = "b" * 246, "b" * 247  # With its length and the number: 256 and 257.
    assert c.write(w, [(NOW, fits, 1, b"x"), (NOW, longer, 1, b"x")]) == [wire.OK, wire.TOO_LARGE]


def test_largest_bulk_frame(server):
    c = server.connect()
    c.send(wire.WRITE, b"", length=(16 << 20) + 1)
    reply = c.receive()
    assert reply.status == wire.TOO_LARGE and str(16 << 20) in reply.error()[1]
    assert c.is_closed()
    c = server.connect()
    reply = c.call(wire.CONTROL, b"\xff" * ((16 << 20) - 16))
    assert reply.status == wire.BAD_FRAME and "ControlRequest" in reply.error()[1]


def test_layout_change_is_told(server):
    reader, writer = server.connect(), server.connect()
    layout, writing = reader.features("t.profile:*"), writer.writing("t.profile")
    assert writer.write(writing, [(NOW, 1, 1.5, "old", 3, False)]) == [wire.OK]
    changed = server.apply(wire_definitions_with_city())
    assert "city" in changed.stdout
    reply = reader.call(wire.GET, reader.get_payload(layout, [key(1)]), layout.handle)
    assert reply.status == wire.LAYOUT_CHANGED
    layout = wire.Layout(reply.payload)
    row = reader.get(layout, [key(1)])[0]
    assert (
        row["score"] == ("PRESENT", 1.5)
        and row["label"] == ("PRESENT", b"old")
        and row["city"] == ("NULL", b"")
    )
    reply = writer.call(
        wire.WRITE,
        writer.write_payload(writing, [(NOW + 1, 1, 2.5, "new", 4, True)]),
        writing.handle,
    )
    assert reply.status == wire.LAYOUT_CHANGED
    writing = wire.Layout(reply.payload)
    assert writer.write(writing, [(NOW + 1, 1, 2.5, "new", 4, True, "Bonn")]) == [wire.OK]
    assert reader.get(layout, [key(1)])[0]["city"] == ("PRESENT", b"Bonn")


def wire_definitions_with_city():
    return DEFINITIONS.replace(
        "      - {name: vip, type: bool}\n",
        "      - {name: vip, type: bool}\n      - {name: city, type: string}\n",
    )


def test_strings_of_all_sizes(server):
    c = server.connect()
    w, layout = c.writing("t.profile", "label"), c.features("t.profile:label")
    for n, size in enumerate([0, 1, 7, 8, 9, 255, 4096, 65535, 65536]):
        text = "x" * size
        assert c.write(w, [(NOW, n, text)]) == [wire.OK]
        assert c.get(layout, [key(n)])[0]["label"] == ("PRESENT", text.encode())
    assert c.write(w, [(NOW, 50, "x" * 65537)]) == [wire.TOO_LARGE]
    assert c.write(w, [(NOW, 50, b"\xff")]) == [wire.INVALID]
    assert c.get(layout, [key(50)])[0]["label"][0] == "NOT_FOUND"


def test_special_floats(server):
    c = server.connect()
    w, layout = c.writing("t.profile", "score"), c.features("t.profile:score")
    for n, value in enumerate([float("inf"), float("-inf"), -0.0, 5e-324]):
        assert c.write(w, [(NOW, n, value)]) == [wire.OK]
        found = c.get(layout, [key(n)])[0]["score"][1]
        assert struct.pack("<d", found) == struct.pack("<d", value + 0.0)
    assert c.write(w, [(NOW, 9, float("nan"))]) == [wire.OK]
    assert struct.pack("<d", c.get(layout, [key(9)])[0]["score"][1]) == struct.pack(
        "<Q", 0x7FF8000000000000
    )


def test_composite_keys_compare_by_value(server):
    c = server.connect()
    assert (
        c.write(c.writing("t.limits", "maximum"), [(NOW, "a", 1, 100), (NOW, "", 1, 200)])
        == [wire.OK] * 2
    )
    layout = c.features("t.limits:maximum")
    found = c.get(layout, [card("a", 1), card("", 1), card("a\0", 1)])
    assert [f["maximum"][0] for f in found] == ["PRESENT", "PRESENT", "NOT_FOUND"]


def test_half_a_frame_disturbs_nobody(server):
    slow = server.connect()
    slow.socket.sendall(struct.pack("<IBBH", 100, wire.PING, 0, 0))
    fast = server.connect()
    for _ in range(100):
        assert fast.call(wire.PING).status == wire.OK
    slow.close()


def test_one_byte_at_a_time(server):
    c = server.connect()
    layout = c.features("t.profile:age")
    frame = struct.pack("<IBBHII", 16 + 40, wire.GET, 0, 0, 77, layout.handle) + c.get_payload(
        layout, [key(1)]
    )
    for i in range(len(frame)):
        c.socket.sendall(frame[i : i + 1])
    reply = c.receive()
    assert reply.request_id == 77 and reply.status == wire.OK


def test_keys_and_roles(make_server):
    server = make_server().start()
    server.apply(DEFINITIONS)
    assert "admin" in server.fsctl("key", "create", "read", "--role", "read", check=False).stderr
    made = {"admin": server.json("key", "create", "admin", "--role", "admin")[0]["key"]}
    for role in ("read", "write"):
        made[role] = server.json("--key", made["admin"], "key", "create", role, "--role", role)[
            0
        ]["key"]
    refused = Connection(server.port, hello=False)
    assert refused.say_hello("").status == wire.UNAUTHENTICATED and refused.is_closed()
    wrong = Connection(server.port, hello=False)
    assert (
        wrong.say_hello(made["read"][:-1] + ("A" if made["read"][-1] != "A" else "B")).status
        == wire.UNAUTHENTICATED
    )
    reader, writer = server.connect(key=made["read"]), server.connect(key=made["write"])
    reader.features("t.profile:age")
    assert (
        reader.call(wire.PREPARE, struct.pack("<B3xH", 2, 1) + wire.short("t.profile")).status
        == wire.FORBIDDEN
    )
    writer.write(writer.writing("t.profile", "age"), [(NOW, 1, 1)])
    assert (
        writer.call(wire.PREPARE, struct.pack("<B3xH", 0, 1) + wire.short("t.profile:age")).status
        == wire.FORBIDDEN
    )
    assert server.fsctl("key", "list", check=False).returncode != 0
    assert server.fsctl("--key", made["admin"], "key", "list").returncode == 0
    assert server.fsctl("--key", made["admin"], "key", "revoke", "read").returncode == 0
    assert (
        "last"
        in server.fsctl("--key", made["admin"], "key", "revoke", "admin", check=False).stderr
    )
    gone = Connection(server.port, hello=False)
    assert gone.say_hello(made["read"]).status == wire.UNAUTHENTICATED


def refused(connection):
    """Whether the next request is answered UNAUTHENTICATED and the connection closed."""
    reply = connection.call(wire.PING)
    return (
        reply.status == wire.UNAUTHENTICATED
        and "revoked" in reply.error()[1]
        and connection.is_closed()
    )


def test_open_connections_lose_the_roles_of_their_key(make_server):
    """On every shard: what is sent after the answer to a revocation is refused."""
    server = make_server(shards=2).start()
    server.apply(DEFINITIONS)
    boss = server.json("key", "create", "boss", "--role", "admin")[0]["key"]
    made = server.json("--key", boss, "key", "create", "app", "--role", "read,write")[0]["key"]
    app = [server.connect(key=made, client_id=n + 1) for n in range(16)]
    other = server.connect(key=boss)
    layouts = [c.features("t.profile:age") for c in app]
    assert all(
        c.get(layout, [key(1)])[0]["age"][0] == "NOT_FOUND" for c, layout in zip(app, layouts)
    )
    server.fsctl("--key", boss, "key", "revoke", "app")
    assert all(map(refused, app))
    assert other.call(wire.PING).status == wire.OK


def test_the_first_key_locks_out_connections_without_one(make_server):
    server = make_server(shards=2).start()
    server.apply(DEFINITIONS)
    keyless = [server.connect(client_id=n + 1) for n in range(16)]
    unknown = server.connect(key="fst_00")
    assert all(c.call(wire.PING).status == wire.OK for c in keyless)
    silent = Connection(server.port, hello=False)
    # fst.ControlRequest { key_create: { name: "boss", roles: "admin" } }, sent by one of them: it
    # still gets the answer.
    create = b"\x3a\x0d\x0a\x04boss\x12\x05admin"
    reply = keyless[0].call(wire.CONTROL, create)
    assert reply.status == wire.OK and b"fst_" in reply.payload
    assert all(map(refused, [*keyless, unknown]))
    made = reply.payload[reply.payload.index(b"fst_") :].decode()
    assert silent.say_hello(made).status == wire.OK


def test_without_a_key_only_loopback(make_server):
    server = make_server()
    code, said = server.fails_to_start(listen="0.0.0.0:0")
    assert code == 2 and "loopback" in said
