"""A real fsd for every test: a data directory, tables on a memory file system, a free port."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

import wire

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("FST_BUILD", ROOT / "build" / "release"))
MEMORY = "/dev/shm"


class Server:
    def __init__(self, folder, io="auto", shards=2):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.tables = pathlib.Path(tempfile.mkdtemp(prefix="fstore-test-", dir=MEMORY))
        self.options = [
            "--io",
            io,
            "--shards",
            str(shards),
            "--memory",
            "512M",
            "--partitions",
            "16",
            "--log-file-bytes",
            "8M",
            "--pin",
            "none",
        ]
        self.process = None
        self.port = None
        self.lines = []

    def start(self, *more, wrapper=(), program=BUILD / "fsd"):
        self.launch(*more, wrapper=wrapper, program=program)
        return self.wait_for("server.ready")

    def launch(self, *more, wrapper=(), program=BUILD / "fsd"):
        """Until its address is known: it may still have tables to rebuild."""
        command = [
            *wrapper,
            str(program),
            "--data",
            str(self.data),
            "--table-dir",
            str(self.tables),
            "--listen",
            "127.0.0.1:0",
            *self.options,
            *more,
        ]
        self.lines = []
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        self.wait_for("server.listening")
        self.port = int(self.lines[-1].split("port=")[1].split()[0])
        return self

    def wait_for(self, *events):
        """Reads the log up to the first of these events."""
        for line in self.process.stderr:
            self.lines.append(line)
            if any(f" {event} " in line for event in events):
                return self
        raise AssertionError("fsd did not start:\n" + "".join(self.lines))

    def fails_to_start(self, *more, listen="127.0.0.1:0"):
        """Runs until the end; the exit code and what it said."""
        command = [
            str(BUILD / "fsd"),
            "--data",
            str(self.data),
            "--table-dir",
            str(self.tables),
            "--listen",
            listen,
            *self.options,
            *more,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def connect(self, **more):
        return wire.Connection(self.port, **more)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        return self.end()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self):
        """Waits for the end and keeps what was logged."""
        self.lines += self.process.stderr.readlines()
        code = self.process.wait(timeout=60)
        self.process = None
        return code

    def log(self):
        return "".join(self.lines)

    def fsctl(self, *arguments, text=None, check=True):
        command = [
            str(BUILD / "fsctl"),
            "--server",
            f"127.0.0.1:{self.port}",
            *map(str, arguments),
        ]
        done = subprocess.run(command, capture_output=True, text=True, input=text, timeout=120)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def json(self, *arguments):
        done = self.fsctl("--json", *arguments)
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    def apply(self, yaml, check=True):
        path = self.folder / "definitions.yaml"
        path.write_text(yaml)
        return self.fsctl("apply", "-f", path, check=check)

    def metric(self, name):
        for item in self.json("status"):
            for metric in item.get("metrics", []):
                if metric["name"] == name:
                    return metric["value"]
        raise KeyError(name)

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stderr.close()
        shutil.rmtree(self.tables, ignore_errors=True)


@pytest.fixture
def make_server(tmp_path):
    made = []

    def make(**options):
        folder = tmp_path / f"store{len(made)}"
        folder.mkdir()
        made.append(Server(folder, **options))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture(params=["uring", "epoll"])
def server(request, make_server):
    """One running server per I/O backend, with the definitions that most tests use."""
    started = make_server(io=request.param).start()
    started.apply(DEFINITIONS)
    return started


@pytest.fixture
def store(make_server):
    started = make_server().start()
    started.apply(DEFINITIONS)
    return started


DEFINITIONS = """
namespace: t
entities:
  - {name: customer, keys: [{name: customer_id, type: int64}]}
  - {name: card, keys: [{name: bank, type: string}, {name: number, type: int64}]}
views:
  - name: profile
    entity: customer
    ttl: 365d
    features:
      - {name: score, type: float64, default: 0.5}
      - {name: label, type: string, default: unknown}
      - {name: age, type: int32}
      - {name: vip, type: bool}
  - name: fast
    entity: customer
    visible: memory
    features:
      - {name: n, type: int64}
  - name: limits
    entity: card
    features:
      - {name: maximum, type: decimal(2)}
      - {name: raw, type: bytes}
services:
  - {name: all, features: ["profile:*", "limits:maximum"]}
"""
