/*
 * settings: the options that all measuring commands of fsbench share.
 *
 * A command's own struct begins with a struct load_settings; its specs are the shared ones followed
 * by its own.
 *
 * Threads: one. Memory: plain structs.
 */
#ifndef FSBENCH_SETTINGS_H
#define FSBENCH_SETTINGS_H

#include "base/options.h"
#include "bench/fsbench/key_stream.h"
#include "bench/fsbench/load.h"

enum { SETTINGS_RUNS_MAX = 100, SETTINGS_RATE_MAX = 100000000 };

#define LOAD_SETTINGS(X)                                                                           \
    X(server, TEXT, "127.0.0.1:7601", 0, 0, "HOST:PORT", "server to measure")                      \
    X(connections, COUNT, "64", 1, LOAD_CONNECTIONS_MAX, NULL, "connections")                      \
    X(depth, COUNT, "16", 1, LOAD_DEPTH_MAX, NULL, "requests in flight per connection")            \
    X(entities, COUNT, "1000000", 1, UINT32_MAX, NULL, "keys, from --first on")                    \
    X(first, COUNT, "0", 0, UINT32_MAX, NULL, "the smallest key")                                  \
    X(features, COUNT, "50", 1, 1000, NULL, "float64 values per row")                              \
    X(keys, TEXT, "uniform", 0, 0, "uniform|zipf:S", "which keys are asked for; S is 0 to 0.999")  \
    X(miss, TEXT, "0%", 0, 0, "P%",                                                                \
      "share of the keys read that do not exist; each must be answered as not found")              \
    X(duration, DURATION, "10s", 0, UINT64_C(86400000000), NULL,                                   \
      "time measured; 0: only --load and --verify-load")                                           \
    X(warmup, DURATION, "2s", 0, UINT64_C(3600000000), NULL, "time before that")                   \
    X(repeat, COUNT, "1", 1, SETTINGS_RUNS_MAX, NULL, "measurements; the median is reported")      \
    X(interval, DURATION, "0", 0, UINT64_C(86400000000), NULL,                                     \
      "also report each interval of that length; 0: none")                                         \
    X(hdr_log, TEXT, "", 0, 0, "FILE",                                                             \
      "write latencies in HdrHistogram's log format, per interval or else per measurement")        \
    X(rate, COUNT, "0", 0, SETTINGS_RATE_MAX, NULL,                                                \
      "open loop with so many requests per second; latency counts from when each is due")          \
    X(arrivals, CHOICE, "poisson", 0, 0, "poisson|fixed", "gaps between requests of an open loop") \
    X(lateness_max, DURATION, "250us", 0, UINT64_C(60000000), NULL,                                \
      "refuse an open loop whose requests leave later than that at p99 by fsbench's own fault; "   \
      "0: never")                                                                                  \
    X(in_time, DURATION, "0", 0, UINT64_C(3600000000), NULL,                                       \
      "count answers that come later than that after their request was sent; 0: do not")           \
    X(find_max, BOOL, "false", 0, 0, NULL,                                                         \
      "search the largest rate that keeps --slo, from --rate or 10000 on; each probe measures as " \
      "long as --warmup and --duration say")                                                       \
    X(slo, TEXT, "", 0, 0, "pN=TIME,...", "latencies that --find-max must keep, as p99=500us")     \
    X(verify, CHOICE, "sample", 0, 0, "sample|all|none",                                           \
      "check one value of every reply and all of each 64th, or all, or none")                      \
    X(seed, COUNT, "1", 0, UINT64_MAX, NULL, "of the keys and gaps")                               \
    X(load, BOOL, "false", 0, 0, NULL, "first write every entity's row")                           \
    X(verify_load, BOOL, "false", 0, 0, NULL,                                                      \
      "before measuring read every row once and compare all its values")                           \
    X(cpu, TEXT, "", 0, 0, "N", "pin this program to a processor")                                 \
    X(server_pid, COUNT, "0", 0, UINT32_MAX, NULL, "process of the server, to report its time")    \
    X(server_cpu, TEXT, "", 0, 0, "N", "pin the process --server-pid to a processor")              \
    X(floors, BOOL, "false", 0, 0, NULL,                                                           \
      "also measure fsecho with the same sizes, and lookup and reply without a network")           \
    X(json, BOOL, "false", 0, 0, NULL, "print one JSON object")

struct load_settings {
    LOAD_SETTINGS(OPTION_MEMBER)
};

/* The options that are written down nowhere: secrets. */
#define SETTINGS_SECRET "key"

/* One command's table. */
struct settings_table {
    const char *command; /* "online" */
    const char *help;    /* what --help says first */
    const struct option_spec *own;
    uint32_t own_count;
};

/* Reads the command line into `values`, a struct that begins with a struct load_settings. Returns
 * true to go on; otherwise *exit_out is the exit code, and help or error have been printed. */
bool settings_get(const struct settings_table *table, int argc, char **argv, void *values,
                  int *exit_out);

/* "uniform" or "zipf:0.99", and the share of misses. */
FST_MUST_USE enum fst_status settings_keys_decode(const struct load_settings *settings,
                                                  struct key_stream *keys_out,
                                                  struct fst_error *error);

/* What one option alone does not tell: FST_INVALID. */
FST_MUST_USE enum fst_status settings_check(const struct load_settings *settings,
                                            struct fst_error *error);

/* Pins this process and the server as asked. */
FST_MUST_USE enum fst_status settings_pin(const struct load_settings *settings,
                                          struct fst_error *error);

/* A member `"options":{...}` with every option and its value but the secrets. */
void settings_json_dump(const struct settings_table *table, const void *values, FILE *out);

/* The exit code that tells of `status`. */
int settings_exit_of(enum fst_status status);

#endif
