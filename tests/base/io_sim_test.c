/* Cuts the power, kills the process and injects errors at random and at every point, and compares
 * what is left with what the rules of the simulated disk allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/io_sim.h"
#include "tests/base/random.h"

enum {
    CREATE = IO_OPEN_WRITE | IO_OPEN_CREATE,
    SECTOR = 512,
    SECTORS = 24,
    FILE_BYTES = SECTOR * SECTORS,
};

struct rig {
    struct io_sim *sim;
    struct io *io;
    const struct io_ops *ops;
};

static struct rig rig_create(uint64_t seed) {
    struct io_sim *sim = io_sim_create(seed);
    struct io *io = io_sim_io(sim);
    return (struct rig){.sim = sim, .io = io, .ops = io->ops};
}

static void rig_destroy(struct rig *rig) {
    assert_int_equal(io_sim_check(rig->sim), FST_OK);
    io_sim_destroy(rig->sim);
}

static io_file file_open(struct rig *rig, const char *path, int flags) {
    io_file file = -1;
    assert_int_equal(rig->ops->open(rig->io, path, flags, &file), 0);
    return file;
}

static bool file_exists(struct rig *rig, const char *path) {
    io_file file;
    int result = rig->ops->open(rig->io, path, 0, &file);
    assert_true(result == 0 || result == -ENOENT);
    if (result == 0) assert_int_equal(rig->ops->close(rig->io, file), 0);
    return result == 0;
}

/* A file whose name and contents are durable. */
static void file_settle(struct rig *rig, const char *path, const void *data, size_t bytes) {
    io_file file = file_open(rig, path, CREATE);
    assert_int_equal(io_write_full(rig->io, file, data, bytes, 0), 0);
    assert_int_equal(rig->ops->sync(rig->io, file), 0);
    assert_int_equal(rig->ops->close(rig->io, file), 0);
    assert_int_equal(rig->ops->sync_dir(rig->io, "."), 0);
}

/* ---- contents after a power cut, against an oracle of two images ---- */

struct oracle {
    uint8_t now[FILE_BYTES];
    uint8_t durable[FILE_BYTES];
    size_t now_bytes;
    size_t durable_bytes;
};

static void oracle_settle(struct oracle *oracle) {
    memcpy(oracle->durable, oracle->now, FILE_BYTES);
    oracle->durable_bytes = oracle->now_bytes;
}

static void step_write(struct rig *rig, io_file file, struct oracle *oracle,
                       struct random *random) {
    uint8_t data[FILE_BYTES];
    size_t offset = random_below(random, FILE_BYTES);
    size_t bytes = random_below(random, FILE_BYTES - offset + 1);
    for (size_t i = 0; i < bytes; i++) data[i] = (uint8_t)random_get(random);
    assert_int_equal(io_write_full(rig->io, file, data, bytes, offset), 0);
    memcpy(oracle->now + offset, data, bytes);
    if (bytes > 0 && offset + bytes > oracle->now_bytes) oracle->now_bytes = offset + bytes;
}

static void step_resize(struct rig *rig, io_file file, struct oracle *oracle,
                        struct random *random) {
    size_t bytes = random_below(random, FILE_BYTES + 1);
    assert_int_equal(rig->ops->resize(rig->io, file, bytes), 0);
    if (bytes < oracle->now_bytes) memset(oracle->now + bytes, 0, FILE_BYTES - bytes);
    oracle->now_bytes = bytes;
}

static void now_check(struct rig *rig, io_file file, const struct oracle *oracle) {
    uint8_t data[FILE_BYTES];
    assert_int_equal(rig->ops->size(rig->io, file), oracle->now_bytes);
    assert_int_equal(io_read_full(rig->io, file, data, oracle->now_bytes, 0), 0);
    assert_memory_equal(data, oracle->now, oracle->now_bytes);
}

/* Each sector is one of the two images' as far as the size goes; counts those of each. */
static void crash_check(const struct oracle *oracle, const uint8_t *data, size_t bytes,
                        uint32_t survived[2]) {
    assert_true(bytes == oracle->now_bytes || bytes == oracle->durable_bytes);
    for (size_t at = 0; at < bytes; at += SECTOR) {
        size_t piece = bytes - at < SECTOR ? bytes - at : SECTOR;
        bool is_now = memcmp(data + at, oracle->now + at, piece) == 0;
        bool is_durable = memcmp(data + at, oracle->durable + at, piece) == 0;
        assert_true(is_now || is_durable);
        if (is_now != is_durable) survived[is_now] += 1;
    }
}

