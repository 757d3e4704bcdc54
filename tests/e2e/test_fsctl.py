"""fsctl as people and scripts use it: what it prints, how it ends, what it leaves behind.

Every command runs against a real server. Time passes only where a test waits for an event: rows
that become visible, a process that ends, a line that is printed.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import threading

import pytest

from conftest import BUILD, DEFINITIONS, ROOT
from fsctl import DAY, Proxy, get, rows_csv, run

COMMANDS = [
    "plan",
    "apply",
    "list",
    "describe",
    "put",
    "delete",
    "get",
    "import",
    "status",
    "key create",
    "key list",
    "key revoke",
    "audit",
    "checkpoint",
    "check",
    "dump",
    "completion",
    "version",
]


# ---- definitions ----


def test_definitions_are_planned_applied_and_shown(make_server, tmp_path):
    server = make_server().start()
    folder = tmp_path / "features"
    (folder / "deep").mkdir(parents=True)
    (folder / ".hidden.yaml").write_text("not: [yaml")
    (folder / "notes.txt").write_text("not: [yaml")
    (folder / "deep" / "all.yaml").write_text(DEFINITIONS)
    done = server.fsctl("plan", "-f", folder)
    assert "+ view t.profile" in done.stdout and "feature score float64" in done.stdout
    assert f"fsctl apply -f {folder}" in done.stdout
    assert server.json("list") == []
    (reply,) = server.json("apply", "-f", folder)
    assert reply["applied"] and not reply["refused"] and reply["generation"] == 1
    assert {change["action"] for change in reply["changes"]} == {"add"}
    assert "Nothing to change" in server.fsctl("apply", "-f", folder).stdout
    assert {item["name"] for item in server.json("list", "views")} == {
        "t.profile",
        "t.fast",
        "t.limits",
    }
    (profile,) = server.json("describe", "profile")
    assert [column["name"] for column in profile["columns"]] == ["score", "label", "age", "vip"]
    assert profile["keys"] == [{"name": "customer_id", "type": "int64"}]
    assert "label" in server.fsctl("describe", "t.profile").stdout
    (item,) = server.json("audit")
    assert item["generation"] == 1 and "@" in item["actor"] and "t.profile" in item["what"]
    entity = "  - {{name: other_{}, keys: [{{name: k, type: bool}}]}}\n"
    server.apply("namespace: t\nentities:\n" + "".join(map(entity.format, range(20))))
    _, item = server.json("audit")
    assert len(item["what"]) > 120 and item["what"] in server.fsctl("audit").stdout
    assert server.fsctl("checkpoint").stdout == "The checkpoint is written.\n"


def test_what_is_refused_says_why_and_changes_nothing(store, tmp_path):
    path = tmp_path / "change.yaml"
    path.write_text(DEFINITIONS.replace("{name: age, type: int32}", "{name: age, type: string}"))
    for command in ("plan", "apply"):
        done = store.fsctl(command, "-f", path, check=False)
        assert done.returncode == 1
        assert (
            "! view t.profile" in done.stdout
            and "refused" in done.stdout
            and "instead:" in done.stdout
        )
    path.write_text("namespace: t\nentities: 5\n")
    done = store.fsctl("apply", "-f", path, check=False)
    assert done.returncode == 1 and f"{path}:2:" in done.stdout
    (reply,) = [
        json.loads(line)
        for line in store.fsctl("--json", "plan", "-f", path, check=False).stdout.splitlines()
    ]
    assert reply["refused"] and reply["problems"][0]["line"] == 2
    assert store.fsctl("apply", "-f", tmp_path / "none.yaml", check=False).returncode == 4
    assert [column["type"] for column in store.json("describe", "profile")[0]["columns"]][
        2
    ] == "int32"


def test_definitions_can_come_from_standard_input(make_server):
    server = make_server().start()
    assert server.fsctl("apply", "-f", "-", text=DEFINITIONS).returncode == 0


# ---- rows ----


def test_put_and_get(store):
    row = {"customer_id": -7, "event_time": DAY, "score": 0.1, "label": 'say "hi"', "vip": True}
    assert store.fsctl("put", "profile", json.dumps(row)).stdout == "1 row put\n"
    found = get(store, -7)
    assert found["keys"] == {"customer_id": "-7"}
    assert found["values"] == {
        "profile:score": 0.1,
        "profile:label": 'say "hi"',
        "profile:age": None,
        "profile:vip": True,
    }
    assert found["statuses"]["profile:age"] == "NULL"
    assert found["views"]["t.profile"]["status"] == "PRESENT"
    assert found["views"]["t.profile"]["event_us"] == 1767312000000000
    older = {**row, "event_time": "2026-01-01T00:00:00Z"}
    (reply,) = [
        json.loads(line)
        for line in store.fsctl(
            "--json", "put", "profile", "-", text=json.dumps([older])
        ).stdout.splitlines()
    ]
    assert reply["rows_stale"] == 1 and reply["rows_ok"] == 0
    card = {"bank": "b", "number": 1, "event_time": DAY, "maximum": "12.50", "raw": "0x00ff"}
    store.fsctl("put", "limits", json.dumps(card))
    text = store.fsctl(
        "get", "--features", "limits:maximum,limits:raw", "bank=b", "number=1"
    ).stdout
    assert "12.50" in text and "0x00ff" in text and "t.limits" in text


def test_delete(store):
    row = {"customer_id": 1, "event_time": DAY, "score": 0.1}
    store.fsctl("put", "profile", json.dumps([row, {**row, "customer_id": 2}]))
    older = ["--event-time", "2026-01-01T00:00:00Z"]
    text = store.fsctl("delete", "profile", "customer_id=1", *older).stdout
    assert text == "1 row deleted, 1 of them older than what was there\n"
    assert get(store, 1)["statuses"]["profile:score"] == "PRESENT"
    report = store.fsctl("--json", "delete", "profile", "customer_id=1", "customer_id=9").stdout
    assert json.loads(report)["rows_ok"] == 2
    assert get(store, 1)["statuses"]["profile:score"] == "NOT_FOUND"
    assert get(store, 2)["statuses"]["profile:score"] == "PRESENT"
    address = ["-s", f"127.0.0.1:{store.port}"]
    ahead = ["--event-time", "2999-01-01T00:00:00Z"]
    for code, text, arguments in (
        (1, "FUTURE", ["profile", "customer_id=2", *ahead]),
        (1, "customer_id", ["profile", "customer_id=x"]),
        (2, "did you mean customer_id", ["profile", "customer_i=1"]),
        (2, "--event-time", ["profile", "customer_id=1", "--event-time", "soon"]),
        (4, "nothing", ["nothing", "customer_id=1"]),
    ):
        done = run(*address, "delete", *arguments)
        assert done.returncode == code and text in done.stderr, (arguments, done)
    assert get(store, 2)["statuses"]["profile:score"] == "PRESENT"


def test_rows_that_are_not_there_show_status_and_default(store):
    text = store.fsctl("get", "--service", "all", "customer_id=1", "bank=b", "number=1").stdout
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert lines["profile:score"] == ["0.5", "*"] and lines["profile:age"] == ["<NOT_FOUND>"]
    found = get(store, 1)
    assert (
        found["values"]["profile:label"] == "unknown"
        and found["statuses"]["profile:label"] == "NOT_FOUND"
    )


def test_expired_values_are_shown_when_asked_for(store):
    store.fsctl(
        "put",
        "profile",
        json.dumps({"customer_id": 1, "event_time": "2019-01-01T00:00:00Z", "age": 40}),
    )
    assert get(store, 1)["statuses"]["profile:age"] == "EXPIRED"
    assert get(store, 1)["values"]["profile:age"] is None
    (found,) = store.json("get", "--expired", "--features", "profile:age", "customer_id=1")
    assert found["values"]["profile:age"] == 40 and found["statuses"]["profile:age"] == "EXPIRED"


def test_many_keys(store, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(rows_csv(2000))
    store.fsctl("import", path, "--view", "profile")
    keys = tmp_path / "keys.csv"
    keys.write_text("customer_id\r\n" + "\r\n".join(map(str, range(1200))))
    found = store.json("get", "--features", "profile:score", "--keys", keys)
    assert [row["values"]["profile:score"] for row in found] == [i / 4 for i in range(1200)]
    text = store.fsctl("get", "--features", "profile:score", "--keys", keys).stdout.splitlines()
    assert text[0].split() == ["customer_id", "profile:score"] and len(text) == 1201
    few = store.fsctl(
        "get", "--features", "profile:score", "customer_id=3", "customer_id=5"
    ).stdout.splitlines()
    assert few[0].split() == ["FEATURE", "customer_id=3", "customer_id=5"]
    assert few[1].split() == ["profile:score", "0.75", "1.25"]
    keys.write_text("customer\n1\n")
    assert (
        store.fsctl("get", "--features", "profile:score", "--keys", keys, check=False).returncode
        == 1
    )


def test_keys_from_a_file(store, tmp_path):
    keys = tmp_path / "keys.csv"

    def ask(text):
        keys.write_bytes(text)
        return store.fsctl("get", "--features", "limits:*", "--keys", keys, check=False)

    done = ask(b'\xef\xbb\xbfnumber,bank\r\n1,""\r\n\r\n2,"a,""b"""')
    assert done.returncode == 0 and 'bank=a,"b", number=2' in done.stdout
    for text, expected in (
        (b'number,bank\n1,a\n2,"b\n', "row 2: expected quotes around the whole field"),
        (b'number,bank\n1,"a"b\n', "row 1: expected quotes around the whole field"),
        (b'number,bank\n1,a"b"\n', "row 1: expected quotes around the whole field"),
        (b"number,bank\n1,a\0\n2,b\n", "found a NUL byte"),
        (b"number,bank\n1\n", "row 1: expected 2 fields, found 1"),
        (b'number,"bank\n', "expected the columns bank, number"),
        (b"", "expected the columns bank, number"),
    ):
        done = ask(text)
        assert done.returncode == 1 and expected in done.stderr, done
        assert done.stdout == ""


