/* Canonical keys: composite keys that would collide when glued together stay different; every
 * cut, every addition and every limit is judged; random keys are read back out of a stream of
 * keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/key.h"

enum { STREAM_KEYS = 400, STREAM_BYTES = STREAM_KEYS * KEY_BYTES_MAX };

static struct type type_of(const char *text) {
    struct type type;
    assert_int_equal(type_parse(text, &type, NULL), FST_OK);
    return type;
}

static struct bytes bytes_of(const char *text) {
    return (struct bytes){.data = (const uint8_t *)text, .bytes = strlen(text)};
}

static void test_allowed_kinds(void **state) {
    (void)state;
    static const char *const allowed[] = {"bool",   "int32", "int64", "timestamp",
                                          "string", "bytes", "uuid"};
    static const char *const refused[] = {"float32", "float64", "decimal(2)", "vector(float32, 2)",
                                          "list(int32)"};
    for (size_t i = 0; i < 7; i++) assert_true(key_type_is_allowed(type_of(allowed[i])));
    for (size_t i = 0; i < 5; i++) assert_false(key_type_is_allowed(type_of(refused[i])));
}

static void test_fixed_bytes(void **state) {
    (void)state;
    struct type types[] = {type_of("int32"), type_of("uuid"), type_of("bool"), type_of("string")};
    assert_int_equal(key_fixed_bytes(types, 1), 4);
    assert_int_equal(key_fixed_bytes(types, 3), 21);
    assert_int_equal(key_fixed_bytes(types, 4), 0);
}

static const struct pair_case {
    const char *a1, *a2, *b1, *b2;
    bool is_equal;
} pair_cases[] = {
    {"1", "23", "12", "3", false}, {"", "ab", "ab", "", false}, {"a", "", "", "a", false},
    {"ab", "c", "ab", "c", true},  {"", "", "", "", true},
};

static void test_composite_keys_do_not_collide(void **state) {
    (void)state;
    struct type types[] = {type_of("string"), type_of("string")};
    for (size_t i = 0; i < sizeof pair_cases / sizeof pair_cases[0]; i++) {
        const struct pair_case *c = &pair_cases[i];
        uint8_t a[32];
        uint8_t b[32];
        struct writer a_out = writer_of(a, sizeof a);
        struct writer b_out = writer_of(b, sizeof b);
        key_append(&a_out, types[0], bytes_of(c->a1));
        key_append(&a_out, types[1], bytes_of(c->a2));
        key_append(&b_out, types[0], bytes_of(c->b1));
        key_append(&b_out, types[1], bytes_of(c->b2));
        bool is_equal =
            writer_used(&a_out) == writer_used(&b_out) && memcmp(a, b, writer_used(&a_out)) == 0;
        assert_int_equal(is_equal, c->is_equal);
        struct bytes key = {.data = a, .bytes = writer_used(&a_out)};
        assert_int_equal(key_check(types, 2, key), FST_OK);
    }
}

static void test_cuts_and_additions_are_refused(void **state) {
    (void)state;
    struct type types[] = {type_of("int64"), type_of("string"), type_of("bool")};
    uint8_t key[64] = {0};
    struct writer out = writer_of(key, sizeof key);
    key_append(&out, types[0], (struct bytes){.data = (const uint8_t *)"12345678", .bytes = 8});
    key_append(&out, types[1], bytes_of("abc"));
    key_append(&out, types[2], (struct bytes){.data = (const uint8_t *)"\1", .bytes = 1});
    assert_int_equal(writer_used(&out), 14);
    for (size_t bytes = 0; bytes < 20; bytes++) {
        uint8_t *copy = malloc(bytes + 1);
        assert_non_null(copy);
        memcpy(copy, key, bytes);
        enum fst_status want = bytes == 14 ? FST_OK : FST_INVALID;
        struct bytes cut = {.data = copy, .bytes = bytes};
        assert_int_equal(key_check(types, 3, cut), want);
        free(copy);
    }
    key[13] = 2; /* no bool */
    assert_int_equal(key_check(types, 3, (struct bytes){.data = key, .bytes = 14}), FST_INVALID);
    key[13] = 0;
    key[10] = 0xff; /* no UTF-8 */
    assert_int_equal(key_check(types, 3, (struct bytes){.data = key, .bytes = 14}), FST_INVALID);
}

