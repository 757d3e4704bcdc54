/* Shows that the durable writes of both rings are whole, synced and answered once, also when they
 * come up short, fail, are too many, or fill the queue that receives need too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/ring.h"
#include "tests/net/ring_fixture.h"

static int write_put(const struct fixture *fixture, int file, const void *data, size_t bytes,
                     bool is_dsync, uint64_t token) {
    struct io_ring_write write = {.file = file, .data = data, .bytes = bytes, .is_dsync = is_dsync};
    return fixture->ring->ops->write(fixture->ring, &write, token);
}

static int file_open(char *path, size_t path_bytes) {
    const char *folder = getenv("TMPDIR");
    snprintf(path, path_bytes, "%s/fst-ring-XXXXXX", folder ? folder : "/tmp");
    int file = mkstemp(path);
    assert_true(file >= 0);
    return file;
}

static void test_write_is_whole(void **state) {
    enum { BLOCKS = 32, BLOCK_BYTES = 3 * IO_BLOCK_BYTES };
    struct fixture f;
    fixture_open(&f, state, &default_options);
    char path[256];
    int file = file_open(path, sizeof path);
    uint8_t *data = aligned_alloc(IO_BLOCK_BYTES, BLOCKS * BLOCK_BYTES);
    uint8_t *back = malloc(BLOCKS * BLOCK_BYTES);
    pattern_put(data, BLOCKS * BLOCK_BYTES, 3, 0);
    for (uint64_t i = 0; i < BLOCKS; i++) {
        struct io_ring_write write = {.file = file,
                                      .data = data + i * BLOCK_BYTES,
                                      .bytes = BLOCK_BYTES,
                                      .offset = i * BLOCK_BYTES,
                                      .is_dsync = i % 2 == 0};
        assert_int_equal(f.ring->ops->write(f.ring, &write, i + 100), 0);
    }
    uint64_t told = 0;
    for (int done = 0; done < BLOCKS; done += f.count) {
        fixture_wait(&f, 5);
        for (int i = 0; i < f.count; i++) {
            assert_int_equal(f.completions[i].event, IO_RING_WRITTEN);
            assert_int_equal(f.completions[i].result, 0);
            assert_false(f.completions[i].is_armed);
            told |= UINT64_C(1) << (f.completions[i].token - 100);
        }
    }
    assert_true(told == (UINT64_C(1) << BLOCKS) - 1);
    assert_int_equal(pread(file, back, BLOCKS * BLOCK_BYTES, 0), BLOCKS * BLOCK_BYTES);
    assert_memory_equal(back, data, BLOCKS * BLOCK_BYTES);
    free(data);
    free(back);
    close(file);
    unlink(path);
    fixture_close(&f);
}

/* Each failure, of the write and of the sync behind it, comes back as the write's only answer. */
static void test_write_failures(void **state) {
    static const struct write_case {
        const char *name;
        const char *path;
        bool is_dsync;
        int result;
    } cases[] = {
        {"no room, dsync", "/dev/full", true, -ENOSPC},
        {"no room, then sync", "/dev/full", false, -ENOSPC},
        {"a file that cannot be synced", "/dev/null", false, -EINVAL},
        {"the same without a sync", "/dev/null", true, 0},
        {"not open for writing", "/dev/zero", true, -EBADF},
    };
    struct fixture f;
    fixture_open(&f, state, &default_options);
    uint8_t data[IO_BLOCK_BYTES] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("    %s\n", cases[i].name);
        int file = open(cases[i].path, cases[i].result == -EBADF ? O_RDONLY : O_WRONLY);
        assert_true(file >= 0);
        assert_int_equal(write_put(&f, file, data, sizeof data, cases[i].is_dsync, i), 0);
        struct io_ring_completion c = fixture_one(&f);
        assert_int_equal(c.event, IO_RING_WRITTEN);
        assert_int_equal(c.result, cases[i].result);
        assert_int_equal(c.token, i);
        assert_int_equal(f.ring->ops->wait(f.ring, f.completions, COMPLETIONS_MAX, 0), 0);
        close(file);
    }
    fixture_close(&f);
}

