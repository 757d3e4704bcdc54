/*
 * latency: a histogram of nanoseconds, shown in microseconds for people and for programs.
 *
 * Threads: one. Memory: the caller's.
 */
#ifndef FSBENCH_LATENCY_H
#define FSBENCH_LATENCY_H

#include <stdio.h>

#include "base/histogram.h"

/* The names of the columns of a row: "mean p50 p90 p99 p99.9 max". */
void latency_head_dump(FILE *out);

/* One row; nothing if the histogram is empty. */
void latency_row_dump(const char *name, const struct histogram *latency, FILE *out);

/* A member `"NAME_us":{"count":...}` without a comma before or behind. */
void latency_json_dump(const char *name, const struct histogram *latency, FILE *out);

#endif
