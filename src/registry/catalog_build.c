#include "registry/catalog_build.h"

#include <stdlib.h>

#include "base/assert.h"
#include "registry/change_check.h"
#include "registry/resolve.h"

static void name_fill(struct name *name, const char *text) {
    size_t bytes = strlen(text);
    FST_ASSERT(bytes <= NAME_BYTES_MAX);
    memcpy(name->text, text, bytes + 1);
}

/* An array of at least one zeroed element, so that NULL always means no memory. */
static void *array_get(size_t count, size_t each_bytes) {
    return calloc(count + (count == 0), each_bytes);
}

static bool text_fill(char **copy_out, const char *text) {
    if (text[0] == 0) return true;
    *copy_out = strdup(text);
    return *copy_out != NULL;
}

static bool metadata_fill(struct metadata *metadata, const Fst__Registry__Metadata *stored) {
    if (!stored) return true;
    if (!text_fill(&metadata->description, stored->description)) return false;
    if (!text_fill(&metadata->owner, stored->owner)) return false;
    metadata->tags = array_get(stored->n_tags, sizeof *metadata->tags);
    if (!metadata->tags) return false;
    for (size_t i = 0; i < stored->n_tags; i++) {
        struct tag *tag = &metadata->tags[metadata->tags_count++];
        tag->key = strdup(stored->tags[i]->key);
        tag->value = strdup(stored->tags[i]->value);
        if (!tag->key || !tag->value) return false;
    }
    return true;
}

/* ---- entities ---- */

static bool entity_fill(struct entity *entity, const Fst__Registry__Entity *stored) {
    entity->id = stored->id;
    name_fill(&entity->space, stored->space);
    name_fill(&entity->name, stored->name);
    entity->keys_count = (uint32_t)stored->n_keys;
    for (size_t i = 0; i < stored->n_keys; i++) {
        name_fill(&entity->keys[i].name, stored->keys[i]->name);
        entity->keys[i].type = change_type(stored->keys[i]->type);
        entity->key_types[i] = entity->keys[i].type;
    }
    return metadata_fill(&entity->metadata, stored->metadata);
}

static int entity_order(const void *a, const void *b) {
    const struct entity *left = a;
    const struct entity *right = b;
    return name_order(&left->space, &left->name, &right->space, &right->name);
}

static bool entities_fill(struct catalog *catalog, const struct registry_state *state) {
    catalog->entities = array_get(state->entities_count, sizeof *catalog->entities);
    if (!catalog->entities) return false;
    for (size_t i = 0; i < state->entities_count; i++) {
        struct entity *entity = &catalog->entities[catalog->entities_count++];
        if (!entity_fill(entity, state->entities[i])) return false;
    }
    qsort(catalog->entities, catalog->entities_count, sizeof *catalog->entities, entity_order);
    return true;
}

static const struct entity *entity_find(const struct catalog *catalog, uint32_t id) {
    for (uint32_t i = 0; i < catalog->entities_count; i++) {
        if (catalog->entities[i].id == id) return &catalog->entities[i];
    }
    return NULL;
}

/* ---- views ---- */

static bool feature_fill(struct feature *feature, const Fst__Registry__Feature *stored) {
    name_fill(&feature->name, stored->name);
    feature->type = change_type(stored->type);
    feature->has_default = stored->has_default;
    if (stored->has_default) {
        size_t bytes = stored->default_value.len;
        uint8_t *value = malloc(bytes + (bytes == 0));
        if (!value) return false;
        if (bytes > 0) memcpy(value, stored->default_value.data, bytes);
        feature->default_value = (struct bytes){.data = value, .bytes = bytes};
    }
    return metadata_fill(&feature->metadata, stored->metadata);
}

static bool revision_fill(struct view_revision *revision, const struct entity *entity,
                          ProtobufCBinaryData stored) {
    struct type types[FEATURES_MAX];
    uint32_t count = (uint32_t)(stored.len / TYPE_WIRE_BYTES);
    FST_ASSERT(count <= FEATURES_MAX);
    memcpy(types, stored.data, stored.len);
    struct row_column *columns = array_get(count, sizeof *columns);
    if (!columns) return false;
    struct row_body body;
    row_body_init(&body, columns, types, count);
    row_layout_init(&revision->layout, entity->key_types, entity->keys_count, &body);
    revision->features_count = count;
    return true;
}

