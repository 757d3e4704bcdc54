"""Five times more rows than memory: every row is read back right, in every shape, wherever it lies.

Rows follow from key and version, so that whatever is read can be checked. Memory is at its
smallest; the rows of both views may be evicted.
"""

import random
import struct
import time

import pytest

import wire

MEMORY = 64 << 20
NOTE_BYTES = 2000
KEYS = 5 * MEMORY // NOTE_BYTES
BLOCK = 200
NOW = int(time.time() * 1e6)
DEFINITIONS = """
namespace: w
entities:
  - {name: customer, keys: [{name: customer_id, type: int64}]}
views:
  - name: fat
    entity: customer
    evict: true
    features:
      - {name: n, type: int64}
      - {name: note, type: string}
  - name: slim
    entity: customer
    evict: true
    ttl: 1h
    features:
      - {name: a, type: int64}
      - {name: b, type: float64}
services:
  - {name: both, features: ["fat:n", "fat:note", "slim:a"]}
"""


def key(n):
    return struct.pack("<q", n)


def note(n, version):
    return (f"{n}.{version}|" * NOTE_BYTES)[: NOTE_BYTES - n % 97]


def settle(rows, write):
    """Rows that find no room yet are sent again: room is being made. The statuses in the end."""
    final, left = {}, list(rows)
    deadline = time.monotonic() + 60
    while left:
        assert time.monotonic() < deadline, f"{len(left)} rows found no room"
        for row, status in zip(left, write(left)):
            final[row] = status
        left = [row for row in left if final[row] == wire.OVERLOADED]
    return [final[row] for row in rows]


class Store:
    """A server, and what it should have: the version of each key, None for none."""

    def __init__(self, server, *options):
        self.server = server
        server.options += options
        for name, value in (("--memory", MEMORY), ("--partitions", 8)):
            server.options[server.options.index(name) + 1] = str(value)
        server.options += ["--checkpoint-interval", "1s"]
        server.start()
        server.apply(DEFINITIONS)
        self.versions = [None] * KEYS
        self.connect()

    def connect(self):
        self.connects = getattr(self, "connects", 0) + 1
        self.connection = self.server.connect(client_id=self.connects)
        self.fat = self.connection.features("w.fat:n", "w.fat:note")
        self.writing = self.connection.writing("w.fat", "n", "note")

    def event_us(self, version):
        return NOW - 1_000_000_000 + version

    def write(self, keys, version):
        keys = list(keys)
        for at in range(0, len(keys), BLOCK):
            rows = [
                (self.event_us(version), k, k * 7 + version, note(k, version))
                for k in keys[at : at + BLOCK]
            ]
            statuses = settle(rows, lambda left: self.connection.write(self.writing, left))
            assert set(statuses) == {wire.OK}
        for k in keys:
            self.versions[k] = version

    def delete(self, keys, version):
        rows = [(self.event_us(version), k) for k in keys]
        statuses = settle(rows, lambda left: self.connection.delete(self.writing, left))
        assert set(statuses) == {wire.OK}
        for k in keys:
            self.versions[k] = None

    def check(self, keys):
        keys = list(keys)
        for at in range(0, len(keys), BLOCK):
            part = keys[at : at + BLOCK]
            for k, row in zip(part, self.connection.get(self.fat, [key(k) for k in part])):
                version = self.versions[k]
                if version is None:
                    assert row["rows"][0][0] == wire.NOT_FOUND, k
                    continue
                assert row["n"] == ("PRESENT", k * 7 + version), k
                assert row["note"] == ("PRESENT", note(k, version).encode()), k
                assert row["rows"][0][1] == self.event_us(version)

    def evicted(self):
        return int(self.server.json("status")[0]["fields"]["evicted"])


@pytest.fixture
def store(make_server):
    return Store(make_server())


