#include "catalog_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static const struct type float64_type = {.kind = TYPE_FLOAT64};
static const struct type int64_type = {.kind = TYPE_INT64};
static const struct type int32_type = {.kind = TYPE_INT32};
static const struct type string_type = {.kind = TYPE_STRING};
static const struct type bool_type = {.kind = TYPE_BOOL};
static const struct type cents_type = {.kind = TYPE_DECIMAL, .scale = 2};

static const double score_default = 0.5;

/* A catalog is sorted by name: limits, pairs, profile, spend. */
static const uint32_t view_index[] = {
    [FIXTURE_LIMITS] = 0, [FIXTURE_PAIRS] = 1, [FIXTURE_PROFILE] = 2, [FIXTURE_SPEND] = 3};

static void name_set(struct name *name, const char *text) {
    snprintf(name->text, sizeof name->text, "%s", text);
}

static void entity_add_key(struct entity *entity, const char *name, struct type type) {
    name_set(&entity->keys[entity->keys_count].name, name);
    entity->keys[entity->keys_count].type = type;
    entity->key_types[entity->keys_count++] = type;
}

static void view_add(struct view *view, const char *name, struct type type) {
    struct feature *feature = &view->features[view->features_count++];
    name_set(&feature->name, name);
    feature->type = type;
}

static void revision_set(struct view *view, uint32_t revision, uint32_t features_count,
                         struct row_column *columns) {
    struct type types[4];
    for (uint32_t i = 0; i < features_count; i++) types[i] = view->features[i].type;
    struct row_body body;
    row_body_init(&body, columns, types, features_count);
    view->revisions[revision].features_count = features_count;
    row_layout_init(&view->revisions[revision].layout, view->entity->key_types,
                    view->entity->keys_count, &body);
}

static struct view *view_set(struct catalog_fixture *f, uint32_t id, const char *name,
                             const struct entity *entity) {
    struct view *view = &f->views[view_index[id]];
    *view = (struct view){.id = id,
                          .version = 1,
                          .entity = entity,
                          .future_us = VIEW_FUTURE_US_DEFAULT,
                          .features = f->features[id - 1],
                          .revisions_count = 1,
                          .revisions = f->revisions[id - 1]};
    view_bare_init(view);
    name_set(&view->space, "t");
    name_set(&view->name, name);
    f->by_id[id] = view;
    return view;
}

struct catalog_fixture *catalog_fixture_create(void) {
    struct catalog_fixture *f = calloc(1, sizeof *f);
    const char *names[] = {"card", "customer", "pair"};
    for (uint32_t i = 0; i < 3; i++) {
        f->entities[i].id = i + 1;
        name_set(&f->entities[i].space, "t");
        name_set(&f->entities[i].name, names[i]);
    }
    entity_add_key(&f->entities[0], "bank", string_type);
    entity_add_key(&f->entities[0], "number", int64_type);
    entity_add_key(&f->entities[1], "customer_id", int64_type);
    entity_add_key(&f->entities[2], "customer_id", int64_type);
    entity_add_key(&f->entities[2], "card_no", int32_type);

    struct view *profile = view_set(f, FIXTURE_PROFILE, "profile", &f->entities[1]);
    view_add(profile, "score", float64_type);
    view_add(profile, "name", string_type);
    view_add(profile, "age", int32_type);
    view_add(profile, "is_vip", bool_type);
    profile->features[0].has_default = true;
    profile->features[0].default_value =
        (struct bytes){.data = (const uint8_t *)&score_default, .bytes = sizeof score_default};
    profile->features[1].has_default = true;
    profile->features[1].default_value =
        (struct bytes){.data = (const uint8_t *)"unknown", .bytes = 7};
    profile->revisions_count = 2;
    revision_set(profile, 0, 2, f->columns[4]);
    revision_set(profile, 1, 4, f->columns[0]);

    struct view *spend = view_set(f, FIXTURE_SPEND, "spend", &f->entities[1]);
    spend->ttl_us = 100;
    view_add(spend, "total", cents_type);
    view_add(spend, "n", int64_type);
    revision_set(spend, 0, 2, f->columns[1]);
    struct view *limits = view_set(f, FIXTURE_LIMITS, "limits", &f->entities[0]);
    view_add(limits, "max", float64_type);
    revision_set(limits, 0, 1, f->columns[2]);
    struct view *pairs = view_set(f, FIXTURE_PAIRS, "pairs", &f->entities[2]);
    view_add(pairs, "w", float64_type);
    revision_set(pairs, 0, 1, f->columns[3]);

    f->service_features[0] = (struct service_feature){.view = spend, .column = 1};
    f->service_features[1] = (struct service_feature){.view = profile, .column = 0};
    f->service_features[2] = (struct service_feature){.view = limits, .column = 0};
    f->services[0] =
        (struct service){.id = 1, .features_count = 3, .features = f->service_features};
    name_set(&f->services[0].space, "t");
    name_set(&f->services[0].name, "fraud");
    f->catalog = (struct catalog){.generation = 1,
                                  .entities_count = 3,
                                  .views_count = 4,
                                  .services_count = 1,
                                  .views_by_id_count = 5,
                                  .entities = f->entities,
                                  .views = f->views,
                                  .services = f->services,
                                  .views_by_id = f->by_id};
    return f;
}

struct view *catalog_fixture_view(struct catalog_fixture *fixture, uint32_t id) {
    return &fixture->views[view_index[id]];
}

void catalog_fixture_destroy(struct catalog_fixture *fixture) {
    free(fixture);
}
