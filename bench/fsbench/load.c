#include "bench/fsbench/load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "bench/fsbench/schedule.h"
#include "bench/fsbench/wire.h"

enum {
    RECEIVE_BYTES_MIN =
        256 << 10, /* stays in the second-level cache, and empties a socket at once */
    EVENTS_MAX = 256,
    FULL_CHECK_EVERY = 64, /* replies; the others are checked in one place */
    NS_PER_US = 1000,
    WAIT_NS_MAX = 20 * 1000 * 1000,
    DUE_MAX = 16, /* requests of an open loop with one send */
    REPORT_TURNS = 64,
    STALL_NS = 50 * 1000,        /* a look takes one; far more than an interrupt */
    PAUSE_NS = 10 * 1000 * 1000, /* after a server had no room for rows of a fill */
};

static const uint64_t drain_ns_max = UINT64_C(30) * 1000 * 1000 * 1000;

struct connection {
    int socket;
    uint32_t index;
    uint32_t in_flight_count;
    uint32_t free_head; /* of the ring of free slots */
    uint32_t *free_slots;
    struct request *requests; /* by slot */
    uint8_t *tail;            /* the reply that is not whole yet */
    uint32_t tail_bytes;
    uint8_t *kept; /* what the socket would not take */
    size_t kept_bytes, kept_sent, kept_room;
};

/* Rows next to each other. */
struct stretch {
    uint64_t first;
    uint32_t count;
};

struct load {
    struct load_options options;
    struct dialect *dialect;
    struct connection *connections;
    int epoll;
    uint8_t *receive;
    size_t receive_room;
    uint8_t *scratch; /* requests of one connection before they are sent */
    size_t scratch_bytes;
    uint64_t random;         /* state: a counter, mixed where it is used */
    int64_t real_minus_mono; /* of the clocks, in microseconds */
    bool has_complained;
    uint64_t checked_count;
    /* of the phase */
    const struct load_phase *phase;
    struct load_result *result;
    uint64_t begin_ns, end_ns; /* what is answered from begin to end is counted */
    struct schedule schedule;  /* of an open loop */
    struct series series;
    bool is_all_sent;      /* open loop: nothing more is sent, the end has come */
    uint64_t idle_ns;      /* open loop: spent looking at sockets in vain */
    uint64_t stalled_ns;   /* of it: in looks longer than STALL_NS */
    uint64_t next_row;     /* of a phase that writes all rows */
    struct stretch *again; /* rows of it that the server had no room for yet; room for all slots */
    uint32_t again_count;
    uint64_t pause_ns;    /* no such row is sent before; 0: none waits */
    uint64_t progress_ns; /* when a request was served last */
    uint64_t next_new;    /* of writes of new rows, over all phases */
    uint64_t in_flight_count;
    uint32_t turn_connection; /* open loop: whose turn it is */
};

static uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t cpu_used_ns(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    uint64_t seconds = (uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec;
    uint64_t us = (uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec;
    return seconds * 1000000000u + us * NS_PER_US;
}

static uint64_t random_get(struct load *load) {
    return mix_u64(load->random++);
}

/* ---- requests ---- */

/* Every row once, in order. */
static bool is_sequential(const struct load *load) {
    return load->phase->rows_count > 0;
}

static bool is_open_loop(const struct load *load) {
    return load->phase->rate > 0;
}

/* Whether requests are still to come, now or later. */
static bool is_unfinished(const struct load *load, uint64_t now_ns) {
    if (is_open_loop(load)) return !load->is_all_sent;
    if (is_sequential(load))
        return load->again_count > 0 || load->next_row < load->phase->rows_count;
    return now_ns < load->end_ns;
}

static bool has_more(const struct load *load, uint64_t now_ns) {
    return is_unfinished(load, now_ns) && now_ns >= load->pause_ns;
}

/* The rows that a phase of all rows asks for next. */
static struct stretch stretch_take(struct load *load, uint32_t count_max) {
    if (load->again_count > 0) return load->again[--load->again_count];
    uint64_t left = load->phase->rows_count - load->next_row;
    struct stretch rows = {.first = load->next_row, .count = count_max};
    if (left < rows.count) rows.count = (uint32_t)left;
    load->next_row += rows.count;
    return rows;
}

static struct request request_make(struct load *load, uint64_t begin_ns) {
    struct request request = {.begin_ns = begin_ns, .sent_ns = begin_ns, .is_busy = true};
    request.version = (int64_t)(begin_ns / NS_PER_US) + load->real_minus_mono;
    if (is_sequential(load)) {
        request.is_sequential = true;
        request.is_write = !load->phase->is_read_back;
        struct stretch rows = stretch_take(load, request.is_write ? load->options.rows_per_write
                                                                  : load->options.keys_per_read);
        request.seed = rows.first;
        request.keys_count = rows.count;
        return request;
    }
    request.seed = random_get(load);
    request.is_write = load->options.write_share > 0 &&
                       mix_double(request.seed ^ load->options.seed) < load->options.write_share;
    request.keys_count =
        request.is_write ? load->options.rows_per_write : load->options.keys_per_read;
    if (request.is_write && load->options.writes_new) {
        request.is_sequential = true;
        request.seed = load->next_new;
        load->next_new += request.keys_count;
    }
    return request;
}

/* Encodes one request behind those already in the scratch memory. */
static struct request *request_put(struct load *load, struct connection *connection,
                                   uint64_t begin_ns) {
    uint32_t depth = load->options.depth;
    FST_ASSERT(connection->in_flight_count < depth);
    uint32_t slot = connection->free_slots[connection->free_head];
    connection->free_head = connection->free_head + 1 == depth ? 0 : connection->free_head + 1;
    connection->in_flight_count++;
    load->in_flight_count++;
    struct request *request = &connection->requests[slot];
    *request = request_make(load, begin_ns);
    uint8_t *out = load->scratch + load->scratch_bytes;
    load->scratch_bytes +=
        load->dialect->ops->encode(load->dialect, connection->index, slot, request, out);
    return request;
}

static void slot_free(struct load *load, struct connection *connection, uint32_t slot) {
    uint32_t depth = load->options.depth;
    uint32_t free_tail = connection->free_head + (depth - connection->in_flight_count);
    connection->free_slots[free_tail < depth ? free_tail : free_tail - depth] = slot;
    connection->requests[slot].is_busy = false;
    connection->in_flight_count--;
    load->in_flight_count--;
}

/* ---- sockets ---- */

static enum fst_status watch_put(struct load *load, struct connection *connection, int operation,
                                 struct fst_error *error) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = connection->index};
    if (connection->kept_bytes) event.events |= EPOLLOUT;
    if (epoll_ctl(load->epoll, operation, connection->socket, &event) == 0) return FST_OK;
    return fst_error_set(error, FST_IO_ERROR, "epoll: %s", strerror(errno));
}

static enum fst_status bytes_keep(struct load *load, struct connection *connection,
                                  const uint8_t *data, size_t bytes, struct fst_error *error) {
    if (connection->kept_room < bytes) {
        uint8_t *grown = realloc(connection->kept, bytes);
        if (!grown) return fst_error_set(error, FST_NO_MEMORY, "no memory for %zu bytes", bytes);
        connection->kept = grown;
        connection->kept_room = bytes;
    }
    memcpy(connection->kept, data, bytes);
    connection->kept_bytes = bytes;
    connection->kept_sent = 0;
    return watch_put(load, connection, EPOLL_CTL_MOD, error);
}

