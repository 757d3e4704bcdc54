/* Opening: which files are trusted, what happens when the operating system fails at the Nth call,
 * and what a process leaves behind that is killed in the middle of writing: either a table that
 * holds exactly whole records, or one that is not trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/online/table.h"
#include "tests/online/online_fixture.h"

enum { LIMIT_BYTES = 256 << 20, ROWS = 700 };

static void rows_write(struct online_fixture *fixture) {
    for (int64_t key = 0; key < ROWS; key++) {
        struct row_spec spec = {.view_id = VIEW_TEXT, .key = key, .value = (uint64_t)key};
        assert_int_equal(row_write(fixture, &spec, (uint64_t)key + 1), FST_OK);
    }
}

static void rows_check(const struct online_fixture *fixture, bool is_there) {
    struct row_found found;
    for (int64_t key = 0; key < ROWS; key++) {
        struct row_spec spec = {.view_id = VIEW_TEXT, .key = key, .value = (uint64_t)key};
        assert_int_equal(row_get(fixture, VIEW_TEXT, key, &found), is_there);
        if (is_there) assert_true(row_is(fixture, &found, &spec, (uint64_t)key + 1));
    }
}

/* ---- trust ---- */

static void file_write(struct online_fixture *fixture, uint64_t offset, const void *data,
                       size_t bytes) {
    io_file file;
    struct io *io = fixture->io;
    assert_int_equal(io->ops->open(io, fixture->path, IO_OPEN_WRITE, &file), 0);
    assert_int_equal(io_write_full(io, file, data, bytes, offset), 0);
    assert_int_equal(io->ops->close(io, file), 0);
}

static void file_resize(struct online_fixture *fixture, uint64_t bytes) {
    io_file file;
    struct io *io = fixture->io;
    assert_int_equal(io->ops->open(io, fixture->path, IO_OPEN_WRITE, &file), 0);
    assert_int_equal(io->ops->resize(io, file, bytes), 0);
    assert_int_equal(io->ops->close(io, file), 0);
}

static void nothing(struct online_fixture *fixture) {
    (void)fixture;
}
static void other_store(struct online_fixture *fixture) {
    fixture->options.store_id[15] ^= 1;
}
static void other_boot(struct online_fixture *fixture) {
    fixture->options.boot_id[15] ^= 1;
}
static void other_secret(struct online_fixture *fixture) {
    fixture->options.secret.k1 ^= 1;
}
static void other_partition(struct online_fixture *fixture) {
    fixture->options.partition += 1;
}
static void other_format(struct online_fixture *fixture) {
    uint32_t format = TABLE_FORMAT + 1;
    file_write(fixture, offsetof(struct table_identity, format), &format, sizeof format);
}
static void earlier_format(struct online_fixture *fixture) {
    uint32_t format = 1; /* It knew the newest sequence of a client only. */
    file_write(fixture, offsetof(struct table_identity, format), &format, sizeof format);
}
static void stopped_inside(struct online_fixture *fixture) {
    uint32_t busy = 1;
    file_write(fixture, offsetof(struct table_header, busy), &busy, sizeof busy);
}
static void cut_to_a_page(struct online_fixture *fixture) {
    file_resize(fixture, 4096);
}
static void cut_inside_the_extents(struct online_fixture *fixture) {
    file_resize(fixture, TABLE_EXTENTS_OFFSET + 65536);
}
static void other_file(struct online_fixture *fixture) {
    file_resize(fixture, 0);
    file_write(fixture, 0, "something else", 14);
}
static void emptied(struct online_fixture *fixture) {
    file_resize(fixture, 0);
}
static void larger_reserve(struct online_fixture *fixture) {
    fixture->options.reserve_bytes *= 2;
}
static void smaller_reserve(struct online_fixture *fixture) {
    fixture->options.reserve_bytes /= 2;
}

static const struct trust_case {
    const char *name;
    void (*change)(struct online_fixture *fixture);
    enum partition_origin origin;
} trust_cases[] = {
    {"nothing changed", nothing, PARTITION_MAPPED},
    {"a larger reserve", larger_reserve, PARTITION_MAPPED},
    {"a smaller reserve", smaller_reserve, PARTITION_MAPPED},
    {"another store", other_store, PARTITION_DISTRUSTED},
    {"another boot", other_boot, PARTITION_DISTRUSTED},
    {"another secret", other_secret, PARTITION_DISTRUSTED},
    {"another partition", other_partition, PARTITION_DISTRUSTED},
    {"another format", other_format, PARTITION_DISTRUSTED},
    {"an earlier format", earlier_format, PARTITION_DISTRUSTED},
    {"its writer stopped in the middle", stopped_inside, PARTITION_DISTRUSTED},
    {"cut to a page", cut_to_a_page, PARTITION_DISTRUSTED},
    {"cut inside the extents", cut_inside_the_extents, PARTITION_DISTRUSTED},
    {"another file", other_file, PARTITION_DISTRUSTED},
    {"emptied", emptied, PARTITION_NEW},
};

