/*
 * dialect_redis: the same rows of `item` in a Redis server, in the two ways people keep features
 * there.
 *
 *   fields   a hash per key, a field per feature, read with HMGET
 *   blobs    a string per key with all values packed, read with GET or MGET, written with SET
 *
 * Values are the eight bytes of the float64 either way: the shortest a hash can hold without loss.
 * Rows have no version of their own, so all are of the same one. Replies come in order.
 *
 * Threads: one. Memory: owns its templates until close.
 */
#ifndef FSBENCH_DIALECT_REDIS_H
#define FSBENCH_DIALECT_REDIS_H

#include "bench/fsbench/dialect.h"

enum redis_command { REDIS_HMGET, REDIS_GET, REDIS_MGET, REDIS_SET };

enum { REDIS_KEYS_MAX = 10000, REDIS_FEATURES_MAX = 1000 };

struct dialect_redis_options {
    enum redis_command command; /* of the reads; also decides how rows are kept */
    uint32_t connections_count;
    uint32_t depth;
    uint32_t features_count;
    uint32_t keys_per_read; /* 1 unless MGET */
};

FST_MUST_USE enum fst_status dialect_redis_create(const struct dialect_redis_options *options,
                                                  const struct key_stream *keys,
                                                  struct dialect **dialect_out,
                                                  struct fst_error *error);

#endif
