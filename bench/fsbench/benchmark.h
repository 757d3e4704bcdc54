/*
 * benchmark: the course of every measuring command: pin, fill, connect, measure, print.
 *
 * Threads: one. Memory: opened and closed inside.
 */
#ifndef FSBENCH_BENCHMARK_H
#define FSBENCH_BENCHMARK_H

#include <stdio.h>

#include "bench/fsbench/dialect.h"
#include "bench/fsbench/floors.h"
#include "bench/fsbench/load.h"
#include "bench/fsbench/settings.h"

struct benchmark {
    const struct settings_table *table; /* borrowed, as all that follows */
    const struct load_settings *settings;
    struct load_options fill;      /* how rows are written first; address is filled in */
    struct load_options read_back; /* how they are read again; verify is set */
    struct load_options measure;
    /* Makes the dialect for one of the three. */
    enum fst_status (*dialect_create)(const struct benchmark *benchmark,
                                      const struct load_options *options,
                                      const struct key_stream *keys, struct dialect **dialect_out,
                                      struct fst_error *error);
    /* What is done once after filling, so that the server rests while it is measured; may be NULL.
     * */
    enum fst_status (*settle)(const struct benchmark *benchmark, struct fst_error *error);
    /* What the server says of itself, as a JSON object; may be NULL. */
    void (*facts_json_dump)(const struct benchmark *benchmark, FILE *out);
    struct floors_sizes sizes; /* of a read, for --floors; 0: there are no floors */
    const void *own;           /* the command's own settings, which begin with the shared ones */
};

/* Connections, depth, checking and seed as the settings say. */
struct load_options benchmark_options_of(const struct load_settings *settings);

/* Returns the exit code; prints the figures to standard output, errors to standard error. */
int benchmark_run(const struct benchmark *benchmark);

#endif
