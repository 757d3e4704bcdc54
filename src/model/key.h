/*
 * key: the canonical form of entity keys: equal keys are equal bytes, different keys are
 * different bytes.
 *
 * The key columns one after another: fixed-size values as they are, strings and bytes behind a u16
 * length. So composite keys compare by value: ("a", "bc") is not ("ab", "c").
 *
 * Threads: pure functions. Memory: keys borrow their bytes.
 */
#ifndef MODEL_KEY_H
#define MODEL_KEY_H

#include "model/value.h"

enum {
    KEY_COLUMNS_MAX = 8,
    KEY_BYTES_MAX = 256, /* of the canonical form */
};

/* Key columns may have these kinds: bool, int32, int64, timestamp, string, bytes, uuid. */
bool key_type_is_allowed(struct type type);

/* Bytes of a key when all columns are fixed-size, else 0. */
uint32_t key_fixed_bytes(const struct type *types, uint32_t types_count);

/* FST_INVALID unless `key` is the canonical form of these columns. FST_TOO_LARGE past
 * KEY_BYTES_MAX. */
FST_MUST_USE enum fst_status key_check(const struct type *types, uint32_t types_count,
                                       struct bytes key);

/* Reads one canonical key from the cursor; borrowed, its values not checked. Fails the reader
 * when the key ends beyond it. */
struct bytes key_read(const struct type *types, uint32_t types_count, struct reader *reader);

/* Appends one column of a key; fails the writer when a string is longer than its length field
 * can say. */
void key_append(struct writer *key, struct type type, struct bytes value);

#endif
