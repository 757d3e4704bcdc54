"""fsbench against the real fsd and fsecho: figures come out, and replies are what was written."""

import base64
import collections
import json
import math
import os
import socket
import struct
import subprocess
import sys
import zlib

import pytest
from conftest import BUILD

SHORT = [
    "--connections",
    "4",
    "--depth",
    "4",
    "--duration",
    "200ms",
    "--warmup",
    "20ms",
    "--json",
]
ITEMS = ["--entities", "3000", "--features", "70"]


def fsbench(*arguments, code=0):
    command = [str(BUILD / "fsbench"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["-h"], ["help"], ["online", "-h"], ["echo", "--json", "--help"], ["fraud", "-h"]],
)
def test_help(arguments):
    done = subprocess.run([str(BUILD / "fsbench"), *arguments], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("usage: fsbench") and not done.stderr


def test_version():
    done = subprocess.run([str(BUILD / "fsbench"), "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("fsbench ")


def free_port():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return holder.getsockname()[1]


@pytest.fixture(params=["uring", "epoll"])
def address(request, make_server):
    return f"127.0.0.1:{make_server(io=request.param).start().port}"


def test_reads_and_writes_are_right(address):
    online = ["online", "--server", address, *ITEMS, *SHORT, "--verify", "all"]
    first = fsbench(*online, "--load", "--verify-load")
    assert first["wrong"] == 0 and first["refused"] == 0 and first["read_us"]["count"] > 0
    assert first["server"]["io"] in ("uring", "epoll") and first["server"]["shards"] == "2"
    assert first["server"]["fstore"] == first["environment"]["fsbench"]
    assert first["environment"]["processors"] == os.cpu_count()
    assert first["environment"]["kernel"] == os.uname().release
    assert first["options"]["entities"] == "3000" and first["options"]["verify"] == "all"
    for more in (
        ["--mix", "50:50", "--keys", "zipf:0.99", "--entities-per-request", "7"],
        ["--miss", "30%", "--entities-per-request", "3"],
        ["--mix", "0:100", "--rows-per-write", "5", "--ack", "memory"],
        ["--rate", "2000", "--arrivals", "fixed", "--lateness-max", "0"],
    ):
        result = fsbench(*online, *more)
        assert result["wrong"] == 0 and result["refused"] == 0 and result["replies"] > 0


@pytest.mark.parametrize("shape", ["rows", "columns", "float32", "float64"])
def test_every_shape_is_right_and_checked(make_server, shape):
    address = f"127.0.0.1:{make_server().start().port}"
    fsbench("online", "--server", address, *ITEMS, "--load", "--duration", "0")
    online = ["online", "--server", address, *SHORT, "--verify", "all", "--shape", shape]
    online += ["--entities-per-request", "13", "--features", "70"]
    right = fsbench(*online, "--entities", "2000", "--miss", "20%", "--first", "1000")
    assert right["wrong"] == 0 and right["replies"] > 0 and right["missing_keys"] > 0
    if shape in ("rows", "columns"):  # rows that nobody wrote
        assert fsbench(*online, "--entities", "4000", code=1)["wrong"] > 0
    else:
        assert "not what was written" in fsbench(*online, "--entities", "4000", code=1)
        refused = fsbench(*online, "--entities", "3000", "--mix", "50:50", code=2)
        assert "no versions" in refused


def test_a_processor_that_is_shared_is_told(make_server):
    """A loop that never sleeps takes the load's only processor from it for whole slices of time."""
    online = ["online", "--server", f"127.0.0.1:{make_server().start().port}", *ITEMS]
    paced = ["--load", "--rate", "1000", "--duration", "1s", "--warmup", "0", "--json"]
    cpu = max(os.sched_getaffinity(0))
    other = [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, [{cpu}])\nwhile True: pass"]
    with subprocess.Popen(other) as busy:
        try:
            shared = [*online, *paced, "--cpu", str(cpu), "--lateness-max"]
            assert fsbench(*shared, "0")["load_stalled"] > 0.1
            assert "was taken from it for" in fsbench(*shared, "1us", code=4)
        finally:
            busy.kill()


def test_new_rows_are_written_while_others_are_read(make_server):
    server = make_server().start()
    online = ["online", "--server", f"127.0.0.1:{server.port}", *ITEMS, *SHORT, "--verify", "all"]
    more = ["--load", "--mix", "50:50", "--new-rows", "--rows-per-write", "7"]
    result = fsbench(*online, *more, "--rate", "2000", "--lateness-max", "0")
    assert result["wrong"] == 0 and result["new_rows"] % 7 == 0 and result["new_rows"] > 0
    both = str(3000 + result["new_rows"])
    back = ["online", "--server", f"127.0.0.1:{server.port}", "--features", "70"]
    fsbench(*back, "--entities", both, "--verify-load", "--duration", "0")
    fsbench(*back, "--entities", str(int(both) + 1), "--verify-load", "--duration", "0", code=1)
    assert "do not exist" in fsbench(*online, *more, "--miss", "10%", code=2)


def test_rows_of_a_load_may_be_evicted_if_asked_for(make_server):
    address = f"127.0.0.1:{make_server().start().port}"
    for more, evict in ([], "false"), (["--evict"], "true"):
        fsbench("online", "--server", address, *ITEMS, "--load", "--duration", "0", *more)
        command = [str(BUILD / "fsctl"), "--server", address, "--json", "describe", "bench.wide_70"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["fields"]["evict"] == evict


def test_a_deadline_is_taken(address):
    """Nobody waits an hour; how many wait longer than a microsecond is the machine's business."""
    online = ["online", "--server", address, *ITEMS, *SHORT]
    long = fsbench(*online, "--load", "--deadline", "1h", "--in-time", "1h")
    assert long["timeouts"] == 0 and long["late"] == 0 and long["refused"] == 0
    short = fsbench(*online, "--deadline", "1us", "--rate", "2000", "--lateness-max", "0")
    assert short["timeouts"] == short["refused"] and short["wrong"] == 0
    assert short["service_us"]["count"] > 0


def test_server_and_load_are_pinned(make_server):
    """Each to its processor: every thread of the server, and fsbench itself while it runs."""
    processors = sorted(os.sched_getaffinity(0))
    server = make_server().start()
    pid = server.process.pid
    command = ["online", "--server", f"127.0.0.1:{server.port}", *ITEMS, *SHORT, "--load"]
    command += ["--server-pid", str(pid), "--server-cpu", str(processors[0])]
    result = fsbench(*command, "--cpu", str(processors[-1]))
    for thread in os.listdir(f"/proc/{pid}/task"):
        assert os.sched_getaffinity(int(thread)) == {processors[0]}
    assert result["options"]["cpu"] == str(processors[-1])


def test_rows_never_written_are_noticed(address):
    fsbench("online", "--server", address, *ITEMS, "--load", "--duration", "0")
    more = ["--entities", "6000", "--features", "70"]
    result = fsbench("online", "--server", address, *SHORT, *more, code=1)
    assert result["wrong"] > 0


def hdr_decode(text):
    """An HdrHistogram of two digits in the compressed V2 encoding, as {largest value: count}; by
    the published description of the format, not by the code that writes it."""
    data = base64.b64decode(text, validate=True)
    cookie, length = struct.unpack_from(">II", data)
    assert cookie == 0x1C849314 and length == len(data) - 8
    data = zlib.decompress(data[8:])
    cookie, length, offset, digits, lowest, highest, ratio = struct.unpack_from(">IIIIQQd", data)
    assert (cookie, length, offset) == (0x1C849313, len(data) - 40, 0)
    assert (digits, lowest, highest, ratio) == (2, 1, 2**40 - 1, 1.0)
    counts, index, at = {}, 0, 40
    while at < len(data):
        number = shift = 0
        for byte in data[at : at + 9]:
            at += 1
            number |= (byte if shift == 56 else byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        count = number >> 1 ^ -(number & 1)
        if count < 0:
            index -= count
            continue
        half, step = divmod(index, 128)  # 256 steps of 1, then 128 steps of 2, of 4, ...
        unit = max(half - 1, 0)
        first = (step + 128 << unit) if half else step
        counts[first + (1 << unit) - 1] = count
        index += 1
    return counts


def quantile_of(counts, quantile):
    left = math.ceil(quantile * sum(counts.values()))
    for value, count in sorted(counts.items()):
        left -= count
        if left <= 0:
            return value
    raise AssertionError("no values")


def test_latencies_are_logged(address, tmp_path):
    log = tmp_path / "latency.hdr"
    online = ["online", "--server", address, *ITEMS, *SHORT, "--mix", "50:50", "--load"]
    result = fsbench(*online, "--hdr-log", str(log), "--interval", "60ms", "--repeat", "2")
    assert len(result["intervals"]) == 8
    head, *lines = [line for line in log.read_text().splitlines() if line[0] != "#"]
    assert head.startswith('"StartTimestamp","Interval_Length"')
    begins = []
    for kind in ("read", "write"):
        total = collections.Counter()
        for line in lines:
            tag, begin, _, largest, histogram = line.split(",")
            if tag != "Tag=" + kind:
                continue
            counts = hdr_decode(histogram)
            total.update(counts)
            begins.append(float(begin))
            assert max(counts) / 1e6 >= float(largest) - 0.001 >= max(counts) / 1.01e6 - 0.002
        expected = result[kind + "_us"]
        assert sum(total.values()) == expected["count"]
        for name, quantile in (("p50", 0.5), ("p99", 0.99)):
            assert quantile_of(total, quantile) / 1000 == pytest.approx(expected[name], abs=0.001)
    assert begins[: len(begins) // 2] == sorted(begins[: len(begins) // 2])


def test_the_largest_rate_is_searched(address):
    """Against the real server; how large it is, is the machine's business."""
    online = ["online", "--server", address, *ITEMS, *SHORT, "--load", "--lateness-max", "0"]
    online[online.index("200ms")] = "100ms"
    online[online.index("--depth") + 1] = "64"  # room for what comes while fsbench does not run
    result = fsbench(*online, "--find-max", "--slo", "p50=1s", "--rate", "500")
    found = result["find_max"]
    kept = [probe["rate"] for probe in found["probes"] if probe["kept"]]
    assert kept.count(found["rate"]) >= 2
    assert found["probes"][-1]["rate"] == found["rate"] and found["probes"][-1]["kept"]
    assert result["wrong"] == 0 and result["replies"] > 0


def test_floors_are_measured(address):
    """Echo, lookup and copy, of the sizes of the request."""
    online = ["online", "--server", address, *ITEMS, *SHORT, "--load"]
    result = fsbench(*online, "--floors", "--entities-per-request", "10")
    floors = result["floors"]
    assert floors["echo"]["replies"] > 0 and floors["echo"]["wrong"] == 0
    lookup, copy = floors["in_process"]
    assert lookup["case"] == "lookup in process" and copy["case"] == "memcpy of the reply"
    assert lookup["ns"] > 0 and copy["ns"] > 0


@pytest.fixture
def echo():
    """Starts fsecho with these sizes; gives the arguments that reach it."""
    processes = []

    def start(*sizes):
        port = free_port()
        process = subprocess.Popen([str(BUILD / "fsecho"), "--port", str(port), *sizes])
        processes.append(process)
        while process.poll() is None:  # until it listens, or has ended
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                pass
        return ["echo", "--server", f"127.0.0.1:{port}", *SHORT]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_echo_answers_in_its_size(echo):
    sizes = ["--request-bytes", "56", "--reply-bytes", "464"]
    reached = echo(*sizes)
    assert fsbench(*reached, *sizes)["replies"] > 0
    wrong = fsbench(*reached, "--request-bytes", "56", "--reply-bytes", "460", code=1)
    assert "no reply" in wrong
    assert fsbench(*reached, *sizes)["replies"] > 0


def test_large_replies_are_split_and_joined(echo):
    sizes = ["--request-bytes", "848", "--reply-bytes", "200000"]
    assert fsbench(*echo(*sizes), *sizes)["replies"] > 0
