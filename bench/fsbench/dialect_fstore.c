#include "bench/fsbench/dialect_fstore.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "bench/fsbench/fstore_session.h"
#include "bench/fsbench/item.h"

enum {
    GET_FIXED_BYTES = FSTORE_HEADER_BYTES + 32,
    WRITE_FIXED_BYTES = FSTORE_HEADER_BYTES + 24,
    REPLY_FIXED_BYTES = FSTORE_HEADER_BYTES + 8,
    REPLY_BYTES_MIN = 64 << 10, /* room for error texts and changed layouts */
    STATUS_ERROR_FIRST = 16,
};

struct link {
    struct fstore_layout read;
    uint32_t write_handle;
    uint64_t write_layout_id;
    uint64_t sequence;
};

struct dialect_fstore {
    struct dialect base;
    struct dialect_fstore_options options;
    struct link *links;
    uint64_t *seeds; /* of the rows of one write */
};

static struct dialect_fstore *self_of(struct dialect *dialect) {
    return (struct dialect_fstore *)dialect;
}

static uint64_t write_bytes_of(const struct dialect_fstore_options *options) {
    uint64_t rows = options->rows_per_write;
    return WRITE_FIXED_BYTES + rows * 16 + options->features_count * ((rows + 7) / 8 + rows * 8);
}

static enum fst_status limits_judge(const struct dialect_fstore *self,
                                    const struct fstore_limits *limits, struct fst_error *error) {
    const struct dialect_fstore_options *options = &self->options;
    if (options->depth > limits->in_flight_max)
        return fst_error_set(error, FST_INVALID, "--depth: the server takes at most %u",
                             limits->in_flight_max);
    if (options->keys_per_read > limits->keys_max)
        return fst_error_set(error, FST_INVALID, "the server takes at most %u keys per request",
                             limits->keys_max);
    if (write_bytes_of(options) > limits->bulk_bytes_max)
        return fst_error_set(error, FST_INVALID, "the server takes writes of at most %u bytes",
                             limits->bulk_bytes_max);
    return FST_OK;
}

static enum fst_status fstore_open(struct dialect *dialect, uint32_t connection, int socket,
                                   struct fst_error *error) {
    struct dialect_fstore *self = self_of(dialect);
    struct link *link = &self->links[connection];
    struct fstore_limits limits;
    struct fstore_layout write;
    uint64_t client_id = mix_u64(self->options.client_id_seed + connection) | 1;
    FST_TRY(fstore_session_open(socket, client_id, self->options.api_key, &limits, error));
    FST_TRY(limits_judge(self, &limits, error));
    if (self->options.applies && connection == 0)
        FST_TRY(fstore_session_apply(socket, self->options.features_count, self->options.is_evicted,
                                     error));
    FST_TRY(fstore_session_prepare_read(socket, self->options.features_count, &link->read, error));
    FST_TRY(fstore_session_prepare_write(socket, self->options.features_count, &write, error));
    if (link->read.layout_id != self->links[0].read.layout_id)
        return fst_error_set(error, FST_BUSY, "the definition changed meanwhile");
    link->write_handle = write.handle;
    link->write_layout_id = write.layout_id;
    uint64_t reply_bytes = FSTORE_HEADER_BYTES + reply_shape_bytes(self->options.shape, &link->read,
                                                                   self->options.keys_per_read);
    if (reply_bytes > UINT32_MAX / 4)
        return fst_error_set(error, FST_TOO_LARGE, "replies would be too large");
    if (reply_bytes > dialect->reply_bytes_max) dialect->reply_bytes_max = (uint32_t)reply_bytes;
    return FST_OK;
}

static size_t get_encode(const struct dialect_fstore *self, const struct link *link, uint32_t slot,
                         const struct request *request, uint8_t *out) {
    uint32_t bytes = GET_FIXED_BYTES + request->keys_count * 8;
    fstore_header_put(out, bytes, FSTORE_GET, slot, link->read.handle);
    store_u64(out + 16, link->read.layout_id);
    store_i64(out + 24, INT64_MIN); /* as of now */
    store_i64(out + 32, self->options.deadline_us);
    store_u32(out + 40, request->keys_count);
    store_u32(out + 44, self->options.shape); /* and no options */
    for (uint32_t i = 0; i < request->keys_count; i++)
        store_u64(out + GET_FIXED_BYTES + (size_t)i * 8, request_key(request, self->base.keys, i));
    return bytes;
}

