#include "client/layout.h"

#include <stdlib.h>

/* The fewest bytes of each item on the wire: a count that needs more than there are is refused
 * before memory is taken for it. */
enum { KEY_BYTES_MIN = 10, GROUP_BYTES_MIN = 22, FEATURE_BYTES_MIN = 26, HEAD_BYTES = 20 };

struct decoder {
    struct reader reader;
    struct client_layout *layout;
    char *names; /* room for those still to come */
};

/* A string of the payload as 0-ended text; it takes one byte less there than with its length. */
static const char *name_read(struct decoder *d) {
    struct bytes name = read_short(&d->reader);
    if (d->reader.failed || (name.bytes > 0 && memchr(name.data, 0, name.bytes))) {
        d->reader.failed = true;
        return "";
    }
    char *text = d->names;
    if (name.bytes > 0) memcpy(text, name.data, name.bytes);
    text[name.bytes] = '\0';
    d->names += name.bytes + 1;
    return text;
}

static void zeros_read(struct decoder *d, size_t bytes) {
    const uint8_t *at = read_bytes(&d->reader, bytes);
    for (size_t i = 0; at && i < bytes; i++) {
        if (at[i] != 0) d->reader.failed = true;
    }
}

static bool keys_read(struct decoder *d) {
    for (uint32_t i = 0; i < d->layout->keys_count; i++) {
        struct client_layout_key *key = &d->layout->keys[i];
        if (client_type_decode(&d->reader, &key->type) != FST_OK) return false;
        key->name = name_read(d);
    }
    return !d->reader.failed;
}

static bool groups_read(struct decoder *d) {
    const struct client_layout *layout = d->layout;
    for (uint32_t i = 0; i < layout->groups_count; i++) {
        struct client_layout_group *group = &layout->groups[i];
        group->offset = read_u32(&d->reader);
        group->bytes = read_u32(&d->reader);
        group->features_count = read_u16(&d->reader);
        uint8_t key_columns_count = read_u8(&d->reader);
        zeros_read(d, 1);
        for (uint32_t k = 0; k < key_columns_count; k++) {
            if (read_u16(&d->reader) >= layout->keys_count) return false;
        }
        group->ttl_us = read_i64(&d->reader);
        group->view = name_read(d);
        if (d->reader.failed) return false;
        if (layout->plan == CLIENT_PLAN_WRITE) continue;
        size_t nulls_bytes = (size_t)(group->features_count + 63u) / 64 * 8;
        if (group->bytes < CLIENT_GROUP_HEAD_BYTES + nulls_bytes) return false;       /* I1 */
        if ((uint64_t)group->offset + group->bytes > layout->row_bytes) return false; /* I1 */
    }
    return true;
}

static bool place_is_valid(const struct client_layout *layout,
                           const struct client_layout_feature *feature) {
    if (feature->group >= layout->groups_count) return false;
    if (layout->plan == CLIENT_PLAN_WRITE) return true;
    if (feature->null_bit >= layout->groups[feature->group].features_count) return false; /* I1 */
    uint32_t bytes = client_type_bytes(feature->type);
    if (bytes == 0) bytes = 8;
    return (uint64_t)feature->offset + bytes <= layout->row_bytes; /* I2 */
}

static bool features_read(struct decoder *d) {
    for (uint32_t i = 0; i < d->layout->features_count; i++) {
        struct client_layout_feature *feature = &d->layout->features[i];
        feature->group = read_u16(&d->reader);
        feature->null_bit = read_u16(&d->reader);
        feature->offset = read_u32(&d->reader);
        if (client_type_decode(&d->reader, &feature->type) != FST_OK) return false;
        uint8_t has_default = read_u8(&d->reader);
        feature->has_default = has_default == 1;
        zeros_read(d, 7);
        feature->name = name_read(d);
        if (d->reader.failed || has_default > 1) return false;
        if (!place_is_valid(d->layout, feature)) return false;
        if (!feature->has_default) continue;
        uint32_t bytes = client_type_bytes(feature->type);
        if (bytes == 0) bytes = read_u32(&d->reader);
        (void)read_bytes(&d->reader, bytes);
    }
    return !d->reader.failed;
}

