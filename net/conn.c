#include "net/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"

enum {
    INDEX_BITS = 24,
    TAG_SHIFT = 56,
    SPARE_CHUNKS = 1024, /* beyond those that every connection may have at once */
};
static const char in_flight_text[] = "requests in flight: the connection's limit is reached";
static_assert(CONNS_MAX + CONN_SPARES <= 1 << INDEX_BITS, "an index fits into a token");

/* ---- small helpers ---- */

static bool is_blocked(const struct conn *conn) {
    return conn->is_paused || conn->is_greeting || conn->is_waiting;
}

static bool is_answering(const struct conn *conn) {
    return conn->state == CONN_OPEN || conn->state == CONN_DRAINING;
}

static void dirty_put(struct conn *conn) {
    if (conn->is_dirty) return;
    conn->is_dirty = true;
    conn->dirty_next = conn->conns->dirty;
    conn->conns->dirty = conn;
}

static void now_put(struct conns *conns, int64_t now_us) {
    if (now_us > conns->now_us) conns->now_us = now_us;
}

static struct conn *conn_of_input(struct deadline *deadline) {
    return (struct conn *)(void *)((uint8_t *)deadline - offsetof(struct conn, input_deadline));
}

static struct conn *conn_of_output(struct deadline *deadline) {
    return (struct conn *)(void *)((uint8_t *)deadline - offsetof(struct conn, output_deadline));
}

/* ---- close ---- */

void conn_close(struct conn *conn) {
    if (!is_answering(conn)) return;
    conn->state = CONN_CLOSING;
    conn->in_flight = 0;
    conn->room_bytes = 0;
    deadline_remove(&conn->input_deadline);
    deadline_remove(&conn->output_deadline);
    input_drop(&conn->input);
    if (conn->sending_bytes == 0) output_drop(&conn->output);
    if (conn->is_receiving || conn->sending_bytes > 0) (void)shutdown(conn->socket, SHUT_RDWR);
    dirty_put(conn);
}

static void drain_begin(struct conn *conn) {
    if (conn->state != CONN_OPEN) return;
    conn->state = CONN_DRAINING;
    input_drop(&conn->input);
    deadline_remove(&conn->input_deadline);
    deadline_put(&conn->conns->drains, &conn->output_deadline, conn->conns->now_us);
    dirty_put(conn);
}

/* ---- replies ---- */

uint8_t *conn_reply_room(struct conn *conn, size_t bytes) {
    conn->room_bytes = 0;
    if (!is_answering(conn)) return NULL;
    uint64_t limit = conn->conns->options.output_bytes_max;
    if (bytes <= CONN_SMALL_REPLY_BYTES) limit += CONN_SMALL_REPLIES_BYTES;
    if (conn->output.bytes > 0 && conn->output.bytes + bytes > limit) return NULL;
    uint8_t *room = output_room(&conn->output, bytes);
    if (room) conn->room_bytes = bytes;
    return room;
}

void conn_reply_commit(struct conn *conn, size_t bytes) {
    FST_ASSERT(bytes >= FRAME_HEADER_BYTES);
    FST_ASSERT(bytes <= conn->room_bytes);
    FST_ASSERT(conn->in_flight > 0);
    output_commit(&conn->output, bytes);
    conn->room_bytes = 0;
    conn->in_flight -= 1;
    if (conn->in_flight == 0) conn->is_greeting = false;
    if (conn->output.bytes >= conn->conns->pause_bytes) conn->is_paused = true;
    dirty_put(conn);
}

void conn_reply_error(struct conn *conn, const struct frame *request,
                      const struct frame_error *fault) {
    if (!is_answering(conn)) return;
    conn->conns->counts.overloaded += fault->status == FST_OVERLOADED && !conn->is_spare;
    uint8_t *room = conn_reply_room(conn, FRAME_ERROR_BYTES_MAX);
    if (room == NULL) {
        conn_close(conn);
        return;
    }
    size_t bytes = frame_encode_error(room, FRAME_ERROR_BYTES_MAX, request->opcode,
                                      request->request_id, fault);
    conn_reply_commit(conn, bytes);
}

