/* Submitting requests, waiting for one, and those that need no more than that: control and ping. */
#include <stdio.h>

#include "base/assert.h"
#include "client/client.h"

/* ---- submitting ---- */

enum fst_status client_request_create(struct fst_client *client, enum frame_opcode opcode,
                                      const struct fst_call *call,
                                      struct client_request **request_out,
                                      struct fst_error *error) {
    struct client_request *request = client_window_get(&client->window);
    if (!request) {
        return fst_error_set(error, FST_BUSY, "%u requests are in flight; poll before the next",
                             client->window.in_flight);
    }
    if (!client_buffer_append(&request->frame, FRAME_HEADER_BYTES)) {
        return fst_error_set(error, FST_NO_MEMORY, "no memory for a request");
    }
    int64_t timeout_us =
        call->timeout_us > 0 ? call->timeout_us : client->options.request_timeout_us;
    request->opcode = opcode;
    request->call = *call;
    request->deadline_us = client_now_us(client) + timeout_us;
    *request_out = request;
    return FST_OK;
}

enum fst_status client_request_submit(struct fst_client *client, struct client_request *request,
                                      struct fst_error *error) {
    bool is_bulk = frame_opcode_is_bulk((uint8_t)request->opcode);
    uint32_t bytes_max = is_bulk ? client->server.bulk_bytes_max : client->server.frame_bytes_max;
    if (request->frame.bytes > bytes_max) {
        return fst_error_set(error, FST_TOO_LARGE,
                             "expected a request of at most %u bytes, found %zu", bytes_max,
                             request->frame.bytes);
    }
    frame_encode_request(request->frame.data, (uint32_t)request->frame.bytes, request->opcode,
                         request->id, 0);
    if (request->handle) request->handle->in_flight += 1;
    client_window_append(&client->window, request);
    return FST_OK;
}

uint64_t fst_sequence_next(struct fst_client *client) {
    return ++client->sequence;
}

/* ---- waiting ---- */

enum fst_status client_may_wait(const struct fst_client *client, struct fst_error *error) {
    if (!client->is_answering) return FST_OK;
    return fst_error_set(error, FST_BUSY, "a callback may submit, but not wait");
}

static void waiter_done(void *context, const struct fst_reply *reply) {
    struct client_waiter *waiter = context;
    *waiter->reply_out = *reply;
    waiter->is_done = true;
    waiter->client->has_waited = true;
}

struct fst_call client_waiter_call(struct client_waiter *waiter, struct fst_client *client,
                                   struct fst_reply *reply_out) {
    *waiter = (struct client_waiter){.client = client, .reply_out = reply_out};
    return (struct fst_call){.done = waiter_done, .context = waiter};
}

enum fst_status client_wait(struct client_waiter *waiter, enum fst_status submitted,
                            const struct fst_error *error) {
    struct fst_client *client = waiter->client;
    if (submitted != FST_OK) {
        (void)snprintf(client->text, sizeof client->text, "%s", error->text);
        *waiter->reply_out = (struct fst_reply){.status = submitted, .text = client->text};
        return submitted;
    }
    while (!waiter->is_done) client_pump(client, INT64_MAX);
    return waiter->reply_out->status;
}

/* ---- control and ping ---- */

static enum fst_status plain_submit(struct fst_client *client, enum frame_opcode opcode,
                                    const struct fst_control *control, const struct fst_call *call,
                                    struct fst_error *error) {
    struct client_request *request = NULL;
    FST_TRY(client_request_create(client, opcode, call, &request, error));
    FST_ASSERT(request);
    request->has_effect = opcode == FRAME_CONTROL;
    request->is_repeatable = control->is_repeatable;
    if (!client_buffer_append_bytes(&request->frame, control->data, control->bytes)) {
        return fst_error_set(error, FST_NO_MEMORY, "no memory for a request");
    }
    return client_request_submit(client, request, error);
}

enum fst_status fst_submit_control(struct fst_client *client, const struct fst_control *control,
                                   const struct fst_call *call, struct fst_error *error) {
    return plain_submit(client, FRAME_CONTROL, control, call, error);
}

static enum fst_status plain_run(struct fst_client *client, enum frame_opcode opcode,
                                 const struct fst_control *control, int64_t timeout_us,
                                 struct fst_reply *reply_out) {
    struct client_waiter waiter;
    struct fst_error error = {0};
    struct fst_call call = client_waiter_call(&waiter, client, reply_out);
    call.timeout_us = timeout_us;
    enum fst_status status = client_may_wait(client, &error);
    if (status == FST_OK) status = plain_submit(client, opcode, control, &call, &error);
    return client_wait(&waiter, status, &error);
}

enum fst_status fst_control_run(struct fst_client *client, const struct fst_control *control,
                                int64_t timeout_us, struct fst_reply *reply_out) {
    return plain_run(client, FRAME_CONTROL, control, timeout_us, reply_out);
}

enum fst_status fst_ping(struct fst_client *client, struct fst_reply *reply_out) {
    static const struct fst_control nothing = {.is_repeatable = true};
    return plain_run(client, FRAME_PING, &nothing, 0, reply_out);
}

/* ---- polling ---- */

uint32_t fst_poll(struct fst_client *client, int64_t timeout_us) {
    if (client->is_answering) return 0;
    int64_t until_us = INT64_MAX;
    if (timeout_us >= 0) until_us = client_now_us(client) + timeout_us;
    client->answered_count = 0;
    while (client->window.in_flight > 0) {
        client_pump(client, until_us);
        if (client->answered_count > 0 || client->was_interrupted) break;
        if (timeout_us >= 0 && client_now_us(client) >= until_us) break;
    }
    return client->answered_count;
}

uint32_t fst_in_flight(const struct fst_client *client) {
    return client->window.in_flight;
}

uint32_t fst_in_flight_max(const struct fst_client *client) {
    return client->window.requests_max;
}

int fst_client_fd(const struct fst_client *client) {
    return client->link.fd;
}

bool fst_client_wants_write(const struct fst_client *client) {
    switch (client->phase) {
    case CLIENT_IDLE:
        return false;
    case CLIENT_CONNECTING:
        return true;
    case CLIENT_READY:
        return client->window.queued.first &&
               client->window.sent_count + client->abandoned_count < client->server.in_flight_max;
    default:
        return client->setup_sent < client->setup.bytes;
    }
}

int64_t fst_client_due_us(const struct fst_client *client) {
    int64_t due_us = client_due_us(client);
    if (due_us == INT64_MAX) return -1;
    int64_t left_us = due_us - client_now_us(client);
    return left_us > 0 ? left_us : 0;
}
