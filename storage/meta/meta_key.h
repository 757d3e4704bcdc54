/*
 * meta_key: a key of LMDB while it is put together: numbers big-endian, so that the order of bytes
 * is the order of meaning, and room for the number of a piece at its end.
 *
 * Threads: pure. Memory: the caller's.
 */
#ifndef STORAGE_META_META_KEY_H
#define STORAGE_META_META_KEY_H

#include "storage/meta/meta.h"

enum {
    META_PIECE_NUMBER_BYTES = 2,
    META_PIECE_HEADER_BYTES = 12,    /* checksum, length of the whole value */
    META_KEY_AND_PIECE_BYTES = 2000, /* at the most */
    META_KEY_ROOM_BYTES = META_KEY_BYTES_MAX + META_PIECE_NUMBER_BYTES,
};

struct meta_key {
    uint8_t data[META_KEY_ROOM_BYTES];
    size_t bytes; /* without the number of the piece */
};

void meta_key_put_u16(struct meta_key *key, uint16_t value);
void meta_key_put_u32(struct meta_key *key, uint32_t value);
void meta_key_put_u64(struct meta_key *key, uint64_t value);
/* False if it would be longer than META_KEY_BYTES_MAX. */
bool meta_key_put_bytes(struct meta_key *key, const void *data, size_t bytes);

/* Numbers as they stand in a key. */
uint16_t meta_key_u16(const uint8_t *at);
uint32_t meta_key_u32(const uint8_t *at);
uint64_t meta_key_u64(const uint8_t *at);

/* How much of a value a piece holds behind its header, and how many pieces a value has. */
size_t meta_piece_bytes_max(size_t key_bytes);
uint32_t meta_pieces_count(size_t key_bytes, size_t value_bytes);

/* Copies `bytes` bytes at `offset` of a value's parts, which follow one another. */
void meta_parts_copy(const struct bytes *parts, uint32_t parts_count, size_t offset, uint8_t *out,
                     size_t bytes);

#endif
