/*
 * row_table: a partition with rows 0 to N - 1 of one view: an int64 key and float64 features.
 *
 * Threads: one. Memory: owns the partition and its definitions until row_table_close; the file is
 * removed there.
 */
#ifndef BENCH_MICRO_ROW_TABLE_H
#define BENCH_MICRO_ROW_TABLE_H

#include "storage/online/partition.h"

enum { ROW_TABLE_FEATURES_MAX = 1000, ROW_TABLE_BATCH_MAX = 10000 };

struct row_table_options {
    struct io *io;
    const char *path;
    uint64_t rows_count;
    uint32_t features_count;
};

struct row_table;

FST_MUST_USE enum fst_status row_table_open(struct row_table **table_out,
                                            const struct row_table_options *options,
                                            struct fst_error *error);
void row_table_close(struct row_table *table);

uint32_t row_table_body_bytes(const struct row_table *table);

/* Looks up `count` rows at a time whose numbers follow from *random, as a server does it: keys are
 * hashed, rows found and copied. Returns how many were found, which are all. */
uint64_t row_table_read(struct row_table *table, uint32_t count, uint64_t *random);

#endif
