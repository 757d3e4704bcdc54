#include "shard/get_request.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/logger.h"
#include "shard/requests.h"
#include "shard/warm.h"

static const char overloaded_text[] = "too many rows are being fetched, or change; try again";

enum {
    GET_HEADER_BYTES = 32, /* of the request payload before the keys */
    GET_REPLY_HEAD = FRAME_HEADER_BYTES + 8,
    GET_SERVE_EXPIRED = 1, /* options */
    GET_STATUSES = 2,
    CLOCK_WORK_MAX = 256, /* keys: some 50 us */
    NAME_LOGGED_BYTES = 64,
};

/* A GET between its put and the run of its batch. */
struct get_ticket {
    struct get_request request;
    struct frame frame;
    uint64_t conn_id;
    int64_t deadline_us;
    uint8_t *room; /* of its reply, committed; NULL: none is */
    size_t bytes;
    struct warm_call *call; /* that brought rows in hand, or NULL; owned */
    bool is_withdrawn;      /* its reply was taken back: it is owed another one */
    struct get_ticket *next;
};

/* ---- fields ---- */

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
    request_fail(conn, frame, &error);
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
    request_fail(conn, frame, &error);
}

static void get_head_write(uint8_t *room, size_t bytes, const struct frame *frame,
                           const struct reply *reply, size_t heap_bytes) {
    bool is_matrix = reply_is_matrix(reply->shape);
    frame_encode_reply(room, (uint32_t)bytes, FRAME_GET, frame->request_id, FST_OK);
    store_u32(room + FRAME_HEADER_BYTES, reply->keys_count);
    store_u32(room + FRAME_HEADER_BYTES + 4,
              is_matrix ? reply->plan->features_count : (uint32_t)heap_bytes);
}

/* ---- rows that are not in memory ---- */

/* A row that LMDB should have and has not, or not as its view has it. */
static void fault_log(const struct get_ticket *ticket) {
    const struct warm_row *row = ticket->request.fault;
    if (!row || ticket->request.status != FST_CORRUPT) return;
    struct bytes name = warm_rows_name(ticket->request.in_hand, row);
    char hex[2 * NAME_LOGGED_BYTES + 1] = "";
    for (size_t i = 0; i < name.bytes && i < NAME_LOGGED_BYTES; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", name.data[i]);
    }
    log_error("warm.row_damaged", "partition=%u view=%u key=%s lsn=%" PRIu64 " found=%s",
              row->want.partition, row->want.view_id, hex, row->want.lsn,
              fst_status_name(row->status));
}

/* Sends the request away for the rows that it met and that are not in memory. */
static void call_send(struct shard *shard, struct conn *conn, struct get_ticket *ticket) {
    struct engine *engine = shard->engine;
    uint32_t round = ticket->call ? ticket->call->round + 1 : 1;
    struct warm_call *call = NULL;
    enum fst_status status = FST_OVERLOADED;
    if (round <= WARM_ROUNDS_MAX && shard->warm_open < WARM_CALLS_MAX) {
        status =
            warm_call_create(&call, &engine->warm_budget, &ticket->frame, &ticket->request.wanted);
    }
    if (status != FST_OK) {
        request_fail_text(conn, &ticket->frame, status, overloaded_text);
        return;
    }
    call->conn_id = conn->id;
    call->deadline_us = ticket->deadline_us;
    call->round = round;
    shard->warm_open += 1;
    shard->requests_open += 1;
    if (round == 1) metrics_add(shard->metrics, METRIC_WARM_GETS, 1);
    warm_put(engine->warm, call, shard->index);
}

/* Answers a request that has no reply, or sends it away. */
static void void_settle(struct shard *shard, struct conn *conn, struct get_ticket *ticket) {
    enum fst_status status = ticket->request.status;
    if (status == FST_OK) status = ticket->request.wanted_status;
    if (status == FST_OK) {
        call_send(shard, conn, ticket);
        return;
    }
    fault_log(ticket);
    const char *text = "a row that is not in memory could not be read; the server's log has more";
    if (status == FST_OVERLOADED) text = overloaded_text;
    if (status == FST_TOO_LARGE) text = "GET: too many rows that are not in memory; ask for fewer";
    if (status == FST_CORRUPT) text = "a row on disk is damaged; the server's log says which";
    if (status == FST_TIMEOUT) {
        text = "GET deadline_us: it passed while rows that are not in memory were fetched";
        metrics_add(shard->metrics, METRIC_GETS_LATE, 1);
    }
    request_fail_text(conn, &ticket->frame, status, text);
}

