/* Compares the hashes with vectors made by other implementations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/hash.h"

/*
 * SipHash-1-3 of the bytes 00, 01, ... of each length from 0 to 63 under the key 00 01 ... 0f. From
 * a twin in Python that gives the authors' SipHash-2-4 vector (a129ca6149be45e5 for 15 bytes) with
 * its rounds set to 2 and 4.
 */
static const uint64_t sip_vectors[64] = {
    0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d, 0x8bf80ab8e7ddf7fb,
    0xcf75576088d38328, 0xdef9d52f49533b67, 0xc50d2b50c59f22a7, 0xd3927d989bb11140,
    0x369095118d299a8e, 0x25a48eb36c063de4, 0x79de85ee92ff097f, 0x70c118c1f94dc352,
    0x78a384b157b4d9a2, 0x306f760c1229ffa7, 0x605aa111c0f95d34, 0xd320d86d2a519956,
    0xcc4fdd1a7d908b66, 0x9cf2689063dbd80c, 0x8ffc389cb473e63e, 0xf21f9de58d297d1c,
    0xc0dc2f46a6cce040, 0xb992abfe2b45f844, 0x7ffe7b9ba320872e, 0x525a0e7fdae6c123,
    0xf464aeb267349c8c, 0x45cd5928705b0979, 0x3a3e35e3ca9913a5, 0xa91dc74e4ade3b35,
    0xfb0bed02ef6cd00d, 0x88d93cb44ab1e1f4, 0x540f11d643c5e663, 0x2370dd1f8c21d1bc,
    0x81157b6c16a7b60d, 0x4d54b9e57a8ff9bf, 0x759f12781f2a753e, 0xcea1a3bebf186b91,
    0x2cf508d3ada26206, 0xb6101c2da3c33057, 0xb3f47496ae3a36a1, 0x626b57547b108392,
    0xc1d2363299e41531, 0x667cc1923f1ad944, 0x65704ffec8138825, 0x24f280d1c28949a6,
    0xc2ca1cedfaf8876b, 0xc2164bfc9f042196, 0xa16e9c9368b1d623, 0x49fb169c8b5114fd,
    0x9f3143f8df074c46, 0xc6fdaf2412cc86b3, 0x7eaf49d10a52098f, 0x1cf313559d292f9a,
    0xc44a30dda2f41f12, 0x36fae98943a71ed0, 0x318fb34c73f0bce6, 0xa27abf3670a7e980,
    0xb4bcc0db243c6d75, 0x23f8d852fdb71513, 0x8f035f4da67d8a08, 0xd89cd0e5b7e8f148,
    0xf6f4e6bcf7a644ee, 0xaec59ad80f1837f2, 0xc3b2f6154b6694e0, 0x9d199062b7bbb3a8,
};

static void test_table_hash_matches_vectors(void **state) {
    (void)state;
    uint8_t data[72];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)i;
    struct hash_secret secret = {.k0 = load_u64(data), .k1 = load_u64(data + 8)};
    for (size_t bytes = 0; bytes < 64; bytes++) {
        assert_int_equal(hash_table(&secret, data, bytes), sip_vectors[bytes]);
    }
}

static void test_table_hash_reads_unaligned(void **state) {
    (void)state;
    struct hash_secret secret = {.k0 = 1, .k1 = 2};
    uint8_t data[80];
    for (size_t shift = 0; shift < 8; shift++) {
        for (size_t i = 0; i < 64; i++) data[shift + i] = (uint8_t)(i * 7);
        uint8_t plain[64];
        for (size_t i = 0; i < 64; i++) plain[i] = (uint8_t)(i * 7);
        assert_int_equal(hash_table(&secret, data + shift, 61), hash_table(&secret, plain, 61));
    }
}

static void test_table_hash_needs_both_halves_of_the_secret(void **state) {
    (void)state;
    struct hash_secret a = {.k0 = 1, .k1 = 2};
    struct hash_secret b = {.k0 = 1, .k1 = 3};
    struct hash_secret c = {.k0 = 0, .k1 = 2};
    assert_int_not_equal(hash_table(&a, "key", 3), hash_table(&b, "key", 3));
    assert_int_not_equal(hash_table(&a, "key", 3), hash_table(&c, "key", 3));
}

/* XXH3, 64 bits, with seed 0 and another, from the Python package xxhash. */
static const struct checksum_case {
    size_t bytes;
    uint64_t plain;
    uint64_t seeded;
} checksum_cases[] = {
    {0, 0x2d06800538d394c2, 0x602b0e2cd6662c8b},
    {8, 0x3a1c2d7c85af88f8, 0xb82d9ef5fd6b3172},
    {100, 0x004e4f921a64bd1c, 0x19cf762902c5f037},
    {1000, 0x33ef703fb2b20ed1, 0x629f9f11706b5c21},
};

static void test_checksum_matches_vectors(void **state) {
    (void)state;
    uint8_t data[1000];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i % 251);
    for (size_t i = 0; i < sizeof checksum_cases / sizeof checksum_cases[0]; i++) {
        const struct checksum_case *c = &checksum_cases[i];
        assert_int_equal(hash_checksum(data, c->bytes, 0), c->plain);
        assert_int_equal(hash_checksum(data, c->bytes, UINT64_C(0x9e3779b97f4a7c15)), c->seeded);
    }
}

/* Clients compute this too, so it may never change: partitions of 64 for the keys 0 to 5. */
static void test_partition_is_public(void **state) {
    (void)state;
    static const uint32_t partitions[] = {49, 11, 8, 19, 50, 35};
    for (uint64_t key = 0; key < 6; key++) {
        assert_int_equal(hash_partition(&key, sizeof key, 64), partitions[key]);
        assert_int_equal(hash_partition(&key, sizeof key, 1), 0);
    }
}

static void test_partition_is_even(void **state) {
    (void)state;
    enum { PARTITIONS = 48, KEYS = 48000 };
    uint32_t counts[PARTITIONS] = {0};
    for (uint64_t key = 0; key < KEYS; key++) {
        uint32_t partition = hash_partition(&key, sizeof key, PARTITIONS);
        assert_true(partition < PARTITIONS);
        counts[partition] += 1;
    }
    for (size_t i = 0; i < PARTITIONS; i++) assert_in_range(counts[i], 800, 1200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_hash_matches_vectors),
        cmocka_unit_test(test_table_hash_reads_unaligned),
        cmocka_unit_test(test_table_hash_needs_both_halves_of_the_secret),
        cmocka_unit_test(test_checksum_matches_vectors),
        cmocka_unit_test(test_partition_is_public),
        cmocka_unit_test(test_partition_is_even),
    };
    return cmocka_run_group_tests_name("base/hash", tests, NULL, NULL);
}
