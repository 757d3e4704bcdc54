/*
 * inspect: walks a stopped store: fsd --check and fsd --dump.
 *
 * Nothing is changed. The check reads every file and verifies every checksum, every record and
 * every row; it goes on after a problem where it can, and says each on a line.
 *
 * Threads: main. Memory: its own.
 */
#ifndef SERVER_INSPECT_H
#define SERVER_INSPECT_H

#include "server/server_options.h"

/* Prints a line per part and "ok" or the problems. Returns the exit code: 0, 3 when something is
 * damaged, or 1 when the lines could not be written. */
int inspect_check(const struct server_options *options, struct io *io);

/* Prints logs or LMDB. Returns the exit code. */
int inspect_dump(const struct server_options *options, struct io *io);

#endif