/* What the socket takes now: 0 if it is full. */
static enum fst_status socket_send(struct load *load, const struct connection *connection,
                                   const uint8_t *data, size_t bytes, size_t *sent_out,
                                   struct fst_error *error) {
    ssize_t sent = send(connection->socket, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return fst_error_set(error, FST_CLOSED, "send: %s", strerror(errno));
    *sent_out = sent > 0 ? (size_t)sent : 0;
    load->result->sent_bytes += *sent_out;
    return FST_OK;
}

static enum fst_status scratch_send(struct load *load, struct connection *connection,
                                    struct fst_error *error) {
    size_t bytes = load->scratch_bytes, sent = 0;
    if (bytes == 0) return FST_OK;
    FST_ASSERT(connection->kept_bytes == 0);
    load->scratch_bytes = 0;
    FST_TRY(socket_send(load, connection, load->scratch, bytes, &sent, error));
    if (sent == bytes) return FST_OK;
    return bytes_keep(load, connection, load->scratch + sent, bytes - sent, error);
}

static enum fst_status kept_send(struct load *load, struct connection *connection,
                                 struct fst_error *error) {
    size_t sent = 0, left = connection->kept_bytes - connection->kept_sent;
    FST_TRY(socket_send(load, connection, connection->kept + connection->kept_sent, left, &sent,
                        error));
    connection->kept_sent += sent;
    if (sent < left) return FST_OK;
    connection->kept_bytes = 0;
    return watch_put(load, connection, EPOLL_CTL_MOD, error);
}

/* Closed loop: as many requests as the connection may have in flight. */
static enum fst_status connection_fill(struct load *load, struct connection *connection,
                                       uint64_t now_ns, struct fst_error *error) {
    if (connection->kept_bytes > 0) return FST_OK;
    while (connection->in_flight_count < load->options.depth && has_more(load, now_ns))
        request_put(load, connection, now_ns);
    return scratch_send(load, connection, error);
}

/* ---- replies ---- */

static void refusal_complain(struct load *load, const struct reply *reply) {
    if (load->has_complained || reply->status == FST_TIMEOUT) return; /* as was asked for */
    load->has_complained = true;
    fprintf(stderr, "fsbench: the server refused a request: %s %.*s\n",
            fst_status_name(reply->status), (int)reply->text.bytes,
            reply->text.bytes ? (const char *)reply->text.data : "");
}

static void wrong_complain(struct load *load, const struct request *request) {
    if (load->has_complained) return;
    load->has_complained = true;
    fprintf(stderr,
            "fsbench: a reply has not what was written, first key of the request: %" PRIu64 "\n",
            request_key(request, load->dialect->keys, 0));
}

static bool reply_is_right(struct load *load, const struct request *request,
                           const struct reply *reply) {
    if (load->options.verify == LOAD_VERIFY_NONE) return true;
    bool is_full =
        load->options.verify == LOAD_VERIFY_ALL || load->checked_count % FULL_CHECK_EVERY == 0;
    load->checked_count++;
    return load->dialect->ops->verify(load->dialect, request, reply, is_full);
}

/* Latencies of an open loop include what is answered after the end: those are the slowest, and
 * leaving them out would flatter the server. */
static bool is_counted(const struct load *load, uint64_t now_ns) {
    return now_ns >= load->begin_ns && (now_ns < load->end_ns || is_open_loop(load));
}

static uint32_t missing_count(const struct load *load, const struct request *request) {
    const struct key_stream *keys = load->dialect->keys;
    if (keys->miss_share == 0 || request->is_write || request->is_sequential) return 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->keys_count; i++)
        count += key_stream_is_miss(keys, request->seed, i);
    return count;
}

/* A server that has no room for the moment is asked again, in a phase that must have all rows. */
static bool is_asked_again(struct load *load, const struct request *request,
                           const struct reply *reply, uint64_t now_ns) {
    if (!is_sequential(load) || reply->answer != REPLY_REFUSED) return false;
    if (reply->status != FST_OVERLOADED) return false;
    load->again[load->again_count++] =
        (struct stretch){.first = request->seed, .count = request->keys_count};
    load->pause_ns = now_ns + PAUSE_NS;
    return true;
}

static void reply_count(struct load *load, const struct request *request, const struct reply *reply,
                        uint64_t now_ns) {
    struct load_result *result = load->result;
    if (!is_counted(load, now_ns)) return;
    if (reply->answer == REPLY_REFUSED) {
        result->refused_count++;
        result->refused_by_status[(uint32_t)reply->status % LOAD_STATUSES]++;
        series_put_refused(&load->series, now_ns);
        return;
    }
    uint64_t taken_ns = now_ns > request->begin_ns ? now_ns - request->begin_ns : 0;
    series_put(&load->series, now_ns, taken_ns, request->is_write);
    histogram_put(request->is_write ? &result->write_ns : &result->read_ns, taken_ns);
    uint64_t service_ns = now_ns > request->sent_ns ? now_ns - request->sent_ns : 0;
    if (is_open_loop(load)) histogram_put(&result->service_ns, service_ns);
    if (now_ns >= load->end_ns) return;
    if (load->options.in_time_ns && service_ns > load->options.in_time_ns) result->late_count++;
    if (request->is_write)
        result->writes_count++;
    else
        result->reads_count++;
    result->keys_count += request->keys_count;
    result->missing_count += missing_count(load, request);
    if (reply->answer == REPLY_STALE) result->stale_count++;
}