void conn_refuse(struct conn *conn, const struct frame *request, const struct frame_error *fault) {
    bool is_bad = fault->status == FST_BAD_FRAME || fault->status == FST_TOO_LARGE;
    conn->conns->counts.bad_frames += is_bad;
    conn_reply_error(conn, request, fault);
    drain_begin(conn);
}

/* Answers a request that was not handed out. */
static void overloaded_reply(struct conn *conn, const struct frame *request, const char *text) {
    conn->in_flight += 1;
    conn_reply_error(conn, request,
                     &(struct frame_error){.status = FST_OVERLOADED,
                                           .retry_us = conn->conns->options.retry_us,
                                           .text = text});
}

/* ---- turns ---- */

static void turn_append(struct conn_turns *turns, struct conn *conn) {
    conn->turn_next = NULL;
    if (turns->last)
        turns->last->turn_next = conn;
    else
        turns->first = conn;
    turns->last = conn;
}

static struct conn *turn_take(struct conn_turns *turns) {
    struct conn *conn = turns->first;
    if (conn == NULL) return NULL;
    turns->first = conn->turn_next;
    if (turns->first == NULL) turns->last = NULL;
    conn->turn_next = NULL;
    return conn;
}

void conn_charge(struct conn *conn, uint64_t work) {
    struct conns *conns = conn->conns;
    uint64_t done = conn->turn_tick == conns->tick ? conn->turn_work : 0;
    conn->turn_tick = conns->tick;
    conn->turn_work = done + work < UINT32_MAX ? (uint32_t)(done + work) : UINT32_MAX;
    conns->work += work;
}

static bool turn_is_over(const struct conn *conn) {
    const struct conns *conns = conn->conns;
    return conn->turn_tick == conns->tick && conn->turn_work >= conns->options.turn_work &&
           input_has_bytes(&conn->input);
}

/* False if there is no memory to keep what must wait: then it is better served. */
static bool turn_wait(struct conn *conn) {
    if (input_keep(&conn->input) != FST_OK) return false;
    conn->is_waiting = true;
    turn_append(&conn->conns->turns_next, conn);
    return true;
}

struct conn *conns_next_turn(struct conns *conns) {
    struct conn *conn;
    while ((conn = turn_take(&conns->turns)) != NULL) {
        conn->is_waiting = false;
        dirty_put(conn); /* It may be closed, or receive again. */
        if (conn->state == CONN_OPEN && !is_blocked(conn)) return conn;
    }
    return NULL;
}

/* Without output that waits nothing would come up for what was kept: it gets a turn. */
static void pause_end(struct conn *conn) {
    conn->is_paused = false;
    if (conn->state != CONN_OPEN || conn->is_waiting || !input_has_bytes(&conn->input)) return;
    conn->is_waiting = true;
    turn_append(&conn->conns->turns_next, conn);
}

bool conn_reply_withdraw(struct conn *conn, const struct frame *request, const uint8_t *room,
                         size_t bytes) {
    FST_ASSERT(is_answering(conn) && conn->is_welcome);
    output_withdraw(&conn->output, room, bytes);
    conn->room_bytes = 0;
    bool is_watched = conn->output_deadline.list == &conn->conns->stalls;
    if (is_watched && conn->output.bytes == 0) deadline_remove(&conn->output_deadline);
    if (conn->is_paused && conn->output.bytes <= conn->conns->pause_bytes / 2) pause_end(conn);
    if (conn->in_flight >= conn->conns->options.in_flight_max) {
        overloaded_reply(conn, request, in_flight_text);
        return false;
    }
    conn->in_flight += 1;
    return true;
}

/* ---- input ---- */

static const struct frame_rules *rules_of(const struct conn *conn) {
    return conn->is_welcome ? &conn->conns->rules : &conn->conns->greeting_rules;
}

