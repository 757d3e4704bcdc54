"""fsctl import: what is taken, what is refused and how it is told, interruptions, progress."""

import json
import os
import pty
import signal
import subprocess
import threading

import pytest

from conftest import BUILD
from fsctl import DAY, Proxy, get, rows_count, rows_csv


def test_import(store, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(rows_csv(20000))
    done = store.fsctl("import", path, "--view", "profile")
    assert done.stdout.startswith("20000 rows imported in ") and done.stderr == ""
    assert rows_count(store) == 20000
    for customer in (0, 12345, 19999):
        assert (
            get(store, customer)["values"]["profile:label"]
            == f'{customer}, "quoted"\nsecond line'
        )
    (reply,) = store.json(
        "import", path, "--view", "t.profile", "--from-row", "19991", "--ack", "memory"
    )
    assert reply["rows_ok"] + reply["rows_stale"] == 10 and "next_row" not in reply
    assert rows_count(store) == 20000


def test_import_ends_at_the_first_bad_row(store, tmp_path):
    path = tmp_path / "rows.csv"
    text = rows_csv(20000).replace(f"15000,{DAY},3750.0", f"15000,{DAY},much")
    path.write_text(text)
    done = store.fsctl("import", path, "--view", "profile", check=False)
    assert done.returncode == 1
    assert "row 15001, column 'score': expected" in done.stderr and "found 'much'" in done.stderr
    next_row = int(done.stderr.split("--from-row ")[1].split(",")[0])
    assert 1 < next_row <= 15001
    assert get(store, next_row - 2)["statuses"]["profile:age"] == "NULL"
    path.write_text(text.replace("much", "1.5"))
    store.fsctl("import", path, "--view", "profile", "--from-row", next_row)
    assert rows_count(store) == 20000


def test_bad_rows_are_kept_aside(store, tmp_path):
    path, kept = tmp_path / "rows.csv", tmp_path / "kept.csv"
    bad = [
        "2,yesterday,1,x",
        f'3,{DAY},"1',
        f"5,{DAY},zzz,x",
        "6,2999-01-01T00:00:00Z,1,future",
        f"7,{DAY},1",
    ]
    lines = [
        "customer_id,event_time,score,label",
        f"1,{DAY},1,x",
        bad[0],
        bad[1],
        f"4,{DAY},1,x",
        "",
        *bad[2:],
        f"8,{DAY},1,x",
    ]
    path.write_text("\n".join(lines))
    done = store.fsctl("import", path, "--view", "profile", "--skip-bad", kept, check=False)
    assert done.returncode == 1 and done.stdout.startswith("3 rows imported, 5 bad")
    for expected in (
        "row 2, column 'event_time'",
        "row 3",
        "row 5, column 'score'",
        "row 6 is refused as FUTURE",
        "row 7",
    ):
        assert expected in done.stderr
    assert kept.read_text().splitlines() == [lines[0], *bad]
    assert rows_count(store) == 3
    assert (
        store.fsctl(
            "import", path, "--view", "profile", "--skip-bad", kept, check=False
        ).returncode
        == 1
    )
    assert len(kept.read_text().splitlines()) == 6  # What is there is not overwritten.


@pytest.mark.parametrize(
    "text, code, expected",
    [
        ("", 1, "header"),
        ("customer_id,event_time,scor\n1,2,3\n", 1, "scor"),
        ("customer_id,score\n1,2\n", 1, "event_time"),
        ("customer_id,event_time\n", 0, ""),
        ("customer_id,event_time,scor\n", 1, "scor"),
        ("customer_id,event_time,score\r1,2,3\r", 1, "header"),
    ],
)
def test_headers(store, tmp_path, text, code, expected):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    done = store.fsctl("import", path, "--view", "profile", check=False)
    assert done.returncode == code and expected in done.stderr
    assert done.stderr.count("\n") <= 1


def test_a_file_without_rows_is_for_a_view_that_is_there(store, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("customer_id,event_time\n")
    assert store.fsctl("import", path, "--view", "nothing", check=False).returncode == 4


def test_bad_rows_for_programs(store, tmp_path):
    """With --json every line is an object, and each says why: of import and of put."""
    path = tmp_path / "rows.csv"
    path.write_text(
        f"customer_id,event_time,score\n1,{DAY},été\n2,{DAY},1\n3,2999-01-01T00:00:00Z,1\n"
        + f"x,{DAY},1\n" * 20
    )
    arguments = ["--json", "import", path, "--view", "profile", "--skip-bad", tmp_path / "bad"]
    done = store.fsctl(*arguments, check=False)
    assert done.returncode == 1 and json.loads(done.stdout)["rows_bad"] == 22
    rows = [json.loads(line) for line in done.stderr.splitlines()]
    assert rows[0]["row"] == 1 and rows[0]["column"] == "score" and rows[0]["found"] == "été"
    assert rows[1]["row"] == 3 and rows[1]["error"] == "FUTURE" and len(rows) == 22
    done = store.fsctl("--json", "put", "profile", '{"customer_id": "x"}', check=False)
    assert done.returncode == 1 and json.loads(done.stdout)["rows_bad"] == 1
    assert json.loads(done.stderr)["column"] == "customer_id"


def test_an_interrupted_import_says_where_to_go_on(store):
    process = subprocess.Popen(
        [
            str(BUILD / "fsctl"),
            "--server",
            f"127.0.0.1:{store.port}",
            "import",
            "-",
            "--view",
            "profile",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    rows = rows_csv(30000)
    process.stdin.write(rows)
    process.stdin.flush()
    while rows_count(store) < 10000:  # At least one piece has arrived; the input stays open.
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    next_row = int(err.split("--from-row ")[1].split(".")[0])
    assert 10000 <= next_row <= 30001
    assert rows_count(store) >= next_row - 1
    assert get(store, next_row - 2)["statuses"]["profile:age"] == "NULL"
    done = store.fsctl(
        "import",
        "-",
        "--view",
        "profile",
        "--from-row",
        next_row,
        text=rows,
        check=next_row < 30001,
    )
    assert done.returncode == 0 or next_row == 30001
    assert rows_count(store) == 30000


def test_an_import_survives_the_death_of_the_server(store):
    proxy = Proxy(store)
    process = subprocess.Popen(
        [
            str(BUILD / "fsctl"),
            "--server",
            f"127.0.0.1:{proxy.port}",
            "--json",
            "import",
            "-",
            "--view",
            "profile",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    rows = rows_csv(60000)
    writer = threading.Thread(
        target=lambda: (process.stdin.write(rows[: len(rows) // 2]), process.stdin.flush())
    )
    writer.start()
    while rows_count(store) < 10000:
        pass
    store.kill()
    store.start()
    writer.join()
    process.stdin.write(rows[len(rows) // 2 :])
    out, err = process.communicate(timeout=100)
    proxy.close()
    assert process.returncode == 0, out + err
    reply = json.loads(out)
    assert (
        reply["rows_ok"] + reply["rows_stale"] + reply["rows_duplicate"] == 60000
        and reply["rows_bad"] == 0
    )
    assert rows_count(store) == 60000


def terminal_import(command):
    """Imports from a pipe until a progress line was seen; what appeared there, and the rows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=theirs, stderr=theirs, text=True
    )
    os.close(theirs)
    was_seen = threading.Event()
    written = []

    def write():
        process.stdin.write(rows_csv(10000))
        written.append(10000)
        while not was_seen.is_set():
            process.stdin.write(rows_csv(10000, first=sum(written)).split("\n", 1)[1])
            written.append(10000)
        process.stdin.close()

    writer = threading.Thread(target=write)
    writer.start()
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
            if b"rows/s\x1b[K" in shown:
                was_seen.set()
    except OSError:
        pass  # The other end is closed.
    writer.join()
    assert process.wait(timeout=60) == 0
    os.close(ours)
    return shown, sum(written)


def test_progress_is_shown_on_a_terminal_only(store, tmp_path):
    command = [str(BUILD / "fsctl"), "--server", f"127.0.0.1:{store.port}"]
    shown, rows = terminal_import([*command, "import", "-", "--view", "profile"])
    assert shown.rstrip().endswith(b"rows/s)") and f"\x1b[K{rows} rows imported".encode() in shown
    path = tmp_path / "rows.csv"
    path.write_text(rows_csv(20000))
    done = store.fsctl("import", path, "--view", "profile")
    assert done.stderr == "" and "\x1b" not in done.stdout
    assert "\x1b[1m" in store.fsctl("--color", "always", "list").stdout
    assert "\x1b" not in store.fsctl("list").stdout
