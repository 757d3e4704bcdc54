"""What bench/compare makes of figures: which way a ratio goes, that a run which fsbench refuses
costs no other, and that --help and wrong cases are told. Tiny runs show that every case comes out;
their figures are the machine's."""

import json
import shutil
import subprocess
import sys
import types

import pytest
from conftest import BUILD, ROOT

sys.path.insert(0, str(ROOT / "bench"))

from comparison import (  # noqa: E402
    durable,
    growth,
    meter,
    overload,
    profile,
    report,
    restart,
    warm,
)

def test_a_server_that_refuses_is_asked_again():
    """As one that is WARMING: the time ends with the first read that is answered right."""
    answers = iter([False, False, True])
    asked = []
    one = types.SimpleNamespace(answers=lambda *what: asked.append(what) or next(answers))
    server = types.SimpleNamespace(
        name="fstore", exec=lambda: asked.clear(), process=types.SimpleNamespace(poll=lambda: None)
    )
    assert restart.answer_wait(one, server) > 0
    assert len(asked) == 3


LINES = [
    ("requests/s", [200.0], [100.0], 2.0),
    ("rows/s", [50.0], [100.0], 0.5),
    ("us", [50.0], [100.0], 2.0),
    ("s", [4.0, 1.0, 2.0], [1.0], 0.5),
    ("bytes/row", [470.0], [940.0], 2.0),
    ("of peak", [0.9], [0.45], 2.0),
]


PROGRAM = """#!/bin/sh
case "$*" in
*refuse*) exit 4 ;;
*fail*) exit 1 ;;
*silent*) echo '{"wrong": 0}' && exit 1 ;;
*wrong*) echo '{"wrong": 1}' && exit 1 ;;
esac
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
    options = types.SimpleNamespace(entities=1, connections=1, load_cpu=0, untrusted=False)
    bench = types.SimpleNamespace(options=options, servers={"fstore": server})
    one = meter.Meter(bench)
    assert one.run("fstore", ["go"]) == {}
    assert one.run("fstore", ["silent"], may_be_silent=True) == {"wrong": 0}
    for arguments, may_be_silent in ((["silent"], False), (["wrong"], True)):
        with pytest.raises(meter.Failed):
            one.run("fstore", arguments, may_be_silent=may_be_silent)
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


def latencies(**quantiles):
    return {"count": 10, "p99": 1.0, "p99.9": 2.0, **quantiles}


def test_growth_is_held_against_reads_without_it():
    results = {
        "quiet": {
            "read_us": latencies(**{"p99.9": 100.0}),
            "load_stalled": 0.02,
            "lateness_us": latencies(),
        },
        "updates": {"read_us": latencies(**{"p99.9": 300.0})},
        "growth": {
            "read_us": latencies(**{"p99.9": 400.0}),
            "new_rows": 50,
            "refused": 0,
            "load_busy": 0.5,
            "load_stalled": 0.04,
            "lateness_us": latencies(),
        },
    }
    line = growth.growth_line(results, 0.5, 10)
    assert line["ratio"] == 0.25 and line["rows_to"] == 60 and line["updates_p999_us"] == 300.0
    assert line["load_stalled"] == 0.03 and "3.0 %" in line["note"]


def test_answers_that_came_late_are_no_goodput():
    result = {"requests_per_s": 100.0, "replies": 50, "late": 10}
    assert overload.goodput(result) == 80.0
    runs = dict(result, timeouts=3, growth_bytes=1 << 20, replies=10)
    runs["service_us"] = runs["lateness_us"] = latencies()
    peaks = {"fstore": [50.0, 200.0], overload.PEER: [200.0]}  # each beside its run
    all_late = {"fstore": [dict(runs, late=0)] * 2, overload.PEER: [runs]}
    line = overload.case_line("goodput_10x", peaks, all_late)
    assert line["ours"] == 1.25 and line["theirs"] == overload.GOODPUT_MIN
    assert line["theirs_late"] == 10 and line["ours_timeouts"] == 6


def test_the_ideal_hit_rate_is_that_of_the_keys_read_most():
    def by_hand(count, rows):
        weights = [i**-0.99 for i in range(1, rows + 1)]
        return sum(weights[:count]) / sum(weights)

    for count, rows in ((1, 10), (300, 1000), (150000, 400000)):
        assert warm.hit_ideal(count, rows, 0.99) == pytest.approx(by_hand(count, rows), rel=1e-6)
    assert warm.hit_ideal(20, 10, 0.99) == 1.0 and warm.hit_ideal(5, 10, 0) == 0.5


def test_the_tiers_are_told_apart_by_the_counters_of_the_server(monkeypatch):
    """A server of 1000 rows, of which 800 are evicted, that finds 90 of 100 keys in memory."""
    counts = {"keys_read": 0, "warm_rows": 0, "rows": 1000, "rows_evicted_now": 800}
    counts.update(rows_evicted=900, rows_promoted=100)
    calls = []

    def run(server, arguments, **_):
        calls.append(arguments)
        counts["keys_read"] += 100
        counts["warm_rows"] += 100 if "--first" in arguments else 10
        return {"read_us": {"p50": 4.0, "p99": 40.0}}

    monkeypatch.setattr(warm, "status_of", lambda server: dict(counts))
    options = types.SimpleNamespace(quick=True)
    bench = types.SimpleNamespace(servers={warm.SERVER: None})
    one = types.SimpleNamespace(run=run, options=options, bench=bench)
    tiers = warm.Tiers(one, 1000)
    lines = warm.hit_lines(tiers, warm.CASES) + warm.latency_lines(tiers, warm.CASES)
    assert [line["case"] for line in lines] == warm.CASES
    assert lines[0]["ours"] == 0.9 and lines[0]["theirs"] == pytest.approx(0.779, abs=0.001)
    assert lines[1]["ours"] == 0.9 and lines[1]["theirs"] == 1.0
    assert lines[3]["ours_from_disk"] == 1.0 and lines[3]["theirs_from_disk"] == 0.1
    assert calls[-1][calls[-1].index("--first") + 1] == "100"


@pytest.mark.parametrize(
    "p99s,seconds", [([1, 1, 1], 0.1), ([9, 1, 1], 0.2), ([1, 9, 1], 0.3), ([None, 1], 0.2)]
)
def test_recovery_ends_where_all_that_follows_is_calm(p99s, seconds):
    intervals = [{"read_us": latencies(p99=p99 or 0, count=int(p99 is not None))} for p99 in p99s]
    assert overload.calm_after_seconds(intervals, 5) == pytest.approx(seconds)


def test_a_peer_restarts_once_for_cases_that_are_the_same_to_it():
    assert restart.cases_of("fstore", restart.CASES) == restart.CASES
    assert restart.cases_of("redis-aof", restart.CASES) == ["restart_clean", "restart_kill"]
    assert restart.cases_of("redis-aof", ["restart_rebuild"]) == ["restart_kill"]


def test_a_sample_belongs_to_the_innermost_function_that_has_a_stage():
    text = f"""0x01
