/*
 * csv: splits CSV text into records and fields, as RFC 4180 has them.
 *
 * Fields are separated by commas, records by LF or CRLF. A field in double quotes may hold commas,
 * line ends and, doubled, quotes; nothing but a separator may follow its closing quote. A quote
 * inside a field that does not begin with one, and a NUL byte, are problems. A field knows whether
 * it was quoted, because an empty one is null and "" is the empty string. After a problem the
 * reader goes on with the next line.
 *
 * Threads: one. Memory: text is borrowed; fields lie in it, or in `scratch` where quotes were
 *          doubled.
 */
#ifndef INGEST_CSV_H
#define INGEST_CSV_H

#include "base/bytes.h"
#include "fstore/status.h"

struct csv_field {
    struct bytes text;
    bool is_quoted;
};

struct csv {
    const uint8_t *at;
    const uint8_t *end;
    struct writer scratch; /* as large as the text is enough */
};

struct csv_record {
    uint32_t fields_count; /* found, also beyond fields_max */
    struct bytes text;     /* without the line end */
    const char *expected;  /* of a problem; static */
    const char *found;
};

/* Skips a byte order mark. */
void csv_init(struct csv *csv, struct bytes text, void *scratch, size_t scratch_bytes);

/* The next record. FST_NOT_FOUND at the end; FST_INVALID with expected and found for a problem.
 * Fields beyond fields_max are counted, not stored. Empty lines are skipped. */
FST_MUST_USE enum fst_status csv_next(struct csv *csv, struct csv_field *fields,
                                      uint32_t fields_max, struct csv_record *record_out);

#endif