static void fault_text(const struct conn *conn, const struct input_fault *fault,
                       const struct frame *frame, char text[FRAME_ERROR_TEXT_BYTES_MAX]) {
    const struct frame_rules *rules = rules_of(conn);
    size_t room = FRAME_ERROR_TEXT_BYTES_MAX;
    if (fault->status == FST_OVERLOADED) {
        snprintf(text, room, "%s: no memory to receive it", fault->field);
    } else if (fault->status == FST_TOO_LARGE) {
        bool is_bulk = frame_opcode_is_bulk(frame->opcode);
        snprintf(text, room, "%s: expected at most %u bytes%s, found %u", fault->field,
                 is_bulk ? rules->bulk_bytes_max : rules->frame_bytes_max,
                 conn->is_welcome ? "" : " before HELLO", frame->bytes);
    } else if (strcmp(fault->field, "length") == 0) {
        snprintf(text, room, "%s: expected at least %d", fault->field, FRAME_HEADER_BYTES);
    } else if (strcmp(fault->field, "opcode") == 0) {
        snprintf(text, room, "%s: expected a known operation, found %u", fault->field,
                 frame->opcode);
    } else {
        snprintf(text, room, "%s: expected 0 in every unused bit", fault->field);
    }
}

static void bad_frame_refuse(struct conn *conn, const struct input_fault *fault,
                             const struct frame *frame) {
    char text[FRAME_ERROR_TEXT_BYTES_MAX];
    fault_text(conn, fault, frame, text);
    conn->in_flight += 1;
    conn_refuse(conn, frame, &(struct frame_error){.status = fault->status, .text = text});
}

/* True if the frame may be handed out. */
static bool frame_admit(struct conn *conn, const struct frame *frame) {
    if (conn->is_welcome) {
        deadline_remove(&conn->input_deadline);
        if (conn->in_flight >= conn->conns->options.in_flight_max) {
            overloaded_reply(conn, frame, in_flight_text);
            return false;
        }
    }
    conn->is_greeting = !conn->is_welcome;
    conn->in_flight += 1;
    conn->conns->counts.frames += 1;
    return true;
}

/* A frame that has begun must end in time; not while it is we who do not read. */
static void partial_watch(struct conn *conn) {
    if (!conn->is_welcome) return;
    if (!input_is_partial(&conn->input) || is_blocked(conn)) {
        deadline_remove(&conn->input_deadline);
    } else if (conn->input_deadline.list == NULL) {
        deadline_put(&conn->conns->partials, &conn->input_deadline, conn->conns->now_us);
    }
}

static void input_hold(struct conn *conn) {
    if (conn->state != CONN_OPEN || input_keep(&conn->input) == FST_OK) return;
    bad_frame_refuse(conn, &(struct input_fault){.status = FST_OVERLOADED, .field = "frame"},
                     &(struct frame){.bytes = 0});
}

bool conns_is_sent(const struct conns *conns) {
    for (uint32_t i = 0; i < conns->slots_count; i++) {
        const struct conn *conn = &conns->slots[i];
        if (conn->state != CONN_FREE && conn->output.bytes > 0) return false;
    }
    return true;
}

bool conn_next_frame(struct conn *conn, struct frame *frame_out) {
    while (conn->state == CONN_OPEN && !is_blocked(conn)) {
        struct input_fault fault = {.status = FST_OK};
        if (turn_is_over(conn) && turn_wait(conn)) break;
        switch (input_next(&conn->input, rules_of(conn), frame_out, &fault)) {
        case INPUT_NONE:
            partial_watch(conn);
            return false;
        case INPUT_FRAME:
            conn_charge(conn, 1);
            if (frame_admit(conn, frame_out)) return true;
            break;
        case INPUT_REFUSED:
            conn_charge(conn, 1);
            overloaded_reply(conn, frame_out, "frame: no memory to receive it");
            break;
        case INPUT_BAD:
            bad_frame_refuse(conn, &fault, frame_out);
            break;
        }
    }
    input_hold(conn);
    dirty_put(conn);
    return false;
}

