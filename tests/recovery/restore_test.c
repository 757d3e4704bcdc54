/* Shows that tables restored by several threads are those that one thread restores, that the
 * failure told is that of the lowest partition, and that a restore may fail or be stopped at any
 * moment: the next one makes the store whole. Real folders; the I/O interface fails on demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "recovery_fixture.h"
#include "storage/recovery/restore.h"

/* ---- input and output that fails ---- */

struct failing_io {
    struct io io; /* first */
    struct io_ops ops;
    _Atomic int calls_left; /* until one fails; negative: none does */
    const char *failing[2]; /* ends of paths that cannot be opened */
    _Atomic bool waits;     /* the second is met only after the first */
};

static bool fails_now(struct io *io) {
    struct failing_io *failing = (struct failing_io *)io;
    return atomic_load(&failing->calls_left) >= 0 && atomic_fetch_sub(&failing->calls_left, 1) == 0;
}

static bool ends_with(const char *path, const char *end) {
    size_t bytes = strlen(path), end_bytes = strlen(end);
    return bytes >= end_bytes && strcmp(path + bytes - end_bytes, end) == 0;
}

static int failing_open(struct io *io, const char *path, int flags, io_file *file_out) {
    struct failing_io *failing = (struct failing_io *)io;
    for (int i = 0; i < 2; i++) {
        if (!failing->failing[i] || !ends_with(path, failing->failing[i])) continue;
        while (i == 1 && atomic_load(&failing->waits)) sched_yield();
        atomic_store(&failing->waits, false);
        return -EACCES;
    }
    if (fails_now(io)) return -EIO;
    return io_posix()->ops->open(io_posix(), path, flags, file_out);
}

static int failing_resize(struct io *io, io_file file, uint64_t bytes) {
    if (fails_now(io)) return -EIO;
    return io_posix()->ops->resize(io_posix(), file, bytes);
}

static int failing_reserve(struct io *io, io_file file, uint64_t offset, uint64_t bytes) {
    if (fails_now(io)) return -ENOSPC;
    return io_posix()->ops->reserve(io_posix(), file, offset, bytes);
}

static int failing_map(struct io *io, io_file file, size_t bytes, void **memory_out) {
    if (fails_now(io)) return -ENOMEM;
    return io_posix()->ops->map(io_posix(), file, bytes, memory_out);
}

static void failing_init(struct failing_io *failing) {
    *failing = (struct failing_io){.ops = *io_posix()->ops, .calls_left = -1};
    failing->io.ops = &failing->ops;
    failing->ops.open = failing_open;
    failing->ops.resize = failing_resize;
    failing->ops.reserve = failing_reserve;
    failing->ops.map = failing_map;
}

/* ---- a store that needs everything ---- */

/* With a checkpoint, rows behind it, and no tables. */
static struct recovery_fixture *fixture_without_tables(void) {
    struct recovery_fixture *f = recovery_fixture_create(recovery_fixture_seed(1));
    recovery_fixture_open(f, 2);
    recovery_fixture_write(f, 600);
    recovery_fixture_checkpoint(f);
    recovery_fixture_write(f, 50);
    recovery_fixture_end(f);
    recovery_fixture_lose_tables(f);
    return f;
}

static void test_any_number_of_threads(void **state) {
    (void)state;
    static const uint32_t threads[] = {0, 1, 2, 3, FIXTURE_PARTITIONS, RESTORE_THREADS_MAX, 1000};
    struct recovery_fixture *f = fixture_without_tables();
    uint64_t rows = 0;
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        f->threads_count = threads[i];
        recovery_fixture_open(f, 2);
        recovery_fixture_judge(f);
        assert_int_equal(f->report.restored, FIXTURE_PARTITIONS);
        assert_int_equal(f->report.mapped, 0);
        if (i == 0) rows = f->report.checkpoint_rows;
        assert_true(rows > 100);
        assert_int_equal(f->report.checkpoint_rows, rows);
        recovery_fixture_end(f);
        assert_int_equal(f->budget.used_bytes, 0);
        recovery_fixture_lose_tables(f);
    }
    recovery_fixture_destroy(f);
}

/* The row is in one partition; what other threads have done by then is thrown away. */
static void test_a_damaged_row_sends_all_to_the_log(void **state) {
    (void)state;
    for (uint32_t threads = 1; threads <= FIXTURE_PARTITIONS; threads++) {
        struct recovery_fixture *f = fixture_without_tables();
        f->threads_count = threads;
        recovery_fixture_flip_meta_row(f);
        recovery_fixture_open(f, 2);
        assert_int_equal(f->report.checkpoint_rows, 0);
        assert_int_equal(f->report.restored, FIXTURE_PARTITIONS);
        assert_true(f->report.applied_rows > 600);
        recovery_fixture_judge(f);
        recovery_fixture_destroy(f);
    }
}

/* ---- failing ---- */

static void test_the_lowest_failure_is_told(void **state) {
    (void)state;
    struct recovery_fixture *f = fixture_without_tables();
    struct failing_io failing;
    failing_init(&failing);
    failing.failing[0] = "p0003";
    failing.failing[1] = "p0001";
    f->io = &failing.io;
    for (uint32_t threads = 1; threads <= FIXTURE_PARTITIONS; threads++) {
        f->threads_count = threads;
        atomic_store(&failing.waits, threads > 1); /* One thread ends with the first it meets. */
        assert_int_equal(recovery_fixture_try(f), FST_IO_ERROR);
        assert_non_null(strstr(f->error.text, "p0001"));
        assert_int_equal(f->budget.used_bytes, 0);
    }
    failing.failing[0] = failing.failing[1] = NULL;
    recovery_fixture_open(f, 1);
    recovery_fixture_judge(f);
    f->io = io_posix();
    recovery_fixture_destroy(f);
}

