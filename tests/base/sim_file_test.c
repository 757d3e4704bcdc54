/* Breaks each invariant of a simulated file and of the simulated disk by hand, to see that the
 * checks find it: the tests of the simulation lean on them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <string.h>

#include "base/sim_disk.h"
#include "base/sim_file.h"

static void file_make(struct sim_file *file) {
    uint8_t data[1000];
    memset(data, 5, sizeof data);
    sim_file_init(file, false);
    assert_int_equal(sim_file_write(file, data, sizeof data, 0), 0);
    sim_file_sync(file);
    assert_int_equal(sim_file_write(file, data, 10, 600), 0);
    assert_int_equal(sim_file_check(file), FST_OK);
}

static void test_file_check_finds_damage(void **state) {
    (void)state;
    struct sim_file file;
    file_make(&file);
    file.durable[3] ^= 1; /* F1, in the sector that does not wait. */
    assert_int_equal(sim_file_check(&file), FST_CORRUPT);
    file.durable[3] ^= 1;
    file.durable[700] ^= 1; /* The other one waits. */
    assert_int_equal(sim_file_check(&file), FST_OK);
    file.now[1001] = 1; /* F2 */
    assert_int_equal(sim_file_check(&file), FST_CORRUPT);
    file.now[1001] = 0;
    file.written_count += 1; /* F3 */
    assert_int_equal(sim_file_check(&file), FST_CORRUPT);
    file.written_count -= 1;
    file.size_bytes = file.room_bytes + 1;
    assert_int_equal(sim_file_check(&file), FST_CORRUPT);
    file.size_bytes = 1000;
    assert_int_equal(sim_file_check(&file), FST_OK);
    sim_file_deinit(&file);

    sim_file_init(&file, true);
    assert_int_equal(sim_file_write(&file, "x", 1, 0), 0);
    assert_int_equal(sim_file_check(&file), FST_OK);
    file.written_count = 1; /* F4 */
    assert_int_equal(sim_file_check(&file), FST_CORRUPT);
    sim_file_deinit(&file);
}

static void test_file_limits(void **state) {
    (void)state;
    struct sim_file file;
    sim_file_init(&file, false);
    assert_int_equal(sim_file_resize(&file, UINT64_C(1) << 38), 0);
    assert_true(sim_file_resize(&file, (UINT64_C(1) << 38) + 1) < 0);
    assert_true(sim_file_write(&file, "x", 1, UINT64_C(1) << 38) < 0);
    assert_int_equal(sim_file_write(&file, "x", 1, (UINT64_C(1) << 38) - 1), 0);
    assert_int_equal(file.written_count, 1);
    sim_file_deinit(&file);
}

static void disk_make(struct sim_disk *disk) {
    uint32_t node;
    *disk = (struct sim_disk){0};
    assert_int_equal(sim_disk_mkdir(disk, "d"), 0);
    assert_int_equal(sim_disk_create(disk, "d/a", &node), 0);
    assert_int_equal(sim_disk_create(disk, "b", &node), 0);
    assert_int_equal(sim_disk_sync_dir(disk, "."), 0);
    assert_int_equal(sim_disk_sync_dir(disk, "d"), 0);
    assert_int_equal(sim_disk_check(disk), FST_OK);
}

static void test_disk_check_finds_damage(void **state) {
    (void)state;
    struct sim_disk disk;
    disk_make(&disk);
    char saved[SIM_PATH_BYTES];
    memcpy(saved, disk.now.items[1].path, sizeof saved);
    strcpy(disk.now.items[1].path, "b"); /* D1: twice. */
    assert_int_equal(sim_disk_check(&disk), FST_CORRUPT);
    strcpy(disk.now.items[1].path, "e/a"); /* D2 */
    assert_int_equal(sim_disk_check(&disk), FST_CORRUPT);
    memcpy(disk.now.items[1].path, saved, sizeof saved);
    uint32_t node = disk.now.items[1].node;
    disk.now.items[1].node = disk.nodes_count; /* D1: no such node. */
    assert_int_equal(sim_disk_check(&disk), FST_CORRUPT);
    disk.now.items[1].node = node;
    disk.nodes[node].file.written_count = 9; /* D3 */
    assert_int_equal(sim_disk_check(&disk), FST_CORRUPT);
    disk.nodes[node].file.written_count = 0;
    assert_int_equal(sim_disk_check(&disk), FST_OK);

    assert_int_equal(sim_disk_unlink(&disk, "b"), 0);
    assert_int_equal(sim_disk_sync_dir(&disk, "."), 0);
    assert_int_equal(sim_disk_check(&disk), FST_CORRUPT); /* D4: nobody needs it any more. */
    sim_disk_sweep(&disk);
    assert_int_equal(sim_disk_check(&disk), FST_OK);
    sim_disk_deinit(&disk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_check_finds_damage),
        cmocka_unit_test(test_file_limits),
        cmocka_unit_test(test_disk_check_finds_damage),
    };
    return cmocka_run_group_tests_name("base/sim_file", tests, NULL, NULL);
}
