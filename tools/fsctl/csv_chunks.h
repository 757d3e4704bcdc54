/*
 * csv_chunks: cuts a CSV stream into pieces of whole records.
 *
 * Only quotes and line ends matter here: a record ends with a line end outside quotes, and a quote
 * opens a field only at its beginning. A record that cannot end (its last quote is never closed, or
 * holds a NUL byte) ends with the line in which that quote opened; the server will say what is
 * wrong with it. Empty lines are no records.
 *
 * Invariant: the pieces, one after another, hold all records of the stream in order, each exactly
 *            once.
 *
 * Threads: one. Memory: owns its buffer; a piece is borrowed until the next call.
 */
#ifndef FSCTL_CSV_CHUNKS_H
#define FSCTL_CSV_CHUNKS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/bytes.h"
#include "fstore/status.h"

enum {
    CSV_CHUNK_BYTES = 256 << 10, /* of a piece, unless one record is longer */
    CSV_CHUNK_LINES_MAX = 50000, /* line ends in a piece */
    CSV_RECORD_BYTES_MAX = 8 << 20,
    CSV_LINE_BYTES_MAX = 32 << 20, /* more than any request takes: this is no CSV file */
};

struct csv_chunks {
    FILE *stream; /* borrowed */
    uint8_t *data;
    size_t begin; /* of what was not handed out */
    size_t end;
    size_t capacity;
    bool is_at_end;      /* of the stream */
    uint64_t next_row;   /* number of the next record, from 1 */
    uint64_t read_bytes; /* of the stream, handed out */
    struct bytes header; /* owned, without line end */
};

struct csv_chunk {
    struct bytes records;
    uint64_t first_row;
    uint64_t rows_count;
};

/* Reads the header. FST_INVALID if there is none, FST_TOO_LARGE if it does not end, FST_IO_ERROR,
 * FST_NO_MEMORY. */
FST_MUST_USE enum fst_status csv_chunks_init(struct csv_chunks *chunks, FILE *stream,
                                             struct fst_error *error);
void csv_chunks_deinit(struct csv_chunks *chunks);

/* The next piece, at most `rows_max` records. FST_NOT_FOUND at the end; FST_IO_ERROR,
 * FST_NO_MEMORY. */
FST_MUST_USE enum fst_status csv_chunks_next(struct csv_chunks *chunks, uint64_t rows_max,
                                             struct csv_chunk *chunk_out, struct fst_error *error);

/* Bytes of the first record of a text, with its line end; 0: it may go on behind the text, which is
 * not the last one. Line ends before a record count to it. */
size_t csv_record_bytes(struct bytes text, bool is_last);

#endif
