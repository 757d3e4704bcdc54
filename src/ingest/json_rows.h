/*
 * json_rows: JSON objects as rows of a view.
 *
 * One object, or an array of objects, with key columns, "event_time", optionally "created_time",
 * and features by name. null and a name that is left out are null. Numbers, strings and booleans
 * stand for values of the forms of model/value_parse.h; vectors and lists are arrays. Without a
 * created time it is `now_us`, as for a live write.
 *
 * The text is read row by row (ingest/json_pieces.h), twice: to see that all of it is JSON, and to
 * make rows. So what is in memory beside it is one row at most.
 *
 * Threads: one. Memory: the builder's; the text is borrowed from open to close; texts of problems
 * are borrowed during the call.
 */
#ifndef INGEST_JSON_ROWS_H
#define INGEST_JSON_ROWS_H

#include "ingest/json_pieces.h"
#include "ingest/row_builder.h"
#include "ingest/row_problem.h"

struct json_rows;

/* Parses the text. FST_INVALID with line and column of what is no JSON, or when it is neither an
 * object nor an array of objects; FST_TOO_LARGE past JSON_ROWS_MAX rows or JSON_VALUES_MAX values
 * in a row. rows_count_out is the number of rows. */
FST_MUST_USE enum fst_status json_rows_open(struct json_rows **rows_out, struct bytes text,
                                            uint32_t *rows_count_out, struct fst_error *error);
void json_rows_close(struct json_rows *rows);

/* Appends all rows to the builder; each that is bad goes to `problems` instead. */
FST_MUST_USE enum fst_status json_rows_read(struct json_rows *rows, int64_t now_us,
                                            struct row_builder *builder,
                                            const struct row_problems *problems);

#endif
