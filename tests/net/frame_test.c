/* Shows that headers are read and written byte for byte as docs/protocol.md has them, that every
 * field out of range is named, and that an answer never depends on how many bytes beyond it are
 * there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "net/frame.h"
#include "tests/base/random.h"

static const struct frame_rules requests = {.frame_bytes_max = 1000, .bulk_bytes_max = 2000};
static const struct frame_rules replies = {
    .frame_bytes_max = 1000, .bulk_bytes_max = 2000, .is_reply = true};

static void test_header_layout(void **state) {
    (void)state;
    static const uint8_t request[] = {0x10, 0x02, 0x00, 0x00, 4, 0, 0, 0,
                                      0x78, 0x56, 0x34, 0x12, 9, 0, 0, 0};
    static const uint8_t reply[] = {0x14, 0x00, 0x00, 0x00, 3, 1, 0, 0,
                                    0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0};
    uint8_t out[FRAME_HEADER_BYTES];
    frame_encode_request(out, 0x210, FRAME_WRITE, 0x12345678, 9);
    assert_memory_equal(out, request, sizeof request);
    frame_encode_reply(out, 0x14, FRAME_GET, UINT32_MAX, FST_NOT_FOUND);
    assert_memory_equal(out, reply, sizeof reply);
}

static void test_opcodes(void **state) {
    (void)state;
    static const struct opcode_case {
        uint8_t opcode;
        const char *name;
        uint8_t roles;
        bool is_bulk;
    } cases[] = {
        {1, "HELLO", 0, false},
        {2, "PREPARE", FRAME_ROLE_READ | FRAME_ROLE_WRITE, false},
        {3, "GET", FRAME_ROLE_READ, false},
        {4, "WRITE", FRAME_ROLE_WRITE, true},
        {5, "CONTROL", 0, true},
        {6, "PING", 0, false},
    };
    for (int opcode = 0; opcode < 256; opcode++) {
        bool is_known = opcode >= 1 && opcode <= 6;
        assert_int_equal(frame_opcode_is_known((uint8_t)opcode), is_known);
        if (!is_known) {
            assert_string_equal(frame_opcode_name((uint8_t)opcode), "?");
            assert_int_equal(frame_opcode_roles((uint8_t)opcode), 0);
            assert_false(frame_opcode_is_bulk((uint8_t)opcode));
            continue;
        }
        const struct opcode_case *c = &cases[opcode - 1];
        assert_string_equal(frame_opcode_name(c->opcode), c->name);
        assert_int_equal(frame_opcode_roles(c->opcode), c->roles);
        assert_int_equal(frame_opcode_is_bulk(c->opcode), c->is_bulk);
    }
}

static const struct decode_case {
    const char *name;
    const char *field;
    uint32_t length;
    uint8_t opcode;
    uint8_t flags;
    uint16_t reserved;
    uint32_t status;
    bool is_reply;
    enum fst_status answer;
} decode_cases[] = {
    {"smallest", NULL, 16, FRAME_PING, 0, 0, 0, false, FST_OK},
    {"too short", "length", 15, FRAME_PING, 0, 0, 0, false, FST_BAD_FRAME},
    {"empty", "length", 0, FRAME_PING, 0, 0, 0, false, FST_BAD_FRAME},
    {"at the limit", NULL, 1000, FRAME_GET, 0, 0, 0, false, FST_OK},
    {"past the limit", "length", 1001, FRAME_GET, 0, 0, 0, false, FST_TOO_LARGE},
    {"bulk at its limit", NULL, 2000, FRAME_CONTROL, 0, 0, 0, false, FST_OK},
    {"bulk past its limit", "length", 2001, FRAME_CONTROL, 0, 0, 0, false, FST_TOO_LARGE},
    {"opcode 0", "opcode", 16, 0, 0, 0, 0, false, FST_BAD_FRAME},
    {"opcode 7", "opcode", 16, 7, 0, 0, 0, false, FST_BAD_FRAME},
    {"a reply where requests are expected", "flags", 16, FRAME_PING, 1, 0, 0, false, FST_BAD_FRAME},
    {"an unknown flag", "flags", 16, FRAME_PING, 2, 0, 0, false, FST_BAD_FRAME},
    {"reserved, low byte", "reserved", 16, FRAME_PING, 0, 1, 0, false, FST_BAD_FRAME},
    {"reserved, high byte", "reserved", 16, FRAME_PING, 0, 256, 0, false, FST_BAD_FRAME},
    {"a reply", NULL, 16, FRAME_PING, 1, 0, 0, true, FST_OK},
    {"a request where replies are expected", "flags", 16, FRAME_PING, 0, 0, 0, true, FST_BAD_FRAME},
    {"an unknown flag of a reply", "flags", 16, FRAME_PING, 3, 0, 0, true, FST_BAD_FRAME},
    {"an error about an unknown opcode", NULL, 22, 99, 1, 0, FST_BAD_FRAME, true, FST_OK},
    {"success of an unknown opcode", "opcode", 22, 99, 1, 0, FST_OK, true, FST_BAD_FRAME},
};

static void test_decode(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof decode_cases / sizeof decode_cases[0]; i++) {
        const struct decode_case *c = &decode_cases[i];
        print_message("  %s\n", c->name);
        uint8_t data[2100] = {0};
        store_u32(data, c->length);
        data[4] = c->opcode;
        data[5] = c->flags;
        store_u16(data + 6, c->reserved);
        store_u32(data + 8, 4711);
        store_u32(data + 12, c->status);
        for (size_t bytes = 0; bytes < sizeof data; bytes++) {
            const char *field = NULL;
            struct frame frame;
            enum fst_status answer =
                frame_decode(data, bytes, c->is_reply ? &replies : &requests, &frame, &field);
            size_t needed = c->length < FRAME_HEADER_BYTES ? 4 : FRAME_HEADER_BYTES;
            bool is_judged = bytes >= needed;
            assert_int_equal(answer, is_judged ? c->answer : FST_OK);
            if (is_judged && c->answer != FST_OK) {
                assert_string_equal(field, c->field);
                assert_int_equal(frame.request_id, needed == 4 ? 0 : 4711);
            } else if (!is_judged) {
                assert_int_equal(frame.bytes, FRAME_HEADER_BYTES);
                assert_null(frame.payload);
            } else {
                assert_int_equal(frame.bytes, c->length);
                assert_int_equal(frame.opcode, c->opcode);
                assert_int_equal(frame.request_id, 4711);
                assert_int_equal(frame.handle, c->status);
                assert_ptr_equal(frame.payload, bytes >= c->length ? data + 16 : NULL);
                if (frame.payload) assert_int_equal(frame.payload_bytes, c->length - 16);
            }
        }
    }
}

static void error_check(const char *text, size_t room_bytes, size_t text_bytes) {
    uint8_t out[FRAME_ERROR_BYTES_MAX + 1];
    memset(out, 0xee, sizeof out);
    struct frame_error fault = {.status = FST_OVERLOADED, .retry_us = 1234567, .text = text};
    size_t bytes = frame_encode_error(out, room_bytes, FRAME_GET, 5, &fault);
    assert_int_equal(bytes, FRAME_HEADER_BYTES + 6 + text_bytes);
    assert_int_equal(out[bytes], 0xee);
    struct frame frame;
    const char *field = NULL;
    uint32_t retry_us = 0;
    struct bytes back;
    assert_int_equal(frame_decode(out, bytes, &replies, &frame, &field), FST_OK);
    assert_int_equal(frame.handle, FST_OVERLOADED);
    assert_int_equal(frame.request_id, 5);
    assert_int_equal(frame_decode_error(&frame, &retry_us, &back), FST_OK);
    assert_int_equal(retry_us, 1234567);
    assert_int_equal(back.bytes, text_bytes);
    assert_memory_equal(back.data, text, text_bytes);
    for (uint32_t cut = 0; cut < frame.payload_bytes;
         cut++) { /* Nothing shorter is an error payload. */
        struct frame shorter = frame;
        shorter.payload_bytes = cut;
        assert_int_equal(frame_decode_error(&shorter, &retry_us, &back), FST_BAD_FRAME);
    }
    struct frame longer = frame;
    longer.payload_bytes += 1;
    assert_int_equal(frame_decode_error(&longer, &retry_us, &back), FST_BAD_FRAME);
}

