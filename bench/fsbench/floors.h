/*
 * floors: what a result is to be held against: the same load on fsecho, which answers frames of the
 * same sizes without looking; the lookup of the same batch without a network; and the copying of
 * the reply (micro_floor for the latter two).
 *
 * Both programs are expected in the folder of fsbench.
 *
 * Threads: one. Memory: owns the measurement and the text until floors_close.
 */
#ifndef FSBENCH_FLOORS_H
#define FSBENCH_FLOORS_H

#include <stdio.h>

#include "bench/fsbench/measurement.h"

struct floors_sizes {
    uint32_t keys_per_read;
    uint32_t request_bytes;
    uint32_t reply_bytes;
};

struct floors {
    struct measurement echo;
    char *micro_text; /* what micro_floor printed: JSON objects, a line each */
};

/* `load` says connections and depth; its address is replaced. */
FST_MUST_USE enum fst_status floors_open(struct floors *floors,
                                         const struct load_settings *settings,
                                         const struct load_options *load,
                                         const struct floors_sizes *sizes, struct fst_error *error);
void floors_close(struct floors *floors);

void floors_dump(const struct floors *floors, FILE *out);

/* A member `"floors":{...}`. */
void floors_json_dump(const struct floors *floors, FILE *out);

#endif
