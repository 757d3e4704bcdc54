#include "registry/state.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* ---- by id ---- */

const Fst__Registry__Entity *scope_get_entity(const struct registry_scope *scope, uint32_t id) {
    for (size_t i = 0; scope->change && i < scope->change->n_entities; i++) {
        if (scope->change->entities[i]->id == id) return scope->change->entities[i];
    }
    bool is_stored = id >= 1 && id <= scope->state->entities_count;
    return is_stored ? scope->state->entities[id - 1] : NULL;
}

const Fst__Registry__View *scope_get_view(const struct registry_scope *scope, uint32_t id) {
    for (size_t i = 0; scope->change && i < scope->change->n_views; i++) {
        if (scope->change->views[i]->id == id) return scope->change->views[i];
    }
    bool is_stored = id >= 1 && id <= scope->state->views_count;
    return is_stored ? scope->state->views[id - 1] : NULL;
}

const Fst__Registry__Service *scope_get_service(const struct registry_scope *scope, uint32_t id) {
    for (size_t i = 0; scope->change && i < scope->change->n_services; i++) {
        if (scope->change->services[i]->id == id) return scope->change->services[i];
    }
    bool is_stored = id >= 1 && id <= scope->state->services_count;
    return is_stored ? scope->state->services[id - 1] : NULL;
}