static enum fst_status reply_take(struct load *load, struct connection *connection,
                                  const struct reply *reply, uint64_t now_ns,
                                  struct fst_error *error) {
    if (reply->slot >= load->options.depth || !connection->requests[reply->slot].is_busy)
        return fst_error_set(error, FST_CORRUPT, "a reply to no request, id %u", reply->slot);
    const struct request *request = &connection->requests[reply->slot];
    if (is_asked_again(load, request, reply, now_ns)) {
        slot_free(load, connection, reply->slot);
        return FST_OK;
    }
    load->progress_ns = now_ns;
    if (reply->answer == REPLY_REFUSED) {
        refusal_complain(load, reply);
    } else if (!reply_is_right(load, request, reply)) {
        wrong_complain(load, request);
        load->result->wrong_count++;
    }
    reply_count(load, request, reply, now_ns);
    slot_free(load, connection, reply->slot);
    return FST_OK;
}

/* Takes all whole replies and keeps the rest. */
static enum fst_status replies_take(struct load *load, struct connection *connection, size_t bytes,
                                    uint64_t now_ns, struct fst_error *error) {
    const struct dialect *dialect = load->dialect;
    const uint8_t *at = load->receive;
    for (;;) {
        struct reply reply = {.answer = REPLY_OK};
        int64_t used = dialect->ops->decode(load->dialect, connection->index, at, bytes, &reply);
        if (used < 0 || (used == 0 && bytes > dialect->reply_bytes_max))
            return fst_error_set(error, FST_CORRUPT, "the server sent what is no reply of %s",
                                 dialect->ops->name);
        if (used == 0) break;
        FST_TRY(reply_take(load, connection, &reply, now_ns, error));
        at += used;
        bytes -= (size_t)used;
    }
    memcpy(connection->tail, at, bytes);
    connection->tail_bytes = (uint32_t)bytes;
    return FST_OK;
}

static enum fst_status connection_receive(struct load *load, struct connection *connection,
                                          uint64_t *now_ns_out, struct fst_error *error) {
    size_t tail = connection->tail_bytes;
    ssize_t received =
        recv(connection->socket, load->receive + tail, load->receive_room - tail, MSG_DONTWAIT);
    if (received < 0 && (errno == EAGAIN || errno == EINTR)) return FST_OK;
    if (received <= 0)
        return fst_error_set(error, FST_CLOSED, "the server closed a connection%s%s",
                             received < 0 ? ": " : "", received < 0 ? strerror(errno) : "");
    *now_ns_out = clock_ns();
    load->result->received_bytes += (uint64_t)received;
    memcpy(load->receive, connection->tail, tail);
    return replies_take(load, connection, tail + (size_t)received, *now_ns_out, error);
}

/* ---- the loop ---- */

/* The next connection that can take a request, or NULL. */
static struct connection *free_connection_find(struct load *load) {
    for (uint32_t i = 0; i < load->options.connections_count; i++) {
        if (++load->turn_connection == load->options.connections_count) load->turn_connection = 0;
        struct connection *connection = &load->connections[load->turn_connection];
        if (connection->in_flight_count < load->options.depth && connection->kept_bytes == 0)
            return connection;
    }
    return NULL;
}

/* Requests that are due at once, as many as the connection takes, with one send. */
static enum fst_status due_put(struct load *load, struct connection *connection, uint64_t now_ns,
                               struct fst_error *error) {
    struct request *requests[DUE_MAX];
    uint32_t count = 0;
    while (count < DUE_MAX && connection->in_flight_count < load->options.depth &&
           schedule_is_due(&load->schedule, now_ns)) {
        requests[count++] = request_put(load, connection, schedule_get(&load->schedule));
    }
    FST_TRY(scratch_send(load, connection, error));
    uint64_t sent_ns = clock_ns();
    for (uint32_t i = 0; i < count; i++) {
        requests[i]->sent_ns = sent_ns;
        if (sent_ns < load->begin_ns) continue;
        schedule_put_sent(&load->schedule, requests[i]->begin_ns, sent_ns);
    }
    return FST_OK;
}