# ---- the command line ----


@pytest.mark.parametrize(
    "arguments, code, expected",
    [
        ([], 2, "Usage: fsctl"),
        (["lst"], 2, "did you mean 'list'?"),
        (["help", "lst"], 2, "did you mean 'list'?"),
        (["key", "creat"], 2, "did you mean 'key create'?"),
        (["key"], 2, "key: expected what to do"),
        (["nonsense"], 2, "unknown command 'nonsense'"),
        (["list", "--jsn"], 2, "did you mean --json?"),
        (["list", "-x"], 2, "unknown option -x"),
        (["list", "--server"], 2, "expected a value"),
        (["list", "--json=1"], 2, "expected no value"),
        (["list", "things"], 2, "expected entities, views or services"),
        (["list", "views", "more"], 2, "did not expect 'more'"),
        (["describe"], 2, "describe: expected NAME"),
        (["plan"], 2, "expected -f PATH"),
        (["import", "x.csv"], 2, "expected --view"),
        (["import", "x.csv", "--view", "v", "--from-row", "0"], 2, "--from-row"),
        (["import", "none.csv", "--view", "v"], 4, "none.csv"),
        (["put", "v", "{}", "--ack", "maybe"], 2, "expected memory or durable"),
        (["key", "create", "k", "--role", "king"], 2, "expected read, write or admin"),
        (["list", "--timeout", "5"], 2, "--timeout"),
        (["list", "--server", "host:port"], 2, "expected HOST"),
        (["list", "--key", "a", "--key-file", "b"], 2, "found both"),
        (["list", "--key-file", "none"], 4, "none"),
        (["list", "--color", "red"], 2, "expected auto, always or never"),
        (["list", "--server", "127.0.0.1:1"], 3, "is fsd running there?"),
        (["dump", "dir", "table"], 2, "expected log or meta"),
    ],
)
def test_what_makes_no_sense(arguments, code, expected):
    done = run(*arguments)
    assert done.returncode == code and expected in done.stderr and done.stdout == "", done