/* Columns, not rows: event times, keys, then each feature behind its null bits. */
static size_t write_encode(const struct dialect_fstore *self, struct link *link, uint32_t slot,
                           const struct request *request, uint8_t *out) {
    uint32_t rows = request->keys_count;
    uint8_t *at = out + WRITE_FIXED_BYTES;
    for (uint32_t i = 0; i < rows; i++, at += 8) store_i64(at, request->version);
    for (uint32_t i = 0; i < rows; i++, at += 8) {
        uint64_t key = request_key(request, self->base.keys, i);
        store_u64(at, key);
        self->seeds[i] = item_seed(key, request->version);
    }
    for (uint32_t column = 0; column < self->options.features_count; column++) {
        memset(at, 0, (rows + 7) / 8);
        at += (rows + 7) / 8;
        for (uint32_t i = 0; i < rows; i++, at += 8)
            store_u64(at, item_value(self->seeds[i], column));
    }
    uint32_t bytes = (uint32_t)(at - out);
    fstore_header_put(out, bytes, FSTORE_WRITE, slot, link->write_handle);
    store_u64(out + 16, link->write_layout_id);
    store_u64(out + 24, ++link->sequence);
    store_u32(out + 32, rows);
    store_u32(out + 36, self->options.is_durable); /* and no created times */
    return bytes;
}

static size_t fstore_encode(struct dialect *dialect, uint32_t connection, uint32_t slot,
                            const struct request *request, uint8_t *out) {
    struct dialect_fstore *self = self_of(dialect);
    struct link *link = &self->links[connection];
    if (request->is_write) return write_encode(self, link, slot, request, out);
    return get_encode(self, link, slot, request, out);
}

/* The worst of the rows' answers. */
static void write_judge(struct reply *reply) {
    struct reader reader = reader_of(reply->payload, reply->payload_bytes);
    uint32_t rows = read_u32(&reader);
    uint32_t not_ok = read_u32(&reader);
    const uint8_t *answers = not_ok ? read_bytes(&reader, rows) : NULL;
    if (!reader_is_done(&reader)) {
        reply->answer = REPLY_REFUSED;
        reply->status = FST_CORRUPT;
        return;
    }
    for (uint32_t i = 0; answers && i < rows; i++) {
        if (answers[i] == FST_OK) continue;
        bool is_stale = answers[i] == FST_STALE;
        reply->answer = is_stale ? REPLY_STALE : REPLY_REFUSED;
        reply->status = (enum fst_status)answers[i];
        if (!is_stale) return;
    }
}

static int64_t fstore_decode(struct dialect *dialect, uint32_t connection, const uint8_t *data,
                             size_t bytes, struct reply *reply_out) {
    (void)connection;
    if (bytes < FSTORE_HEADER_BYTES) return 0;
    uint32_t frame_bytes = load_u32(data);
    uint8_t opcode = data[4];
    if (frame_bytes < FSTORE_HEADER_BYTES || frame_bytes > dialect->reply_bytes_max) return -1;
    if (data[5] != FSTORE_FLAG_REPLY || load_u16(data + 6) != 0) return -1;
    if (opcode != FSTORE_GET && opcode != FSTORE_WRITE) return -1;
    if (bytes < frame_bytes) return 0;
    uint32_t status = load_u32(data + 12);
    *reply_out = (struct reply){.slot = load_u32(data + 8),
                                .payload = data + FSTORE_HEADER_BYTES,
                                .payload_bytes = frame_bytes - FSTORE_HEADER_BYTES};
    if (status >= STATUS_ERROR_FIRST) {
        reply_out->answer = REPLY_REFUSED;
        reply_out->status = status <= FST_INTERNAL ? (enum fst_status)status : FST_INTERNAL;
        struct reader reader = reader_of(reply_out->payload, reply_out->payload_bytes);
        read_u32(&reader); /* when to try again */
        reply_out->text = read_short(&reader);
    } else if (opcode == FSTORE_WRITE) {
        write_judge(reply_out);
    }
    return frame_bytes;
}

