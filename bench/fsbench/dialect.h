/*
 * dialect: what a load says to one kind of server, and how it judges the answers.
 *
 * The load loop (load.h) owns sockets, clocks and histograms; a dialect turns a request into bytes
 * and bytes into a reply. So every server under comparison meets the same loop, and a difference
 * between them is theirs.
 *
 * Threads: one. Memory: a dialect owns what it allocates, until close.
 */
#ifndef FSBENCH_DIALECT_H
#define FSBENCH_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "bench/fsbench/key_stream.h"
#include "fstore/status.h"

/* One request in flight. */
struct request {
    uint64_t begin_ns;   /* when it was sent, or in an open loop when it should have been */
    uint64_t sent_ns;    /* when the kernel took it */
    uint64_t seed;       /* of its keys; where is_sequential, its first, from the stream's on */
    int64_t version;     /* of the rows it writes */
    uint32_t keys_count; /* keys it reads or rows it writes */
    bool is_write;
    bool is_sequential;
    bool is_busy; /* sent and not answered yet */
};

/* Key number `index` of a request; a row has it only if the stream does. */
static inline uint64_t request_key(const struct request *request, const struct key_stream *keys,
                                   uint32_t index) {
    if (request->is_sequential) return keys->first + request->seed + index;
    uint64_t key = keys->first + key_stream_get(keys, request->seed, index);
    bool is_miss = !request->is_write && key_stream_is_miss(keys, request->seed, index);
    return is_miss ? key + keys->keys_count : key;
}

enum reply_answer {
    REPLY_OK,
    REPLY_STALE,   /* written, but newer rows were there */
    REPLY_REFUSED, /* the server answered that it will not */
};

struct reply {
    uint32_t slot; /* of the request, as given to encode */
    enum reply_answer answer;
    enum fst_status status; /* of a refusal */
    struct bytes text;      /* of a refusal: the words of the server; borrowed like the payload */
    const uint8_t *payload; /* borrowed from the bytes given to decode */
    uint32_t payload_bytes;
};

struct dialect;

struct dialect_ops {
    const char *name;
    /* Greets the server on a fresh, blocking socket; `connection` counts from 0. */
    enum fst_status (*open)(struct dialect *dialect, uint32_t connection, int socket,
                            struct fst_error *error);
    /* Writes a request, at most request_bytes_max, and returns its bytes. */
    size_t (*encode)(struct dialect *dialect, uint32_t connection, uint32_t slot,
                     const struct request *request, uint8_t *out);
    /* Bytes of the first whole reply; 0 if it is not whole yet; -1 if it can be no reply. */
    int64_t (*decode)(struct dialect *dialect, uint32_t connection, const uint8_t *data,
                      size_t bytes, struct reply *reply_out);
    /* True if the reply carries what the request asked for: one value of it, or all of them. */
    bool (*verify)(struct dialect *dialect, const struct request *request,
                   const struct reply *reply, bool is_full);
    void (*close)(struct dialect *dialect);
};

/* First member of every dialect's own struct. */
struct dialect {
    const struct dialect_ops *ops;
    const struct key_stream *keys; /* borrowed */
    uint32_t request_bytes_max;
    uint32_t reply_bytes_max;
};

#endif
