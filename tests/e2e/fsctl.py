"""What tests of fsctl share: running it, rows for it, and a wire that can be cut."""

import os
import socket
import subprocess
import threading

from conftest import BUILD

DAY = "2026-01-02T00:00:00Z"


def run(*arguments, environment=None, text=None):
    """fsctl without an address; with nothing of ours in the environment but what is given."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("FSTORE_")}
    return subprocess.run(
        [str(BUILD / "fsctl"), *map(str, arguments)],
        capture_output=True,
        text=True,
        input=text,
        env={**variables, **(environment or {})},
        timeout=60,
    )


def rows_csv(count, first=0):
    lines = ["customer_id,event_time,score,label"]
    lines += [
        f'{i},{DAY},{i / 4},"{i}, ""quoted""\nsecond line"' for i in range(first, first + count)
    ]
    return "\n".join(lines) + "\n"


def get(store, customer):
    return store.json("get", "--features", "profile:*", f"customer_id={customer}")[0]


def rows_count(store):
    return int(store.json("status")[0]["fields"]["rows"])


class Proxy:
    """Leads to wherever the server is now, so that a client finds it again after a restart."""

    def __init__(self, server):
        self.server = server
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.server.port))
            except OSError:
                client.close()
                continue
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self.copy, args=ends, daemon=True).start()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
