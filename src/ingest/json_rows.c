#include "ingest/json_rows.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "model/value_format.h"
#include "model/value_parse.h"

enum { NUMBER_BYTES = 40 };

#define DECIMAL_EXACT_MAX 1e15

struct json_rows {
    struct bytes text; /* whole and JSON */
    uint32_t rows_count;
};

/* The object of one piece; NULL with an error that names its place in the whole text. */
static json_t *piece_parse(const struct json_piece *piece, struct fst_error *error) {
    json_error_t failure;
    json_t *object = json_loadb((const char *)piece->text.data, piece->text.bytes,
                                JSON_REJECT_DUPLICATES, &failure);
    if (object) return object;
    uint32_t column = (uint32_t)failure.column;
    if (failure.line == 1) column += piece->place.column;
    bool is_null_character = json_error_code(&failure) == json_error_null_character;
    (void)fst_error_set(error, FST_INVALID, "JSON %u:%u: %s",
                        piece->place.line + (uint32_t)failure.line - 1, column,
                        is_null_character ? "expected text without \\u0000" : failure.text);
    return NULL;
}

/* Whether every piece is JSON, and how many there are. */
static enum fst_status text_check(struct bytes text, uint32_t *rows_count_out,
                                  struct fst_error *error) {
    struct json_pieces pieces;
    struct json_piece piece;
    if (text.bytes == 0) {
        return fst_error_set(error, FST_INVALID,
                             "JSON: expected an object or an array of objects, found nothing");
    }
    json_pieces_init(&pieces, text);
    for (;;) {
        FST_TRY(json_pieces_next(&pieces, &piece, error));
        if (!piece.text.data) break;
        json_t *object = piece_parse(&piece, error);
        if (!object) return FST_INVALID;
        json_decref(object);
    }
    *rows_count_out = pieces.count;
    return FST_OK;
}

enum fst_status json_rows_open(struct json_rows **rows_out, struct bytes text,
                               uint32_t *rows_count_out, struct fst_error *error) {
    uint32_t rows_count = 0;
    FST_TRY(text_check(text, &rows_count, error));
    struct json_rows *rows = calloc(1, sizeof *rows);
    if (!rows) return FST_NO_MEMORY;
    *rows = (struct json_rows){.text = text, .rows_count = rows_count};
    *rows_out = rows;
    *rows_count_out = rows_count;
    return FST_OK;
}

void json_rows_close(struct json_rows *rows) {
    free(rows);
}

/* ---- members as texts ---- */

/* The text of one member; `room` holds numbers, *made what must be freed. */
struct member_text {
    struct bytes text;
    bool is_string;
    bool is_rounded; /* a decimal that float64 does not hold */
    char room[NUMBER_BYTES];
    char *made;
};

static struct bytes text_of(const char *text) {
    return (struct bytes){.data = (const uint8_t *)text, .bytes = strlen(text)};
}

/* The shortest text of a number with a point. JSON has it read as float64, so a decimal of more
 * than 15 digits may not be what was written any more. */
static struct bytes real_format(double number, struct type type, struct member_text *out) {
    struct bytes encoded = {.data = (const uint8_t *)&number, .bytes = sizeof number};
    struct type float64 = {.kind = TYPE_FLOAT64};
    size_t bytes = value_format(float64, encoded, out->room, sizeof out->room);
    double scaled = number;
    for (uint32_t i = 0; i < type.scale; i++) scaled *= 10;
    bool is_large = scaled > DECIMAL_EXACT_MAX || scaled < -DECIMAL_EXACT_MAX;
    if (type.kind == TYPE_DECIMAL && is_large) out->is_rounded = true;
    return (struct bytes){.data = (const uint8_t *)out->room, .bytes = bytes};
}

/* Arrays are dumped as JSON; before that their numbers with a point become strings of their
 * shortest text, because jansson writes them with 17 digits. */
static struct bytes array_format(json_t *array, struct type element, struct member_text *out) {
    bool is_number = element.kind == TYPE_FLOAT32 || element.kind == TYPE_FLOAT64 ||
                     element.kind == TYPE_DECIMAL;
    for (size_t i = 0; is_number && i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        if (!json_is_real(item)) continue;
        struct bytes text = real_format(json_real_value(item), element, out);
        json_t *string = json_stringn((const char *)text.data, text.bytes);
        if (!string || json_array_set_new(array, i, string) != 0) return text_of("");
    }
    out->made = json_dumps(array, JSON_COMPACT | JSON_ENCODE_ANY);
    return text_of(out->made ? out->made : "");
}

static struct bytes member_format(json_t *value, struct type type, struct member_text *out) {
    out->made = NULL;
    out->is_rounded = false;
    out->is_string = json_is_string(value);
    if (out->is_string) {
        return (struct bytes){.data = (const uint8_t *)json_string_value(value),
                              .bytes = json_string_length(value)};
    }
    if (json_is_integer(value)) {
        int bytes = snprintf(out->room, sizeof out->room, "%" JSON_INTEGER_FORMAT,
                             json_integer_value(value));
        return (struct bytes){.data = (const uint8_t *)out->room, .bytes = (size_t)bytes};
    }
    if (json_is_real(value)) return real_format(json_real_value(value), type, out);
    if (json_is_boolean(value)) return text_of(json_is_true(value) ? "true" : "false");
    struct type element = {.kind = TYPE_FLOAT32};
    if (type.kind == TYPE_LIST) element = type_element(type);
    return array_format(value, element, out);
}