/* Open loop: sends what is due. What finds no room stays due, and its latency grows. After the end
 * there is one more turn for what became due since the last; a backlog is not worked off. */
static enum fst_status due_send(struct load *load, uint64_t now_ns, struct fst_error *error) {
    if (load->is_all_sent) return FST_OK;
    load->is_all_sent = now_ns >= load->end_ns;
    while (schedule_is_due(&load->schedule, now_ns)) {
        struct connection *connection = free_connection_find(load);
        if (!connection) {
            schedule_put_full(&load->schedule, now_ns);
            return FST_OK;
        }
        FST_TRY(due_put(load, connection, now_ns, error));
    }
    return FST_OK;
}

/* While requests are still to come in an open loop it only looks: a timer of the kernel, and waking
 * up, would be late by tens of microseconds. */
static int events_wait(struct load *load, struct epoll_event *events) {
    bool is_pacing = is_open_loop(load) && !load->is_all_sent;
    struct timespec timeout = {.tv_nsec = is_pacing ? 0 : WAIT_NS_MAX};
    return epoll_pwait2(load->epoll, events, EVENTS_MAX, &timeout, NULL);
}

static enum fst_status event_take(struct load *load, const struct epoll_event *event,
                                  uint64_t now_ns, struct fst_error *error) {
    struct connection *connection = &load->connections[event->data.u32];
    if (event->events & EPOLLOUT) FST_TRY(kept_send(load, connection, error));
    if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        FST_TRY(connection_receive(load, connection, &now_ns, error));
    /* Replies that came together do not hold up what becomes due while they are taken. */
    if (is_open_loop(load)) return due_send(load, clock_ns(), error);
    return connection_fill(load, connection, now_ns, error);
}

static void report_put(const struct load *load, uint64_t turn) {
    if (!load->phase->report || (turn % REPORT_TURNS != 0 && load->in_flight_count > 0)) return;
    if (is_sequential(load))
        load->phase->report(load->phase->context, load->next_row, load->phase->rows_count);
}

static void idle_put(struct load *load, uint64_t idle_ns) {
    load->idle_ns += idle_ns;
    if (idle_ns > STALL_NS) load->stalled_ns += idle_ns;
}

/* One look at the sockets, and what follows from it. */
static enum fst_status turn_run(struct load *load, uint64_t *now_ns, struct fst_error *error) {
    struct epoll_event events[EVENTS_MAX];
    uint64_t before_ns = *now_ns;
    bool is_idle = is_open_loop(load) && !schedule_is_due(&load->schedule, before_ns);
    if (is_open_loop(load)) FST_TRY(due_send(load, before_ns, error));
    int count = events_wait(load, events);
    if (count < 0 && errno != EINTR)
        return fst_error_set(error, FST_IO_ERROR, "epoll: %s", strerror(errno));
    *now_ns = clock_ns();
    for (int i = 0; i < count; i++) FST_TRY(event_take(load, &events[i], *now_ns, error));
    bool is_measured = before_ns >= load->begin_ns && *now_ns < load->end_ns;
    if (is_idle && count <= 0 && is_measured) idle_put(load, *now_ns - before_ns);
    return FST_OK;
}

/* Closed loop: the first requests of all connections, and those after a pause. */
static enum fst_status connections_fill(struct load *load, uint64_t now_ns,
                                        struct fst_error *error) {
    load->pause_ns = 0;
    for (uint32_t i = 0; !is_open_loop(load) && i < load->options.connections_count; i++)
        FST_TRY(connection_fill(load, &load->connections[i], now_ns, error));
    return FST_OK;
}