@pytest.mark.parametrize(
    "arguments, code, expected",
    [
        (["describe", "nothing"], 4, "nothing"),
        (["put", "profile", ""], 1, "JSON: expected an object or an array"),
        (["put", "profile", '{"label": "\\u0000"}'], 1, "JSON 1:18: expected text without"),
        (["put", "nothing", "{}"], 4, "no view 'nothing'"),
        (["put", "profile", "{"], 1, "JSON"),
        (
            ["put", "profile", '{"customer_id": 1, "event_time": 5, "score": "x"}'],
            1,
            "column 'score'",
        ),
        (["get", "--service", "nothing", "customer_id=1"], 4, "no service 'nothing'"),
        (["get", "--features", "profile:nothing", "customer_id=1"], 4, "no feature 'nothing'"),
        (["get", "customer_id=1"], 2, "--service NAME or --features"),
        (["get", "--features", "profile:*"], 2, "expected keys such as customer_id=VALUE"),
        (["get", "--features", "profile:*", "customr_id=1"], 2, "did you mean customer_id?"),
        (["get", "--features", "profile:*", "customer_id=one"], 1, "whole number"),
        (["get", "--features", "limits:*", "bank=b"], 2, "expected a value for key number"),
        (["get", "--features", "limits:*", f"bank={'a' * 247}", "number=1"], 1, "key of at most"),
        (["get", "--features", "limits:*", f"bank={'a' * 9999}", "number=1"], 1, "key of at most"),
        (["key", "revoke", "nobody"], 4, "nobody"),
    ],
)
def test_what_the_server_refuses(store, arguments, code, expected):
    done = store.fsctl(*arguments, check=False)
    assert done.returncode == code and expected in done.stderr, done