static void test_crash_matches_oracle(void **state) {
    (void)state;
    struct random random = random_of_environment();
    uint32_t survived[2] = {0};
    for (int run = 0; run < 300; run++) {
        struct rig rig = rig_create(random_get(&random));
        static struct oracle oracle;
        memset(&oracle, 0, sizeof oracle);
        file_settle(&rig, "a", "", 0);
        for (int crash = 0; crash < 4; crash++) {
            io_file file = file_open(&rig, "a", IO_OPEN_WRITE);
            for (uint64_t steps = random_below(&random, 8); steps > 0; steps--) {
                uint64_t kind = random_below(&random, 8);
                if (kind < 4) step_write(&rig, file, &oracle, &random);
                if (kind == 4) step_resize(&rig, file, &oracle, &random);
                if (kind == 5) {
                    assert_int_equal(rig.ops->sync(rig.io, file), 0);
                    oracle_settle(&oracle);
                }
                now_check(&rig, file, &oracle);
                assert_int_equal(io_sim_check(rig.sim), FST_OK);
            }
            io_sim_crash(rig.sim);
            assert_int_equal(io_sim_check(rig.sim), FST_OK);
            file = file_open(&rig, "a", 0);
            memset(oracle.now + oracle.now_bytes, 0, FILE_BYTES - oracle.now_bytes);
            size_t bytes = (size_t)rig.ops->size(rig.io, file);
            uint8_t data[FILE_BYTES] = {0};
            assert_int_equal(io_read_full(rig.io, file, data, bytes, 0), 0);
            crash_check(&oracle, data, bytes, survived);
            memcpy(oracle.now, data, FILE_BYTES);
            oracle.now_bytes = bytes;
            oracle_settle(&oracle);
        }
        rig_destroy(&rig);
    }
    assert_true(survived[0] > 500 && survived[1] > 500); /* Both happen. */
}

static void test_dsync_writes_survive(void **state) {
    (void)state;
    uint8_t data[FILE_BYTES];
    memset(data, 7, sizeof data);
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct rig rig = rig_create(seed);
        file_settle(&rig, "a", "", 0);
        io_file file = file_open(&rig, "a", IO_OPEN_WRITE | IO_OPEN_DSYNC);
        assert_int_equal(io_write_full(rig.io, file, data, sizeof data, 0), 0);
        io_sim_crash(rig.sim);
        uint8_t found[FILE_BYTES];
        file = file_open(&rig, "a", 0);
        assert_int_equal(io_read_full(rig.io, file, found, sizeof found, 0), 0);
        assert_memory_equal(found, data, sizeof data);
        rig_destroy(&rig);
    }
}

/* ---- names after a power cut ---- */

static void test_names_wait_for_their_folder(void **state) {
    (void)state;
    int created = 0, removed = 0, renamed = 0;
    enum { RUNS = 200 };
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        struct rig rig = rig_create(seed);
        file_settle(&rig, "removed", "x", 1);
        file_settle(&rig, "from", "y", 1);
        io_file file = file_open(&rig, "created", CREATE);
        assert_int_equal(rig.ops->sync(rig.io, file), 0); /* Of the file, not of its name. */
        assert_int_equal(rig.ops->unlink(rig.io, "removed"), 0);
        assert_int_equal(rig.ops->rename(rig.io, "from", "to"), 0);
        io_sim_crash(rig.sim);
        created += file_exists(&rig, "created");
        removed += !file_exists(&rig, "removed");
        renamed += file_exists(&rig, "to");
        assert_int_equal(file_exists(&rig, "from"), !file_exists(&rig, "to"));
        rig_destroy(&rig);
    }
    assert_in_range(created, RUNS / 4, RUNS * 3 / 4);
    assert_in_range(removed, RUNS / 4, RUNS * 3 / 4);
    assert_in_range(renamed, RUNS / 4, RUNS * 3 / 4);
}

static void test_synced_names_stay(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct rig rig = rig_create(seed);
        assert_int_equal(rig.ops->mkdir(rig.io, "d"), 0);
        assert_int_equal(rig.ops->sync_dir(rig.io, "."), 0);
        file_settle(&rig, "from", "y", 1);
        file_open(&rig, "d/created", CREATE);
        assert_int_equal(rig.ops->rename(rig.io, "from", "d/to"), 0);
        assert_int_equal(rig.ops->sync_dir(rig.io, "d"), 0);
        io_sim_crash(rig.sim);
        assert_true(file_exists(&rig, "d/created"));
        assert_true(file_exists(&rig, "d/to"));
        assert_false(file_exists(&rig, "from"));
        rig_destroy(&rig);
    }
}

/* What lies in a folder that was lost is lost too, however well it was synced. */
static void test_folders_must_be_synced_too(void **state) {
    (void)state;
    int lost = 0;
    enum { RUNS = 100 };
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        struct rig rig = rig_create(seed);
        assert_int_equal(rig.ops->mkdir(rig.io, "d"), 0);
        assert_int_equal(rig.ops->mkdir(rig.io, "d/e"), 0);
        assert_int_equal(rig.ops->sync_dir(rig.io, "d"), 0);
        file_open(&rig, "d/e/a", CREATE);
        assert_int_equal(rig.ops->sync_dir(rig.io, "d/e"), 0);
        io_sim_crash(rig.sim);
        lost += !file_exists(&rig, "d/e/a");
        rig_destroy(&rig);
    }
    assert_in_range(lost, RUNS / 4, RUNS * 3 / 4);
}