static bool view_fill(struct view *view, const struct catalog *catalog,
                      const Fst__Registry__View *stored) {
    view->id = stored->id;
    view->version = stored->version;
    name_fill(&view->space, stored->space);
    name_fill(&view->name, stored->name);
    view->entity = entity_find(catalog, stored->entity_id);
    FST_ASSERT(view->entity != NULL);
    view_bare_init(view);
    view->ttl_us = stored->ttl_us;
    view->future_us = stored->future_us;
    view->is_visible_from_memory = stored->is_visible_from_memory;
    view->evicts = stored->evicts;
    if (!metadata_fill(&view->metadata, stored->metadata)) return false;
    view->features = array_get(stored->n_features, sizeof *view->features);
    view->revisions = array_get(stored->n_revisions, sizeof *view->revisions);
    if (!view->features || !view->revisions) return false;
    for (size_t i = 0; i < stored->n_features; i++) {
        struct feature *feature = &view->features[view->features_count++];
        if (!feature_fill(feature, stored->features[i])) return false;
    }
    for (size_t i = 0; i < stored->n_revisions; i++) {
        struct view_revision *revision = &view->revisions[view->revisions_count++];
        if (!revision_fill(revision, view->entity, stored->revisions[i])) return false;
    }
    return true;
}

static int view_order(const void *a, const void *b) {
    const struct view *left = a;
    const struct view *right = b;
    int order = name_order(&left->space, &left->name, &right->space, &right->name);
    if (order != 0) return order;
    return (left->version > right->version) - (left->version < right->version);
}

static bool views_fill(struct catalog *catalog, const struct registry_state *state) {
    catalog->views = array_get(state->views_count, sizeof *catalog->views);
    catalog->views_by_id = array_get(state->views_count + 1, sizeof *catalog->views_by_id);
    if (!catalog->views || !catalog->views_by_id) return false;
    for (size_t i = 0; i < state->views_count; i++) {
        struct view *view = &catalog->views[catalog->views_count++];
        if (!view_fill(view, catalog, state->views[i])) return false;
    }
    qsort(catalog->views, catalog->views_count, sizeof *catalog->views, view_order);
    catalog->views_by_id_count = (uint32_t)state->views_count + 1;
    for (uint32_t i = 0; i < catalog->views_count; i++) {
        catalog->views_by_id[catalog->views[i].id] = &catalog->views[i];
    }
    return true;
}

/* ---- services ---- */

static void features_put(struct service *service, const struct view *view, const char *name) {
    bool is_all = strcmp(name, RESOLVE_ALL_FEATURES) == 0;
    for (uint32_t column = 0; column < view->features_count; column++) {
        if (!is_all && strcmp(view->features[column].name.text, name) != 0) continue;
        service->features[service->features_count++] =
            (struct service_feature){.view = view, .column = column};
    }
}

static bool service_fill(struct service *service, const struct catalog *catalog,
                         const struct registry_state *state, const Fst__Registry__Service *stored) {
    struct registry_scope scope = {.state = state};
    service->id = stored->id;
    name_fill(&service->space, stored->space);
    name_fill(&service->name, stored->name);
    size_t count = resolve_features_count(&scope, stored->features, stored->n_features);
    service->features = array_get(count, sizeof *service->features);
    if (!service->features) return false;
    for (size_t i = 0; i < stored->n_features; i++) {
        const Fst__Registry__ServiceFeature *feature = stored->features[i];
        features_put(service, catalog->views_by_id[feature->view_id], feature->name);
    }
    FST_ASSERT(service->features_count == count);
    return metadata_fill(&service->metadata, stored->metadata);
}

static int service_order(const void *a, const void *b) {
    const struct service *left = a;
    const struct service *right = b;
    return name_order(&left->space, &left->name, &right->space, &right->name);
}

static bool services_fill(struct catalog *catalog, const struct registry_state *state) {
    catalog->services = array_get(state->services_count, sizeof *catalog->services);
    if (!catalog->services) return false;
    for (size_t i = 0; i < state->services_count; i++) {
        struct service *service = &catalog->services[catalog->services_count++];
        if (!service_fill(service, catalog, state, state->services[i])) return false;
    }
    qsort(catalog->services, catalog->services_count, sizeof *catalog->services, service_order);
    return true;
}

enum fst_status catalog_build(const struct registry_state *state, struct catalog **catalog_out) {
    struct catalog *catalog = calloc(1, sizeof *catalog);
    if (!catalog) return FST_NO_MEMORY;
    catalog->generation = state->generation;
    if (!entities_fill(catalog, state) || !views_fill(catalog, state) ||
        !services_fill(catalog, state)) {
        catalog_destroy(catalog);
        return FST_NO_MEMORY;
    }
    FST_ASSERT(catalog_check(catalog) == FST_OK);
    *catalog_out = catalog;
    return FST_OK;
}