/usr/include/bits/string_fortified.h:29
{ROOT}/storage/online/stored_row.h:12
{ROOT}/src/query/get.c:5
0x02
{ROOT}/net/frame.c:9 (discriminator 2)
0x03
??:0
"""
    assert profile.stages_decode(text) == ["row copy", "frames", profile.OTHER]
    samples = profile.samples_decode(
        """  5581a6 get_serve.lto_priv.0 (/build/fsd)
  5581a6 get_serve.lto_priv.0 (/build/fsd)
 ffffffff8135 tcp_sendmsg ([kernel.kallsyms])
"""
    )
    assert samples[0x5581A6, "get_serve.lto_priv.0", "/build/fsd"] == 2
    assert samples[0xFFFFFFFF8135, "tcp_sendmsg", "[kernel.kallsyms]"] == 1
    assert profile.stage_find(profile.KERNEL, "tcp_sendmsg") == "kernel: network"


def test_every_source_file_that_answers_requests_has_a_stage():
    """So that a file which moves is not lost among the others."""
    for folder in ("net", "src/query", "src/shard", "storage/online", "storage/log"):
        for path in (ROOT / folder).glob("*.[ch]"):
            assert profile.stage_find(profile.FILES, str(path.relative_to(ROOT))), path


TINY = ["--entities", "3000", "--duration", "0.2", "--rounds", "1", "--untrusted", "--json"]
SMALL = {
    "memory": (["rss50", "growth_p999"], ["--quick"]),
    "durable": (["durable_c16_d16", "memory_c16_d16"], []),
    "restart": (restart.CASES, []),
    "overload": (["goodput_2x", "recovery_10x"], []),
    "profile": (["get50"], []),
    "micro": (["micro_frame", "micro_log"], ["--quick"]),
}


@pytest.mark.parametrize("what", SMALL)
def test_every_case_comes_out(what):
    if not shutil.which("redis-server") or (what == "profile" and not shutil.which("perf")):
        pytest.skip("a peer is not installed (tools/setup --bench)")
    cases, more = SMALL[what]
    command = [sys.executable, str(ROOT / "bench" / "compare"), what, *TINY, *more]
    done = subprocess.run(
        command + ["--cases", ",".join(cases)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if what == "micro":
        assert {line["program"] for line in lines} == set(cases)
        assert all(line["ns"] > 0 for line in lines)
        return
    assert {line["case"] for line in lines} == set(cases)
    if what == "profile":
        assert sum(line["share"] for line in lines) == pytest.approx(1, abs=0.01)
        assert all(line["request_ns"] > 0 for line in lines)
        return
    assert all(line["ratio"] > 0 and line["ours"] > 0 and line["theirs"] > 0 for line in lines)


@pytest.mark.parametrize(
    "what", ["online", "memory", "durable", "restart", "overload", "profile", "micro"]
)
def test_help_has_the_cases_and_wrong_ones_are_told(what):
    compare = [sys.executable, str(ROOT / "bench" / "compare"), what]
    done = subprocess.run(compare + ["--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "Cases" in done.stdout and "Peers" in done.stdout
    done = subprocess.run(compare + ["--cases", "nothing"], capture_output=True, text=True)
    assert done.returncode == 2 and "found nothing" in done.stderr
