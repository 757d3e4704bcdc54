/* What a frame from the server means, and how requests end. */
#include <stdio.h>

#include "base/assert.h"
#include "client/client.h"

/* ---- ending requests ---- */

void client_finish(struct fst_client *client, struct client_request *request,
                   const struct fst_reply *reply) {
    struct fst_call call = request->call;
    if (request->handle) request->handle->in_flight -= 1;
    client_window_put(&client->window, request); /* I3 */
    client->answered_count += 1;
    bool was_answering = client->is_answering;
    client->is_answering = true;
    call.done(call.context, reply);
    client->is_answering = was_answering;
}

void client_fail(struct fst_client *client, struct client_request *request, enum fst_status status,
                 const char *text) {
    if (text != client->text) (void)snprintf(client->text, sizeof client->text, "%s", text);
    struct fst_reply reply = {.status = status, .text = client->text, .handle = request->handle};
    client_finish(client, request, &reply);
}

/* ---- statuses ---- */

static enum fst_status fault(struct fst_client *client, const char *text) {
    return fst_error_set(&client->fault, FST_BAD_FRAME, "a reply has %s", text);
}

/* Text of an error payload, into client->text. */
static enum fst_status error_read(struct fst_client *client, const struct frame *frame,
                                  uint32_t *retry_us_out) {
    struct bytes text;
    if (frame->handle < FRAME_STATUS_ERROR_FIRST || frame->handle > UINT8_MAX ||
        frame_decode_error(frame, retry_us_out, &text) != FST_OK) {
        return fault(client, "a bad status or error payload");
    }
    size_t bytes = text.bytes < sizeof client->text - 1 ? text.bytes : sizeof client->text - 1;
    if (bytes > 0) memcpy(client->text, text.data, bytes);
    client->text[bytes] = '\0';
    return FST_OK;
}

/* ---- layouts ---- */

/* Reads a PREPARE reply. What is wrong with the handle itself is remembered in it, and no fault. */
static enum fst_status layout_read(struct fst_client *client, struct fst_handle *handle,
                                   const struct frame *frame) {
    struct client_layout *layout;
    struct bytes payload = {.data = frame->payload, .bytes = frame->payload_bytes};
    enum fst_status status = client_layout_decode(payload, &layout);
    if (status == FST_BAD_FRAME) return fault(client, "a bad layout");
    if (status == FST_OK) status = client_handle_adopt(handle, layout);
    if (status == FST_BAD_FRAME) return fault(client, "a layout that was not asked for");
    handle->status = FST_OK;
    if (status == FST_NO_MEMORY) {
        handle->status = fst_error_set(&handle->fault, status, "no memory for a layout");
    } else if (status == FST_LAYOUT_CHANGED) {
        handle->status =
            fst_error_set(&handle->fault, status, "features that were prepared no longer exist");
    }
    return FST_OK;
}

static void handle_refused(struct fst_client *client, struct fst_handle *handle,
                           const struct frame *frame) {
    handle->number = 0;
    handle->status =
        fst_error_set(&handle->fault, (enum fst_status)frame->handle, "%s", client->text);
}

static enum fst_status prepare_answer(struct fst_client *client, struct client_request *request,
                                      const struct frame *frame) {
    struct fst_handle *handle = request->handle;
    struct fst_reply reply = {.text = ""};
    if (frame->handle == FST_OK) {
        FST_TRY(layout_read(client, handle, frame));
        reply.status = handle->status;
        if (reply.status != FST_OK) reply.text = handle->fault.text;
    } else {
        FST_TRY(error_read(client, frame, &reply.retry_us));
        reply.status = (enum fst_status)frame->handle;
        reply.text = client->text;
    }
    if (reply.status == FST_OK) client->handles[client->handles_count++] = handle;
    client_finish(client, request, &reply);
    return FST_OK;
}

/* Repeats the request with the layout in the reply, if what it carries still fits. */
static enum fst_status layout_changed(struct fst_client *client, struct client_request *request,
                                      const struct frame *frame) {
    FST_TRY(layout_read(client, request->handle, frame));
    if (request->handle->status != FST_OK) {
        client_fail(client, request, request->handle->status, request->handle->fault.text);
    } else if (request->is_unknown && request->has_effect) {
        client_fail(client, request, FST_OUTCOME_UNKNOWN,
                    "definitions changed while the connection was broken");
    } else if (request->generation != request->handle->generation) {
        client_fail(client, request, FST_LAYOUT_CHANGED,
                    "key columns or types changed; fill in keys or rows again");
    } else if (request->attempts >= client->options.attempts_max) {
        client_fail(client, request, FST_LAYOUT_CHANGED, "definitions keep changing");
    } else {
        /* It was not applied, but later ones may have been: an old sequence would look repeated. */
        if (request->opcode == FRAME_WRITE) {
            store_u64(request->frame.data + FRAME_HEADER_BYTES + 8, fst_sequence_next(client));
        }
        client_window_repeat(&client->window, request);
    }
    return FST_OK;
}

