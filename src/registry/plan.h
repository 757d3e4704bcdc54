/*
 * plan: what an apply would do: declarations against the state, object by object.
 *
 * Entities first, then views, then services, so that each finds what it refers to in the scope of
 * the state and the change so far. Definitions that are not declared are left alone. The result is
 * either a change that can be made durable and adopted, or problems and reasons, and then nothing
 * happens at all.
 *
 * Invariant: the change of a plan that is not refused passes change_check.
 *
 * Threads: one. Memory: everything lies in the region of the declarations, which must outlive the
 *          plan.
 */
#ifndef REGISTRY_PLAN_H
#define REGISTRY_PLAN_H

#include "registry/diff.h"

struct plan_item {
    const char *action; /* "add", "change", "new version", "same" */
    const char *kind;   /* "entity", "view", "service" */
    const char *name;   /* "namespace.name", "namespace.name@2" */
    struct diff diff;
    struct plan_item *next;
};

struct plan {
    const struct registry_state *state;
    struct declarations *declarations;
    struct plan_item *items;
    struct plan_item **items_end;
    size_t items_count;
    size_t reasons_count;         /* items that may not happen */
    Fst__Registry__Change change; /* the objects; number, time and actor are the caller's */
};

/* FST_NO_MEMORY; problems and reasons are FST_OK. */
FST_MUST_USE enum fst_status plan_run(struct plan *plan, const struct registry_state *state,
                                      struct declarations *declarations);

/* Whether nothing may be applied. */
bool plan_is_refused(const struct plan *plan);

/* Whether there is anything to apply. */
bool plan_is_empty(const struct plan *plan);

#endif
