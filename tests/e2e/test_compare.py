"""What bench/compare makes of figures, without measuring: which way a ratio goes, that a run which
fsbench refuses costs no other, and that --help and wrong cases are told."""

import subprocess
import sys
import types

import pytest
from conftest import BUILD, ROOT

sys.path.insert(0, str(ROOT / "bench"))

from comparison import durable, meter, overload, report  # noqa: E402

LINES = [
    ("requests/s", [200.0], [100.0], 2.0),
    ("rows/s", [50.0], [100.0], 0.5),
    ("us", [50.0], [100.0], 2.0),
    ("s", [4.0, 1.0, 2.0], [1.0], 0.5),
    ("bytes/row", [470.0], [940.0], 2.0),
    ("of peak", [0.9], [0.45], 2.0),
]


PROGRAM = """#!/bin/sh
case "$*" in *refuse*) exit 4 ;; *fail*) exit 1 ;; esac
echo "{}"
"""


@pytest.mark.parametrize("unit,ours,theirs,ratio", LINES)
def test_a_ratio_above_1_is_in_favour_of_fstore(unit, ours, theirs, ratio):
    assert report.line_make("case", "peer", ours, theirs, unit)["ratio"] == ratio


def test_a_refused_run_costs_its_own_line_only(tmp_path, monkeypatch, capsys):
    program = tmp_path / "fsbench"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    monkeypatch.setattr(meter, "FSBENCH", str(program))
    server = types.SimpleNamespace(address="h:1", process=types.SimpleNamespace(pid=1))
    options = types.SimpleNamespace(entities=1, connections=1, load_cpu=0)
    bench = types.SimpleNamespace(options=options, servers={"fstore": server})
    one = meter.Meter(bench)
    assert one.run("fstore", ["go"]) == {}
    assert one.run("fstore", ["refuse"]) is None and "left out" in capsys.readouterr().err
    with pytest.raises(meter.Failed):
        one.run("fstore", ["fail"])
    assert report.load_line_make("case", "peer", [], [{"requests_per_s": 1.0}]) is None
    peaks, nothing = {"fstore": [1.0], "redis-mget": [1.0]}, {"fstore": [], "redis-mget": []}
    assert overload.case_line("goodput_10x", peaks, nothing) is None


def test_the_view_of_level_memory_is_the_one_that_was_filled(make_server):
    """Only `visible` changes, so that its rows stay."""
    server = make_server().start()
    fsbench = [BUILD / "fsbench", "online", "--server", f"127.0.0.1:{server.port}"]
    fsbench += ["--entities", "9", "--features", str(meter.FEATURES), "--duration", "0"]
    subprocess.run(fsbench + ["--load"], check=True, capture_output=True)
    said = server.apply(durable.memory_view_make()).stdout
    assert [line.strip() for line in said.splitlines()[1:-1]] == ["~ visible durable -> memory"]
    subprocess.run(fsbench + ["--verify-load"], check=True, capture_output=True)


def test_levels_are_compared_with_both_fsyncs():
    run = {"requests_per_s": 10.0, "write_us": {"count": 1, "p99": 5}}
    run.update(server_cpu=1, load_cpu=1)
    shape = durable.SHAPES[0]
    turns = durable.turns_make(shape, list(durable.LEVELS))
    servers = {name: server for name, server, _ in turns}
    assert servers["durable"] != servers["memory"] and len(set(servers.values())) == 4
    fields = {"sync_method": "dsync", "dsync_us": "4", "fdatasync_us": "7", "io": "uring"}
    sync = durable.sync_of(fields)
    assert "dsync" in durable.sync_text(sync) and "4 us" in durable.sync_text(sync)
    results = {shape: {name: [run] for name in servers}}
    lines = durable.lines_make({shape: turns}, {shape: list(durable.LEVELS)}, results, sync)
    assert [(line["case"], line["peer"]) for line in lines] == [
        (f"{level}_c1_d1", f"redis-{fsync}")
        for level in ("durable", "memory")
        for fsync in ("always", "everysec")
    ]
    assert all((line["sync_method"], line["fdatasync_us"]) == ("dsync", 7) for line in lines)
    asked = durable.sync_of({"sync_method": "fdatasync"})
    assert durable.sync_text(asked) == "log synced by fdatasync"


@pytest.mark.parametrize("what", ["online", "memory", "durable", "restart", "overload"])
def test_help_has_the_cases_and_wrong_ones_are_told(what):
    compare = [sys.executable, str(ROOT / "bench" / "compare"), what]
    done = subprocess.run(compare + ["--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "Cases" in done.stdout and "Peers" in done.stdout
    done = subprocess.run(compare + ["--cases", "nothing"], capture_output=True, text=True)
    assert done.returncode == 2 and "found nothing" in done.stderr
