/*
 * value: typed values as a program sees them: what a feature holds, what a key is, what a row gets.
 *
 * A value is 24 bytes and passed by value: its type, whether it is there and why not, and a number
 * or a pointer to bytes. Numbers are made with fst_int64(), fst_float64() and so on; what is read
 * out of a reply has the type of its feature.
 *
 * Memory:  strings, bytes, uuids, vectors and lists are borrowed: from the caller when a value is
 *          put, from the reply when it was read.
 * Threads: pure functions.
 */
#ifndef FSTORE_VALUE_H
#define FSTORE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "fstore/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum fst_kind {
    FST_KIND_NONE = 0,
    FST_KIND_BOOL = 1,
    FST_KIND_INT32 = 2,
    FST_KIND_INT64 = 3,
    FST_KIND_FLOAT32 = 4,
    FST_KIND_FLOAT64 = 5,
    FST_KIND_DECIMAL = 6,   /* a whole number of units of 10^-scale */
    FST_KIND_TIMESTAMP = 7, /* microseconds since 1970-01-01 UTC */
    FST_KIND_STRING = 8,    /* UTF-8 */
    FST_KIND_BYTES = 9,
    FST_KIND_UUID = 10,   /* 16 bytes, in the order in which they are written */
    FST_KIND_VECTOR = 11, /* float32, as many as the type says */
    FST_KIND_LIST = 12,   /* see fst_elements and fst_list_encode() */
};

enum {
    FST_SCALE_MAX = 18,
    FST_VECTOR_MAX = 4096,           /* elements */
    FST_VALUE_BYTES_MAX = 64 * 1024, /* of a string, bytes or list */
    FST_TYPE_TEXT_BYTES = 32,        /* room for any type's text */
    FST_UUID_BYTES = 16
};

struct fst_type {
    uint8_t kind;          /* enum fst_kind */
    uint8_t scale;         /* of a decimal */
    uint8_t element_kind;  /* of a list */
    uint8_t element_scale; /* of a list of decimals */
    uint32_t elements;     /* of a vector */
};

/* Why a value is there or not. The numbers are those of the protocol, but for NULL. */
enum fst_presence {
    FST_PRESENT = 0,
    FST_NULL = 1,        /* the row has no value for this feature */
    FST_ROW_MISSING = 3, /* there is no row for this key */
    FST_ROW_EXPIRED = 4  /* the newest row is older than the view's ttl */
};

struct fst_value {
    struct fst_type type;
    uint8_t presence; /* enum fst_presence */
    /* Whether there is something to use: the stored value, the feature's default in its place, or
     * an expired value that was asked for. If not, the members below are 0. */
    bool is_given;
    uint16_t reserved;
    uint32_t bytes; /* behind `data` */
    union {
        int64_t integer;     /* bool (0, 1), int32, int64, decimal (scaled), timestamp (us) */
        double number;       /* float32, float64 */
        const uint8_t *data; /* string, bytes, uuid, vector, list; not 0-ended, not aligned */
    };
};

/* ---- making values ---- */

static inline struct fst_value fst_value_of(enum fst_kind kind) {
    struct fst_value value;
    memset(&value, 0, sizeof value);
    value.type.kind = (uint8_t)kind;
    value.is_given = true;
    return value;
}

