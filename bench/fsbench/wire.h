/*
 * wire: blocking conversations over TCP, for what comes before a measurement.
 *
 * Threads: any, one per socket. Memory: the caller's.
 */
#ifndef FSBENCH_WIRE_H
#define FSBENCH_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "fstore/status.h"

/* Connects to HOST:PORT, without Nagle's delay. FST_INVALID for a bad address, FST_CLOSED when
 * nobody answers. */
FST_MUST_USE enum fst_status wire_open(const char *address, int *socket_out,
                                       struct fst_error *error);
void wire_close(int socket);

/* All of it, or FST_CLOSED. */
FST_MUST_USE enum fst_status wire_put(int socket, const void *data, size_t bytes,
                                      struct fst_error *error);
FST_MUST_USE enum fst_status wire_get(int socket, void *data, size_t bytes,
                                      struct fst_error *error);

/* Makes later reads and writes return at once. */
FST_MUST_USE enum fst_status wire_unblock(int socket, struct fst_error *error);

#endif