def test_errors_can_be_read_by_programs(store):
    done = store.fsctl("--json", "describe", "nothing", check=False)
    problem = json.loads(done.stderr)
    assert done.stdout == "" and problem["error"] == "UNKNOWN" and "nothing" in problem["text"]


def test_help_is_complete():
    text = run("--help").stdout
    for command in COMMANDS:
        assert f"  {command} " in text
        for words in (["help", *command.split()], [*command.split(), "--help"]):
            done = run(*words)
            assert done.returncode == 0 and done.stderr == ""
            assert done.stdout.startswith(f"Usage: fsctl [OPTIONS] {command}")
            for part in ("Examples:", "Exit codes:", "--server HOST:PORT", "--json"):
                assert part in done.stdout
            assert max(map(len, done.stdout.splitlines())) <= 120


def test_address_and_key_come_from_the_environment(store, tmp_path):
    there = {"FSTORE_SERVER": f"127.0.0.1:{store.port}"}
    assert run("list", environment=there).returncode == 0
    boss = json.loads(
        run("--json", "key", "create", "boss", "--role", "admin", environment=there).stdout
    )["key"]
    assert run("list", environment=there).returncode == 5
    assert "--key-file" in run("list", environment=there).stderr
    assert run("list", environment={**there, "FSTORE_KEY": boss}).returncode == 0
    path = tmp_path / "key"
    path.write_text(boss + "\n")
    assert run("list", "--key-file", path, environment=there).returncode == 0
    made = run("key", "create", "reader", "--role", "read", "--key-file", path, environment=there)
    assert made.stdout.strip() and "one time" in made.stderr
    reader = {**there, "FSTORE_KEY": made.stdout.strip()}
    assert run("list", environment=reader).returncode == 0
    assert run("put", "profile", "{}", environment=reader).returncode == 5
    status = json.loads(run("--json", "status", environment=reader).stdout)
    assert status["fields"]["api_keys"] == "2"
    assert run("key", "list", environment=reader).returncode == 5
    listed = run("key", "list", "--key-file", path, environment=there).stdout
    assert "reader" in listed and boss not in listed


