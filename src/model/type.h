/*
 * type: the types a key column or feature may have.
 *
 * A type is eight bytes, sent and stored as they are: a kind, and what the kind needs beyond it
 * (the scale of a decimal, the elements of a vector, the element type of a list). Values of a
 * type, and their one encoding, are in value.h.
 *
 * Threads: pure functions. Memory: types are values.
 */
#ifndef MODEL_TYPE_H
#define MODEL_TYPE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fstore/status.h"

/* X(name, wire code, text in YAML, bytes of a value or 0) */
#define TYPE_KIND_TABLE(X)                                                                         \
    X(BOOL, 1, "bool", 1)                                                                          \
    X(INT32, 2, "int32", 4)                                                                        \
    X(INT64, 3, "int64", 8)                                                                        \
    X(FLOAT32, 4, "float32", 4)                                                                    \
    X(FLOAT64, 5, "float64", 8)                                                                    \
    X(DECIMAL, 6, "decimal", 8)                                                                    \
    X(TIMESTAMP, 7, "timestamp", 8)                                                                \
    X(STRING, 8, "string", 0)                                                                      \
    X(BYTES, 9, "bytes", 0)                                                                        \
    X(UUID, 10, "uuid", 16)                                                                        \
    X(VECTOR, 11, "vector", 0)                                                                     \
    X(LIST, 12, "list", 0)

enum type_kind {
    TYPE_NONE = 0,
#define TYPE_KIND_ENUM(name, code, text, bytes) TYPE_##name = code,
    TYPE_KIND_TABLE(TYPE_KIND_ENUM)
#undef TYPE_KIND_ENUM
};

enum {
    TYPE_SCALE_MAX = 18,
    TYPE_VECTOR_MAX = 4096,
    TYPE_TEXT_BYTES = 32, /* room for the longest type_format */
    TYPE_WIRE_BYTES = 8,  /* see docs/protocol.md, Strings and types */
};

struct type {
    uint8_t kind;          /* enum type_kind */
    uint8_t scale;         /* of a decimal */
    uint8_t element_kind;  /* of a list: any kind but vector and list */
    uint8_t element_scale; /* of a list of decimals */
    uint32_t elements;     /* of a vector(float32, n): 1 .. TYPE_VECTOR_MAX */
};
static_assert(sizeof(struct type) == TYPE_WIRE_BYTES, "a type is sent and stored as it is");

/* Reads "decimal(2)", "vector(float32, 8)", "list(string)" and the like. FST_INVALID with the
 * expected forms in `error`. */
FST_MUST_USE enum fst_status type_parse(const char *text, struct type *type_out,
                                        struct fst_error *error);
void type_format(struct type type, char text_out[TYPE_TEXT_BYTES]);

/* Whether the eight bytes are a possible type; for bytes from outside. */
bool type_is_valid(struct type type);
bool type_is_equal(struct type a, struct type b);

/* Whether a stored column of type `from` may become `to` without a new version of its view: they
 * are equal, or int32 becomes int64, or float32 becomes float64. */
bool type_can_widen(struct type from, struct type to);

/* Type of the elements of a list. */
struct type type_element(struct type list);

/* Bytes of a fixed-size value; 0 for string, bytes and list. */
uint32_t type_fixed_bytes(struct type type);
/* 8, 4 or 1: the class a value is placed with in a row, and what its place is a multiple of. A
 * vector goes with its elements (4), kinds without a fixed size with their references (8). */
uint32_t type_row_class(struct type type);
/* Bytes a value takes in a row: its fixed size, or 8 for a reference. */
uint32_t type_row_bytes(struct type type);

#endif
