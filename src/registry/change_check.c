#include "registry/change_check.h"

#include "model/definition.h"
#include "registry/resolve.h"
#include "registry/sha256.h"

static bool name_is_right(const char *name) {
    return name_is_valid(name, strlen(name));
}

struct type change_type(ProtobufCBinaryData data) {
    struct type type = {0};
    if (data.len != sizeof type) return type;
    memcpy(&type, data.data, sizeof type);
    return type_is_valid(type) ? type : (struct type){0};
}

/* An id is known, or the next one. */
static bool id_is_right(uint32_t id, size_t count) {
    return id >= 1 && id <= count + 1;
}

/* ---- entities ---- */

static bool entity_keys_are_right(const Fst__Registry__Entity *entity) {
    if (entity->n_keys < 1 || entity->n_keys > KEY_COLUMNS_MAX) return false;
    for (size_t i = 0; i < entity->n_keys; i++) {
        struct type type = change_type(entity->keys[i]->type);
        if (!name_is_right(entity->keys[i]->name) || !key_type_is_allowed(type)) return false;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(entity->keys[i]->name, entity->keys[j]->name) == 0) return false;
        }
    }
    return true;
}

static bool entity_keys_are_equal(const Fst__Registry__Entity *a, const Fst__Registry__Entity *b) {
    if (a->n_keys != b->n_keys) return false;
    for (size_t i = 0; i < a->n_keys; i++) {
        struct type type = change_type(a->keys[i]->type);
        if (strcmp(a->keys[i]->name, b->keys[i]->name) != 0) return false;
        if (!type_is_equal(type, change_type(b->keys[i]->type))) return false;
    }
    return true;
}

static bool entity_is_right(const struct registry_state *state, const Fst__Registry__Entity *entity,
                            size_t *entities_count) {
    if (!name_is_right(entity->space) || !name_is_right(entity->name)) return false;
    if (!entity_keys_are_right(entity)) return false;
    if (!id_is_right(entity->id, *entities_count)) return false;
    struct registry_scope scope = {.state = state};
    const Fst__Registry__Entity *named = scope_find_entity(&scope, entity->space, entity->name);
    if (named) return named->id == entity->id && entity_keys_are_equal(named, entity);
    if (entity->id != *entities_count + 1) return false;
    *entities_count += 1;
    return true;
}

/* ---- views ---- */

static bool features_are_right(const Fst__Registry__View *view) {
    if (view->n_features < 1 || view->n_features > FEATURES_MAX) return false;
    for (size_t i = 0; i < view->n_features; i++) {
        const Fst__Registry__Feature *feature = view->features[i];
        struct type type = change_type(feature->type);
        if (!name_is_right(feature->name) || type.kind == TYPE_NONE) return false;
        if (registry_view_find_feature(view, feature->name) != (int)i) return false;
        if (!feature->has_default) continue;
        struct bytes value = {.data = feature->default_value.data,
                              .bytes = feature->default_value.len};
        if (value_check(type, value) != FST_OK) return false;
    }
    return true;
}

/* Types of a revision, which are a prefix of the next one's or, for the last one, all of the
 * view's. */
static bool revision_is_right(const Fst__Registry__View *view, size_t number) {
    ProtobufCBinaryData types = view->revisions[number];
    bool is_last = number + 1 == view->n_revisions;
    size_t count = types.len / TYPE_WIRE_BYTES;
    if (types.len % TYPE_WIRE_BYTES != 0 || count < 1 || count > view->n_features) return false;
    if (is_last && count != view->n_features) return false;
    if (!is_last && types.len > view->revisions[number + 1].len) return false;
    for (size_t i = 0; i < count; i++) {
        size_t offset = i * TYPE_WIRE_BYTES;
        struct type type =
            change_type((ProtobufCBinaryData){.len = TYPE_WIRE_BYTES, .data = types.data + offset});
        struct type later = change_type(view->features[i]->type);
        if (!is_last) memcpy(&later, view->revisions[number + 1].data + offset, sizeof later);
        if (type.kind == TYPE_NONE || !type_can_widen(type, later)) return false;
        if (is_last && !type_is_equal(type, later)) return false;
    }
    return true;
}

/* No column is both key and feature, and the row is not too large. */
static bool row_is_right(const Fst__Registry__View *view, const Fst__Registry__Entity *entity) {
    struct type keys[KEY_COLUMNS_MAX];
    struct type types[FEATURES_MAX];
    for (size_t i = 0; i < entity->n_keys; i++) {
        keys[i] = change_type(entity->keys[i]->type);
        if (registry_view_find_feature(view, entity->keys[i]->name) >= 0) return false;
    }
    for (size_t i = 0; i < view->n_features; i++) types[i] = change_type(view->features[i]->type);
    return row_image_bytes(keys, (uint32_t)entity->n_keys, types, (uint32_t)view->n_features) <=
           ROW_IMAGE_BYTES_MAX;
}