static void test_trust(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof trust_cases / sizeof trust_cases[0]; i++) {
        const struct trust_case *c = &trust_cases[i];
        print_message("  %s\n", c->name);
        struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
        rows_write(fixture);
        partition_close(fixture->partition);
        fixture->partition = NULL;
        c->change(fixture);
        online_fixture_reopen(fixture);
        assert_int_equal(fixture->origin, c->origin);
        online_fixture_check(fixture);
        bool is_mapped = c->origin == PARTITION_MAPPED;
        rows_check(fixture, is_mapped);
        assert_int_equal(partition_applied_lsn(fixture->partition), is_mapped ? ROWS : 0);
        rows_write(fixture);
        rows_check(fixture, true);
        online_fixture_check(fixture);
        online_fixture_destroy(fixture);
    }
}

static void test_clear(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    for (int i = 0; i < 3; i++) {
        rows_write(fixture);
        uint64_t used = fixture->budget.used_bytes;
        assert_int_equal(partition_clear(fixture->partition), FST_OK);
        assert_true(fixture->budget.used_bytes < used);
        rows_check(fixture, false);
        online_fixture_check(fixture);
    }
    online_fixture_destroy(fixture);
}

/* ---- failing calls ---- */

/* The operating system, but its call number `fail_at` fails. Calls are counted over all functions
 * used here. */
struct failing_io {
    struct io io;
    struct io_ops ops;
    uint32_t calls;
    uint32_t fail_at;
    uint32_t open_files;
    uint32_t mappings;
};

static bool fails(struct io *io) {
    struct failing_io *failing = (struct failing_io *)io;
    return ++failing->calls == failing->fail_at;
}
static int failing_open(struct io *io, const char *path, int flags, io_file *file_out) {
    if (fails(io)) return -EMFILE;
    int result = io_posix()->ops->open(io_posix(), path, flags, file_out);
    if (result == 0) ((struct failing_io *)io)->open_files += 1;
    return result;
}
static int failing_close(struct io *io, io_file file) {
    ((struct failing_io *)io)->open_files -= 1;
    return io_posix()->ops->close(io_posix(), file);
}
static int64_t failing_size(struct io *io, io_file file) {
    return fails(io) ? -EIO : io_posix()->ops->size(io_posix(), file);
}
static int failing_resize(struct io *io, io_file file, uint64_t bytes) {
    return fails(io) ? -ENOSPC : io_posix()->ops->resize(io_posix(), file, bytes);
}
static int failing_reserve(struct io *io, io_file file, uint64_t offset, uint64_t bytes) {
    return fails(io) ? -ENOSPC : io_posix()->ops->reserve(io_posix(), file, offset, bytes);
}
static int failing_map(struct io *io, io_file file, size_t bytes, void **memory_out) {
    if (fails(io)) return -ENOMEM;
    int result = io_posix()->ops->map(io_posix(), file, bytes, memory_out);
    if (result == 0) ((struct failing_io *)io)->mappings += 1;
    return result;
}
static int failing_unmap(struct io *io, void *memory, size_t bytes) {
    ((struct failing_io *)io)->mappings -= 1;
    return io_posix()->ops->unmap(io_posix(), memory, bytes);
}

static void test_failing_calls(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    struct failing_io failing = {.ops = {.open = failing_open,
                                         .close = failing_close,
                                         .size = failing_size,
                                         .resize = failing_resize,
                                         .reserve = failing_reserve,
                                         .map = failing_map,
                                         .unmap = failing_unmap}};
    failing.io.ops = &failing.ops;
    uint32_t failures = 0;
    for (uint32_t trusted = 0; trusted < 2; trusted++) {
        enum fst_status status = FST_IO_ERROR;
        for (uint32_t n = 1; status != FST_OK; n++) {
            rows_write(fixture);
            partition_close(fixture->partition);
            fixture->partition = NULL;
            if (!trusted) fixture->options.boot_id[0] += 1;
            struct partition_options options = fixture->options;
            struct fst_error error = {.text = ""};
            failing.calls = 0;
            failing.fail_at = n;
            options.io = &failing.io;
            struct partition *partition = NULL;
            status = partition_open(&partition, &options, &fixture->origin, &error);
            if (status == FST_OK)
                partition_close(partition);
            else
                assert_non_null(strstr(error.text, fixture->path));
            failures += status != FST_OK;
            assert_int_equal(failing.open_files, 0);
            assert_int_equal(failing.mappings, 0);
            assert_int_equal(fixture->budget.used_bytes, 0);
            online_fixture_reopen(fixture);
            online_fixture_check(fixture);
        }
    }
    /* Open, size, resize, map and three to reserve; where the table is made again, two more to
     * empty it and seven to reserve. */
    assert_int_equal(failures, 7 + 9 + 7);
    online_fixture_destroy(fixture);
}

