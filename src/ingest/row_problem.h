/*
 * row_problem: why a row that came as text was not taken: which row, which column, what was
 *              expected, what was found.
 *
 * Threads: one. Memory: texts are borrowed from the reader's input or static.
 */
#ifndef INGEST_ROW_PROBLEM_H
#define INGEST_ROW_PROBLEM_H

#include "base/bytes.h"
#include "fstore/status.h"

struct row_problem {
    uint64_t row;       /* as the caller numbers them */
    const char *column; /* "" when the row as a whole is meant */
    const char *expected;
    struct bytes found;
    struct bytes record; /* the row as it stood */
};

struct row_problems {
    void *context;
    /* Anything but FST_OK ends the reading with that status. */
    enum fst_status (*put)(void *context, const struct row_problem *problem);
};

#endif
