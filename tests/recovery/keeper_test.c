/* The keeper's checkpoint gives readers' memory back as it goes: what a shard takes out of use
 * while one partition is visited can be used again when the next one is. Its one thread is the
 * test, which has told it to stop, so that it makes its last checkpoint and returns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "jobs/keeper.h"
#include "tests/recovery/recovery_fixture.h"

enum { SEAT = 0 };

struct world {
    struct recovery_fixture *fixture;
    uint64_t stamp; /* of what was taken out of use last; 0: nothing yet */
    uint32_t visits;
};

/* Asked for once a partition, when its visit begins. */
static const struct catalog *catalog_now(void *context) {
    struct world *world = context;
    struct epoch *epoch = &world->fixture->epoch;
    if (world->stamp > 0) assert_true(epoch_is_past(epoch, world->stamp));
    world->stamp = epoch_stamp(epoch);
    assert_false(epoch_is_past(epoch, world->stamp));
    world->visits += 1;
    return world->fixture->catalog;
}

static void test_a_checkpoint_holds_one_partition(void **state) {
    (void)state;
    struct world world = {.fixture = recovery_fixture_create(1)};
    struct recovery_fixture *f = world.fixture;
    struct keeper *keeper;
    struct metrics metrics = {0};
    _Atomic uint64_t applied_groups[1];
    _Atomic bool is_disk_full = false, is_wanted = false;
    _Atomic int64_t checkpoint_us = 0;
    pthread_mutex_t change_lock = PTHREAD_MUTEX_INITIALIZER;
    recovery_fixture_open(f, 1);
    recovery_fixture_write(f, 50);
    applied_groups[0] = log_durable_group(f->logs[0]);
    const struct keeper_options options = {.store = &f->store,
                                           .epoch = &f->epoch,
                                           .epoch_seat = SEAT,
                                           .metrics = &metrics,
                                           .logs = f->logs,
                                           .shards_count = 1,
                                           .applied_groups = applied_groups,
                                           .is_disk_full = &is_disk_full,
                                           .is_wanted = &is_wanted,
                                           .checkpoint_us = &checkpoint_us,
                                           .change_lock = &change_lock,
                                           .context = &world,
                                           .catalog = catalog_now};
    assert_int_equal(keeper_create(&keeper, &options), FST_OK);
    keeper_stop(keeper, false);
    keeper_run(keeper);
    keeper_destroy(keeper);
    assert_int_equal(world.visits, FIXTURE_PARTITIONS);
    assert_true(atomic_load(&checkpoint_us) > 0);
    assert_true(epoch_is_past(&f->epoch, epoch_stamp(&f->epoch)));
    recovery_fixture_end(f);
    recovery_fixture_lose_tables(f);
    recovery_fixture_open(f, 1);
    recovery_fixture_judge(f);
    recovery_fixture_destroy(f);
}

int main(void) {
    logger_init(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_checkpoint_holds_one_partition),
    };
    return cmocka_run_group_tests_name("recovery/keeper", tests, NULL, NULL);
}