/* ---- kill ---- */

/* Record n sets rows of keys n .. n + 3 (mod 1000) to values of n; row sizes and values change all
 * the time. */
enum { KILL_KEYS = 1000, KILL_ROWS = 4 };

static void kill_specs(uint64_t n, struct row_spec specs[KILL_ROWS]) {
    for (uint64_t i = 0; i < KILL_ROWS; i++) {
        specs[i] = (struct row_spec){.view_id = VIEW_TEXT,
                                     .revision = (uint16_t)(n / KILL_KEYS % 2),
                                     .key = (int64_t)((n * 7 + i) % KILL_KEYS),
                                     .event_us = (int64_t)n,
                                     .value = n};
    }
}

static void kill_child(struct online_fixture *fixture, int pipe_out) {
    const struct view *view = fixture->by_id[VIEW_TEXT];
    uint64_t n = partition_applied_lsn(fixture->partition) / KILL_ROWS;
    for (;; n++) {
        struct row_spec specs[KILL_ROWS];
        kill_specs(n, specs);
        struct record record = record_make(fixture, specs, KILL_ROWS, n * KILL_ROWS + 1);
        if (partition_admit(fixture->partition, view, record.body) != PARTITION_ADMIT) _exit(1);
        if (partition_apply(fixture->partition, view, &record.header, record.body, true, NULL)) {
            _exit(1);
        }
        record_free(&record);
        partition_reclaim(fixture->partition);
        if (n % 64 == 0 && write(pipe_out, "", 1) != 1) _exit(1);
    }
}

/* Each row is what the last record up to the applied LSN made of it. */
static void kill_check(const struct online_fixture *fixture) {
    uint64_t records = partition_applied_lsn(fixture->partition) / KILL_ROWS;
    assert_int_equal(partition_applied_lsn(fixture->partition) % KILL_ROWS, 0);
    struct row_spec last[KILL_KEYS];
    uint64_t lsns[KILL_KEYS] = {0};
    uint64_t first = records > 4 * KILL_KEYS ? records - 4 * KILL_KEYS : 0;
    for (uint64_t n = first; n < records; n++) {
        struct row_spec specs[KILL_ROWS];
        kill_specs(n, specs);
        for (uint64_t i = 0; i < KILL_ROWS; i++) {
            last[specs[i].key] = specs[i];
            lsns[specs[i].key] = n * KILL_ROWS + 1 + i;
        }
    }
    for (int64_t key = 0; key < KILL_KEYS; key++) {
        struct row_found found;
        assert_int_equal(row_get(fixture, VIEW_TEXT, key, &found), lsns[key] != 0);
        if (lsns[key]) assert_true(row_is(fixture, &found, &last[key], lsns[key]));
    }
}

static uint64_t stats_mapped_bytes(const struct online_fixture *fixture) {
    struct partition_stats stats;
    partition_stats(fixture->partition, &stats);
    return stats.mapped_bytes;
}

static void test_kill(void **state) {
    (void)state;
    struct online_fixture *fixture = online_fixture_create(LIMIT_BYTES);
    uint64_t random = random_seed(31);
    uint32_t mapped = 0;
    enum { KILLS = 60 };
    for (uint32_t i = 0; i < KILLS; i++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) kill_child(fixture, ends[1]);
        close(ends[1]);
        uint64_t messages = 1 + random_next(&random) % 20;
        char byte;
        for (uint64_t m = 0; m < messages; m++) assert_int_equal(read(ends[0], &byte, 1), 1);
        for (uint64_t spin = random_next(&random) % 100000; spin > 0; spin--) {
            __asm__ volatile("" ::: "memory");
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        close(ends[0]);
        /* The parent's own counters of the shared budget did not see what the child took. */
        fixture->budget.used_bytes = stats_mapped_bytes(fixture);
        online_fixture_reopen(fixture);
        assert_int_not_equal(fixture->origin, PARTITION_NEW);
        mapped += fixture->origin == PARTITION_MAPPED;
        online_fixture_check(fixture);
        kill_check(fixture);
    }
    print_message("  %u of %u tables were trusted\n", mapped, (unsigned)KILLS);
    assert_true(mapped > 0);
    online_fixture_destroy(fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trust),
        cmocka_unit_test(test_clear),
        cmocka_unit_test(test_failing_calls),
        cmocka_unit_test(test_kill),
    };
    return cmocka_run_group_tests_name("online/open", tests, NULL, NULL);
}
