"""Reads while a table grows, beside reads while it does not."""

import statistics

from comparison.report import line_make, load_fields
from comparison.servers import say

FACTOR, FACTOR_QUICK = 20, 5
ROWS_PER_S, ROWS_PER_WRITE = 40000, 64
READS = ["online", "--entities-per-request", "100"]
QUIET_SECONDS, QUIET_SECONDS_QUICK = 20.0, 1.5
GROWN_SHARE_MIN = 0.95
SHARES = (0.5, 0.35, 0.25)  # of the peak: the first at which fsbench keeps all that it promises


def factor(options):
    return FACTOR_QUICK if options.quick else FACTOR


def open_loop(reads_per_s, seconds, rows_per_s, more):
    """Arguments of reads, and of writes among them, at fixed rates."""
    writes_per_s = rows_per_s / ROWS_PER_WRITE
    return READS + more + [
        "--rate", str(round(reads_per_s + writes_per_s)), "--rows-per-write", str(ROWS_PER_WRITE),
        "--mix", "%.1f:%.1f" % (reads_per_s, writes_per_s),
        "--duration", "%dms" % round(1000 * seconds), "--warmup", "500ms"]


def growth_line(results, share, entities):
    """The line of one growth; `results` by name. `share` of the peak was read meanwhile."""
    growth, quiet, updates = (results[name] for name in ("growth", "quiet", "updates"))
    more = {"rows_from": entities, "rows_to": entities + growth["new_rows"],
            "share_of_peak": share, "refused": growth["refused"],
            "load_busy": growth["load_busy"], "updates_p999_us": updates["read_us"]["p99.9"]}
    more.update(load_fields([growth, quiet]))
    note = ("p99.9 at {} of the peak, {:,} to {:,} rows; {:.0f} while as many rows are "
            "written again; {}").format(share, more["rows_from"], more["rows_to"],
                                        more["updates_p999_us"], more.pop("note"))
    return line_make("growth_p999", "no growth", [growth["read_us"]["p99.9"]],
                     [quiet["read_us"]["p99.9"]], "us", note=note, **more)


def quiet_find(meter, peak):
    """Results without growth, and the share of the peak at which fsbench was not the limit."""
    seconds = QUIET_SECONDS_QUICK if meter.options.quick else QUIET_SECONDS
    for share in SHARES:
        results = {}
        for name, rows_per_s in (("quiet", 0), ("updates", ROWS_PER_S)):
            results[name] = meter.run("fstore", open_loop(share * peak, seconds, rows_per_s, []))
            if not results[name]:
                break
        else:
            return results, share
    return None, None


def growth_measure(meter):
    """At half of what a closed loop of the same reads reaches, on the table as it is; at less if
    the load cannot keep that up. It grows once only."""
    options = meter.options
    timing = ["--duration", "1s", "--warmup", "300ms", "--repeat", "3"]
    peak = statistics.median(meter.run("fstore", READS + timing)["runs"])
    results, share = quiet_find(meter, peak)
    if not results:
        return None
    wanted = options.entities * (factor(options) - 1)
    results["growth"] = meter.run("fstore", open_loop(
        share * peak, wanted / ROWS_PER_S, ROWS_PER_S, ["--new-rows"]))
    if not results["growth"]:
        return None
    if results["growth"]["new_rows"] < GROWN_SHARE_MIN * wanted:
        say("growth_p999: grew by %d rows, not by %d" % (results["growth"]["new_rows"], wanted))
    return growth_line(results, share, options.entities)
