/* Runs one table of cases over the operating system and over the simulated one: code that is tested
 * with the simulation meets the same answers in life. */
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
#include <unistd.h>

#include "base/io.h"
#include "base/io_sim.h"

enum { PATH_BYTES = 256, CREATE = IO_OPEN_WRITE | IO_OPEN_CREATE };

/* A backend and an empty folder on it. */
struct place {
    struct io *io;
    const struct io_ops *ops;
    char dir[PATH_BYTES];
    char text[4][PATH_BYTES + 64]; /* of path_in */
    unsigned next;
};

/* Borrowed until three more calls. */
static const char *path_in(struct place *p, const char *name) {
    char *path = p->text[p->next++ % 4];
    snprintf(path, sizeof p->text[0], "%s/%s", p->dir, name);
    return path;
}

static io_file open_in(struct place *p, const char *name, int flags) {
    io_file file = -1;
    assert_int_equal(p->ops->open(p->io, path_in(p, name), flags, &file), 0);
    assert_true(file >= 0);
    return file;
}

static void fill_in(struct place *p, const char *name, const char *text) {
    io_file file = open_in(p, name, CREATE);
    assert_int_equal(io_write_full(p->io, file, text, strlen(text), 0), 0);
    assert_int_equal(p->ops->close(p->io, file), 0);
}

static void content_check(struct place *p, const char *name, const char *text) {
    char found[256];
    io_file file = open_in(p, name, 0);
    assert_int_equal(p->ops->size(p->io, file), (int64_t)strlen(text));
    assert_int_equal(io_read_full(p->io, file, found, strlen(text), 0), 0);
    assert_memory_equal(found, text, strlen(text));
    assert_int_equal(p->ops->close(p->io, file), 0);
}

static void case_write_and_read(struct place *p) {
    char data[16];
    io_file file = open_in(p, "a", CREATE);
    assert_int_equal(p->ops->size(p->io, file), 0);
    assert_int_equal(p->ops->pread(p->io, file, data, 4, 0), 0);
    assert_int_equal(p->ops->pwrite(p->io, file, "hello", 5, 3), 5);
    assert_int_equal(p->ops->size(p->io, file), 8);
    assert_int_equal(p->ops->pread(p->io, file, data, 16, 0), 8);
    assert_memory_equal(data, "\0\0\0hello", 8);
    assert_int_equal(p->ops->pread(p->io, file, data, 16, 6), 2);
    assert_int_equal(p->ops->pread(p->io, file, data, 16, 8), 0);
    assert_int_equal(p->ops->pread(p->io, file, data, 16, 1000000), 0);
    assert_int_equal(p->ops->pwrite(p->io, file, "J", 1, 3), 1);
    assert_int_equal(p->ops->pwrite(p->io, file, "", 0, 0), 0);
    assert_int_equal(p->ops->sync(p->io, file), 0);
    assert_int_equal(p->ops->close(p->io, file), 0);
    file = open_in(p, "a", 0);
    assert_int_equal(p->ops->pread(p->io, file, data, 5, 3), 5);
    assert_memory_equal(data, "Jello", 5);
    assert_int_equal(p->ops->close(p->io, file), 0);
}

static void case_open_flags(struct place *p) {
    io_file file = -1;
    assert_int_equal(p->ops->open(p->io, path_in(p, "none"), 0, &file), -ENOENT);
    assert_int_equal(p->ops->open(p->io, path_in(p, "none"), IO_OPEN_WRITE, &file), -ENOENT);
    assert_int_equal(p->ops->open(p->io, path_in(p, "none/a"), CREATE, &file), -ENOENT);
    assert_int_equal(p->ops->open(p->io, "", CREATE, &file), -ENOENT);
    assert_int_equal(file, -1);
    fill_in(p, "a", "x");
    int exclusive = CREATE | IO_OPEN_EXCLUSIVE;
    assert_int_equal(p->ops->open(p->io, path_in(p, "a"), exclusive, &file), -EEXIST);
    assert_int_equal(p->ops->open(p->io, path_in(p, "a/b"), CREATE, &file), -ENOTDIR);
    assert_int_equal(p->ops->open(p->io, p->dir, IO_OPEN_WRITE, &file), -EISDIR);
    file = open_in(p, "b", exclusive);
    assert_int_equal(p->ops->close(p->io, file), 0);
    file = open_in(p, "a", CREATE); /* Keeps what is there. */
    assert_int_equal(p->ops->size(p->io, file), 1);
    assert_int_equal(p->ops->close(p->io, file), 0);
}

