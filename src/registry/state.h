/*
 * state: what is in force: the stored definitions and access keys, as the protobuf messages of the
 * changes that brought them.
 *
 * Ids of entities, views and services count from 1 without gaps, and nothing is ever removed, so an
 * id is an index. `scope` looks at a state together with a change that is not merged yet, the
 * change first: that is how a plan sees definitions that refer to each other.
 *
 * Invariants (kept by change_check.h before each merge):
 *   S1  entities[i]->id == i + 1; likewise views and services.
 *   S2  Names are unique: (space, name) of entities and services, (space, name, version) of views,
 *       names of keys.
 *   S3  Every reference by id leads to something.
 *
 * Threads: one. Memory: a state owns its messages.
 */
#ifndef REGISTRY_STATE_H
#define REGISTRY_STATE_H

#include <stdbool.h>

#include "fstore/status.h"
#include "registry/change.pb-c.h"

struct registry_audit {
    uint64_t generation;
    int64_t at_us;
    char *actor;
    char *what;
};

struct registry_state {
    uint64_t generation;
    size_t entities_count;
    size_t views_count;
    size_t services_count;
    size_t keys_count;
    size_t audits_count;
    Fst__Registry__Entity **entities;
    Fst__Registry__View **views;
    Fst__Registry__Service **services;
    Fst__Registry__Key **keys;
    struct registry_audit *audits;
};

struct registry_scope {
    const struct registry_state *state;
    const Fst__Registry__Change *change; /* or NULL */
};

void registry_state_deinit(struct registry_state *state);

/* Moves the messages of a checked change into the state, which is unchanged on FST_NO_MEMORY. What
 * is left of the change is still the caller's. */
FST_MUST_USE enum fst_status registry_state_merge(struct registry_state *state,
                                                  Fst__Registry__Change *change);

/* By id or name; NULL if there is none. Version 0 is the newest. */
const Fst__Registry__Entity *scope_get_entity(const struct registry_scope *scope, uint32_t id);
const Fst__Registry__View *scope_get_view(const struct registry_scope *scope, uint32_t id);
const Fst__Registry__Service *scope_get_service(const struct registry_scope *scope, uint32_t id);
const Fst__Registry__Entity *scope_find_entity(const struct registry_scope *scope,
                                               const char *space, const char *name);
const Fst__Registry__View *scope_find_view(const struct registry_scope *scope, const char *space,
                                           const char *name, uint32_t version);
const Fst__Registry__Service *scope_find_service(const struct registry_scope *scope,
                                                 const char *space, const char *name);
const Fst__Registry__Key *scope_find_key(const struct registry_scope *scope, const char *name);

/* The greatest id in the scope; all from 1 up to it are taken. */
uint32_t scope_entities_count(const struct registry_scope *scope);
uint32_t scope_views_count(const struct registry_scope *scope);
uint32_t scope_services_count(const struct registry_scope *scope);

/* Number of a view's feature, or -1. */
int registry_view_find_feature(const Fst__Registry__View *view, const char *name);

#endif
