/*
 * get_fixture: partitions with rows that a test puts there, and a batch that reads them.
 *
 * Threads: the test's. Memory: partitions lie on a memory file system until deinit.
 */
#ifndef TESTS_QUERY_GET_FIXTURE_H
#define TESTS_QUERY_GET_FIXTURE_H

#include "query/get.h"

enum { GET_FIXTURE_PARTITIONS = 4 };

struct get_fixture {
    struct epoch epoch;
    struct partition_budget budget;
    char paths[GET_FIXTURE_PARTITIONS][64];
    struct partition *partitions[GET_FIXTURE_PARTITIONS];
    uint64_t lsns[GET_FIXTURE_PARTITIONS];
    struct get_batch batch;
    uint64_t found; /* for get_request.rows_found_total */
};

void get_fixture_init(struct get_fixture *fixture);
void get_fixture_deinit(struct get_fixture *fixture);

/* A row on its way into a view. */
struct get_image {
    uint32_t revision;
    const uint8_t *image;
    const void *heap;
    size_t heap_bytes;
};
/* Logs and applies the row, which must be newer than what is there. */
void get_fixture_apply(struct get_fixture *fixture, const struct view *view,
                       const struct get_image *row);
/* Gives back what was replaced. */
void get_fixture_reclaim(struct get_fixture *fixture);
void get_fixture_check(const struct get_fixture *fixture, const struct catalog *catalog);

#endif
