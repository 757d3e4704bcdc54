#include "shard/requests.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"
#include "query/write_block.h"
#include "shard/control_call.h"
#include "shard/write_request.h"
#include "storage/recovery/identity.h"

enum {
    GET_HEADER_BYTES = 32, /* of the request payload before the keys */
    GET_REPLY_HEAD = FRAME_HEADER_BYTES + 8,
    GET_SERVE_EXPIRED = 1, /* options */
    GET_STATUSES = 2,
    CLOCK_WORK_MAX = 256, /* keys: some 50 us */
    HELLO_REPLY_BYTES_MAX = FRAME_HEADER_BYTES + 128 + 2 * PARTITIONS_MAX,
    PREPARE_REPLY_HEAD = FRAME_HEADER_BYTES + 4 + 8,
    PREPARE_NAMES_MAX = FEATURES_MAX + 1,
};

static void fail_text(struct conn *conn, const struct frame *frame, enum fst_status status,
                      const char *text) {
    struct frame_error fault = {.status = status, .text = text};
    if (status == FST_OVERLOADED) fault.retry_us = WRITE_RETRY_US;
    if (status == FST_BAD_FRAME || status == FST_UNAUTHENTICATED)
        conn_refuse(conn, frame, &fault);
    else
        conn_reply_error(conn, frame, &fault);
}

static void fail(struct conn *conn, const struct frame *frame, const struct fst_error *error) {
    fail_text(conn, frame, error->status, error->text);
}

/* ---- HELLO ---- */

