#include "registry/access.h"

#include <stdlib.h>
#include <string.h>

#include "registry/sha256.h"

static_assert((int)ACCESS_HASH_BYTES == (int)SHA256_BYTES, "a key is known by its SHA-256");

static const char key_prefix[] = {'f', 's', 't', '_'};

struct access_entry {
    uint32_t roles;
    uint8_t hash[SHA256_BYTES];
};

struct access_table {
    uint32_t entries_count;
    struct access_entry entries[];
};

void access_key_text(const uint8_t secret[ACCESS_SECRET_BYTES],
                     char text_out[ACCESS_KEY_TEXT_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    memcpy(text_out, key_prefix, sizeof key_prefix);
    char *at = text_out + sizeof key_prefix;
    for (uint32_t i = 0; i < ACCESS_SECRET_BYTES; i++) {
        *at++ = digits[secret[i] >> 4];
        *at++ = digits[secret[i] & 15];
    }
    *at = 0;
}

enum fst_status access_create(struct access_table **access_out,
                              const struct registry_state *state) {
    struct access_table *access =
        calloc(1, sizeof *access + state->keys_count * sizeof(struct access_entry));
    if (!access) return FST_NO_MEMORY;
    for (size_t i = 0; i < state->keys_count; i++) {
        struct access_entry *entry = &access->entries[access->entries_count++];
        entry->roles = state->keys[i]->roles & ACCESS_ROLES;
        memcpy(entry->hash, state->keys[i]->hash.data, SHA256_BYTES);
    }
    *access_out = access;
    return FST_OK;
}

void access_destroy(struct access_table *access) {
    free(access);
}

uint32_t access_keys_count(const struct access_table *access) {
    return access->entries_count;
}

void access_key_hash(const void *key_text, size_t bytes, uint8_t hash_out[ACCESS_HASH_BYTES]) {
    sha256_run(key_text, bytes, hash_out);
}

uint32_t access_find(const struct access_table *access, const uint8_t hash[ACCESS_HASH_BYTES]) {
    if (access->entries_count == 0) return ACCESS_ROLES;
    uint32_t roles = 0;
    for (uint32_t i = 0; i < access->entries_count; i++) {
        const struct access_entry *entry = &access->entries[i];
        uint32_t mask = 0u - (uint32_t)sha256_is_equal(entry->hash, hash);
        roles |= entry->roles & mask;
    }
    return roles;
}
