/* Shows that lists and mailboxes keep the order of each sender, serve senders in turn, refuse when
 * a queue is full and lose nothing between threads: case by case, then with three seats that all
 * send to each other at once (a thread sanitizer watches what they hand over). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "shard/message.h"

enum { SEATS = 3, QUEUE = 8, ROUNDS = 20000 };

struct letter {
    struct message message;
    uint32_t number; /* plain: handed over with the message */
};

static void test_list_is_first_in_first_out(void **state) {
    (void)state;
    struct message_list list = {0};
    struct message messages[4];
    assert_null(message_list_get(&list));
    for (int round = 0; round < 2; round++) { /* Emptied in between. */
        message_list_put(&list, &messages[0]);
        message_list_put(&list, &messages[1]);
        assert_ptr_equal(message_list_get(&list), &messages[0]);
        message_list_put(&list, &messages[2]);
        message_list_put(&list, &messages[3]);
        for (int i = 1; i < 4; i++) assert_ptr_equal(message_list_get(&list), &messages[i]);
        assert_null(message_list_get(&list));
    }
}

static void test_order_and_senders(void **state) {
    (void)state;
    struct mailboxes mailboxes;
    struct letter letters[SEATS][QUEUE];
    assert_int_equal(mailboxes_init(&mailboxes, SEATS, QUEUE), FST_OK);
    for (uint32_t from = 0; from < SEATS; from++) {
        for (uint32_t i = 0; i < QUEUE; i++) {
            letters[from][i].number = i;
            assert_true(mailbox_send(&mailboxes, from, 1, &letters[from][i].message));
        }
    }
    uint32_t cursor = 0;
    for (uint32_t i = 0; i < SEATS * QUEUE; i++) {
        struct letter *letter = (struct letter *)mailbox_receive(&mailboxes, 1, &cursor);
        assert_non_null(letter);
        assert_int_equal(letter->message.from, i % SEATS); /* In turn. */
        assert_int_equal(letter->number, i / SEATS);
    }
    assert_null(mailbox_receive(&mailboxes, 1, &cursor));
    for (uint32_t to = 0; to < SEATS; to++) assert_null(mailbox_receive(&mailboxes, to, &cursor));
    mailboxes_deinit(&mailboxes);
}

/* A sender that never stops must not keep another one waiting: between two of the second one's
 * messages there is at most one of the first. */
static void test_busy_sender_is_fair(void **state) {
    (void)state;
    struct mailboxes mailboxes;
    struct letter busy[QUEUE], calm[2];
    assert_int_equal(mailboxes_init(&mailboxes, SEATS, QUEUE), FST_OK);
    for (uint32_t i = 0; i < QUEUE; i++) {
        assert_true(mailbox_send(&mailboxes, 0, 2, &busy[i].message));
    }
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(mailbox_send(&mailboxes, 1, 2, &calm[i].message));
    }
    uint32_t cursor = 0;
    uint32_t of_busy = 0;
    for (uint32_t of_calm = 0; of_calm < 2;) {
        struct message *message = mailbox_receive(&mailboxes, 2, &cursor);
        assert_non_null(message);
        if (message->from == 1) {
            of_calm += 1;
            continue;
        }
        of_busy += 1;
        assert_true(of_busy <= of_calm + 1);
        assert_true(mailbox_send(&mailboxes, 0, 2, message)); /* It comes again at once. */
    }
    assert_int_equal(of_busy, 2);
    mailboxes_deinit(&mailboxes);
}

static void test_full_queue_refuses(void **state) {
    (void)state;
    struct mailboxes mailboxes;
    struct letter letters[QUEUE + 1];
    assert_int_equal(mailboxes_init(&mailboxes, SEATS, QUEUE), FST_OK);
    for (uint32_t i = 0; i < QUEUE; i++) {
        assert_true(mailbox_send(&mailboxes, 0, 1, &letters[i].message));
    }
    assert_false(mailbox_send(&mailboxes, 0, 1, &letters[QUEUE].message));
    assert_true(mailbox_send(&mailboxes, 0, 2, &letters[QUEUE].message)); /* A queue of its own. */
    uint32_t cursor = 0;
    assert_ptr_equal(mailbox_receive(&mailboxes, 2, &cursor), &letters[QUEUE].message);
    assert_ptr_equal(mailbox_receive(&mailboxes, 1, &cursor), &letters[0].message);
    assert_true(mailbox_send(&mailboxes, 0, 1, &letters[QUEUE].message));
    for (uint32_t i = 1; i <= QUEUE; i++) {
        assert_ptr_equal(mailbox_receive(&mailboxes, 1, &cursor), &letters[i].message);
    }
    mailboxes_deinit(&mailboxes);
}

struct seat {
    struct mailboxes *mailboxes;
    uint32_t index;
    struct letter letters[SEATS][ROUNDS];
    uint32_t sent[SEATS];
    uint32_t received[SEATS];
    uint32_t wrong_count;
};

static bool seat_is_done(const struct seat *seat) {
    for (uint32_t other = 0; other < SEATS; other++) {
        if (seat->sent[other] < ROUNDS || seat->received[other] < ROUNDS) return false;
    }
    return true;
}

static void *seat_run(void *argument) {
    struct seat *seat = argument;
    uint32_t cursor = seat->index;
    while (!seat_is_done(seat)) {
        for (uint32_t to = 0; to < SEATS; to++) {
            uint32_t number = seat->sent[to];
            if (number == ROUNDS) continue;
            struct letter *letter = &seat->letters[to][number];
            letter->number = number;
            if (mailbox_send(seat->mailboxes, seat->index, to, &letter->message)) {
                seat->sent[to] += 1;
            }
        }
        struct letter *letter;
        bool is_idle = true;
        while ((letter = (struct letter *)mailbox_receive(seat->mailboxes, seat->index, &cursor))) {
            uint32_t from = letter->message.from;
            seat->wrong_count += from >= SEATS || letter->number != seat->received[from];
            seat->received[from] += 1;
            is_idle = false;
        }
        if (is_idle) sched_yield();
    }
    return NULL;
}

static void test_threads_lose_nothing(void **state) {
    (void)state;
    static struct seat seats[SEATS];
    struct mailboxes mailboxes;
    pthread_t threads[SEATS];
    assert_int_equal(mailboxes_init(&mailboxes, SEATS, QUEUE), FST_OK);
    for (uint32_t i = 0; i < SEATS; i++) {
        seats[i].mailboxes = &mailboxes;
        seats[i].index = i;
        assert_int_equal(pthread_create(&threads[i], NULL, seat_run, &seats[i]), 0);
    }
    for (uint32_t i = 0; i < SEATS; i++) pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < SEATS; i++) assert_int_equal(seats[i].wrong_count, 0);
    uint32_t cursor = 0;
    for (uint32_t i = 0; i < SEATS; i++) assert_null(mailbox_receive(&mailboxes, i, &cursor));
    mailboxes_deinit(&mailboxes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_is_first_in_first_out),
        cmocka_unit_test(test_order_and_senders),
        cmocka_unit_test(test_busy_sender_is_fair),
        cmocka_unit_test(test_full_queue_refuses),
        cmocka_unit_test(test_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
