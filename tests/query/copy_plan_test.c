/* Copies columns of random bodies, in runs of every length and in any order, and compares each cell
 * and null bit with the one it comes from; then counts the runs where their number is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "query/copy_plan.h"
#include "tests/base/random.h"

enum { COLUMNS_MAX = 300, BODY_BYTES_MAX = COLUMNS_MAX * 16 + 64 };

static const struct type types[] = {
    {.kind = TYPE_FLOAT64}, {.kind = TYPE_INT32}, {.kind = TYPE_BOOL},
    {.kind = TYPE_STRING},  {.kind = TYPE_UUID},  {.kind = TYPE_VECTOR, .elements = 3},
    {.kind = TYPE_FLOAT32}, {.kind = TYPE_INT64},
};
enum { TYPES = sizeof types / sizeof types[0] };

struct setting {
    struct row_body from;
    struct row_body to;
    struct row_column from_columns[COLUMNS_MAX];
    struct row_column to_columns[COLUMNS_MAX];
    uint32_t columns[COLUMNS_MAX];
    struct copy_run runs[COLUMNS_MAX];
    struct copy_bits bits[COLUMNS_MAX];
    struct copy_plan plan;
    struct copy_columns wanted;
};

/* A stored body of these types, of which the first `to_count` of s->columns are wanted. */
static void setting_init(struct setting *s, const struct type *from_types, uint32_t from_count,
                         uint32_t to_count) {
    struct type to_types[COLUMNS_MAX];
    for (uint32_t c = 0; c < to_count; c++) to_types[c] = from_types[s->columns[c]];
    row_body_init(&s->from, s->from_columns, from_types, from_count);
    row_body_init(&s->to, s->to_columns, to_types, to_count);
    s->wanted = (struct copy_columns){.from = &s->from, .to = &s->to, .columns = s->columns};
    s->plan = (struct copy_plan){.runs = s->runs, .bits = s->bits};
    copy_plan_init(&s->plan, &s->wanted);
    assert_int_equal(copy_plan_check(&s->plan, &s->wanted), FST_OK);
}

/* Null bits of the columns, values in those that are not null, and zeros elsewhere. */
static void body_fill(struct random *random, const struct row_body *body, uint8_t *out) {
    uint64_t nulls_of = random_below(random, 5);
    memset(out, 0, body->bytes);
    for (uint32_t c = 0; c < body->columns_count; c++) {
        const struct row_column *cell = &body->columns[c];
        if (random_below(random, 4) < nulls_of) {
            row_set_null(out, c);
            continue;
        }
        for (uint32_t i = 0; i < cell->bytes; i++) {
            out[cell->offset + i] = (uint8_t)random_get(random);
        }
    }
}

static void copy_check(struct random *random, const struct setting *s) {
    uint8_t from[BODY_BYTES_MAX], found[BODY_BYTES_MAX], want[BODY_BYTES_MAX];
    body_fill(random, &s->from, from);
    memset(found, 0xee, sizeof found);
    copy_plan_run(&s->plan, &s->to, from, found);
    memset(want, 0, s->to.bytes);
    for (uint32_t c = 0; c < s->to.columns_count; c++) {
        const struct row_column *cell = &s->from.columns[s->columns[c]];
        if (row_is_null(from, s->columns[c])) row_set_null(want, c);
        memcpy(want + s->to.columns[c].offset, from + cell->offset, cell->bytes);
    }
    assert_memory_equal(found, want, s->to.bytes);
    assert_int_equal(found[s->to.bytes], 0xee);
}

static void test_random_columns(void **state) {
    (void)state;
    struct random random = random_of_environment();
    static struct setting s;
    for (int round = 0; round < 3000; round++) {
        struct type from_types[COLUMNS_MAX];
        uint32_t from_count = 1 + (uint32_t)random_below(&random, COLUMNS_MAX);
        uint64_t kinds = 1 + random_below(&random, TYPES);
        for (uint32_t c = 0; c < from_count; c++) {
            from_types[c] = types[random_below(&random, kinds)];
        }
        /* Stretches of neighbours, here and there. */
        uint32_t to_count = 0;
        uint64_t stretch_max = 1 + random_below(&random, 150);
        uint32_t want_count = 1 + (uint32_t)random_below(&random, COLUMNS_MAX);
        while (to_count < want_count) {
            uint32_t at = (uint32_t)random_below(&random, from_count);
            uint64_t stretch = 1 + random_below(&random, stretch_max);
            while (stretch-- > 0 && at < from_count && to_count < want_count) {
                s.columns[to_count++] = at++;
            }
        }
        setting_init(&s, from_types, from_count, to_count);
        for (int i = 0; i < 5; i++) copy_check(&random, &s);
    }
}

/* 100 float64: neighbours are one run, and one run of bits for each u64 of the target. */
static void test_neighbours_are_merged(void **state) {
    (void)state;
    static struct setting s;
    struct type from_types[100];
    for (uint32_t c = 0; c < 100; c++) {
        from_types[c] = types[0];
        s.columns[c] = c + 1;
    }
    setting_init(&s, from_types, 100, 99);
    assert_int_equal(s.plan.runs_count, 1);
    assert_int_equal(s.plan.runs[0].bytes, 99 * 8);
    assert_int_equal(s.plan.bits_count, 2);
    /* Every second one: nothing is adjacent. */
    for (uint32_t c = 0; c < 50; c++) s.columns[c] = 2 * c;
    setting_init(&s, from_types, 100, 50);
    assert_int_equal(s.plan.runs_count, 50);
    assert_int_equal(s.plan.bits_count, 50);
}

static void test_check_sees_damage(void **state) {
    (void)state;
    static struct setting s;
    s.columns[0] = 1;
    s.columns[1] = 2;
    s.columns[2] = 0;
    setting_init(&s, types, 3, 3);
    uint32_t *const places[] = {&s.runs[0].from,    &s.runs[0].to,     &s.runs[0].bytes,
                                &s.bits[0].from,    &s.bits[0].to,     &s.bits[0].count,
                                &s.plan.runs_count, &s.plan.bits_count};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        *places[i] -= 1;
        assert_int_equal(copy_plan_check(&s.plan, &s.wanted), FST_CORRUPT);
        *places[i] += 1;
    }
    assert_int_equal(copy_plan_check(&s.plan, &s.wanted), FST_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_columns),
        cmocka_unit_test(test_neighbours_are_merged),
        cmocka_unit_test(test_check_sees_damage),
    };
    return cmocka_run_group_tests_name("query/copy_plan", tests, NULL, NULL);
}
