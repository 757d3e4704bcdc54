/*
 * dialect_fstore: GET and WRITE of the rows of `item` on a running fsd.
 *
 * Reads ask for all features of keys; writes carry whole rows. A row's version is its event time,
 * which the server returns with it, so every reply can be checked whatever was written meanwhile.
 *
 * Threads: one. Memory: owns its connections' state until close.
 */
#ifndef FSBENCH_DIALECT_FSTORE_H
#define FSBENCH_DIALECT_FSTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/fsbench/dialect.h"
#include "bench/fsbench/reply_shape.h"

struct dialect_fstore_options {
    const char *api_key;
    uint32_t connections_count;
    uint32_t depth;
    uint32_t features_count;
    uint32_t keys_per_read;
    uint32_t rows_per_write;
    uint64_t client_id_seed; /* random; each connection derives its client id */
    bool is_durable;         /* what writes wait for */
    bool applies;            /* the first connection applies the definition */
    bool is_evicted;         /* which lets rows leave memory */
    int64_t deadline_us;     /* of reads; 0: none */
    enum reply_shape shape;
    /* By key, borrowed: learned from the reads, or what a matrix is checked with; may be NULL for
     * shapes that carry their versions. */
    int64_t *versions;
    bool learns_versions;
};

FST_MUST_USE enum fst_status dialect_fstore_create(const struct dialect_fstore_options *options,
                                                   const struct key_stream *keys,
                                                   struct dialect **dialect_out,
                                                   struct fst_error *error);

#endif