static uint32_t greater(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

uint32_t scope_entities_count(const struct registry_scope *scope) {
    uint32_t count = (uint32_t)scope->state->entities_count;
    for (size_t i = 0; scope->change && i < scope->change->n_entities; i++) {
        count = greater(count, scope->change->entities[i]->id);
    }
    return count;
}

uint32_t scope_views_count(const struct registry_scope *scope) {
    uint32_t count = (uint32_t)scope->state->views_count;
    for (size_t i = 0; scope->change && i < scope->change->n_views; i++) {
        count = greater(count, scope->change->views[i]->id);
    }
    return count;
}

uint32_t scope_services_count(const struct registry_scope *scope) {
    uint32_t count = (uint32_t)scope->state->services_count;
    for (size_t i = 0; scope->change && i < scope->change->n_services; i++) {
        count = greater(count, scope->change->services[i]->id);
    }
    return count;
}

/* ---- by name ---- */

static bool is_named(const char *space_a, const char *name_a, const char *space_b,
                     const char *name_b) {
    return strcmp(name_a, name_b) == 0 && strcmp(space_a, space_b) == 0;
}

const Fst__Registry__Entity *scope_find_entity(const struct registry_scope *scope,
                                               const char *space, const char *name) {
    for (size_t i = 0; scope->change && i < scope->change->n_entities; i++) {
        const Fst__Registry__Entity *entity = scope->change->entities[i];
        if (is_named(entity->space, entity->name, space, name)) return entity;
    }
    for (size_t i = 0; i < scope->state->entities_count; i++) {
        const Fst__Registry__Entity *entity = scope->state->entities[i];
        if (is_named(entity->space, entity->name, space, name)) return entity;
    }
    return NULL;
}

/* Whether `view` is wanted, and better than the one found so far: the first of equal versions
 * stays, so that one of the change goes before the stored one that it replaces. */
static bool view_is_wanted(const Fst__Registry__View *view, const Fst__Registry__View *found,
                           uint32_t version) {
    if (version != 0 && view->version != version) return false;
    return !found || view->version > found->version;
}

const Fst__Registry__View *scope_find_view(const struct registry_scope *scope, const char *space,
                                           const char *name, uint32_t version) {
    const Fst__Registry__View *found = NULL;
    for (size_t i = 0; scope->change && i < scope->change->n_views; i++) {
        const Fst__Registry__View *view = scope->change->views[i];
        if (!is_named(view->space, view->name, space, name)) continue;
        if (view_is_wanted(view, found, version)) found = view;
    }
    for (size_t i = 0; i < scope->state->views_count; i++) {
        const Fst__Registry__View *view = scope->state->views[i];
        if (!is_named(view->space, view->name, space, name)) continue;
        if (view_is_wanted(view, found, version)) found = view;
    }
    return found;
}

const Fst__Registry__Service *scope_find_service(const struct registry_scope *scope,
                                                 const char *space, const char *name) {
    for (size_t i = 0; scope->change && i < scope->change->n_services; i++) {
        const Fst__Registry__Service *service = scope->change->services[i];
        if (is_named(service->space, service->name, space, name)) return service;
    }
    for (size_t i = 0; i < scope->state->services_count; i++) {
        const Fst__Registry__Service *service = scope->state->services[i];
        if (is_named(service->space, service->name, space, name)) return service;
    }
    return NULL;
}

const Fst__Registry__Key *scope_find_key(const struct registry_scope *scope, const char *name) {
    for (size_t i = 0; scope->change && i < scope->change->n_keys; i++) {
        if (strcmp(scope->change->keys[i]->name, name) == 0) return scope->change->keys[i];
    }
    for (size_t i = 0; i < scope->state->keys_count; i++) {
        if (strcmp(scope->state->keys[i]->name, name) == 0) return scope->state->keys[i];
    }
    return NULL;
}

int registry_view_find_feature(const Fst__Registry__View *view, const char *name) {
    for (size_t i = 0; i < view->n_features; i++) {
        if (strcmp(view->features[i]->name, name) == 0) return (int)i;
    }
    return -1;
}

/* ---- merging ---- */

/* Room for `more` pointers; the array stays as it is if there is none. */
static bool array_grow(void *array, size_t count, size_t more, size_t each_bytes) {
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = realloc(old, (count + more + 1) * each_bytes);
    if (!grown) return false;
    memcpy(array, &grown, sizeof grown);
    return true;
}

static bool state_grow(struct registry_state *state, const Fst__Registry__Change *change) {
    size_t each = sizeof(void *);
    return array_grow(&state->entities, state->entities_count, change->n_entities, each) &&
           array_grow(&state->views, state->views_count, change->n_views, each) &&
           array_grow(&state->services, state->services_count, change->n_services, each) &&
           array_grow(&state->keys, state->keys_count, change->n_keys, each) &&
           array_grow(&state->audits, state->audits_count, 1, sizeof *state->audits);
}

static void entity_merge(struct registry_state *state, Fst__Registry__Entity **entity) {
    size_t index = (*entity)->id - 1;
    FST_ASSERT(index <= state->entities_count);
    if (index == state->entities_count)
        state->entities_count += 1;
    else
        fst__registry__entity__free_unpacked(state->entities[index], NULL);
    state->entities[index] = *entity;
    *entity = NULL;
}

static void view_merge(struct registry_state *state, Fst__Registry__View **view) {
    size_t index = (*view)->id - 1;
    FST_ASSERT(index <= state->views_count);
    if (index == state->views_count)
        state->views_count += 1;
    else
        fst__registry__view__free_unpacked(state->views[index], NULL);
    state->views[index] = *view;
    *view = NULL;
}

static void service_merge(struct registry_state *state, Fst__Registry__Service **service) {
    size_t index = (*service)->id - 1;
    FST_ASSERT(index <= state->services_count);
    if (index == state->services_count)
        state->services_count += 1;
    else
        fst__registry__service__free_unpacked(state->services[index], NULL);
    state->services[index] = *service;
    *service = NULL;
}

static void key_revoke(struct registry_state *state, const char *name) {
    for (size_t i = 0; i < state->keys_count; i++) {
        if (strcmp(state->keys[i]->name, name) != 0) continue;
        fst__registry__key__free_unpacked(state->keys[i], NULL);
        memmove(&state->keys[i], &state->keys[i + 1],
                (state->keys_count - i - 1) * sizeof(Fst__Registry__Key *));
        state->keys_count -= 1;
        return;
    }
}

enum fst_status registry_state_merge(struct registry_state *state, Fst__Registry__Change *change) {
    char *actor = strdup(change->actor);
    char *what = strdup(change->what);
    if (!actor || !what || !state_grow(state, change)) {
        free(actor);
        free(what);
        return FST_NO_MEMORY;
    }
    for (size_t i = 0; i < change->n_entities; i++) entity_merge(state, &change->entities[i]);
    for (size_t i = 0; i < change->n_views; i++) view_merge(state, &change->views[i]);
    for (size_t i = 0; i < change->n_services; i++) service_merge(state, &change->services[i]);
    for (size_t i = 0; i < change->n_revoked; i++) key_revoke(state, change->revoked[i]);
    for (size_t i = 0; i < change->n_keys; i++) {
        state->keys[state->keys_count++] = change->keys[i];
        change->keys[i] = NULL;
    }
    state->audits[state->audits_count++] = (struct registry_audit){
        .generation = change->generation, .at_us = change->at_us, .actor = actor, .what = what};
    state->generation = change->generation;
    return FST_OK;
}

void registry_state_deinit(struct registry_state *state) {
    for (size_t i = 0; i < state->entities_count; i++) {
        fst__registry__entity__free_unpacked(state->entities[i], NULL);
    }
    for (size_t i = 0; i < state->views_count; i++) {
        fst__registry__view__free_unpacked(state->views[i], NULL);
    }
    for (size_t i = 0; i < state->services_count; i++) {
        fst__registry__service__free_unpacked(state->services[i], NULL);
    }
    for (size_t i = 0; i < state->keys_count; i++) {
        fst__registry__key__free_unpacked(state->keys[i], NULL);
    }
    for (size_t i = 0; i < state->audits_count; i++) {
        free(state->audits[i].actor);
        free(state->audits[i].what);
    }
    free(state->entities);
    free(state->views);
    free(state->services);
    free(state->keys);
    free(state->audits);
    *state = (struct registry_state){0};
}
