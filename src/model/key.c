#include "model/key.h"

bool key_type_is_allowed(struct type type) {
    switch (type.kind) {
    case TYPE_BOOL:
    case TYPE_INT32:
    case TYPE_INT64:
    case TYPE_TIMESTAMP:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_UUID:
        return true;
    default:
        return false;
    }
}

uint32_t key_fixed_bytes(const struct type *types, uint32_t types_count) {
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < types_count; i++) {
        uint32_t column_bytes = type_fixed_bytes(types[i]);
        if (column_bytes == 0) return 0;
        bytes += column_bytes;
    }
    return bytes;
}

static struct bytes column_read(struct type type, struct reader *reader) {
    uint32_t bytes = type_fixed_bytes(type);
    if (bytes == 0) return read_short(reader);
    const uint8_t *data = read_bytes(reader, bytes);
    return (struct bytes){.data = data, .bytes = data ? bytes : 0};
}

enum fst_status key_check(const struct type *types, uint32_t types_count, struct bytes key) {
    if (key.bytes > KEY_BYTES_MAX) return FST_TOO_LARGE;
    struct reader reader = reader_of(key.data, key.bytes);
    for (uint32_t i = 0; i < types_count; i++) {
        struct bytes value = column_read(types[i], &reader);
        if (reader.failed || value_check(types[i], value) != FST_OK) return FST_INVALID;
    }
    return reader_is_done(&reader) ? FST_OK : FST_INVALID;
}

struct bytes key_read(const struct type *types, uint32_t types_count, struct reader *reader) {
    const uint8_t *begin = reader->at;
    for (uint32_t i = 0; i < types_count; i++) (void)column_read(types[i], reader);
    if (reader->failed) return (struct bytes){0};
    return (struct bytes){.data = begin, .bytes = (size_t)(reader->at - begin)};
}

void key_append(struct writer *key, struct type type, struct bytes value) {
    if (type_fixed_bytes(type) == 0)
        write_short(key, value.data, value.bytes);
    else
        write_bytes(key, value.data, value.bytes);
}
