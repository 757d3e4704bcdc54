/*
 * child: a program that stands beside this one, run for it.
 *
 * Threads: one. Memory: in place; a child is to be stopped or read to its end.
 */
#ifndef FSBENCH_CHILD_H
#define FSBENCH_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "fstore/status.h"

struct child {
    pid_t pid;
    int output; /* its standard output */
};

/* Starts the program `argv[0]` of this one's folder. FST_NOT_FOUND if it is not there. */
FST_MUST_USE enum fst_status child_start(struct child *child, char *const *argv,
                                         struct fst_error *error);

/* Whether it runs. */
bool child_is_alive(const struct child *child);

/* Ends it. */
void child_stop(struct child *child);

/* All it prints, which the caller frees, when it has ended by itself; FST_INTERNAL if it failed. */
FST_MUST_USE enum fst_status child_read(struct child *child, char **text_out,
                                        struct fst_error *error);

#endif