static bool view_is_right(const struct registry_scope *both, const Fst__Registry__View *view,
                          size_t *views_count) {
    const Fst__Registry__Entity *entity = scope_get_entity(both, view->entity_id);
    if (!name_is_right(view->space) || !name_is_right(view->name)) return false;
    if (!entity || !entity_keys_are_right(entity) || !features_are_right(view)) return false;
    if (!row_is_right(view, entity)) return false;
    if (view->version == 0 || view->ttl_us < 0 || view->future_us < 0) return false;
    if (view->n_revisions < 1 || view->n_revisions > REVISIONS_MAX) return false;
    for (size_t i = 0; i < view->n_revisions; i++) {
        if (!revision_is_right(view, i)) return false;
    }
    if (!id_is_right(view->id, *views_count)) return false;
    struct registry_scope stored = {.state = both->state};
    const Fst__Registry__View *named =
        scope_find_view(&stored, view->space, view->name, view->version);
    if (named) return named->id == view->id && named->entity_id == view->entity_id;
    if (view->id != *views_count + 1) return false;
    *views_count += 1;
    return true;
}

/* ---- services and keys ---- */

static bool service_is_right(const struct registry_scope *both,
                             const Fst__Registry__Service *service, size_t *services_count) {
    if (!name_is_right(service->space) || !name_is_right(service->name)) return false;
    if (service->n_features < 1 || service->n_features > FEATURES_MAX) return false;
    for (size_t i = 0; i < service->n_features; i++) {
        const Fst__Registry__ServiceFeature *feature = service->features[i];
        const Fst__Registry__View *view = scope_get_view(both, feature->view_id);
        if (!view) return false;
        bool is_all = strcmp(feature->name, RESOLVE_ALL_FEATURES) == 0;
        if (!is_all && registry_view_find_feature(view, feature->name) < 0) return false;
    }
    if (!id_is_right(service->id, *services_count)) return false;
    struct registry_scope stored = {.state = both->state};
    const Fst__Registry__Service *named =
        scope_find_service(&stored, service->space, service->name);
    if (named) return named->id == service->id;
    if (service->id != *services_count + 1) return false;
    *services_count += 1;
    return true;
}

static bool keys_are_right(const struct registry_state *state,
                           const Fst__Registry__Change *change) {
    struct registry_scope stored = {.state = state};
    struct registry_scope both = {.state = state, .change = change};
    for (size_t i = 0; i < change->n_keys; i++) {
        const Fst__Registry__Key *key = change->keys[i];
        if (!name_is_right(key->name) || key->hash.len != SHA256_BYTES) return false;
        if (scope_find_key(&stored, key->name) || scope_find_key(&both, key->name) != key) {
            return false;
        }
    }
    for (size_t i = 0; i < change->n_revoked; i++) {
        if (!scope_find_key(&stored, change->revoked[i])) return false;
    }
    return true;
}

/* Also of services that are not in the change: a view that grows makes them grow. */
static bool services_are_small_enough(const struct registry_scope *both) {
    for (uint32_t id = 1; id <= scope_services_count(both); id++) {
        const Fst__Registry__Service *service = scope_get_service(both, id);
        size_t total = resolve_features_count(both, service->features, service->n_features);
        if (total > FEATURES_MAX) return false;
    }
    return true;
}

/* ---- the change ---- */

/* Ids in a change are different, so that no message takes the place of another. */
static bool ids_are_different(const Fst__Registry__Change *change) {
    struct registry_state nothing = {0};
    struct registry_scope scope = {.state = &nothing, .change = change};
    for (size_t i = 0; i < change->n_entities; i++) {
        const Fst__Registry__Entity *entity = change->entities[i];
        if (scope_get_entity(&scope, entity->id) != entity) return false;
        if (scope_find_entity(&scope, entity->space, entity->name) != entity) return false;
    }
    for (size_t i = 0; i < change->n_views; i++) {
        const Fst__Registry__View *view = change->views[i];
        if (scope_get_view(&scope, view->id) != view) return false;
        if (scope_find_view(&scope, view->space, view->name, view->version) != view) return false;
    }
    for (size_t i = 0; i < change->n_services; i++) {
        const Fst__Registry__Service *service = change->services[i];
        if (scope_get_service(&scope, service->id) != service) return false;
        if (scope_find_service(&scope, service->space, service->name) != service) return false;
    }
    return true;
}

enum fst_status change_check(const struct registry_state *state,
                             const Fst__Registry__Change *change, struct fst_error *error) {
    struct registry_scope both = {.state = state, .change = change};
    size_t entities_count = state->entities_count;
    size_t views_count = state->views_count;
    size_t services_count = state->services_count;
    const char *wrong = NULL;
    const char *name = "";
    if (change->generation != state->generation + 1)
        wrong = "generation";
    else if (!ids_are_different(change))
        wrong = "ids";
    else if (!keys_are_right(state, change))
        wrong = "keys";
    for (size_t i = 0; i < change->n_entities && !wrong; i++) {
        name = change->entities[i]->name;
        if (!entity_is_right(state, change->entities[i], &entities_count)) wrong = "entity";
    }
    for (size_t i = 0; i < change->n_views && !wrong; i++) {
        name = change->views[i]->name;
        if (!view_is_right(&both, change->views[i], &views_count)) wrong = "view";
    }
    for (size_t i = 0; i < change->n_services && !wrong; i++) {
        name = change->services[i]->name;
        if (!service_is_right(&both, change->services[i], &services_count)) wrong = "service";
    }
    if (!wrong && !services_are_small_enough(&both)) wrong = "services";
    if (!wrong) return FST_OK;
    return fst_error_set(
        error, FST_CORRUPT, "registry change %llu after %llu: its %s '%.63s' makes no sense",
        (unsigned long long)change->generation, (unsigned long long)state->generation, wrong, name);
}
