#include "bench/micro/sheet.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"

enum { NS_PER_US = 1000, GROWTH_MAX = 8, EXIT_DONE = 0, EXIT_USAGE = 2 };

static uint64_t clock_monotonic_ns(void *clock) {
    (void)clock;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool sheet_options_get(const struct sheet_table *table, int argc, char **argv, void *values,
                       int *exit_out) {
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("usage: %s [options]\n\n%s\n", table->program, table->help);
        options_help(table->specs, table->specs_count, stdout);
        *exit_out = EXIT_DONE;
        return false;
    }
    struct options options;
    struct fst_error error = {.status = FST_OK};
    options_init(&options, table->specs, table->specs_count, values);
    if (options_parse_arguments(&options, argc, argv, &error) == FST_OK) return true;
    fprintf(stderr, "%s: %s\n", table->program, error.text);
    *exit_out = EXIT_USAGE;
    return false;
}

void sheet_init(struct sheet *sheet, const char *program, const struct sheet_options *options) {
    *sheet = (struct sheet){
        .program = program, .options = *options, .out = stdout, .clock_ns = clock_monotonic_ns};
}

static uint64_t run_ns(const struct sheet *sheet, const struct sheet_case *measured,
                       uint64_t turns) {
    uint64_t begin_ns = sheet->clock_ns(sheet->clock);
    measured->run(measured->context, turns);
    return sheet->clock_ns(sheet->clock) - begin_ns;
}

/* How many turns take at least the time of a measurement. */
static uint64_t turns_find(const struct sheet *sheet, const struct sheet_case *measured) {
    uint64_t wanted_ns = (uint64_t)sheet->options.run * NS_PER_US;
    for (uint64_t turns = 1;;) {
        uint64_t taken_ns = run_ns(sheet, measured, turns);
        if (taken_ns >= wanted_ns) return turns;
        uint64_t growth = taken_ns ? wanted_ns / taken_ns + 1 : GROWTH_MAX;
        if (growth < 2) growth = 2;
        turns *= growth < GROWTH_MAX ? growth : GROWTH_MAX;
    }
}

static int double_compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void row_print(struct sheet *sheet, const struct sheet_case *measured, double ns,
                      double spread) {
    double mb_per_s = (double)measured->bytes * 1e3 / ns;
    if (sheet->options.json) {
        fprintf(sheet->out,
                "{\"program\":\"%s\",\"case\":\"%s\",\"unit\":\"%s\",\"ns\":%.3f,\"spread\":%.4f,"
                "\"per_s\":%.0f,\"mb_per_s\":%.0f,\"repeats\":%" PRIu64 "}\n",
                sheet->program, measured->name, measured->unit, ns, spread, 1e9 / ns, mb_per_s,
                sheet->options.repeat);
        return;
    }
    if (sheet->rows_count++ == 0)
        fprintf(sheet->out, "%-40s %12s %8s %14s %10s\n", sheet->program, "ns", "spread", "per s",
                "MB/s");
    fprintf(sheet->out, "%-40s %12.2f %7.1f%% %14.0f %10.0f  a %s\n", measured->name, ns,
            100 * spread, 1e9 / ns, mb_per_s, measured->unit);
}

double sheet_measure(struct sheet *sheet, const struct sheet_case *measured) {
    double figures[SHEET_REPEATS_MAX];
    uint64_t repeats = sheet->options.repeat;
    FST_ASSERT(repeats >= 1 && repeats <= SHEET_REPEATS_MAX);
    uint64_t turns = turns_find(sheet, measured);
    double units = (double)turns * (double)(measured->units ? measured->units : 1);
    for (uint64_t i = 0; i < repeats; i++)
        figures[i] = (double)run_ns(sheet, measured, turns) / units;
    qsort(figures, repeats, sizeof figures[0], double_compare);
    double median = (figures[(repeats - 1) / 2] + figures[repeats / 2]) / 2;
    row_print(sheet, measured, median, (figures[repeats - 1] - figures[0]) / median);
    fflush(sheet->out);
    return median;
}

void sheet_remark(struct sheet *sheet, const char *text) {
    if (sheet->options.json)
        fprintf(sheet->out, "{\"program\":\"%s\",\"remark\":\"%s\"}\n", sheet->program, text);
    else
        fprintf(sheet->out, "%s\n", text);
}
