/*
 * csv_rows: CSV records as rows of a view.
 *
 * The header names the columns, in any order: the entity's key columns, event_time, optionally
 * created_time, and features. Times are integer microseconds or RFC 3339. An empty field is null,
 * "" the empty string. Without a created column the created time is the event time.
 *
 * Threads: one. Memory: the builder's; texts of problems are borrowed until the next record.
 */
#ifndef INGEST_CSV_ROWS_H
#define INGEST_CSV_ROWS_H

#include "ingest/csv.h"
#include "ingest/row_builder.h"
#include "ingest/row_problem.h"

enum { CSV_COLUMNS_MAX = FEATURES_MAX + KEY_COLUMNS_MAX + 2 };

enum csv_column_kind { CSV_KEY, CSV_FEATURE, CSV_EVENT_TIME, CSV_CREATED_TIME };

struct csv_column {
    enum csv_column_kind kind;
    uint32_t index;   /* of the key column or feature */
    const char *name; /* the definition's */
};

struct csv_rows {
    const struct view *view;
    uint32_t columns_count;
    struct csv_column columns[CSV_COLUMNS_MAX];
    struct csv_field fields[CSV_COLUMNS_MAX];
};

/* Reads the header. FST_INVALID names the column that is unknown, missing or there twice. */
FST_MUST_USE enum fst_status csv_rows_open(struct csv_rows *rows, const struct view *view,
                                           struct bytes header, struct fst_error *error);

/* Appends all rows of `records` to the builder; each row that is bad goes to `problems` instead.
 * Rows are numbered from first_row. */
FST_MUST_USE enum fst_status csv_rows_read(struct csv_rows *rows, struct bytes records,
                                           uint64_t first_row, struct arena *arena,
                                           struct row_builder *builder,
                                           const struct row_problems *problems);

/* An upper bound of the records in a text. */
uint32_t csv_rows_bound(struct bytes records);

#endif
