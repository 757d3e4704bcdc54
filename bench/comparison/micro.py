"""Parts without a network: nanoseconds per row, frame or record, a line each.

Cases
  micro_table   lookup in a table, by batch and by size of its pages
  micro_row     copying and converting a row
  micro_frame   judging a frame
  micro_log     appending to the log, by records per group

Peers
  none: fstore alone
"""

import json
import os
import subprocess

from comparison.report import head_make
from comparison.servers import BUILD, Failed, say

CASES = ["micro_table", "micro_row", "micro_frame", "micro_log"]
ROUNDS, ENTITIES, ENTITIES_QUICK = 7, 1000000, 300000
ENTITIES_OPTION = {"micro_table": "--entities", "micro_row": "--rows"}


def command_of(case, options):
    command = ["taskset", "-c", str(options.server_cpu), os.path.join(BUILD, case), "--json",
               "--repeat", str(options.rounds), "--run", "10ms" if options.quick else "100ms"]
    if case in ENTITIES_OPTION:
        command += [ENTITIES_OPTION[case], str(options.entities)]
    return command


def compare(bench):
    options = bench.options
    lines = []
    for case in options.cases:
        say(case)
        done = subprocess.run(command_of(case, options), stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Failed("%s failed" % case)
        lines += [json.loads(line) for line in done.stdout.splitlines()]
    options.method = "%d rounds" % options.rounds
    return lines


def cells_of(line):
    if "remark" in line:
        return line["program"], line["case"], "", "", line["remark"]
    return (line["program"], line["case"], "%.1f" % line["ns"],
            "%.0f %%" % (100 * line["spread"]), "a " + line["unit"])


def report_print(lines, options):
    if options.json:
        for line in lines:
            print(json.dumps(line))
        return
    form = "| `%s` | %s | %s | %s | %s |" if options.markdown else "%-12s %-32s %9s %8s  %s"
    print(head_make(options) + ("\n" if options.markdown else ""))
    if options.markdown:
        print("| program | case | ns | spread | of |\n|---|---|---|---|---|")
    for line in lines:
        print(form % cells_of(line))