/* The Nth call fails, for every N; what it leaves behind does no harm. */
static void test_every_call_may_fail(void **state) {
    (void)state;
    struct recovery_fixture *f = fixture_without_tables();
    struct failing_io failing;
    failing_init(&failing);
    f->io = &failing.io;
    enum fst_status status = FST_IO_ERROR;
    int calls = 0;
    while (status != FST_OK) {
        f->threads_count = 1 + (uint32_t)calls % FIXTURE_PARTITIONS;
        atomic_store(&failing.calls_left, calls++);
        status = recovery_fixture_try(f);
        if (status != FST_OK) assert_true(f->error.text[0] != '\0');
        if (atomic_load(&failing.calls_left) < 0 && status == FST_OK) status = FST_IO_ERROR;
        assert_int_equal(f->budget.used_bytes, 0);
        if (calls % 3 == 0) recovery_fixture_lose_tables(f);
    }
    print_message("%d calls\n", calls);
    assert_true(calls > 10);
    atomic_store(&failing.calls_left, -1);
    recovery_fixture_open(f, 1);
    recovery_fixture_judge(f);
    f->io = io_posix();
    recovery_fixture_destroy(f);
}

/* ---- progress ---- */

struct watch {
    uint32_t calls;
    uint32_t stop_at; /* the call that is answered with "stop"; 0: none */
    uint32_t phases[2];
    struct recovery_progress last;
};

static bool watch_tell(void *context, const struct recovery_progress *progress) {
    struct watch *watch = context;
    assert_true(progress->done <= progress->total);
    if (watch->calls > 0 && progress->phase == watch->last.phase) {
        assert_true(progress->done >= watch->last.done);
    }
    watch->last = *progress;
    watch->phases[progress->phase] += 1;
    watch->calls += 1;
    return watch->calls != watch->stop_at;
}

static const struct progress_case {
    const char *name;
    void (*act)(struct recovery_fixture *f);
    bool phases[2]; /* that are told of */
} progress_cases[] = {
    {"nothing is lost", recovery_fixture_lose_nothing, {false, false}},
    {"all tables are lost", recovery_fixture_lose_tables, {true, true}},
    {"one table is lost", recovery_fixture_lose_one_table, {true, true}},
    {"LMDB is lost", recovery_fixture_lose_meta, {false, true}},
    {"LMDB and all tables are lost", recovery_fixture_lose_both, {false, true}},
};

static void test_a_rebuild_is_told_of(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof progress_cases / sizeof progress_cases[0]; i++) {
        const struct progress_case *c = &progress_cases[i];
        struct recovery_fixture *f = fixture_without_tables();
        struct watch watch = {0};
        print_message("  %s\n", c->name);
        f->progress = watch_tell;
        f->progress_context = &watch;
        recovery_fixture_open(f, 1);
        recovery_fixture_checkpoint(f);
        recovery_fixture_write(f, 10);
        recovery_fixture_end(f);
        c->act(f);
        watch = (struct watch){0};
        recovery_fixture_open(f, 1);
        for (int phase = 0; phase < 2; phase++) {
            assert_int_equal(watch.phases[phase] > 0, c->phases[phase]);
        }
        recovery_fixture_destroy(f);
    }
}

static void test_a_new_store_is_not_told_of(void **state) {
    (void)state;
    struct recovery_fixture *f = recovery_fixture_create(1);
    struct watch watch = {0};
    f->progress = watch_tell;
    f->progress_context = &watch;
    recovery_fixture_open(f, 1);
    assert_int_equal(watch.calls, 0);
    recovery_fixture_destroy(f);
}

/* Stopped at every call, one after another; each start takes on what the one before left. */
static void test_a_rebuild_may_be_stopped(void **state) {
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        struct recovery_fixture *f = fixture_without_tables();
        struct watch watch = {0};
        if (lost) recovery_fixture_lose_meta(f);
        f->progress = watch_tell;
        f->progress_context = &watch;
        uint32_t stops = 0;
        for (bool is_stopped = true; is_stopped; stops++) {
            watch = (struct watch){.stop_at = stops + 1};
            f->threads_count = 1 + stops % FIXTURE_PARTITIONS;
            recovery_fixture_lose_tables(f);
            enum fst_status status = recovery_fixture_try(f);
            is_stopped = watch.calls >= watch.stop_at;
            assert_int_equal(status, is_stopped ? FST_CLOSED : FST_OK);
            assert_int_equal(f->budget.used_bytes, 0);
            if (is_stopped && stops % 2 == 0) { /* The tables stay as they were. */
                watch = (struct watch){0};
                recovery_fixture_open(f, 1);
                recovery_fixture_judge(f);
                recovery_fixture_end(f);
            }
        }
        assert_true(stops > 1);
        recovery_fixture_open(f, 1);
        recovery_fixture_judge(f);
        recovery_fixture_destroy(f);
    }
}

int main(void) {
    logger_init(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_a_damaged_row_sends_all_to_the_log),
        cmocka_unit_test(test_the_lowest_failure_is_told),
        cmocka_unit_test(test_every_call_may_fail),
        cmocka_unit_test(test_a_rebuild_is_told_of),
        cmocka_unit_test(test_a_new_store_is_not_told_of),
        cmocka_unit_test(test_a_rebuild_may_be_stopped),
    };
    return cmocka_run_group_tests_name("recovery/restore", tests, NULL, NULL);
}
