#include "ingest/csv_rows.h"

#include "base/assert.h"
#include "base/text.h"
#include "model/value_parse.h"

enum { NAME_SHOWN_BYTES = 80, HEADER_SCRATCH_BYTES = 4096 };

/* ---- header ---- */

static bool name_is(const struct csv_field *field, const char *name) {
    return field->text.bytes == strlen(name) &&
           memcmp(field->text.data, name, field->text.bytes) == 0;
}

/* False if no column of the view has this name. */
static bool column_find(const struct view *view, const struct csv_field *field,
                        struct csv_column *column_out) {
    if (name_is(field, "event_time")) {
        *column_out = (struct csv_column){.kind = CSV_EVENT_TIME, .name = "event_time"};
        return true;
    }
    if (name_is(field, "created_time")) {
        *column_out = (struct csv_column){.kind = CSV_CREATED_TIME, .name = "created_time"};
        return true;
    }
    for (uint32_t i = 0; i < view->entity->keys_count; i++) {
        if (!name_is(field, view->entity->keys[i].name.text)) continue;
        *column_out = (struct csv_column){
            .kind = CSV_KEY, .index = i, .name = view->entity->keys[i].name.text};
        return true;
    }
    for (uint32_t i = 0; i < view->features_count; i++) {
        if (!name_is(field, view->features[i].name.text)) continue;
        *column_out = (struct csv_column){
            .kind = CSV_FEATURE, .index = i, .name = view->features[i].name.text};
        return true;
    }
    return false;
}

static bool has_column(const struct csv_rows *rows, enum csv_column_kind kind, uint32_t index) {
    for (uint32_t i = 0; i < rows->columns_count; i++) {
        if (rows->columns[i].kind == kind && rows->columns[i].index == index) return true;
    }
    return false;
}

/* The column that a misspelt name may have meant, or NULL. */
static const char *column_nearest(const struct view *view, const char *name) {
    struct text_nearest nearest;
    text_nearest_init(&nearest, name);
    text_nearest_put(&nearest, "event_time");
    text_nearest_put(&nearest, "created_time");
    for (uint32_t i = 0; i < view->entity->keys_count; i++) {
        text_nearest_put(&nearest, view->entity->keys[i].name.text);
    }
    for (uint32_t i = 0; i < view->features_count; i++) {
        text_nearest_put(&nearest, view->features[i].name.text);
    }
    return text_nearest_get(&nearest);
}

static enum fst_status column_put(struct csv_rows *rows, const struct csv_field *field,
                                  struct fst_error *error) {
    struct csv_column column;
    if (!column_find(rows->view, field, &column)) {
        char found[NAME_SHOWN_BYTES];
        text_format_printable(field->text.data, field->text.bytes, found, sizeof found);
        const char *known = column_nearest(rows->view, found);
        return fst_error_set(error, FST_INVALID,
                             "header column %u: expected a key column, event_time, created_time or "
                             "a feature of view '%s', found '%s'%s%s%s",
                             rows->columns_count + 1, rows->view->name.text, found,
                             known ? ", did you mean '" : "", known ? known : "",
                             known ? "'?" : "");
    }
    if (has_column(rows, column.kind, column.index)) {
        return fst_error_set(error, FST_INVALID, "header column %u: '%s' is there twice",
                             rows->columns_count + 1, column.name);
    }
    rows->columns[rows->columns_count++] = column;
    return FST_OK;
}

static enum fst_status header_check(const struct csv_rows *rows, struct fst_error *error) {
    const struct entity *entity = rows->view->entity;
    for (uint32_t i = 0; i < entity->keys_count; i++) {
        if (has_column(rows, CSV_KEY, i)) continue;
        return fst_error_set(error, FST_INVALID, "header: expected the key column '%s'",
                             entity->keys[i].name.text);
    }
    if (!has_column(rows, CSV_EVENT_TIME, 0)) {
        return fst_error_set(error, FST_INVALID, "header: expected a column 'event_time'");
    }
    return FST_OK;
}

enum fst_status csv_rows_open(struct csv_rows *rows, const struct view *view, struct bytes header,
                              struct fst_error *error) {
    uint8_t scratch[HEADER_SCRATCH_BYTES];
    struct csv csv;
    struct csv_record record;
    rows->view = view;
    rows->columns_count = 0;
    csv_init(&csv, header, scratch, sizeof scratch);
    enum fst_status status = csv_next(&csv, rows->fields, CSV_COLUMNS_MAX, &record);
    if (status == FST_NOT_FOUND) {
        return fst_error_set(error, FST_INVALID,
                             "header: expected names of columns, found nothing");
    }
    if (status != FST_OK) {
        return fst_error_set(error, status, "header: expected %s, found %s", record.expected,
                             record.found);
    }
    if (record.fields_count > CSV_COLUMNS_MAX) {
        return fst_error_set(error, FST_TOO_LARGE, "header: expected at most %d columns, found %u",
                             CSV_COLUMNS_MAX, record.fields_count);
    }
    for (uint32_t i = 0; i < record.fields_count; i++) {
        FST_TRY(column_put(rows, &rows->fields[i], error));
    }
    return header_check(rows, error);
}

