/*
 * diff: what an apply would change in one object, as lines for people, and whether it may.
 *
 * A line begins with "+" for what comes, "-" for what goes, "~" for what changes. A reason is why
 * the change is refused; with one, the change does not happen, however many lines it has.
 *
 * Threads: one. Memory: lines and texts lie in the region.
 */
#ifndef REGISTRY_DIFF_H
#define REGISTRY_DIFF_H

#include "registry/declaration.h"
#include "registry/state.h"

struct diff_line {
    char *text;
    struct diff_line *next;
};

struct diff {
    struct region *region;
    struct diff_line *lines;
    struct diff_line **lines_end;
    size_t lines_count;
    const char *reason; /* NULL: it may happen */
    const char *hint;   /* what would make it possible */
};

void diff_init(struct diff *diff, struct region *region);

void diff_put_line(struct diff *diff, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds to the reasons. */
void diff_refuse(struct diff *diff, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Compare what is stored (NULL: nothing yet) with what is declared, note the lines, and make the
 * message that would be in force afterwards, without an id if it is new. NULL if the region
 * failed. */
Fst__Registry__Entity *diff_entity(struct diff *diff, const Fst__Registry__Entity *stored,
                                   const struct declared_entity *declared);
Fst__Registry__View *diff_view(struct diff *diff, const Fst__Registry__View *stored,
                               const struct declared_view *declared, uint32_t entity_id);

/* For a service the features were looked up before: `wanted` are its messages, in order. */
Fst__Registry__Service *diff_service(struct diff *diff, const struct registry_scope *scope,
                                     const Fst__Registry__Service *stored,
                                     const struct declared_service *declared,
                                     Fst__Registry__ServiceFeature **wanted);

/* "view:feature", with "@version" behind the view from version 2 on, and the namespace if it is not
 * `space`. */
const char *diff_feature_label(struct region *region, const struct registry_scope *scope,
                               const Fst__Registry__ServiceFeature *feature, const char *space);

#endif