static bool replace_is_whole(struct rig *rig, const char *old, const char *new) {
    char found[32] = {0};
    io_file file = file_open(rig, "a", 0);
    int64_t bytes = rig->ops->size(rig->io, file);
    assert_in_range(bytes, 1, sizeof found - 1);
    assert_int_equal(io_read_full(rig->io, file, found, (size_t)bytes, 0), 0);
    assert_int_equal(rig->ops->close(rig->io, file), 0);
    assert_true(strcmp(found, old) == 0 || strcmp(found, new) == 0);
    return strcmp(found, new) == 0;
}

/* Fails each call of io_replace in turn, then cuts the power: the file is the old one or the new
 * one, and the new one once io_replace has said so. */
static void test_replace_is_whole_at_every_failure(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        bool was_done = false;
        for (uint64_t nth = 1; !was_done; nth++) {
            assert_true(nth < 20);
            struct rig rig = rig_create(seed);
            file_settle(&rig, "a", "old text", 8);
            io_sim_fail_from(rig.sim, IO_SIM_ANY, nth, EIO);
            int result = io_replace(rig.io, ".", "a", "the new text", 12);
            was_done = result == 0;
            assert_true(was_done || result == -EIO);
            io_sim_fail(rig.sim, IO_SIM_ANY, 0, EIO);
            if (was_done) assert_true(replace_is_whole(&rig, "old text", "the new text"));
            (void)replace_is_whole(&rig, "old text", "the new text");
            io_sim_crash(rig.sim);
            bool is_new = replace_is_whole(&rig, "old text", "the new text");
            if (was_done) assert_true(is_new);
            rig_destroy(&rig);
        }
    }
}

/* ---- death of the process ---- */

static void test_kill_keeps_contents(void **state) {
    (void)state;
    struct rig rig = rig_create(5);
    io_file file = file_open(&rig, "a", CREATE);
    assert_int_equal(io_write_full(rig.io, file, "not synced", 10, 0), 0);
    assert_int_equal(rig.ops->lock(rig.io, file), 0);
    io_sim_fail_from(rig.sim, IO_SIM_ANY, 100, EIO);
    io_sim_kill(rig.sim);
    char data[10];
    assert_int_equal(rig.ops->pread(rig.io, file, data, 1, 0), -EBADF);
    io_file again = file_open(&rig, "a", IO_OPEN_WRITE);
    assert_int_not_equal(again, file);
    assert_int_equal(rig.ops->lock(rig.io, again), 0);
    assert_int_equal(io_read_full(rig.io, again, data, 10, 0), 0);
    assert_memory_equal(data, "not synced", 10);
    for (int i = 0; i < 200; i++) assert_int_equal(rig.ops->size(rig.io, again), 10);
    rig_destroy(&rig);
}

static void test_kill_frees_what_has_no_name(void **state) {
    (void)state;
    struct rig rig = rig_create(5);
    io_file file = file_open(&rig, "a", CREATE);
    assert_int_equal(io_write_full(rig.io, file, "x", 1, 0), 0);
    assert_int_equal(rig.ops->unlink(rig.io, "a"), 0);
    assert_int_equal(rig.ops->sync_dir(rig.io, "."), 0);
    assert_int_equal(io_sim_used_bytes(rig.sim), SECTOR);
    io_sim_kill(rig.sim);
    assert_int_equal(io_sim_used_bytes(rig.sim), 0);
    rig_destroy(&rig);
}

/* ---- mappings and memory ---- */

