"""The lines of a report, and how they are printed: a table, Markdown, or JSON."""

import json
import os
import re
import statistics

LESS_IS_BETTER = ("us", "s", "bytes/row")


def spread(values):
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def line_make(case, peer, ours, theirs, unit, **more):
    """One line, of the figures of all rounds. A ratio above 1 is in fstore's favour. None where
    there are no figures."""
    if not ours or not theirs or not statistics.median(ours) or not statistics.median(theirs):
        return None
    ratio = statistics.median(ours) / statistics.median(theirs)
    line = {"case": case, "peer": peer,
            "ratio": round(1 / ratio if unit in LESS_IS_BETTER else ratio, 4),
            "ours": float("%.6g" % statistics.median(ours)),
            "theirs": float("%.6g" % statistics.median(theirs)),
            "unit": unit, "ours_spread": round(spread(ours), 4),
            "theirs_spread": round(spread(theirs), 4), "rounds": len(ours)}
    line.update(more)
    return line


def load_line_make(case, peer, ours, theirs, unit="requests/s"):
    """A line of runs of fsbench."""
    line = line_make(case, peer, [one["requests_per_s"] for one in ours],
                     [one["requests_per_s"] for one in theirs], unit)
    if line:
        # Processor time by time passed: a load at 1 beside a server below 1 is the limit.
        line.update(ours_p99_us=p99_of(ours), theirs_p99_us=p99_of(theirs),
                    ours_cpu=cpu_of(ours), theirs_cpu=cpu_of(theirs))
    return line


def load_fields(runs):
    """How an open loop was kept: a note and figures. What left late, or while another had the
    load's processor, is in the latencies, of both sides alike."""
    if not runs:
        return {}
    lateness = statistics.median(one["lateness_us"]["p99"] for one in runs)
    stalled = statistics.median(one["load_stalled"] for one in runs)
    return {"lateness_p99_us": lateness, "load_stalled": stalled,
            "note": "load late by %.0f us at p99, its processor taken from it for %.1f %%" % (
                lateness, 100 * stalled)}


def p99_of(runs):
    kind = "write_us" if runs[0]["write_us"]["count"] else "read_us"
    return statistics.median(one[kind]["p99"] for one in runs)


def cpu_of(runs):
    return {side: round(statistics.median(one[side + "_cpu"] for one in runs), 2)
            for side in ("server", "load")}


def figure(value):
    return "{:,.0f}".format(value) if value >= 1000 else "{:.4g}".format(value)


def head_make(options):
    return "%s; server on processor %d, load on %d; %s entities; %s%s" % (
        machine_name(), options.server_cpu, options.load_cpu, "{:,}".format(options.entities),
        options.method, "; not to be trusted" if options.untrusted else "")


def table_print(lines, options):
    print(head_make(options))
    print("%-15s %-19s %12s %12s %9s %8s %8s  %s" % (
        "case", "peer", "fstore", "peer", "ratio", "spread", "spread", ""))
    for line in lines:
        print("%-15s %-19s %12s %12s %9.2f %7.0f%% %7.0f%%  %s" % (
            line["case"], line["peer"], figure(line["ours"]), figure(line["theirs"]),
            line["ratio"], 100 * line["ours_spread"], 100 * line["theirs_spread"],
            note_of(line)))


def markdown_print(lines, options):
    print(head_make(options) + ".\n")
    print("| case | peer | fstore | peer | ratio | spread | unit |")
    print("|---|---|---|---|---|---|---|")
    for line in lines:
        print("| %s | %s | %s | %s | **%.2f** | %.0f %%, %.0f %% | %s |" % (
            line["case"], line["peer"], figure(line["ours"]), figure(line["theirs"]),
            line["ratio"], 100 * line["ours_spread"], 100 * line["theirs_spread"],
            note_of(line)))


def note_of(line):
    return line["unit"] + ("; " + line["note"] if "note" in line else "")


def report_print(lines, options):
    if options.json:
        for line in lines:
            print(json.dumps(line))
    elif options.markdown:
        markdown_print(lines, options)
    else:
        table_print(lines, options)


def machine_name():
    with open("/proc/cpuinfo") as info:
        found = re.search(r"model name\s*:\s*(.*)", info.read())
    return "%s, %d processors, Linux %s" % (
        found.group(1) if found else "unknown processor", os.cpu_count(), os.uname().release)
