#include "client/handle.h"

#include "base/assert.h"

enum { PREPARE_HEAD_BYTES = 6 };

/* ---- making one ---- */

static enum fst_status prepare_write(struct client_buffer *prepare, enum client_plan plan,
                                     const struct fst_text *names, uint32_t count) {
    uint8_t *head = client_buffer_append(prepare, PREPARE_HEAD_BYTES);
    if (!head) return FST_NO_MEMORY;
    memset(head, 0, PREPARE_HEAD_BYTES);
    head[0] = (uint8_t)plan;
    store_u16(head + 4, (uint16_t)count);
    for (uint32_t i = 0; i < count; i++) {
        if (names[i].bytes > UINT16_MAX) return FST_TOO_LARGE;
        uint8_t *room = client_buffer_append(prepare, 2);
        if (!room) return FST_NO_MEMORY;
        store_u16(room, (uint16_t)names[i].bytes);
        if (!client_buffer_append_bytes(prepare, names[i].text, names[i].bytes)) {
            return FST_NO_MEMORY;
        }
    }
    return FST_OK;
}

enum fst_status client_handle_create(struct fst_client *client, enum client_plan plan,
                                     const struct fst_text *names, uint32_t count,
                                     struct fst_handle **handle_out) {
    if (count > UINT16_MAX) return FST_TOO_LARGE;
    struct fst_handle *handle = calloc(1, sizeof *handle);
    if (!handle) return FST_NO_MEMORY;
    handle->client = client;
    handle->is_write = plan == CLIENT_PLAN_WRITE;
    enum fst_status status = prepare_write(&handle->prepare, plan, names, count);
    if (status != FST_OK) {
        client_handle_destroy(handle);
        return status;
    }
    *handle_out = handle;
    return FST_OK;
}

void client_handle_destroy(struct fst_handle *handle) {
    if (!handle) return;
    client_buffer_deinit(&handle->prepare);
    client_layout_destroy(handle->layout);
    free(handle->keys);
    free(handle->features);
    free(handle->places);
    free(handle->views);
    free(handle->view_places);
    free(handle);
}

/* ---- adopting a layout ---- */

static bool array_grow(void **array, size_t count, size_t item_bytes) {
    void *grown = realloc(*array, count > 0 ? count * item_bytes : 1);
    if (grown) *array = grown;
    return grown != NULL;
}

static enum fst_status keys_adopt(struct fst_handle *handle, const struct client_layout *layout) {
    bool is_first = layout->older == NULL;
    bool is_same = handle->keys_count == layout->keys_count;
    for (uint32_t i = 0; i < layout->keys_count && is_same; i++) {
        is_same = strcmp(handle->keys[i].name, layout->keys[i].name) == 0 &&
                  client_type_is_equal(handle->keys[i].type, layout->keys[i].type);
    }
    if (is_same && !is_first) return FST_OK;
    void *keys = handle->keys;
    if (!array_grow(&keys, layout->keys_count, sizeof *handle->keys)) return FST_NO_MEMORY;
    handle->keys = keys;
    handle->keys_count = layout->keys_count;
    for (uint32_t i = 0; i < layout->keys_count; i++) {
        handle->keys[i] = (struct fst_column){
            .name = layout->keys[i].name, .view = "", .type = layout->keys[i].type};
    }
    handle->generation += 1; /* I3 */
    return FST_OK;
}

static uint32_t view_find(const struct fst_handle *handle, const char *name) {
    uint32_t i = 0;
    while (i < handle->views_count && strcmp(handle->views[i].name, name) != 0) i++;
    return i;
}

static enum fst_status views_adopt(struct fst_handle *handle, const struct client_layout *layout) {
    size_t count = (size_t)handle->views_count + layout->groups_count;
    void *views = handle->views;
    void *offsets = handle->view_places;
    if (!array_grow(&views, count, sizeof *handle->views)) return FST_NO_MEMORY;
    handle->views = views;
    if (!array_grow(&offsets, count, sizeof *handle->view_places)) return FST_NO_MEMORY;
    handle->view_places = offsets;
    uint32_t known_count = handle->views_count;
    uint32_t found_count = 0;
    for (uint32_t g = 0; g < layout->groups_count; g++) {
        const struct client_layout_group *group = &layout->groups[g];
        uint32_t index = view_find(handle, group->view);
        if (index == handle->views_count) {
            handle->views[handle->views_count++].name = group->view;
        } else if (index < known_count) {
            found_count += 1;
        } else {
            return FST_BAD_FRAME; /* One view in two groups. */
        }
        handle->views[index].ttl_us = group->ttl_us;
        handle->view_places[index] =
            (struct client_view_place){.offset = group->offset, .group = g};
    }
    return found_count >= known_count ? FST_OK : FST_LAYOUT_CHANGED;
}

/* Index of a feature of the picture. New layouts rarely move features, so the same place is tried
 * first. */
static uint32_t feature_find(const struct fst_handle *handle, uint32_t guess, uint32_t view_index,
                             const char *name) {
    for (uint32_t n = 0; n < handle->features_count; n++) {
        uint32_t i = (guess + n) % handle->features_count;
        const struct fst_column *feature = &handle->features[i];
        if (feature->view_index == view_index && strcmp(feature->name, name) == 0) return i;
    }
    return handle->features_count;
}