/* ---- rows ---- */

struct row_times {
    int64_t event_us;
    int64_t created_us;
    bool has_event;
};

static enum fst_status time_read(struct bytes text, int64_t *us_out, const char **expected_out) {
    struct type type = {.kind = TYPE_TIMESTAMP};
    struct writer out = writer_of(us_out, sizeof *us_out);
    return value_parse(type, (const char *)text.data, text.bytes, &out, expected_out);
}

static int key_find(const struct view *view, const char *name) {
    for (uint32_t i = 0; i < view->entity->keys_count; i++) {
        if (strcmp(view->entity->keys[i].name.text, name) == 0) return (int)i;
    }
    return -1;
}

/* The column that a name means: at most one of the first three is set. */
struct member {
    int64_t *time_us;
    int key;
    int feature;
    struct type type; /* TYPE_NONE if there is no such column */
};

static struct member member_find(const struct view *view, const char *name,
                                 struct row_times *times) {
    struct member member = {.key = -1, .feature = -1, .type.kind = TYPE_TIMESTAMP};
    bool is_event = strcmp(name, "event_time") == 0;
    bool is_created = strcmp(name, "created_time") == 0;
    if (is_event) member.time_us = &times->event_us;
    if (is_created) member.time_us = &times->created_us;
    if (member.time_us) return member;
    member.key = key_find(view, name);
    if (member.key < 0) member.feature = view_find_feature(view, name);
    member.type.kind = TYPE_NONE;
    if (member.key >= 0) member.type = view->entity->key_types[member.key];
    if (member.feature >= 0) member.type = view->features[member.feature].type;
    return member;
}

/* Of a number, "12" could be made, but it is more likely that the columns were mixed up. */
static bool is_string_only(struct type type) {
    return type.kind == TYPE_STRING || type.kind == TYPE_BYTES || type.kind == TYPE_UUID;
}

static enum fst_status member_put(struct row_builder *builder, const struct member *member,
                                  const struct member_text *text, const char **expected_out) {
    *expected_out = "a decimal of more than 15 digits as a string";
    if (text->is_rounded) return FST_INVALID;
    *expected_out = "a string";
    if (is_string_only(member->type) && !text->is_string) return FST_INVALID;
    if (member->time_us) return time_read(text->text, member->time_us, expected_out);
    if (member->key >= 0) {
        return row_builder_put_key(builder, (uint32_t)member->key, text->text, expected_out);
    }
    *expected_out = "a key column, event_time, created_time or a feature of the view";
    if (member->feature < 0) return FST_INVALID;
    return row_builder_put_feature(builder, (uint32_t)member->feature, text->text, expected_out);
}

/* Ends the row; what is wrong with it as a whole is in *problem. */
static enum fst_status row_finish(struct row_builder *builder, const struct row_times *times,
                                  struct row_problem *problem) {
    problem->found = text_of("nothing");
    if (!times->has_event) {
        row_builder_cancel(builder);
        problem->column = "event_time";
        problem->expected = "integer microseconds or RFC 3339, such as 2018-04-01T09:30:00Z";
        return FST_INVALID;
    }
    enum fst_status status =
        row_builder_finish(builder, times->event_us, times->created_us, &problem->column);
    if (status == FST_OK) return FST_OK;
    problem->expected = status == FST_TOO_LARGE ? "a key of at most 256 bytes" : "a key";
    if (status == FST_TOO_LARGE) problem->found = text_of("a longer one");
    return FST_INVALID;
}

/* A bad row is handed on as a problem; then the answer is what became of that. */
static enum fst_status row_put(json_t *object, int64_t now_us, struct row_builder *builder,
                               const struct row_problems *problems, struct row_problem *problem) {
    struct row_times times = {.created_us = now_us};
    const char *name;
    json_t *value;
    FST_TRY(row_builder_begin(builder, problem->row));
    json_object_foreach(object, name, value) {
        if (json_is_null(value)) continue;
        struct member_text text;
        struct member member = member_find(builder->view, name, &times);
        if (member.time_us == &times.event_us) times.has_event = true;
        text.text = member_format(value, member.type, &text);
        enum fst_status status = member_put(builder, &member, &text, &problem->expected);
        bool is_bad = status != FST_OK;
        if (is_bad) {
            problem->column = name;
            problem->found = text.text;
            row_builder_cancel(builder);
            status = problems->put(problems->context, problem);
        }
        free(text.made);
        if (is_bad) return status;
    }
    if (row_finish(builder, &times, problem) == FST_OK) return FST_OK;
    return problems->put(problems->context, problem);
}

enum fst_status json_rows_read(struct json_rows *rows, int64_t now_us, struct row_builder *builder,
                               const struct row_problems *problems) {
    struct json_pieces pieces;
    struct json_piece piece;
    json_pieces_init(&pieces, rows->text);
    for (uint32_t i = 0; i < rows->rows_count; i++) {
        FST_TRY(json_pieces_next(&pieces, &piece, NULL));
        json_t *object = piece_parse(&piece, NULL);
        if (!object) return FST_NO_MEMORY; /* It was JSON before. */
        struct row_problem problem = {
            .row = i + 1, .column = "", .expected = "", .record = piece.text};
        enum fst_status status = row_put(object, now_us, builder, problems, &problem);
        json_decref(object);
        FST_TRY(status);
    }
    return FST_OK;
}
