/*
 * sha256: the hash of FIPS 180-4, for access keys.
 *
 * A key is 256 random bits, so one plain hash of it is as hard to turn around as a slow one of a
 * password would be.
 *
 * Threads: pure functions.
 */
#ifndef REGISTRY_SHA256_H
#define REGISTRY_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32 };

void sha256_run(const void *data, size_t bytes, uint8_t hash_out[SHA256_BYTES]);

/* Whether two hashes are equal, in a time that does not depend on where they differ. */
bool sha256_is_equal(const uint8_t a[SHA256_BYTES], const uint8_t b[SHA256_BYTES]);

#endif
