"""What fsd says, and how it ends, when it cannot start: addresses, folders, options."""

import os
import socket
import subprocess

import pytest

import wire
from conftest import BUILD, DEFINITIONS


def fsd(*arguments):
    done = subprocess.run(
        [str(BUILD / "fsd"), *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def test_an_address_that_another_server_has(make_server):
    first, second = make_server().start(), make_server()
    code, said = second.fails_to_start(listen=f"127.0.0.1:{first.port}")
    assert code == 1 and "Address already in use" in said
    assert first.json("list") == []


def test_an_address_that_another_program_has(make_server):
    with socket.create_server(("127.0.0.1", 0)) as other:
        code, said = make_server().fails_to_start(listen=f"127.0.0.1:{other.getsockname()[1]}")
    assert code == 1 and "Address already in use" in said


def without_io_uring():
    """As a container's seccomp profile forbids it; strace follows from aside, so that the process
    that is started is fsd."""
    forbid = "inject=io_uring_setup:error=EPERM"
    return ["strace", "-D", "-f", "-o", os.devnull, "-e", "trace=io_uring_setup", "-e", forbid]


def test_io_uring_is_forbidden(make_server):
    server = make_server(io="auto", shards=1).start(wrapper=without_io_uring())
    assert " warn net.ring " in server.log() and "io=epoll" in server.log(), server.log()
    server.apply(DEFINITIONS)
    assert server.connect().call(wire.PING).status == wire.OK
    assert server.stop() == 0
    server.options[server.options.index("auto")] = "uring"
    with pytest.raises(AssertionError, match="io_uring"):
        server.start(wrapper=without_io_uring())


def test_the_keeper_leaves_the_processor_to_shards(make_server):
    """Of the threads exactly one, the keeper's, has the lesser claim to a processor."""
    server = make_server().start()
    tasks = f"/proc/{server.process.pid}/task"
    nices = [os.getpriority(os.PRIO_PROCESS, int(task)) for task in os.listdir(tasks)]
    own = os.getpriority(os.PRIO_PROCESS, server.process.pid)
    lesser = [nice for nice in nices if nice != own]
    assert lesser == [min(19, own + 10)], nices


def test_folders_that_cannot_be(make_server, tmp_path):
    server = make_server()
    (tmp_path / "file").write_text("")
    for data, why in (("file", "Not a directory"), ("none/below", "No such file or directory")):
        server.data = tmp_path / data
        code, said = server.fails_to_start()
        assert code == 1 and f"{tmp_path / data}: {why}" in said, said
    server.data = tmp_path / "data"
    server.tables.rmdir()
    code, said = server.fails_to_start()
    assert code == 1 and str(server.tables) in said and "No such file or directory" in said, said


def test_a_file_that_cannot_be_read(make_server):
    server = make_server()
    (server.data / "STORE").mkdir(parents=True)
    code, said = server.fails_to_start()
    assert code == 1 and f"{server.data / 'STORE'}: Is a directory" in said, said


@pytest.mark.parametrize(
    "arguments, part",
    [
        (["--listen", "127.0.0.1"], "--listen: expected HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], "--listen: expected HOST:PORT"),
        (["--pin", "some"], "--pin: expected auto, none or a list"),
        (["--group-bytes", "100001"], "--group-bytes: expected a multiple of 4K"),
        (["--log-file-bytes", "8388609"], "--log-file-bytes: expected a multiple of 4K"),
        (["--group-bytes", "8M", "--log-file-bytes", "8M"], "--log-file-bytes: expected at least"),
        (["--bogus"], 'unknown option "bogus"'),
        (["word"], "expected --name value"),
        (["--data"], "--data: expected a value"),
    ],
)
def test_options_that_make_no_sense(tmp_path, arguments, part):
    """Nothing is made: they are refused before the store is touched."""
    folder = [] if "--data" in arguments else ["--data", tmp_path / "data"]
    code, said = fsd(*folder, *arguments)
    assert code == 2 and part in said, said
    assert not (tmp_path / "data").exists()


def test_help_is_asked_for_like_elsewhere():
    code, said = fsd("-h")
    assert code == 0 and said == fsd("--help")[1] and said.startswith("usage: fsd")
