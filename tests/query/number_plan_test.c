/* Shows what number each type becomes, at the places where a careless conversion rounds twice or
 * loses a sign, and that runs are merged where columns are neighbours and only there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "query/number_plan.h"

#define TIE_61 ((INT64_C(1) << 61) + (INT64_C(1) << 37)) /* between two float32 */

static const struct number_case {
    const char *name;
    struct type type;
    int64_t bits; /* of the cell */
    double float64;
    float float32;
} number_cases[] = {
    {"true", {.kind = TYPE_BOOL}, 1, 1, 1},
    {"false", {.kind = TYPE_BOOL}, 0, 0, 0},
    {"least int32", {.kind = TYPE_INT32}, INT32_MIN, -2147483648.0, -2147483648.0f},
    {"int32 to the even float32", {.kind = TYPE_INT32}, 16777217, 16777217, 16777216},
    {"int32 of 25 bits and one", {.kind = TYPE_INT32}, 16777219, 16777219, 16777220.0f},
    {"least int64", {.kind = TYPE_INT64}, INT64_MIN, -0x1p63, -0x1p63f},
    {"greatest int64", {.kind = TYPE_INT64}, INT64_MAX, 0x1p63, 0x1p63f},
    {"int64 to the even float64", {.kind = TYPE_INT64}, (1LL << 53) + 1, 0x1p53, 0x1p53f},
    {"int64 on a tie", {.kind = TYPE_INT64}, TIE_61, (double)TIE_61, 0x1p61f},
    {"int64 above a tie", {.kind = TYPE_INT64}, TIE_61 + 1, (double)TIE_61, 0x1.000002p61f},
    {"timestamp", {.kind = TYPE_TIMESTAMP}, 1764115200000001, 1764115200000001, 0x1.911d04p50f},
    {"decimal", {.kind = TYPE_DECIMAL, .scale = 2}, -1205, -12.05, -12.05f},
    {"decimal of scale 18", {.kind = TYPE_DECIMAL, .scale = 18}, 1, 1e-18, 1e-18f},
    {"decimal above a tie", {.kind = TYPE_DECIMAL}, TIE_61 + 1, (double)TIE_61, 0x1.000002p61f},
    {"float32", {.kind = TYPE_FLOAT32}, 0x3dcccccd, (double)0.1f, 0.1f},
    {"float64", {.kind = TYPE_FLOAT64}, 0x3fb999999999999a, 0.1, 0.1f},
    {"beyond float32", {.kind = TYPE_FLOAT64}, 0x7fe1ccf385ebc8a0, 1e308, INFINITY},
    {"beneath float32", {.kind = TYPE_FLOAT64}, 0x0010000000000000, 0x1p-1022, 0},
    {"smallest float32", {.kind = TYPE_FLOAT64}, 0x36a0000000000000, 0x1p-149, 0x1p-149f},
    {"not a number", {.kind = TYPE_FLOAT64}, 0x7ff8000000000000, NAN, NAN},
};

static void test_one_rounding(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof number_cases / sizeof number_cases[0]; i++) {
        const struct number_case *c = &number_cases[i];
        double found64 = number_float64(c->type, (const uint8_t *)&c->bits);
        float found32 = number_float32(c->type, (const uint8_t *)&c->bits);
        print_message("  %s\n", c->name);
        assert_memory_equal(&found64, &c->float64, sizeof found64);
        assert_memory_equal(&found32, &c->float32, sizeof found32);
    }
}

/* float64, int32, float64, float64, in this order in the view: the body has the int32 last. */
static void test_runs(void **state) {
    (void)state;
    static const struct type types[] = {{.kind = TYPE_FLOAT64},
                                        {.kind = TYPE_INT32},
                                        {.kind = TYPE_FLOAT64},
                                        {.kind = TYPE_FLOAT64}};
    struct row_column cells[4];
    struct row_body body;
    row_body_init(&body, cells, types, 4);
    static const struct run_case {
        const char *name;
        uint32_t count;
        uint32_t columns[4];
        uint32_t features[4];
        uint32_t runs_count;
    } cases[] = {
        {"the view as it is", 4, {0, 1, 2, 3}, {0, 1, 2, 3}, 3},
        {"neighbours", 3, {0, 2, 3}, {5, 6, 7}, 1},
        {"something between them in the row", 3, {0, 2, 3}, {5, 7, 8}, 2},
        {"backwards", 3, {3, 2, 0}, {0, 1, 2}, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct run_case *c = &cases[i];
        struct number_run runs[4];
        struct number_plan plan = {.runs = runs};
        struct number_columns wanted = {
            .from = &body, .count = c->count, .columns = c->columns, .features = c->features};
        print_message("  %s\n", c->name);
        number_plan_init(&plan, &wanted);
        assert_int_equal(plan.runs_count, c->runs_count);
        assert_int_equal(number_plan_check(&plan, &wanted), FST_OK);
        uint32_t *const places[] = {&runs[0].from, &runs[0].to, &runs[0].count, &plan.runs_count};
        for (size_t p = 0; p < sizeof places / sizeof places[0]; p++) {
            *places[p] -= 1;
            assert_int_equal(number_plan_check(&plan, &wanted), FST_CORRUPT);
            *places[p] += 1;
        }
        runs[0].type.kind = TYPE_TIMESTAMP;
        assert_int_equal(number_plan_check(&plan, &wanted), FST_CORRUPT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_rounding),
        cmocka_unit_test(test_runs),
    };
    return cmocka_run_group_tests_name("query/number_plan", tests, NULL, NULL);
}
