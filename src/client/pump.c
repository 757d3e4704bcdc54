/* The one place where a client connects, sends, receives and waits. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "base/assert.h"
#include "client/client.h"

enum { PIECES_MAX = 64 };

static const int64_t us_per_second = 1000000;

/* Replies may be as large as the server's output queue, which it does not tell us. */
static const struct frame_rules reply_rules = {
    .frame_bytes_max = 256u << 20, .bulk_bytes_max = 256u << 20, .is_reply = true};

/* ---- breaking ---- */

static void break_text(const struct fst_client *client, const char *what, char *out, size_t bytes) {
    snprintf(out, bytes, "%s (%.200s:%s: %.200s)", what, client->address.host, client->address.port,
             client->fault.text);
}

/* The status of a request that can be sent no more. */
static enum fst_status lost_status(const struct client_request *request, enum fst_status status) {
    return request->has_effect && request->is_unknown ? FST_OUTCOME_UNKNOWN : status;
}

/* Whether the server has said that it will not serve us: then trying again is no use. */
static bool fault_is_final(enum fst_status status) {
    return status == FST_UNAUTHENTICATED || status == FST_FORBIDDEN || status == FST_UNSUPPORTED;
}

static bool request_is_lost(const struct fst_client *client, const struct client_request *request) {
    if (fault_is_final(client->fault.status)) return true;
    if (request->attempts >= client->options.attempts_max) return true;
    return request->is_unknown && !request->is_repeatable;
}

static struct client_request *lost_find(struct fst_client *client) {
    struct client_request *request = client->window.queued.first;
    while (request && !request_is_lost(client, request)) request = request->next;
    return request;
}

static void backoff_begin(struct fst_client *client) {
    uint64_t random;
    client->io->ops->random(client->io, &random, sizeof random);
    int64_t half_us = client->backoff_us / 2;
    int64_t pause_us = half_us + (int64_t)(random >> 1) % (half_us + 1);
    if (pause_us < client->retry_us) pause_us = client->retry_us;
    client->retry_us = 0;
    client->connect_at_us = client_now_us(client) + pause_us;
    client->backoff_us *= 2;
    if (client->backoff_us > client->options.backoff_us_max) {
        client->backoff_us = client->options.backoff_us_max;
    }
}

void client_break(struct fst_client *client) {
    client_link_close(&client->link);
    client->phase = CLIENT_IDLE;
    client->abandoned_count = 0;
    client->setup.bytes = 0;
    client->setup_sent = 0;
    backoff_begin(client);
    client_window_rewind(&client->window);
    struct client_request *request;
    while ((request = lost_find(client))) {
        char text[FST_ERROR_TEXT_BYTES];
        break_text(client, "the connection broke", text, sizeof text);
        client_fail(client, request, lost_status(request, client->fault.status), text);
    }
}

/* ---- connecting ---- */

static bool is_wanted(const struct fst_client *client) {
    return client->window.in_flight > 0 || client->is_opening;
}

static void connect_begin(struct fst_client *client, int64_t now_us) {
    client->phase = CLIENT_CONNECTING;
    client->phase_until_us = now_us + client->options.connect_timeout_us;
    if (client_link_open(&client->link, &client->address, &client->fault) != FST_OK) {
        client_break(client);
    }
}

static void connect_finish(struct fst_client *client) {
    if (client_link_connect(&client->link, &client->fault) != FST_OK) {
        client_break(client);
        return;
    }
    if (!client->link.is_connected) return;
    client->phase = CLIENT_GREETING;
    client->setup_sent = 0;
    if (client_greeting_encode(client) != FST_OK) {
        (void)fst_error_set(&client->fault, FST_NO_MEMORY, "no memory to greet");
        client_break(client);
    }
}

/* ---- sending ---- */

static enum fst_status setup_send(struct fst_client *client) {
    if (client->setup_sent == client->setup.bytes) return FST_OK;
    struct iovec piece = {.iov_base = client->setup.data + client->setup_sent,
                          .iov_len = client->setup.bytes - client->setup_sent};
    size_t sent;
    FST_TRY(client_link_send(&client->link, &piece, 1, &sent, &client->fault));
    client->setup_sent += sent;
    return FST_OK;
}

