/* Calibration runs on a simulated disk whose writes and syncs take as long as each case says, with
 * a ring that does them one after the other. It must choose what takes less time, stop in time on a
 * slow disk, and leave nothing behind, whatever fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io_sim.h"
#include "storage/log/sync_calibration.h"

enum { IN_FLIGHT = 4, DIR_BYTES = 256 };
#define DIR "log"

struct world {
    struct io_sim *sim;
    struct io *io;
    struct io_ring ring;
    struct io_ring_completion queue[LOG_GROUPS_IN_FLIGHT_MAX];
    uint32_t queue_count;
    uint32_t queue_max;             /* as long as the queue has been */
    int64_t dsync_us, fdatasync_us; /* what a write takes */
    uint32_t writes_count;
    uint32_t slow_every;    /* so many writes take a hundred times as long; 0: none */
    uint32_t failing_write; /* this one, from 1, ends with an error; 0: none */
    uint32_t refused_write; /* this one is not taken */
};

static int ring_write(struct io_ring *ring, const struct io_ring_write *write, uint64_t token) {
    struct world *world = (struct world *)((char *)ring - offsetof(struct world, ring));
    struct io *io = world->io;
    world->writes_count += 1;
    if (world->writes_count == world->refused_write) return -EAGAIN;
    int64_t took_us = write->is_dsync ? world->dsync_us : world->fdatasync_us;
    if (world->slow_every > 0 && world->writes_count % world->slow_every == 0) took_us *= 100;
    if (world->sim) io_sim_clock_move(world->sim, took_us);
    int result = io_write_full(io, write->file, write->data, write->bytes, write->offset);
    if (result == 0 && !write->is_dsync) result = io->ops->sync(io, write->file);
    if (world->writes_count == world->failing_write) result = -EIO;
    assert_true(world->queue_count < LOG_GROUPS_IN_FLIGHT_MAX);
    world->queue[world->queue_count++] =
        (struct io_ring_completion){.event = IO_RING_WRITTEN, .result = result, .token = token};
    if (world->queue_count > world->queue_max) world->queue_max = world->queue_count;
    return 0;
}

/* One at a time, the last one first. */
static int ring_wait(struct io_ring *ring, struct io_ring_completion *completions, uint32_t max,
                     int64_t timeout_us) {
    struct world *world = (struct world *)((char *)ring - offsetof(struct world, ring));
    assert_true(max > 0 && timeout_us < 0 && world->queue_count > 0);
    completions[0] = world->queue[--world->queue_count];
    return 1;
}

static void world_init(struct world *world) {
    static const struct io_ring_ops ops = {.name = "test", .write = ring_write, .wait = ring_wait};
    *world = (struct world){.sim = io_sim_create(1), .ring = {.ops = &ops}};
    world->io = io_sim_io(world->sim);
    assert_int_equal(world->io->ops->mkdir(world->io, DIR), 0);
}

static void world_deinit(struct world *world) {
    assert_int_equal(world->queue_count, 0); /* Every write was waited for. */
    assert_int_equal(io_sim_check(world->sim), FST_OK);
    io_sim_destroy(world->sim);
}

static enum fst_status calibrate(struct world *world, uint32_t in_flight,
                                 struct sync_calibration *calibration, struct fst_error *error) {
    const struct sync_calibration_options options = {
        .io = world->io, .ring = &world->ring, .dir = DIR, .groups_in_flight_max = in_flight};
    return sync_calibration_run(calibration, &options, error);
}

static int name_count(void *context, const char *name) {
    (void)name;
    *(uint32_t *)context += 1;
    return 0;
}

static uint32_t names_count(struct io *io, const char *dir) {
    uint32_t count = 0;
    assert_int_equal(io->ops->list(io, dir, name_count, &count), 0);
    return count;
}