def test_five_times_memory(store):
    server = store.server
    rng = random.Random(1)
    store.write(range(KEYS), 1)
    fields = server.json("status")[0]["fields"]
    assert int(fields["rows"]) == KEYS
    assert store.evicted() > KEYS / 2
    assert int(fields["memory_used_bytes"]) < MEMORY * 1.1
    store.check(range(KEYS))
    assert server.metric("warm_gets") > 0 and server.metric("warm_rows") >= KEYS / 2
    # Newer, older and no rows, also of keys whose rows are evicted.
    changed = rng.sample(range(KEYS), 4000)
    store.write(changed[:2000], 3)
    stale = [(store.event_us(2), k, 0, "stale") for k in changed[:200]]
    statuses = settle(stale, lambda left: store.connection.write(store.writing, left))
    assert set(statuses) == {wire.STALE}
    store.delete(changed[2000:2200], 3)
    store.check(changed)
    assert server.stop() == 0
    server.start()
    store.connect()
    store.check(rng.sample(range(KEYS), 20000) + changed)
    store.write(changed[3000:], 4)
    server.kill()
    server.start()
    store.connect()
    store.check(range(KEYS))
    assert server.stop() == 0


SMALL = 3 * MEMORY // (2 * NOTE_BYTES)


@pytest.fixture
def small(make_server):
    """Half as many rows again as fit."""
    store = Store(make_server())
    store.write(range(SMALL), 1)
    return store


def evicted_keys(store, count):
    """Keys whose rows are evicted, and were not read since."""
    found = []
    for k in range(SMALL):
        before = store.server.metric("warm_rows")
        store.check([k])
        if store.server.metric("warm_rows") > before:
            found.append(k)
        if len(found) == count:
            return found
    raise AssertionError("too few rows are evicted")


def test_other_replies_overtake(small):
    c = small.connection
    k = evicted_keys(small, 1)[0]
    get = c.frame(wire.GET, c.get_payload(small.fat, [key(k)]), small.fat.handle)
    get_id = c.last_id
    c.socket.sendall(get + c.frame(wire.PING))
    assert c.receive().request_id == get_id + 1
    reply = c.receive()
    assert reply.request_id == get_id
    row = wire.decode_rows(small.fat, reply.payload)[0]
    assert row["note"] == ("PRESENT", note(k, 1).encode())


def test_rows_that_are_read_again_come_back(small):
    keys = evicted_keys(small, 3)
    before = small.server.metric("rows_promoted")
    deadline = time.monotonic() + 60
    while small.server.metric("rows_promoted") < before + len(keys):
        assert time.monotonic() < deadline
        small.check(keys)
    small.check(keys)


def test_rows_of_a_view_that_evicts_no_more_come_back_when_they_are_read(small):
    small.server.apply(DEFINITIONS.replace("evict: true", "evict: false"))
    before = small.server.metric("rows_promoted")
    keys = evicted_keys(small, 3)
    deadline = time.monotonic() + 60
    while small.server.metric("rows_promoted") < before + len(keys):
        assert time.monotonic() < deadline
    looked_up = small.server.metric("warm_rows")
    small.check(keys)
    assert small.server.metric("warm_rows") == looked_up


