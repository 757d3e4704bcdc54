/* Encoded values of every kind are judged at their limits and one past them, lists also at every
 * cut; floats get their one normal form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "model/value.h"

#define BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

static const struct value_case {
    const char *name;
    const char *type;
    const uint8_t *data;
    size_t bytes;
    enum fst_status status;
} value_cases[] = {
    {"bool false", "bool", BYTES(0), FST_OK},
    {"bool true", "bool", BYTES(1), FST_OK},
    {"bool 2", "bool", BYTES(2), FST_INVALID},
    {"bool of two bytes", "bool", BYTES(0, 0), FST_INVALID},
    {"bool of no bytes", "bool", NULL, 0, FST_INVALID},
    {"int32", "int32", BYTES(1, 2, 3, 255), FST_OK},
    {"int32 of 3 bytes", "int32", BYTES(1, 2, 3), FST_INVALID},
    {"int64 of 4 bytes", "int64", BYTES(1, 2, 3, 4), FST_INVALID},
    {"float64 signalling nan", "float64", BYTES(1, 0, 0, 0, 0, 0, 0xf0, 0x7f), FST_OK},
    {"uuid of 15 bytes", "uuid", BYTES(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14),
     FST_INVALID},
    {"vector", "vector(float32, 2)", BYTES(0, 0, 0, 0, 0, 0, 0, 0), FST_OK},
    {"vector of one element too few", "vector(float32, 3)", BYTES(0, 0, 0, 0, 0, 0, 0, 0),
     FST_INVALID},
    {"empty string", "string", NULL, 0, FST_OK},
    {"string", "string", BYTES(0xe2, 0x82, 0xac), FST_OK},
    {"string with a cut character", "string", BYTES(0xe2, 0x82), FST_INVALID},
    {"string with an overlong character", "string", BYTES(0xc0, 0x80), FST_INVALID},
    {"string with a surrogate", "string", BYTES(0xed, 0xa0, 0x80), FST_INVALID},
    {"bytes of anything", "bytes", BYTES(0xff, 0, 0xc0), FST_OK},
    {"empty list", "list(int32)", BYTES(0, 0, 0, 0), FST_OK},
    {"list without a count", "list(int32)", NULL, 0, FST_INVALID},
    {"list of ints", "list(int32)", BYTES(2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0), FST_OK},
    {"list of fewer than counted", "list(int32)", BYTES(2, 0, 0, 0, 1, 0, 0, 0), FST_INVALID},
    {"list with more than counted", "list(int32)", BYTES(0, 0, 0, 0, 1, 0, 0, 0), FST_INVALID},
    {"list with a huge count", "list(bool)", BYTES(255, 255, 255, 255, 1), FST_INVALID},
    {"list with a wrong bool", "list(bool)", BYTES(2, 0, 0, 0, 1, 2), FST_INVALID},
    {"list of strings", "list(string)", BYTES(2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0xe2, 0x82, 0xac),
     FST_OK},
    {"list of strings with a wrong one", "list(string)", BYTES(1, 0, 0, 0, 1, 0, 0, 0, 0x80),
     FST_INVALID},
    {"list of strings with a huge length", "list(string)",
     BYTES(1, 0, 0, 0, 255, 255, 255, 255, 'a'), FST_INVALID},
};

static struct type type_of(const char *text) {
    struct type type;
    assert_int_equal(type_parse(text, &type, NULL), FST_OK);
    return type;
}

/* A copy of exactly the size, so that a sanitizer sees a read beyond it. */
static enum fst_status check_copy(struct type type, const uint8_t *data, size_t bytes) {
    uint8_t *copy = malloc(bytes + (bytes == 0));
    assert_non_null(copy);
    if (bytes > 0) memcpy(copy, data, bytes);
    enum fst_status status = value_check(type, (struct bytes){.data = copy, .bytes = bytes});
    free(copy);
    return status;
}

static void test_judges_values(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof value_cases / sizeof value_cases[0]; i++) {
        const struct value_case *c = &value_cases[i];
        print_message("  %s\n", c->name);
        assert_int_equal(check_copy(type_of(c->type), c->data, c->bytes), c->status);
    }
}

