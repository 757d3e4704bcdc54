/*
 * fstore_session: the first words of a connection to fsd: who I am, what I will ask for.
 *
 * The protocol is in docs/protocol.md; this speaks it without the client library, so that what is
 * measured is the server. Everything here blocks and happens before a measurement.
 *
 * Threads: one per socket. Memory: the caller's.
 */
#ifndef FSBENCH_FSTORE_SESSION_H
#define FSBENCH_FSTORE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "fstore/status.h"

enum {
    FSTORE_HEADER_BYTES = 16,
    FSTORE_HELLO = 1,
    FSTORE_PREPARE = 2,
    FSTORE_GET = 3,
    FSTORE_WRITE = 4,
    FSTORE_CONTROL = 5,
    FSTORE_FLAG_REPLY = 1,
    FSTORE_FEATURES_MAX = 1000,
    FSTORE_FACT_BYTES = 32,
    FSTORE_ROW_HEAD_BYTES = 32, /* status, times and LSN before the null bits of a group */
};

struct fstore_limits {
    uint32_t frame_bytes_max;
    uint32_t bulk_bytes_max;
    uint32_t keys_max;
    uint32_t features_max;
    uint32_t in_flight_max;
};

/* Of the view `bench.wide_N`: where its features lie in a reply row. */
struct fstore_layout {
    uint32_t handle;
    uint64_t layout_id;
    uint32_t row_bytes;
    uint32_t group_offset;
    uint32_t features_count;
    uint32_t value_offsets[FSTORE_FEATURES_MAX];
};

static inline void fstore_header_put(uint8_t *out, uint32_t bytes, uint8_t opcode, uint32_t id,
                                     uint32_t handle) {
    store_u32(out, bytes);
    store_u32(out + 4, opcode);
    store_u32(out + 8, id);
    store_u32(out + 12, handle);
}

/* HELLO. A refusal gives its status and text. */
FST_MUST_USE enum fst_status fstore_session_open(int socket, uint64_t client_id,
                                                 const char *api_key,
                                                 struct fstore_limits *limits_out,
                                                 struct fst_error *error);

/* Applies the definition of entity bench.item and view bench.wide_N, N float64 features, whose rows
 * may leave memory if is_evicted. */
FST_MUST_USE enum fst_status fstore_session_apply(int socket, uint32_t features_count,
                                                  bool is_evicted, struct fst_error *error);

/* What a server says of itself; what it does not say is empty. */
struct fstore_facts {
    char version[FSTORE_FACT_BYTES];
    char io[FSTORE_FACT_BYTES]; /* "uring", "epoll" */
    char shards[FSTORE_FACT_BYTES];
};

FST_MUST_USE enum fst_status fstore_session_facts(int socket, struct fstore_facts *facts_out,
                                                  struct fst_error *error);

/* Has all rows written so far put into a checkpoint, and waits for it. */
FST_MUST_USE enum fst_status fstore_session_checkpoint(int socket, struct fst_error *error);

/* PREPARE for reading or writing the whole view. For writing only handle and layout_id mean
 * anything. FST_CORRUPT when the reply is not what the protocol says. */
FST_MUST_USE enum fst_status fstore_session_prepare_read(int socket, uint32_t features_count,
                                                         struct fstore_layout *layout_out,
                                                         struct fst_error *error);
FST_MUST_USE enum fst_status fstore_session_prepare_write(int socket, uint32_t features_count,
                                                          struct fstore_layout *layout_out,
                                                          struct fst_error *error);

/* Judges the payload of a PREPARE reply for `features_count` float64 features keyed by one int64.
 * */
FST_MUST_USE enum fst_status fstore_layout_decode(struct bytes payload, uint32_t features_count,
                                                  struct fstore_layout *layout_out,
                                                  struct fst_error *error);

#endif
