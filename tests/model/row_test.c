/* Random layouts are filled with random rows next to an oracle that keeps each value apart; what
 * the row says must be what the oracle says, also after its layout grew. Then every way to break
 * R1, R2 and R3 is tried on a row that passed its check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/row.h"

enum { COLUMNS_MAX = 140, ROUNDS = 400, HEAP_ROOM = 1 << 16 };

struct oracle {
    uint32_t keys_count, columns_count;
    struct type keys[KEY_COLUMNS_MAX];
    struct type types[COLUMNS_MAX];
    bool is_null[COLUMNS_MAX];
    uint32_t bytes[COLUMNS_MAX];
    uint8_t values[COLUMNS_MAX][64];
    uint8_t key[KEY_BYTES_MAX];
    uint32_t key_bytes;
};

struct image {
    struct row_layout layout;
    struct row_column columns[COLUMNS_MAX];
    uint8_t *bytes; /* of exactly the image's size */
    uint8_t *heap;  /* of exactly heap_bytes */
    size_t heap_bytes;
};

static uint64_t random_next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint64_t seed_get(void) {
    const char *text = getenv("FST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) | 1 : 20261120;
    print_message("  FST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

static struct type random_type(uint64_t *seed) {
    static const char *const texts[] = {"bool",
                                        "int32",
                                        "int64",
                                        "float32",
                                        "float64",
                                        "decimal(3)",
                                        "timestamp",
                                        "string",
                                        "bytes",
                                        "uuid",
                                        "vector(float32, 3)",
                                        "list(int32)"};
    struct type type;
    assert_int_equal(type_parse(texts[random_next(seed) % 12], &type, NULL), FST_OK);
    return type;
}

static uint32_t random_value(uint64_t *seed, struct type type, uint8_t *value) {
    uint32_t bytes = type_fixed_bytes(type);
    if (bytes == 0) bytes = (uint32_t)(random_next(seed) % 13);
    if (type.kind == TYPE_LIST) bytes = 4 + 4 * (bytes % 4);
    for (uint32_t i = 0; i < bytes; i++) value[i] = (uint8_t)random_next(seed);
    for (uint32_t i = 0; type.kind == TYPE_STRING && i < bytes; i++) value[i] &= 0x7f;
    value_normalize(type, value, bytes);
    if (type.kind == TYPE_BOOL) value[0] &= 1;
    if (type.kind == TYPE_LIST) store_u32(value, (bytes - 4) / 4);
    return bytes;
}

static void oracle_fill(uint64_t *seed, struct oracle *oracle) {
    *oracle = (struct oracle){.keys_count = 1 + (uint32_t)(random_next(seed) % 3)};
    oracle->columns_count = 1 + (uint32_t)(random_next(seed) % (COLUMNS_MAX - 10));
    struct writer key = writer_of(oracle->key, sizeof oracle->key);
    for (uint32_t i = 0; i < oracle->keys_count; i++) {
        do oracle->keys[i] = random_type(seed);
        while (!key_type_is_allowed(oracle->keys[i]));
        uint8_t value[64];
        uint32_t bytes = random_value(seed, oracle->keys[i], value);
        key_append(&key, oracle->keys[i], (struct bytes){.data = value, .bytes = bytes});
    }
    oracle->key_bytes = (uint32_t)writer_used(&key);
    for (uint32_t i = 0; i < oracle->columns_count; i++) {
        oracle->types[i] = random_type(seed);
        oracle->is_null[i] = random_next(seed) % 4 == 0;
        if (oracle->is_null[i]) continue;
        oracle->bytes[i] = random_value(seed, oracle->types[i], oracle->values[i]);
    }
}

static void heap_put(uint8_t *heap, size_t *heap_bytes, uint8_t *cell, const void *data,
                     uint32_t bytes) {
    struct row_reference reference = {.offset = (uint32_t)*heap_bytes, .bytes = bytes};
    memcpy(heap + *heap_bytes, data, bytes);
    memcpy(cell, &reference, sizeof reference);
    *heap_bytes += (bytes + 7) / 8 * 8;
}

static void image_fill(const struct oracle *oracle, struct image *image) {
    static uint8_t heap[HEAP_ROOM];
    memset(heap, 0, sizeof heap);
    struct row_body body;
    row_body_init(&body, image->columns, oracle->types, oracle->columns_count);
    row_layout_init(&image->layout, oracle->keys, oracle->keys_count, &body);
    image->bytes = calloc(1, image->layout.image_bytes);
    assert_non_null(image->bytes);
    image->heap_bytes = 0;
    store_i64(image->bytes, 1);
    store_i64(image->bytes + 8, 2);
    uint8_t *cell = image->bytes + ROW_KEY_OFFSET;
    if (image->layout.key_bytes > 0)
        memcpy(cell, oracle->key, oracle->key_bytes);
    else
        heap_put(heap, &image->heap_bytes, cell, oracle->key, oracle->key_bytes);
    uint8_t *body_bytes = image->bytes + image->layout.body_offset;
    for (uint32_t i = 0; i < oracle->columns_count; i++) {
        cell = body_bytes + image->columns[i].offset;
        if (oracle->is_null[i])
            row_set_null(body_bytes, i);
        else if (type_fixed_bytes(oracle->types[i]) > 0)
            memcpy(cell, oracle->values[i], oracle->bytes[i]);
        else
            heap_put(heap, &image->heap_bytes, cell, oracle->values[i], oracle->bytes[i]);
    }
    image->heap = malloc(image->heap_bytes + (image->heap_bytes == 0));
    assert_non_null(image->heap);
    memcpy(image->heap, heap, image->heap_bytes);
}

static void image_free(struct image *image) {
    free(image->bytes);
    free(image->heap);
}

static enum fst_status image_check(const struct image *image) {
    return row_check(&image->layout, image->bytes, image->heap, image->heap_bytes);
}

/* No two cells share a byte, each lies where its class allows. */
static void layout_check(const struct oracle *oracle, const struct image *image) {
    uint8_t used[ROW_IMAGE_BYTES_MAX] = {0};
    const struct row_body *body = &image->layout.body;
    uint32_t references_count = 0;
    uint32_t last_class = 8;
    assert_int_equal(body->null_words, (oracle->columns_count + 63) / 64);
    assert_int_equal(body->bytes % 8, 0);
    assert_int_equal(image->layout.image_bytes, image->layout.body_offset + body->bytes);
    assert_int_equal(
        row_image_bytes(oracle->keys, oracle->keys_count, oracle->types, oracle->columns_count),
        image->layout.image_bytes);
    for (uint32_t i = 0; i < oracle->columns_count; i++) {
        const struct row_column *column = &body->columns[i];
        assert_true(type_is_equal(column->type, oracle->types[i]));
        assert_int_equal(column->offset % type_row_class(column->type), 0);
        assert_true(column->offset >= body->null_words * 8);
        assert_true(column->offset + column->bytes <= body->bytes);
        for (uint32_t b = 0; b < column->bytes; b++)
            assert_int_equal(used[column->offset + b]++, 0);
        references_count += type_fixed_bytes(column->type) == 0;
    }
    assert_int_equal(references_count, body->references_count);
    for (uint32_t offset = 0; offset < body->bytes; offset++) {
        for (uint32_t i = 0; i < oracle->columns_count; i++) {
            if (body->columns[i].offset != offset) continue;
            assert_true(type_row_class(body->columns[i].type) <= last_class);
            last_class = type_row_class(body->columns[i].type);
        }
    }
}

static void values_check(const struct oracle *oracle, const struct image *image) {
    const uint8_t *body_bytes = image->bytes + image->layout.body_offset;
    struct bytes key = row_key(&image->layout, image->bytes, image->heap);
    assert_int_equal(key.bytes, oracle->key_bytes);
    assert_memory_equal(key.data, oracle->key, key.bytes);
    for (uint32_t i = 0; i < oracle->columns_count; i++) {
        assert_int_equal(row_is_null(body_bytes, i), oracle->is_null[i]);
        if (oracle->is_null[i]) continue;
        struct bytes value = row_value(&image->layout.body, body_bytes, image->heap, i);
        assert_int_equal(value.bytes, oracle->bytes[i]);
        assert_memory_equal(value.data, oracle->values[i], value.bytes);
    }
}

static void test_random_rows_are_as_the_oracle(void **state) {
    (void)state;
    uint64_t seed = seed_get();
    static struct oracle oracle;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct image image;
        oracle_fill(&seed, &oracle);
        image_fill(&oracle, &image);
        layout_check(&oracle, &image);
        values_check(&oracle, &image);
        assert_int_equal(image_check(&image), FST_OK);
        assert_int_equal(row_heap_bytes(&image.layout, image.bytes), image.heap_bytes);
        image_free(&image);
    }
}

/* The oracle's values as they are in the wider type. */
static void oracle_widen(struct oracle *oracle, uint32_t column) {
    if (oracle->types[column].kind == TYPE_INT32) {
        oracle->types[column].kind = TYPE_INT64;
        int64_t wide = (int32_t)load_u32(oracle->values[column]);
        memcpy(oracle->values[column], &wide, 8);
    } else {
        float narrow;
        memcpy(&narrow, oracle->values[column], 4);
        oracle->types[column].kind = TYPE_FLOAT64;
        double wide = (double)narrow;
        memcpy(oracle->values[column], &wide, 8);
    }
    if (!oracle->is_null[column])
        oracle->bytes[column] = 8;
    else
        memset(oracle->values[column], 0, 8);
}

static void oracle_grow(uint64_t *seed, struct oracle *oracle) {
    for (uint32_t i = 0; i < oracle->columns_count; i++) {
        uint8_t kind = oracle->types[i].kind;
        bool can_widen = kind == TYPE_INT32 || kind == TYPE_FLOAT32;
        if (can_widen && random_next(seed) % 2 == 0) oracle_widen(oracle, i);
    }
    uint32_t added = (uint32_t)(random_next(seed) % 10);
    for (uint32_t i = 0; i < added; i++) {
        oracle->types[oracle->columns_count] = random_type(seed);
        oracle->is_null[oracle->columns_count++] = true;
    }
}

static void test_rows_follow_a_growing_layout(void **state) {
    (void)state;
    uint64_t seed = seed_get();
    static struct oracle oracle;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct image before;
        struct image after;
        oracle_fill(&seed, &oracle);
        image_fill(&oracle, &before);
        oracle_grow(&seed, &oracle);
        image_fill(&oracle, &after);
        uint8_t *converted = malloc(after.layout.body.bytes);
        assert_non_null(converted);
        memset(converted, 0xa5, after.layout.body.bytes);
        row_convert(&before.layout.body, before.bytes + before.layout.body_offset,
                    &after.layout.body, converted);
        assert_memory_equal(converted, after.bytes + after.layout.body_offset,
                            after.layout.body.bytes);
        free(converted);
        image_free(&before);
        image_free(&after);
    }
}

/* ---- breaking rows ---- */

/* key string; features int32, bool, string, list(int32); the second is null. */
static void known_image(struct image *image) {
    static struct oracle oracle;
    oracle = (struct oracle){.keys_count = 1, .columns_count = 4};
    static const char *const types[] = {"int32", "bool", "string", "list(int32)"};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(type_parse(types[i], &oracle.types[i], NULL), FST_OK);
    }
    oracle.keys[0] = oracle.types[2];
    memcpy(oracle.key, "\2\0ab", oracle.key_bytes = 4);
    memcpy(oracle.values[0], "\1\2\3\4", oracle.bytes[0] = 4);
    oracle.is_null[1] = true;
    memcpy(oracle.values[2], "xyz", oracle.bytes[2] = 3);
    memcpy(oracle.values[3], "\1\0\0\0\7\0\0\0", oracle.bytes[3] = 8);
    image_fill(&oracle, image);
    assert_int_equal(image->layout.body_offset, 24);
    assert_int_equal(image->layout.body.columns[2].offset, 8);
    assert_int_equal(image->layout.body.columns[3].offset, 16);
    assert_int_equal(image->layout.body.columns[0].offset, 24);
    assert_int_equal(image->layout.body.columns[1].offset, 28);
    assert_int_equal(image->layout.image_bytes, 56);
    assert_int_equal(image->heap_bytes, 24);
    assert_int_equal(image_check(image), FST_OK);
}