void conn_welcome(struct conn *conn) {
    if (conn->is_welcome || conn->state != CONN_OPEN) return;
    conn->is_welcome = true;
    conn->is_greeting = false;
    deadline_remove(&conn->input_deadline);
    dirty_put(conn);
}

/* ---- completions ---- */

static void received_take(struct conn *conn, const struct io_ring_completion *completion) {
    if (!completion->is_armed) {
        conn->is_receiving = false;
        conn->is_canceling = false;
        dirty_put(conn);
    }
    if (completion->result > 0) {
        conn->conns->counts.received_bytes += (uint64_t)completion->result;
        if (conn->state != CONN_OPEN) return;
        if (input_append(&conn->input, completion->data, (uint32_t)completion->result,
                         conn->conns->now_us) != FST_OK) {
            bad_frame_refuse(conn,
                             &(struct input_fault){.status = FST_OVERLOADED, .field = "frame"},
                             &(struct frame){.bytes = 0});
        } else if (is_blocked(conn)) {
            input_hold(conn);
            dirty_put(conn); /* Its receive may have to be ended. */
        }
    } else if (completion->result == 0) {
        conn->is_ended = true;
    } else if (completion->result != -ECANCELED) {
        conn_close(conn);
    }
}

/* A small reply that stands alone costs nobody anything, however long it is not taken. */
static bool is_stall_watched(const struct conn *conn) {
    return conn->output.bytes > conn->sending_bytes || conn->output.bytes > CONN_LONE_BYTES;
}

static void stall_watch(struct conn *conn, bool has_progress) {
    struct deadlines *stalls = &conn->conns->stalls;
    bool is_watched = conn->output_deadline.list == stalls;
    if (conn->state != CONN_OPEN) return;
    if (is_watched && conn->output.bytes == 0) {
        deadline_remove(&conn->output_deadline);
    } else if (is_watched == has_progress && is_stall_watched(conn)) {
        deadline_put(stalls, &conn->output_deadline, conn->conns->now_us);
    }
}

static void sent_take(struct conn *conn, const struct io_ring_completion *completion) {
    conn->sending_bytes = 0;
    dirty_put(conn);
    if (conn->state == CONN_CLOSING) return;
    if (completion->result <= 0) {
        conn_close(conn);
        return;
    }
    conn->conns->counts.sent_bytes += (uint64_t)completion->result;
    output_sent(&conn->output, (size_t)completion->result);
    stall_watch(conn, true);
    if (conn->output.bytes <= conn->conns->pause_bytes / 2) conn->is_paused = false;
}

bool conns_is_token(uint64_t token) {
    return token >> TAG_SHIFT == CONN_TOKEN_TAG;
}

static struct conn *slot_of(const struct conns *conns, uint64_t id) {
    uint64_t index = id & ((UINT64_C(1) << INDEX_BITS) - 1);
    if (!conns_is_token(id) || index >= conns->slots_count) return NULL;
    struct conn *conn = &conns->slots[index];
    return conn->id == id && conn->state != CONN_FREE ? conn : NULL;
}

struct conn *conns_complete(struct conns *conns, const struct io_ring_completion *completion,
                            int64_t now_us) {
    now_put(conns, now_us);
    struct conn *conn = slot_of(conns, completion->token);
    FST_ASSERT(conn != NULL); /* A slot is not free while something of it is under way. */
    if (completion->event == IO_RING_RECEIVED) {
        received_take(conn, completion);
    } else {
        FST_ASSERT(completion->event == IO_RING_SENT);
        sent_take(conn, completion);
    }
    bool is_readable = conn->state == CONN_OPEN && !is_blocked(conn);
    return is_readable && input_has_bytes(&conn->input) ? conn : NULL;
}

struct conn *conns_find(struct conns *conns, uint64_t id) {
    struct conn *conn = slot_of(conns, id);
    return conn && is_answering(conn) ? conn : NULL;
}

/* ---- open, flush, expire ---- */