def test_every_shape(small):
    """Rows, columns and numbers of evicted rows agree."""
    c = small.connection
    layout = c.features("w.fat:n", "w.fat:note", "w.slim:a")
    numbers = c.features("w.fat:n", "w.slim:b")
    for first in range(0, SMALL - 50, SMALL // 20):
        keys = [key(k) for k in range(first, first + 50)]
        rows, columns = c.get(layout, keys), c.columns(layout, keys)
        for k, row, column in zip(range(first, first + 50), rows, columns):
            assert row["note"] == column["note"] == ("PRESENT", note(k, 1).encode())
            assert row["rows"] == column["rows"]
        values, value_statuses = c.matrix(numbers, keys, 3, options=2)
        for k, row, row_statuses in zip(range(first, first + 50), values, value_statuses):
            assert row[0] == k * 7 + 1 and row_statuses == (wire.OK, wire.NOT_FOUND)


def test_a_damaged_row_is_never_served(small):
    server = small.server
    bad, good = evicted_keys(small, 2)
    assert server.stop() == 0
    path = server.data / "meta" / "data.mdb"
    data = bytearray(path.read_bytes())
    text, at, places = note(bad, 1).encode()[:300], 0, 0
    while (at := data.find(text, at)) >= 0:
        data[at + 100] ^= 1
        at, places = at + 1, places + 1
    assert places > 0
    path.write_bytes(data)
    server.start()
    small.connect()
    c = small.connection
    reply = c.call(wire.GET, c.get_payload(small.fat, [key(good), key(bad)]), small.fat.handle)
    assert reply.status == wire.CORRUPT and "damaged" in reply.error()[1]
    small.check([good])
    small.write([bad], 2)  # heals it
    small.check([bad, good])
    assert server.stop() == 0
    assert "warm.read_failed" in server.log()


def test_what_waits_is_bounded(make_server):
    store = Store(make_server(), "--warm-bytes", "16M", "--warm-threads", "1")
    rows = 2 * SMALL  # twice of what fits beside memory: the oldest 10,000 are nearly all on disk
    store.write(range(rows), 1)
    c = store.connection
    layout = c.features("w.fat:n")
    for first in range(0, rows - 10000, 10000):
        keys = [key(k) for k in range(first, first + 10000)]
        reply = c.call(wire.GET, c.get_payload(layout, keys), layout.handle)
        assert reply.status in (wire.OK, wire.TOO_LARGE), reply.error()
        if reply.status == wire.TOO_LARGE:
            assert "fewer" in reply.error()[1]
            break
    else:
        raise AssertionError("every request found room")
    store.check(range(0, rows, 50))
    # Many at once, of which some may be refused; whatever is answered is right.
    ids = {}
    for first in range(0, 60 * 200, 200):
        part = range(first, first + 200)
        payload = c.get_payload(layout, [key(k) for k in part])
        ids[c.send(wire.GET, payload, layout.handle)] = part
    for _ in range(len(ids)):
        reply = c.receive()
        part = ids.pop(reply.request_id)
        if reply.status == wire.OVERLOADED:
            assert reply.error()[0] > 0
            continue
        assert reply.status == wire.OK
        for k, row in zip(part, wire.decode_rows(layout, reply.payload)):
            assert row["n"] == ("PRESENT", k * 7 + 1)
    store.check(range(0, rows, 50))


def test_a_connection_that_goes_while_its_rows_are_fetched(small):
    rng = random.Random(3)
    for client_id in range(100, 150):
        c = small.server.connect(client_id=client_id)
        layout = c.features("w.fat:n", "w.fat:note")
        for _ in range(5):
            keys = [key(k) for k in rng.sample(range(SMALL), 50)]
            c.send(wire.GET, c.get_payload(layout, keys), layout.handle)
        c.close()
    small.check(range(0, SMALL, 100))
    assert small.server.stop() == 0


def test_expired_rows_are_expired_without_a_look_at_the_disk(make_server):
    store = Store(make_server())
    c = store.connection
    writing, layout = c.writing("w.slim", "a", "b"), c.features("w.slim:a")
    old = int(time.time() * 1e6) - 5_400_000_000  # the ttl and half of it again
    for first in range(0, 2000, 200):
        rows = [(old, k, k + 5, 0.5) for k in range(first, first + 200)]
        assert set(c.write(writing, rows)) == {wire.OK}
    store.write(range(SMALL), 1)
    keys = [key(k) for k in range(2000)]
    before = store.server.metric("warm_rows")
    for row in c.get(layout, keys):
        assert row["a"][0] == "EXPIRED"
    assert store.server.metric("warm_rows") == before
    for k, row in enumerate(c.get(layout, keys, options=1)):
        assert row["a"] == ("EXPIRED", k + 5)
    assert store.server.metric("warm_rows") > before