static enum fst_status turns_run(struct load *load, struct fst_error *error) {
    uint64_t now_ns = clock_ns();
    load->progress_ns = now_ns;
    FST_TRY(connections_fill(load, now_ns, error));
    for (uint64_t turn = 0; is_unfinished(load, now_ns) || load->in_flight_count > 0; turn++) {
        FST_TRY(turn_run(load, &now_ns, error));
        if (load->pause_ns && now_ns >= load->pause_ns)
            FST_TRY(connections_fill(load, now_ns, error));
        if (load->again_count > 0 && now_ns > load->progress_ns + drain_ns_max)
            return fst_error_set(error, FST_OVERLOADED, "the server refuses all rows for 30 s");
        series_advance(&load->series, now_ns);
        report_put(load, turn);
        if (!is_sequential(load) && now_ns > load->end_ns + drain_ns_max)
            return fst_error_set(error, FST_TIMEOUT, "%" PRIu64 " replies are still out",
                                 load->in_flight_count);
    }
    return FST_OK;
}

static void phase_init(struct load *load, const struct load_phase *phase, uint64_t now_ns) {
    load->phase = phase;
    load->next_row = 0;
    load->again_count = 0;
    load->idle_ns = 0;
    load->stalled_ns = 0;
    load->is_all_sent = false;
    load->begin_ns = now_ns + phase->warmup_ns;
    load->end_ns = phase->rows_count ? UINT64_MAX : load->begin_ns + phase->duration_ns;
    struct series_options cuts = {.begin_ns = load->begin_ns,
                                  .end_ns = load->end_ns,
                                  .step_ns = phase->interval_ns,
                                  .take = phase->interval,
                                  .context = phase->interval_context};
    series_init(&load->series, &cuts);
    if (!is_open_loop(load)) return;
    struct schedule_options options = {.rate = phase->rate,
                                       .is_poisson = phase->is_poisson,
                                       .seed = random_get(load),
                                       .begin_ns = now_ns,
                                       .end_ns = load->end_ns};
    schedule_init(&load->schedule, &options);
}

static void phase_account(struct load *load, struct load_result *result) {
    series_end(&load->series);
    result->new_rows_count = load->next_new - load->dialect->keys->keys_count;
    result->busy_ns = result->cpu_ns;
    if (!is_open_loop(load)) return;
    result->busy_ns = result->elapsed_ns - load->idle_ns;
    result->stalled_ns = load->stalled_ns;
    result->unsent_count = schedule_drain(&load->schedule);
    result->held_count = load->schedule.held_count;
    result->lateness_ns = load->schedule.lateness_ns;
}

enum fst_status load_run(struct load *load, const struct load_phase *phase,
                         struct load_result *result_out, struct fst_error *error) {
    memset(result_out, 0, sizeof *result_out);
    histogram_init(&result_out->read_ns);
    histogram_init(&result_out->write_ns);
    histogram_init(&result_out->lateness_ns);
    histogram_init(&result_out->service_ns);
    uint64_t now_ns = clock_ns();
    load->result = result_out;
    phase_init(load, phase, now_ns);
    uint64_t cpu_ns = cpu_used_ns();
    FST_TRY(turns_run(load, error));
    uint64_t done_ns = clock_ns();
    double counted_share = 1;
    if (!phase->rows_count) counted_share = (double)phase->duration_ns / (double)(done_ns - now_ns);
    result_out->cpu_ns = (uint64_t)((double)(cpu_used_ns() - cpu_ns) * counted_share);
    result_out->elapsed_ns = phase->rows_count ? done_ns - now_ns : phase->duration_ns;
    phase_account(load, result_out);
    return load_check(load);
}

/* ---- begin and end ---- */

static enum fst_status connection_open(struct load *load, uint32_t index, struct fst_error *error) {
    struct connection *connection = &load->connections[index];
    uint32_t depth = load->options.depth;
    connection->index = index;
    connection->free_slots = calloc(depth, sizeof *connection->free_slots);
    connection->requests = calloc(depth, sizeof *connection->requests);
    FST_TRY(wire_open(load->options.address, &connection->socket, error));
    FST_TRY(load->dialect->ops->open(load->dialect, index, connection->socket, error));
    connection->tail = malloc(load->dialect->reply_bytes_max);
    if (!connection->free_slots || !connection->requests || !connection->tail)
        return fst_error_set(error, FST_NO_MEMORY, "no memory for %u requests", depth);
    for (uint32_t i = 0; i < depth; i++) connection->free_slots[i] = i;
    FST_TRY(wire_unblock(connection->socket, error));
    return watch_put(load, connection, EPOLL_CTL_ADD, error);
}