static struct conn *slot_get(struct conns *conns, int socket) {
    if (conns->free_count == 0) return NULL;
    conns->free_count -= 1;
    uint32_t index = conns->free_indexes[conns->free_count];
    struct conn *conn = &conns->slots[index];
    uint64_t generation = (conn->id >> INDEX_BITS) + 1;
    *conn = (struct conn){
        .id = CONN_TOKEN_TAG << TAG_SHIFT | (generation & UINT32_MAX) << INDEX_BITS | index,
        .conns = conns,
        .socket = socket,
        .index = index,
        .state = CONN_OPEN,
    };
    input_init(&conn->input, &conns->chunks);
    output_init(&conn->output, &conns->chunks);
    conns->open_count += 1;
    return conn;
}

/* Counts one more; false if there are too many. */
static bool total_take(struct conns *conns) {
    struct conns_total *total = conns->options.total;
    if (total == NULL) return true;
    if (atomic_fetch_add_explicit(&total->open_count, 1, memory_order_relaxed) < total->max) {
        return true;
    }
    atomic_fetch_sub_explicit(&total->open_count, 1, memory_order_relaxed);
    return false;
}

static void total_give(struct conns *conns) {
    struct conns_total *total = conns->options.total;
    if (total) atomic_fetch_sub_explicit(&total->open_count, 1, memory_order_relaxed);
}

static void slot_put(struct conn *conn) {
    struct conns *conns = conn->conns;
    if (conns->options.closed) conns->options.closed(conns->options.context, conn);
    output_drop(&conn->output);
    close(conn->socket);
    conn->state = CONN_FREE;
    conn->socket = -1;
    conns->open_count -= 1;
    if (conn->is_spare)
        conns->spare_count -= 1;
    else
        total_give(conns);
    conns->free_indexes[conns->free_count] = conn->index;
    conns->free_count += 1;
    conns->counts.closed += 1;
}

struct conn *conns_open(struct conns *conns, int socket, int64_t now_us) {
    now_put(conns, now_us);
    bool is_full = conns->open_count - conns->spare_count >= conns->options.connections_max;
    bool is_spare = is_full || !total_take(conns);
    conns->counts.refused += is_spare;
    struct conn *conn = slot_get(conns, socket);
    if (conn == NULL) {
        if (!is_spare) total_give(conns);
        close(socket);
        return NULL;
    }
    conns->counts.opened += 1;
    dirty_put(conn);
    if (!is_spare) {
        deadline_put(&conns->handshakes, &conn->input_deadline, conns->now_us);
        return conn;
    }
    conn->is_spare = true;
    conns->spare_count += 1;
    conn->in_flight = 1;
    conn_refuse(conn, &(struct frame){.opcode = FRAME_HELLO},
                &(struct frame_error){.status = FST_OVERLOADED,
                                      .retry_us = conns->options.retry_us,
                                      .text = "connections: the server's limit is reached"});
    return NULL;
}

/* What follows once nothing is left to answer. */
static void conn_settle(struct conn *conn) {
    if (conn->in_flight > 0 || conn->output.bytes > 0) return;
    bool has_input = conn->state == CONN_OPEN && input_has_bytes(&conn->input);
    if (conn->is_ended && !has_input) {
        conn_close(conn);
    } else if (conn->state == CONN_DRAINING && !conn->is_shut) {
        conn->is_shut = true;
        (void)shutdown(conn->socket, SHUT_WR);
    }
}

/* While frames wait for a short time only, it is cheaper to receive on than to end the receive. */
static bool is_full(const struct conn *conn) {
    return is_blocked(conn) && input_backlog_bytes(&conn->input) >= CONN_BACKLOG_BYTES;
}

