/*
 * control_call: one CONTROL request on its way from a shard to the control thread and back.
 *
 * Threads: the shard makes and ends it, the control thread answers it in between.
 * Memory:  allocated by the shard, with a copy of the payload; the reply is allocated by the
 *          control thread and freed with the call.
 */
#ifndef SHARD_CONTROL_CALL_H
#define SHARD_CONTROL_CALL_H

#include "net/conn.h"
#include "registry/access.h"
#include "shard/message.h"

struct shard;

struct control_call {
    struct message message;
    uint64_t conn_id;
    uint64_t client_id; /* scope of sequences in imports */
    uint32_t request_id;
    uint32_t roles; /* of the connection when it asked */
    uint8_t key_hash[ACCESS_HASH_BYTES];
    uint8_t *reply; /* packed fst.ControlReply */
    size_t reply_bytes;
    struct fst_error error; /* status FST_OK: the reply counts */
    size_t payload_bytes;
    uint8_t payload[];
};

/* Sends the frame's payload to the control thread; answers OVERLOADED when it has too much to
 * do. */
void control_call_send(struct shard *shard, struct conn *conn, const struct frame *frame);

/* The call came back: answers the connection if it is still there, and frees the call. */
void control_call_end(struct shard *shard, struct control_call *call);

#endif
