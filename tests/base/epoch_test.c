/* Shows when a stamp is past, and lets readers look at boxes that a writer unlinks, waits for and
 * then overwrites: no reader may ever see an overwritten box (a thread sanitizer confirms it). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>

#include "base/epoch.h"

static void test_stamp_waits_for_seats(void **state) {
    (void)state;
    static struct epoch epoch;
    epoch_init(&epoch, 3);
    uint64_t first = epoch_stamp(&epoch);
    assert_true(epoch_is_past(&epoch, first)); /* All are away. */

    epoch_enter(&epoch, 0);
    epoch_enter(&epoch, 2);
    assert_true(epoch_is_past(&epoch, first)); /* They came after it. */
    uint64_t second = epoch_stamp(&epoch);
    assert_true(second > first);
    assert_false(epoch_is_past(&epoch, second));
    epoch_enter(&epoch, 0); /* A quiet point. */
    assert_false(epoch_is_past(&epoch, second));
    epoch_leave(&epoch, 2);
    assert_true(epoch_is_past(&epoch, second));

    uint64_t third = epoch_stamp(&epoch);
    assert_true(epoch_is_past(&epoch, second));
    assert_false(epoch_is_past(&epoch, third));
    epoch_leave(&epoch, 0);
    assert_true(epoch_is_past(&epoch, third));
}

static void test_every_seat_counts(void **state) {
    (void)state;
    static struct epoch epoch;
    epoch_init(&epoch, EPOCH_SEATS_MAX);
    for (uint32_t seat = 0; seat < EPOCH_SEATS_MAX; seat++) {
        epoch_enter(&epoch, seat);
        uint64_t stamp = epoch_stamp(&epoch);
        assert_false(epoch_is_past(&epoch, stamp));
        epoch_leave(&epoch, seat);
        assert_true(epoch_is_past(&epoch, stamp));
    }
}

enum { READERS = 3, BOXES = 8, UNLINKS = 50000, LOOKS_PER_TICK = 4 };

/* Plain members: only the epoch keeps the writer off a box that is being read. */
struct box {
    uint64_t value;
    uint64_t copy;
    uint64_t stamp; /* the writer's: 0 while linked or free */
};

struct stage {
    struct epoch epoch;
    struct box boxes[BOXES];
    _Atomic(struct box *) current;
    _Atomic int is_over;
    _Atomic uint64_t torn;
    _Atomic uint32_t next_seat;
    _Atomic uint64_t looks;
};

static void *read_boxes(void *context) {
    struct stage *stage = context;
    uint32_t seat = atomic_fetch_add(&stage->next_seat, 1);
    for (uint64_t tick = 0; !atomic_load(&stage->is_over); tick++) {
        epoch_enter(&stage->epoch, seat);
        for (int i = 0; i < LOOKS_PER_TICK; i++) {
            const struct box *box = atomic_load_explicit(&stage->current, memory_order_acquire);
            if (box->value != box->copy) atomic_fetch_add(&stage->torn, 1);
        }
        atomic_fetch_add(&stage->looks, 1);
        if (tick % 8 == 0) {
            epoch_leave(&stage->epoch, seat);
            sched_yield();
        }
    }
    epoch_leave(&stage->epoch, seat);
    return NULL;
}

static struct box *box_free(struct stage *stage) {
    for (;;) {
        const struct box *current = atomic_load(&stage->current);
        for (int i = 0; i < BOXES; i++) {
            struct box *box = &stage->boxes[i];
            if (box != current && epoch_is_past(&stage->epoch, box->stamp)) return box;
        }
        sched_yield();
    }
}

static void test_readers_never_see_reuse(void **state) {
    (void)state;
    static struct stage stage;
    epoch_init(&stage.epoch, READERS);
    atomic_store(&stage.current, &stage.boxes[0]);
    pthread_t readers[READERS];
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_boxes, &stage), 0);
    }
    while (atomic_load(&stage.looks) < READERS) sched_yield();
    for (uint64_t i = 1; i <= UNLINKS; i++) {
        struct box *box = box_free(&stage);
        box->value = i;
        box->copy = i;
        struct box *unlinked = atomic_load(&stage.current);
        atomic_store_explicit(&stage.current, box, memory_order_release);
        unlinked->stamp = epoch_stamp(&stage.epoch);
    }
    atomic_store(&stage.is_over, 1);
    for (int i = 0; i < READERS; i++) pthread_join(readers[i], NULL);
    assert_int_equal(atomic_load(&stage.torn), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stamp_waits_for_seats),
        cmocka_unit_test(test_every_seat_counts),
        cmocka_unit_test(test_readers_never_see_reuse),
    };
    return cmocka_run_group_tests_name("base/epoch", tests, NULL, NULL);
}
