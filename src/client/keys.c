/* Keys of a read, in canonical form, and the read itself. */
#include <inttypes.h>

#include "base/assert.h"
#include "client/client.h"

enum { GET_HEAD_BYTES = 32, GET_SERVE_EXPIRED = 1, GET_STATUSES = 2 };

struct fst_keys {
    struct fst_handle *handle;
    struct client_buffer canonical;
    uint32_t generation; /* of the handle when the keys were cleared */
    uint32_t count;      /* whole keys */
    uint32_t column;     /* the next one */
    enum fst_status status;
    size_t key_begin; /* of the key being put */
};

struct fst_keys *fst_keys_create(struct fst_handle *handle) {
    struct fst_keys *keys = calloc(1, sizeof *keys);
    if (!keys) return NULL;
    keys->handle = handle;
    fst_keys_clear(keys);
    return keys;
}

void fst_keys_destroy(struct fst_keys *keys) {
    if (!keys) return;
    client_buffer_deinit(&keys->canonical);
    free(keys);
}

void fst_keys_clear(struct fst_keys *keys) {
    keys->canonical.bytes = 0;
    keys->generation = keys->handle->generation;
    keys->count = 0;
    keys->column = 0;
    keys->key_begin = 0;
    keys->status = FST_OK;
}

uint32_t fst_keys_count(const struct fst_keys *keys) {
    return keys->count;
}

static enum fst_status column_append(struct fst_keys *keys, struct fst_type type,
                                     const struct fst_value *value) {
    FST_TRY(client_value_fits(type, value));
    uint8_t room[CLIENT_FIXED_BYTES_MAX];
    struct bytes encoded = client_value_encode(type, value, room);
    if (client_type_bytes(type) == 0) {
        if (encoded.bytes > CLIENT_KEY_BYTES_MAX) return FST_TOO_LARGE;
        uint16_t bytes = (uint16_t)encoded.bytes;
        if (!client_buffer_append_bytes(&keys->canonical, &bytes, sizeof bytes)) {
            return FST_NO_MEMORY;
        }
    }
    bool has_room = client_buffer_append_bytes(&keys->canonical, encoded.data, encoded.bytes);
    return has_room ? FST_OK : FST_NO_MEMORY;
}

enum fst_status fst_keys_put(struct fst_keys *keys, struct fst_value value) {
    const struct fst_handle *handle = keys->handle;
    if (keys->status != FST_OK) return keys->status;
    if (keys->generation != handle->generation) {
        keys->status = FST_LAYOUT_CHANGED;
    } else if (keys->count >= handle->client->server.keys_max) {
        keys->status = FST_TOO_LARGE;
    } else {
        keys->status = column_append(keys, handle->keys[keys->column].type, &value);
    }
    if (keys->status != FST_OK) return keys->status;
    if (keys->column + 1 < handle->keys_count) {
        keys->column += 1;
        return FST_OK;
    }
    if (keys->canonical.bytes - keys->key_begin > CLIENT_KEY_BYTES_MAX) {
        keys->status = FST_TOO_LARGE;
        return keys->status;
    }
    keys->column = 0;
    keys->count += 1;
    keys->key_begin = keys->canonical.bytes;
    return FST_OK;
}

/* ---- reading ---- */

static enum fst_status keys_check(const struct fst_keys *keys, struct fst_error *error) {
    const struct fst_handle *handle = keys->handle;
    if (handle->is_write) {
        return fst_error_set(error, FST_INVALID, "expected a handle prepared for reading");
    }
    if (handle->status != FST_OK) {
        return fst_error_set(error, handle->status, "%s", handle->fault.text);
    }
    if (keys->generation != handle->generation) {
        return fst_error_set(error, FST_LAYOUT_CHANGED,
                             "the key columns changed; clear the keys and put them again");
    }
    if (keys->status != FST_OK) {
        return fst_error_set(error, keys->status, "key %u, column '%s': %s", keys->count + 1,
                             handle->keys[keys->column].name, fst_status_text(keys->status));
    }
    if (keys->column != 0) {
        return fst_error_set(error, FST_INVALID, "key %u has no value for column '%s'",
                             keys->count + 1, handle->keys[keys->column].name);
    }
    if (keys->count == 0) return fst_error_set(error, FST_INVALID, "expected at least one key");
    return FST_OK;
}

static enum fst_status options_check(const struct fst_get_options *options,
                                     struct fst_error *error) {
    if (options->deadline_us >= 0) return FST_OK;
    return fst_error_set(error, FST_INVALID, "deadline_us: expected 0 or more, found %" PRId64,
                         options->deadline_us);
}

static enum fst_status shape_check(const struct fst_handle *handle,
                                   const struct fst_get_options *options, struct fst_error *error) {
    if (options->shape > FST_SHAPE_FLOAT64) {
        return fst_error_set(error, FST_INVALID, "expected one of enum fst_shape, found %d",
                             (int)options->shape);
    }
    if (!client_shape_is_matrix(options->shape)) return FST_OK;
    for (uint32_t i = 0; i < handle->features_count; i++) {
        const struct fst_column *feature = &handle->features[i];
        if (client_type_is_number(feature->type)) continue;
        char type[FST_TYPE_TEXT_BYTES];
        fst_type_format(feature->type, type);
        return fst_error_set(error, FST_INVALID, "a matrix has numbers, and %s:%s is of type %s",
                             feature->view, feature->name, type);
    }
    return FST_OK;
}

enum fst_status fst_submit_get(const struct fst_keys *keys, const struct fst_get_options *options,
                               const struct fst_call *call, struct fst_error *error) {
    static const struct fst_get_options defaults = {.as_of_us = FST_NOW};
    if (!options) options = &defaults;
    struct fst_handle *handle = keys->handle;
    struct client_request *request = NULL;
    FST_TRY(keys_check(keys, error));
    FST_TRY(options_check(options, error));
    FST_TRY(shape_check(handle, options, error));
    bool has_statuses = options->has_statuses && client_shape_is_matrix(options->shape);
    FST_TRY(client_request_create(handle->client, FRAME_GET, call, &request, error));
    uint8_t *room = client_buffer_append(&request->frame, GET_HEAD_BYTES + keys->canonical.bytes);
    if (!room) return fst_error_set(error, FST_NO_MEMORY, "no memory for a request");
    store_u64(room, handle->layout->id);
    store_i64(room + 8, options->as_of_us);
    store_i64(room + 16, options->deadline_us);
    store_u32(room + 24, keys->count);
    room[28] = (uint8_t)options->shape;
    room[29] = (uint8_t)(options->serves_expired ? GET_SERVE_EXPIRED : 0);
    if (has_statuses) room[29] |= GET_STATUSES;
    store_u16(room + 30, 0);
    memcpy(room + GET_HEAD_BYTES, keys->canonical.data, keys->canonical.bytes);
    request->handle = handle;
    request->generation = keys->generation;
    request->rows_count = keys->count;
    request->shape = options->shape;
    request->has_statuses = has_statuses;
    return client_request_submit(handle->client, request, error);
}

enum fst_status fst_get(const struct fst_keys *keys, const struct fst_get_options *options,
                        struct fst_reply *reply_out) {
    struct client_waiter waiter;
    struct fst_error error = {0};
    struct fst_client *client = keys->handle->client;
    struct fst_call call = client_waiter_call(&waiter, client, reply_out);
    enum fst_status status = client_may_wait(client, &error);
    if (status == FST_OK) status = fst_submit_get(keys, options, &call, &error);
    return client_wait(&waiter, status, &error);
}