static void test_mapped_memory_stays(void **state) {
    (void)state;
    struct rig rig = rig_create(5);
    io_sim_memory(rig.sim, "shm/");
    assert_int_equal(rig.ops->mkdir(rig.io, "shm"), 0);
    assert_int_equal(rig.ops->sync_dir(rig.io, "."), 0);
    io_file file = file_open(&rig, "shm/t", CREATE);
    uint64_t bytes = UINT64_C(8) << 30; /* Sparse: costs what is touched. */
    assert_int_equal(rig.ops->resize(rig.io, file, bytes), 0);
    void *memory;
    assert_int_equal(rig.ops->map(rig.io, file, bytes, &memory), 0);
    memcpy((uint8_t *)memory + (bytes - 8), "the end", 8);
    assert_int_equal(rig.ops->resize(rig.io, file, 2 * bytes), -EBUSY);
    io_sim_kill(rig.sim);
    assert_memory_equal((uint8_t *)memory + (bytes - 8), "the end", 8);
    file = file_open(&rig, "shm/t", IO_OPEN_WRITE);
    void *again;
    assert_int_equal(rig.ops->map(rig.io, file, bytes, &again), 0);
    assert_ptr_equal(again, memory);
    assert_int_equal(rig.ops->unmap(rig.io, again, bytes), 0);
    assert_int_equal(rig.ops->unmap(rig.io, again, bytes), -EINVAL);

    assert_int_equal(rig.ops->resize(rig.io, file, 0), 0);
    assert_int_equal(rig.ops->resize(rig.io, file, bytes), 0);
    char data[8];
    assert_int_equal(io_read_full(rig.io, file, data, 8, bytes - 8), 0);
    assert_memory_equal(data, "\0\0\0\0\0\0\0", 8);
    assert_int_equal(rig.ops->rename(rig.io, "shm/t", "t"), -EXDEV);
    io_sim_crash(rig.sim);
    assert_false(file_exists(&rig, "shm/t"));
    file_open(&rig, "shm/t", CREATE); /* The folder itself is on the disk. */
    rig_destroy(&rig);
}

/* Writes through a mapping of a file on disk are waiting like any others. */
static void test_mapped_writes_wait(void **state) {
    (void)state;
    int survived = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct rig rig = rig_create(seed);
        uint8_t data[FILE_BYTES] = {0};
        file_settle(&rig, "a", data, sizeof data);
        io_file file = file_open(&rig, "a", IO_OPEN_WRITE);
        void *memory;
        assert_int_equal(rig.ops->map(rig.io, file, sizeof data, &memory), 0);
        memset(memory, 1, FILE_BYTES / 2);
        assert_int_equal(rig.ops->sync(rig.io, file), 0);
        memset((uint8_t *)memory + FILE_BYTES / 2, 2, FILE_BYTES / 2);
        io_sim_crash(rig.sim);
        file = file_open(&rig, "a", 0);
        assert_int_equal(io_read_full(rig.io, file, data, sizeof data, 0), 0);
        for (size_t i = 0; i < SECTORS; i++) {
            uint8_t first = data[i * SECTOR];
            if (i < SECTORS / 2) assert_int_equal(first, 1);
            if (i >= SECTORS / 2) assert_true(first == 0 || first == 2);
            for (size_t j = 0; j < SECTOR; j++) assert_int_equal(data[i * SECTOR + j], first);
            survived += first == 2;
        }
        rig_destroy(&rig);
    }
    assert_in_range(survived, 60, 180); /* Of 240. */
}

/* What files in memory reserve is counted, up to the limit; a disk cannot reserve. */
static void test_reserving(void **state) {
    (void)state;
    struct rig rig = rig_create(5);
    io_sim_memory(rig.sim, "shm/");
    io_sim_memory_limit(rig.sim, 10000);
    io_sim_limit(rig.sim, 100 * SECTOR);
    assert_int_equal(rig.ops->mkdir(rig.io, "shm"), 0);
    io_file file = file_open(&rig, "shm/t", CREATE);
    io_file other = file_open(&rig, "a", CREATE);
    assert_int_equal(rig.ops->resize(rig.io, file, 1 << 20), 0);
    assert_int_equal(rig.ops->room(rig.io, "shm"), 10000);
    assert_int_equal(rig.ops->reserve(rig.io, file, 4096, 6000), 0);
    assert_int_equal(rig.ops->taken(rig.io, file), 6000);
    assert_int_equal(rig.ops->room(rig.io, "shm"), 4000);
    assert_int_equal(rig.ops->reserve(rig.io, file, 0, 4001), -ENOSPC);
    io_sim_fail(rig.sim, IO_SIM_RESERVE, 1, ENOSPC);
    assert_int_equal(rig.ops->reserve(rig.io, file, 0, 4000), -ENOSPC);
    assert_int_equal(rig.ops->reserve(rig.io, file, 0, 4000), 0);
    assert_int_equal(rig.ops->room(rig.io, "shm"), 0);
    assert_int_equal(rig.ops->resize(rig.io, file, 0), 0);
    assert_int_equal(rig.ops->room(rig.io, "shm"), 10000);
    assert_int_equal(rig.ops->reserve(rig.io, other, 0, 1), -EOPNOTSUPP);
    assert_int_equal(rig.ops->room(rig.io, "."), 100 * SECTOR);
    assert_int_equal(rig.ops->pwrite(rig.io, other, "abc", 3, 0), 3);
    assert_int_equal(rig.ops->taken(rig.io, other), SECTOR);
    assert_int_equal(rig.ops->room(rig.io, "."), 99 * SECTOR);
    rig_destroy(&rig);
}

/* ---- injected errors ---- */

