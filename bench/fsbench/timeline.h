/*
 * timeline: where the intervals of all runs are written: a line each for people as they pass, an
 * object each for programs at the end, and a line each in a log of histograms.
 *
 * Threads: one. Memory: owns the text of the objects until timeline_close.
 */
#ifndef FSBENCH_TIMELINE_H
#define FSBENCH_TIMELINE_H

#include <stdio.h>

#include "bench/fsbench/hdr_log.h"
#include "bench/fsbench/series.h"
#include "bench/fsbench/settings.h"

struct timeline {
    const struct load_settings *settings; /* borrowed */
    struct hdr_log *log;                  /* NULL: none wanted */
    FILE *objects;                        /* a text in memory */
    char *objects_text;
    size_t objects_bytes;
    uint32_t runs_count;
    uint64_t intervals_count;
    int64_t open_us;    /* monotonic */
    uint64_t offset_ns; /* begin of the run, after open */
};

FST_MUST_USE enum fst_status timeline_open(struct timeline *timeline,
                                           const struct load_settings *settings,
                                           struct fst_error *error);

/* How long an interval is; 0: none are wanted. */
uint64_t timeline_step_ns(const struct timeline *timeline);

/* A run begins: its warm-up now. */
void timeline_run_begin(struct timeline *timeline);

/* For struct series_options; `context` is the timeline. */
void timeline_take(void *context, const struct interval *interval);

/* The objects, separated by commas; borrowed until the next interval. */
const char *timeline_objects(struct timeline *timeline);

/* FST_IO_ERROR if the log could not be written. */
FST_MUST_USE enum fst_status timeline_close(struct timeline *timeline, struct fst_error *error);

#endif
