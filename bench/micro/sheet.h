/*
 * sheet: how long small pieces of code take, a row each, for people or for programs.
 *
 * A case is run often enough in one go that the clock does not matter (`run_us`), which also warms
 * up and touches its memory; then as often again for each repeat. A row is the median of the
 * repeats beside their spread: (largest - smallest) / median.
 *
 * Threads: one. Memory: in place; names are borrowed while a case is measured.
 */
#ifndef BENCH_MICRO_SHEET_H
#define BENCH_MICRO_SHEET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/options.h"

enum { SHEET_REPEATS_MAX = 100 };

/* The options that all micro benchmarks share; their struct begins with these members. */
#define SHEET_OPTIONS(X)                                                                           \
    X(repeat, COUNT, "5", 1, SHEET_REPEATS_MAX, NULL, "measurements; the median is reported")      \
    X(run, DURATION, "50ms", 1, UINT64_C(60000000), NULL, "least time of a measurement")           \
    X(json, BOOL, "false", 0, 0, NULL, "print one JSON object a line")

struct sheet_options {
    SHEET_OPTIONS(OPTION_MEMBER)
};

struct sheet {
    const char *program; /* "micro_table" */
    struct sheet_options options;
    FILE *out;
    uint64_t (*clock_ns)(void *clock);
    void *clock;
    uint32_t rows_count;
};

struct sheet_case {
    const char *name;
    const char *unit; /* what is counted: "row" */
    uint64_t units;   /* done by one turn; 0: 1 */
    uint64_t bytes;   /* moved per unit, or 0 */
    void (*run)(void *context, uint64_t turns);
    void *context;
};

/* A program of the sheet. */
struct sheet_table {
    const char *program;
    const char *help;
    const struct option_spec *specs; /* the shared ones among them */
    uint32_t specs_count;
};

/* Reads the command line into `values`, which begins with a struct sheet_options. Returns true to
 * go on; otherwise *exit_out is the exit code, and help or error have been printed. */
bool sheet_options_get(const struct sheet_table *table, int argc, char **argv, void *values,
                       int *exit_out);

/* With the monotonic clock and standard output. */
void sheet_init(struct sheet *sheet, const char *program, const struct sheet_options *options);

/* Measures and prints; returns the nanoseconds per unit. */
double sheet_measure(struct sheet *sheet, const struct sheet_case *measured);

/* A line such as why a case is missing; an object in JSON. No quotes in it. */
void sheet_remark(struct sheet *sheet, const char *text);

#endif