/* No value; fits every feature. */
static inline struct fst_value fst_null(void) {
    struct fst_value value = fst_value_of(FST_KIND_NONE);
    value.presence = FST_NULL;
    value.is_given = false;
    return value;
}
static inline struct fst_value fst_bool(bool truth) {
    struct fst_value value = fst_value_of(FST_KIND_BOOL);
    value.integer = truth ? 1 : 0;
    return value;
}
/* For int64, and for int32 where it is in range. */
static inline struct fst_value fst_int64(int64_t integer) {
    struct fst_value value = fst_value_of(FST_KIND_INT64);
    value.integer = integer;
    return value;
}
/* For float64, and for float32, where it is rounded. */
static inline struct fst_value fst_float64(double number) {
    struct fst_value value = fst_value_of(FST_KIND_FLOAT64);
    value.number = number;
    return value;
}
/* fst_decimal(1999, 2) is 19.99. The scale must be that of the column. */
static inline struct fst_value fst_decimal(int64_t units, uint8_t scale) {
    struct fst_value value = fst_value_of(FST_KIND_DECIMAL);
    value.type.scale = scale;
    value.integer = units;
    return value;
}
static inline struct fst_value fst_timestamp(int64_t us) {
    struct fst_value value = fst_value_of(FST_KIND_TIMESTAMP);
    value.integer = us;
    return value;
}
static inline struct fst_value fst_value_of_bytes(enum fst_kind kind, const void *data,
                                                  size_t bytes) {
    struct fst_value value = fst_value_of(kind);
    value.data = (const uint8_t *)data;
    value.bytes = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
    return value;
}
static inline struct fst_value fst_string_of(const char *text, size_t bytes) {
    return fst_value_of_bytes(FST_KIND_STRING, text, bytes);
}
static inline struct fst_value fst_string(const char *text) {
    return fst_string_of(text, strlen(text));
}
static inline struct fst_value fst_bytes(const void *data, size_t bytes) {
    return fst_value_of_bytes(FST_KIND_BYTES, data, bytes);
}
/* `data` has FST_UUID_BYTES bytes. */
static inline struct fst_value fst_uuid(const void *data) {
    return fst_value_of_bytes(FST_KIND_UUID, data, FST_UUID_BYTES);
}
static inline struct fst_value fst_vector(const float *elements, uint32_t count) {
    struct fst_value value =
        fst_value_of_bytes(FST_KIND_VECTOR, elements, (size_t)count * sizeof *elements);
    value.type.elements = count;
    return value;
}
/* Bytes made by fst_list_encode() for the same type of elements. */
static inline struct fst_value fst_list(struct fst_type element, const void *data, size_t bytes) {
    struct fst_value value = fst_value_of_bytes(FST_KIND_LIST, data, bytes);
    value.type.element_kind = element.kind;
    value.type.element_scale = element.scale;
    return value;
}

/* Writes the bytes of a list of `count` values, all of type `element`, for fst_list(). Returns how
 * many bytes it takes; if that is more than `out_bytes`, what was written is of no use. 0: a value
 * is null or of another type. */
FST_API size_t fst_list_encode(struct fst_type element, const struct fst_value *values,
                               uint32_t count, void *out, size_t out_bytes);

/* ---- looking at values ---- */

/* Numbers, decimals (the float64 nearest to their value), timestamps (us) and bools (0, 1) as
 * float64; NaN for what is not given and for all other kinds. */
FST_API double fst_value_float64(const struct fst_value *value);

/* Walks a vector or list: while (fst_elements_next(&elements, &element)) ... */
struct fst_elements {
    struct fst_type type; /* of an element */
    uint32_t left;
    const uint8_t *at;
    const uint8_t *end;
};
/* Of anything else, or a value that is not given: no elements. */
FST_API struct fst_elements fst_elements_of(const struct fst_value *value);
FST_API bool fst_elements_next(struct fst_elements *elements, struct fst_value *element_out);

/* ---- text ---- */

/* "int64", "decimal(2)", "vector(float32, 8)", "list(string)"; "?" for what is no type. */
FST_API void fst_type_format(struct fst_type type, char text_out[FST_TYPE_TEXT_BYTES]);

/* Writes the value as text, 0-ended and cut if `text_bytes` is too small. Returns the length it has
 * uncut, without the 0. Floats have the fewest digits that read back the same, decimals all their
 * places, timestamps are RFC 3339 in UTC with six digits, uuids 8-4-4-4-12, bytes 0x and
 * hexadecimal, strings stand as they are, vectors and lists are JSON; what is not given is "". */
FST_API size_t fst_value_format(const struct fst_value *value, char *text_out, size_t text_bytes);

/* Reads what fst_value_format() writes, and timestamps also as integer microseconds, for all kinds
 * but vector and list. Strings borrow `text`; bytes and uuids are stored in `room`, which needs
 * half as many bytes as the text. FST_INVALID says in `error` what was expected. */
struct fst_text {
    const char *text;
    size_t bytes;
};
FST_API FST_MUST_USE enum fst_status fst_value_parse(struct fst_type type, struct fst_text text,
                                                     uint8_t *room, struct fst_value *value_out,
                                                     struct fst_error *error);

#ifdef __cplusplus
}
#endif
#endif