/* Sets what belongs to this connection. False when the handle no longer serves the request. */
static bool request_stamp(const struct client_request *request) {
    const struct fst_handle *handle = request->handle;
    if (!handle || request->opcode == FRAME_PREPARE) return true;
    if (handle->status != FST_OK || request->generation != handle->generation) return false;
    store_u32(request->frame.data + 12, handle->number);
    store_u64(request->frame.data + FRAME_HEADER_BYTES, handle->layout->id);
    return true;
}

/* A request that cannot be sent because of its handle, among the next `count`; or NULL. */
static struct client_request *stamp_all(struct fst_client *client, uint32_t count) {
    struct client_request *request = client->window.queued.first;
    if (request && client->window.head_bytes > 0) request = request->next;
    for (uint32_t i = 0; request && i < count; i++, request = request->next) {
        if (!request_stamp(request)) return request;
    }
    return NULL;
}

/* How many more may be sent: what the server takes, and what one call takes. */
static uint32_t send_count(const struct fst_client *client) {
    uint32_t sent_count = client->window.sent_count + client->abandoned_count;
    if (sent_count >= client->server.in_flight_max) return 0;
    uint32_t count = client->server.in_flight_max - sent_count;
    return count < PIECES_MAX ? count : PIECES_MAX;
}

static enum fst_status requests_send(struct fst_client *client, int64_t now_us) {
    uint32_t count = send_count(client);
    struct client_request *request;
    while ((request = stamp_all(client, count))) {
        enum fst_status status = request->handle->status;
        if (status == FST_OK)
            client_fail(client, request, lost_status(request, FST_LAYOUT_CHANGED),
                        "key columns or types changed; fill in keys or rows again");
        else
            client_fail(client, request, lost_status(request, status), request->handle->fault.text);
    }
    struct iovec pieces[PIECES_MAX];
    int pieces_count = 0;
    size_t offset = client->window.head_bytes;
    for (request = client->window.queued.first; request && pieces_count < (int)count;
         request = request->next) {
        pieces[pieces_count++] = (struct iovec){.iov_base = request->frame.data + offset,
                                                .iov_len = request->frame.bytes - offset};
        offset = 0;
    }
    if (pieces_count == 0) return FST_OK;
    size_t sent;
    FST_TRY(client_link_send(&client->link, pieces, pieces_count, &sent, &client->fault));
    client_window_send(&client->window, sent, now_us);
    return FST_OK;
}

/* Whether the server hung up while nothing was in flight must be known before something is sent
 * that cannot be repeated. */
static enum fst_status silence_check(struct fst_client *client) {
    const struct client_request *head = client->window.queued.first;
    size_t received;
    if (client->phase != CLIENT_READY || !head || head->is_repeatable) return FST_OK;
    return client_link_receive(&client->link, &received, &client->fault);
}

static void send_all(struct fst_client *client, int64_t now_us) {
    enum fst_status status = silence_check(client);
    if (client->phase == CLIENT_GREETING || client->phase == CLIENT_PREPARING) {
        status = setup_send(client);
    }
    if (status == FST_OK && client->phase == CLIENT_READY) status = requests_send(client, now_us);
    if (status != FST_OK) client_break(client);
}

/* ---- receiving ---- */

/* Hands out what has arrived. False when nothing whole was there. */
static bool frames_answer(struct fst_client *client) {
    bool has_answered = false;
    client->has_waited = false;
    while (client->phase > CLIENT_CONNECTING && !client->has_waited) {
        struct frame frame;
        enum fst_status status =
            client_link_take(&client->link, &reply_rules, &frame, &client->fault);
        if (status == FST_OK && !frame.payload) break;
        has_answered = true;
        if (status == FST_OK) status = client_answer(client, &frame);
        if (status != FST_OK) client_break(client);
    }
    return has_answered;
}

static void receive(struct fst_client *client) {
    size_t received;
    if (client_link_receive(&client->link, &received, &client->fault) != FST_OK) {
        client_break(client);
        return;
    }
    if (received == 0) return;
    client->received_us = client_now_us(client);
    (void)frames_answer(client);
}

