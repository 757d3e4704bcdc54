/* Shows that the Redis dialect asks in correct RESP and judges replies however they are split:
 * replies are made here by hand, cut at every byte, spoiled at every byte, and replaced by other
 * types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/fsbench/dialect_redis.h"
#include "bench/fsbench/item.h"

enum { FEATURES = 3, DEPTH = 4, ROW_VERSION = 1, BYTES_MAX = 4096 };

static struct key_stream keys;
static const struct request one_key = {.seed = 42, .keys_count = 1, .is_sequential = true};
static const struct request two_keys = {.seed = 42, .keys_count = 2, .is_sequential = true};
static const struct request one_row = {
    .seed = 42, .keys_count = 1, .is_sequential = true, .is_write = true};

static struct dialect *dialect_new(enum redis_command command, uint32_t keys_per_read) {
    struct dialect_redis_options options = {.command = command,
                                            .connections_count = 2,
                                            .depth = DEPTH,
                                            .features_count = FEATURES,
                                            .keys_per_read = keys_per_read};
    struct dialect *dialect;
    key_stream_init(&keys, 1000, 0);
    assert_int_equal(dialect_redis_create(&options, &keys, &dialect, NULL), FST_OK);
    return dialect;
}

/* Text in which each @ stands for the next of the eight-byte values of the row of `key`. */
static size_t text_make(uint8_t *out, const char *text, uint64_t key) {
    uint8_t *at = out;
    uint32_t column = 0;
    for (; *text; text++) {
        if (*text == '@') {
            uint64_t value = item_value(item_seed(key, ROW_VERSION), column++ % FEATURES);
            memcpy(at, &value, sizeof value);
            at += sizeof value;
            if (column % FEATURES == 0) key++;
        } else {
            *at++ = (uint8_t)*text;
        }
    }
    return (size_t)(at - out);
}

static const struct request_case {
    const char *name;
    enum redis_command command;
    const struct request *request;
    const char *text;
} request_cases[] = {
    {"hmget", REDIS_HMGET, &one_key,
     "*5\r\n$5\r\nHMGET\r\n$17\r\nitem:000000000042\r\n$2\r\nf0\r\n$2\r\nf1\r\n$2\r\nf2\r\n"},
    {"hset", REDIS_HMGET, &one_row,
     "*8\r\n$4\r\nHSET\r\n$17\r\nitem:000000000042\r\n$2\r\nf0\r\n$8\r\n@\r\n$2\r\nf1\r\n$8\r\n@"
     "\r\n"
     "$2\r\nf2\r\n$8\r\n@\r\n"},
    {"get", REDIS_GET, &one_key, "*2\r\n$3\r\nGET\r\n$17\r\nitem:000000000042\r\n"},
    {"mget", REDIS_MGET, &two_keys,
     "*3\r\n$4\r\nMGET\r\n$17\r\nitem:000000000042\r\n$17\r\nitem:000000000043\r\n"},
    {"set", REDIS_SET, &one_row, "*3\r\n$3\r\nSET\r\n$17\r\nitem:000000000042\r\n$24\r\n@@@\r\n"},
};

static void test_requests_are_resp(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof request_cases / sizeof request_cases[0]; i++) {
        const struct request_case *c = &request_cases[i];
        print_message("  %s\n", c->name);
        struct dialect *dialect = dialect_new(c->command, c->command == REDIS_MGET ? 2 : 1);
        uint8_t wanted[BYTES_MAX];
        uint8_t *found = malloc(dialect->request_bytes_max);
        assert_non_null(found);
        size_t wanted_bytes = text_make(wanted, c->text, 42);
        assert_int_equal(dialect->ops->encode(dialect, 0, 0, c->request, found), wanted_bytes);
        assert_memory_equal(found, wanted, wanted_bytes);
        free(found);
        dialect->ops->close(dialect);
    }
}

