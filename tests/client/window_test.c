/*
 * Shows that a window keeps requests in order through sending in part, answers in any order, broken
 * connections and repetitions: random steps against an oracle that is an array of numbers
 * (FST_SEED).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/window.h"

enum { REQUESTS = 7, STEPS = 60000 };

static uint64_t random_next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* The requests in flight, in the order in which they are to be on the wire. */
struct oracle {
    struct {
        uint64_t name; /* in the request: call.timeout_us */
        uint32_t id;
        uint32_t attempts;
        size_t bytes;
        size_t sent_bytes; /* on this connection; whole when equal */
        bool is_unknown;
    } items[REQUESTS];
    uint32_t count;
    uint64_t last_name;
};

static void oracle_remove(struct oracle *oracle, uint32_t at) {
    memmove(&oracle->items[at], &oracle->items[at + 1],
            (oracle->count - at - 1) * sizeof oracle->items[0]);
    oracle->count -= 1;
}

static uint32_t oracle_sent_count(const struct oracle *oracle) {
    uint32_t count = 0;
    while (count < oracle->count && oracle->items[count].sent_bytes == oracle->items[count].bytes) {
        count++;
    }
    return count;
}

static void compare(const struct client_window *window, const struct oracle *oracle) {
    assert_int_equal(client_window_check(window), FST_OK);
    assert_int_equal(window->in_flight, oracle->count);
    assert_int_equal(window->sent_count, oracle_sent_count(oracle));
    const struct client_request *at =
        window->sent.first ? window->sent.first : window->queued.first;
    for (uint32_t i = 0; i < oracle->count; i++) {
        assert_non_null(at);
        assert_int_equal(at->call.timeout_us, oracle->items[i].name);
        assert_int_equal(at->attempts, oracle->items[i].attempts);
        assert_int_equal(at->is_unknown, oracle->items[i].is_unknown);
        assert_int_equal(at->list == &window->sent,
                         oracle->items[i].sent_bytes == oracle->items[i].bytes);
        at = at->next || at->list == &window->queued ? at->next : window->queued.first;
    }
    assert_null(at);
}

static void step_append(struct client_window *window, struct oracle *oracle, uint64_t *seed) {
    struct client_request *request = client_window_get(window);
    assert_int_equal(request == NULL, oracle->count == REQUESTS);
    if (!request) return;
    size_t bytes = 1 + random_next(seed) % 30;
    assert_non_null(client_buffer_append(&request->frame, bytes));
    request->call.timeout_us = (int64_t)++oracle->last_name;
    request->deadline_us = (int64_t)(random_next(seed) % 1000);
    client_window_append(window, request);
    uint32_t at = oracle->count++;
    memset(&oracle->items[at], 0, sizeof oracle->items[at]);
    oracle->items[at].name = oracle->last_name;
    oracle->items[at].id = request->id;
    oracle->items[at].bytes = bytes;
}

static void step_send(struct client_window *window, struct oracle *oracle, uint64_t *seed) {
    size_t queued_bytes = 0;
    for (uint32_t i = 0; i < oracle->count; i++) {
        queued_bytes += oracle->items[i].bytes - oracle->items[i].sent_bytes;
    }
    size_t bytes = random_next(seed) % (queued_bytes + 1);
    client_window_send(window, bytes, 0);
    for (uint32_t i = 0; i < oracle->count && bytes > 0; i++) {
        size_t left = oracle->items[i].bytes - oracle->items[i].sent_bytes;
        size_t part = bytes < left ? bytes : left;
        oracle->items[i].attempts += part > 0 && oracle->items[i].sent_bytes == 0;
        oracle->items[i].sent_bytes += part;
        bytes -= part;
    }
}

static void step_answer(struct client_window *window, struct oracle *oracle, uint64_t *seed) {
    uint32_t sent_count = oracle_sent_count(oracle);
    if (oracle->count == 0) return;
    uint32_t at = (uint32_t)random_next(seed) % oracle->count;
    struct client_request *request = client_window_find(window, oracle->items[at].id);
    assert_int_equal(request != NULL, at < sent_count);
    if (!request) return;
    assert_int_equal(request->call.timeout_us, oracle->items[at].name);
    if (random_next(seed) % 4 == 0) {
        client_window_repeat(window, request);
        oracle->items[at].sent_bytes = 0;
        struct oracle copy = *oracle;
        oracle_remove(oracle, at);
        oracle->items[oracle->count++] = copy.items[at];
    } else {
        client_window_put(window, request);
        assert_null(client_window_find(window, oracle->items[at].id));
        oracle_remove(oracle, at);
    }
}

static void step_break(struct client_window *window, struct oracle *oracle) {
    client_window_rewind(window);
    for (uint32_t i = 0; i < oracle->count; i++) {
        oracle->items[i].is_unknown |= oracle->items[i].sent_bytes == oracle->items[i].bytes;
        oracle->items[i].sent_bytes = 0;
    }
}

static void test_order_against_an_oracle(void **state) {
    (void)state;
    const char *text = getenv("FST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 1;
    print_message("FST_SEED=%llu\n", (unsigned long long)seed);
    struct client_window window;
    struct oracle oracle = {.count = 0};
    assert_int_equal(client_window_init(&window, REQUESTS), FST_OK);
    for (uint32_t step = 0; step < STEPS; step++) {
        switch (random_next(&seed) % 16) {
        case 0:
            step_break(&window, &oracle);
            break;
        case 1:
        case 2:
        case 3:
        case 4:
        case 5:
            step_append(&window, &oracle, &seed);
            break;
        case 6:
        case 7:
        case 8:
            step_send(&window, &oracle, &seed);
            break;
        default:
            step_answer(&window, &oracle, &seed);
        }
        compare(&window, &oracle);
    }
    assert_true(oracle.last_name > STEPS / 20);
    client_window_deinit(&window);
}

static void test_late_requests_are_found(void **state) {
    (void)state;
    struct client_window window;
    assert_int_equal(client_window_init(&window, REQUESTS), FST_OK);
    assert_null(client_window_find_late(&window, INT64_MAX - 1));
    static const int64_t deadlines_us[] = {50, 20, 90, 20};
    for (uint32_t i = 0; i < 4; i++) {
        struct client_request *request = client_window_get(&window);
        assert_non_null(client_buffer_append(&request->frame, 8));
        request->deadline_us = deadlines_us[i];
        client_window_append(&window, request);
    }
    client_window_send(&window, 20, 0); /* The first two are sent, the third in part. */
    assert_int_equal(window.deadline_us, 20);
    assert_null(client_window_find_late(&window, 19));
    for (uint32_t i = 0; i < 2; i++) {
        struct client_request *late = client_window_find_late(&window, 20);
        assert_non_null(late);
        assert_int_equal(late->deadline_us, 20);
        client_window_put(&window, late);
    }
    assert_null(client_window_find_late(&window, 49));
    assert_int_equal(window.deadline_us, 50);
    client_window_put(&window, client_window_find_late(&window, 50));
    client_window_put(&window, client_window_find_late(&window, 90));
    assert_int_equal(window.head_bytes, 0);
    assert_int_equal(client_window_check(&window), FST_OK);
    client_window_deinit(&window);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_against_an_oracle),
        cmocka_unit_test(test_late_requests_are_found),
    };
    return cmocka_run_group_tests_name("client/window", tests, NULL, NULL);
}