static void test_limit(void **state) {
    (void)state;
    struct type type = type_of("bytes");
    uint8_t key[KEY_BYTES_MAX + 1] = {0};
    store_u16(key, KEY_BYTES_MAX - 2);
    assert_int_equal(key_check(&type, 1, (struct bytes){.data = key, .bytes = KEY_BYTES_MAX}),
                     FST_OK);
    store_u16(key, KEY_BYTES_MAX - 1);
    assert_int_equal(key_check(&type, 1, (struct bytes){.data = key, .bytes = KEY_BYTES_MAX + 1}),
                     FST_TOO_LARGE);

    static uint8_t room[70000];
    struct writer out = writer_of(room, sizeof room);
    key_append(&out, type, (struct bytes){.data = room, .bytes = 65536});
    assert_true(out.failed);
}

static uint64_t random_next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void random_key(uint64_t *seed, const struct type *types, uint32_t types_count,
                       struct writer *out) {
    for (uint32_t i = 0; i < types_count; i++) {
        uint8_t value[40];
        uint32_t bytes = type_fixed_bytes(types[i]);
        if (bytes == 0) bytes = (uint32_t)(random_next(seed) % 20);
        for (uint32_t b = 0; b < bytes; b++) value[b] = (uint8_t)(random_next(seed) & 0x7f);
        if (types[i].kind == TYPE_BOOL) value[0] &= 1;
        key_append(out, types[i], (struct bytes){.data = value, .bytes = bytes});
    }
}

static void test_stream_of_keys(void **state) {
    (void)state;
    const char *seed_text = getenv("FST_SEED");
    uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) | 1 : 20261120;
    print_message("  FST_SEED=%" PRIu64 "\n", seed);
    static const char *const kinds[] = {"bool",   "int32", "int64", "timestamp",
                                        "string", "bytes", "uuid"};
    static uint8_t stream[STREAM_BYTES];
    for (uint32_t round = 0; round < 60; round++) {
        struct type types[KEY_COLUMNS_MAX];
        uint32_t types_count = 1 + (uint32_t)(random_next(&seed) % KEY_COLUMNS_MAX);
        for (uint32_t i = 0; i < types_count; i++)
            types[i] = type_of(kinds[random_next(&seed) % 7]);
        struct writer out = writer_of(stream, sizeof stream);
        size_t ends[STREAM_KEYS];
        for (uint32_t i = 0; i < STREAM_KEYS; i++) {
            random_key(&seed, types, types_count, &out);
            ends[i] = writer_used(&out);
        }
        assert_false(out.failed);
        struct reader reader = reader_of(stream, writer_used(&out));
        for (uint32_t i = 0; i < STREAM_KEYS; i++) {
            struct bytes key = key_read(types, types_count, &reader);
            size_t begin = i ? ends[i - 1] : 0;
            assert_ptr_equal(key.data, stream + begin);
            assert_int_equal(key.bytes, ends[i] - begin);
            assert_int_equal(key_check(types, types_count, key), FST_OK);
            uint32_t fixed = key_fixed_bytes(types, types_count);
            if (fixed > 0) assert_int_equal(key.bytes, fixed);
        }
        assert_true(reader_is_done(&reader));
        assert_null(key_read(types, types_count, &reader).data);
        assert_true(reader.failed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allowed_kinds),
        cmocka_unit_test(test_fixed_bytes),
        cmocka_unit_test(test_composite_keys_do_not_collide),
        cmocka_unit_test(test_cuts_and_additions_are_refused),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_stream_of_keys),
    };
    return cmocka_run_group_tests_name("model/key", tests, NULL, NULL);
}