static void test_nth_call_fails(void **state) {
    (void)state;
    struct rig rig = rig_create(5);
    io_file file = file_open(&rig, "a", CREATE);
    io_sim_fail(rig.sim, IO_SIM_PWRITE, 3, ENOSPC);
    uint64_t before = io_sim_calls(rig.sim, IO_SIM_PWRITE);
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(rig.ops->pwrite(rig.io, file, "x", 1, 0), i == 3 ? -ENOSPC : 1);
        assert_int_equal(rig.ops->sync(rig.io, file), 0);
    }
    assert_int_equal(io_sim_calls(rig.sim, IO_SIM_PWRITE), before + 5);

    io_sim_fail_from(rig.sim, IO_SIM_ANY, 2, EIO);
    assert_int_equal(rig.ops->size(rig.io, file), 1);
    assert_int_equal(rig.ops->size(rig.io, file), -EIO);
    io_file other;
    assert_int_equal(rig.ops->open(rig.io, "b", CREATE, &other), -EIO);
    io_sim_fail(rig.sim, IO_SIM_ANY, 0, EIO);
    assert_int_equal(rig.ops->size(rig.io, file), 1);
    assert_false(file_exists(&rig, "b"));
    rig_destroy(&rig);
}

static int ignore_name(void *context, const char *name) {
    (void)context;
    (void)name;
    return 0;
}

/* Each kind of call can be made to fail, and then has done nothing. */
static void test_every_kind_fails(void **state) {
    (void)state;
    struct rig rig = rig_create(5);
    file_settle(&rig, "a", "abc", 3);
    io_file file = file_open(&rig, "a", IO_OPEN_WRITE);
    io_file other;
    char byte;
    void *memory;
    for (int call = IO_SIM_OPEN; call < IO_SIM_CALLS_COUNT; call++) {
        io_sim_fail_from(rig.sim, (enum io_sim_call)call, 1, ETIMEDOUT);
    }
    assert_int_equal(rig.ops->open(rig.io, "b", CREATE, &other), -ETIMEDOUT);
    assert_int_equal(rig.ops->pread(rig.io, file, &byte, 1, 0), -ETIMEDOUT);
    assert_int_equal(rig.ops->pwrite(rig.io, file, "x", 1, 0), -ETIMEDOUT);
    assert_int_equal(rig.ops->sync(rig.io, file), -ETIMEDOUT);
    assert_int_equal(rig.ops->size(rig.io, file), -ETIMEDOUT);
    assert_int_equal(rig.ops->resize(rig.io, file, 0), -ETIMEDOUT);
    assert_int_equal(rig.ops->taken(rig.io, file), -ETIMEDOUT);
    assert_int_equal(rig.ops->room(rig.io, "."), -ETIMEDOUT);
    assert_int_equal(rig.ops->lock(rig.io, file), -ETIMEDOUT);
    assert_int_equal(rig.ops->rename(rig.io, "a", "b"), -ETIMEDOUT);
    assert_int_equal(rig.ops->unlink(rig.io, "a"), -ETIMEDOUT);
    assert_int_equal(rig.ops->mkdir(rig.io, "d"), -ETIMEDOUT);
    assert_int_equal(rig.ops->sync_dir(rig.io, "."), -ETIMEDOUT);
    assert_int_equal(rig.ops->list(rig.io, ".", ignore_name, NULL), -ETIMEDOUT);
    assert_int_equal(rig.ops->map(rig.io, file, 3, &memory), -ETIMEDOUT);
    io_sim_kill(rig.sim); /* Clears the faults. */
    char data[3];
    file = file_open(&rig, "a", 0);
    assert_int_equal(io_read_full(rig.io, file, data, 3, 0), 0);
    assert_memory_equal(data, "abc", 3);
    assert_false(file_exists(&rig, "b"));
    assert_int_equal(rig.ops->list(rig.io, "d", ignore_name, NULL), -ENOENT);
    rig_destroy(&rig);
}

/* After a failed sync a second one succeeds, and yet some of what was written is not durable. */
static void test_failed_sync_loses(void **state) {
    (void)state;
    uint32_t lost = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct rig rig = rig_create(seed);
        uint8_t data[FILE_BYTES];
        memset(data, 1, sizeof data);
        file_settle(&rig, "a", data, sizeof data);
        memset(data, 2, sizeof data);
        io_file file = file_open(&rig, "a", IO_OPEN_WRITE);
        assert_int_equal(io_write_full(rig.io, file, data, sizeof data, 0), 0);
        io_sim_fail(rig.sim, IO_SIM_SYNC, 1, EIO);
        assert_int_equal(rig.ops->sync(rig.io, file), -EIO);
        assert_int_equal(rig.ops->sync(rig.io, file), 0);
        assert_int_equal(io_write_full(rig.io, file, data, SECTOR, 0), 0);
        assert_int_equal(rig.ops->sync(rig.io, file), 0);
        uint8_t found[FILE_BYTES];
        assert_int_equal(io_read_full(rig.io, file, found, sizeof found, 0), 0);
        assert_memory_equal(found, data, sizeof data); /* Nobody would notice. */
        assert_int_equal(io_sim_check(rig.sim), FST_OK);
        io_sim_crash(rig.sim);
        file = file_open(&rig, "a", 0);
        assert_int_equal(io_read_full(rig.io, file, found, sizeof found, 0), 0);
        assert_int_equal(found[0], 2); /* Written again, synced: there. */
        for (size_t i = 0; i < SECTORS; i++) lost += found[i * SECTOR] == 1;
        rig_destroy(&rig);
    }
    assert_in_range(lost, 170, 290); /* Of 460. */
}