static bool ticket_is_void(const struct get_ticket *ticket) {
    return ticket->request.is_missing || ticket->request.status != FST_OK;
}

/* After the run: what the ticket holds is given back. */
static void ticket_end(struct get_ticket *ticket) {
    warm_rows_deinit(&ticket->request.wanted);
    warm_call_destroy(ticket->call);
}

static void ticket_withdraw(struct shard *shard, struct get_ticket *ticket) {
    if (!ticket_is_void(ticket)) return;
    struct conn *conn = conns_find(&shard->conns, ticket->conn_id);
    ticket->is_withdrawn =
        conn && conn_reply_withdraw(conn, &ticket->frame, ticket->room, ticket->bytes);
}

static void ticket_settle(struct shard *shard, struct get_ticket *ticket) {
    struct conn *conn = ticket->is_withdrawn ? conns_find(&shard->conns, ticket->conn_id) : NULL;
    if (conn) void_settle(shard, conn, ticket);
    ticket_end(ticket);
}

/* Replies are taken back from the newest, because those behind them move; then the oldest is sent
 * away, or refused, first. */
static void tickets_settle(struct shard *shard, struct get_ticket *newest) {
    struct get_ticket *oldest = NULL;
    while (newest) {
        struct get_ticket *ticket = newest;
        newest = ticket->next;
        ticket_withdraw(shard, ticket);
        ticket->next = oldest;
        oldest = ticket;
    }
    for (; oldest; oldest = oldest->next) ticket_settle(shard, oldest);
}

void get_request_run(struct shard *shard) {
    get_batch_run(&shard->gets);
    metrics_add(shard->metrics, METRIC_ROWS_FOUND, shard->rows_found);
    shard->rows_found = 0;
    struct get_ticket *newest = shard->tickets;
    shard->tickets = NULL;
    if (!shard->gets.has_void && !shard->has_warm_tickets) return;
    shard->gets.has_void = false;
    shard->has_warm_tickets = false;
    tickets_settle(shard, newest);
}

/* ---- serving ---- */

/* The reply goes straight into the output; it is filled when the batch runs. */
static void get_serve_fixed(struct shard *shard, struct conn *conn, struct get_ticket *ticket) {
    struct get_request *request = &ticket->request;
    size_t bytes = GET_REPLY_HEAD + reply_bytes(&request->reply);
    size_t limit = shard->engine->limits.bulk_bytes_max;
    uint8_t *room = bytes <= limit ? conn_reply_room(conn, bytes) : NULL;
    if (!room) {
        reply_fail(conn, &ticket->frame, bytes > limit, limit);
        ticket_end(ticket);
        return;
    }
    get_head_write(room, bytes, &ticket->frame, &request->reply, 0);
    request->reply.out = room + GET_REPLY_HEAD;
    conn_reply_commit(conn, bytes);
    ticket->room = room;
    ticket->bytes = bytes;
    ticket->next = shard->tickets;
    shard->tickets = ticket;
    if (ticket->call) shard->has_warm_tickets = true;
    get_batch_put(&shard->gets, request);
}

/* What was found, unless rows are missing. */
static void heap_reply(struct shard *shard, struct conn *conn, struct get_ticket *ticket,
                       bool is_heap_largest) {
    const struct reply *reply = &ticket->request.reply;
    const struct writer *w = reply->heap;
    size_t limit = shard->engine->limits.output_bytes_max;
    size_t fixed_bytes = reply_bytes(reply);
    size_t heap_bytes = writer_used(w);
    size_t bytes = GET_REPLY_HEAD + fixed_bytes + heap_bytes;
    bool is_above = bytes > limit || (w->failed && is_heap_largest);
    uint8_t *room = w->failed || is_above ? NULL : conn_reply_room(conn, bytes);
    if (!room) {
        reply_fail(conn, &ticket->frame, is_above, limit);
        return;
    }
    get_head_write(room, bytes, &ticket->frame, reply, heap_bytes);
    memcpy(room + GET_REPLY_HEAD, reply->out, fixed_bytes);
    if (heap_bytes) memcpy(room + GET_REPLY_HEAD + fixed_bytes, w->begin, heap_bytes);
    conn_reply_commit(conn, bytes);
}

/* Replies with a heap are made aside, because their size is known only at the end. What it takes of
 * the arena is the caller's to give back. */