/* Arms or ends the receive. False if the ring has no room now. */
static bool receive_update(struct conn *conn) {
    struct io_ring *ring = conn->conns->ring;
    bool is_wanted = !conn->is_ended && (conn->state == CONN_DRAINING || !is_full(conn));
    int error = 0;
    if (is_wanted && !conn->is_receiving) {
        error = ring->ops->receive(ring, conn->socket, conn->id);
        conn->is_receiving = error == 0;
    } else if (!is_wanted && conn->is_receiving && !conn->is_canceling) {
        error = ring->ops->cancel(ring, conn->socket, conn->id);
        conn->is_canceling = error == 0;
        if (error == -ENOENT) error = 0; /* Its end is on the way. */
    }
    partial_watch(conn);
    if (error < 0 && error != -EAGAIN) conn_close(conn);
    return error != -EAGAIN;
}

/* Starts the next send. False if the ring has no room now. */
static bool send_start(struct conn *conn) {
    struct io_ring *ring = conn->conns->ring;
    if (conn->sending_bytes > 0) {
        stall_watch(conn, false);
        return true;
    }
    struct bytes piece = output_next(&conn->output);
    if (piece.bytes == 0) return true;
    if (piece.bytes > CONN_SEND_BYTES_MAX) piece.bytes = CONN_SEND_BYTES_MAX;
    int error = ring->ops->send(ring, conn->socket, piece.data, piece.bytes, conn->id);
    if (error == 0) conn->sending_bytes = piece.bytes;
    if (error == 0 && conn->output.bytes > CONN_LONE_BYTES) stall_watch(conn, false);
    if (error < 0 && error != -EAGAIN) conn_close(conn);
    return error != -EAGAIN;
}

/* False if it must be looked at again after the next wait. */
static bool conn_flush(struct conn *conn) {
    bool is_done = true;
    conn_settle(conn);
    if (is_answering(conn)) is_done = receive_update(conn);
    if (is_answering(conn)) is_done = send_start(conn) && is_done;
    bool is_busy = conn->is_receiving || conn->sending_bytes > 0 || conn->is_waiting;
    if (conn->state == CONN_CLOSING && !is_busy) {
        slot_put(conn);
        return true;
    }
    return is_done;
}

void conns_flush(struct conns *conns) {
    struct conn *conn = conns->dirty;
    conns->dirty = NULL;
    while (conn != NULL) {
        struct conn *next = conn->dirty_next;
        bool is_done = conn_flush(conn); /* Still marked dirty, so that it lists nothing. */
        conn->is_dirty = false;
        if (!is_done) dirty_put(conn);
        conn = next;
    }
    chunks_put_retired(&conns->chunks);
    while ((conn = turn_take(&conns->turns_next)) != NULL) turn_append(&conns->turns, conn);
    conns->tick += 1;
}

static void input_expire(struct conn *conn, const char *text) {
    conn->conns->counts.expired += 1;
    conn->in_flight += 1;
    conn_refuse(conn, &(struct frame){.opcode = conn->is_welcome ? 0 : FRAME_HELLO},
                &(struct frame_error){.status = FST_TIMEOUT, .text = text});
}

void conns_expire(struct conns *conns, int64_t now_us) {
    now_put(conns, now_us);
    struct deadline *due = NULL;
    while ((due = deadlines_due(&conns->handshakes, conns->now_us)) != NULL) {
        input_expire(conn_of_input(due), "HELLO: did not arrive in time");
    }
    while ((due = deadlines_due(&conns->partials, conns->now_us)) != NULL) {
        input_expire(conn_of_input(due), "frame: its rest did not arrive in time");
    }
    struct deadlines *outputs[] = {&conns->stalls, &conns->drains};
    for (int i = 0; i < 2; i++) {
        while ((due = deadlines_due(outputs[i], conns->now_us)) != NULL) {
            conns->counts.expired += 1;
            conn_close(conn_of_output(due));
        }
    }
}

int64_t conns_deadline_us(const struct conns *conns) {
    const struct deadlines *lists[] = {&conns->handshakes, &conns->partials, &conns->stalls,
                                       &conns->drains};
    int64_t earliest_us = conns->turns.first ? conns->now_us : INT64_MAX;
    for (int i = 0; i < 4; i++) {
        const struct deadline *first = lists[i]->first;
        if (first && first->at_us < earliest_us) earliest_us = first->at_us;
    }
    return earliest_us;
}