/* Texts are cut to the room and to the limit, but never inside a character. */
static void test_error_payload(void **state) {
    (void)state;
    char text[2 * FRAME_ERROR_TEXT_BYTES_MAX];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 0;
    error_check("", FRAME_ERROR_BYTES_MAX, 0);
    error_check("expected a, found b", FRAME_ERROR_BYTES_MAX, 19);
    error_check("expected a, found b", FRAME_HEADER_BYTES + 6 + 4, 4);
    error_check(text, FRAME_ERROR_BYTES_MAX, FRAME_ERROR_TEXT_BYTES_MAX);
    text[FRAME_ERROR_TEXT_BYTES_MAX] = 0;
    error_check(text, FRAME_ERROR_BYTES_MAX, FRAME_ERROR_TEXT_BYTES_MAX);
    error_check("caf\xc3\xa9", FRAME_HEADER_BYTES + 6 + 5, 5);
    error_check("caf\xc3\xa9", FRAME_HEADER_BYTES + 6 + 4, 3);
    error_check("\xf0\x9f\x90\x9f", FRAME_HEADER_BYTES + 6 + 3, 0);
}

/* Random bytes: whatever decodes encodes to the same header. */
static void test_random_headers(void **state) {
    (void)state;
    struct random random = random_of_environment();
    int decoded = 0;
    for (int i = 0; i < 200000; i++) {
        uint8_t data[FRAME_HEADER_BYTES];
        store_u32(data, (uint32_t)random_below(&random, 2200));
        data[4] = (uint8_t)random_below(&random, 9);
        data[5] = (uint8_t)random_below(&random, 3);
        store_u16(data + 6, (uint16_t)(random_below(&random, 4) == 0));
        store_u32(data + 8, (uint32_t)random_get(&random));
        store_u32(data + 12, (uint32_t)random_below(&random, 40));
        bool is_reply = random_below(&random, 2) == 0;
        const char *field = NULL;
        struct frame frame;
        if (frame_decode(data, sizeof data, is_reply ? &replies : &requests, &frame, &field)) {
            assert_non_null(field);
            continue;
        }
        uint8_t again[FRAME_HEADER_BYTES];
        if (is_reply) {
            frame_encode_reply(again, frame.bytes, frame.opcode, frame.request_id,
                               (enum fst_status)frame.handle);
        } else {
            frame_encode_request(again, frame.bytes, (enum frame_opcode)frame.opcode,
                                 frame.request_id, frame.handle);
        }
        assert_memory_equal(again, data, sizeof data);
        decoded += 1;
    }
    assert_true(decoded > 10000);
}

/* An error may quote what is no UTF-8; the payload is UTF-8 whatever it quotes. */
static void test_error_payload_is_text(void **state) {
    (void)state;
    static const struct {
        const char *text, *sent;
    } cases[] = {
        {"no view 'caf\xc3\xa9'", "no view 'caf\xc3\xa9'"},
        {"no view '\xff\xfe'", "no view '\\xff\\xfe'"},
        {"cut here: \xc3", "cut here: \\xc3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t out[FRAME_ERROR_BYTES_MAX];
        struct frame_error fault = {.status = FST_UNKNOWN, .text = cases[i].text};
        size_t bytes = frame_encode_error(out, sizeof out, FRAME_PREPARE, 1, &fault);
        assert_int_equal(bytes, FRAME_HEADER_BYTES + 6 + strlen(cases[i].sent));
        assert_memory_equal(out + FRAME_HEADER_BYTES + 6, cases[i].sent, strlen(cases[i].sent));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_layout),
        cmocka_unit_test(test_opcodes),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_error_payload),
        cmocka_unit_test(test_error_payload_is_text),
        cmocka_unit_test(test_random_headers),
    };
    return cmocka_run_group_tests_name("net/frame", tests, NULL, NULL);
}
