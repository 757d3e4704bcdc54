/* Shows that mt19937 hands out numpy's and Python's numbers: every case holds what numpy 2.4
 * RandomState and CPython 3.11 random gave for that seed and that order of calls, compared to the
 * last bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/fsbench/mt19937.h"

static const struct numpy_case {
    uint32_t seed;
    uint32_t first;
    double uniform_1000;
    double normals[3]; /* number 0, 1 and 1000 */
    uint32_t poisson_small_sum, poisson_large_sum;
    double uniform_last;
    uint32_t permutation[4];
} numpy_cases[] = {
    {0,
     2357136044u,
     0.5928802707811576,
     {0x1.32910c02e81fep+16, 0x1.900649d04d5b4p+15, 0x1.a85e81d719343p+15},
     2142,
     9696,
     0x1.8698595dfe232p+2,
     {7873, 3703, 7593, 5159}},
    {5,
     953453411u,
     0.7162461489862848,
     {0x1.96711977384cep+15, 0x1.1dcd31a504cdap+15, 0x1.a64ec2d8284a8p+15},
     2227,
     10196,
     0x1.d88295c30dda9p+5,
     {3003, 1207, 3596, 1107}},
    {181,
     2250662141u,
     0.6063556339405113,
     {0x1.66b9933a1b4a6p+14, 0x1.5b58196ec0840p+15, 0x1.95b41f847014dp+14},
     2222,
     9939,
     0x1.6c34b9c2c3befp+6,
     {2525, 766, 9327, 9073}},
    {4294967295u,
     419326371u,
     0.9783407784257938,
     {0x1.b6d058d2f9a6ep+15, 0x1.ba14f0f4250bcp+15, 0x1.c5a3b32fd50c7p+14},
     2213,
     9925,
     0x1.5f33aba7c7356p+6,
     {1102, 5306, 4570, 9164}},
};

static const uint32_t choice_bounds[] = {1, 2, 3, 64, 65, 1000};

/* What sample() is asked for, on both sides of where CPython changes its method. */
static const struct sample_size {
    uint32_t count, wanted;
} sample_sizes[] = {{21, 5}, {22, 5}, {85, 7}, {86, 7}, {1000, 6}};

static const struct python_case {
    uint32_t seed;
    uint32_t first[2];
    uint32_t choices[6];
    uint32_t samples[5][7];
    uint32_t last;
} python_cases[] = {
    {0,
     {3626764237u, 1654615998u},
     {0, 0, 1, 62, 51, 940},
     {{9, 15, 11, 6, 16},
      {4, 9, 3, 19, 8},
      {68, 77, 18, 39, 12, 9, 42},
      {60, 71, 12, 45, 55, 40, 78},
      {655, 934, 209, 989, 565, 488}},
     0x71545a13},
    {5,
     {2675342405u, 1097127993u},
     {0, 0, 1, 31, 6, 922},
     {{5, 3, 11, 15, 7},
      {12, 17, 3, 18, 7},
      {1, 27, 52, 35, 23, 49, 20},
      {9, 17, 79, 56, 16, 0, 26},
      {792, 220, 983, 169, 893, 170}},
     0x4a0fe75d},
    {181,
     {2495126473u, 3001236229u},
     {0, 0, 1, 43, 24, 770},
     {{9, 10, 7, 14, 17},
      {7, 2, 0, 1, 9},
      {46, 35, 36, 83, 76, 49, 84},
      {50, 80, 35, 25, 4, 58, 70},
      {759, 750, 721, 386, 870, 109}},
     0xa8160a56},
    {4294967295u,
     {2728839433u, 2661025012u},
     {0, 0, 2, 37, 43, 984},
     {{12, 8, 11, 15, 13},
      {2, 6, 19, 4, 15},
      {64, 46, 20, 7, 42, 4, 48},
      {56, 72, 32, 69, 75, 8, 0},
      {560, 460, 772, 759, 212, 67}},
     0x3cd474e4},
};

static void test_numpy_streams(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof numpy_cases / sizeof numpy_cases[0]; i++) {
        const struct numpy_case *c = &numpy_cases[i];
        struct mt19937 mt;
        mt19937_init_numpy(&mt, c->seed);
        assert_int_equal(mt19937_get_u32(&mt), c->first);

        mt19937_init_numpy(&mt, c->seed);
        for (int k = 0; k < 1000; k++) mt19937_get_double(&mt);
        assert_true(mt19937_get_double(&mt) == c->uniform_1000);

        mt19937_init_numpy(&mt, c->seed);
        double normal = mt19937_get_normal(&mt, 43200, 20000);
        assert_true(normal == c->normals[0]);
        normal = mt19937_get_normal(&mt, 43200, 20000);
        assert_true(normal == c->normals[1]);
        for (int k = 2; k <= 1000; k++) normal = mt19937_get_normal(&mt, 43200, 20000);
        assert_true(normal == c->normals[2]);

        uint32_t sum = 0;
        for (int k = 0; k < 1000; k++) sum += mt19937_get_poisson(&mt, 2.17);
        assert_int_equal(sum, c->poisson_small_sum);
        sum = 0;
        for (int k = 0; k < 1000; k++) sum += mt19937_get_poisson(&mt, 9.99);
        assert_int_equal(sum, c->poisson_large_sum);
        assert_int_equal(mt19937_get_poisson(&mt, 0), 0);
        assert_true(mt19937_get_uniform(&mt, 5, 100) == c->uniform_last);

        static uint32_t order[10000];
        mt19937_get_permutation(&mt, order, 10000);
        assert_memory_equal(order, c->permutation, sizeof c->permutation);
    }
}

static void test_python_streams(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof python_cases / sizeof python_cases[0]; i++) {
        const struct python_case *c = &python_cases[i];
        struct mt19937 mt;
        mt19937_init_python(&mt, c->seed);
        assert_int_equal(mt19937_get_u32(&mt), c->first[0]);
        assert_int_equal(mt19937_get_u32(&mt), c->first[1]);
        for (size_t k = 0; k < 6; k++)
            assert_int_equal(mt19937_get_below(&mt, choice_bounds[k]), c->choices[k]);
        for (size_t k = 0; k < 5; k++) {
            uint32_t scratch[1000], picked[7];
            const struct sample_size *size = &sample_sizes[k];
            mt19937_get_sample(&mt, size->count, size->wanted, scratch, picked);
            assert_memory_equal(picked, c->samples[k], size->wanted * sizeof picked[0]);
        }
        assert_int_equal(mt19937_get_u32(&mt), c->last);
    }
}

/* Every value once, whatever the size. */
static void test_permutations_and_samples_are_sets(void **state) {
    (void)state;
    for (uint32_t count = 1; count <= 200; count++) {
        struct mt19937 mt;
        uint32_t order[200], scratch[200], picked[200];
        uint8_t seen[200] = {0};
        mt19937_init_numpy(&mt, count);
        mt19937_get_permutation(&mt, order, count);
        for (uint32_t i = 0; i < count; i++) assert_int_equal(seen[order[i]]++, 0);
        mt19937_init_python(&mt, count);
        mt19937_get_sample(&mt, count, count / 2, scratch, picked);
        for (uint32_t i = 0; i < count / 2; i++) assert_int_equal(seen[picked[i]]++, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numpy_streams),
        cmocka_unit_test(test_python_streams),
        cmocka_unit_test(test_permutations_and_samples_are_sets),
    };
    return cmocka_run_group_tests_name("bench/mt19937", tests, NULL, NULL);
}