static void case_read_only(struct place *p) {
    fill_in(p, "a", "abc");
    io_file file = open_in(p, "a", 0);
    assert_int_equal(p->ops->pwrite(p->io, file, "x", 1, 0), -EBADF);
    assert_int_equal(p->ops->resize(p->io, file, 0), -EINVAL);
    void *memory;
    assert_int_equal(p->ops->map(p->io, file, 3, &memory), -EACCES);
    assert_int_equal(p->ops->close(p->io, file), 0);
    content_check(p, "a", "abc");
}

static void case_closed_file(struct place *p) {
    io_file file = open_in(p, "a", CREATE);
    assert_int_equal(p->ops->close(p->io, file), 0);
    char byte;
    void *memory;
    assert_int_equal(p->ops->pread(p->io, file, &byte, 1, 0), -EBADF);
    assert_int_equal(p->ops->pwrite(p->io, file, "x", 1, 0), -EBADF);
    assert_int_equal(p->ops->sync(p->io, file), -EBADF);
    assert_int_equal(p->ops->size(p->io, file), -EBADF);
    assert_int_equal(p->ops->resize(p->io, file, 1), -EBADF);
    assert_int_equal(p->ops->lock(p->io, file), -EBADF);
    assert_int_equal(p->ops->map(p->io, file, 1, &memory), -EBADF);
    assert_int_equal(p->ops->close(p->io, file), -EBADF);
    assert_int_equal(p->ops->close(p->io, -1), -EBADF);
}

static void case_resize(struct place *p) {
    char data[10];
    io_file file = open_in(p, "a", CREATE);
    assert_int_equal(p->ops->pwrite(p->io, file, "0123456789", 10, 0), 10);
    assert_int_equal(p->ops->resize(p->io, file, 4), 0);
    assert_int_equal(p->ops->size(p->io, file), 4);
    assert_int_equal(p->ops->resize(p->io, file, 8), 0);
    assert_int_equal(p->ops->pread(p->io, file, data, 10, 0), 8);
    assert_memory_equal(data, "0123\0\0\0\0", 8);
    assert_int_equal(p->ops->resize(p->io, file, 1 << 20), 0);
    assert_int_equal(p->ops->size(p->io, file), 1 << 20);
    assert_int_equal(p->ops->resize(p->io, file, 0), 0);
    assert_int_equal(p->ops->size(p->io, file), 0);
    assert_int_equal(p->ops->resize(p->io, file, UINT64_MAX), -EFBIG);
    assert_int_equal(p->ops->pwrite(p->io, file, "x", 1, UINT64_MAX), -EINVAL);
    assert_int_equal(p->ops->pread(p->io, file, data, 1, UINT64_MAX), -EINVAL);
    assert_int_equal(p->ops->close(p->io, file), 0);
}

static void case_lock(struct place *p) {
    io_file first = open_in(p, "a", CREATE);
    io_file second = open_in(p, "a", CREATE);
    io_file other = open_in(p, "b", CREATE);
    assert_int_equal(p->ops->lock(p->io, first), 0);
    assert_int_equal(p->ops->lock(p->io, first), 0);
    assert_int_equal(p->ops->lock(p->io, second), -EWOULDBLOCK);
    assert_int_equal(p->ops->lock(p->io, other), 0);
    assert_int_equal(p->ops->close(p->io, first), 0);
    assert_int_equal(p->ops->lock(p->io, second), 0);
    assert_int_equal(p->ops->close(p->io, second), 0);
    assert_int_equal(p->ops->close(p->io, other), 0);
}