/* Every file that was open when a sync failed is told of it once, by its own next sync. */
static void test_failed_sync_is_told_to_every_open_file(void **state) {
    (void)state;
    struct rig rig = rig_create(1);
    uint8_t data[SECTOR] = {1};
    io_file first = file_open(&rig, "a", IO_OPEN_WRITE | IO_OPEN_CREATE);
    io_file second = file_open(&rig, "a", IO_OPEN_WRITE);
    io_file other = file_open(&rig, "b", IO_OPEN_WRITE | IO_OPEN_CREATE);
    assert_int_equal(io_write_full(rig.io, first, data, sizeof data, 0), 0);
    io_sim_fail(rig.sim, IO_SIM_SYNC, 1, ENOSPC);
    assert_int_equal(rig.ops->sync(rig.io, first), -ENOSPC);
    io_file later = file_open(&rig, "a", IO_OPEN_WRITE);
    assert_int_equal(rig.ops->sync(rig.io, first), 0);
    assert_int_equal(rig.ops->sync(rig.io, other), 0);
    assert_int_equal(rig.ops->sync(rig.io, later), 0);
    assert_int_equal(rig.ops->sync(rig.io, second), -EIO);
    assert_int_equal(rig.ops->sync(rig.io, second), 0);
    rig_destroy(&rig);
}

static void test_failed_write_changes_some(void **state) {
    (void)state;
    uint32_t changed = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct rig rig = rig_create(seed);
        uint8_t data[FILE_BYTES];
        memset(data, 1, sizeof data);
        file_settle(&rig, "a", data, sizeof data);
        memset(data, 2, sizeof data);
        io_file file = file_open(&rig, "a", IO_OPEN_WRITE);
        io_sim_fail(rig.sim, IO_SIM_PWRITE, 1, EIO);
        assert_int_equal(rig.ops->pwrite(rig.io, file, data, sizeof data, 0), -EIO);
        assert_int_equal(io_read_full(rig.io, file, data, sizeof data, 0), 0);
        for (size_t i = 0; i < SECTORS; i++) changed += data[i * SECTOR] == 2;
        rig_destroy(&rig);
    }
    assert_in_range(changed, 120, 360); /* Of 480. */
}

static void test_short_transfers(void **state) {
    (void)state;
    struct rig rig = rig_create(5);
    io_sim_shorten(rig.sim, 90);
    uint8_t data[FILE_BYTES], found[FILE_BYTES];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 7 >> 2);
    io_file file = file_open(&rig, "a", CREATE);
    uint64_t before = io_sim_calls(rig.sim, IO_SIM_PWRITE);
    for (int round = 0; round < 50; round++) {
        memset(found, 0, sizeof found);
        assert_int_equal(io_write_full(rig.io, file, data, sizeof data, (uint64_t)round), 0);
        assert_int_equal(io_read_full(rig.io, file, found, sizeof found, (uint64_t)round), 0);
        assert_memory_equal(found, data, sizeof data);
    }
    assert_true(io_sim_calls(rig.sim, IO_SIM_PWRITE) > before + 200);

    uint8_t *block = aligned_alloc(IO_BLOCK_BYTES, 8 * IO_BLOCK_BYTES);
    memset(block, 3, 8 * IO_BLOCK_BYTES);
    io_file direct = file_open(&rig, "b", CREATE | IO_OPEN_DIRECT);
    for (int round = 0; round < 50; round++) {
        assert_int_equal(io_write_full(rig.io, direct, block, 8 * IO_BLOCK_BYTES, 0), 0);
        assert_int_equal(io_read_full(rig.io, direct, block, 8 * IO_BLOCK_BYTES, 0), 0);
    }
    free(block);
    rig_destroy(&rig);
}

