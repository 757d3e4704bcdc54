#include "registry/resolve.h"

#include "base/text.h"
#include "registry/change_check.h"

enum { SHOWN_BYTES = 160 };

/* A problem about a name that was not found. */
static void unknown_put(struct declarations *declarations, const struct declared_text *name,
                        const char *what, const char *nearest) {
    char shown[SHOWN_BYTES];
    text_format_printable(name->text, strlen(name->text), shown, sizeof shown);
    declarations_put_problem(declarations, name->place, "there is no %s '%s'%s%s%s", what, shown,
                             nearest ? ", did you mean '" : "", nearest ? nearest : "",
                             nearest ? "'?" : "");
}

static void malformed_put(struct declarations *declarations, const struct declared_text *name,
                          const char *expected) {
    char shown[SHOWN_BYTES];
    text_format_printable(name->text, strlen(name->text), shown, sizeof shown);
    declarations_put_problem(declarations, name->place, "expected %s, found '%s'", expected, shown);
}

static void space_complete(struct reference *reference, const char *space) {
    if (reference->space.text[0] != 0) return;
    memcpy(reference->space.text, space, strlen(space) + 1);
}

/* ---- entities ---- */

static const char *nearest_entity(const struct registry_scope *scope, const char *space,
                                  const char *name) {
    struct text_nearest nearest;
    text_nearest_init(&nearest, name);
    for (uint32_t id = 1; id <= scope_entities_count(scope); id++) {
        const Fst__Registry__Entity *entity = scope_get_entity(scope, id);
        if (entity && strcmp(entity->space, space) == 0) text_nearest_put(&nearest, entity->name);
    }
    return text_nearest_get(&nearest);
}

const Fst__Registry__Entity *resolve_entity(const struct registry_scope *scope,
                                            struct declarations *declarations,
                                            const struct declared_view *view) {
    struct reference reference;
    const char *text = view->entity.text;
    if (!reference_parse(text, strlen(text), &reference) || reference.version != 0) {
        malformed_put(declarations, &view->entity, "an entity, such as customer or fraud.customer");
        return NULL;
    }
    space_complete(&reference, view->space);
    const char *space = reference.space.text;
    const char *name = reference.name.text;
    const struct declared_entity *declared = declarations_find_entity(declarations, space, name);
    if (declared && declared->is_broken) return NULL;
    const Fst__Registry__Entity *entity = scope_find_entity(scope, space, name);
    if (!entity) {
        unknown_put(declarations, &view->entity, "entity", nearest_entity(scope, space, name));
    }
    return entity;
}

/* ---- features ---- */

static const char *nearest_view(const struct registry_scope *scope, const char *space,
                                const char *name) {
    struct text_nearest nearest;
    text_nearest_init(&nearest, name);
    for (uint32_t id = 1; id <= scope_views_count(scope); id++) {
        const Fst__Registry__View *view = scope_get_view(scope, id);
        if (view && strcmp(view->space, space) == 0) text_nearest_put(&nearest, view->name);
    }
    return text_nearest_get(&nearest);
}

static const char *nearest_feature(const Fst__Registry__View *view, const char *name) {
    struct text_nearest nearest;
    text_nearest_init(&nearest, name);
    for (size_t i = 0; i < view->n_features; i++) {
        text_nearest_put(&nearest, view->features[i]->name);
    }
    return text_nearest_get(&nearest);
}

/* Fills one feature. False if there is no such one, with a problem unless its view is broken. */
static bool feature_resolve(const struct registry_scope *scope, struct declarations *declarations,
                            const char *space, const struct declared_text *text,
                            Fst__Registry__ServiceFeature *feature) {
    struct reference reference;
    const char *colon = strchr(text->text, ':');
    const char *name = colon ? colon + 1 : NULL;
    bool is_all = name && strcmp(name, RESOLVE_ALL_FEATURES) == 0;
    if (!colon || !reference_parse(text->text, (size_t)(colon - text->text), &reference) ||
        (!is_all && !name_is_valid(name, strlen(name)))) {
        malformed_put(declarations, text, "view:feature or view:*");
        return false;
    }
    space_complete(&reference, space);
    const struct declared_view *declared = declarations_find_view(
        declarations, reference.space.text, reference.name.text, reference.version);
    if (declared && declared->is_broken) return false;
    const Fst__Registry__View *view =
        scope_find_view(scope, reference.space.text, reference.name.text, reference.version);
    if (!view) {
        unknown_put(declarations, text, "view for",
                    nearest_view(scope, reference.space.text, reference.name.text));
        return false;
    }
    if (!is_all && registry_view_find_feature(view, name) < 0) {
        unknown_put(declarations, text, "feature", nearest_feature(view, name));
        return false;
    }
    fst__registry__service_feature__init(feature);
    feature->view_id = view->id;
    feature->name = (char *)(uintptr_t)name;
    return true;
}

