/* Changes wait in order until a batch that has them is committed: a batch that failed leaves them
 * waiting, and what came meanwhile waits on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage/meta/change_queue.h"

enum { MAP_BYTES = 16 << 20, PATH_BYTES = 128 };

struct scene {
    char path[PATH_BYTES];
    struct meta *meta;
    struct change_queue *queue;
    uint64_t stored_count; /* seen by scene_count() */
};

static void scene_init(struct scene *scene) {
    struct fst_error error;
    *scene = (struct scene){.meta = NULL};
    (void)snprintf(scene->path, sizeof scene->path, "/dev/shm/change_queue_XXXXXX");
    assert_non_null(mkdtemp(scene->path));
    const struct meta_options options = {.path = scene->path, .map_bytes = MAP_BYTES};
    assert_int_equal(meta_open(&scene->meta, &options, &error), FST_OK);
    assert_int_equal(change_queue_create(&scene->queue), FST_OK);
}

static void scene_deinit(struct scene *scene) {
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    char path[2 * PATH_BYTES];
    change_queue_destroy(scene->queue);
    meta_close(scene->meta);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", scene->path, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(scene->path), 0);
}

static void change_put(struct scene *scene, uint64_t generation) {
    char text[32];
    int length = snprintf(text, sizeof text, "change %d", (int)generation);
    struct bytes change = {.data = (const uint8_t *)text, .bytes = (size_t)length};
    struct change_entry *entry = change_entry_create(generation, change);
    assert_non_null(entry);
    change_queue_put(scene->queue, entry);
}

static enum fst_status change_see(void *context, uint64_t generation, struct bytes change) {
    struct scene *scene = context;
    char text[32];
    assert_int_equal(generation, ++scene->stored_count);
    int length = snprintf(text, sizeof text, "change %d", (int)generation);
    assert_int_equal(change.bytes, length);
    assert_memory_equal(change.data, text, (size_t)length);
    return FST_OK;
}

static uint64_t scene_count(struct scene *scene) {
    struct fst_error error;
    const struct meta_visitor visitor = {.context = scene, .change = change_see};
    scene->stored_count = 0;
    assert_int_equal(meta_visit(scene->meta, &visitor, &error), FST_OK);
    return scene->stored_count;
}

static uint64_t batch_run(struct scene *scene, bool is_kept, uint64_t put_meanwhile) {
    struct meta_batch *batch;
    struct fst_error error;
    uint64_t generation;
    assert_int_equal(meta_begin(scene->meta, &batch, &error), FST_OK);
    assert_int_equal(change_queue_write(scene->queue, batch, &generation), FST_OK);
    if (put_meanwhile) change_put(scene, put_meanwhile);
    if (!is_kept) {
        meta_abort(batch);
        return scene_count(scene);
    }
    assert_int_equal(meta_commit(batch, &error), FST_OK);
    change_queue_settle(scene->queue, generation);
    return scene_count(scene);
}

static void test_waits_until_committed(void **state) {
    (void)state;
    struct scene scene;
    scene_init(&scene);
    assert_int_equal(batch_run(&scene, true, 0), 0);
    change_put(&scene, 1);
    change_put(&scene, 2);
    assert_int_equal(batch_run(&scene, false, 3), 0);
    assert_int_equal(change_queue_count(scene.queue), 3);
    assert_int_equal(batch_run(&scene, true, 4), 3);
    assert_int_equal(change_queue_count(scene.queue), 1);
    assert_int_equal(batch_run(&scene, true, 0), 4);
    assert_int_equal(change_queue_count(scene.queue), 0);
    change_put(&scene, 5);
    assert_int_equal(batch_run(&scene, true, 0), 5);
    scene_deinit(&scene);
}

/* A generation is taken once, until all is forgotten. */
static void test_generations_count_once(void **state) {
    (void)state;
    struct scene scene;
    scene_init(&scene);
    change_put(&scene, 1);
    change_put(&scene, 1);
    assert_int_equal(change_queue_count(scene.queue), 1);
    assert_int_equal(batch_run(&scene, true, 0), 1);
    change_put(&scene, 1);
    assert_int_equal(change_queue_count(scene.queue), 0);
    change_queue_clear(scene.queue);
    change_put(&scene, 1);
    change_put(&scene, 2);
    assert_int_equal(change_queue_count(scene.queue), 2);
    scene_deinit(&scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_until_committed),
        cmocka_unit_test(test_generations_count_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
