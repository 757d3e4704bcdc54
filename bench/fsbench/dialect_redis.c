#include "bench/fsbench/dialect_redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "bench/fsbench/item.h"

enum {
    KEY_DIGITS = 12,
    ROW_VERSION = 1,
    LINE_BYTES_MAX = 32,    /* of a length line, such as "$400" */
    FIELD_BYTES_MAX = 32,   /* of a field's name with its length line */
    VALUE_BYTES_MAX = 16,   /* of a field's value with its length line */
    REPLY_BYTES_MIN = 4096, /* room for an error line */
};

#define NIL "$-1\r\n"
enum { NIL_BYTES = sizeof NIL - 1 };

struct dialect_redis {
    struct dialect base;
    struct dialect_redis_options options;
    uint32_t *replies_count; /* per connection, modulo depth: the slot of the next reply */
    /* A read request without its keys, cut behind the command: the keys come between. */
    uint8_t *read_head;
    size_t read_head_bytes;
    uint8_t *read_tail;
    size_t read_tail_bytes;
    /* What a read is answered with, in front of its values and of each value. */
    char array_line[LINE_BYTES_MAX];
    size_t array_line_bytes;
    char value_line[LINE_BYTES_MAX];
    size_t value_line_bytes;
    uint32_t value_bytes; /* of each value: a feature, or a row */
    uint32_t values_count;
};

static struct dialect_redis *self_of(struct dialect *dialect) {
    return (struct dialect_redis *)dialect;
}

static uint8_t *text_put(uint8_t *at, const char *text) {
    return (uint8_t *)stpcpy((char *)at, text); /* its 0 is written over by what follows */
}

/* "$17\r\nitem:000000000042\r\n" */
static uint8_t *key_put(uint8_t *at, uint64_t key) {
    at = text_put(at, "$17\r\nitem:");
    for (int i = KEY_DIGITS - 1; i >= 0; i--, key /= 10) at[i] = (uint8_t)('0' + key % 10);
    return text_put(at + KEY_DIGITS, "\r\n");
}

static uint8_t *field_put(uint8_t *at, uint32_t column) {
    char name[16];
    int bytes = snprintf(name, sizeof name, "f%u", column);
    return at + sprintf((char *)at, "$%d\r\n%s\r\n", bytes, name);
}

/* Hash and fields, or one string. */
static uint8_t *row_put(const struct dialect_redis *self, uint64_t key, uint8_t *at) {
    uint32_t features = self->options.features_count;
    uint64_t seed = item_seed(key, ROW_VERSION);
    if (self->options.command != REDIS_HMGET) {
        at = key_put(text_put(at, "*3\r\n$3\r\nSET\r\n"), key);
        at += sprintf((char *)at, "$%u\r\n", features * 8);
        item_fill(at, features, key, ROW_VERSION);
        return text_put(at + (size_t)features * 8, "\r\n");
    }
    at += sprintf((char *)at, "*%u\r\n$4\r\nHSET\r\n", 2 + 2 * features);
    at = key_put(at, key);
    for (uint32_t i = 0; i < features; i++) {
        at = text_put(field_put(at, i), "$8\r\n");
        store_u64(at, item_value(seed, i));
        at = text_put(at + 8, "\r\n");
    }
    return at;
}

static enum fst_status redis_open(struct dialect *dialect, uint32_t connection, int socket,
                                  struct fst_error *error) {
    (void)dialect, (void)connection, (void)socket, (void)error;
    return FST_OK;
}

static size_t redis_encode(struct dialect *dialect, uint32_t connection, uint32_t slot,
                           const struct request *request, uint8_t *out) {
    (void)connection, (void)slot;
    const struct dialect_redis *self = self_of(dialect);
    if (request->is_write) {
        FST_ASSERT(request->keys_count == 1);
        return (size_t)(row_put(self, request_key(request, dialect->keys, 0), out) - out);
    }
    uint8_t *at = out;
    memcpy(at, self->read_head, self->read_head_bytes);
    at += self->read_head_bytes;
    for (uint32_t i = 0; i < request->keys_count; i++)
        at = key_put(at, request_key(request, dialect->keys, i));
    memcpy(at, self->read_tail, self->read_tail_bytes);
    return (size_t)(at + self->read_tail_bytes - out);
}

/* Bytes of the line from `at`, its end included, and the number it carries behind its first letter;
 * 0 if it is not whole, -1 if it is too long for a line. */
static int64_t line_decode(const uint8_t *at, size_t bytes, int64_t *number_out) {
    const uint8_t *end = memchr(at, '\n', bytes < REPLY_BYTES_MIN ? bytes : REPLY_BYTES_MIN);
    if (!end) return bytes < REPLY_BYTES_MIN ? 0 : -1;
    const uint8_t *digit = at + 1;
    bool is_negative = digit < end && *digit == '-';
    int64_t number = 0;
    if (is_negative) digit++;
    for (; *digit >= '0' && *digit <= '9' && number < INT32_MAX; digit++)
        number = number * 10 + (*digit - '0');
    *number_out = is_negative ? -number : number;
    return end + 1 - at;
}

