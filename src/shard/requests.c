#include "shard/requests.h"

#include <stdlib.h>

#include "base/assert.h"
#include "query/write_block.h"
#include "shard/control_call.h"
#include "shard/get_request.h"
#include "shard/write_request.h"
#include "storage/recovery/identity.h"

enum {
    HELLO_REPLY_BYTES_MAX = FRAME_HEADER_BYTES + 128 + 2 * PARTITIONS_MAX,
    PREPARE_REPLY_HEAD = FRAME_HEADER_BYTES + 4 + 8,
    PREPARE_NAMES_MAX = FEATURES_MAX + 1,
};

void request_fail_text(struct conn *conn, const struct frame *frame, enum fst_status status,
                       const char *text) {
    struct frame_error fault = {.status = status, .text = text};
    if (status == FST_OVERLOADED) fault.retry_us = WRITE_RETRY_US;
    if (status == FST_BAD_FRAME || status == FST_UNAUTHENTICATED)
        conn_refuse(conn, frame, &fault);
    else
        conn_reply_error(conn, frame, &fault);
}

void request_fail(struct conn *conn, const struct frame *frame, const struct fst_error *error) {
    request_fail_text(conn, frame, error->status, error->text);
}

/* ---- HELLO ---- */

static void hello_reply(struct shard *shard, struct conn *conn, const struct frame *frame,
                        uint32_t roles) {
    const struct engine *engine = shard->engine;
    uint8_t *room = conn_reply_room(conn, HELLO_REPLY_BYTES_MAX);
    if (!room) {
        request_fail_text(conn, frame, FST_OVERLOADED, "no room for a reply");
        return;
    }
    struct writer w =
        writer_of(room + FRAME_HEADER_BYTES, HELLO_REPLY_BYTES_MAX - FRAME_HEADER_BYTES);
    write_u16(&w, FRAME_VERSION);
    write_u16(&w, (uint16_t)engine->partitions_count);
    write_u8(&w, (uint8_t)roles);
    write_bytes(&w, (uint8_t[3]){0}, 3);
    write_u32(&w, engine->limits.frame_bytes_max);
    write_u32(&w, engine->limits.bulk_bytes_max);
    write_u32(&w, engine->limits.keys_max);
    write_u32(&w, FEATURES_MAX);
    write_u32(&w, engine->limits.in_flight_max);
    write_bytes(&w, engine->store_id, STORE_ID_BYTES);
    write_u64(&w, engine->server_epoch);
    write_u64(&w, 0);
    write_u16(&w, 1);
    write_short(&w, "", 0);
    for (uint32_t p = 0; p < engine->partitions_count; p++) write_u16(&w, 0);
    FST_ASSERT(!w.failed);
    uint32_t bytes = FRAME_HEADER_BYTES + (uint32_t)writer_used(&w);
    frame_encode_reply(room, bytes, FRAME_HELLO, frame->request_id, FST_OK);
    conn_reply_commit(conn, bytes);
    conn_welcome(conn);
}

static void hello_serve(struct shard *shard, struct conn *conn, const struct frame *frame) {
    struct session *session = conn->session;
    struct reader reader = reader_of(frame->payload, frame->payload_bytes);
    uint32_t magic = read_u32(&reader);
    uint16_t version_min = read_u16(&reader);
    uint16_t version_max = read_u16(&reader);
    uint64_t client_id = read_u64(&reader);
    struct bytes key = read_short(&reader);
    if (session->client_id != 0) {
        request_fail_text(conn, frame, FST_BAD_FRAME, "HELLO: expected once per connection");
    } else if (!reader_is_done(&reader)) {
        request_fail_text(conn, frame, FST_BAD_FRAME,
                          "HELLO: expected 18 bytes and a key, no more");
    } else if (magic != FRAME_HELLO_MAGIC) {
        request_fail_text(conn, frame, FST_BAD_FRAME, "HELLO magic: expected 0x31545346");
    } else if (client_id == 0) {
        request_fail_text(conn, frame, FST_BAD_FRAME,
                          "HELLO client_id: expected a random number, found 0");
    } else if (version_min > FRAME_VERSION || version_max < FRAME_VERSION) {
        struct frame_error fault = {.status = FST_UNSUPPORTED,
                                    .text = "HELLO version: this server speaks version 1"};
        conn_refuse(conn, frame, &fault);
    } else {
        session_greet(session, client_id, key);
        session_grant(session, shard->definitions->access);
        if (session->roles == 0) {
            request_fail_text(conn, frame, FST_UNAUTHENTICATED,
                              fst_status_text(FST_UNAUTHENTICATED));
        } else {
            hello_reply(shard, conn, frame, session->roles);
        }
    }
}