static void case_rename(struct place *p) {
    fill_in(p, "new", "new content");
    fill_in(p, "old", "old");
    io_file old = open_in(p, "old", 0);
    assert_int_equal(p->ops->rename(p->io, path_in(p, "new"), path_in(p, "old")), 0);
    content_check(p, "old", "new content");
    assert_int_equal(p->ops->size(p->io, old), 3); /* An open file stays what it was. */
    assert_int_equal(p->ops->close(p->io, old), 0);
    assert_int_equal(p->ops->rename(p->io, path_in(p, "new"), path_in(p, "old")), -ENOENT);
    assert_int_equal(p->ops->rename(p->io, path_in(p, "old"), path_in(p, "old")), 0);
    assert_int_equal(p->ops->rename(p->io, path_in(p, "old"), path_in(p, "no/x")), -ENOENT);
    assert_int_equal(p->ops->mkdir(p->io, path_in(p, "sub")), 0);
    assert_int_equal(p->ops->rename(p->io, path_in(p, "old"), path_in(p, "sub")), -EISDIR);
    assert_int_equal(p->ops->rename(p->io, path_in(p, "old"), path_in(p, "sub/x")), 0);
    content_check(p, "sub/x", "new content");
}

static void case_unlink(struct place *p) {
    fill_in(p, "a", "abc");
    io_file file = open_in(p, "a", IO_OPEN_WRITE);
    assert_int_equal(p->ops->unlink(p->io, path_in(p, "a")), 0);
    assert_int_equal(p->ops->unlink(p->io, path_in(p, "a")), -ENOENT);
    char data[3];
    assert_int_equal(p->ops->pread(p->io, file, data, 3, 0), 3);
    assert_memory_equal(data, "abc", 3);
    fill_in(p, "a", "other");
    assert_int_equal(p->ops->size(p->io, file), 3);
    assert_int_equal(p->ops->close(p->io, file), 0);
    content_check(p, "a", "other");
    assert_int_equal(p->ops->mkdir(p->io, path_in(p, "sub")), 0);
    assert_int_equal(p->ops->unlink(p->io, path_in(p, "sub")), -EISDIR);
}

static void case_folders(struct place *p) {
    assert_int_equal(p->ops->mkdir(p->io, path_in(p, "x/y")), -ENOENT);
    assert_int_equal(p->ops->mkdir(p->io, path_in(p, "x")), 0);
    assert_int_equal(p->ops->mkdir(p->io, path_in(p, "x")), 0);
    assert_int_equal(p->ops->mkdir(p->io, path_in(p, "x/y/")), 0);
    fill_in(p, "x//y/f", "deep");
    content_check(p, "x/y/f", "deep");
    fill_in(p, "file", "");
    assert_int_equal(p->ops->mkdir(p->io, path_in(p, "file")), -ENOTDIR);
    assert_int_equal(p->ops->mkdir(p->io, path_in(p, "file/x")), -ENOTDIR);
    assert_int_equal(p->ops->sync_dir(p->io, path_in(p, "x")), 0);
    assert_int_equal(p->ops->sync_dir(p->io, path_in(p, "none")), -ENOENT);
    assert_int_equal(p->ops->sync_dir(p->io, path_in(p, "file")), -ENOTDIR);
}

struct names {
    char text[256];
    unsigned count;
    unsigned stop_at;
};

static int names_append(void *context, const char *name) {
    struct names *names = context;
    size_t used = strlen(names->text);
    snprintf(names->text + used, sizeof names->text - used, "%s,", name);
    names->count += 1;
    return names->count == names->stop_at ? 7 : 0;
}

