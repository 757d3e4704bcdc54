/*
 * Shows how a client begins, waits and ends: what it makes of servers that refuse, stay silent or
 * are none; that every request ends, once, at its time limit or with the client; and what callbacks
 * may do. Time limits pass because a scripted server says nothing until the client hangs up.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "client/link.h"
#include "tests/client/fake_server.h"

enum { HELLO = 1, GET = 3, WRITE = 4, CONTROL = 5, PING = 6, SHORT_US = 20000 };

static const struct fake_layout layout = {
    .number = 1,
    .id = 77,
    .features_count = 1,
    .features = {{"x", {.kind = FST_KIND_INT64}, 0, false}},
};
static const struct fake_layout writing = {
    .number = 2,
    .id = 88,
    .plan = 2,
    .features_count = 1,
    .features = {{"x", {.kind = FST_KIND_INT64}, 0, false}},
};

/* ---- options ---- */

static const struct address_case {
    const char *text;
    const char *host; /* NULL: refused */
    const char *port;
} address_cases[] = {
    {"localhost", "localhost", "7601"},
    {"10.0.0.5:80", "10.0.0.5", "80"},
    {"[::1]:65535", "::1", "65535"},
    {"[::1]", "::1", "7601"},
    {"fe80::1", "fe80::1", "7601"},
    {"", NULL, NULL},
    {":7601", NULL, NULL},
    {"host:", NULL, NULL},
    {"host:0", NULL, NULL},
    {"host:65536", NULL, NULL},
    {"host:7601x", NULL, NULL},
    {"host:999999999999", NULL, NULL},
    {"[::1", NULL, NULL},
    {"[::1]7601", NULL, NULL},
    {"[]:7601", NULL, NULL},
};

static void test_addresses(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof address_cases / sizeof address_cases[0]; i++) {
        const struct address_case *c = &address_cases[i];
        struct client_address address;
        struct fst_error error;
        enum fst_status status = client_address_parse(c->text, &address, &error);
        if (!c->host) {
            assert_int_equal(status, FST_INVALID);
            assert_non_null(strstr(error.text, "expected HOST"));
            continue;
        }
        assert_int_equal(status, FST_OK);
        assert_string_equal(address.host, c->host);
        assert_string_equal(address.port, c->port);
    }
}

static void test_options_out_of_range(void **state) {
    (void)state;
    static char key[2000];
    memset(key, 'k', sizeof key - 1);
    for (uint32_t i = 0; i < 9; i++) {
        struct fst_options options;
        struct fst_error error;
        struct fst_client *client;
        fst_options_init(&options);
        if (i == 0) options.connect_timeout_us = 0;
        if (i == 1) options.request_timeout_us = -1;
        if (i == 2) options.backoff_us_min = 0;
        if (i == 3) options.backoff_us_max = INT64_MAX;
        if (i == 4) options.attempts_max = 0;
        if (i == 5) options.in_flight_max = 0;
        if (i == 6) options.in_flight_max = FST_IN_FLIGHT_MAX + 1;
        if (i == 7) options.server = "host:port";
        if (i == 8) options.key = key;
        assert_int_equal(fst_client_open(&client, &options, &error),
                         i == 8 ? FST_TOO_LARGE : FST_INVALID);
    }
}

/* ---- greetings ---- */

enum greeting {
    GREETING_REFUSED_KEY,
    GREETING_REFUSED_VERSION,
    GREETING_OVERLOADED,
    GREETING_OTHER_VERSION,
    GREETING_SHORT,
    GREETING_NO_PARTITIONS,
    GREETING_HTTP,
    GREETING_HANG_UP,
    GREETING_SILENCE,
    GREETINGS,
};

static const enum fst_status greeting_statuses[GREETINGS] = {
    [GREETING_REFUSED_KEY] = FST_UNAUTHENTICATED,
    [GREETING_REFUSED_VERSION] = FST_UNSUPPORTED,
    [GREETING_OVERLOADED] = FST_OVERLOADED,
    [GREETING_OTHER_VERSION] = FST_UNSUPPORTED,
    [GREETING_SHORT] = FST_BAD_FRAME,
    [GREETING_NO_PARTITIONS] = FST_BAD_FRAME,
    [GREETING_HTTP] = FST_BAD_FRAME,
    [GREETING_HANG_UP] = FST_CLOSED,
    [GREETING_SILENCE] = FST_TIMEOUT,
};