static const struct break_case {
    const char *name;
    uint32_t offset; /* in the image; from 1000: in the heap */
    uint32_t value;  /* four bytes */
    enum fst_status status;
} break_cases[] = {
    {"key begins beyond the heap", 16, 25, FST_CORRUPT},
    {"key ends beyond the heap", 20, 25, FST_CORRUPT},
    {"key longer than its string", 20, 5, FST_CORRUPT},
    {"string begins beyond the heap", 32, 1000, FST_CORRUPT},
    {"string ends beyond the heap", 36, UINT32_MAX, FST_CORRUPT},
    {"string ends one byte beyond the heap", 36, 17, FST_CORRUPT},
    {"string is longer, but in the heap", 36, 8, FST_OK},
    {"list is shorter", 44, 7, FST_CORRUPT},
    {"null bit of a column that has a value", 24, 3, FST_CORRUPT},
    {"null bit cleared: then the bool is false", 24, 0, FST_OK},
    {"null bit of a column that does not exist", 24, 0x12, FST_CORRUPT},
    {"second half of the null word", 28, 1, FST_CORRUPT},
    {"null cell is not zero", 52, 1, FST_CORRUPT},
    {"padding behind the last value", 52, 0x100, FST_CORRUPT},
    {"int32 may be anything", 48, UINT32_MAX, FST_OK},
    {"times may be anything", 0, UINT32_MAX, FST_OK},
    {"key is not UTF-8", 1000, 0x80800002, FST_CORRUPT},
    {"string is not UTF-8", 1008, 0x00ff7a79, FST_CORRUPT},
    {"list counts too many", 1016, 2, FST_CORRUPT},
};