static void test_the_faster_method_is_chosen(void **state) {
    static const struct speed_case {
        const char *name;
        int64_t dsync_us, fdatasync_us;
        enum log_sync_method method;
    } cases[] = {
        {"dsync is faster", 1000, 1500, LOG_SYNC_DSYNC},
        {"fdatasync is faster", 1500, 1000, LOG_SYNC_FDATASYNC},
        {"no difference", 1000, 1000, LOG_SYNC_DSYNC},
        {"a difference that may be chance", 1000, 910, LOG_SYNC_DSYNC},
        {"just enough of a difference", 1000, 890, LOG_SYNC_FDATASYNC},
        {"a disk that takes no time", 0, 0, LOG_SYNC_DSYNC},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world world;
        struct sync_calibration calibration;
        print_message("    %s\n", cases[i].name);
        world_init(&world);
        world.dsync_us = cases[i].dsync_us;
        world.fdatasync_us = cases[i].fdatasync_us;
        assert_int_equal(calibrate(&world, IN_FLIGHT, &calibration, NULL), FST_OK);
        assert_int_equal(calibration.method, cases[i].method);
        assert_int_equal(calibration.rounds, SYNC_CALIBRATION_ROUNDS);
        assert_int_equal(calibration.dsync_us, IN_FLIGHT * cases[i].dsync_us);
        assert_int_equal(calibration.fdatasync_us, IN_FLIGHT * cases[i].fdatasync_us);
        assert_int_equal(world.queue_max, IN_FLIGHT);
        assert_int_equal(names_count(world.io, DIR), 0);
        world_deinit(&world);
    }
}

/* Every ninth write takes a hundred times as long, now with one method, now with the other. */
static void test_single_slow_writes_do_not_count(void **state) {
    (void)state;
    struct world world;
    struct sync_calibration calibration;
    world_init(&world);
    world.dsync_us = 120;
    world.fdatasync_us = 100;
    world.slow_every = 9;
    assert_int_equal(calibrate(&world, 2, &calibration, NULL), FST_OK);
    assert_int_equal(calibration.method, LOG_SYNC_FDATASYNC);
    assert_int_equal(calibration.dsync_us, 240);
    assert_int_equal(calibration.fdatasync_us, 200);
    world_deinit(&world);
}

/* No turn begins after 200 ms: what is known by then decides, and if it is nothing the default. */
static void test_a_slow_disk(void **state) {
    static const struct slow_case {
        int64_t dsync_us, fdatasync_us;
        uint32_t rounds, writes;
        enum log_sync_method method;
    } cases[] = {
        {20000, 10000, 5, 13, LOG_SYNC_FDATASYNC}, {100000, 60000, 1, 3, LOG_SYNC_FDATASYNC},
        {70000, 20000, 1, 5, LOG_SYNC_FDATASYNC},  {150000, 250000, 1, 2, LOG_SYNC_DSYNC},
        {210000, 10000, 0, 1, LOG_SYNC_DSYNC},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world world;
        struct sync_calibration calibration;
        world_init(&world);
        world.dsync_us = cases[i].dsync_us;
        world.fdatasync_us = cases[i].fdatasync_us;
        assert_int_equal(calibrate(&world, 1, &calibration, NULL), FST_OK);
        assert_int_equal(calibration.rounds, cases[i].rounds);
        assert_int_equal(calibration.method, cases[i].method);
        assert_int_equal(world.writes_count, cases[i].writes);
        assert_int_equal(names_count(world.io, DIR), 0);
        world_deinit(&world);
    }
}

static void test_the_disk_is_full(void **state) {
    (void)state;
    struct world world;
    struct sync_calibration calibration;
    struct fst_error error;
    world_init(&world);
    io_sim_limit(world.sim, 32 << 10);
    assert_int_equal(calibrate(&world, IN_FLIGHT, &calibration, &error), FST_DISK_FULL);
    assert_non_null(strstr(error.text, DIR "/"));
    assert_int_equal(calibration.method, LOG_SYNC_DSYNC);
    assert_int_equal(calibration.rounds, 0);
    assert_int_equal(names_count(world.io, DIR), 0);
    assert_int_equal(world.io->ops->sync_dir(world.io, DIR), 0);
    assert_int_equal(io_sim_used_bytes(world.sim), 0);
    world_deinit(&world);
}

/* The first call removes what is not there; of the others each one may fail. */
static void test_every_call_fails(void **state) {
    (void)state;
    struct sync_calibration calibration;
    struct world world;
    world_init(&world);
    assert_int_equal(calibrate(&world, IN_FLIGHT, &calibration, NULL), FST_OK);
    uint64_t calls = io_sim_calls(world.sim, IO_SIM_OPEN) + io_sim_calls(world.sim, IO_SIM_PWRITE) +
                     io_sim_calls(world.sim, IO_SIM_SYNC);
    world_deinit(&world);
    for (uint64_t nth = 2; nth < 2 + calls; nth++) {
        struct fst_error error;
        world_init(&world);
        io_sim_fail(world.sim, IO_SIM_ANY, nth, EIO);
        assert_int_equal(calibrate(&world, IN_FLIGHT, &calibration, &error), FST_IO_ERROR);
        assert_int_equal(calibration.method, LOG_SYNC_DSYNC);
        assert_int_equal(calibration.rounds, 0);
        io_sim_fail(world.sim, IO_SIM_ANY, 0, EIO);
        assert_int_equal(names_count(world.io, DIR), 0);
        world_deinit(&world);
    }
}