void conns_drain(struct conns *conns) {
    for (uint32_t i = 0; i < conns->slots_count; i++) drain_begin(&conns->slots[i]);
}

/* ---- init and deinit ---- */

static void chunk_counts(const struct conns_options *options, uint32_t counts[CHUNK_SIZES]) {
    uint32_t slots = options->connections_max + CONN_SPARES;
    counts[CHUNK_16K] = 2 * slots + SPARE_CHUNKS; /* a partial frame, and one being handed out */
    counts[CHUNK_64K] = 2 * slots + SPARE_CHUNKS; /* a reply being sent, and one being written */
    counts[CHUNK_1M] = options->chunks_1m_max;
    counts[CHUNK_16M] = options->chunks_16m_max;
}

size_t conns_memory_bytes(const struct conns_options *options) {
    uint32_t counts[CHUNK_SIZES];
    chunk_counts(options, counts);
    size_t slot_bytes = sizeof(struct conn) + sizeof(uint32_t);
    return chunks_memory_bytes(counts) + (options->connections_max + CONN_SPARES) * slot_bytes;
}

static bool options_are_valid(const struct conns_options *options) {
    uint32_t bulk_max = FRAME_BULK_BYTES_MAX;
    return options->connections_max >= 1 && options->connections_max <= CONNS_MAX &&
           options->in_flight_max >= 1 && options->turn_work >= 1 &&
           options->output_bytes_max >= FRAME_ERROR_BYTES_MAX &&
           options->frame_bytes_max >= FRAME_HEADER_BYTES &&
           options->frame_bytes_max <= options->bulk_bytes_max &&
           options->bulk_bytes_max <= bulk_max && options->chunks_1m_max >= 1 &&
           options->chunks_16m_max >= 1 && options->handshake_us > 0 && options->partial_us > 0 &&
           options->stall_us > 0 && options->drain_us > 0;
}

static uint32_t pause_bytes_of(const struct conns_options *options) {
    uint32_t half = options->output_bytes_max / 2;
    return half < CONN_PAUSE_BYTES ? half : CONN_PAUSE_BYTES;
}

enum fst_status conns_init(struct conns *conns, const struct conns_options *options,
                           struct io_ring *ring) {
    if (!options_are_valid(options)) return FST_INVALID;
    uint32_t slots_count = options->connections_max + CONN_SPARES;
    *conns = (struct conns){
        .options = *options,
        .ring = ring,
        .slots_count = slots_count,
        .pause_bytes = pause_bytes_of(options),
        .handshakes = {.duration_us = options->handshake_us},
        .partials = {.duration_us = options->partial_us},
        .stalls = {.duration_us = options->stall_us},
        .drains = {.duration_us = options->drain_us},
        .greeting_rules = {.frame_bytes_max = FRAME_HELLO_BYTES_MAX,
                           .bulk_bytes_max = FRAME_HELLO_BYTES_MAX},
        .rules = {.frame_bytes_max = options->frame_bytes_max,
                  .bulk_bytes_max = options->bulk_bytes_max},
    };
    uint32_t counts[CHUNK_SIZES];
    chunk_counts(options, counts);
    enum fst_status status = chunks_init(&conns->chunks, counts);
    if (status != FST_OK) return status;
    conns->slots = calloc(slots_count, sizeof *conns->slots);
    conns->free_indexes = calloc(slots_count, sizeof *conns->free_indexes);
    if (conns->slots == NULL || conns->free_indexes == NULL) goto free_tables;
    for (uint32_t i = slots_count; i > 0; i--) {
        conns->free_indexes[conns->free_count] = i - 1;
        conns->free_count += 1;
    }
    return FST_OK;

free_tables:
    free(conns->slots);
    free(conns->free_indexes);
    chunks_deinit(&conns->chunks);
    return FST_NO_MEMORY;
}

