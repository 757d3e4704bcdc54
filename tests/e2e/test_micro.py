"""The micro benchmarks: every row comes out, as a table and as JSON; figures are the machine's."""

import json
import subprocess

import pytest
from conftest import BUILD

QUICK = ["--run", "1ms", "--repeat", "3"]
PROGRAMS = {
    "micro_table": (["--entities", "20000"], 12),
    "micro_row": (["--rows", "20000"], 4),
    "micro_frame": ([], 4),
    "micro_log": ([], 6),
    "micro_floor": (["--entities", "20000", "--keys", "10", "--reply-bytes", "4424"], 2),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_row_comes_out(program):
    options, rows_min = PROGRAMS[program]
    command = [str(BUILD / program), *QUICK, *options]
    text = subprocess.run(command + ["--json"], capture_output=True, check=True, timeout=60)
    rows = [json.loads(line) for line in text.stdout.splitlines()]
    measured = [row for row in rows if "remark" not in row]
    assert len(measured) >= rows_min
    for row in measured:
        assert row["program"] == program and row["ns"] > 0 and row["repeats"] == 3
        assert row["spread"] >= 0 and row["unit"]
    table = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert len(table.stdout.splitlines()) == len(rows) + 1
    wrong = subprocess.run([command[0], "--nonsense"], capture_output=True, timeout=60)
    assert wrong.returncode == 2 and b"nonsense" in wrong.stderr