/* ---- PREPARE ---- */

static struct bytes handle_layout(const struct handle *handle, uint64_t *layout_id_out) {
    *layout_id_out = handle->read ? handle->read->layout_id : handle->write->layout_id;
    return handle->read ? handle->read->layout : handle->write->layout;
}

static void layout_reply(struct conn *conn, const struct frame *frame, uint32_t number,
                         const struct handle *handle, enum fst_status status) {
    uint64_t layout_id;
    struct bytes layout = handle_layout(handle, &layout_id);
    uint32_t bytes = PREPARE_REPLY_HEAD + (uint32_t)layout.bytes;
    uint8_t *room = conn_reply_room(conn, bytes);
    if (!room) {
        request_fail_text(conn, frame, FST_OVERLOADED,
                          "no room for the layout; read replies first");
        return;
    }
    frame_encode_reply(room, bytes, frame->opcode, frame->request_id, status);
    store_u32(room + FRAME_HEADER_BYTES, number);
    store_u64(room + FRAME_HEADER_BYTES + 4, layout_id);
    memcpy(room + PREPARE_REPLY_HEAD, layout.data, layout.bytes);
    conn_reply_commit(conn, bytes);
}

bool request_role_is_missing(struct conn *conn, const struct frame *frame, uint32_t role) {
    const struct session *session = conn->session;
    if (session->roles & (role | ROLE_ADMIN)) return false;
    if (session->roles == 0) { /* Its key went while the request waited. */
        request_fail_text(conn, frame, FST_UNAUTHENTICATED, fst_status_text(FST_UNAUTHENTICATED));
        return true;
    }
    request_fail_text(conn, frame, FST_FORBIDDEN,
                      role == ROLE_WRITE ? "this needs a key with the role write"
                                         : "this needs a key with the role read");
    return true;
}

static void prepare_serve(struct shard *shard, struct conn *conn, const struct frame *frame) {
    struct reader reader = reader_of(frame->payload, frame->payload_bytes);
    uint8_t kind = read_u8(&reader);
    const uint8_t *zeros = read_bytes(&reader, 3);
    uint16_t count = read_u16(&reader);
    if (reader.failed || kind > PLAN_WRITE || zeros[0] || zeros[1] || zeros[2]) {
        request_fail_text(conn, frame, FST_BAD_FRAME,
                          "PREPARE: expected kind 0 to 2 and three zero bytes");
        return;
    }
    if (count > PREPARE_NAMES_MAX) {
        request_fail_text(conn, frame, FST_TOO_LARGE,
                          "PREPARE count: expected at most 1000 features");
        return;
    }
    conn_charge(conn, count);
    struct bytes *names = arena_get(&shard->arena, (count + 1u) * sizeof *names);
    if (!names) {
        request_fail_text(conn, frame, FST_OVERLOADED, "no memory for this request now");
        return;
    }
    for (uint32_t i = 0; i < count; i++) names[i] = read_short(&reader);
    if (!reader_is_done(&reader)) {
        request_fail_text(conn, frame, FST_BAD_FRAME,
                          "PREPARE names: expected as many as count says");
        return;
    }
    if (request_role_is_missing(conn, frame, kind == PLAN_WRITE ? ROLE_WRITE : ROLE_READ)) return;
    struct fst_error error = {.status = FST_OK, .text = ""};
    struct handle_names wanted = {.kind = (enum plan_kind)kind, .count = count, .names = names};
    uint32_t number;
    struct session *session = conn->session;
    error.status = session_prepare(session, shard->definitions->catalog, &wanted, &number, &error);
    if (error.status != FST_OK)
        request_fail(conn, frame, &error);
    else
        layout_reply(conn, frame, number, session_find(session, number), FST_OK);
}

struct handle *request_find_handle(struct conn *conn, const struct frame *frame, bool is_write,
                                   uint64_t layout_id) {
    struct handle *handle = session_find(conn->session, frame->handle);
    if (!handle || (handle->kind == PLAN_WRITE) != is_write) {
        request_fail_text(conn, frame, FST_UNKNOWN,
                          is_write ? "handle: expected one prepared for writing"
                                   : "handle: expected one prepared for reading");
        return NULL;
    }
    if (!handle->read && !handle->write) {
        request_fail_text(conn, frame, FST_UNKNOWN,
                          "what this handle was prepared for no longer exists");
        return NULL;
    }
    uint64_t current_id;
    handle_layout(handle, &current_id);
    if (layout_id != current_id) {
        layout_reply(conn, frame, frame->handle, handle, FST_LAYOUT_CHANGED);
        return NULL;
    }
    return handle;
}