static void test_direct_files_refuse_misaligned(void **state) {
    (void)state;
    struct rig rig = rig_create(5);
    uint8_t *block = aligned_alloc(IO_BLOCK_BYTES, 2 * IO_BLOCK_BYTES);
    memset(block, 0, 2 * IO_BLOCK_BYTES);
    io_file file = file_open(&rig, "a", CREATE | IO_OPEN_DIRECT);
    size_t one = IO_BLOCK_BYTES;
    assert_int_equal(rig.ops->pwrite(rig.io, file, block, one, 0), one);
    assert_int_equal(rig.ops->pwrite(rig.io, file, block + 512, one, 0), -EINVAL);
    assert_int_equal(rig.ops->pwrite(rig.io, file, block, one - 512, 0), -EINVAL);
    assert_int_equal(rig.ops->pwrite(rig.io, file, block, one, 512), -EINVAL);
    assert_int_equal(rig.ops->pread(rig.io, file, block + 512, one, 0), -EINVAL);
    assert_int_equal(rig.ops->pread(rig.io, file, block, 512, 0), -EINVAL);
    free(block);
    rig_destroy(&rig);
}

/* ---- a disk that is full ---- */

static void test_disk_full_at_the_limit(void **state) {
    (void)state;
    struct rig rig = rig_create(5);
    uint8_t data[FILE_BYTES];
    memset(data, 1, sizeof data);
    io_sim_limit(rig.sim, 8 * SECTOR);
    io_file a = file_open(&rig, "a", CREATE);
    io_file b = file_open(&rig, "b", CREATE);
    assert_int_equal(rig.ops->pwrite(rig.io, a, data, 6 * SECTOR, 0), 6 * SECTOR);
    assert_int_equal(rig.ops->pwrite(rig.io, b, data, 3 * SECTOR, 100), 2 * SECTOR - 100);
    assert_int_equal(io_sim_used_bytes(rig.sim), 8 * SECTOR);
    assert_int_equal(rig.ops->pwrite(rig.io, b, data, 1, 2 * SECTOR), -ENOSPC);
    assert_int_equal(io_write_full(rig.io, b, data, 3 * SECTOR, 100), -ENOSPC);
    assert_int_equal(rig.ops->pwrite(rig.io, a, data, 6 * SECTOR, 0), 6 * SECTOR); /* In place. */
    assert_int_equal(rig.ops->resize(rig.io, b, 1 << 20), 0); /* Takes no room. */
    assert_int_equal(rig.ops->resize(rig.io, a, SECTOR + 1), 0);
    assert_int_equal(io_sim_used_bytes(rig.sim), 4 * SECTOR);
    assert_int_equal(rig.ops->pwrite(rig.io, b, data, 5 * SECTOR, 2 * SECTOR), 4 * SECTOR);
    assert_int_equal(rig.ops->close(rig.io, a), 0);
    assert_int_equal(rig.ops->unlink(rig.io, "a"), 0);
    assert_int_equal(rig.ops->sync_dir(rig.io, "."), 0);
    assert_int_equal(io_sim_used_bytes(rig.sim), 6 * SECTOR);
    io_sim_limit(rig.sim, 0);
    assert_int_equal(rig.ops->pwrite(rig.io, b, data, 1, 100 * SECTOR), -ENOSPC);
    io_sim_limit(rig.sim, UINT64_MAX);
    assert_int_equal(rig.ops->pwrite(rig.io, b, data, 1, 100 * SECTOR), 1);
    rig_destroy(&rig);
}

static void test_direct_writes_stop_at_a_block(void **state) {
    (void)state;
    struct rig rig = rig_create(5);
    uint8_t *block = aligned_alloc(IO_BLOCK_BYTES, 2 * IO_BLOCK_BYTES);
    memset(block, 0, 2 * IO_BLOCK_BYTES);
    io_sim_limit(rig.sim, IO_BLOCK_BYTES + SECTOR);
    io_file file = file_open(&rig, "a", CREATE | IO_OPEN_DIRECT);
    size_t two = 2 * IO_BLOCK_BYTES;
    assert_int_equal(rig.ops->pwrite(rig.io, file, block, two, 0), IO_BLOCK_BYTES);
    assert_int_equal(rig.ops->pwrite(rig.io, file, block, two, IO_BLOCK_BYTES), -ENOSPC);
    free(block);
    rig_destroy(&rig);
}

/* ---- damage, clocks, repetition ---- */

static void test_flip(void **state) {
    (void)state;
    struct rig rig = rig_create(5);
    file_settle(&rig, "a", "abc", 3);
    assert_int_equal(io_sim_flip(rig.sim, "a", 1, 5), 0);
    assert_int_equal(io_sim_flip(rig.sim, "a", 3, 0), -EINVAL);
    assert_int_equal(io_sim_flip(rig.sim, "b", 0, 0), -ENOENT);
    for (int crash = 0; crash < 2; crash++) {
        char data[3];
        io_file file = file_open(&rig, "a", 0);
        assert_int_equal(io_read_full(rig.io, file, data, 3, 0), 0);
        assert_memory_equal(data, "aBc", 3);
        io_sim_crash(rig.sim);
    }
    rig_destroy(&rig);
}

