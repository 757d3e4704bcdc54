"""fsbench against the real fsd and fsecho: figures come out, and replies are what was written."""

import json
import socket
import subprocess

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
    for more in (
        ["--mix", "50:50", "--keys", "zipf:0.99", "--entities-per-request", "7"],
        ["--miss", "30%", "--entities-per-request", "3"],
        ["--mix", "0:100", "--rows-per-write", "5", "--ack", "memory"],
        ["--rate", "2000", "--arrivals", "fixed", "--lateness-max", "0"],
    ):
        result = fsbench(*online, *more)
        assert result["wrong"] == 0 and result["refused"] == 0 and result["replies"] > 0


def test_rows_never_written_are_noticed(address):
    fsbench("online", "--server", address, *ITEMS, "--load", "--duration", "0")
    more = ["--entities", "6000", "--features", "70"]
    result = fsbench("online", "--server", address, *SHORT, *more, code=1)
    assert result["wrong"] > 0


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