/* ---- time ---- */

static void late_fail(struct fst_client *client, int64_t now_us) {
    struct client_request *late;
    while ((late = client_window_find_late(&client->window, now_us))) {
        bool is_sent = late->list == &client->window.sent;
        bool is_head = late == client->window.queued.first && client->window.head_bytes > 0;
        /* A connection on which nothing came since is taken for dead; one on which half a frame was
         * sent can carry no other. */
        bool is_dead = is_head || (is_sent && client->received_us < late->sent_us);
        char text[FST_ERROR_TEXT_BYTES];
        if (client->phase == CLIENT_READY) {
            snprintf(text, sizeof text, "no reply from %s:%s in time", client->address.host,
                     client->address.port);
        } else {
            break_text(client, "no connection in time", text, sizeof text);
        }
        bool is_connected = client->phase == CLIENT_READY;
        if (is_sent) {
            client->abandoned_count += 1;
            late->is_unknown = true;
        }
        enum fst_status status = is_connected ? FST_TIMEOUT : FST_CLOSED;
        if (!is_connected && client->fault.status == FST_WARMING) status = FST_WARMING;
        client_fail(client, late, lost_status(late, status), text);
        if (is_dead) {
            (void)fst_error_set(&client->fault, FST_TIMEOUT, "no reply in time");
            client_break(client);
        }
    }
    bool is_setup = client->phase > CLIENT_IDLE && client->phase < CLIENT_READY;
    if (is_setup && now_us >= client->phase_until_us) {
        (void)fst_error_set(&client->fault, FST_TIMEOUT, "no greeting within %" PRId64 " ms",
                            client->options.connect_timeout_us / 1000);
        client_break(client);
    }
}

int64_t client_due_us(const struct fst_client *client) {
    int64_t due_us = client->window.in_flight > 0 ? client->window.deadline_us : INT64_MAX;
    int64_t phase_us = INT64_MAX;
    if (client->phase == CLIENT_IDLE && is_wanted(client)) phase_us = client->connect_at_us;
    if (client->phase > CLIENT_IDLE && client->phase < CLIENT_READY)
        phase_us = client->phase_until_us;
    return phase_us < due_us ? phase_us : due_us;
}

static int events_wanted(const struct fst_client *client) {
    if (client->phase == CLIENT_CONNECTING) return POLLOUT;
    return fst_client_wants_write(client) ? POLLIN | POLLOUT : POLLIN;
}

/* Waits for the socket; the events that came, 0 if none. */
static int socket_wait(struct fst_client *client, int64_t until_us) {
    int64_t wait_us = -1;
    if (until_us != INT64_MAX) {
        wait_us = until_us - client_now_us(client);
        if (wait_us < 0) wait_us = 0;
    }
    struct timespec limit = {.tv_sec = wait_us / us_per_second,
                             .tv_nsec = wait_us % us_per_second * 1000};
    struct pollfd socket = {.fd = client->link.fd, .events = (short)events_wanted(client)};
    int ready = ppoll(&socket, client->link.fd >= 0 ? 1 : 0, wait_us < 0 ? NULL : &limit, NULL);
    client->was_interrupted = ready < 0 && errno == EINTR;
    return ready > 0 ? socket.revents : 0;
}

/* ---- the step ---- */

void client_pump(struct fst_client *client, int64_t until_us) {
    FST_ASSERT(!client->is_answering);
    if (frames_answer(client)) return;
    uint32_t answered_count = client->answered_count;
    int64_t now_us = client_now_us(client);
    if (client->phase == CLIENT_IDLE && is_wanted(client) && now_us >= client->connect_at_us) {
        connect_begin(client, now_us);
    }
    if (client->phase > CLIENT_CONNECTING) send_all(client, now_us);
    if (client->answered_count != answered_count) return; /* Somebody may wait for just that. */

    int64_t due_us = client_due_us(client);
    int events = socket_wait(client, due_us < until_us ? due_us : until_us);
    if (events && client->phase == CLIENT_CONNECTING) {
        connect_finish(client);
    } else if (events & ~POLLOUT) {
        receive(client);
    }
    late_fail(client, client_now_us(client));
}