static const struct reply_case {
    const char *name;
    enum redis_command command;
    const struct request *request;
    const char *text;
    enum reply_answer answer;
    bool is_right;
} reply_cases[] = {
    {"hmget", REDIS_HMGET, &one_key, "*3\r\n$8\r\n@\r\n$8\r\n@\r\n$8\r\n@\r\n", REPLY_OK, true},
    {"get", REDIS_GET, &one_key, "$24\r\n@@@\r\n", REPLY_OK, true},
    {"mget", REDIS_MGET, &two_keys, "*2\r\n$24\r\n@@@\r\n$24\r\n@@@\r\n", REPLY_OK, true},
    {"set", REDIS_SET, &one_row, "+OK\r\n", REPLY_OK, true},
    {"hset", REDIS_HMGET, &one_row, ":3\r\n", REPLY_OK, true},
    {"hmget of no hash", REDIS_HMGET, &one_key, "*3\r\n$-1\r\n$-1\r\n$-1\r\n", REPLY_OK, false},
    {"hmget without a field", REDIS_HMGET, &one_key, "*3\r\n$8\r\n@\r\n$-1\r\n$8\r\n@\r\n",
     REPLY_OK, false},
    {"get of no key", REDIS_GET, &one_key, "$-1\r\n", REPLY_OK, false},
    {"get of other size", REDIS_GET, &one_key, "$16\r\n@@\r\n", REPLY_OK, false},
    {"get answered by an array", REDIS_GET, &one_key, "*1\r\n$24\r\n@@@\r\n", REPLY_OK, false},
    {"mget with one key", REDIS_MGET, &two_keys, "*1\r\n$24\r\n@@@\r\n", REPLY_OK, false},
    {"empty array", REDIS_MGET, &two_keys, "*0\r\n", REPLY_OK, false},
    {"null array", REDIS_MGET, &two_keys, "*-1\r\n", REPLY_OK, false},
    {"a read answered by OK", REDIS_GET, &one_key, "+OK\r\n", REPLY_OK, false},
    {"a write answered by a value", REDIS_SET, &one_row, "$24\r\n@@@\r\n", REPLY_OK, false},
    {"error", REDIS_GET, &one_key, "-WRONGTYPE Operation against a key\r\n", REPLY_REFUSED, false},
};

/* A copy of exactly `bytes` bytes, so that a sanitizer sees a read beyond them. */
static uint8_t *exact_copy(const uint8_t *data, size_t bytes) {
    uint8_t *copy = malloc(bytes ? bytes : 1);
    assert_non_null(copy);
    memcpy(copy, data, bytes);
    return copy;
}

static void test_replies_are_judged_whole_and_in_order(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof reply_cases / sizeof reply_cases[0]; i++) {
        const struct reply_case *c = &reply_cases[i];
        print_message("  %s\n", c->name);
        struct dialect *dialect = dialect_new(c->command, c->command == REDIS_MGET ? 2 : 1);
        uint8_t text[BYTES_MAX];
        size_t bytes = text_make(text, c->text, 42);
        struct reply reply;
        for (size_t part = 0; part < bytes; part++) {
            uint8_t *copy = exact_copy(text, part);
            assert_int_equal(dialect->ops->decode(dialect, 1, copy, part, &reply), 0);
            free(copy);
        }
        for (uint32_t number = 0; number < 2 * DEPTH + 1; number++) {
            assert_int_equal(dialect->ops->decode(dialect, 1, text, bytes, &reply), bytes);
            assert_int_equal(reply.slot, number % DEPTH);
            assert_int_equal(reply.answer, c->answer);
        }
        if (c->answer == REPLY_OK) {
            assert_int_equal(dialect->ops->verify(dialect, c->request, &reply, true), c->is_right);
        } else {
            assert_int_equal(reply.text.bytes, bytes - 3);
            assert_memory_equal(reply.text.data, "WRONGTYPE", 9);
        }
        dialect->ops->close(dialect);
    }
}

/* With keys 0 to 42 there, whoever asks for 42 and 43 must find one, and nil for the other. */
static const struct missing_case {
    const char *name;
    enum redis_command command;
    uint64_t key;
    const char *text;
    bool is_right;
} missing_cases[] = {
    {"mget", REDIS_MGET, 42, "*2\r\n$24\r\n@@@\r\n$-1\r\n", true},
    {"mget finds both", REDIS_MGET, 42, "*2\r\n$24\r\n@@@\r\n$24\r\n@@@\r\n", false},
    {"mget finds none", REDIS_MGET, 42, "*2\r\n$-1\r\n$-1\r\n", false},
    {"mget finds the other", REDIS_MGET, 42, "*2\r\n$-1\r\n$24\r\n@@@\r\n", false},
    {"mget finds an empty text", REDIS_MGET, 42, "*2\r\n$24\r\n@@@\r\n$0\r\n\r\n", false},
    {"get", REDIS_GET, 43, "$-1\r\n", true},
    {"get answers otherwise", REDIS_GET, 43, "$-2\r\n", false},
    {"get finds it", REDIS_GET, 43, "$24\r\n@@@\r\n", false},
    {"hmget", REDIS_HMGET, 43, "*3\r\n$-1\r\n$-1\r\n$-1\r\n", true},
    {"hmget finds a field", REDIS_HMGET, 43, "*3\r\n$8\r\n@\r\n$-1\r\n$-1\r\n", false},
    {"hmget of a key that is there", REDIS_HMGET, 42, "*3\r\n$8\r\n@\r\n$8\r\n@\r\n$8\r\n@\r\n",
     true},
};