/* Keeps the versions of rows for replies that do not carry them. */
static void versions_learn(const struct dialect_fstore *self, const struct request *request,
                           const struct shaped_reply *reply) {
    for (uint32_t i = 0; i < request->keys_count; i++) {
        uint64_t key = request_key(request, self->base.keys, i);
        if (key_stream_has(self->base.keys, key))
            self->options.versions[key - self->base.keys->first] = shaped_row_version(reply, i);
    }
}

static bool fstore_verify(struct dialect *dialect, const struct request *request,
                          const struct reply *reply, bool is_full) {
    const struct dialect_fstore *self = self_of(dialect);
    const struct fstore_layout *layout = &self->links[0].read;
    if (request->is_write)
        return reply->payload_bytes >= 8 && load_u32(reply->payload) == request->keys_count;
    struct shaped_reply shaped = {.shape = self->options.shape,
                                  .layout = layout,
                                  .payload = reply->payload,
                                  .payload_bytes = reply->payload_bytes,
                                  .keys_count = request->keys_count};
    if (!shaped_reply_check(&shaped)) return false;
    if (self->options.learns_versions) versions_learn(self, request, &shaped);
    uint32_t features = layout->features_count;
    uint32_t pick = (uint32_t)mix_u64(request->begin_ns);
    uint32_t first = is_full ? 0 : pick % request->keys_count;
    uint32_t end = is_full ? request->keys_count : first + 1;
    for (uint32_t i = first; i < end; i++) {
        struct row_question row = {.index = i,
                                   .key = request_key(request, dialect->keys, i),
                                   .column = is_full ? 0 : (pick >> 16) % features,
                                   .columns_count = is_full ? features : 1};
        row.exists = key_stream_has(dialect->keys, row.key);
        if (row.exists && self->options.versions)
            row.version = self->options.versions[row.key - dialect->keys->first];
        if (!shaped_row_check(&shaped, &row)) return false;
    }
    return true;
}

static void fstore_close(struct dialect *dialect) {
    struct dialect_fstore *self = self_of(dialect);
    free(self->links);
    free(self->seeds);
    free(self);
}

static const struct dialect_ops fstore_ops = {
    .name = "fstore",
    .open = fstore_open,
    .encode = fstore_encode,
    .decode = fstore_decode,
    .verify = fstore_verify,
    .close = fstore_close,
};

enum fst_status dialect_fstore_create(const struct dialect_fstore_options *options,
                                      const struct key_stream *keys, struct dialect **dialect_out,
                                      struct fst_error *error) {
    FST_ASSERT(options->features_count >= 1 && options->features_count <= FSTORE_FEATURES_MAX);
    FST_ASSERT(options->versions || reply_shape_has_versions(options->shape));
    uint64_t get_bytes = GET_FIXED_BYTES + (uint64_t)options->keys_per_read * 8;
    uint64_t write_bytes = write_bytes_of(options);
    uint64_t request_bytes = get_bytes > write_bytes ? get_bytes : write_bytes;
    if (request_bytes > UINT32_MAX / 4)
        return fst_error_set(error, FST_TOO_LARGE, "requests would be too large");
    struct dialect_fstore *self = calloc(1, sizeof *self);
    if (!self) return fst_error_set(error, FST_NO_MEMORY, "no memory");
    self->base = (struct dialect){.ops = &fstore_ops,
                                  .keys = keys,
                                  .request_bytes_max = (uint32_t)request_bytes,
                                  .reply_bytes_max = REPLY_BYTES_MIN};
    if (self->base.reply_bytes_max < REPLY_FIXED_BYTES + options->rows_per_write)
        self->base.reply_bytes_max = REPLY_FIXED_BYTES + options->rows_per_write;
    self->options = *options;
    self->links = calloc(options->connections_count, sizeof *self->links);
    self->seeds = calloc(options->rows_per_write, sizeof *self->seeds);
    if (!self->links || !self->seeds) {
        fstore_close(&self->base);
        return fst_error_set(error, FST_NO_MEMORY, "no memory");
    }
    *dialect_out = &self->base;
    return FST_OK;
}
