/*
 * progress: one line on a terminal that says how far long work has come, how fast, and how long it
 * will still take. On anything but a terminal it prints nothing.
 *
 * Threads: one. Memory: in place; the title is borrowed until progress_close.
 */
#ifndef FSBENCH_PROGRESS_H
#define FSBENCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/io.h"

struct progress {
    struct io *io;
    const char *title;
    const char *unit; /* plural, such as "rows" */
    int64_t start_us;
    int64_t shown_us; /* when the line was last drawn */
    bool is_on;       /* standard error is a terminal */
};

void progress_open(struct progress *progress, struct io *io, const char *title, const char *unit);

/* Draws at most ten times a second, and at the end. `context` is the struct progress, so that this
 * can be handed to others as a plain function. */
void progress_put(void *context, uint64_t done, uint64_t total);

/* Ends the line. */
void progress_close(struct progress *progress);

#endif