static void case_list(struct place *p) {
    struct names names = {0};
    assert_int_equal(p->ops->list(p->io, p->dir, names_append, &names), 0);
    assert_int_equal(names.count, 0);
    fill_in(p, "b", "");
    fill_in(p, "B", "");
    fill_in(p, "a10", "");
    fill_in(p, "a2", "");
    fill_in(p, ".hidden", "");
    assert_int_equal(p->ops->mkdir(p->io, path_in(p, "c")), 0);
    fill_in(p, "c/inside", "");
    assert_int_equal(p->ops->list(p->io, p->dir, names_append, &names), 0);
    assert_string_equal(names.text, ".hidden,B,a10,a2,b,c,");
    names = (struct names){.stop_at = 2};
    assert_int_equal(p->ops->list(p->io, p->dir, names_append, &names), 7);
    assert_string_equal(names.text, ".hidden,B,");
    assert_int_equal(p->ops->list(p->io, path_in(p, "none"), names_append, &names), -ENOENT);
    assert_int_equal(p->ops->list(p->io, path_in(p, "b"), names_append, &names), -ENOTDIR);
}

/* The callback may use the interface. */
static int name_remove(void *context, const char *name) {
    struct place *p = context;
    return p->ops->unlink(p->io, path_in(p, name));
}

static void case_list_and_remove(struct place *p) {
    fill_in(p, "a", "1");
    fill_in(p, "b", "2");
    assert_int_equal(p->ops->list(p->io, p->dir, name_remove, p), 0);
    struct names names = {0};
    assert_int_equal(p->ops->list(p->io, p->dir, names_append, &names), 0);
    assert_int_equal(names.count, 0);
}

static void case_map(struct place *p) {
    enum { BYTES = 3 * IO_BLOCK_BYTES };
    char data[4];
    void *memory = NULL;
    io_file file = open_in(p, "a", CREATE);
    assert_int_equal(p->ops->map(p->io, file, BYTES, &memory), -EINVAL);
    assert_int_equal(p->ops->resize(p->io, file, BYTES), 0);
    assert_int_equal(p->ops->map(p->io, file, 0, &memory), -EINVAL);
    assert_int_equal(p->ops->map(p->io, file, BYTES + 1, &memory), -EINVAL);
    assert_int_equal(p->ops->map(p->io, file, BYTES, &memory), 0);
    assert_int_equal((uintptr_t)memory % IO_BLOCK_BYTES, 0);
    uint8_t *bytes = memory;
    for (size_t i = 0; i < BYTES; i++) assert_int_equal(bytes[i], 0);
    memcpy(bytes + 5000, "memo", 4);
    assert_int_equal(p->ops->pread(p->io, file, data, 4, 5000), 4);
    assert_memory_equal(data, "memo", 4);
    assert_int_equal(p->ops->pwrite(p->io, file, "file", 4, 100), 4);
    assert_memory_equal(bytes + 100, "file", 4);
    assert_int_equal(p->ops->sync(p->io, file), 0);
    assert_int_equal(p->ops->close(p->io, file), 0);
    memcpy(bytes + 200, "late", 4); /* A mapping outlives its file being open. */
    assert_int_equal(p->ops->unmap(p->io, memory, BYTES), 0);

    file = open_in(p, "a", IO_OPEN_WRITE);
    assert_int_equal(p->ops->map(p->io, file, IO_BLOCK_BYTES, &memory), 0);
    assert_memory_equal((uint8_t *)memory + 200, "late", 4);
    assert_int_equal(p->ops->unlink(p->io, path_in(p, "a")), 0);
    assert_int_equal(p->ops->close(p->io, file), 0);
    assert_memory_equal((uint8_t *)memory + 100, "file", 4); /* Its name, too. */
    assert_int_equal(p->ops->unmap(p->io, memory, IO_BLOCK_BYTES), 0);
}