static void hello_reply(struct shard *shard, struct conn *conn, const struct frame *frame,
                        uint32_t roles) {
    const struct engine *engine = shard->engine;
    uint8_t *room = conn_reply_room(conn, HELLO_REPLY_BYTES_MAX);
    if (!room) {
        fail_text(conn, frame, FST_OVERLOADED, "no room for a reply");
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
        fail_text(conn, frame, FST_BAD_FRAME, "HELLO: expected once per connection");
    } else if (!reader_is_done(&reader)) {
        fail_text(conn, frame, FST_BAD_FRAME, "HELLO: expected 18 bytes and a key, no more");
    } else if (magic != FRAME_HELLO_MAGIC) {
        fail_text(conn, frame, FST_BAD_FRAME, "HELLO magic: expected 0x31545346");
    } else if (client_id == 0) {
        fail_text(conn, frame, FST_BAD_FRAME, "HELLO client_id: expected a random number, found 0");
    } else if (version_min > FRAME_VERSION || version_max < FRAME_VERSION) {
        struct frame_error fault = {.status = FST_UNSUPPORTED,
                                    .text = "HELLO version: this server speaks version 1"};
        conn_refuse(conn, frame, &fault);
    } else {
        session_greet(session, client_id, key);
        session_grant(session, shard->definitions->access);
        if (session->roles == 0) {
            fail_text(conn, frame, FST_UNAUTHENTICATED, fst_status_text(FST_UNAUTHENTICATED));
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
        fail_text(conn, frame, FST_OVERLOADED, "no room for the layout; read replies first");
        return;
    }
    frame_encode_reply(room, bytes, frame->opcode, frame->request_id, status);
    store_u32(room + FRAME_HEADER_BYTES, number);
    store_u64(room + FRAME_HEADER_BYTES + 4, layout_id);
    memcpy(room + PREPARE_REPLY_HEAD, layout.data, layout.bytes);
    conn_reply_commit(conn, bytes);
}

static bool role_is_missing(struct conn *conn, const struct frame *frame, uint32_t role) {
    const struct session *session = conn->session;
    if (session->roles & (role | ROLE_ADMIN)) return false;
    fail_text(conn, frame, FST_FORBIDDEN,
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
        fail_text(conn, frame, FST_BAD_FRAME, "PREPARE: expected kind 0 to 2 and three zero bytes");
        return;
    }
    if (count > PREPARE_NAMES_MAX) {
        fail_text(conn, frame, FST_TOO_LARGE, "PREPARE count: expected at most 1000 features");
        return;
    }
    conn_charge(conn, count);
    struct bytes *names = arena_get(&shard->arena, (count + 1u) * sizeof *names);
    if (!names) {
        fail_text(conn, frame, FST_OVERLOADED, "no memory for this request now");
        return;
    }
    for (uint32_t i = 0; i < count; i++) names[i] = read_short(&reader);
    if (!reader_is_done(&reader)) {
        fail_text(conn, frame, FST_BAD_FRAME, "PREPARE names: expected as many as count says");
        return;
    }
    if (role_is_missing(conn, frame, kind == PLAN_WRITE ? ROLE_WRITE : ROLE_READ)) return;
    struct fst_error error = {.status = FST_OK, .text = ""};
    struct handle_names wanted = {.kind = (enum plan_kind)kind, .count = count, .names = names};
    uint32_t number;
    struct session *session = conn->session;
    error.status = session_prepare(session, shard->definitions->catalog, &wanted, &number, &error);
    if (error.status != FST_OK)
        fail(conn, frame, &error);
    else
        layout_reply(conn, frame, number, session_find(session, number), FST_OK);
}

/* The plan's handle if the client's picture of it is right; otherwise the request is answered. */
static struct handle *handle_check(struct conn *conn, const struct frame *frame, bool is_write,
                                   uint64_t layout_id) {
    struct handle *handle = session_find(conn->session, frame->handle);
    if (!handle || (handle->kind == PLAN_WRITE) != is_write) {
        fail_text(conn, frame, FST_UNKNOWN,
                  is_write ? "handle: expected one prepared for writing"
                           : "handle: expected one prepared for reading");
        return NULL;
    }
    if (!handle->read && !handle->write) {
        fail_text(conn, frame, FST_UNKNOWN, "what this handle was prepared for no longer exists");
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

/* ---- GET ---- */

struct get_fields {
    uint64_t layout_id;
    int64_t as_of_us;
    int64_t deadline_us;
    uint32_t keys_count;
    uint8_t shape;
    uint8_t options;
    struct bytes keys;
};

static uint32_t options_known(uint8_t shape) {
    bool is_matrix = reply_is_matrix((enum reply_shape)shape);
    return is_matrix ? GET_SERVE_EXPIRED | GET_STATUSES : GET_SERVE_EXPIRED;
}

static bool get_decode(const struct shard *shard, const struct frame *frame,
                       struct get_fields *fields, struct fst_error *error) {
    struct reader reader = reader_of(frame->payload, frame->payload_bytes);
    fields->layout_id = read_u64(&reader);
    fields->as_of_us = read_i64(&reader);
    fields->deadline_us = read_i64(&reader);
    fields->keys_count = read_u32(&reader);
    fields->shape = read_u8(&reader);
    fields->options = read_u8(&reader);
    uint16_t reserved = read_u16(&reader);
    fields->keys = (struct bytes){.data = reader.at, .bytes = reader_left(&reader)};
    enum fst_status status = FST_OK;
    if (reader.failed) {
        status = fst_error_set(error, FST_BAD_FRAME, "GET: expected 32 bytes of header, found %u",
                               frame->payload_bytes);
    } else if (fields->shape >= REPLY_SHAPES) {
        status = fst_error_set(error, FST_BAD_FRAME, "GET shape: expected 0 to %d, found %u",
                               REPLY_SHAPES - 1, fields->shape);
    } else if (fields->options & ~options_known(fields->shape)) {
        status = fst_error_set(error, FST_BAD_FRAME, "GET options: unknown bits in %#x",
                               fields->options);
    } else if (reserved != 0 || fields->deadline_us < 0) {
        status =
            fst_error_set(error, FST_BAD_FRAME, "GET reserved, deadline_us: expected 0 or more");
    } else if (fields->keys_count == 0) {
        status =
            fst_error_set(error, FST_BAD_FRAME, "GET keys_count: expected at least 1, found 0");
    } else if (fields->keys_count > shard->engine->limits.keys_max) {
        status =
            fst_error_set(error, FST_TOO_LARGE, "GET keys_count: expected at most %u, found %u",
                          shard->engine->limits.keys_max, fields->keys_count);
    } else if (fields->as_of_us != GET_NOW && fields->as_of_us < shard->now_us) {
        status = fst_error_set(error, FST_UNSUPPORTED,
                               "GET as_of_us: the online store answers for now, not for the past");
    }
    return status == FST_OK;
}

/* The clock as it stood at most CLOCK_WORK_MAX of work ago. A tick that does less reads no clock
 * for deadlines. */
static int64_t clock_us(struct shard *shard) {
    if (shard->conns.work - shard->clock_work >= CLOCK_WORK_MAX) {
        shard->clock_us = io_monotonic_us(shard->engine->io);
        shard->clock_work = shard->conns.work;
    }
    return shard->clock_us;
}

/* True if the client has given up by now; then it is answered. Asked before anything that costs. */
static bool get_is_late(struct shard *shard, struct conn *conn, const struct frame *frame,
                        int64_t deadline_us) {
    if (deadline_us == 0) return false;
    int64_t waited_us = clock_us(shard) - frame->arrival_us;
    if (waited_us < deadline_us) return false;
    struct fst_error error;
    error.status = fst_error_set(&error, FST_TIMEOUT,
                                 "GET deadline_us: expected to be served within %" PRId64
                                 " us, waited %" PRId64 " us since arrival",
                                 deadline_us, waited_us);
    metrics_add(shard->metrics, METRIC_GETS_LATE, 1);
    fail(conn, frame, &error);
    return true;
}

static void get_counts(struct shard *shard, const struct get_request *request) {
    metrics_add(shard->metrics, METRIC_GETS, 1);
    metrics_add(shard->metrics, METRIC_KEYS_READ, request->reply.keys_count);
}

/* A reply above the limit never has room; another one has when the replies before it are taken. */
static void reply_fail(struct conn *conn, const struct frame *frame, bool is_above, size_t limit) {
    struct fst_error error;
    if (is_above) {
        error.status = fst_error_set(&error, FST_TOO_LARGE,
                                     "GET: expected a reply of at most %zu bytes; ask for fewer "
                                     "keys",
                                     limit);
    } else {
        error.status =
            fst_error_set(&error, FST_OVERLOADED, "the reply has no room now; read replies first");
    }
    fail(conn, frame, &error);
}

static void get_head_write(uint8_t *room, size_t bytes, const struct frame *frame,
                           const struct reply *reply, size_t heap_bytes) {
    bool is_matrix = reply_is_matrix(reply->shape);
    frame_encode_reply(room, (uint32_t)bytes, FRAME_GET, frame->request_id, FST_OK);
    store_u32(room + FRAME_HEADER_BYTES, reply->keys_count);
    store_u32(room + FRAME_HEADER_BYTES + 4,
              is_matrix ? reply->plan->features_count : (uint32_t)heap_bytes);
}

/* The reply goes straight into the output; it is filled when the batch runs. */
static void get_serve_fixed(struct shard *shard, struct conn *conn, const struct frame *frame,
                            struct get_request *request) {
    size_t bytes = GET_REPLY_HEAD + reply_bytes(&request->reply);
    size_t limit = shard->engine->limits.bulk_bytes_max;
    uint8_t *room = bytes <= limit ? conn_reply_room(conn, bytes) : NULL;
    if (!room) {
        reply_fail(conn, frame, bytes > limit, limit);
        return;
    }
    get_head_write(room, bytes, frame, &request->reply, 0);
    request->reply.out = room + GET_REPLY_HEAD;
    conn_reply_commit(conn, bytes);
    get_batch_put(&shard->gets, request);
}

/* Replies with a heap are made aside, because their size is known only at the end. What it takes of
 * the arena is the caller's to give back. */
static void get_serve_heap(struct shard *shard, struct conn *conn, const struct frame *frame,
                           struct get_request *request) {
    struct reply *reply = &request->reply;
    size_t fixed_bytes = reply_bytes(reply);
    struct arena *arena = &shard->arena;
    size_t limit = shard->engine->limits.output_bytes_max;
    reply->out = fixed_bytes <= limit ? arena_get(arena, fixed_bytes) : NULL;
    size_t heap_max = arena->capacity_bytes - arena->used_bytes;
    if (heap_max > limit) heap_max = limit;
    uint8_t *heap = reply->out && heap_max > 64 ? arena_get(arena, heap_max - 64) : NULL;
    if (!heap) {
        reply_fail(conn, frame, fixed_bytes > limit, limit);
        return;
    }
    struct writer w = writer_of(heap, heap_max - 64);
    reply->heap = &w;
    get_batch_run(&shard->gets); /* Others' reads keep their own heaps. */
    get_batch_put(&shard->gets, request);
    get_batch_run(&shard->gets);
    size_t heap_bytes = writer_used(&w);
    size_t bytes = GET_REPLY_HEAD + fixed_bytes + heap_bytes;
    bool is_above = bytes > limit || (w.failed && heap_max == limit);
    uint8_t *room = w.failed || is_above ? NULL : conn_reply_room(conn, bytes);
    if (!room) {
        reply_fail(conn, frame, is_above, limit);
        return;
    }
    get_head_write(room, bytes, frame, reply, heap_bytes);
    memcpy(room + GET_REPLY_HEAD, reply->out, fixed_bytes);
    if (heap_bytes) memcpy(room + GET_REPLY_HEAD + fixed_bytes, heap, heap_bytes);
    conn_reply_commit(conn, bytes);
}

static void get_serve(struct shard *shard, struct conn *conn, const struct frame *frame) {
    struct fst_error error;
    struct get_fields fields;
    if (!get_decode(shard, frame, &fields, &error)) {
        fail(conn, frame, &error);
        return;
    }
    if (get_is_late(shard, conn, frame, fields.deadline_us)) return;
    struct handle *handle = handle_check(conn, frame, false, fields.layout_id);
    if (!handle) return;
    if (get_keys_check(handle->read, fields.keys, fields.keys_count) != FST_OK) {
        fail_text(conn, frame, FST_BAD_FRAME,
                  "GET keys: expected as many as keys_count says, of the layout's key columns");
        return;
    }
    enum reply_shape shape = (enum reply_shape)fields.shape;
    if (reply_shape_check(handle->read, shape, &error) != FST_OK) {
        fail(conn, frame, &error);
        return;
    }
    size_t mark_bytes = shard->arena.used_bytes;
    struct get_request *request = arena_get(&shard->arena, sizeof *request);
    if (!request) {
        fail_text(conn, frame, FST_OVERLOADED, "no memory for this request now");
        return;
    }
    *request = (struct get_request){
        .reply = {.plan = handle->read,
                  .shape = shape,
                  .has_statuses = fields.options & GET_STATUSES,
                  .keys_count = fields.keys_count},
        .as_of_us = fields.as_of_us,
        .serves_expired = fields.options & GET_SERVE_EXPIRED,
        .keys = fields.keys.data,
        .keys_bytes = fields.keys.bytes,
        .rows_found_total = &shard->rows_found,
    };
    get_counts(shard, request);
    conn_charge(conn, (uint64_t)fields.keys_count * handle->read->groups_count);
    if (handle->read->has_references) {
        get_serve_heap(shard, conn, frame, request);
        arena_reset_to(&shard->arena, mark_bytes); /* Its reads have run. */
    } else {
        get_serve_fixed(shard, conn, frame, request);
    }
}

void request_run_gets(struct shard *shard) {
    get_batch_run(&shard->gets);
    metrics_add(shard->metrics, METRIC_ROWS_FOUND, shard->rows_found);
    shard->rows_found = 0;
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
        fail(conn, frame, &error);
        return;
    }
    struct handle *handle = handle_check(conn, frame, true, block.layout_id);
    if (!handle) return;
    metrics_add(shard->metrics, METRIC_WRITES, 1);
    if (block.is_delete) metrics_add(shard->metrics, METRIC_DELETES, block.rows_count);
    struct write_source source = {
        .engine = shard->engine, .buffers = &shard->buffers, .arena = &shard->arena};
    if (!write_request_has_room(&source, handle->write->view, block.rows_count)) {
        fail_text(conn, frame, FST_OVERLOADED, "no memory for this write now");
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
    if (error.status != FST_OK) fail(conn, frame, &error);
    arena_reset_to(&shard->arena, mark_bytes);
}

/* ---- all ---- */

static void ping_serve(struct conn *conn, const struct frame *frame) {
    uint8_t *room = frame->payload_bytes == 0 ? conn_reply_room(conn, FRAME_HEADER_BYTES) : NULL;
    if (!room) {
        fail_text(conn, frame, frame->payload_bytes ? FST_BAD_FRAME : FST_OVERLOADED,
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
    fail(conn, frame, &error);
    return true;
}

void request_serve(struct shard *shard, struct conn *conn, const struct frame *frame) {
    const struct session *session = conn->session;
    metrics_add(shard->metrics, METRIC_REQUESTS, 1);
    if (session->roles == 0 && session->client_id != 0) {
        fail_text(conn, frame, FST_UNAUTHENTICATED, fst_status_text(FST_UNAUTHENTICATED));
        return;
    }
    if (session->client_id == 0 && frame->opcode != FRAME_HELLO) {
        fail_text(conn, frame, FST_UNAUTHENTICATED, "expected HELLO first");
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
        if (!role_is_missing(conn, frame, ROLE_READ)) get_serve(shard, conn, frame);
        return;
    case FRAME_WRITE:
        if (!role_is_missing(conn, frame, ROLE_WRITE)) write_serve(shard, conn, frame);
        return;
    case FRAME_CONTROL:
        control_call_send(shard, conn, frame);
        return;
    case FRAME_PING:
        ping_serve(conn, frame);
        return;
    }
}
