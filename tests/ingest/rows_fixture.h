/*
 * rows_fixture: a view, memory for rows of it, and what came of a text, as text.
 *
 * Rows are shown one a line: "row event created key... | feature..." with null as "null";
 * problems as "row column: expected; found". Every row that was taken passes row_check.
 */
#ifndef TESTS_INGEST_ROWS_FIXTURE_H
#define TESTS_INGEST_ROWS_FIXTURE_H

#include "ingest/row_builder.h"
#include "ingest/row_problem.h"
#include "model/value_format.h"
#include "tests/registry/apply.h"

enum { FIXTURE_ARENA_BYTES = 64 << 20, FIXTURE_SHOWN_BYTES = 1 << 16 };

struct rows_fixture {
    struct registry *registry;
    struct catalog *catalog;
    const struct view *view;
    struct arena arena;
    struct row_builder builder;
    char problems[FIXTURE_SHOWN_BYTES];
    char rows[FIXTURE_SHOWN_BYTES];
    bool ends_at_first; /* a problem ends the reading */
};

static const char fixture_text[] =
    "entities:\n- {name: e, keys: [{name: id, type: int64}, {name: part, type: string}]}\n"
    "- {name: f, keys: [{name: id, type: int32}]}\n"
    "views:\n- {name: v, entity: e, features: [{name: flag, type: bool}, {name: n, type: int32},"
    " {name: x, type: float64}, {name: amount, type: decimal(2)}, {name: at, type: timestamp},"
    " {name: text, type: string}, {name: raw, type: bytes}, {name: u, type: uuid},"
    " {name: vec, type: \"vector(float32, 2)\"}, {name: items, type: list(string)},"
    " {name: prices, type: list(decimal(1))}]}\n"
    "- {name: w, entity: f, features: [{name: n, type: int32}, {name: sizes, type: "
    "list(int64)}]}\n";

static inline void fixture_init(struct rows_fixture *fixture, const char *view) {
    *fixture = (struct rows_fixture){.registry = apply_registry()};
    assert_true(apply_text(fixture->registry, fixture_text));
    assert_int_equal(registry_catalog(fixture->registry, &fixture->catalog), FST_OK);
    fixture->view = catalog_find_view(fixture->catalog, view);
    assert_non_null(fixture->view);
    assert_int_equal(arena_init(&fixture->arena, FIXTURE_ARENA_BYTES), FST_OK);
}

static inline void fixture_deinit(struct rows_fixture *fixture) {
    arena_deinit(&fixture->arena);
    catalog_destroy(fixture->catalog);
    registry_destroy(fixture->registry);
}

static inline void fixture_begin(struct rows_fixture *fixture, uint32_t rows_max, size_t bytes) {
    arena_reset(&fixture->arena);
    fixture->problems[0] = 0;
    assert_int_equal(
        row_builder_init(&fixture->builder, fixture->view, rows_max, bytes, &fixture->arena),
        FST_OK);
}

static inline void fixture_print(char *shown, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void fixture_print(char *shown, const char *format, ...) {
    va_list arguments;
    size_t used = strlen(shown);
    va_start(arguments, format);
    int bytes = vsnprintf(shown + used, FIXTURE_SHOWN_BYTES - used, format, arguments);
    va_end(arguments);
    assert_true(bytes >= 0 && used + (size_t)bytes < FIXTURE_SHOWN_BYTES);
}

/* For struct row_problems. */
static inline enum fst_status fixture_put_problem(void *context,
                                                  const struct row_problem *problem) {
    struct rows_fixture *fixture = context;
    size_t found_bytes = problem->found.bytes < 200 ? problem->found.bytes : 200;
    fixture_print(fixture->problems, "%llu %s: %s; %.*s\n", (unsigned long long)problem->row,
                  problem->column, problem->expected, (int)found_bytes,
                  found_bytes ? (const char *)problem->found.data : "");
    return fixture->ends_at_first ? FST_INVALID : FST_OK;
}

static inline void fixture_show_value(struct rows_fixture *fixture, struct type type,
                                      struct bytes value) {
    char text[4096];
    size_t bytes = value_format(type, value, text, sizeof text);
    assert_true(bytes <= sizeof text);
    fixture_print(fixture->rows, " %.*s", (int)bytes, text);
}

static inline void fixture_show_row(struct rows_fixture *fixture, uint32_t row) {
    const struct row_builder *builder = &fixture->builder;
    const struct row_layout *layout = builder->layout;
    const uint8_t *image = builder->images + (size_t)row * layout->image_bytes;
    const uint8_t *heap = builder->heap.begin;
    assert_int_equal(row_check(layout, image, heap, writer_used(&builder->heap)), FST_OK);
    fixture_print(fixture->rows, "%llu %lld %lld", (unsigned long long)builder->lines[row],
                  (long long)load_i64(image), (long long)load_i64(image + 8));
    struct bytes key = row_key(layout, image, heap);
    struct reader reader = reader_of(key.data, key.bytes);
    const struct entity *entity = fixture->view->entity;
    for (uint32_t i = 0; i < entity->keys_count; i++) {
        struct bytes value = key_read(&entity->key_types[i], 1, &reader);
        if (type_fixed_bytes(entity->key_types[i]) == 0) {
            value = (struct bytes){.data = value.data + 2, .bytes = value.bytes - 2};
        }
        fixture_show_value(fixture, entity->key_types[i], value);
    }
    fixture_print(fixture->rows, " |");
    const uint8_t *body = image + layout->body_offset;
    for (uint32_t c = 0; c < layout->body.columns_count; c++) {
        if (row_is_null(body, c)) {
            fixture_print(fixture->rows, " null");
            continue;
        }
        struct bytes value = row_value(&layout->body, body, heap, c);
        fixture_show_value(fixture, layout->body.columns[c].type, value);
    }
    fixture_print(fixture->rows, "\n");
}

static inline void fixture_show_rows(struct rows_fixture *fixture) {
    const struct row_builder *builder = &fixture->builder;
    size_t heap_bytes = 0;
    fixture->rows[0] = 0;
    for (uint32_t row = 0; row < builder->rows_count; row++) {
        const uint8_t *image = builder->images + (size_t)row * builder->layout->image_bytes;
        heap_bytes += row_heap_bytes(builder->layout, image);
        fixture_show_row(fixture, row);
    }
    /* Rows that were not finished left nothing behind. */
    assert_int_equal(writer_used(&builder->heap), heap_bytes);
}

#endif
