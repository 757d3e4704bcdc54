#include "registry/plan.h"

#include <stdio.h>

#include "registry/change_check.h"
#include "registry/resolve.h"

enum { WHAT_BYTES_MAX = 512 };

static struct registry_scope plan_scope(const struct plan *plan) {
    return (struct registry_scope){.state = plan->state, .change = &plan->change};
}

static struct registry_scope stored_scope(const struct plan *plan) {
    return (struct registry_scope){.state = plan->state};
}

/* ---- items ---- */

static struct plan_item *item_make(struct plan *plan, const char *kind, const char *space,
                                   const char *name, uint32_t version) {
    struct region *region = plan->declarations->region;
    struct plan_item *item = region_get(region, sizeof *item);
    if (!item) return NULL;
    item->kind = kind;
    if (version <= 1)
        item->name = region_get_format(region, "%s.%s", space, name);
    else
        item->name = region_get_format(region, "%s.%s@%u", space, name, version);
    diff_init(&item->diff, region);
    *plan->items_end = item;
    plan->items_end = &item->next;
    plan->items_count += 1;
    return item;
}

/* Settles the action. True if the change should get the object. */
static bool item_finish(struct plan *plan, struct plan_item *item, bool is_stored,
                        const char *action_if_new) {
    item->action = action_if_new;
    if (is_stored) item->action = item->diff.lines_count > 0 ? "change" : "same";
    if (item->diff.reason) plan->reasons_count += 1;
    return !item->diff.reason && (!is_stored || item->diff.lines_count > 0);
}

static void twice_put(struct plan *plan, const char *kind, const struct declared_text *name,
                      const struct declared_text *first) {
    const char *where = name->place.document == first->place.document ? "" : " of another document";
    declarations_put_problem(plan->declarations, name->place,
                             "%s '%s' is declared twice, first on line %u%s", kind, name->text,
                             first->place.line, where);
}

/* ---- entities ---- */

static void entity_plan(struct plan *plan, struct declared_entity *declared) {
    struct registry_scope stored = stored_scope(plan);
    struct registry_scope scope = plan_scope(plan);
    const Fst__Registry__Entity *before =
        scope_find_entity(&stored, declared->space, declared->name.text);
    struct plan_item *item = item_make(plan, "entity", declared->space, declared->name.text, 1);
    if (!item) return;
    Fst__Registry__Entity *after = diff_entity(&item->diff, before, declared);
    if (!after) return;
    declared->is_broken = item->diff.reason != NULL;
    if (!item_finish(plan, item, before != NULL, "add")) return;
    if (!before) after->id = scope_entities_count(&scope) + 1;
    plan->change.entities[plan->change.n_entities++] = after;
}

static void entities_plan(struct plan *plan) {
    struct declared_entity *declared = plan->declarations->entities;
    for (; declared; declared = declared->next) {
        if (!declared->name.text) continue;
        const struct declared_entity *first =
            declarations_find_entity(plan->declarations, declared->space, declared->name.text);
        if (first != declared)
            twice_put(plan, "entity", &declared->name, &first->name);
        else if (!declared->is_broken)
            entity_plan(plan, declared);
    }
}

/* ---- views ---- */

static uint32_t entity_views_count(const struct registry_scope *scope, uint32_t entity_id) {
    uint32_t count = 0;
    for (uint32_t id = 1; id <= scope_views_count(scope); id++) {
        const Fst__Registry__View *view = scope_get_view(scope, id);
        count += view && view->entity_id == entity_id;
    }
    return count;
}

/* What a new view or a new version must not be. */
static void view_new_check(struct plan *plan, const struct declared_view *declared,
                           const Fst__Registry__Entity *entity) {
    struct registry_scope stored = stored_scope(plan);
    struct registry_scope scope = plan_scope(plan);
    const Fst__Registry__View *newest =
        scope_find_view(&stored, declared->space, declared->name.text, 0);
    if (newest && declared->version < newest->version) {
        declarations_put_problem(
            plan->declarations, declared->name.place,
            "version %u of view '%s' is not stored, and older than the newest: "
            "expected version %u or later",
            declared->version, declared->name.text, newest->version + 1);
    }
    if (entity_views_count(&scope, entity->id) >= VIEWS_PER_ENTITY_MAX) {
        declarations_put_problem(plan->declarations, declared->name.place,
                                 "expected at most %d views of entity '%s', versions included",
                                 VIEWS_PER_ENTITY_MAX, entity->name);
    }
}