static void test_only_the_test_moves_the_clock(void **state) {
    (void)state;
    struct rig rig = rig_create(5);
    int64_t now_us = io_now_us(rig.io);
    int64_t monotonic_us = io_monotonic_us(rig.io);
    assert_int_equal(io_now_us(rig.io), now_us);
    io_sim_clock_move(rig.sim, 1000);
    rig.ops->sleep_us(rig.io, 500);
    assert_int_equal(io_now_us(rig.io), now_us + 1500);
    assert_int_equal(io_monotonic_us(rig.io), monotonic_us + 1500);
    io_sim_clock_put(rig.sim, 42);
    assert_int_equal(io_now_us(rig.io), 42);
    assert_int_equal(io_monotonic_us(rig.io), monotonic_us + 1500);
    io_sim_crash(rig.sim);
    assert_int_equal(io_now_us(rig.io), 42);
    rig_destroy(&rig);
}

static void test_files_have_a_limit(void **state) {
    (void)state;
    struct rig rig = rig_create(5);
    io_file file = -1;
    for (int i = 0; i < IO_SIM_OPEN_MAX; i++) file = file_open(&rig, "a", CREATE);
    io_file extra;
    assert_int_equal(rig.ops->open(rig.io, "a", 0, &extra), -EMFILE);
    assert_int_equal(rig.ops->close(rig.io, file), 0);
    assert_int_equal(rig.ops->open(rig.io, "a", 0, &extra), 0);
    assert_int_not_equal(extra, file);
    rig_destroy(&rig);
}

/* A hash over everything that a run of random calls could see. */
static uint64_t run_digest(uint64_t seed) {
    struct rig rig = rig_create(seed);
    struct random random = {.state = 99};
    uint64_t digest = 0;
    io_sim_shorten(rig.sim, 30);
    for (int step = 0; step < 400; step++) {
        char path[8];
        uint8_t data[FILE_BYTES];
        snprintf(path, sizeof path, "f%u", (unsigned)random_below(&random, 4));
        io_file file = file_open(&rig, path, CREATE);
        size_t bytes = random_below(&random, sizeof data);
        rig.ops->random(rig.io, data, bytes);
        digest = hash_checksum(data, bytes, digest);
        int64_t written =
            rig.ops->pwrite(rig.io, file, data, bytes, random_below(&random, sizeof data));
        int64_t got = rig.ops->pread(rig.io, file, data, sizeof data, 0);
        digest = hash_checksum(data, (size_t)got, digest + (uint64_t)written);
        if (random_below(&random, 3) == 0) assert_int_equal(rig.ops->sync(rig.io, file), 0);
        if (random_below(&random, 9) == 0) assert_int_equal(rig.ops->sync_dir(rig.io, "."), 0);
        if (random_below(&random, 20) == 0) assert_int_equal(rig.ops->unlink(rig.io, path), 0);
        assert_int_equal(rig.ops->close(rig.io, file), 0);
        if (random_below(&random, 25) == 0) io_sim_crash(rig.sim);
        assert_int_equal(io_sim_check(rig.sim), FST_OK);
    }
    rig_destroy(&rig);
    return digest;
}

static void test_same_seed_same_run(void **state) {
    (void)state;
    assert_int_equal(run_digest(1), run_digest(1));
    assert_int_equal(run_digest(77), run_digest(77));
    assert_int_not_equal(run_digest(1), run_digest(77));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crash_matches_oracle),
        cmocka_unit_test(test_dsync_writes_survive),
        cmocka_unit_test(test_names_wait_for_their_folder),
        cmocka_unit_test(test_synced_names_stay),
        cmocka_unit_test(test_folders_must_be_synced_too),
        cmocka_unit_test(test_replace_is_whole_at_every_failure),
        cmocka_unit_test(test_kill_keeps_contents),
        cmocka_unit_test(test_kill_frees_what_has_no_name),
        cmocka_unit_test(test_mapped_memory_stays),
        cmocka_unit_test(test_mapped_writes_wait),
        cmocka_unit_test(test_reserving),
        cmocka_unit_test(test_nth_call_fails),
        cmocka_unit_test(test_every_kind_fails),
        cmocka_unit_test(test_failed_sync_loses),
        cmocka_unit_test(test_failed_sync_is_told_to_every_open_file),
        cmocka_unit_test(test_failed_write_changes_some),
        cmocka_unit_test(test_short_transfers),
        cmocka_unit_test(test_direct_files_refuse_misaligned),
        cmocka_unit_test(test_disk_full_at_the_limit),
        cmocka_unit_test(test_direct_writes_stop_at_a_block),
        cmocka_unit_test(test_flip),
        cmocka_unit_test(test_only_the_test_moves_the_clock),
        cmocka_unit_test(test_files_have_a_limit),
        cmocka_unit_test(test_same_seed_same_run),
    };
    return cmocka_run_group_tests_name("base/io_sim", tests, NULL, NULL);
}
