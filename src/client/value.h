/*
 * value: values as they lie in frames.
 *
 * Fixed-size values are little-endian numbers or plain bytes; strings and bytes are bytes behind a
 * length that lies elsewhere; a list is a u32 count and its elements, strings and bytes each behind
 * a u32 length. What comes from a peer is checked by the reader of the frame: here a value's bytes
 * are as many as its type says.
 *
 * Threads: pure functions. Memory: the caller's; decoded values borrow.
 */
#ifndef CLIENT_VALUE_H
#define CLIENT_VALUE_H

#include "base/bytes.h"
#include "fstore/value.h"

enum {
    CLIENT_TYPE_BYTES = 8,
    CLIENT_REFERENCE_BYTES = 8,
    CLIENT_KEY_BYTES_MAX = 256,
    CLIENT_FIXED_BYTES_MAX = 16
};

/* Eight bytes of a frame. FST_BAD_FRAME for what is no type. */
FST_MUST_USE enum fst_status client_type_decode(struct reader *reader, struct fst_type *type_out);

/* Bytes of a value of fixed size; 0 for string, bytes and list. */
uint32_t client_type_bytes(struct fst_type type);
bool client_type_is_equal(struct fst_type a, struct fst_type b);
/* Whether its values can be in a matrix. */
bool client_type_is_number(struct fst_type type);
/* The type of the elements of a list or vector. */
struct fst_type client_type_element(struct fst_type type);

/* A value of this type whose bytes are at `at`. `bytes` is used for kinds without a fixed size. */
struct fst_value client_value_decode(struct fst_type type, const uint8_t *at, uint32_t bytes);

/* Whether `value` may be put where `type` is wanted; FST_INVALID or FST_TOO_LARGE. Null may not. */
FST_MUST_USE enum fst_status client_value_fits(struct fst_type type, const struct fst_value *value);

/* The bytes of a value that fits: its own, or, for numbers, `room`. */
struct bytes client_value_encode(struct fst_type type, const struct fst_value *value,
                                 uint8_t room[CLIENT_FIXED_BYTES_MAX]);

#endif