/* `columns_offset` is that of the feature, and then of the next. */
static struct client_place place_of(const struct client_layout *layout, uint32_t number,
                                    uint32_t *columns_offset) {
    const struct client_layout_feature *feature = &layout->features[number];
    uint32_t group_offset = layout->groups[feature->group].offset;
    uint32_t bytes = client_type_bytes(feature->type);
    uint32_t offset = *columns_offset;
    *columns_offset = offset + 1 + (bytes > 0 ? bytes : CLIENT_REFERENCE_BYTES);
    return (struct client_place){
        .offset = feature->offset,
        .null_offset = group_offset + CLIENT_GROUP_HEAD_BYTES + feature->null_bit / 8,
        .null_mask = (uint8_t)(1u << (feature->null_bit % 8)),
        .group_offset = group_offset,
        .bytes = bytes,
        .group = feature->group,
        .number = number,
        .columns_offset = offset,
    };
}

static void feature_adopt(struct fst_handle *handle, const struct client_layout *layout,
                          uint32_t index, const struct client_layout_feature *feature) {
    struct fst_column *column = &handle->features[index];
    bool is_new = index == handle->features_count;
    if (is_new) {
        handle->features_count += 1;
        column->view_index = view_find(handle, layout->groups[feature->group].view);
        column->view = handle->views[column->view_index].name;
        column->name = feature->name;
    } else if (handle->is_write && !client_type_is_equal(column->type, feature->type)) {
        handle->generation += 1; /* I3 */
    }
    column->type = feature->type;
    column->has_default = feature->has_default;
}

static enum fst_status features_adopt(struct fst_handle *handle,
                                      const struct client_layout *layout) {
    size_t count = (size_t)handle->features_count + layout->features_count;
    void *features = handle->features;
    void *places = handle->places;
    if (!array_grow(&features, count, sizeof *handle->features)) return FST_NO_MEMORY;
    handle->features = features;
    if (!array_grow(&places, count, sizeof *handle->places)) return FST_NO_MEMORY;
    handle->places = places;
    uint32_t known_count = handle->features_count;
    uint32_t found_count = 0;
    bool is_first = known_count == 0;
    handle->is_in_order = true;
    handle->columns_bytes = layout->groups_count * CLIENT_VIEW_COLUMN_BYTES;
    for (uint32_t i = 0; i < layout->features_count; i++) {
        const struct client_layout_feature *feature = &layout->features[i];
        uint32_t view_index = view_find(handle, layout->groups[feature->group].view);
        uint32_t index =
            is_first ? handle->features_count : feature_find(handle, i, view_index, feature->name);
        if (index < known_count) found_count += 1;
        feature_adopt(handle, layout, index, feature);
        handle->places[index] = place_of(layout, i, &handle->columns_bytes);
        if (handle->places[index].bytes == 0) handle->has_heap = true;
        if (index != i) handle->is_in_order = false;
    }
    if (handle->is_write && handle->features_count > known_count && !is_first) {
        return FST_BAD_FRAME; /* A write has its features named one by one. */
    }
    return found_count >= known_count ? FST_OK : FST_LAYOUT_CHANGED;
}

enum fst_status client_handle_adopt(struct fst_handle *handle, struct client_layout *layout) {
    if (handle->layout && handle->layout->id == layout->id) { /* As after every reconnect. */
        handle->number = layout->number;
        client_layout_destroy(layout);
        return FST_OK;
    }
    layout->older = handle->layout;
    handle->layout = layout;
    handle->number = layout->number;
    if ((layout->plan == CLIENT_PLAN_WRITE) != handle->is_write) return FST_BAD_FRAME;
    if (layout->keys_count == 0 || layout->keys_count > CLIENT_KEY_COLUMNS_MAX) {
        return FST_BAD_FRAME;
    }
    FST_TRY(keys_adopt(handle, layout));
    FST_TRY(views_adopt(handle, layout));
    return features_adopt(handle, layout);
}

/* ---- looking at it ---- */

uint32_t client_handle_columns_count(const struct fst_handle *handle) {
    return handle->keys_count + handle->features_count;
}

const struct fst_column *client_handle_column(const struct fst_handle *handle, uint32_t column) {
    if (column < handle->keys_count) return &handle->keys[column];
    return &handle->features[column - handle->keys_count];
}

uint32_t fst_handle_keys_count(const struct fst_handle *handle) {
    return handle->keys_count;
}

struct fst_column fst_handle_key(const struct fst_handle *handle, uint32_t index) {
    if (index >= handle->keys_count) return (struct fst_column){.name = "", .view = ""};
    return handle->keys[index];
}

uint32_t fst_handle_features_count(const struct fst_handle *handle) {
    return handle->features_count;
}

struct fst_column fst_handle_feature(const struct fst_handle *handle, uint32_t index) {
    if (index >= handle->features_count) return (struct fst_column){.name = "", .view = ""};
    return handle->features[index];
}

uint32_t fst_handle_views_count(const struct fst_handle *handle) {
    return handle->views_count;
}

struct fst_view fst_handle_view(const struct fst_handle *handle, uint32_t index) {
    if (index >= handle->views_count) return (struct fst_view){.name = ""};
    return handle->views[index];
}

/* "view" names "namespace.view" too. */
static bool view_matches(const char *view, const char *wanted, size_t wanted_bytes) {
    const char *point = strchr(view, '.');
    if (strlen(view) == wanted_bytes && memcmp(view, wanted, wanted_bytes) == 0) return true;
    return point && strlen(point + 1) == wanted_bytes &&
           memcmp(point + 1, wanted, wanted_bytes) == 0;
}

int32_t fst_handle_find(const struct fst_handle *handle, const char *name) {
    const char *colon = strchr(name, ':');
    const char *feature = colon ? colon + 1 : name;
    int32_t found = -1;
    for (uint32_t i = 0; i < handle->features_count; i++) {
        const struct fst_column *column = &handle->features[i];
        if (strcmp(column->name, feature) != 0) continue;
        if (colon && !view_matches(column->view, name, (size_t)(colon - name))) continue;
        if (found >= 0) return -1;
        found = (int32_t)i;
    }
    return found;
}
