/*
 * measurement: the same load run several times, and what came of it, for people or for programs.
 *
 * Runs differ more from each other than from a neighbouring second, so the figure is the median of
 * the runs and stands with their spread: (largest - smallest) / median. Latencies are those of all
 * runs.
 *
 * Threads: one. Memory: `struct measurement` is plain.
 */
#ifndef FSBENCH_MEASUREMENT_H
#define FSBENCH_MEASUREMENT_H

#include <stdio.h>

#include "bench/fsbench/load.h"
#include "bench/fsbench/settings.h"
#include "bench/fsbench/timeline.h"
#include "bench/fsbench/verdict.h"

struct measurement {
    uint32_t runs_count;
    double requests_per_s[SETTINGS_RUNS_MAX]; /* per run, in order */
    double p99_us[SETTINGS_RUNS_MAX];         /* of reads and writes together */
    struct load_result total;                 /* of all runs */
    uint64_t server_cpu_ns;
    uint64_t server_busiest_ns; /* of it, its busiest thread */
    enum verdict verdict;       /* of the last run that was not to be trusted */
    struct verdict_facts facts; /* of that run, or of the last */
};

/* Warms up before each run, and measures as the settings say. `timeline` may be NULL. */
FST_MUST_USE enum fst_status
measurement_run(struct load *load, const struct load_settings *settings, struct timeline *timeline,
                struct measurement *measurement_out, struct fst_error *error);

/* Of the figures of all runs. */
double measurement_median(const double *figures, uint32_t count);
double measurement_spread(const double *figures, uint32_t count);

/* A table that begins with `title`: what was measured, in words. */
void measurement_dump(const struct measurement *measurement, const char *title, FILE *out);

/* The same as members of a JSON object, without its braces. */
void measurement_json_dump(const struct measurement *measurement, FILE *out);

/* Whether an open loop must be refused: why, in words, or NULL. */
const char *measurement_refusal(const struct measurement *measurement, char *text_out,
                                size_t text_bytes);

/* EXIT_DONE, EXIT_FAILED if a reply was wrong or none was right, or EXIT_LOAD_BOUND. */
int measurement_exit_of(const struct measurement *measurement);

#endif
