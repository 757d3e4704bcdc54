/*
 * import_report: what became of rows that were sent as text.
 *
 * Threads: one. Memory: none of its own.
 */
#ifndef FSCTL_IMPORT_REPORT_H
#define FSCTL_IMPORT_REPORT_H

#include "fstore/control.pb-c.h"
#include "tools/fsctl/command.h"

struct import_report {
    uint64_t rows_ok;
    uint64_t rows_stale;     /* a newer row was there: in history only */
    uint64_t rows_duplicate; /* applied before the connection broke */
    uint64_t rows_bad;
    double seconds;    /* 0: not measured */
    uint64_t next_row; /* where to go on; 0: nothing is left */
};

/* Adds what one reply says. */
void import_report_add(struct import_report *report, const Fst__ImportReply *reply);
/* The summary: a line for people, or an object. `verb` is what was done. */
void import_report_print(struct ctl *ctl, const struct import_report *report, const char *verb);

/* row 17, column 'x': expected a float64, found 'abc'; with --json the same as an object. */
void bad_row_print(struct ctl *ctl, const Fst__BadRow *row);

/* Reads --ack. */
enum ctl_exit ack_read(struct ctl *ctl, bool *ack_memory_out);

#endif