/* What the ring says of a write counts; the others are waited for. */
static void test_the_ring_fails(void **state) {
    (void)state;
    for (uint32_t nth = 1; nth <= 12; nth++) {
        struct sync_calibration calibration;
        struct fst_error error;
        struct world world;
        world_init(&world);
        world.failing_write = nth;
        assert_int_equal(calibrate(&world, IN_FLIGHT, &calibration, &error), FST_IO_ERROR);
        assert_int_equal(names_count(world.io, DIR), 0);
        world_deinit(&world);

        world_init(&world);
        world.refused_write = nth;
        assert_int_not_equal(calibrate(&world, IN_FLIGHT, &calibration, &error), FST_OK);
        assert_int_equal(calibration.method, LOG_SYNC_DSYNC);
        assert_int_equal(names_count(world.io, DIR), 0);
        world_deinit(&world);
    }
}

/* A start is killed at each call; the next one measures, or only cleans. */
static void test_what_a_killed_start_left(void **state) {
    (void)state;
    for (uint64_t nth = 2; nth < 40; nth++) {
        struct sync_calibration calibration;
        struct fst_error error;
        struct world world;
        world_init(&world);
        io_sim_fail_from(world.sim, IO_SIM_ANY, nth, EIO);
        assert_int_equal(calibrate(&world, IN_FLIGHT, &calibration, &error), FST_IO_ERROR);
        io_sim_kill(world.sim);
        assert_int_equal(names_count(world.io, DIR), nth > 2);
        if (nth % 2 == 0) {
            sync_calibration_clean(world.io, DIR);
        } else {
            assert_int_equal(calibrate(&world, IN_FLIGHT, &calibration, &error), FST_OK);
            assert_int_equal(calibration.rounds, SYNC_CALIBRATION_ROUNDS);
        }
        assert_int_equal(names_count(world.io, DIR), 0);
        world_deinit(&world);
    }
}

static void test_a_name_that_is_too_long(void **state) {
    (void)state;
    struct world world;
    struct sync_calibration calibration;
    char dir[5000];
    memset(dir, 'd', sizeof dir);
    dir[sizeof dir - 1] = 0;
    world_init(&world);
    const struct sync_calibration_options options = {
        .io = world.io, .ring = &world.ring, .dir = dir, .groups_in_flight_max = 1};
    assert_int_equal(sync_calibration_run(&calibration, &options, NULL), FST_INVALID);
    assert_int_equal(calibration.method, LOG_SYNC_DSYNC);
    sync_calibration_clean(world.io, dir);
    world_deinit(&world);
}

/* Where O_DIRECT may be refused, and nothing is ever synced. */
static void test_a_file_system_in_memory(void **state) {
    (void)state;
    struct world world;
    struct sync_calibration calibration;
    struct fst_error error;
    char dir[DIR_BYTES] = "/dev/shm/fst-calibration-XXXXXX";
    world_init(&world);
    struct world posix = {.io = io_posix(), .ring = world.ring};
    assert_non_null(mkdtemp(dir));
    const struct sync_calibration_options options = {
        .io = posix.io, .ring = &posix.ring, .dir = dir, .groups_in_flight_max = 16};
    assert_int_equal(sync_calibration_run(&calibration, &options, &error), FST_OK);
    assert_true(calibration.rounds > 0);
    assert_int_equal(names_count(posix.io, dir), 0);
    assert_int_equal(rmdir(dir), 0);
    world_deinit(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_faster_method_is_chosen),
        cmocka_unit_test(test_single_slow_writes_do_not_count),
        cmocka_unit_test(test_a_slow_disk),
        cmocka_unit_test(test_the_disk_is_full),
        cmocka_unit_test(test_every_call_fails),
        cmocka_unit_test(test_the_ring_fails),
        cmocka_unit_test(test_what_a_killed_start_left),
        cmocka_unit_test(test_a_name_that_is_too_long),
        cmocka_unit_test(test_a_file_system_in_memory),
    };
    return cmocka_run_group_tests_name("log/sync_calibration", tests, NULL, NULL);
}
