/*
 * server: the wiring of fsd: opens the store, makes the engine, starts and ends the threads.
 *
 *     listeners -> recovery -> registry, control -> logs, rings, shards -> threads
 *
 * Who connects while recovery is under way waits, or is answered WARMING (server/warming.h).
 * Ends in reverse. A signal raises the state; shards finish what is in flight, then control, then
 * the keeper writes the last checkpoint, then tables and LMDB are closed.
 *
 * Threads: main. Memory: owns everything.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "server/server_options.h"

enum server_exit {
    SERVER_DONE = 0,
    SERVER_FAILED = 1,
    SERVER_USAGE = 2,
    SERVER_STORE = 3,     /* damaged, in use, or not a store */
    SERVER_LOG_WRITE = 4, /* start again: it recovers from disk */
};

/* Serves until SIGINT or SIGTERM. Returns the exit code. */
int server_run(const struct server_options *options, struct io *io);

#endif
