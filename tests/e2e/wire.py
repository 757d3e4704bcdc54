"""The protocol of docs/protocol.md, written down a second time, independently of the C code.

Everything is explicit: a test can send any bytes, and sees every field of what comes back.
"""

import socket
import struct

HELLO, PREPARE, GET, WRITE, CONTROL, PING = 1, 2, 3, 4, 5, 6
MAGIC = 0x31545346
NOW = -(2**63)
OK, STALE, DUPLICATE, NOT_FOUND, EXPIRED, FUTURE, FULL = 0, 1, 2, 3, 4, 5, 6
INVALID, BAD_FRAME, TOO_LARGE, UNKNOWN = 16, 17, 18, 19
LAYOUT_CHANGED, UNAUTHENTICATED, FORBIDDEN, UNSUPPORTED, OVERLOADED = 21, 22, 23, 24, 25
WARMING, DISK_FULL, OUTCOME_UNKNOWN, CORRUPT, TIMEOUT = 26, 27, 28, 30, 33

KINDS = {1: "<?", 2: "<i", 3: "<q", 4: "<f", 5: "<d", 6: "<q", 7: "<q"}


def short(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<H", len(data)) + data


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        piece = self.data[self.at : self.at + count]
        assert len(piece) == count, "the reply is shorter than its fields"
        self.at += count
        return piece

    def unpack(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))

    def one(self, form):
        return self.unpack(form)[0]

    def short(self):
        return self.take(self.one("H"))

    def done(self):
        return self.at == len(self.data)


class Reply:
    def __init__(self, opcode, request_id, status, payload):
        self.opcode, self.request_id, self.status, self.payload = (
            opcode,
            request_id,
            status,
            payload,
        )

    def error(self):
        """(retry_us, text) of an error payload."""
        r = Reader(self.payload)
        retry, text = r.one("I"), r.short().decode()
        assert r.done()
        return retry, text


class Layout:
    def __init__(self, payload):
        r = Reader(payload)
        self.handle, self.id = r.unpack("IQ")
        kind, zeros, self.row_bytes = r.unpack("B3sI")
        self.kind = kind
        assert zeros == b"\0\0\0"
        self.keys = [(r.take(8), r.short().decode()) for _ in range(r.one("H"))]
        self.groups = []
        for _ in range(r.one("H")):
            offset, size, count, keys, zero = r.unpack("IIHBB")
            columns = [r.one("H") for _ in range(keys)]
            self.groups.append(
                dict(
                    offset=offset,
                    bytes=size,
                    features=count,
                    keys=columns,
                    ttl_us=r.one("q"),
                    view=r.short().decode(),
                )
            )
        self.features = []
        for _ in range(r.one("H")):
            group, bit, offset = r.unpack("HHI")
            kind = r.take(8)
            has_default, zeros = r.unpack("B7s")
            name, default = r.short().decode(), None
            if has_default:
                form = KINDS.get(kind[0])
                default = (
                    struct.unpack(form, r.take(struct.calcsize(form)))[0]
                    if form
                    else r.take(r.one("I"))
                )
            self.features.append(
                dict(
                    group=group, bit=bit, offset=offset, kind=kind[0], name=name, default=default
                )
            )
        assert r.done()


