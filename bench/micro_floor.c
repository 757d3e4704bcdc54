/*
 * micro_floor: what no server can be faster than: the lookup of a request's rows in this process,
 * and the copying of a reply of its size. fsbench --floors runs it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "bench/micro/row_table.h"
#include "bench/micro/sheet.h"

enum { PATH_BYTES = 1100, REPLY_BYTES_MAX = 64 << 20 };

#define FLOOR_OPTIONS(X)                                                                           \
    SHEET_OPTIONS(X)                                                                               \
    X(entities, COUNT, "1000000", 1, UINT32_MAX, NULL, "rows of the table")                        \
    X(features, COUNT, "50", 1, ROW_TABLE_FEATURES_MAX, NULL, "float64 values per row")            \
    X(keys, COUNT, "1", 1, ROW_TABLE_BATCH_MAX, NULL, "keys of a request")                         \
    X(reply_bytes, COUNT, "464", 1, REPLY_BYTES_MAX, NULL, "size of a reply")                      \
    X(dir, TEXT, "/dev/shm", 0, 900, "DIR", "folder of the table's file")

struct floor_options {
    FLOOR_OPTIONS(OPTION_MEMBER)
};

static const struct option_spec specs[] = {
#define SPEC(name, ...) OPTION_SPEC(struct floor_options, name, __VA_ARGS__)
    FLOOR_OPTIONS(SPEC)
#undef SPEC
};

static const struct sheet_table floor_help = {
    .program = "micro_floor",
    .help =
        "Measures the lookup of a request's rows in this process, and the copying of a reply.\n",
    .specs = specs,
    .specs_count = sizeof specs / sizeof specs[0],
};

struct lookup {
    struct row_table *table;
    uint32_t keys_count;
    uint64_t random;
};

static void lookup_run(void *context, uint64_t turns) {
    struct lookup *lookup = context;
    for (uint64_t i = 0; i < turns; i++) {
        uint64_t found = row_table_read(lookup->table, lookup->keys_count, &lookup->random);
        FST_ASSERT(found == lookup->keys_count);
    }
}

struct copy {
    uint8_t *from, *to;
    size_t bytes;
};

static void copy_run(void *context, uint64_t turns) {
    struct copy *copy = context;
    for (uint64_t i = 0; i < turns; i++) {
        memcpy(copy->to, copy->from, copy->bytes);
        __asm__ volatile("" : : "r"(copy->to) : "memory"); /* the copy is not left out */
    }
}

static void copy_measure(struct sheet *sheet, size_t bytes) {
    struct copy copy = {.from = malloc(bytes), .to = malloc(bytes), .bytes = bytes};
    FST_ASSERT(copy.from && copy.to);
    memset(copy.from, 1, bytes);
    memset(copy.to, 0, bytes);
    sheet_measure(sheet, &(struct sheet_case){.name = "memcpy of the reply",
                                              .unit = "request",
                                              .bytes = bytes,
                                              .run = copy_run,
                                              .context = &copy});
    free(copy.from);
    free(copy.to);
}

static void lookup_measure(struct sheet *sheet, struct row_table *table, uint32_t keys_count) {
    struct lookup lookup = {.table = table, .keys_count = keys_count, .random = 1};
    uint64_t bytes = (uint64_t)keys_count * row_table_body_bytes(table);
    sheet_measure(sheet, &(struct sheet_case){.name = "lookup in process",
                                              .unit = "request",
                                              .bytes = bytes,
                                              .run = lookup_run,
                                              .context = &lookup});
}

int main(int argc, char **argv) {
    struct floor_options options;
    struct fst_error error = {.status = FST_OK};
    int exit_code = EXIT_SUCCESS;
    if (!sheet_options_get(&floor_help, argc, argv, &options, &exit_code)) return exit_code;
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/micro_floor.%d", options.dir, (int)getpid());
    struct row_table_options table_options = {.io = io_posix(),
                                              .path = path,
                                              .rows_count = options.entities,
                                              .features_count = (uint32_t)options.features};
    struct row_table *table;
    if (row_table_open(&table, &table_options, &error) != FST_OK) {
        fprintf(stderr, "micro_floor: %s\n", error.text);
        return EXIT_FAILURE;
    }
    struct sheet sheet;
    struct sheet_options shared = {options.repeat, options.run, options.json};
    sheet_init(&sheet, floor_help.program, &shared);
    lookup_measure(&sheet, table, (uint32_t)options.keys);
    row_table_close(table);
    copy_measure(&sheet, options.reply_bytes);
    return EXIT_SUCCESS;
}