static void greeting_script(struct fake *fake) {
    const enum greeting *greeting = fake->context;
    uint8_t payload[80] = {1, 0, 1, 0, 7};
    store_u32(payload + 8, 1 << 20);
    store_u32(payload + 24, 64);
    payload[60] = 1; /* Nodes; then one empty address, and a partition. */
    fake_accept(fake);
    struct fake_frame hello = fake_expect(fake, HELLO);
    fake_check(fake,
               load_u16(hello.payload + 16) == 6 && memcmp(hello.payload + 18, "secret", 6) == 0);
    switch (*greeting) {
    case GREETING_REFUSED_KEY:
        fake_reply_error(fake, &hello, FST_UNAUTHENTICATED, 0, "the key is unknown");
        break;
    case GREETING_REFUSED_VERSION:
        fake_reply_error(fake, &hello, FST_UNSUPPORTED, 0, "this server speaks version 9");
        break;
    case GREETING_OVERLOADED:
        hello.id = 0; /* Refused before it was read. */
        fake_reply_error(fake, &hello, FST_OVERLOADED, 0, "too many connections");
        break;
    case GREETING_OTHER_VERSION:
        payload[0] = 2;
        fake_reply(fake, &hello, 0, payload, 66);
        break;
    case GREETING_SHORT:
        fake_reply(fake, &hello, 0, payload, 65);
        break;
    case GREETING_NO_PARTITIONS:
        payload[2] = 0;
        fake_reply(fake, &hello, 0, payload, 64);
        break;
    case GREETING_HTTP:
        fake_send(fake, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
        break;
    case GREETING_SILENCE:
        fake_drain(fake);
        break;
    default:
        break;
    }
}

static void test_greetings_that_fail(void **state) {
    (void)state;
    for (enum greeting greeting = 0; greeting < GREETINGS; greeting++) {
        struct fake fake;
        struct fst_error error;
        struct fst_client *client = NULL;
        fake_open(&fake, greeting_script, &greeting);
        struct fst_options options = fake_options(&fake);
        options.key = "secret";
        options.connect_timeout_us = greeting == GREETING_SILENCE ? SHORT_US : 10000000;
        enum fst_status status = fst_client_open(&client, &options, &error);
        if (status != greeting_statuses[greeting]) print_message("%d: %s\n", greeting, error.text);
        assert_int_equal(status, greeting_statuses[greeting]);
        assert_non_null(strstr(error.text, "cannot connect to 127.0.0.1"));
        assert_null(client);
        fake_close(&fake);
    }
}

/* A port that is bound and not listened on refuses, and is nobody else's. */
static void test_nobody_listens(void **state) {
    (void)state;
    char server[FAKE_ADDRESS_BYTES];
    struct fst_error error;
    struct fst_client *client;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    int bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(bound, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(getsockname(bound, (struct sockaddr *)&address, &bytes), 0);
    snprintf(server, sizeof server, "127.0.0.1:%u", ntohs(address.sin_port));
    struct fst_options options;
    fst_options_init(&options);
    options.server = server;
    assert_int_equal(fst_client_open(&client, &options, &error), FST_CLOSED);
    assert_non_null(strstr(error.text, "refused"));
    options.server = "no-such-host.invalid";
    assert_int_equal(fst_client_open(&client, &options, &error), FST_CLOSED);
    assert_non_null(strstr(error.text, "no-such-host.invalid"));
    close(bound);
}

/* ---- a server that is rebuilding its tables ---- */

enum { RETRY_US_NEVER = 60000000 };

static void warm_up(struct fake *fake, uint32_t retry_us) {
    fake_accept(fake);
    struct fake_frame hello = fake_expect(fake, HELLO);
    fake_reply_error(fake, &hello, FST_WARMING, retry_us, "rebuilding (43 %)");
    fake_drain(fake);
}

/* It hangs up once in between: then its shards are about to start. */
static void warming_script(struct fake *fake) {
    warm_up(fake, 1);
    warm_up(fake, 1000);
    fake_accept(fake);
    (void)fake_expect(fake, HELLO);
    fake_accept(fake);
    fake_greet(fake);
    struct fake_frame ping = fake_expect(fake, PING);
    warm_up(fake, 1);
    fake_accept(fake);
    fake_greet(fake);
    ping = fake_expect(fake, PING);
    fake_reply(fake, &ping, 0, NULL, 0);
}

static void test_a_client_waits_for_a_server_that_warms_up(void **state) {
    (void)state;
    struct fake fake;
    struct fst_error error;
    struct fst_client *client;
    struct fst_reply reply;
    fake_open(&fake, warming_script, NULL);
    struct fst_options options = fake_options(&fake);
    assert_int_equal(fst_client_open(&client, &options, &error), FST_OK);
    assert_int_equal(fst_ping(client, &reply), FST_OK);
    fst_client_close(client);
    fake_close(&fake);
}

/* The server asks for more time than the caller has. */
static void cold_script(struct fake *fake) {
    const bool *is_open = fake->context;
    if (*is_open) {
        fake_accept(fake);
        fake_greet(fake);
        (void)fake_expect(fake, PING);
    }
    warm_up(fake, RETRY_US_NEVER);
}

static void test_warming_is_the_answer_when_time_is_over(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fake fake;
        struct fst_error error;
        struct fst_client *client;
        struct fst_reply reply;
        bool is_open = i == 1;
        fake_open(&fake, cold_script, &is_open);
        struct fst_options options = fake_options(&fake);
        if (!is_open) options.connect_timeout_us = SHORT_US;
        options.request_timeout_us = SHORT_US;
        enum fst_status status = fst_client_open(&client, &options, &error);
        assert_int_equal(status, is_open ? FST_OK : FST_WARMING);
        if (is_open) {
            assert_int_equal(fst_ping(client, &reply), FST_WARMING);
            assert_non_null(strstr(reply.text, "rebuilding (43 %)"));
            fst_client_close(client);
        } else {
            assert_non_null(strstr(error.text, "rebuilding (43 %)"));
        }
        fake_close(&fake);
    }
}

/* ---- time limits ---- */

struct answer {
    uint32_t count;
    enum fst_status status;
};

static void answer_done(void *context, const struct fst_reply *reply) {
    struct answer *answer = context;
    answer->count += 1;
    answer->status = reply->status;
}

/* Two requests; only the second is answered, so the connection is alive when the first gets late.
 * Its answer comes when nobody waits for it any more. */
static void late_script(struct fake *fake) {
    fake_accept(fake);
    fake_greet(fake);
    struct fake_frame late = fake_expect(fake, CONTROL);
    struct fake_frame ping = fake_expect(fake, PING);
    for (uint32_t i = 0; i < 2; i++) {
        fake_reply(fake, &ping, 0, NULL, 0);
        ping = fake_expect(fake, PING);
    }
    fake_reply(fake, &late, 0, "late", 4);
    fake_reply(fake, &ping, 0, NULL, 0);
    fake_drain(fake);
}

static void test_late_answers_meet_nobody(void **state) {
    (void)state;
    struct fake fake;
    struct fst_error error;
    struct fst_client *client;
    struct fst_reply reply;
    struct answer answer = {0};
    fake_open(&fake, late_script, NULL);
    struct fst_options options = fake_options(&fake);
    options.in_flight_max = 2; /* The third ping gets the place of the late request. */
    assert_int_equal(fst_client_open(&client, &options, &error), FST_OK);
    struct fst_call call = {.done = answer_done, .context = &answer, .timeout_us = SHORT_US};
    struct fst_control control = {.data = (const uint8_t *)"x", .bytes = 1};
    assert_int_equal(fst_submit_control(client, &control, &call, &error), FST_OK);
    assert_int_equal(fst_ping(client, &reply), FST_OK);
    int socket = fst_client_fd(client);
    while (answer.count == 0) (void)fst_poll(client, -1);
    assert_int_equal(answer.status, FST_OUTCOME_UNKNOWN);
    assert_int_equal(fst_ping(client, &reply), FST_OK);
    assert_int_equal(fst_ping(client, &reply), FST_OK);
    assert_int_equal(fst_client_fd(client), socket); /* Still the same connection. */
    assert_int_equal(answer.count, 1);
    fst_client_close(client);
    fake_close(&fake);
}

/* A server that says nothing at all is taken for dead: the next request gets a connection of its
 * own. */
static void silent_script(struct fake *fake) {
    fake_accept(fake);
    fake_greet(fake);
    fake_prepare(fake, &layout);
    fake_prepare(fake, &writing);
    fake_drain(fake);
    fake_accept(fake);
    fake_greet(fake);
    fake_prepare(fake, &layout);
    fake_prepare(fake, &writing);
    fake_drain(fake);
}

static void test_time_limits(void **state) {
    (void)state;
    struct fake fake;
    struct fst_error error;
    struct fst_client *client;
    struct fst_handle *handle, *writer;
    struct fst_reply reply;
    fake_open(&fake, silent_script, NULL);
    struct fst_options options = fake_options(&fake);
    options.request_timeout_us = SHORT_US;
    assert_int_equal(fst_client_open(&client, &options, &error), FST_OK);
    assert_int_equal(fst_prepare_service(client, "s", &handle, &error), FST_OK);
    const char *name = "x";
    assert_int_equal(fst_prepare_write(client, "a", &name, 1, &writer, &error), FST_OK);
    struct fst_keys *keys = fst_keys_create(handle);
    assert_int_equal(fst_keys_put(keys, fst_int64(1)), FST_OK);
    assert_int_equal(fst_get(keys, NULL, &reply), FST_TIMEOUT);
    assert_non_null(strstr(reply.text, "no reply"));
    assert_int_equal(fst_client_fd(client), -1);
    struct fst_batch *batch = fst_batch_create(writer);
    assert_int_equal(fst_batch_append(batch, 1), FST_OK);
    assert_int_equal(fst_batch_put(batch, 0, fst_int64(1)), FST_OK);
    assert_int_equal(fst_write(batch, FST_ACK_DURABLE, &reply), FST_OUTCOME_UNKNOWN);
    fst_batch_destroy(batch);
    fst_keys_destroy(keys);
    fst_client_close(client);
    fake_close(&fake);
}

/* ---- callbacks, limits and the end ---- */

enum { CHAIN = 5 };

static void pings_script(struct fake *fake) {
    struct fake_frame ping;
    fake_accept(fake);
    fake_greet(fake);
    while (fake_receive(fake, &ping)) fake_reply(fake, &ping, 0, "pong", 4);
}

struct chain {
    struct fst_client *client;
    uint32_t count;
};

static void chain_done(void *context, const struct fst_reply *reply) {
    struct chain *chain = context;
    struct fst_reply waited;
    struct fst_error error;
    struct fst_control control = {.data = (const uint8_t *)"x", .bytes = 1};
    struct fst_call call = {.done = chain_done, .context = chain};
    assert_int_equal(reply->status, FST_OK);
    assert_int_equal(fst_ping(chain->client, &waited), FST_BUSY);
    assert_int_equal(fst_poll(chain->client, -1), 0);
    chain->count += 1;
    if (chain->count == CHAIN) return;
    assert_int_equal(fst_submit_control(chain->client, &control, &call, &error), FST_OK);
}

static void test_callbacks_may_submit_but_not_wait(void **state) {
    (void)state;
    struct fake fake;
    struct fst_error error;
    struct chain chain = {0};
    fake_open(&fake, pings_script, NULL);
    struct fst_options options = fake_options(&fake);
    options.in_flight_max = 1; /* The place of the request being answered is free already. */
    assert_int_equal(fst_client_open(&chain.client, &options, &error), FST_OK);
    struct fst_control control = {.data = (const uint8_t *)"x", .bytes = 1};
    struct fst_call call = {.done = chain_done, .context = &chain};
    assert_int_equal(fst_submit_control(chain.client, &control, &call, &error), FST_OK);
    assert_int_equal(fst_submit_control(chain.client, &control, &call, &error), FST_BUSY);
    while (fst_in_flight(chain.client) > 0) (void)fst_poll(chain.client, -1);
    assert_int_equal(chain.count, CHAIN);
    assert_int_equal(fst_poll(chain.client, -1), 0);
    fst_client_close(chain.client);
    fake_close(&fake);
}

static void taken_script(struct fake *fake) {
    fake_accept(fake);
    fake_greet(fake);
    fake_expect(fake, CONTROL);
    struct fake_frame ping = fake_expect(fake, PING);
    fake_reply(fake, &ping, 0, NULL, 0);
    fake_drain(fake);
}

static void test_closing_answers_everything(void **state) {
    (void)state;
    struct fake fake;
    struct fst_error error;
    struct fst_client *client;
    struct fst_reply reply;
    struct answer answers[2] = {0};
    fake_open(&fake, taken_script, NULL);
    struct fst_options options = fake_options(&fake);
    assert_int_equal(fst_client_open(&client, &options, &error), FST_OK);
    struct fst_control control = {.data = (const uint8_t *)"x", .bytes = 1};
    struct fst_call call = {.done = answer_done, .context = &answers[0]};
    assert_int_equal(fst_submit_control(client, &control, &call, &error), FST_OK);
    assert_int_equal(fst_ping(client, &reply), FST_OK);
    call.context = &answers[1];
    assert_int_equal(fst_submit_control(client, &control, &call, &error), FST_OK);
    assert_true(fst_client_wants_write(client));
    assert_true(fst_client_due_us(client) > 0);
    fst_client_close(client);
    assert_int_equal(answers[0].count, 1);
    assert_int_equal(answers[0].status, FST_OUTCOME_UNKNOWN);
    assert_int_equal(answers[1].count, 1);
    assert_int_equal(answers[1].status, FST_CLOSED);
    fake_close(&fake);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_options_out_of_range),
        cmocka_unit_test(test_greetings_that_fail),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_a_client_waits_for_a_server_that_warms_up),
        cmocka_unit_test(test_warming_is_the_answer_when_time_is_over),
        cmocka_unit_test(test_late_answers_meet_nobody),
        cmocka_unit_test(test_time_limits),
        cmocka_unit_test(test_callbacks_may_submit_but_not_wait),
        cmocka_unit_test(test_closing_answers_everything),
    };
    return cmocka_run_group_tests_name("client/connect", tests, NULL, NULL);
}