/* ---- records ---- */

struct times {
    int64_t event_us;
    int64_t created_us;
    bool has_created;
};

static enum fst_status time_read(struct bytes text, int64_t *us_out, const char **expected_out) {
    struct type type = {.kind = TYPE_TIMESTAMP};
    struct writer out = writer_of(us_out, sizeof *us_out);
    return value_parse(type, (const char *)text.data, text.bytes, &out, expected_out);
}

/* One field. What was expected is in *expected_out when it fails. */
static enum fst_status field_put(const struct csv_column *column, const struct csv_field *field,
                                 struct row_builder *builder, struct times *times,
                                 const char **expected_out) {
    bool is_null = field->text.bytes == 0 && !field->is_quoted;
    switch (column->kind) {
    case CSV_KEY:
        *expected_out = "a key";
        return is_null ? FST_INVALID
                       : row_builder_put_key(builder, column->index, field->text, expected_out);
    case CSV_FEATURE:
        return is_null ? FST_OK
                       : row_builder_put_feature(builder, column->index, field->text, expected_out);
    case CSV_EVENT_TIME:
        return time_read(field->text, &times->event_us, expected_out);
    case CSV_CREATED_TIME:
        if (is_null) return FST_OK;
        times->has_created = true;
        return time_read(field->text, &times->created_us, expected_out);
    }
    return FST_INTERNAL;
}

static struct bytes text_of(const char *text) {
    return (struct bytes){.data = (const uint8_t *)text, .bytes = strlen(text)};
}

/* Puts one record into the builder. FST_INVALID with *problem filled when it is bad. */
static enum fst_status record_put(struct csv_rows *rows, const struct csv_record *record,
                                  struct row_builder *builder, struct row_problem *problem) {
    if (record->fields_count != rows->columns_count) {
        bool is_short = record->fields_count < rows->columns_count;
        problem->expected = "as many fields as the header";
        problem->found = text_of(is_short ? "fewer" : "more");
        return FST_INVALID;
    }
    FST_TRY(row_builder_begin(builder, problem->row));
    struct times times = {0};
    for (uint32_t i = 0; i < rows->columns_count; i++) {
        if (field_put(&rows->columns[i], &rows->fields[i], builder, &times, &problem->expected) ==
            FST_OK) {
            continue;
        }
        problem->column = rows->columns[i].name;
        problem->found = rows->fields[i].text;
        row_builder_cancel(builder);
        return FST_INVALID;
    }
    if (!times.has_created) times.created_us = times.event_us;
    enum fst_status status =
        row_builder_finish(builder, times.event_us, times.created_us, &problem->column);
    if (status == FST_OK) return FST_OK;
    problem->expected = "a key of at most 256 bytes";
    problem->found = text_of("a longer one");
    return FST_INVALID;
}

enum fst_status csv_rows_read(struct csv_rows *rows, struct bytes records, uint64_t first_row,
                              struct arena *arena, struct row_builder *builder,
                              const struct row_problems *problems) {
    uint8_t *scratch = arena_get(arena, records.bytes + 1);
    if (!scratch) return FST_TOO_LARGE;
    struct csv csv;
    csv_init(&csv, records, scratch, records.bytes + 1);
    for (uint64_t row = first_row;; row++) {
        struct csv_record record;
        struct row_problem problem = {.row = row, .column = "", .expected = ""};
        enum fst_status status = csv_next(&csv, rows->fields, CSV_COLUMNS_MAX, &record);
        if (status == FST_NOT_FOUND) return FST_OK;
        problem.record = record.text;
        if (status == FST_OK) {
            status = record_put(rows, &record, builder, &problem);
        } else {
            problem.expected = record.expected;
            problem.found = text_of(record.found);
        }
        if (status == FST_OK) continue;
        if (status != FST_INVALID) return status;
        FST_TRY(problems->put(problems->context, &problem));
    }
}

uint32_t csv_rows_bound(struct bytes records) {
    uint32_t lines = 1;
    const uint8_t *at = records.data;
    const uint8_t *end = records.data + records.bytes;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        at += 1;
        lines += 1;
    }
    return lines;
}
