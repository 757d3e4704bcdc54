/* The example vectors of FIPS 180-4 and its million letters, and a chain over all lengths from
 * 32 to 332 bytes, whose end was computed with another implementation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/sha256.h"

enum { LETTERS = 1000000, CHAIN_LENGTHS = 301 };

static const struct hash_case {
    const char *text, *hash;
} hash_cases[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnop"
     "qrsmn"
     "opqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
};

static void hash_expect(const uint8_t hash[SHA256_BYTES], const char *want) {
    char text[2 * SHA256_BYTES + 1];
    for (int i = 0; i < SHA256_BYTES; i++) snprintf(text + (ptrdiff_t)2 * i, 3, "%02x", hash[i]);
    assert_string_equal(text, want);
}

static void test_vectors(void **state) {
    (void)state;
    uint8_t hash[SHA256_BYTES];
    for (size_t i = 0; i < sizeof hash_cases / sizeof hash_cases[0]; i++) {
        sha256_run(hash_cases[i].text, strlen(hash_cases[i].text), hash);
        hash_expect(hash, hash_cases[i].hash);
    }
    char *letters = malloc(LETTERS);
    assert_non_null(letters);
    memset(letters, 'a', LETTERS);
    sha256_run(letters, LETTERS, hash);
    hash_expect(hash, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(letters);
}

static void test_all_lengths(void **state) {
    (void)state;
    uint8_t text[SHA256_BYTES + CHAIN_LENGTHS] = {0};
    for (uint32_t n = 0; n < CHAIN_LENGTHS; n++) {
        uint8_t hash[SHA256_BYTES];
        for (uint32_t i = 0; i < n; i++) text[SHA256_BYTES + i] = (uint8_t)(i * 7 + n);
        sha256_run(text, SHA256_BYTES + n, hash);
        memcpy(text, hash, sizeof hash);
    }
    hash_expect(text, "00025af3d8a59c971c99920b482e7f521d1be802f35934e387563695d7296695");
}

static void test_comparison(void **state) {
    (void)state;
    uint8_t a[SHA256_BYTES] = {1, 2, 3};
    for (uint32_t bit = 0; bit < SHA256_BYTES * 8; bit++) {
        uint8_t b[SHA256_BYTES];
        memcpy(b, a, sizeof b);
        assert_true(sha256_is_equal(a, b));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(sha256_is_equal(a, b));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_all_lengths),
        cmocka_unit_test(test_comparison),
    };
    return cmocka_run_group_tests_name("registry/sha256", tests, NULL, NULL);
}