/* The file may grow to 6,000 bytes only: the kernel writes those, then refuses the rest. */
static void test_short_write_is_continued(void **state) {
    struct fixture f;
    fixture_open(&f, state, &default_options);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (int is_dsync = 0; is_dsync < 2; is_dsync++) {
        char path[256];
        int file = file_open(path, sizeof path);
        uint8_t data[2 * IO_BLOCK_BYTES];
        memset(data, 'a', sizeof data);
        struct rlimit small = {.rlim_cur = 6000, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        assert_int_equal(write_put(&f, file, data, sizeof data, is_dsync == 1, 1), 0);
        struct io_ring_completion c = fixture_one(&f);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(c.result, -EFBIG);
        assert_int_equal(lseek(file, 0, SEEK_END), 6000);
        assert_int_equal(f.ring->ops->wait(f.ring, f.completions, COMPLETIONS_MAX, 0), 0);
        close(file);
        unlink(path);
    }
    fixture_close(&f);
}

/* More requests than the tables hold: those beyond are refused, those taken all complete, although
 * the queue of completions is far smaller. */
static void test_requests_beyond_the_tables(void **state) {
    struct fixture f;
    fixture_open(&f, state, &default_options);
    (void)f.ring->ops->wait(f.ring, f.completions, COMPLETIONS_MAX, 0);
    uint8_t data[IO_BLOCK_BYTES] = {0};
    int file = open("/dev/null", O_WRONLY);
    int taken = 0;
    int result = 0;
    while (taken <= RING_OPERATIONS_MAX && result == 0) {
        result = write_put(&f, file, data, sizeof data, true, 1);
        if (result == 0) taken += 1;
    }
    assert_int_equal(result, -EAGAIN);
    assert_true(taken >= 256 && taken <= RING_OPERATIONS_MAX);
    for (int done = 0; done < taken; done += f.count) {
        fixture_wait(&f, COMPLETIONS_MAX);
        for (int i = 0; i < f.count; i++) assert_int_equal(f.completions[i].result, 0);
    }
    assert_int_equal(f.ring->ops->wait(f.ring, f.completions, COMPLETIONS_MAX, 0), 0);
    assert_int_equal(write_put(&f, file, data, sizeof data, true, 1), 0);
    assert_int_equal(fixture_one(&f).result, 0);
    close(file);
    fixture_close(&f);
}

/* The queue of completions is full of writes when data arrives: the kernel ends the receives then,
 * and the ring goes on with them. */
static void test_receives_survive_a_full_queue(void **state) {
    enum { STREAMS = 8, STREAM_BYTES = 4096, WRITES = 6000, ROUNDS = 3 };
    struct fixture f;
    fixture_open(&f, state, &default_options);
    (void)f.ring->ops->wait(f.ring, f.completions, COMPLETIONS_MAX, 0);
    uint8_t data[STREAM_BYTES];
    uint8_t zeros[STREAM_BYTES] = {0};
    int file = open("/dev/null", O_WRONLY);
    int clients[STREAMS];
    int servers[STREAMS];
    uint64_t seen[STREAMS] = {0};
    for (int i = 0; i < STREAMS; i++) {
        pair_open(&f, &clients[i], &servers[i]);
        assert_int_equal(f.ring->ops->receive(f.ring, servers[i], (uint64_t)i), 0);
    }
    for (uint64_t round = 0; round < ROUNDS; round++) {
        int written = 0;
        while (written < WRITES && write_put(&f, file, zeros, sizeof zeros, true, STREAMS) == 0) {
            written += 1;
        }
        for (int i = 0; i < STREAMS; i++) {
            pattern_put(data, sizeof data, (uint64_t)i, round * STREAM_BYTES);
            client_send(clients[i], data, sizeof data);
        }
        uint64_t received = 0;
        while (written > 0 || received < (uint64_t)STREAMS * STREAM_BYTES) {
            fixture_wait(&f, COMPLETIONS_MAX);
            for (int i = 0; i < f.count; i++) {
                const struct io_ring_completion *c = &f.completions[i];
                written -= c->event == IO_RING_WRITTEN;
                if (c->event == IO_RING_WRITTEN) continue;
                assert_true(c->is_armed && c->result > 0);
                pattern_check(c->data, (size_t)c->result, c->token, seen[c->token]);
                seen[c->token] += (uint64_t)c->result;
                received += (uint64_t)c->result;
            }
        }
    }
    for (int i = 0; i < STREAMS; i++) {
        close(clients[i]);
        close(servers[i]);
    }
    close(file);
    fixture_close(&f);
}

int main(void) {
    static enum ring_kind kinds[] = {RING_URING, RING_EPOLL};
#define BOTH(test)                                                                                 \
    cmocka_unit_test_prestate(test, &kinds[0]), cmocka_unit_test_prestate(test, &kinds[1])
    const struct CMUnitTest tests[] = {
        BOTH(test_write_is_whole),
        BOTH(test_write_failures),
        BOTH(test_short_write_is_continued),
        BOTH(test_requests_beyond_the_tables),
        BOTH(test_receives_survive_a_full_queue),
    };
    return cmocka_run_group_tests_name("net/ring_write", tests, NULL, NULL);
}
