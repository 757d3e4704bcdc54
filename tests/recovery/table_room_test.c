/* What a start says of a memory file system that is too small: the limit, one byte less, tables
 * that are there already, and failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "base/io_sim.h"
#include "storage/recovery/table_room.h"

enum { ROOM_BYTES = 64 << 20, TABLE_BYTES = 10 << 20 };

static const uint8_t store_id[STORE_ID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 0xff};
static const uint8_t other_id[STORE_ID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 0xfe};

static void table_make(struct io *io, const char *path) {
    io_file file;
    assert_int_equal(io->ops->open(io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, &file), 0);
    assert_int_equal(io->ops->resize(io, file, 2 * TABLE_BYTES), 0);
    assert_int_equal(io->ops->reserve(io, file, 0, TABLE_BYTES), 0);
    assert_int_equal(io->ops->close(io, file), 0);
}

static void test_room(void **state) {
    (void)state;
    static const struct {
        const char *name;
        const uint8_t *store_id;
        uint64_t memory_bytes;
        enum fst_status status;
    } cases[] = {
        {"what is left", NULL, ROOM_BYTES - 2 * TABLE_BYTES, FST_OK},
        {"a byte more", NULL, ROOM_BYTES - 2 * TABLE_BYTES + 1, FST_INVALID},
        {"with what its tables have", store_id, ROOM_BYTES, FST_OK},
        {"a byte more than that", store_id, ROOM_BYTES + 1, FST_INVALID},
        {"a store without tables", other_id, ROOM_BYTES - 2 * TABLE_BYTES, FST_OK},
        {"a byte more for it", other_id, ROOM_BYTES - 2 * TABLE_BYTES + 1, FST_INVALID},
    };
    struct io_sim *sim = io_sim_create(1);
    struct io *io = io_sim_io(sim);
    io_sim_memory(sim, "mem/");
    io_sim_memory_limit(sim, ROOM_BYTES);
    assert_int_equal(io->ops->mkdir(io, "mem"), 0);
    assert_int_equal(io->ops->mkdir(io, "mem/fstore-01020304050607ff"), 0);
    table_make(io, "mem/fstore-01020304050607ff/p0000");
    table_make(io, "mem/fstore-01020304050607ff/p0001");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fst_error error = {.text = ""};
        const struct table_room room = {.table_dir = "mem",
                                        .store_id = cases[i].store_id,
                                        .memory_bytes = cases[i].memory_bytes};
        print_message("  %s\n", cases[i].name);
        assert_int_equal(table_room_check(io, &room, &error), cases[i].status);
        if (cases[i].status == FST_OK) continue;
        assert_non_null(strstr(error.text, "--table-dir mem: its file system has 44 MiB left"));
        assert_non_null(
            strstr(error.text, cases[i].store_id == store_id ? "store 20 MiB" : "store 0 MiB"));
        assert_non_null(strstr(error.text, "lower --memory"));
    }
    io_sim_destroy(sim);
}

/* A folder that is not there is named; one whose file system says nothing is taken as it is. */
static void test_room_unknown(void **state) {
    (void)state;
    struct io_sim *sim = io_sim_create(1);
    struct io *io = io_sim_io(sim);
    const struct table_room room = {.table_dir = "mem", .memory_bytes = UINT64_MAX};
    struct fst_error error = {.text = ""};
    io_sim_fail(sim, IO_SIM_ROOM, 1, ENOENT);
    assert_int_equal(table_room_check(io, &room, &error), FST_NOT_FOUND);
    assert_non_null(strstr(error.text, "--table-dir mem: "));
    io_sim_fail(sim, IO_SIM_ROOM, 1, EOPNOTSUPP);
    assert_int_equal(table_room_check(io, &room, &error), FST_OK);
    io_sim_destroy(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_room_unknown),
    };
    return cmocka_run_group_tests_name("recovery/table_room", tests, NULL, NULL);
}
