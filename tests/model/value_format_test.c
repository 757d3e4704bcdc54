/* Encoded values get the expected text, cut where there is no room; the text of a random value
 * of any type is read back to the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/value_format.h"
#include "model/value_parse.h"

enum { RANDOM_VALUES = 60000, VALUE_ROOM = 4096, TEXT_ROOM = 32768 };

static const struct format_case {
    const char *type, *text; /* the text is read, then written */
    const char *formatted;   /* NULL: as `text` */
} format_cases[] = {
    {"bool", "1", "true"},
    {"int32", "-2147483648", NULL},
    {"int64", "-9223372036854775808", NULL},
    {"float64", "0.1", NULL},
    {"float64", "0.30000000000000004", NULL},
    {"float64", "100", NULL},
    {"float64", "1e300", "1e+300"},
    {"float64", "5e-324", "4.94065645841247e-324"},
    {"float64", "-0.0", "0"},
    {"float64", "nan", NULL},
    {"float64", "-inf", NULL},
    {"float32", "0.1", NULL},
    {"float32", "16777216", NULL},
    {"float32", "3.4028235e38", "3.4028235e+38"},
    {"float32", "inf", NULL},
    {"decimal(0)", "12", NULL},
    {"decimal(2)", "12", "12.00"},
    {"decimal(2)", "-0.05", NULL},
    {"decimal(18)", "-9.223372036854775808", NULL},
    {"decimal(18)", "0.000000000000000001", NULL},
    {"timestamp", "1522575000250000", "2018-04-01T09:30:00.250000Z"},
    {"timestamp", "9223372036854775807", NULL},
    {"string", "a \"b\"\n", NULL},
    {"bytes", "0x00FFa9", "0x00ffa9"},
    {"uuid", "123E4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"},
    {"vector(float32, 3)", "[1,\"nan\",-2.5]", "[1, \"nan\", -2.5]"},
    {"list(int64)", "[ ]", "[]"},
    {"list(float64)", "[0.5,\"-inf\"]", "[0.5, \"-inf\"]"},
    {"list(decimal(1))", "[1.5,2]", "[1.5, 2.0]"},
    {"list(timestamp)", "[0]", "[\"1970-01-01T00:00:00.000000Z\"]"},
    {"list(bytes)", "[\"0xAB\"]", "[\"0xab\"]"},
    {"list(string)", "[\"\\\"\\\\\\n\\u20ac\"]", "[\"\\\"\\\\\\u000a\xe2\x82\xac\"]"},
};

static struct type type_of(const char *text) {
    struct type type;
    assert_int_equal(type_parse(text, &type, NULL), FST_OK);
    return type;
}

static struct bytes parse(struct type type, const char *text, uint8_t *value, size_t room) {
    struct writer out = writer_of(value, room);
    const char *expected;
    assert_int_equal(value_parse(type, text, strlen(text), &out, &expected), FST_OK);
    return (struct bytes){.data = value, .bytes = writer_used(&out)};
}

static void test_texts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof format_cases / sizeof format_cases[0]; i++) {
        const struct format_case *c = &format_cases[i];
        print_message("  %s '%s'\n", c->type, c->text);
        struct type type = type_of(c->type);
        uint8_t room[128];
        struct bytes value = parse(type, c->text, room, sizeof room);
        const char *want = c->formatted ? c->formatted : c->text;
        size_t length = strlen(want);
        for (size_t bytes = 0; bytes <= length + 1; bytes++) {
            char *text = malloc(bytes + (bytes == 0));
            assert_non_null(text);
            assert_int_equal(value_format(type, value, text, bytes), length);
            assert_memory_equal(text, want, bytes < length ? bytes : length);
            free(text);
        }
    }
}

static uint64_t random_next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static struct type random_type(uint64_t *seed) {
    struct type type = {.kind = (uint8_t)(1 + random_next(seed) % 12)};
    uint8_t element = (uint8_t)(1 + random_next(seed) % 10);
    uint8_t scale = (uint8_t)(random_next(seed) % 19);
    if (type.kind == TYPE_DECIMAL) type.scale = scale;
    if (type.kind == TYPE_VECTOR) type.elements = 1 + (uint32_t)(random_next(seed) % 9);
    if (type.kind == TYPE_LIST) type.element_kind = element;
    if (type.element_kind == TYPE_DECIMAL) type.element_scale = scale;
    return type;
}

static void random_string(uint64_t *seed, bool is_text, struct writer *out) {
    static const char *const characters[] = {
        "a", "\"", "\\", "\n", "\x01", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", ",", "]"};
    uint32_t count = (uint32_t)(random_next(seed) % 12);
    for (uint32_t i = 0; i < count; i++) {
        const char *character = characters[random_next(seed) % 10];
        if (is_text)
            write_bytes(out, character, strlen(character));
        else
            write_u8(out, (uint8_t)random_next(seed));
    }
}

/* An element with its length if it has one; the length is left out for a value of its own. */
static void random_scalar(uint64_t *seed, struct type type, bool has_length, struct writer *out) {
    uint32_t bytes = type_fixed_bytes(type);
    if (bytes > 0) {
        for (uint32_t i = 0; i < bytes; i++) write_u8(out, (uint8_t)random_next(seed));
        if (type.kind == TYPE_BOOL) out->at[-1] &= 1;
        return;
    }
    uint8_t *length = has_length ? write_room(out, 4) : NULL;
    const uint8_t *begin = out->at;
    random_string(seed, type.kind == TYPE_STRING, out);
    if (length) store_u32(length, (uint32_t)(out->at - begin));
}

static struct bytes random_value(uint64_t *seed, struct type type, uint8_t *room) {
    struct writer out = writer_of(room, VALUE_ROOM);
    if (type.kind == TYPE_LIST) {
        uint32_t count = (uint32_t)(random_next(seed) % 6);
        write_u32(&out, count);
        for (uint32_t i = 0; i < count; i++) random_scalar(seed, type_element(type), true, &out);
    } else {
        random_scalar(seed, type, false, &out);
    }
    assert_false(out.failed);
    value_normalize(type, room, writer_used(&out));
    return (struct bytes){.data = room, .bytes = writer_used(&out)};
}

static void test_random_values_are_read_back(void **state) {
    (void)state;
    const char *seed_text = getenv("FST_SEED");
    uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) | 1 : 20261120;
    print_message("  FST_SEED=%" PRIu64 "\n", seed);
    uint8_t room[VALUE_ROOM];
    uint8_t back[VALUE_ROOM];
    static char text[TEXT_ROOM];
    for (uint32_t i = 0; i < RANDOM_VALUES; i++) {
        struct type type = random_type(&seed);
        assert_true(type_is_valid(type));
        struct bytes value = random_value(&seed, type, room);
        assert_int_equal(value_check(type, value), FST_OK);
        size_t length = value_format(type, value, text, sizeof text);
        assert_true(length <= sizeof text);
        struct writer out = writer_of(back, sizeof back);
        const char *expected;
        assert_int_equal(value_parse(type, text, length, &out, &expected), FST_OK);
        assert_int_equal(writer_used(&out), value.bytes);
        assert_memory_equal(back, room, value.bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_random_values_are_read_back),
    };
    return cmocka_run_group_tests_name("model/value_format", tests, NULL, NULL);
}
