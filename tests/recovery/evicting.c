#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/recovery/evicting.h"

enum { ALL_PLACES = 1000000, LAPS = 2 };

uint64_t evicting_count(const struct recovery_fixture *f) {
    uint64_t count = 0;
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        struct partition_stats stats;
        partition_stats(f->store.partitions[p], &stats);
        count += stats.evicted_count;
    }
    return count;
}

uint64_t evicting_evict(struct recovery_fixture *f) {
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        for (int lap = 0; lap < LAPS; lap++)
            (void)partition_evict(f->store.partitions[p], f->catalog, ALL_PLACES);
    }
    return evicting_count(f);
}

static enum fst_status row_promote(void *context, const struct meta_row *row) {
    struct recovery_fixture *f = context;
    if (row->revision == VIEW_REVISION_DELETED) return FST_OK;
    enum fst_status status = partition_promote(f->store.partitions[row->partition],
                                               f->catalog->views_by_id[row->view_id], row->revision,
                                               row->lsn, row->image.data, row->heap.data);
    assert_true(status == FST_OK || status == FST_STALE);
    return FST_OK;
}

void evicting_promote(struct recovery_fixture *f) {
    const struct meta_visitor visitor = {.context = f, .row = row_promote};
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        assert_int_equal(meta_visit_partition(f->store.meta, (uint16_t)p, &visitor, &f->error),
                         FST_OK);
    }
    assert_int_equal(evicting_count(f), 0);
}

void evicting_judge(struct recovery_fixture *f) {
    evicting_promote(f);
    recovery_fixture_judge(f);
}
