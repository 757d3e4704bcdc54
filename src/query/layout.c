#include "query/layout.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "query/read_plan.h"
#include "query/write_plan.h"

enum { LAYOUT_BYTES_MAX = 1 << 20 };

/* The head that every layout shares. */
static void head_write(struct writer *w, enum plan_kind kind, uint32_t row_bytes,
                       const struct key_column *keys, uint32_t keys_count) {
    write_u8(w, (uint8_t)kind);
    write_u8(w, 0);
    write_u16(w, 0);
    write_u32(w, row_bytes);
    write_u16(w, (uint16_t)keys_count);
    for (uint32_t i = 0; i < keys_count; i++) {
        write_bytes(w, &keys[i].type, TYPE_WIRE_BYTES);
        write_short(w, keys[i].name.text, strlen(keys[i].name.text));
    }
}

static void view_name_write(struct writer *w, const struct view *view) {
    char text[2 * NAME_BYTES_MAX + 2];
    size_t space = strlen(view->space.text);
    size_t name = strlen(view->name.text);
    memcpy(text, view->space.text, space);
    text[space] = '.';
    memcpy(text + space + 1, view->name.text, name);
    write_short(w, text, space + 1 + name);
}

static void group_write(struct writer *w, const struct read_plan *plan,
                        const struct plan_group *group) {
    const struct plan_entity *entity = &plan->entities[group->entity];
    write_u32(w, group->offset);
    write_u32(w, group->bytes);
    write_u16(w, (uint16_t)group->body.columns_count);
    write_u8(w, (uint8_t)entity->entity->keys_count);
    write_u8(w, 0);
    for (uint32_t i = 0; i < entity->entity->keys_count; i++) write_u16(w, entity->key_columns[i]);
    write_i64(w, group->view->ttl_us);
    view_name_write(w, group->view);
}

static void feature_write(struct writer *w, uint32_t group, uint32_t bit, uint32_t offset,
                          const struct feature *feature) {
    static const uint8_t zeros[7];
    write_u16(w, (uint16_t)group);
    write_u16(w, (uint16_t)bit);
    write_u32(w, offset);
    write_bytes(w, &feature->type, TYPE_WIRE_BYTES);
    write_u8(w, feature->has_default);
    write_bytes(w, zeros, sizeof zeros);
    write_short(w, feature->name.text, strlen(feature->name.text));
    if (!feature->has_default) return;
    if (type_fixed_bytes(feature->type) == 0) {
        write_u32(w, (uint32_t)feature->default_value.bytes);
    }
    write_bytes(w, feature->default_value.data, feature->default_value.bytes);
}

/* Copies what was written to memory of its own. */
static enum fst_status layout_keep(const struct writer *w, struct bytes *layout_out,
                                   uint64_t *layout_id_out) {
    if (w->failed) return FST_TOO_LARGE;
    size_t bytes = writer_used(w);
    uint8_t *copy = malloc(bytes);
    if (!copy) return FST_NO_MEMORY;
    memcpy(copy, w->begin, bytes);
    *layout_out = (struct bytes){.data = copy, .bytes = bytes};
    *layout_id_out = hash_checksum(copy, bytes, 0);
    return FST_OK;
}

enum fst_status layout_of_read(struct read_plan *plan) {
    uint8_t *room = malloc(LAYOUT_BYTES_MAX);
    if (!room) return FST_NO_MEMORY;
    struct writer w = writer_of(room, LAYOUT_BYTES_MAX);
    head_write(&w, plan->kind, plan->row_bytes, plan->key_columns, plan->key_columns_count);
    write_u16(&w, (uint16_t)plan->groups_count);
    for (uint32_t g = 0; g < plan->groups_count; g++) group_write(&w, plan, &plan->groups[g]);
    write_u16(&w, (uint16_t)plan->features_count);
    for (uint32_t i = 0; i < plan->features_count; i++) {
        const struct plan_feature *feature = &plan->features[i];
        const struct plan_group *group = &plan->groups[feature->group];
        uint32_t offset =
            group->offset + PLAN_GROUP_HEADER_BYTES + group->body.columns[feature->column].offset;
        feature_write(&w, feature->group, feature->column, offset,
                      &group->view->features[group->columns[feature->column]]);
    }
    enum fst_status status = layout_keep(&w, &plan->layout, &plan->layout_id);
    free(room);
    return status;
}

enum fst_status layout_of_write(struct write_plan *plan) {
    uint8_t *room = malloc(LAYOUT_BYTES_MAX);
    if (!room) return FST_NO_MEMORY;
    const struct view *view = plan->view;
    struct writer w = writer_of(room, LAYOUT_BYTES_MAX);
    head_write(&w, PLAN_WRITE, 0, view->entity->keys, view->entity->keys_count);
    write_u16(&w, 1);
    write_u32(&w, 0);
    write_u32(&w, 0);
    write_u16(&w, (uint16_t)plan->columns_count);
    write_u8(&w, (uint8_t)view->entity->keys_count);
    write_u8(&w, 0);
    for (uint32_t i = 0; i < view->entity->keys_count; i++) write_u16(&w, (uint16_t)i);
    write_i64(&w, view->ttl_us);
    view_name_write(&w, view);
    write_u16(&w, (uint16_t)plan->columns_count);
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        feature_write(&w, 0, 0, 0, &view->features[plan->columns[i].index]);
    }
    enum fst_status status = layout_keep(&w, &plan->layout, &plan->layout_id);
    free(room);
    return status;
}