static void case_direct(struct place *p) {
    enum { BYTES = 4 * IO_BLOCK_BYTES };
    uint8_t *data = aligned_alloc(IO_BLOCK_BYTES, BYTES);
    uint8_t *again = aligned_alloc(IO_BLOCK_BYTES, BYTES);
    for (size_t i = 0; i < BYTES; i++) data[i] = (uint8_t)(i * 31 >> 3);
    io_file file = open_in(p, "a", CREATE | IO_OPEN_DIRECT | IO_OPEN_DSYNC);
    assert_int_equal(io_write_full(p->io, file, data, BYTES, IO_BLOCK_BYTES), 0);
    assert_int_equal(p->ops->size(p->io, file), BYTES + IO_BLOCK_BYTES);
    assert_int_equal(io_read_full(p->io, file, again, BYTES, IO_BLOCK_BYTES), 0);
    assert_memory_equal(again, data, BYTES);
    assert_int_equal(p->ops->pread(p->io, file, again, BYTES, 2 * BYTES), 0);
    assert_int_equal(p->ops->close(p->io, file), 0);
    file = open_in(p, "a", IO_OPEN_DIRECT);
    assert_int_equal(io_read_full(p->io, file, again, BYTES, 0), 0);
    assert_memory_equal(again + IO_BLOCK_BYTES, data, BYTES - IO_BLOCK_BYTES);
    assert_int_equal(p->ops->close(p->io, file), 0);
    free(data);
    free(again);
}

static void case_read_full_meets_the_end(struct place *p) {
    char data[4];
    fill_in(p, "a", "abc");
    io_file file = open_in(p, "a", 0);
    assert_int_equal(io_read_full(p->io, file, data, 3, 0), 0);
    assert_int_equal(io_read_full(p->io, file, data, 4, 0), -ENODATA);
    assert_int_equal(io_read_full(p->io, file, data, 0, 100), 0);
    assert_int_equal(p->ops->close(p->io, file), 0);
}

static void case_replace(struct place *p) {
    assert_int_equal(io_replace(p->io, p->dir, path_in(p, "a"), "a long first text", 17), 0);
    content_check(p, "a", "a long first text");
    fill_in(p, "a.new", "left by an interrupted attempt, and longer than what comes");
    assert_int_equal(io_replace(p->io, p->dir, path_in(p, "a"), "second", 6), 0);
    content_check(p, "a", "second");
    assert_int_equal(io_replace(p->io, p->dir, path_in(p, "a"), NULL, 0), 0);
    content_check(p, "a", "");
    struct names names = {0};
    assert_int_equal(p->ops->list(p->io, p->dir, names_append, &names), 0);
    assert_string_equal(names.text, "a,");
    assert_int_equal(io_replace(p->io, p->dir, path_in(p, "x/a"), "", 0), -ENOENT);
}

static void case_long_path(struct place *p) {
    char name[5000];
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    io_file file;
    assert_int_equal(p->ops->open(p->io, name, CREATE, &file), -ENAMETOOLONG);
    assert_int_equal(io_replace(p->io, p->dir, name, "", 0), -ENAMETOOLONG);
}

static void case_clock_and_random(struct place *p) {
    int64_t before_us = io_monotonic_us(p->io);
    p->ops->sleep_us(p->io, -1);
    p->ops->sleep_us(p->io, 0);
    p->ops->sleep_us(p->io, 10);
    assert_true(io_monotonic_us(p->io) >= before_us + 10);
    assert_true(io_now_us(p->io) > INT64_C(1500000000000000)); /* Some time in 2017 at least. */
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};
    p->ops->random(p->io, a, sizeof a);
    p->ops->random(p->io, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    p->ops->random(p->io, b, 0);
}

static const struct io_case {
    const char *name;
    void (*run)(struct place *place);
} io_cases[] = {
    {"write and read", case_write_and_read},
    {"open flags", case_open_flags},
    {"read only", case_read_only},
    {"closed file", case_closed_file},
    {"resize", case_resize},
    {"lock", case_lock},
    {"rename", case_rename},
    {"unlink", case_unlink},
    {"folders", case_folders},
    {"list", case_list},
    {"list and remove", case_list_and_remove},
    {"map", case_map},
    {"direct", case_direct},
    {"read_full meets the end", case_read_full_meets_the_end},
    {"replace", case_replace},
    {"long path", case_long_path},
    {"clock and random", case_clock_and_random},
};
enum { IO_CASES = sizeof io_cases / sizeof io_cases[0] };