void conns_deinit(struct conns *conns) {
    for (uint32_t i = 0; i < conns->slots_count; i++) {
        struct conn *conn = &conns->slots[i];
        if (conn->state == CONN_FREE) continue;
        conn_close(conn);
        slot_put(conn);
    }
    chunks_put_retired(&conns->chunks);
    chunks_deinit(&conns->chunks);
    free(conns->slots);
    free(conns->free_indexes);
}

/* ---- check ---- */

static void chunk_count(const struct chunk *first, uint32_t used[CHUNK_SIZES]) {
    for (const struct chunk *at = first; at != NULL; at = at->next) used[at->size] += 1;
}

static bool slot_is_clean(const struct conn *conn) {
    return conn->socket <= 0 && !conn->is_receiving && conn->sending_bytes == 0 &&
           conn->input_deadline.list == NULL && conn->output_deadline.list == NULL &&
           conn->input.partial == NULL && conn->input.backlog == NULL &&
           conn->output.first == NULL && conn->output.spare == NULL && !conn->is_dirty &&
           !conn->is_waiting;
}

static enum fst_status conn_check(const struct conn *conn, uint32_t used[CHUNK_SIZES]) {
    if (conn->state == CONN_FREE) return slot_is_clean(conn) ? FST_OK : FST_CORRUPT; /* I6 */
    FST_TRY(input_check(&conn->input));                                              /* I1 */
    FST_TRY(output_check(&conn->output));                                            /* I1 */
    chunk_count(conn->input.partial, used);
    chunk_count(conn->input.backlog, used);
    chunk_count(conn->output.first, used);
    chunk_count(conn->output.spare, used);
    if (conn->in_flight > conn->conns->options.in_flight_max) return FST_CORRUPT; /* I4 */
    bool has_deadline = conn->input_deadline.list || conn->output_deadline.list;
    if (conn->state == CONN_CLOSING && has_deadline) return FST_CORRUPT; /* I5 */
    bool is_greeting = conn->state == CONN_OPEN && !conn->is_welcome;
    if (is_greeting && conn->input_deadline.list != &conn->conns->handshakes) return FST_CORRUPT;
    return FST_OK;
}

static enum fst_status turns_check(const struct conns *conns) {
    const struct conn_turns *queues[] = {&conns->turns, &conns->turns_next};
    uint32_t waiting_count = 0;
    for (uint32_t i = 0; i < conns->slots_count; i++) waiting_count += conns->slots[i].is_waiting;
    for (int i = 0; i < 2; i++) {
        const struct conn *last = NULL;
        for (const struct conn *at = queues[i]->first; at != NULL; at = at->turn_next) {
            if (!at->is_waiting || waiting_count == 0) return FST_CORRUPT;
            waiting_count -= 1;
            last = at;
        }
        if (queues[i]->last != last) return FST_CORRUPT;
    }
    return waiting_count == 0 ? FST_OK : FST_CORRUPT;
}

enum fst_status conns_check(const struct conns *conns) {
    uint32_t used[CHUNK_SIZES] = {0};
    uint32_t open_count = 0;
    chunk_count(conns->chunks.retired, used);
    for (uint32_t i = 0; i < conns->slots_count; i++) {
        open_count += conns->slots[i].state != CONN_FREE;
        FST_TRY(conn_check(&conns->slots[i], used));
    }
    if (open_count != conns->open_count) return FST_CORRUPT;                      /* I3 */
    if (open_count + conns->free_count != conns->slots_count) return FST_CORRUPT; /* I3 */
    for (int i = 0; i < CHUNK_SIZES; i++) {
        if (conns->chunks.pools[i].objects_used != used[i]) return FST_CORRUPT; /* I2 */
    }
    FST_TRY(turns_check(conns)); /* I8 */
    bool are_sorted = deadlines_check(&conns->handshakes) && deadlines_check(&conns->partials) &&
                      deadlines_check(&conns->stalls) && deadlines_check(&conns->drains);
    return are_sorted ? FST_OK : FST_CORRUPT; /* I5 */
}
