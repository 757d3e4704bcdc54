#include "bench/fsbench/series.h"

static void interval_begin(struct series *series, uint64_t begin_ns) {
    const struct series_options *options = &series->options;
    struct interval *interval = &series->current;
    uint64_t left_ns = options->end_ns - options->begin_ns - begin_ns;
    interval->begin_ns = begin_ns;
    interval->elapsed_ns = left_ns < options->step_ns ? left_ns : options->step_ns;
    interval->refused_count = 0;
    histogram_init(&interval->read_ns);
    histogram_init(&interval->write_ns);
}

void series_init(struct series *series, const struct series_options *options) {
    series->options = *options;
    series->is_over = options->step_ns == 0 || options->begin_ns >= options->end_ns;
    if (!series->is_over) interval_begin(series, 0);
}

static uint64_t current_end_ns(const struct series *series) {
    return series->options.begin_ns + series->current.begin_ns + series->current.elapsed_ns;
}

static void current_take(struct series *series) {
    series->options.take(series->options.context, &series->current);
    uint64_t end_ns = current_end_ns(series);
    series->is_over = end_ns >= series->options.end_ns;
    if (!series->is_over) interval_begin(series, end_ns - series->options.begin_ns);
}

void series_advance(struct series *series, uint64_t now_ns) {
    while (!series->is_over && current_end_ns(series) <= now_ns &&
           current_end_ns(series) < series->options.end_ns)
        current_take(series);
}

void series_put(struct series *series, uint64_t now_ns, uint64_t taken_ns, bool is_write) {
    series_advance(series, now_ns);
    if (series->is_over) return;
    histogram_put(is_write ? &series->current.write_ns : &series->current.read_ns, taken_ns);
}

void series_put_refused(struct series *series, uint64_t now_ns) {
    series_advance(series, now_ns);
    if (!series->is_over) series->current.refused_count++;
}

void series_end(struct series *series) {
    while (!series->is_over) current_take(series);
}
