#include "shard/control_call.h"

#include <stdlib.h>

#include "shard/shard.h"

enum {
    CONTROL_RETRY_US = 100000,
    CALLS_MAX = 4096, /* per shard; fewer than a queue holds, so that every answer finds room */
    CALLS_BYTES_MAX = 64 << 20,
};

static bool has_room(const struct shard *shard, size_t payload_bytes) {
    return shard->calls_open < CALLS_MAX && shard->calls_bytes + payload_bytes <= CALLS_BYTES_MAX;
}

void control_call_send(struct shard *shard, struct conn *conn, const struct frame *frame) {
    const struct session *session = conn->session;
    bool is_taken = has_room(shard, frame->payload_bytes);
    struct control_call *call = is_taken ? malloc(sizeof *call + frame->payload_bytes) : NULL;
    struct frame_error fault = {.status = FST_OVERLOADED,
                                .retry_us = CONTROL_RETRY_US,
                                .text = "too many control requests at once"};
    if (call) {
        *call = (struct control_call){
            .message.kind = MESSAGE_CONTROL,
            .conn_id = conn->id,
            .client_id = session->client_id,
            .request_id = frame->request_id,
            .roles = session->roles,
            .payload_bytes = frame->payload_bytes,
        };
        memcpy(call->key_hash, session->key_hash, sizeof call->key_hash);
        if (frame->payload_bytes) memcpy(call->payload, frame->payload, frame->payload_bytes);
        if (shard_send(shard, engine_control_seat(shard->engine), &call->message)) {
            shard->requests_open += 1;
            shard->calls_open += 1;
            shard->calls_bytes += frame->payload_bytes;
            return;
        }
    }
    free(call);
    conn_reply_error(conn, frame, &fault);
}

static void call_reply_put(struct conn *conn, const struct control_call *call) {
    struct frame request = {.opcode = FRAME_CONTROL, .request_id = call->request_id};
    if (call->error.status != FST_OK) {
        struct frame_error fault = {.status = call->error.status, .text = call->error.text};
        if (fault.status == FST_OVERLOADED) fault.retry_us = CONTROL_RETRY_US;
        if (fault.status == FST_BAD_FRAME || fault.status == FST_UNAUTHENTICATED)
            conn_refuse(conn, &request, &fault);
        else
            conn_reply_error(conn, &request, &fault);
        return;
    }
    size_t bytes = FRAME_HEADER_BYTES + call->reply_bytes;
    uint8_t *room = conn_reply_room(conn, bytes);
    if (!room) {
        struct frame_error fault = {.status = FST_TOO_LARGE, .text = "the reply has no room"};
        conn_reply_error(conn, &request, &fault);
        return;
    }
    frame_encode_reply(room, (uint32_t)bytes, FRAME_CONTROL, call->request_id, FST_OK);
    if (call->reply_bytes) memcpy(room + FRAME_HEADER_BYTES, call->reply, call->reply_bytes);
    conn_reply_commit(conn, bytes);
}

void control_call_end(struct shard *shard, struct control_call *call) {
    struct conn *conn = conns_find(&shard->conns, call->conn_id);
    if (conn) call_reply_put(conn, call);
    shard->requests_open -= 1;
    shard->calls_open -= 1;
    shard->calls_bytes -= call->payload_bytes;
    free(call->reply);
    free(call);
}