/* "view:*" takes all features, so nothing else of that view may stand beside it. */
static bool is_overlap(const Fst__Registry__ServiceFeature *a,
                       const Fst__Registry__ServiceFeature *b) {
    if (a->view_id != b->view_id) return false;
    return strcmp(a->name, b->name) == 0 || strcmp(a->name, RESOLVE_ALL_FEATURES) == 0 ||
           strcmp(b->name, RESOLVE_ALL_FEATURES) == 0;
}

size_t resolve_features_count(const struct registry_scope *scope,
                              Fst__Registry__ServiceFeature *const *features, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const Fst__Registry__View *view = scope_get_view(scope, features[i]->view_id);
        total += strcmp(features[i]->name, RESOLVE_ALL_FEATURES) == 0 ? view->n_features : 1;
    }
    return total;
}

/* ---- the keys a service asks for ---- */

struct service_keys {
    uint32_t entities_count;
    uint32_t columns_count;
    const Fst__Registry__Entity *entities[SERVICE_ENTITIES_MAX];
    const Fst__Registry__KeyColumn *columns[SERVICE_KEY_COLUMNS_MAX];
    const Fst__Registry__Entity *owners[SERVICE_KEY_COLUMNS_MAX]; /* of each column */
};

/* A problem's text, or NULL if the column fits. */
static const char *key_put(struct service_keys *keys, struct region *region,
                           const Fst__Registry__Entity *entity,
                           const Fst__Registry__KeyColumn *column) {
    for (uint32_t i = 0; i < keys->columns_count; i++) {
        char here[TYPE_TEXT_BYTES];
        char there[TYPE_TEXT_BYTES];
        if (strcmp(keys->columns[i]->name, column->name) != 0) continue;
        struct type type = change_type(column->type);
        struct type other = change_type(keys->columns[i]->type);
        if (type_is_equal(type, other)) return NULL;
        type_format(type, here);
        type_format(other, there);
        return region_get_format(region,
                                 "key column '%s' is %s in entity '%s' but %s in entity '%s': a "
                                 "service cannot ask for both",
                                 column->name, here, entity->name, there, keys->owners[i]->name);
    }
    if (keys->columns_count == SERVICE_KEY_COLUMNS_MAX) {
        return region_get_format(region, "expected at most %d key columns in a service",
                                 SERVICE_KEY_COLUMNS_MAX);
    }
    keys->owners[keys->columns_count] = entity;
    keys->columns[keys->columns_count++] = column;
    return NULL;
}

static const char *entity_put(struct service_keys *keys, struct region *region,
                              const Fst__Registry__Entity *entity) {
    for (uint32_t i = 0; i < keys->entities_count; i++) {
        if (keys->entities[i]->id == entity->id) return NULL;
    }
    if (keys->entities_count == SERVICE_ENTITIES_MAX) {
        return region_get_format(region, "expected at most %d entities in a service",
                                 SERVICE_ENTITIES_MAX);
    }
    keys->entities[keys->entities_count++] = entity;
    for (size_t i = 0; i < entity->n_keys; i++) {
        const char *problem = key_put(keys, region, entity, entity->keys[i]);
        if (problem) return problem;
    }
    return NULL;
}

static bool keys_resolve(const struct registry_scope *scope, struct declarations *declarations,
                         const struct declared_service *service,
                         Fst__Registry__ServiceFeature *const *features) {
    struct service_keys keys = {0};
    for (uint32_t i = 0; i < service->features_count; i++) {
        const Fst__Registry__View *view = scope_get_view(scope, features[i]->view_id);
        const Fst__Registry__Entity *entity = scope_get_entity(scope, view->entity_id);
        const char *problem = entity_put(&keys, declarations->region, entity);
        if (!problem) continue;
        declarations_put_problem(declarations, service->features[i].place, "%s", problem);
        return false;
    }
    return true;
}

Fst__Registry__ServiceFeature **resolve_features(const struct registry_scope *scope,
                                                 struct declarations *declarations,
                                                 const struct declared_service *service) {
    size_t count = service->features_count;
    Fst__Registry__ServiceFeature **features =
        region_get(declarations->region, count * sizeof *features);
    Fst__Registry__ServiceFeature *values =
        region_get(declarations->region, count * sizeof *values);
    if (!features || !values) return NULL;
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const struct declared_text *text = &service->features[i];
        Fst__Registry__ServiceFeature *feature = &values[found];
        if (!feature_resolve(scope, declarations, service->space, text, feature)) continue;
        features[found] = feature;
        for (size_t j = 0; j < found; j++) {
            if (!is_overlap(features[j], feature)) continue;
            declarations_put_problem(declarations, text->place, "feature '%s' is given twice",
                                     text->text);
            break;
        }
        found += 1;
    }
    if (found < count || !keys_resolve(scope, declarations, service, features)) return NULL;
    size_t total = resolve_features_count(scope, features, count);
    if (total > FEATURES_MAX) {
        declarations_put_problem(declarations, service->name.place,
                                 "expected at most %d features in a service, found %zu",
                                 FEATURES_MAX, total);
        return NULL;
    }
    return features;
}