/* ---- WRITE ---- */

/* Rows are copied to where they wait for their log; nothing of them stays in the arena. */
static void write_serve(struct shard *shard, struct conn *conn, const struct frame *frame) {
    size_t mark_bytes = shard->arena.used_bytes;
    struct fst_error error; /* Set where something fails; it is large. */
    struct write_block block;
    struct bytes payload = {.data = frame->payload, .bytes = frame->payload_bytes};
    error.status = write_block_decode(payload, &block, &error);
    if (error.status != FST_OK) {
        request_fail(conn, frame, &error);
        return;
    }
    struct handle *handle = request_find_handle(conn, frame, true, block.layout_id);
    if (!handle) return;
    metrics_add(shard->metrics, METRIC_WRITES, 1);
    if (block.is_delete) metrics_add(shard->metrics, METRIC_DELETES, block.rows_count);
    struct write_source source = {
        .engine = shard->engine, .buffers = &shard->buffers, .arena = &shard->arena};
    if (!write_request_has_room(&source, handle->write->view, block.rows_count)) {
        request_fail_text(conn, frame, FST_OVERLOADED, "no memory for this write now");
        return;
    }
    struct row_set set;
    conn_charge(conn, block.rows_count);
    error.status =
        write_block_rows(&block, handle->write, shard->now_us, &shard->arena, &set, &error);
    if (error.status == FST_OK) {
        struct write_origin origin = {
            .conn_id = conn->id,
            .request_id = frame->request_id,
            .client_id = ((struct session *)conn->session)->client_id,
            .sequence = block.sequence,
            .is_durable = block.is_durable,
        };
        error.status = write_request_send(shard, &origin, &set, &error);
    }
    if (error.status != FST_OK) request_fail(conn, frame, &error);
    arena_reset_to(&shard->arena, mark_bytes);
}

/* ---- all ---- */

static void ping_serve(struct conn *conn, const struct frame *frame) {
    uint8_t *room = frame->payload_bytes == 0 ? conn_reply_room(conn, FRAME_HEADER_BYTES) : NULL;
    if (!room) {
        request_fail_text(conn, frame, frame->payload_bytes ? FST_BAD_FRAME : FST_OVERLOADED,
                          "PING: expected no payload");
        return;
    }
    frame_encode_reply(room, FRAME_HEADER_BYTES, FRAME_PING, frame->request_id, FST_OK);
    conn_reply_commit(conn, FRAME_HEADER_BYTES);
}

/* Only GET and WRITE name a handle. True if another request does, and is answered. */
static bool handle_is_stray(struct conn *conn, const struct frame *frame) {
    if (frame->handle == 0) return false;
    if (frame->opcode == FRAME_GET || frame->opcode == FRAME_WRITE) return false;
    struct fst_error error;
    error.status = fst_error_set(&error, FST_BAD_FRAME, "%s handle: expected 0, found %u",
                                 frame_opcode_name(frame->opcode), frame->handle);
    request_fail(conn, frame, &error);
    return true;
}

void request_serve(struct shard *shard, struct conn *conn, const struct frame *frame) {
    const struct session *session = conn->session;
    metrics_add(shard->metrics, METRIC_REQUESTS, 1);
    if (session->roles == 0 && session->client_id != 0) {
        request_fail_text(conn, frame, FST_UNAUTHENTICATED, fst_status_text(FST_UNAUTHENTICATED));
        return;
    }
    if (session->client_id == 0 && frame->opcode != FRAME_HELLO) {
        request_fail_text(conn, frame, FST_UNAUTHENTICATED, "expected HELLO first");
        return;
    }
    if (handle_is_stray(conn, frame)) return;
    switch ((enum frame_opcode)frame->opcode) {
    case FRAME_HELLO:
        hello_serve(shard, conn, frame);
        return;
    case FRAME_PREPARE:
        prepare_serve(shard, conn, frame);
        return;
    case FRAME_GET:
        get_request_serve(shard, conn, frame, NULL);
        return;
    case FRAME_WRITE:
        if (!request_role_is_missing(conn, frame, ROLE_WRITE)) write_serve(shard, conn, frame);
        return;
    case FRAME_CONTROL:
        control_call_send(shard, conn, frame);
        return;
    case FRAME_PING:
        ping_serve(conn, frame);
        return;
    }
}
