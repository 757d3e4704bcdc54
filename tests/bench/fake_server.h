/*
 * fake_server: a small fsd for tests of the load generator: one view, rows as versions, and faults.
 *
 * It keeps only the version of each row and makes the values from it, and it answers all requests
 * that have arrived in reverse order, so that a client which relies on order or on whole receives
 * fails.
 *
 * Threads: one per connection, besides the caller's. Memory: owned until fake_server_close.
 */
#ifndef TESTS_BENCH_FAKE_SERVER_H
#define TESTS_BENCH_FAKE_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { FAKE_KEYS_MAX = 100000, FAKE_CONNECTIONS_MAX = 64, FAKE_ADDRESS_BYTES = 32 };

enum fake_fault {
    FAKE_NONE,
    FAKE_WRONG_VALUE,   /* a bit of a value is flipped */
    FAKE_WRONG_VERSION, /* values of one version under the event time of another */
    FAKE_NULL,          /* a null bit is set */
    FAKE_NOT_FOUND,
    FAKE_SHORT_ROWS, /* a reply with one row less */
    FAKE_REFUSE,     /* OVERLOADED with a text */
    FAKE_TIMEOUT,    /* reads only: TIMEOUT with a text */
    FAKE_STALE,      /* writes only: STALE for every row */
    FAKE_FULL,       /* writes only: FULL for the first row, STALE for the others */
    FAKE_GARBAGE,    /* bytes that are no frame */
    FAKE_UNKNOWN_ID, /* a reply to a request that was never sent */
    FAKE_TWICE,      /* every reply twice */
    FAKE_HANG_UP,    /* half a reply, then the end */
};

struct fake_options {
    uint32_t features_count;
    uint32_t chop_bytes; /* replies are sent in pieces of this size; 0: whole */
    int64_t deadline_us; /* that reads must carry */
    enum fake_fault fault;
    uint32_t fault_every; /* the fault hits every so manieth reply of GET or WRITE; 0: none */
};

struct fake_server;

struct fake_server *fake_server_open(const struct fake_options *options,
                                     char address_out[FAKE_ADDRESS_BYTES]);
void fake_server_close(struct fake_server *server); /* every client must have closed before */

uint64_t fake_server_gets(struct fake_server *server);
uint64_t fake_server_writes(struct fake_server *server);
uint64_t fake_server_applies(struct fake_server *server);
int64_t fake_server_version(struct fake_server *server, uint64_t key); /* 0: no row */

#endif
