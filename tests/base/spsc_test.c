/* Sends messages from one thread to another: all arrive, once, in order, with what was written into
 * them before (which a thread sanitizer confirms), also when the counters wrap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/spsc.h"

enum { MESSAGES = 200000, SLOTS = 64 };

struct message {
    uint64_t number;
    uint64_t square;
};

struct flow {
    struct spsc queue;
    struct message *messages;
};

static void *produce(void *context) {
    struct flow *flow = context;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        flow->messages[i] = (struct message){.number = i, .square = i * i};
        while (!spsc_push(&flow->queue, &flow->messages[i])) sched_yield();
    }
    return NULL;
}

static void flow_run(uint32_t first_position) {
    static struct flow flow;
    assert_int_equal(spsc_init(&flow.queue, SLOTS), FST_OK);
    atomic_store(&flow.queue.tail, first_position);
    atomic_store(&flow.queue.head, first_position);
    flow.queue.head_seen = first_position;
    flow.queue.tail_seen = first_position;
    flow.messages = calloc(MESSAGES, sizeof *flow.messages);
    assert_non_null(flow.messages);

    pthread_t producer;
    assert_int_equal(pthread_create(&producer, NULL, produce, &flow), 0);
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        struct message *message;
        while ((message = spsc_pop(&flow.queue)) == NULL) sched_yield();
        wrong += message->number != i || message->square != i * i;
        message->square = 0; /* It was moved: it is ours now. */
    }
    pthread_join(producer, NULL);
    assert_int_equal(wrong, 0);
    assert_null(spsc_pop(&flow.queue));
    free(flow.messages);
    spsc_deinit(&flow.queue);
}

static void test_messages_arrive_in_order(void **state) {
    (void)state;
    flow_run(0);
}

static void test_counters_wrap(void **state) {
    (void)state;
    flow_run(UINT32_MAX - 1000);
}

static void test_full_and_empty(void **state) {
    (void)state;
    static struct spsc queue;
    static int items[5];
    assert_int_equal(spsc_init(&queue, 4), FST_OK);
    assert_null(spsc_pop(&queue));
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 4; i++) assert_true(spsc_push(&queue, &items[i]));
        assert_false(spsc_push(&queue, &items[4]));
        assert_ptr_equal(spsc_pop(&queue), &items[0]);
        assert_true(spsc_push(&queue, &items[4]));
        assert_false(spsc_push(&queue, &items[0]));
        for (int i = 1; i < 5; i++) assert_ptr_equal(spsc_pop(&queue), &items[i]);
        assert_null(spsc_pop(&queue));
    }
    spsc_deinit(&queue);
}

static void test_one_slot(void **state) {
    (void)state;
    static struct spsc queue;
    int item = 0;
    assert_int_equal(spsc_init(&queue, 1), FST_OK);
    assert_true(spsc_push(&queue, &item));
    assert_false(spsc_push(&queue, &item));
    assert_ptr_equal(spsc_pop(&queue), &item);
    assert_null(spsc_pop(&queue));
    spsc_deinit(&queue);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_arrive_in_order),
        cmocka_unit_test(test_counters_wrap),
        cmocka_unit_test(test_full_and_empty),
        cmocka_unit_test(test_one_slot),
    };
    return cmocka_run_group_tests_name("base/spsc", tests, NULL, NULL);
}