/* ---- frames ---- */

static enum fst_status request_answer(struct fst_client *client, const struct frame *frame) {
    struct client_request *request = client_window_find(&client->window, frame->request_id);
    if (!request && client->abandoned_count > 0) {
        client->abandoned_count -= 1;
        return FST_OK;
    }
    if (!request) return fault(client, "an id that was not asked for");
    if (request->opcode != frame->opcode) return fault(client, "another opcode than its request");
    if (request->opcode == FRAME_PREPARE) return prepare_answer(client, request, frame);
    if (frame->handle == FST_LAYOUT_CHANGED && request->handle) {
        return layout_changed(client, request, frame);
    }
    struct fst_reply reply = {.text = "", .handle = request->handle};
    if (frame->handle == FST_OK) {
        struct bytes payload = {.data = frame->payload, .bytes = frame->payload_bytes};
        if (client_reply_decode(request, payload, &reply) != FST_OK) {
            return fault(client, "a payload that is not of the size or form asked for");
        }
    } else {
        FST_TRY(error_read(client, frame, &reply.retry_us));
        /* A refusal says nothing about an earlier attempt. */
        bool is_unknown = request->is_unknown && request->has_effect;
        reply.status = is_unknown ? FST_OUTCOME_UNKNOWN : (enum fst_status)frame->handle;
        reply.text = client->text;
    }
    client_finish(client, request, &reply);
    return FST_OK;
}

/* ---- a new connection ---- */

/* The next handle's PREPARE, or phase READY when all have been prepared. */
static enum fst_status preparation_begin(struct fst_client *client) {
    client->setup.bytes = 0;
    client->setup_sent = 0;
    if (client->setup_handle == client->handles_count) {
        client->phase = CLIENT_READY;
        client->backoff_us = client->options.backoff_us_min;
        return FST_OK;
    }
    const struct client_buffer *prepare = &client->handles[client->setup_handle]->prepare;
    size_t bytes = FRAME_HEADER_BYTES + prepare->bytes;
    uint8_t *room = client_buffer_append(&client->setup, bytes);
    if (!room) return fst_error_set(&client->fault, FST_NO_MEMORY, "no memory to prepare");
    frame_encode_request(room, (uint32_t)bytes, FRAME_PREPARE, CLIENT_SETUP_ID, 0);
    memcpy(room + FRAME_HEADER_BYTES, prepare->data, prepare->bytes);
    return FST_OK;
}

static enum fst_status greeting_answer(struct fst_client *client, const struct frame *frame) {
    if (frame->opcode != FRAME_HELLO) return fault(client, "another opcode than HELLO");
    if (frame->handle != FST_OK) {
        FST_TRY(error_read(client, frame, &client->retry_us));
        return fst_error_set(&client->fault, (enum fst_status)frame->handle, "%s", client->text);
    }
    struct bytes payload = {.data = frame->payload, .bytes = frame->payload_bytes};
    enum fst_status status = client_greeting_decode(payload, &client->server);
    if (status == FST_UNSUPPORTED) {
        return fst_error_set(&client->fault, status, "the server speaks another protocol version");
    }
    if (status != FST_OK) return fault(client, "a bad greeting");
    client->phase = CLIENT_PREPARING;
    client->setup_handle = 0;
    return preparation_begin(client);
}

/* A handle of the connection before, prepared again. A refusal is the handle's problem alone. */
static enum fst_status preparation_answer(struct fst_client *client, const struct frame *frame) {
    if (frame->opcode != FRAME_PREPARE) return fault(client, "another opcode than PREPARE");
    struct fst_handle *handle = client->handles[client->setup_handle];
    uint32_t retry_us;
    if (frame->handle == FST_OK) {
        FST_TRY(layout_read(client, handle, frame));
    } else {
        FST_TRY(error_read(client, frame, &retry_us));
        handle_refused(client, handle, frame);
    }
    client->setup_handle += 1;
    return preparation_begin(client);
}

enum fst_status client_answer(struct fst_client *client, const struct frame *frame) {
    bool is_setup = client->phase == CLIENT_GREETING || client->phase == CLIENT_PREPARING;
    if (!is_setup) return request_answer(client, frame);
    /* Before the greeting, an error may concern the connection and not the request. */
    bool is_error = client->phase == CLIENT_GREETING && frame->handle != FST_OK;
    if (client->setup.bytes == 0 || (frame->request_id != CLIENT_SETUP_ID && !is_error)) {
        return fault(client, "an id that was not asked for");
    }
    if (client->phase == CLIENT_GREETING) return greeting_answer(client, frame);
    return preparation_answer(client, frame);
}