static void get_serve_heap(struct shard *shard, struct conn *conn, struct get_ticket *ticket) {
    struct reply *reply = &ticket->request.reply;
    size_t fixed_bytes = reply_bytes(reply);
    struct arena *arena = &shard->arena;
    size_t limit = shard->engine->limits.output_bytes_max;
    reply->out = fixed_bytes <= limit ? arena_get(arena, fixed_bytes) : NULL;
    size_t heap_max = arena->capacity_bytes - arena->used_bytes;
    if (heap_max > limit) heap_max = limit;
    uint8_t *heap = reply->out && heap_max > 64 ? arena_get(arena, heap_max - 64) : NULL;
    if (!heap) {
        reply_fail(conn, &ticket->frame, fixed_bytes > limit, limit);
        return;
    }
    struct writer w = writer_of(heap, heap_max - 64);
    reply->heap = &w;
    get_batch_run(&shard->gets); /* Others' reads keep their own heaps. */
    get_batch_put(&shard->gets, &ticket->request);
    get_batch_run(&shard->gets);
    if (ticket_is_void(ticket))
        void_settle(shard, conn, ticket);
    else
        heap_reply(shard, conn, ticket, heap_max == limit);
}

/* The handle to serve it by; otherwise the request is answered. */
static struct handle *get_check(struct shard *shard, struct conn *conn, const struct frame *frame,
                                struct get_fields *fields) {
    struct fst_error error;
    if (request_role_is_missing(conn, frame, ROLE_READ)) return NULL;
    if (!get_decode(shard, frame, fields, &error)) {
        request_fail(conn, frame, &error);
        return NULL;
    }
    if (get_is_late(shard, conn, frame, fields->deadline_us)) return NULL;
    struct handle *handle = request_find_handle(conn, frame, false, fields->layout_id);
    if (!handle) return NULL;
    if (get_keys_check(handle->read, fields->keys, fields->keys_count) != FST_OK) {
        request_fail_text(conn, frame, FST_BAD_FRAME,
                          "GET keys: expected as many as keys_count says, of the layout's key "
                          "columns");
        return NULL;
    }
    enum reply_shape shape = (enum reply_shape)fields->shape;
    if (reply_shape_check(handle->read, shape, &error) != FST_OK) {
        request_fail(conn, frame, &error);
        return NULL;
    }
    return handle;
}

void get_request_serve(struct shard *shard, struct conn *conn, const struct frame *frame,
                       struct warm_call *call) {
    struct get_fields fields;
    const struct handle *handle = get_check(shard, conn, frame, &fields);
    size_t mark_bytes = shard->arena.used_bytes;
    struct get_ticket *ticket = handle ? arena_get(&shard->arena, sizeof *ticket) : NULL;
    if (handle && !ticket) {
        request_fail_text(conn, frame, FST_OVERLOADED, "no memory for this request now");
    }
    if (!ticket) {
        warm_call_destroy(call);
        return;
    }
    *ticket = (struct get_ticket){
        .request = {.reply = {.plan = handle->read,
                              .shape = (enum reply_shape)fields.shape,
                              .has_statuses = fields.options & GET_STATUSES,
                              .keys_count = fields.keys_count},
                    .as_of_us = fields.as_of_us,
                    .serves_expired = fields.options & GET_SERVE_EXPIRED,
                    .keys = fields.keys.data,
                    .keys_bytes = fields.keys.bytes,
                    .rows_found_total = &shard->rows_found,
                    .in_hand = call ? &call->rows : NULL,
                    .wanted = {.budget = &shard->engine->warm_budget}},
        .frame = *frame,
        .conn_id = conn->id,
        .deadline_us = fields.deadline_us,
        .call = call,
    };
    if (!call) get_counts(shard, &ticket->request);
    conn_charge(conn, (uint64_t)fields.keys_count * handle->read->groups_count);
    if (!handle->read->has_references) {
        get_serve_fixed(shard, conn, ticket);
        return;
    }
    get_serve_heap(shard, conn, ticket);
    ticket_end(ticket);
    arena_reset_to(&shard->arena, mark_bytes); /* Its reads have run. */
}

void get_request_warmed(struct shard *shard, struct warm_call *call) {
    shard->warm_open -= 1;
    shard->requests_open -= 1;
    struct conn *conn = conns_find(&shard->conns, call->conn_id);
    if (conn)
        get_request_serve(shard, conn, &call->frame, call);
    else
        warm_call_destroy(call);
}