static void folder_remove(const char *dir) {
    char command[PATH_BYTES + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static void test_posix(void **state) {
    (void)state;
    const char *root = getenv("TMPDIR");
    for (size_t i = 0; i < IO_CASES; i++) {
        print_message("  %s\n", io_cases[i].name);
        struct place place = {.io = io_posix(), .ops = io_posix()->ops};
        snprintf(place.dir, sizeof place.dir, "%s/fst_io_XXXXXX", root ? root : "/tmp");
        assert_non_null(mkdtemp(place.dir));
        io_cases[i].run(&place);
        folder_remove(place.dir);
    }
}

static void test_sim(void **state) {
    (void)state;
    for (size_t i = 0; i < IO_CASES; i++) {
        print_message("  %s\n", io_cases[i].name);
        struct io_sim *sim = io_sim_create(i);
        struct place place = {.io = io_sim_io(sim), .ops = io_sim_io(sim)->ops, .dir = "/place"};
        assert_int_equal(place.ops->mkdir(place.io, place.dir), 0);
        io_cases[i].run(&place);
        assert_int_equal(io_sim_check(sim), FST_OK);
        io_sim_destroy(sim);
    }
}

/* Folders in memory behave the same. */
static void test_sim_in_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < IO_CASES; i++) {
        struct io_sim *sim = io_sim_create(i);
        struct place place = {.io = io_sim_io(sim), .ops = io_sim_io(sim)->ops, .dir = "/place"};
        io_sim_memory(sim, "/place/");
        assert_int_equal(place.ops->mkdir(place.io, place.dir), 0);
        io_cases[i].run(&place);
        assert_int_equal(io_sim_check(sim), FST_OK);
        assert_int_equal(io_sim_used_bytes(sim), 0);
        io_sim_destroy(sim);
    }
}

/* Memory that is reserved is there, counts as taken, and the file reads as before. */
static void test_posix_reserves(void **state) {
    (void)state;
    struct place place = {.io = io_posix(), .ops = io_posix()->ops};
    snprintf(place.dir, sizeof place.dir, "/dev/shm/fst_io_XXXXXX");
    assert_non_null(mkdtemp(place.dir));
    io_file file = open_in(&place, "t", CREATE);
    assert_int_equal(place.ops->resize(place.io, file, 1 << 20), 0);
    assert_int_equal(place.ops->taken(place.io, file), 0);
    assert_int_equal(place.ops->reserve(place.io, file, 65536, 131072), 0);
    assert_int_equal(place.ops->taken(place.io, file), 131072);
    assert_int_equal(place.ops->reserve(place.io, file, 65536, 131072), 0);
    assert_int_equal(place.ops->taken(place.io, file), 131072);
    assert_int_equal(place.ops->size(place.io, file), 1 << 20);
    assert_true(place.ops->room(place.io, place.dir) > 0);
    assert_int_equal(place.ops->room(place.io, path_in(&place, "none")), -ENOENT);
    assert_true(place.ops->reserve(place.io, file, 0, UINT64_C(1) << 60) < 0);
    assert_int_equal(place.ops->reserve(place.io, -1, 0, 1), -EBADF);
    assert_int_equal(place.ops->taken(place.io, -1), -EBADF);
    assert_int_equal(place.ops->close(place.io, file), 0);
    folder_remove(place.dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posix),
        cmocka_unit_test(test_posix_reserves),
        cmocka_unit_test(test_sim),
        cmocka_unit_test(test_sim_in_memory),
    };
    return cmocka_run_group_tests_name("base/io", tests, NULL, NULL);
}
