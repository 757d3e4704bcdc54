#include "storage/meta/meta_key.h"

#include <string.h>

#include "base/assert.h"

static_assert(META_VALUE_BYTES_MAX /
                      (META_KEY_AND_PIECE_BYTES - META_KEY_ROOM_BYTES - META_PIECE_HEADER_BYTES) <
                  UINT16_MAX,
              "pieces are numbered in 16 bits");

void meta_key_put_u16(struct meta_key *key, uint16_t value) {
    key->data[key->bytes++] = (uint8_t)(value >> 8);
    key->data[key->bytes++] = (uint8_t)value;
}

void meta_key_put_u32(struct meta_key *key, uint32_t value) {
    meta_key_put_u16(key, (uint16_t)(value >> 16));
    meta_key_put_u16(key, (uint16_t)value);
}

void meta_key_put_u64(struct meta_key *key, uint64_t value) {
    meta_key_put_u32(key, (uint32_t)(value >> 32));
    meta_key_put_u32(key, (uint32_t)value);
}

bool meta_key_put_bytes(struct meta_key *key, const void *data, size_t bytes) {
    if (bytes > META_KEY_BYTES_MAX - key->bytes) return false;
    if (bytes > 0) memcpy(key->data + key->bytes, data, bytes);
    key->bytes += bytes;
    return true;
}

uint16_t meta_key_u16(const uint8_t *at) {
    return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t meta_key_u32(const uint8_t *at) {
    return (uint32_t)meta_key_u16(at) << 16 | meta_key_u16(at + 2);
}

uint64_t meta_key_u64(const uint8_t *at) {
    return (uint64_t)meta_key_u32(at) << 32 | meta_key_u32(at + 4);
}

size_t meta_piece_bytes_max(size_t key_bytes) {
    return META_KEY_AND_PIECE_BYTES - key_bytes - META_PIECE_NUMBER_BYTES - META_PIECE_HEADER_BYTES;
}

uint32_t meta_pieces_count(size_t key_bytes, size_t value_bytes) {
    size_t max = meta_piece_bytes_max(key_bytes);
    return value_bytes <= max ? 1 : (uint32_t)((value_bytes + max - 1) / max);
}

void meta_parts_copy(const struct bytes *parts, uint32_t parts_count, size_t offset, uint8_t *out,
                     size_t bytes) {
    for (uint32_t p = 0; p < parts_count && bytes > 0; p++) {
        if (offset >= parts[p].bytes) {
            offset -= parts[p].bytes;
            continue;
        }
        size_t left_bytes = parts[p].bytes - offset;
        size_t taken_bytes = left_bytes < bytes ? left_bytes : bytes;
        memcpy(out, parts[p].data + offset, taken_bytes);
        out += taken_bytes;
        bytes -= taken_bytes;
        offset = 0;
    }
    FST_ASSERT(bytes == 0);
}