/* Bytes of the values from `at`: each a length line and as many bytes. 0 and -1 as for a reply. */
static int64_t values_decode(const uint8_t *at, size_t bytes, int64_t values_count) {
    size_t used = 0;
    for (int64_t i = 0; i < values_count; i++) {
        int64_t value_bytes;
        if (used == bytes) return 0;
        if (at[used] != '$') return -1;
        int64_t line_bytes = line_decode(at + used, bytes - used, &value_bytes);
        if (line_bytes <= 0) return line_bytes;
        used += (size_t)line_bytes;
        if (value_bytes < 0) continue;
        used += (size_t)value_bytes + 2;
        if (used > bytes) return 0;
        if (at[used - 2] != '\r' || at[used - 1] != '\n') return -1;
    }
    return (int64_t)used;
}

static int64_t redis_decode(struct dialect *dialect, uint32_t connection, const uint8_t *data,
                            size_t bytes, struct reply *reply_out) {
    struct dialect_redis *self = self_of(dialect);
    int64_t number;
    if (bytes == 0) return 0;
    int64_t used = line_decode(data, bytes, &number);
    if (used <= 0) return used;
    if (used < 3) return -1;
    if (data[0] == '$') {
        used = values_decode(data, bytes, 1);
    } else if (data[0] == '*') {
        int64_t more = values_decode(data + used, bytes - (size_t)used, number);
        bool is_empty = number <= 0;
        used = more > 0 || is_empty ? used + more : more;
    } else if (data[0] != '+' && data[0] != ':' && data[0] != '-') {
        return -1;
    }
    if (used <= 0) return used;
    *reply_out = (struct reply){
        .slot = self->replies_count[connection], .payload = data, .payload_bytes = (uint32_t)used};
    if (data[0] == '-') {
        reply_out->answer = REPLY_REFUSED;
        reply_out->status = FST_INVALID;
        reply_out->text = (struct bytes){.data = data + 1, .bytes = (size_t)used - 3};
    }
    if (++self->replies_count[connection] == self->options.depth)
        self->replies_count[connection] = 0;
    return used;
}

/* Judges the value number `index` of a reply, the first in `rest`: columns [column, column + count)
 * of it, or that it is nil. Returns its bytes, or 0 if it is wrong. */
static size_t value_judge(const struct dialect_redis *self, const struct request *request,
                          struct bytes rest, uint32_t index, uint32_t column, uint32_t count) {
    bool is_field = self->options.command == REDIS_HMGET;
    uint64_t key = request_key(request, self->base.keys, is_field ? 0 : index);
    if (key >= self->base.keys->keys_count)
        return rest.bytes >= NIL_BYTES && memcmp(rest.data, NIL, NIL_BYTES) == 0 ? NIL_BYTES : 0;
    size_t bytes = self->value_line_bytes + self->value_bytes + 2;
    if (rest.bytes < bytes) return 0;
    if (memcmp(rest.data, self->value_line, self->value_line_bytes) != 0) return 0;
    const uint8_t *value = rest.data + self->value_line_bytes;
    uint64_t seed = item_seed(key, ROW_VERSION);
    if (is_field) return load_u64(value) == item_value(seed, index) ? bytes : 0;
    for (uint32_t i = column; i < column + count; i++) {
        if (load_u64(value + (size_t)i * 8) != item_value(seed, i)) return 0;
    }
    return bytes;
}

/* Where some values may be nil, their places follow only from those before: all are judged. */
static bool values_are_right(const struct dialect_redis *self, const struct request *request,
                             struct bytes values, bool is_full) {
    uint32_t pick = (uint32_t)mix_u64(request->begin_ns);
    uint32_t features = self->options.features_count;
    uint32_t column = is_full ? 0 : (pick >> 16) % features;
    uint32_t columns_count = is_full ? features : 1;
    struct bytes rest = values;
    if (self->base.keys->miss_share == 0 && !is_full) {
        size_t stride = self->value_line_bytes + self->value_bytes + 2;
        uint32_t index = pick % self->values_count;
        if (values.bytes != self->values_count * stride) return false;
        rest = (struct bytes){.data = values.data + index * stride, .bytes = stride};
        return value_judge(self, request, rest, index, column, 1) > 0;
    }
    for (uint32_t i = 0; i < self->values_count; i++) {
        size_t used = value_judge(self, request, rest, i, column, columns_count);
        if (used == 0) return false;
        rest = (struct bytes){.data = rest.data + used, .bytes = rest.bytes - used};
    }
    return rest.bytes == 0;
}

