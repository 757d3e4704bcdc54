/*
 * access: the keys that clients show, as an immutable table of their hashes.
 *
 * A key's text is "fst_" and 64 hex digits, 256 random bits that are shown once and kept nowhere;
 * stored is the SHA-256 of the text. Looking one up compares its hash with every stored one, in a
 * time that depends only on how many there are. As long as there is no key, everybody has all
 * roles.
 *
 * Threads: a table may be read by all. Memory: one allocation, owned by the creator.
 */
#ifndef REGISTRY_ACCESS_H
#define REGISTRY_ACCESS_H

#include "registry/state.h"

enum fst_role { ROLE_READ = 1, ROLE_WRITE = 2, ROLE_ADMIN = 4 };

enum {
    ACCESS_ROLES = ROLE_READ | ROLE_WRITE | ROLE_ADMIN,
    ACCESS_SECRET_BYTES = 32,
    ACCESS_KEY_TEXT_BYTES = 80,
    ACCESS_KEYS_MAX = 1000,
    ACCESS_HASH_BYTES = 32,
};

/* The text of a key, 0-ended. */
void access_key_text(const uint8_t secret[ACCESS_SECRET_BYTES],
                     char text_out[ACCESS_KEY_TEXT_BYTES]);

struct access_table;

/* A table of the state's keys. FST_NO_MEMORY. */
FST_MUST_USE enum fst_status access_create(struct access_table **access_out,
                                           const struct registry_state *state);
/* NULL is allowed. */
void access_destroy(struct access_table *access);

uint32_t access_keys_count(const struct access_table *access);

/* What is remembered of a key: its hash. Of no key, that of the empty text. */
void access_key_hash(const void *key_text, size_t bytes, uint8_t hash_out[ACCESS_HASH_BYTES]);

/* Roles of the key with this hash; 0 if there is none; all roles if no key exists at all. */
uint32_t access_find(const struct access_table *access, const uint8_t hash[ACCESS_HASH_BYTES]);

#endif