static void view_columns_check(struct plan *plan, const struct declared_view *declared,
                               const Fst__Registry__Entity *entity) {
    struct type keys[KEY_COLUMNS_MAX];
    struct type types[FEATURES_MAX];
    for (uint32_t k = 0; k < entity->n_keys; k++) keys[k] = change_type(entity->keys[k]->type);
    for (uint32_t f = 0; f < declared->features_count; f++) {
        const struct declared_feature *feature = &declared->features[f];
        types[f] = feature->type.type;
        for (uint32_t k = 0; k < entity->n_keys; k++) {
            if (strcmp(entity->keys[k]->name, feature->name.text) != 0) continue;
            declarations_put_problem(plan->declarations, feature->name.place,
                                     "feature '%s' is a key column of entity '%s'",
                                     feature->name.text, entity->name);
        }
    }
    size_t bytes = row_image_bytes(keys, (uint32_t)entity->n_keys, types, declared->features_count);
    if (bytes > ROW_IMAGE_BYTES_MAX) {
        declarations_put_problem(plan->declarations, declared->name.place,
                                 "a row of view '%s' takes %zu bytes: expected at most %d",
                                 declared->name.text, bytes, ROW_IMAGE_BYTES_MAX);
    }
}

static void view_diff(struct plan *plan, struct declared_view *declared,
                      const Fst__Registry__Entity *entity) {
    struct registry_scope stored = stored_scope(plan);
    struct registry_scope scope = plan_scope(plan);
    const Fst__Registry__View *newest =
        scope_find_view(&stored, declared->space, declared->name.text, 0);
    const Fst__Registry__View *before =
        scope_find_view(&stored, declared->space, declared->name.text, declared->version);
    struct plan_item *item =
        item_make(plan, "view", declared->space, declared->name.text, declared->version);
    if (!item) return;
    Fst__Registry__View *after = diff_view(&item->diff, before, declared, entity->id);
    if (!after) return;
    if (item->diff.reason) {
        declared->is_broken = true;
        item->diff.hint = region_get_format(
            plan->declarations->region,
            "leave version %u as it is and add the new form beside it, with `version: %u`",
            declared->version, newest->version + 1);
    }
    if (!item_finish(plan, item, before != NULL, newest ? "new version" : "add")) return;
    if (!before) after->id = scope_views_count(&scope) + 1;
    plan->change.views[plan->change.n_views++] = after;
}

static void view_plan(struct plan *plan, struct declared_view *declared) {
    struct registry_scope stored = stored_scope(plan);
    struct registry_scope scope = plan_scope(plan);
    uint32_t problems_before = plan->declarations->problems_count;
    const Fst__Registry__Entity *entity = resolve_entity(&scope, plan->declarations, declared);
    if (entity) {
        bool is_new =
            !scope_find_view(&stored, declared->space, declared->name.text, declared->version);
        if (is_new) view_new_check(plan, declared, entity);
        view_columns_check(plan, declared, entity);
    }
    declared->is_broken = !entity || plan->declarations->problems_count > problems_before;
    if (!declared->is_broken) view_diff(plan, declared, entity);
}

static void views_plan(struct plan *plan) {
    struct declared_view *declared = plan->declarations->views;
    for (; declared; declared = declared->next) {
        if (!declared->name.text) continue;
        const struct declared_view *first = declarations_find_view(
            plan->declarations, declared->space, declared->name.text, declared->version);
        if (first != declared)
            twice_put(plan, "view", &declared->name, &first->name);
        else if (!declared->is_broken)
            view_plan(plan, declared);
    }
}

/* ---- services ---- */