static void test_missing_keys_are_nil(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof missing_cases / sizeof missing_cases[0]; i++) {
        const struct missing_case *c = &missing_cases[i];
        print_message("  %s\n", c->name);
        uint32_t keys_count = c->command == REDIS_MGET ? 2 : 1;
        struct dialect *dialect = dialect_new(c->command, keys_count);
        key_stream_init(&keys, 43, 0);
        keys.miss_share = 0.5;
        struct request request = {.seed = c->key, .keys_count = keys_count, .is_sequential = true};
        uint8_t text[BYTES_MAX];
        size_t bytes = text_make(text, c->text, c->key);
        uint8_t *copy = exact_copy(text, bytes);
        struct reply reply;
        assert_int_equal(dialect->ops->decode(dialect, 0, copy, bytes, &reply), bytes);
        assert_int_equal(dialect->ops->verify(dialect, &request, &reply, true), c->is_right);
        assert_int_equal(dialect->ops->verify(dialect, &request, &reply, false), c->is_right);
        free(copy);
        dialect->ops->close(dialect);
    }
}

/* Whatever byte is spoiled: no reply, not whole any more, refused, or wrong; never taken for right.
 * */
static void test_every_spoiled_byte_is_noticed(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const struct reply_case *c = &reply_cases[i];
        struct dialect *dialect = dialect_new(c->command, c->command == REDIS_MGET ? 2 : 1);
        uint8_t text[BYTES_MAX];
        size_t bytes = text_make(text, c->text, 42);
        for (size_t at = 0; at < bytes; at++) {
            for (int flip = 1; flip < 256; flip++) {
                uint8_t *copy = exact_copy(text, bytes);
                copy[at] ^= (uint8_t)flip;
                struct reply reply;
                int64_t used = dialect->ops->decode(dialect, 0, copy, bytes, &reply);
                assert_true(used <= (int64_t)bytes);
                if (used > 0 && reply.answer == REPLY_OK)
                    assert_false(dialect->ops->verify(dialect, c->request, &reply, true));
                free(copy);
            }
        }
        dialect->ops->close(dialect);
    }
}

static void test_what_is_no_reply(void **state) {
    (void)state;
    static const char *const texts[] = {"HTTP/1.1 400\r\n", "\n", "*1\r\nx\r\n",
                                        "*2\r\n:1\r\n:2\r\n", "\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct dialect *dialect = dialect_new(REDIS_GET, 1);
        struct reply reply;
        assert_int_equal(
            dialect->ops->decode(dialect, 0, (const uint8_t *)texts[i], strlen(texts[i]), &reply),
            -1);
        dialect->ops->close(dialect);
    }
    /* A line without an end is not waited for without limit. */
    struct dialect *dialect = dialect_new(REDIS_GET, 1);
    static uint8_t line[1 << 16];
    memset(line, '+', sizeof line);
    struct reply reply;
    assert_int_equal(dialect->ops->decode(dialect, 0, line, sizeof line, &reply), -1);
    dialect->ops->close(dialect);
}

static void test_several_keys_need_mget(void **state) {
    (void)state;
    struct dialect_redis_options options = {.command = REDIS_GET,
                                            .connections_count = 1,
                                            .depth = 1,
                                            .features_count = 1,
                                            .keys_per_read = 2};
    struct dialect *dialect;
    struct fst_error error;
    assert_int_equal(dialect_redis_create(&options, &keys, &dialect, &error), FST_INVALID);
    assert_non_null(strstr(error.text, "mget"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_resp),
        cmocka_unit_test(test_replies_are_judged_whole_and_in_order),
        cmocka_unit_test(test_missing_keys_are_nil),
        cmocka_unit_test(test_every_spoiled_byte_is_noticed),
        cmocka_unit_test(test_what_is_no_reply),
        cmocka_unit_test(test_several_keys_need_mget),
    };
    return cmocka_run_group_tests_name("bench/dialect_redis", tests, NULL, NULL);
}
