/*
 * metrics: counters and gauges of a running server.
 *
 * One table names them all. Every thread that counts has an array of its own, written by it alone
 * with plain relaxed loads and stores, so that counting costs an addition; whoever wants a number
 * sums the arrays. A gauge is kept as a sum of changes too: one thread may add 1 and another take
 * it away.
 *
 * Threads: an array is written by one thread; any may read, and sees each number slightly old.
 * Memory:  the caller's; zeroed memory is a valid array.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

/* X(name, kind, text name, help) */
#define METRIC_TABLE(X)                                                                            \
    X(CONNECTIONS, GAUGE, "connections", "connections open now")                                   \
    X(CONNECTIONS_TOTAL, COUNTER, "connections_total", "connections accepted")                     \
    X(REQUESTS, COUNTER, "requests", "requests received, of any kind")                             \
    X(GETS, COUNTER, "gets", "GET requests received")                                              \
    X(GETS_LATE, COUNTER, "gets_late",                                                             \
      "GET requests not served because their deadline had passed")                                 \
    X(KEYS_READ, COUNTER, "keys_read", "keys looked up by GET requests")                           \
    X(ROWS_FOUND, COUNTER, "rows_found", "rows found for these keys, all views counted")           \
    X(WRITES, COUNTER, "writes", "WRITE requests received")                                        \
    X(DELETES, COUNTER, "deletes", "keys that WRITE requests asked to delete")                     \
    X(ROWS_WRITTEN, COUNTER, "rows_written", "rows taken into the log")                            \
    X(ROWS_STALE, COUNTER, "rows_stale", "of these, rows older than the one already there")        \
    X(ROWS_REFUSED, COUNTER, "rows_refused", "rows answered with a refusal")                       \
    X(ROWS_SWEPT, COUNTER, "rows_swept", "rows long past their ttl, and old deletes, removed")     \
    X(ROWS_EVICTED, COUNTER, "rows_evicted", "rows that left memory for LMDB")                     \
    X(ROWS_PROMOTED, COUNTER, "rows_promoted", "evicted rows that came back, because of reads")    \
    X(WARM_GETS, COUNTER, "warm_gets", "GET requests that waited for rows from LMDB")              \
    X(WARM_ROWS, COUNTER, "warm_rows", "rows looked up in LMDB for them")                          \
    X(GROUPS, COUNTER, "groups", "log groups made durable")                                        \
    X(GROUP_BYTES, COUNTER, "group_bytes", "bytes of log groups made durable")                     \
    X(BYTES_IN, COUNTER, "bytes_in", "bytes received from clients")                                \
    X(BYTES_OUT, COUNTER, "bytes_out", "bytes sent to clients")                                    \
    X(BAD_FRAMES, COUNTER, "bad_frames", "frames that broke the protocol")                         \
    X(OVERLOADS, COUNTER, "overloads", "requests refused because of too much work in flight")      \
    X(CHECKPOINTS, COUNTER, "checkpoints", "checkpoints completed")                                \
    X(CHECKPOINT_ROWS, COUNTER, "checkpoint_rows", "rows written by checkpoints")                  \
    X(LOG_FILES, GAUGE, "log_files", "log files on disk, at the last checkpoint")                  \
    X(WAKES, COUNTER, "wakes", "times a shard was woken by another thread")

enum metric {
#define METRIC_ENUM(name, kind, text, help) METRIC_##name,
    METRIC_TABLE(METRIC_ENUM)
#undef METRIC_ENUM
        METRICS_COUNT,
};

struct metrics {
    _Alignas(64) _Atomic uint64_t values[METRICS_COUNT];
};

/* By the array's own thread only. */
static inline void metrics_add(struct metrics *metrics, enum metric metric, uint64_t count) {
    uint64_t value = atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
    atomic_store_explicit(&metrics->values[metric], value + count, memory_order_relaxed);
}
/* Takes from a gauge. By the array's own thread only. */
static inline void metrics_subtract(struct metrics *metrics, enum metric metric, uint64_t count) {
    metrics_add(metrics, metric, 0 - count);
}
static inline uint64_t metrics_get(const struct metrics *metrics, enum metric metric) {
    return atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
}

const char *metric_name(enum metric metric); /* "connections"; static */
const char *metric_help(enum metric metric); /* static */

/* Sum over several arrays. */
uint64_t metrics_sum(const struct metrics *const *metrics, uint32_t metrics_count,
                     enum metric metric);

/* All of them in the text form of Prometheus, each name behind "fstore_". */
void metrics_dump(const struct metrics *const *metrics, uint32_t metrics_count, FILE *out);

#endif