static bool redis_verify(struct dialect *dialect, const struct request *request,
                         const struct reply *reply, bool is_full) {
    const struct dialect_redis *self = self_of(dialect);
    if (request->is_write) return reply->payload[0] == '+' || reply->payload[0] == ':';
    size_t head_bytes = self->array_line_bytes;
    if (reply->payload_bytes < head_bytes) return false;
    if (memcmp(reply->payload, self->array_line, head_bytes) != 0) return false;
    struct bytes values = {.data = reply->payload + head_bytes,
                           .bytes = reply->payload_bytes - head_bytes};
    return values_are_right(self, request, values, is_full);
}

static void redis_close(struct dialect *dialect) {
    struct dialect_redis *self = self_of(dialect);
    free(self->replies_count);
    free(self->read_head);
    free(self->read_tail);
    free(self);
}

static const struct dialect_ops redis_ops = {
    .name = "Redis",
    .open = redis_open,
    .encode = redis_encode,
    .decode = redis_decode,
    .verify = redis_verify,
    .close = redis_close,
};

static void templates_fill(struct dialect_redis *self) {
    const struct dialect_redis_options *options = &self->options;
    char *head = (char *)self->read_head;
    uint8_t *tail = self->read_tail;
    int head_bytes = 0, array_bytes = 0;
    uint32_t features = options->features_count;
    self->values_count = options->keys_per_read;
    self->value_bytes = features * 8;
    if (options->command == REDIS_HMGET) {
        head_bytes = sprintf(head, "*%u\r\n$5\r\nHMGET\r\n", 2 + features);
        for (uint32_t i = 0; i < features; i++) tail = field_put(tail, i);
        self->values_count = features;
        self->value_bytes = 8;
    } else if (options->command == REDIS_MGET) {
        head_bytes = sprintf(head, "*%u\r\n$4\r\nMGET\r\n", 1 + options->keys_per_read);
    } else {
        head_bytes = sprintf(head, "*2\r\n$3\r\nGET\r\n");
    }
    if (options->command == REDIS_HMGET || options->command == REDIS_MGET)
        array_bytes = snprintf(self->array_line, LINE_BYTES_MAX, "*%u\r\n", self->values_count);
    self->read_head_bytes = (size_t)head_bytes;
    self->read_tail_bytes = (size_t)(tail - self->read_tail);
    self->array_line_bytes = (size_t)array_bytes;
    self->value_line_bytes =
        (size_t)snprintf(self->value_line, LINE_BYTES_MAX, "$%u\r\n", self->value_bytes);
}

static void sizes_settle(struct dialect_redis *self) {
    size_t read_bytes = self->read_head_bytes + self->read_tail_bytes +
                        (size_t)self->options.keys_per_read * FIELD_BYTES_MAX;
    size_t write_bytes =
        128 + (size_t)self->options.features_count * (FIELD_BYTES_MAX + VALUE_BYTES_MAX);
    size_t reply_bytes =
        self->array_line_bytes +
        (size_t)self->values_count * (self->value_line_bytes + self->value_bytes + 2);
    self->base.request_bytes_max = (uint32_t)(read_bytes > write_bytes ? read_bytes : write_bytes);
    self->base.reply_bytes_max = REPLY_BYTES_MIN;
    if (reply_bytes > REPLY_BYTES_MIN) self->base.reply_bytes_max = (uint32_t)reply_bytes;
}

enum fst_status dialect_redis_create(const struct dialect_redis_options *options,
                                     const struct key_stream *keys, struct dialect **dialect_out,
                                     struct fst_error *error) {
    FST_ASSERT(options->features_count >= 1 && options->features_count <= REDIS_FEATURES_MAX);
    FST_ASSERT(options->keys_per_read >= 1 && options->keys_per_read <= REDIS_KEYS_MAX);
    if (options->keys_per_read > 1 && options->command != REDIS_MGET)
        return fst_error_set(error, FST_INVALID, "only mget reads several keys at a time");
    struct dialect_redis *self = calloc(1, sizeof *self);
    if (!self) return fst_error_set(error, FST_NO_MEMORY, "no memory");
    self->base = (struct dialect){.ops = &redis_ops, .keys = keys};
    self->options = *options;
    self->replies_count = calloc(options->connections_count, sizeof *self->replies_count);
    self->read_head = calloc(1, FIELD_BYTES_MAX + LINE_BYTES_MAX);
    self->read_tail = calloc(options->features_count + 1, FIELD_BYTES_MAX);
    if (!self->replies_count || !self->read_head || !self->read_tail) {
        redis_close(&self->base);
        return fst_error_set(error, FST_NO_MEMORY, "no memory");
    }
    templates_fill(self);
    sizes_settle(self);
    *dialect_out = &self->base;
    return FST_OK;
}
