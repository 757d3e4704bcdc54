/*
 * micro_table: how long a row of the online store takes to find and copy, by the size of the batch
 * and by the size of the pages it lies in.
 *
 * Keys are random over the whole table, so nearly every row is a miss of the caches. Pages: those
 * of a file in --dir, as a server maps it; 4 KiB and 2 MiB of memory without a file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "bench/micro/page_io.h"
#include "bench/micro/row_table.h"
#include "bench/micro/sheet.h"

#define TABLE_OPTIONS(X)                                                                           \
    SHEET_OPTIONS(X)                                                                               \
    X(entities, COUNT, "1000000", 1, UINT32_MAX, NULL, "rows of the table")                        \
    X(features, COUNT, "50", 1, ROW_TABLE_FEATURES_MAX, NULL, "float64 values per row")            \
    X(dir, TEXT, "/dev/shm", 0, 900, "DIR", "folder of the table's file")

struct table_options {
    TABLE_OPTIONS(OPTION_MEMBER)
};

static const struct option_spec specs[] = {
#define SPEC(name, ...) OPTION_SPEC(struct table_options, name, __VA_ARGS__)
    TABLE_OPTIONS(SPEC)
#undef SPEC
};

static const struct sheet_table table_help = {
    .program = "micro_table",
    .help = "Measures partition_read_many by batch size and by page size.\n",
    .specs = specs,
    .specs_count = sizeof specs / sizeof specs[0],
};

static const uint32_t batches[] = {1, 4, 16, 32, 100, 1000};
enum { BATCHES_COUNT = sizeof batches / sizeof batches[0], PATH_BYTES = 1100, NAME_BYTES = 64 };

static const struct page_case {
    enum page_kind kind;
    const char *name;
} pages[] = {{PAGE_OF_FILE, "file"}, {PAGE_SMALL, "4 KiB"}, {PAGE_HUGE, "2 MiB"}};

enum { PAGES_COUNT = sizeof pages / sizeof pages[0] };
static const double huge_share_min = 0.9;

struct batch {
    struct row_table *table;
    uint32_t keys_count;
    uint64_t random;
};

static void batch_run(void *context, uint64_t turns) {
    struct batch *batch = context;
    for (uint64_t i = 0; i < turns; i++) {
        uint64_t found = row_table_read(batch->table, batch->keys_count, &batch->random);
        FST_ASSERT(found == batch->keys_count);
    }
}

static void batches_measure(struct sheet *sheet, struct row_table *table, const char *pages_name) {
    for (uint32_t i = 0; i < BATCHES_COUNT; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "pages %s, batch %u", pages_name, batches[i]);
        struct batch batch = {.table = table, .keys_count = batches[i], .random = i};
        struct sheet_case measured = {.name = name,
                                      .unit = "row",
                                      .units = batches[i],
                                      .bytes = row_table_body_bytes(table),
                                      .run = batch_run,
                                      .context = &batch};
        sheet_measure(sheet, &measured);
    }
}

static enum fst_status pages_measure(struct sheet *sheet, const struct table_options *options,
                                     const struct page_case *page, struct fst_error *error) {
    char path[PATH_BYTES];
    struct page_io page_io;
    struct row_table *table;
    snprintf(path, sizeof path, "%s/micro_table.%d", options->dir, (int)getpid());
    page_io_init(&page_io, page->kind);
    struct row_table_options table_options = {.io = &page_io.io,
                                              .path = path,
                                              .rows_count = options->entities,
                                              .features_count = (uint32_t)options->features};
    FST_TRY(row_table_open(&table, &table_options, error));
    if (page->kind == PAGE_HUGE && page_io_huge_share(&page_io) < huge_share_min)
        sheet_remark(sheet, "pages 2 MiB: the kernel gives none here "
                            "(/sys/kernel/mm/transparent_hugepage/enabled), or the table is small");
    else
        batches_measure(sheet, table, page->name);
    row_table_close(table);
    return FST_OK;
}

int main(int argc, char **argv) {
    struct table_options options;
    struct fst_error error = {.status = FST_OK};
    int exit_code = EXIT_SUCCESS;
    if (!sheet_options_get(&table_help, argc, argv, &options, &exit_code)) return exit_code;
    struct sheet sheet;
    struct sheet_options shared = {options.repeat, options.run, options.json};
    sheet_init(&sheet, table_help.program, &shared);
    for (uint32_t i = 0; i < PAGES_COUNT; i++) {
        if (pages_measure(&sheet, &options, &pages[i], &error) == FST_OK) continue;
        fprintf(stderr, "micro_table: %s\n", error.text);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