static void test_broken_rows_are_found(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof break_cases / sizeof break_cases[0]; i++) {
        const struct break_case *c = &break_cases[i];
        print_message("  %s\n", c->name);
        struct image image;
        known_image(&image);
        uint8_t *at = c->offset < 1000 ? image.bytes + c->offset : image.heap + c->offset - 1000;
        store_u32(at, c->value);
        assert_int_equal(image_check(&image), c->status);
        image_free(&image);
    }
}

static void test_padding_behind_a_fixed_key(void **state) {
    (void)state;
    static struct oracle oracle;
    oracle = (struct oracle){.keys_count = 1, .columns_count = 1, .key_bytes = 4};
    assert_int_equal(type_parse("int32", &oracle.keys[0], NULL), FST_OK);
    oracle.types[0] = oracle.keys[0];
    oracle.bytes[0] = 4;
    struct image image;
    image_fill(&oracle, &image);
    assert_int_equal(image_check(&image), FST_OK);
    image.bytes[ROW_KEY_OFFSET + 4] = 1;
    assert_int_equal(image_check(&image), FST_CORRUPT);
    image_free(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_rows_are_as_the_oracle),
        cmocka_unit_test(test_rows_follow_a_growing_layout),
        cmocka_unit_test(test_broken_rows_are_found),
        cmocka_unit_test(test_padding_behind_a_fixed_key),
    };
    return cmocka_run_group_tests_name("model/row", tests, NULL, NULL);
}
