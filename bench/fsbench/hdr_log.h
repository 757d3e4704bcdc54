/*
 * hdr_log: histograms written to a file in HdrHistogram's log format, for its tools and plotters.
 *
 * The text is that of HistogramLogWriter, version 1.3: a line per histogram with its tag, its begin
 * in seconds since StartTime, its length, its largest value in milliseconds, and the histogram in
 * the compressed V2 encoding (zlib), in base64. Values are nanoseconds. A struct histogram has just
 * the buckets of an HdrHistogram for values from 1 to 2^40 - 1 with two significant digits, so its
 * counts are written as they are.
 *
 * Threads: one. Memory: owns its buffers and the file until hdr_log_close.
 */
#ifndef FSBENCH_HDR_LOG_H
#define FSBENCH_HDR_LOG_H

#include <stdint.h>

#include "base/histogram.h"
#include "fstore/status.h"

struct hdr_log;

/* Makes the file anew, or FST_IO_ERROR. `start_us` is the wall clock's. */
FST_MUST_USE enum fst_status hdr_log_open(const char *path, int64_t start_us,
                                          struct hdr_log **log_out, struct fst_error *error);

/* Of a histogram that covers `elapsed_ns` from `begin_ns` after the start. An empty one is written
 * too. `tag` has no comma and no space. */
void hdr_log_put(struct hdr_log *log, const char *tag, uint64_t begin_ns, uint64_t elapsed_ns,
                 const struct histogram *histogram);

/* FST_IO_ERROR if something could not be written. */
FST_MUST_USE enum fst_status hdr_log_close(struct hdr_log *log, struct fst_error *error);

#endif
