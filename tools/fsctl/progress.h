/*
 * progress: one line on a terminal that says how far long work has come.
 *
 * Threads: one. Memory: none.
 */
#ifndef FSCTL_PROGRESS_H
#define FSCTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct ctl_progress {
    FILE *out; /* NULL: show nothing */
    int64_t begin_us;
    int64_t shown_us;
    uint64_t total; /* 0: not known, then there is no bar */
};

void ctl_progress_init(struct ctl_progress *progress, FILE *out, uint64_t total, int64_t now_us);
/* Shows `done` of the total and a count with its rate, at most ten times a second. */
void ctl_progress_put(struct ctl_progress *progress, uint64_t done, uint64_t rows, int64_t now_us);
/* Takes the line away. */
void ctl_progress_deinit(struct ctl_progress *progress);

#endif