def test_waiting_for_a_server(make_server):
    server = make_server()
    process = None
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        # Takes the connection and drops it until the server is there; then leads to it.
        process = subprocess.Popen(
            [str(BUILD / "fsctl"), "--server", f"127.0.0.1:{port}", "--wait", "60s", "list"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3):
            holder.accept()[0].close()
        server.start()
        proxy = Proxy(server)
        client, _ = holder.accept()
        there = socket.create_connection(("127.0.0.1", proxy.port))
        for ends in ((client, there), (there, client)):
            threading.Thread(target=Proxy.copy, args=ends, daemon=True).start()
        out, err = process.communicate(timeout=60)
        proxy.close()
    assert process.returncode == 0, out + err


def test_completion(store):
    script = run("completion", "bash").stdout
    assert script == (ROOT / "tools" / "completion" / "fsctl.bash").read_text()

    def words(*line):
        return store.fsctl("words", len(line), "fsctl", *line).stdout.splitlines()

    assert words("im") == ["import"]
    assert words("key", "c") == ["create"]
    assert words("list", "v") == ["views"]
    assert words("delete", "pro") == ["profile"]
    assert words("delete", "profile", "--ack", "m") == ["memory"]
    assert words("--json", "li") == ["list"]
    assert words("-s", f"127.0.0.1:{store.port}", "--color", "never", "li") == ["list"]
    assert words("--json", "key", "c") == ["create"]
    assert words("help", "key", "c") == ["create"] and words("help", "im") == ["import"]
    assert words("list", "--color", "a") == ["auto", "always"]
    assert words("--server", "") == []
    assert words("dump", "folder", "") == ["log", "meta"]
    assert words("get", "--service=t.") == ["t.all"]
    assert "--skip-bad" in words("import", "--s")
    assert words("import", "--view", "pro") == ["profile"]
    there = {"FSTORE_SERVER": f"127.0.0.1:{store.port}"}
    nowhere = {"FSTORE_SERVER": "127.0.0.1:1"}
    line = ["fsctl", "-s", there["FSTORE_SERVER"], "get", "--service", ""]
    assert run(
        "words", 3, "fsctl", "import", "--view", "pro", environment=there
    ).stdout.split() == ["profile"]
    assert run("words", 3, "fsctl", "import", "--view", "pro", environment=nowhere).stdout == ""
    assert run("words", 5, *line, environment=nowhere).stdout.split() == ["t.all", "all"]
    shell = (
        f"PATH={BUILD}:$PATH; source <(fsctl completion bash); COMP_POINT=${{#COMP_LINE}};"
        " _fsctl; echo ${COMPREPLY[@]}"
    )
    for line, expected in (
        ("fsctl che", ["checkpoint", "check"]),
        (f"fsctl -s 127.0.0.1:{store.port} describe f", ["fast"]),
        ("fsctl key ", ["create", "list", "revoke"]),
    ):
        done = subprocess.run(
            ["bash", "-c", shell],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COMP_LINE": line},
        )
        assert done.stdout.split() == expected
    store.apply("namespace: u\nentities:\n  - {name: e, keys: [{name: k, type: bool}]}\n")
    assert words("import", "--view", "t.p") == ["t.profile"]
    assert words("import", "--view", "pro") == []  # Names alone mean nothing any more.


def test_check_and_dump_leave_a_running_store_alone(store):
    for command in ("check", "dump"):
        done = run(command, store.data)
        assert done.returncode == 3 and "another process has this store open" in done.stderr
        assert done.stdout == ""
    assert store.json("list")


def test_check_and_dump_read_a_stopped_store(store):
    store.fsctl("put", "profile", json.dumps({"customer_id": 1, "event_time": DAY, "age": 40}))
    store.stop()
    assert run("check", store.data).stdout.rstrip().endswith("ok")
    assert "type=rows" in run("dump", store.data).stdout
    assert "change generation=1" in run("dump", store.data, "meta").stdout
    done = run("check", pathlib.Path(store.data) / "none")
    assert done.returncode == 3 and "this is no store" in done.stderr and done.stdout == ""
    for command in ("check", "dump"):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run(
                [str(BUILD / "fsctl"), command, store.data],
                stdout=full,
                stderr=subprocess.PIPE,
                check=False,
            )
        assert done.returncode == 1 and b"could not be written" in done.stderr


# ---- the example program ----


def test_the_example_program(make_server):
    server = make_server().start()
    server.fsctl("apply", "-f", ROOT / "docs" / "examples" / "fraud")
    row = {
        "customer_id": 3,
        "event_time": DAY,
        "x": 1,
        "y": 2,
        "mean_amount": 50,
        "std_amount": 10,
    }
    server.fsctl("put", "customer_profile", json.dumps(row))
    command = [str(BUILD / "examples" / "scoring"), f"127.0.0.1:{server.port}", "3", "4", "7500"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    numbers = "1 2 50 10 0 nan nan nan 0 nan nan"
    assert f"score 2.500\ninput {numbers}\nwritten, and on disk\n" in done.stdout
    (found,) = server.json("get", "--features", "customer_last_tx:*", "customer_id=3")
    assert (
        found["values"]["customer_last_tx:amount"] == 75.0
        and found["values"]["customer_last_tx:terminal_id"] == 4
    )
    command[1] = "127.0.0.1:1"
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "connecting" in done.stderr


# ---- status ----


def number_of(server, name):
    return float(server.json("status")[0]["fields"][name])


def test_status_tells_memory_disk_and_places(make_server, tmp_path):
    """Memory by use adds up to what the table files take; the payload is what was written."""
    server = make_server().start("--checkpoint-interval", "1h")
    server.apply(DEFINITIONS)
    (status,) = server.json("status")
    fields, memory = status["fields"], status["memory"]
    assert fields["listen"] == f"127.0.0.1:{server.port}"
    assert fields["last_checkpoint"] == "none since the start" and memory["payload"] == 0
    (tmp_path / "rows.csv").write_text(rows_csv(3000))
    server.fsctl("import", tmp_path / "rows.csv", "--view", "profile")
    (status,) = server.json("status")
    memory = dict(status["memory"])
    ratio, total = memory.pop("total_of_payload"), memory.pop("total")
    assert sum(memory.values()) == total
    files = [path for path in server.tables.rglob("*") if path.is_file()]
    assert total == sum(path.stat().st_blocks * 512 for path in files)
    assert abs(ratio - total / memory["payload"]) < 0.001 * ratio
    labels = sum(len(f'{i}, "quoted"\nsecond line') for i in range(3000))
    per_row = memory["payload"] - labels
    assert per_row % 3000 == 0 and 16 <= per_row // 3000 <= 32  # the key, score, age, vip
    text = server.fsctl("status").stdout
    assert re.search(rf"payload +{memory['payload']} +1\.000 ", text)
    assert re.search(rf"total +{total} +{ratio:.3f}", text)
    server.fsctl("checkpoint")
    logs = list(server.data.rglob("*.log"))
    assert number_of(server, "log_bytes") == sum(path.stat().st_blocks * 512 for path in logs)
    assert number_of(server, "disk_free_bytes") > 0
    limit, used = number_of(server, "memory_limit_bytes"), number_of(server, "memory_used_bytes")
    assert number_of(server, "memory_used_percent") == round(100 * used / limit, 1)
    checkpoint = server.json("status")[0]["fields"]["last_checkpoint"]
    assert checkpoint > server.json("status")[0]["fields"]["started"]