static void service_plan(struct plan *plan, const struct declared_service *declared) {
    struct registry_scope stored = stored_scope(plan);
    struct registry_scope scope = plan_scope(plan);
    const Fst__Registry__Service *before =
        scope_find_service(&stored, declared->space, declared->name.text);
    Fst__Registry__ServiceFeature **wanted = resolve_features(&scope, plan->declarations, declared);
    if (!wanted) return;
    struct plan_item *item = item_make(plan, "service", declared->space, declared->name.text, 1);
    if (!item) return;
    Fst__Registry__Service *after = diff_service(&item->diff, &scope, before, declared, wanted);
    if (!after || !item_finish(plan, item, before != NULL, "add")) return;
    if (!before) after->id = scope_services_count(&scope) + 1;
    plan->change.services[plan->change.n_services++] = after;
}

static void services_plan(struct plan *plan) {
    struct declared_service *declared = plan->declarations->services;
    for (; declared; declared = declared->next) {
        if (!declared->name.text) continue;
        const struct declared_service *first =
            declarations_find_service(plan->declarations, declared->space, declared->name.text);
        if (first != declared)
            twice_put(plan, "service", &declared->name, &first->name);
        else if (!declared->is_broken)
            service_plan(plan, declared);
    }
}

/* A view that grows makes the services grow that take all of it. */
static void services_check(struct plan *plan) {
    struct registry_scope scope = plan_scope(plan);
    for (uint32_t id = 1; id <= scope_services_count(&scope); id++) {
        const Fst__Registry__Service *service = scope_get_service(&scope, id);
        size_t total = resolve_features_count(&scope, service->features, service->n_features);
        if (total <= FEATURES_MAX) continue;
        declarations_put_problem(plan->declarations, (struct place){0},
                                 "service '%s.%s' would have %zu features: expected at most %d",
                                 service->space, service->name, total, FEATURES_MAX);
    }
}

/* ---- the whole ---- */

/* One sentence for the audit, cut where it gets long. */
static char *what_make(const struct plan *plan) {
    char text[WHAT_BYTES_MAX];
    size_t used = 0;
    const char *last_action = "";
    for (const struct plan_item *item = plan->items; item; item = item->next) {
        if (strcmp(item->action, "same") == 0) continue;
        bool is_same_action = strcmp(item->action, last_action) == 0;
        int bytes = snprintf(text + used, sizeof text - used, "%s%s%s%s %s", used ? ", " : "",
                             is_same_action ? "" : item->action, is_same_action ? "" : " ",
                             item->kind, item->name);
        if (bytes < 0 || used + (size_t)bytes + sizeof ", ..." > sizeof text) {
            memcpy(text + used, ", ...", sizeof ", ...");
            used += strlen(", ...");
            break;
        }
        used += (size_t)bytes;
        last_action = item->action;
    }
    return region_get_text(plan->declarations->region, text, used);
}

static bool change_init(struct plan *plan) {
    struct region *region = plan->declarations->region;
    size_t count = plan->declarations->objects_count;
    fst__registry__change__init(&plan->change);
    plan->change.entities = region_get(region, count * sizeof(void *));
    plan->change.views = region_get(region, count * sizeof(void *));
    plan->change.services = region_get(region, count * sizeof(void *));
    return plan->change.entities && plan->change.views && plan->change.services;
}

enum fst_status plan_run(struct plan *plan, const struct registry_state *state,
                         struct declarations *declarations) {
    *plan = (struct plan){.state = state, .declarations = declarations};
    plan->items_end = &plan->items;
    if (!change_init(plan)) return FST_NO_MEMORY;
    entities_plan(plan);
    views_plan(plan);
    services_plan(plan);
    services_check(plan);
    plan->change.what = what_make(plan);
    return declarations->region->failed ? FST_NO_MEMORY : FST_OK;
}

bool plan_is_refused(const struct plan *plan) {
    return plan->reasons_count > 0 || plan->declarations->problems_count > 0;
}

bool plan_is_empty(const struct plan *plan) {
    const Fst__Registry__Change *change = &plan->change;
    return change->n_entities == 0 && change->n_views == 0 && change->n_services == 0;
}