static void test_every_cut_of_a_list_is_refused(void **state) {
    (void)state;
    static const uint8_t list[] = {3, 0, 0, 0, 1, 0, 0, 0, 'a', 0, 0, 0, 0, 2, 0, 0, 0, 'b', 'c'};
    struct type type = type_of("list(string)");
    assert_int_equal(check_copy(type, list, sizeof list), FST_OK);
    for (size_t bytes = 0; bytes < sizeof list; bytes++) {
        assert_int_equal(check_copy(type, list, bytes), FST_INVALID);
    }
}

static void test_limits(void **state) {
    (void)state;
    uint8_t *data = malloc(VALUE_BYTES_MAX + 1);
    assert_non_null(data);
    memset(data, 'x', VALUE_BYTES_MAX + 1);
    static const char *const kinds[] = {"string", "bytes"};
    for (size_t i = 0; i < 2; i++) {
        struct type type = type_of(kinds[i]);
        assert_int_equal(check_copy(type, data, VALUE_BYTES_MAX), FST_OK);
        assert_int_equal(check_copy(type, data, VALUE_BYTES_MAX + 1), FST_TOO_LARGE);
    }
    memset(data, 1, VALUE_BYTES_MAX + 1);
    store_u32(data, VALUE_BYTES_MAX - 4);
    assert_int_equal(check_copy(type_of("list(bool)"), data, VALUE_BYTES_MAX), FST_OK);
    store_u32(data, VALUE_BYTES_MAX - 3);
    assert_int_equal(check_copy(type_of("list(bool)"), data, VALUE_BYTES_MAX + 1), FST_TOO_LARGE);
    free(data);
}

static const struct normal_case {
    const char *type;
    uint64_t before, after; /* float32: in the lower half */
} normal_cases[] = {
    {"float64", UINT64_C(0x8000000000000000), 0},
    {"float64", 0, 0},
    {"float64", UINT64_C(0x3ff0000000000000), UINT64_C(0x3ff0000000000000)},
    {"float64", UINT64_C(0x8000000000000001), UINT64_C(0x8000000000000001)},
    {"float64", UINT64_C(0x7ff0000000000000), UINT64_C(0x7ff0000000000000)},
    {"float64", UINT64_C(0xfff0000000000000), UINT64_C(0xfff0000000000000)},
    {"float64", UINT64_C(0x7ff0000000000001), UINT64_C(0x7ff8000000000000)},
    {"float64", UINT64_C(0xffffffffffffffff), UINT64_C(0x7ff8000000000000)},
    {"float32", 0x80000000, 0},
    {"float32", 0x80000001, 0x80000001},
    {"float32", 0x7f800000, 0x7f800000},
    {"float32", 0xff800001, 0x7fc00000},
    {"int64", UINT64_C(0x8000000000000000), UINT64_C(0x8000000000000000)},
    {"decimal(2)", UINT64_C(0xffffffffffffffff), UINT64_C(0xffffffffffffffff)},
};

static void test_floats_have_one_form(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof normal_cases / sizeof normal_cases[0]; i++) {
        const struct normal_case *c = &normal_cases[i];
        struct type type = type_of(c->type);
        size_t bytes = type_fixed_bytes(type);
        uint8_t value[8];
        memcpy(value, &c->before, 8);
        value_normalize(type, value, bytes);
        assert_memory_equal(value, &c->after, bytes);

        /* The same inside a list, behind its count, and as elements of a vector. */
        uint8_t list[20] = {2};
        memcpy(list + 4, &c->before, bytes);
        memcpy(list + 4 + bytes, &c->before, bytes);
        value_normalize((struct type){.kind = TYPE_LIST, .element_kind = type.kind}, list,
                        4 + 2 * bytes);
        assert_int_equal(load_u32(list), 2);
        assert_memory_equal(list + 4, &c->after, bytes);
        assert_memory_equal(list + 4 + bytes, &c->after, bytes);
        if (type.kind != TYPE_FLOAT32) continue;
        uint8_t vector[8];
        memcpy(vector, &c->before, 4);
        memcpy(vector + 4, &c->before, 4);
        value_normalize(type_of("vector(float32, 2)"), vector, 8);
        assert_memory_equal(vector, &c->after, 4);
        assert_memory_equal(vector + 4, &c->after, 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judges_values),
        cmocka_unit_test(test_every_cut_of_a_list_is_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_floats_have_one_form),
    };
    return cmocka_run_group_tests_name("model/value", tests, NULL, NULL);
}
