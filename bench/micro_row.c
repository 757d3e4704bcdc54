/*
 * micro_row: how long the bytes of a row take to copy, and to convert to a later revision.
 *
 * Near: the same row again and again, in the first cache. Far: rows at random places of a memory
 * much larger than the caches, one after the other, and with the lines of the rows ahead asked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "bench/micro/sheet.h"
#include "model/row.h"

enum { PREFETCH_AHEAD = 8, LINE_BYTES = 64, REPLY_ROWS = 128 };

#define ROW_OPTIONS(X)                                                                             \
    SHEET_OPTIONS(X)                                                                               \
    X(features, COUNT, "50", 2, FEATURES_MAX, NULL, "float64 values per row")                      \
    X(rows, COUNT, "1000000", 1024, UINT32_MAX, NULL, "rows in memory, for the far ones")

struct row_options {
    ROW_OPTIONS(OPTION_MEMBER)
};

static const struct option_spec specs[] = {
#define SPEC(name, ...) OPTION_SPEC(struct row_options, name, __VA_ARGS__)
    ROW_OPTIONS(SPEC)
#undef SPEC
};

static const struct sheet_table row_help = {
    .program = "micro_row",
    .help = "Measures the copying of row bodies and their conversion to a later revision.\n",
    .specs = specs,
    .specs_count = sizeof specs / sizeof specs[0],
};

struct rows {
    struct row_body body, later; /* later has all columns, body all but the last */
    struct row_column columns[FEATURES_MAX], later_columns[FEATURES_MAX];
    uint64_t rows_count;
    uint8_t *memory;
    uint8_t *reply; /* REPLY_ROWS of the later revision */
    uint32_t *places;
};

static void near_run(void *context, uint64_t turns) {
    struct rows *rows = context;
    for (uint64_t i = 0; i < turns; i++) {
        memcpy(rows->reply, rows->memory, rows->body.bytes);
        __asm__ volatile("" : : "r"(rows->reply) : "memory"); /* the copy is not left out */
    }
}

static const uint8_t *row_at(const struct rows *rows, uint64_t turn) {
    return rows->memory + (size_t)rows->places[turn % rows->rows_count] * rows->body.bytes;
}

static void far_run(void *context, uint64_t turns) {
    struct rows *rows = context;
    size_t bytes = rows->body.bytes;
    for (uint64_t i = 0; i < turns; i++)
        memcpy(rows->reply + i % REPLY_ROWS * bytes, row_at(rows, i), bytes);
}

static void prefetched_run(void *context, uint64_t turns) {
    struct rows *rows = context;
    size_t bytes = rows->body.bytes;
    for (uint64_t i = 0; i < turns; i++) {
        const uint8_t *ahead = row_at(rows, i + PREFETCH_AHEAD);
        for (size_t line = 0; line < bytes; line += LINE_BYTES) __builtin_prefetch(ahead + line);
        memcpy(rows->reply + i % REPLY_ROWS * bytes, row_at(rows, i), bytes);
    }
}

static void convert_run(void *context, uint64_t turns) {
    struct rows *rows = context;
    for (uint64_t i = 0; i < turns; i++)
        row_convert(&rows->body, rows->memory, &rows->later, rows->reply);
}

/* Every page is written, and every place comes once, in an order without a pattern. */
static void rows_make(struct rows *rows, const struct row_options *options) {
    struct type types[FEATURES_MAX];
    uint32_t features_count = (uint32_t)options->features;
    for (uint32_t i = 0; i < features_count; i++) types[i] = (struct type){.kind = TYPE_FLOAT64};
    row_body_init(&rows->body, rows->columns, types, features_count - 1);
    row_body_init(&rows->later, rows->later_columns, types, features_count);
    rows->rows_count = options->rows;
    rows->memory = malloc(rows->rows_count * rows->body.bytes);
    rows->reply = malloc((size_t)REPLY_ROWS * rows->later.bytes);
    rows->places = calloc(rows->rows_count, sizeof *rows->places);
    FST_ASSERT(rows->memory && rows->reply && rows->places);
    memset(rows->memory, 0, rows->rows_count * rows->body.bytes);
    memset(rows->reply, 0, (size_t)REPLY_ROWS * rows->later.bytes);
    uint64_t random = 1;
    for (uint32_t i = 0; i < rows->rows_count; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t other = (uint32_t)((random >> 33) % (i + 1ull));
        rows->places[i] = rows->places[other];
        rows->places[other] = i;
    }
}

int main(int argc, char **argv) {
    static const struct row_case {
        const char *name;
        void (*run)(void *context, uint64_t turns);
    } cases[] = {{"copy, near", near_run},
                 {"copy, far", far_run},
                 {"copy, far, prefetched", prefetched_run},
                 {"convert to one column more, near", convert_run}};
    struct row_options options;
    int exit_code = EXIT_SUCCESS;
    if (!sheet_options_get(&row_help, argc, argv, &options, &exit_code)) return exit_code;
    struct rows *rows = calloc(1, sizeof *rows);
    FST_ASSERT(rows != NULL);
    rows_make(rows, &options);
    struct sheet sheet;
    struct sheet_options shared = {options.repeat, options.run, options.json};
    sheet_init(&sheet, row_help.program, &shared);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        sheet_measure(&sheet, &(struct sheet_case){.name = cases[i].name,
                                                   .unit = "row",
                                                   .bytes = rows->body.bytes,
                                                   .run = cases[i].run,
                                                   .context = rows});
    free(rows->memory);
    free(rows->reply);
    free(rows->places);
    free(rows);
    return EXIT_SUCCESS;
}