static enum fst_status buffers_open(struct load *load, struct fst_error *error) {
    load->receive_room = (size_t)load->dialect->reply_bytes_max * 2;
    if (load->receive_room < RECEIVE_BYTES_MIN) load->receive_room = RECEIVE_BYTES_MIN;
    load->receive = malloc(load->receive_room);
    load->scratch = malloc((size_t)load->dialect->request_bytes_max * load->options.depth);
    load->again =
        calloc((size_t)load->options.connections_count * load->options.depth, sizeof *load->again);
    if (load->receive && load->scratch && load->again) return FST_OK;
    return fst_error_set(error, FST_NO_MEMORY, "no memory for buffers");
}

static int64_t clocks_differ_us(void) {
    struct timespec real;
    clock_gettime(CLOCK_REALTIME, &real);
    int64_t real_us = (int64_t)real.tv_sec * 1000000 + real.tv_nsec / NS_PER_US;
    return real_us - (int64_t)(clock_ns() / NS_PER_US);
}

enum fst_status load_open(const struct load_options *options, struct dialect *dialect,
                          struct load **load_out, struct fst_error *error) {
    FST_ASSERT(options->connections_count >= 1);
    FST_ASSERT(options->connections_count <= LOAD_CONNECTIONS_MAX);
    FST_ASSERT(options->depth >= 1 && options->depth <= LOAD_DEPTH_MAX);
    struct load *load = calloc(1, sizeof *load);
    if (!load) return fst_error_set(error, FST_NO_MEMORY, "no memory");
    load->options = *options;
    load->dialect = dialect;
    load->random = mix_u64(options->seed);
    load->next_new = dialect->keys->keys_count;
    load->real_minus_mono = clocks_differ_us();
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->connections = calloc(options->connections_count, sizeof *load->connections);
    enum fst_status status = FST_NO_MEMORY;
    if (!load->connections || load->epoll < 0) {
        fst_error_set(error, status, "no memory for connections");
        load->options.connections_count = 0;
    } else {
        for (uint32_t i = 0; i < options->connections_count; i++) load->connections[i].socket = -1;
        status = FST_OK;
    }
    for (uint32_t i = 0; status == FST_OK && i < options->connections_count; i++)
        status = connection_open(load, i, error);
    if (status == FST_OK) status = buffers_open(load, error);
    if (status != FST_OK)
        load_close(load);
    else
        *load_out = load;
    return status;
}

void load_close(struct load *load) {
    for (uint32_t i = 0; i < load->options.connections_count; i++) {
        struct connection *connection = &load->connections[i];
        if (connection->socket >= 0) wire_close(connection->socket);
        free(connection->free_slots);
        free(connection->requests);
        free(connection->tail);
        free(connection->kept);
    }
    if (load->epoll >= 0) close(load->epoll);
    free(load->connections);
    free(load->again);
    free(load->receive);
    free(load->scratch);
    free(load);
}

enum fst_status load_check(const struct load *load) {
    uint64_t in_flight_count = 0;
    uint32_t depth = load->options.depth;
    for (uint32_t i = 0; i < load->options.connections_count; i++) {
        const struct connection *connection = &load->connections[i];
        bool is_free[LOAD_DEPTH_MAX] = {false};
        if (connection->in_flight_count > depth) return FST_CORRUPT;
        for (uint32_t k = 0; k < depth - connection->in_flight_count; k++) {
            uint32_t slot = connection->free_slots[(connection->free_head + k) % depth];
            if (slot >= depth || is_free[slot]) return FST_CORRUPT;
            is_free[slot] = true;
        }
        for (uint32_t slot = 0; slot < depth; slot++) {
            if (connection->requests[slot].is_busy == is_free[slot]) return FST_CORRUPT;
        }
        in_flight_count += connection->in_flight_count;
    }
    return in_flight_count == load->in_flight_count ? FST_OK : FST_CORRUPT;
}
