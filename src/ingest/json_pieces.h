/*
 * json_pieces: a JSON text as the texts of its rows, one after another.
 *
 * The text is an object, or an array of objects. It is cut where the brackets of each object match,
 * outside of strings, and nothing is built; whether a piece is JSON is for its reader to find out.
 * What that builds is bounded: a piece is refused if it could hold more than JSON_VALUES_MAX
 * values, which a comma or an opening bracket each can begin.
 *
 *     [ {"a": 1, "b": [2, 3]} , {"a": 4} ]
 *       |------ piece ------|   |piece-|
 *
 * Threads: one. Memory: borrows the text.
 */
#ifndef INGEST_JSON_PIECES_H
#define INGEST_JSON_PIECES_H

#include <stdbool.h>

#include "base/bytes.h"
#include "fstore/status.h"

enum {
    JSON_ROWS_MAX = 65536,
    JSON_VALUES_MAX = 1 << 17, /* of one row, those in its arrays too */
};

/* Where in the text something is. */
struct json_place {
    uint32_t line;   /* from 1 */
    uint32_t column; /* characters of the line before it */
};

struct json_pieces {
    struct bytes text;
    size_t at;
    struct json_place place; /* of `at` */
    uint32_t count;          /* of pieces so far */
    bool is_begun;
    bool is_array;
};

struct json_piece {
    struct bytes text; /* no data: there is none */
    struct json_place place;
};

void json_pieces_init(struct json_pieces *pieces, struct bytes text);

/* The next piece, or none at the end. FST_INVALID when what is there is neither an object nor an
 * array of objects; FST_TOO_LARGE past one of the limits. */
FST_MUST_USE enum fst_status
json_pieces_next(struct json_pieces *pieces, struct json_piece *piece_out, struct fst_error *error);

#endif
