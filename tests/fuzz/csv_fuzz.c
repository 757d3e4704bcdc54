/* Any header and any records are read into rows of a view with every type: each record becomes a
 * row that passes its check, or a problem with its number, and none is lost.
 *
 * The first line of the input is the header, the rest are the records.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ingest/csv_rows.h"

enum { VIEW_FEATURES = 8, ARENA_BYTES = 4 << 20, INPUT_BYTES_MAX = 16 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A view without a catalog around it. */
struct fixture {
    struct entity entity;
    struct view view;
    struct view_revision revision;
    struct feature features[VIEW_FEATURES];
    struct row_column columns[VIEW_FEATURES];
    struct csv_rows rows;
    struct row_builder builder;
    uint64_t last_row;
    uint64_t problems_count;
};

static struct type type_of(const char *text) {
    struct type type;
    FST_ASSERT(type_parse(text, &type, NULL) == FST_OK);
    return type;
}

static void key_fill(struct entity *entity, const char *name, const char *type) {
    uint32_t k = entity->keys_count++;
    memcpy(entity->keys[k].name.text, name, strlen(name) + 1);
    entity->keys[k].type = type_of(type);
    entity->key_types[k] = entity->keys[k].type;
}

static void fixture_fill(struct fixture *fixture) {
    static const char *const types[VIEW_FEATURES] = {
        "bool",  "float64", "decimal(2)",         "string",
        "bytes", "uuid",    "vector(float32, 2)", "list(string)"};
    struct type feature_types[VIEW_FEATURES];
    struct row_body body;
    key_fill(&fixture->entity, "k", "int64");
    key_fill(&fixture->entity, "l", "string");
    for (uint32_t f = 0; f < VIEW_FEATURES; f++) {
        fixture->features[f].name.text[0] = (char)('a' + f);
        feature_types[f] = fixture->features[f].type = type_of(types[f]);
    }
    row_body_init(&body, fixture->columns, feature_types, VIEW_FEATURES);
    row_layout_init(&fixture->revision.layout, fixture->entity.key_types, 2, &body);
    fixture->revision.features_count = VIEW_FEATURES;
    fixture->view.entity = &fixture->entity;
    fixture->view.features = fixture->features;
    fixture->view.features_count = VIEW_FEATURES;
    fixture->view.revisions = &fixture->revision;
    fixture->view.revisions_count = 1;
}

static enum fst_status problem_put(void *context, const struct row_problem *problem) {
    struct fixture *fixture = context;
    FST_ASSERT(problem->row > fixture->last_row);
    FST_ASSERT(problem->expected[0] != 0);
    FST_ASSERT(problem->column != NULL);
    fixture->last_row = problem->row;
    fixture->problems_count += 1;
    return FST_OK;
}

/* Rows and problems together are the records, each once. */
static void rows_check(const struct fixture *fixture) {
    const struct row_builder *builder = &fixture->builder;
    uint64_t last = 0;
    for (uint32_t i = 0; i < builder->rows_count; i++) {
        const uint8_t *image = builder->images + (size_t)i * builder->layout->image_bytes;
        FST_ASSERT(row_check(builder->layout, image, builder->heap.begin,
                             writer_used(&builder->heap)) == FST_OK);
        FST_ASSERT(builder->lines[i] > last);
        last = builder->lines[i];
    }
    if (fixture->last_row > last) last = fixture->last_row;
    FST_ASSERT(builder->rows_count + fixture->problems_count == last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes > INPUT_BYTES_MAX) return 0;
    const uint8_t *line_end = bytes > 0 ? memchr(data, '\n', bytes) : NULL;
    size_t header_bytes = line_end ? (size_t)(line_end - data) + 1 : bytes;
    struct bytes header = {.data = data, .bytes = header_bytes};
    struct bytes records = {.data = data + header_bytes, .bytes = bytes - header_bytes};

    struct arena arena;
    struct fixture *fixture = calloc(1, sizeof *fixture);
    FST_ASSERT(fixture != NULL);
    FST_ASSERT(arena_init(&arena, ARENA_BYTES) == FST_OK);
    fixture_fill(fixture);
    struct row_problems problems = {.context = fixture, .put = problem_put};
    struct fst_error error = {.text = ""};
    enum fst_status status = csv_rows_open(&fixture->rows, &fixture->view, header, &error);
    if (status == FST_OK) {
        status = row_builder_init(&fixture->builder, &fixture->view, csv_rows_bound(records),
                                  records.bytes, &arena);
        if (status == FST_OK) {
            FST_ASSERT(csv_rows_read(&fixture->rows, records, 1, &arena, &fixture->builder,
                                     &problems) == FST_OK);
            rows_check(fixture);
        }
    } else {
        FST_ASSERT(error.text[0] != 0);
    }
    arena_deinit(&arena);
    free(fixture);
    return 0;
}
