/*
 * entity_keys: keys of entities as texts, from a command line or a CSV file, in the order of a
 *              handle.
 *
 * Threads: one. Memory: owns copies of the texts.
 */
#ifndef FSCTL_ENTITY_KEYS_H
#define FSCTL_ENTITY_KEYS_H

#include "tools/fsctl/command.h"

struct entity_keys {
    const struct fst_handle *handle;
    uint32_t columns_count;
    size_t count; /* whole keys */
    char **texts; /* count * columns_count */
    size_t texts_max;
};

void entity_keys_init(struct entity_keys *keys, const struct fst_handle *handle);
void entity_keys_deinit(struct entity_keys *keys);

/* Reads COLUMN=VALUE words; a column that comes again begins the next key. Failures are printed. */
enum ctl_exit entity_keys_read_words(struct entity_keys *keys, struct ctl *ctl);
/* Reads a CSV text whose header names the key columns, in any order, and no others. */
enum ctl_exit entity_keys_read_csv(struct entity_keys *keys, struct ctl *ctl, char *text);

/* Puts keys from `first` on, at most `count`, for a read. */
enum ctl_exit entity_keys_put(const struct entity_keys *keys, struct ctl *ctl, size_t first,
                              size_t count, struct fst_keys *out);
/* Appends all keys as rows of this event time. */
enum ctl_exit entity_keys_append(const struct entity_keys *keys, struct ctl *ctl, int64_t event_us,
                                 struct fst_batch *out);
const char *entity_keys_text(const struct entity_keys *keys, size_t key, uint32_t column);

#endif
