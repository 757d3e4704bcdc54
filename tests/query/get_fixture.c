#include "get_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"

void get_fixture_init(struct get_fixture *fixture) {
    memset(fixture, 0, sizeof *fixture);
    epoch_init(&fixture->epoch, 1);
    epoch_enter(&fixture->epoch, 0);
    fixture->budget.limit_bytes = 256 << 20;
    struct get_store store = {.io = io_posix(),
                              .partitions = fixture->partitions,
                              .partitions_count = GET_FIXTURE_PARTITIONS,
                              .secret = {.k0 = 1, .k1 = 2}};
    for (uint32_t p = 0; p < GET_FIXTURE_PARTITIONS; p++) {
        snprintf(fixture->paths[p], sizeof fixture->paths[p], "/dev/shm/fstore-get-test-%d-%u",
                 getpid(), p);
        struct partition_options options = {.io = io_posix(),
                                            .epoch = &fixture->epoch,
                                            .budget = &fixture->budget,
                                            .secret = store.secret,
                                            .partition = p,
                                            .reserve_bytes = 64 << 20,
                                            .path = fixture->paths[p]};
        enum partition_origin origin;
        assert_int_equal(partition_open(&fixture->partitions[p], &options, &origin, NULL), FST_OK);
        assert_int_equal(origin, PARTITION_NEW);
    }
    assert_int_equal(get_batch_init(&fixture->batch, &store), FST_OK);
}

void get_fixture_deinit(struct get_fixture *fixture) {
    get_batch_deinit(&fixture->batch);
    for (uint32_t p = 0; p < GET_FIXTURE_PARTITIONS; p++) {
        partition_close(fixture->partitions[p]);
        unlink(fixture->paths[p]);
    }
}

void get_fixture_apply(struct get_fixture *fixture, const struct view *view,
                       const struct get_image *row) {
    static uint64_t body[4096];
    const struct row_layout *layout = &view->revisions[row->revision].layout;
    struct log_rows_header header = {.view_id = view->id,
                                     .revision = (uint16_t)row->revision,
                                     .rows_count = 1,
                                     .heap_bytes = (uint32_t)bytes_align(row->heap_bytes, 8)};
    uint8_t *at = (uint8_t *)body;
    size_t body_bytes = sizeof header + layout->image_bytes + header.heap_bytes;
    assert_true(body_bytes <= sizeof body);
    memset(body, 0, sizeof body);
    memcpy(at, &header, sizeof header);
    memcpy(at + sizeof header, row->image, layout->image_bytes);
    if (row->heap_bytes) {
        memcpy(at + sizeof header + layout->image_bytes, row->heap, row->heap_bytes);
    }
    assert_int_equal(log_rows_check(view, LOG_RECORD_ROWS, at, body_bytes), FST_OK);
    struct bytes key = row_key(layout, row->image, row->heap);
    uint32_t p = hash_partition(key.data, key.bytes, GET_FIXTURE_PARTITIONS);
    struct log_record_header record = {.type = LOG_RECORD_ROWS,
                                       .partition = (uint16_t)p,
                                       .lsn = ++fixture->lsns[p],
                                       .bytes = (uint32_t)(sizeof record + body_bytes)};
    uint8_t status;
    assert_int_equal(partition_apply(fixture->partitions[p], view, &record, at, true, &status),
                     FST_OK);
    assert_int_equal(status, FST_OK);
}

void get_fixture_reclaim(struct get_fixture *fixture) {
    epoch_enter(&fixture->epoch, 0);
    for (uint32_t p = 0; p < GET_FIXTURE_PARTITIONS; p++) {
        partition_reclaim(fixture->partitions[p]);
    }
}

void get_fixture_check(const struct get_fixture *fixture, const struct catalog *catalog) {
    for (uint32_t p = 0; p < GET_FIXTURE_PARTITIONS; p++) {
        assert_int_equal(partition_check(fixture->partitions[p], catalog, NULL), FST_OK);
    }
}