class Connection:
    def __init__(self, port, key="", client_id=12345, hello=True):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.last_id, self.sequence = 0, 0
        if hello:
            self.hello = self.say_hello(key, client_id)

    def close(self):
        self.socket.close()

    def frame(self, opcode, payload=b"", handle=0, flags=0, reserved=0, length=None):
        self.last_id += 1
        size = 16 + len(payload) if length is None else length
        head = struct.pack("<IBBHII", size, opcode, flags, reserved, self.last_id, handle)
        return head + payload

    def send(self, opcode, payload=b"", handle=0, **more):
        self.socket.sendall(self.frame(opcode, payload, handle, **more))
        return self.last_id

    def read(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def receive(self):
        length, opcode, flags, reserved, request_id, status = struct.unpack(
            "<IBBHII", self.read(16)
        )
        assert flags == 1 and reserved == 0 and length >= 16
        return Reply(opcode, request_id, status, self.read(length - 16))

    def is_closed(self):
        """True if nothing but the end of the stream comes."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def call(self, opcode, payload=b"", handle=0):
        request_id = self.send(opcode, payload, handle)
        reply = self.receive()
        assert reply.request_id == request_id and reply.opcode == opcode
        return reply

    def say_hello(self, key="", client_id=12345, magic=MAGIC, low=1, high=1):
        reply = self.call(HELLO, struct.pack("<IHHQ", magic, low, high, client_id) + short(key))
        return reply

    def prepare(self, kind, *names):
        reply = self.call(
            PREPARE, struct.pack("<B3xH", kind, len(names)) + b"".join(map(short, names))
        )
        assert reply.status == OK, reply.error()
        return Layout(reply.payload)

    def features(self, *names):
        return self.prepare(0, *names)

    def service(self, name):
        return self.prepare(1, name)

    def writing(self, view, *names):
        return self.prepare(2, view, *names)

    def get_payload(self, layout, keys, as_of=NOW, options=0, shape=0, count=None, deadline=0):
        return struct.pack(
            "<QqqIBBH",
            layout.id,
            as_of,
            deadline,
            len(keys) if count is None else count,
            shape,
            options,
            0,
        ) + b"".join(keys)

    def get(self, layout, keys, **more):
        reply = self.call(GET, self.get_payload(layout, keys, **more), layout.handle)
        assert reply.status == OK, (reply.status, reply.error())
        return decode_rows(layout, reply.payload)

    def columns(self, layout, keys, **more):
        reply = self.call(GET, self.get_payload(layout, keys, shape=1, **more), layout.handle)
        assert reply.status == OK, (reply.status, reply.error())
        return decode_columns(layout, reply.payload)

    def matrix(self, layout, keys, shape, **more):
        reply = self.call(GET, self.get_payload(layout, keys, shape=shape, **more), layout.handle)
        assert reply.status == OK, (reply.status, reply.error())
        return decode_matrix(layout, reply.payload, shape, more.get("options", 0) & 2)

    def write_payload(self, layout, rows, created=False, ack=1, sequence=None, delete=False):
        """rows: (event_us, [created_us,] key values..., feature values...); None is null."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        columns = int(created) | int(delete) << 1
        out = struct.pack("<QQIBBH", layout.id, sequence, len(rows), ack, columns, 0)
        out += b"".join(struct.pack("<q", r[0]) for r in rows)
        first = 1
        if created:
            out += b"".join(struct.pack("<q", r[1]) for r in rows)
            first = 2
        for i, (kind, _) in enumerate(layout.keys):
            out += column([r[first + i] for r in rows], kind[0])
        first += len(layout.keys)
        for i, feature in enumerate([] if delete else layout.features):
            values = [r[first + i] for r in rows]
            bits = sum(1 << n for n, v in enumerate(values) if v is None)
            out += bits.to_bytes((len(rows) + 7) // 8, "little") + column(values, feature["kind"])
        return out

    def write_send(self, layout, rows, **more):
        return self.send(WRITE, self.write_payload(layout, rows, **more), layout.handle)

    def delete(self, layout, keys, **more):
        """keys: (event_us, [created_us,] key values...)"""
        return self.write(layout, keys, delete=True, **more)

    def write(self, layout, rows, **more):
        return statuses(self.call(WRITE, self.write_payload(layout, rows, **more), layout.handle))


def statuses(reply):
    """Status per row of a WRITE reply."""
    assert reply.status == OK, (reply.status, reply.error())
    r = Reader(reply.payload)
    rows, not_ok = r.unpack("II")
    found = list(r.take(rows)) if not_ok else [OK] * rows
    assert r.done() and sum(s != OK for s in found) == not_ok
    return found


def column(values, kind):
    form = KINDS.get(kind)
    if form:
        return b"".join(struct.pack(form, 0 if v is None else v) for v in values)
    if kind == 10:
        return b"".join(v or bytes(16) for v in values)
    data = [b"" if v is None else v.encode() if isinstance(v, str) else v for v in values]
    ends, end = b"", 0
    for d in data:
        end += len(d)
        ends += struct.pack("<I", end)
    return ends + b"".join(data)


def decode_rows(layout, payload):
    """Per key: {feature: (status text, value), "rows": [(status, event, created, lsn)...]}."""
    r = Reader(payload)
    count, heap_bytes = r.unpack("II")
    rows = [r.take(layout.row_bytes) for _ in range(count)]
    heap = r.take(heap_bytes)
    assert r.done()
    out = []
    for row in rows:
        result = {"rows": []}
        for g in layout.groups:
            status, event, created, lsn = struct.unpack_from("<QqqQ", row, g["offset"])
            result["rows"].append((status, event, created, lsn))
        for f in layout.features:
            g = layout.groups[f["group"]]
            status = result["rows"][f["group"]][0]
            word = struct.unpack_from("<Q", row, g["offset"] + 32 + f["bit"] // 64 * 8)[0]
            is_null = bool(word >> (f["bit"] % 64) & 1)
            name = {
                OK: "NULL" if is_null else "PRESENT",
                NOT_FOUND: "NOT_FOUND",
                EXPIRED: "EXPIRED",
            }[status]
            form = KINDS.get(f["kind"])
            if form:
                value = struct.unpack_from(form, row, f["offset"])[0]
            elif f["kind"] == 10:
                value = row[f["offset"] : f["offset"] + 16]
            elif f["kind"] == 11:
                value = None
            else:
                at, size = struct.unpack_from("<II", row, f["offset"])
                assert at + size <= len(heap)
                value = heap[at : at + size]
            result[f["name"]] = (name, value)
        out.append(result)
    return out


SIZES = {1: 1, 2: 4, 3: 8, 4: 4, 5: 8, 6: 8, 7: 8, 8: 8, 9: 8, 10: 16, 12: 8}


def decode_columns(layout, payload):
    """The same as decode_rows, from columns; vectors are not decoded."""
    r = Reader(payload)
    count, heap_bytes = r.unpack("II")
    room = (count + 7) // 8 * 8
    heap = payload[len(payload) - heap_bytes :] if heap_bytes else b""

    def array(form):
        values = r.unpack(f"{room}{form}")
        assert not any(values[count:])
        return values[:count]

    out = [{"rows": []} for _ in range(count)]
    for _ in layout.groups:
        events, created, lsns, row_statuses = array("q"), array("q"), array("Q"), array("B")
        for key in range(count):
            out[key]["rows"].append(
                (row_statuses[key], events[key], created[key], lsns[key])
            )
    for f in layout.features:
        nulls, size = array("B"), SIZES[f["kind"]]
        data = r.take(room * size)
        assert not any(data[count * size :])
        for key in range(count):
            status = out[key]["rows"][f["group"]][0]
            name = {
                OK: "NULL" if nulls[key] else "PRESENT",
                NOT_FOUND: "NOT_FOUND",
                EXPIRED: "EXPIRED",
            }[status]
            value = data[key * size : (key + 1) * size]
            form = KINDS.get(f["kind"])
            if form:
                value = struct.unpack(form, value)[0]
            elif f["kind"] != 10:
                at, length = struct.unpack("<II", value)
                assert at + length <= len(heap)
                value = heap[at : at + length]
            out[key][f["name"]] = (name, value)
    assert r.take(heap_bytes) == heap and r.done()
    return out


def decode_matrix(layout, payload, shape, has_statuses):
    """Rows of numbers, and rows of statuses or None."""
    r = Reader(payload)
    count, features = r.unpack("II")
    assert features == len(layout.features)
    form = f"{features}{'f' if shape == 2 else 'd'}"
    numbers = [r.unpack(form) for _ in range(count)]
    found = [tuple(r.take(features)) for _ in range(count)] if has_statuses else None
    assert r.done()
    return numbers, found