/* The counts, without believing them: how many items of `bytes_min` are there room for? */
static bool counts_find(struct reader reader, uint32_t counts_out[3]) {
    struct reader r = reader;
    counts_out[0] = read_u16(&r);
    if (r.failed || counts_out[0] * (size_t)KEY_BYTES_MIN > reader_left(&r)) return false;
    for (uint32_t i = 0; i < counts_out[0]; i++) {
        (void)read_bytes(&r, CLIENT_TYPE_BYTES);
        (void)read_short(&r);
    }
    counts_out[1] = read_u16(&r);
    if (r.failed || counts_out[1] * (size_t)GROUP_BYTES_MIN > reader_left(&r)) return false;
    for (uint32_t i = 0; i < counts_out[1]; i++) {
        (void)read_bytes(&r, 10);
        size_t key_columns_count = read_u8(&r);
        (void)read_bytes(&r, 1 + 2 * key_columns_count + 8);
        (void)read_short(&r);
    }
    counts_out[2] = read_u16(&r);
    return !r.failed && counts_out[2] * (size_t)FEATURE_BYTES_MIN <= reader_left(&r);
}

static struct client_layout *layout_create(const uint32_t counts[3], size_t names_bytes,
                                           char **names_out) {
    size_t head = bytes_align(sizeof(struct client_layout), 16);
    size_t keys = bytes_align(counts[0] * sizeof(struct client_layout_key), 16);
    size_t groups = bytes_align(counts[1] * sizeof(struct client_layout_group), 16);
    size_t features = bytes_align(counts[2] * sizeof(struct client_layout_feature), 16);
    uint8_t *memory = calloc(1, head + keys + groups + features + names_bytes);
    if (!memory) return NULL;
    struct client_layout *layout = (struct client_layout *)(void *)memory;
    layout->keys_count = counts[0];
    layout->groups_count = counts[1];
    layout->features_count = counts[2];
    layout->keys = (struct client_layout_key *)(void *)(memory + head);
    layout->groups = (struct client_layout_group *)(void *)(memory + head + keys);
    layout->features = (struct client_layout_feature *)(void *)(memory + head + keys + groups);
    *names_out = (char *)(memory + head + keys + groups + features);
    return layout;
}

enum fst_status client_layout_decode(struct bytes payload, struct client_layout **layout_out) {
    if (payload.bytes < HEAD_BYTES) return FST_BAD_FRAME;
    struct decoder d = {.reader = reader_of(payload.data, payload.bytes)};
    uint32_t number = read_u32(&d.reader);
    uint64_t id = read_u64(&d.reader);
    uint8_t plan = read_u8(&d.reader);
    zeros_read(&d, 3);
    uint32_t row_bytes = read_u32(&d.reader);
    uint32_t counts[3];
    if (d.reader.failed || plan > CLIENT_PLAN_WRITE || number == 0) return FST_BAD_FRAME;
    if (!counts_find(d.reader, counts)) return FST_BAD_FRAME;

    d.layout = layout_create(counts, payload.bytes, &d.names);
    if (!d.layout) return FST_NO_MEMORY;
    d.layout->number = number;
    d.layout->id = id;
    d.layout->plan = (enum client_plan)plan;
    d.layout->row_bytes = row_bytes;
    (void)read_u16(&d.reader);
    bool is_good = keys_read(&d);
    (void)read_u16(&d.reader);
    is_good = is_good && groups_read(&d);
    (void)read_u16(&d.reader);
    is_good = is_good && features_read(&d) && reader_is_done(&d.reader);
    if (!is_good) {
        client_layout_destroy(d.layout);
        return FST_BAD_FRAME;
    }
    *layout_out = d.layout;
    return FST_OK;
}

void client_layout_destroy(struct client_layout *layout) {
    while (layout) {
        struct client_layout *older = layout->older;
        free(layout);
        layout = older;
    }
}
