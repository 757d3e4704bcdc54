/*
 * deadline: who must have done something by when, without looking at everybody.
 *
 * A list has one duration, so that whoever is put in later is due later: appending keeps it sorted,
 * and only its first member is ever looked at.
 *
 *     list:  first (due first) <-> ... <-> last (put last)
 *
 * Invariants:
 *   I1  Along a list, at_us never decreases.
 *   I2  A deadline is in at most one list, the one it names.
 *
 * Threads: one.
 * Memory:  deadlines lie in the caller's structs and must be removed before those go away.
 */
#ifndef NET_DEADLINE_H
#define NET_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

struct deadlines;

struct deadline {
    struct deadlines *list; /* NULL: none is running */
    struct deadline *previous;
    struct deadline *next;
    int64_t at_us; /* monotonic */
};

struct deadlines {
    struct deadline *first;
    struct deadline *last;
    int64_t duration_us;
};

/* Starts, or starts again, with the list's duration from `now_us`, which never goes back. */
void deadline_put(struct deadlines *list, struct deadline *deadline, int64_t now_us);

/* Nothing happens if none is running. */
void deadline_remove(struct deadline *deadline);

/* The first member that is due, still in the list, or NULL. */
struct deadline *deadlines_due(const struct deadlines *list, int64_t now_us);

/* True if I1 and the links hold. */
bool deadlines_check(const struct deadlines *list);

#endif
