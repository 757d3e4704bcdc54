/*
 * warming: answers WARMING for the shards, while the tables they need are being rebuilt.
 *
 * Recovery tells it how far it is. The first time a thread is started that accepts connections on
 * the listening sockets of the shards and answers every frame with WARMING, the progress, and a
 * time to wait: what is left at the pace so far, from 10 ms to 1 s. A start that finds its tables
 * whole tells nothing: then nothing is started, and connections wait in the sockets for the shards.
 *
 * At the end connections that said nothing yet are given a moment to, then all are closed; those
 * that were not accepted stay in the sockets.
 *
 * Threads: warming_tell by one thread at a time; all else by the one that starts the server.
 * Memory:  in place, and what a ring and connections take while it runs. The sockets are borrowed.
 */
#ifndef SERVER_WARMING_H
#define SERVER_WARMING_H

#include <pthread.h>

#include "net/conn.h"
#include "net/ring.h"
#include "shard/engine.h"
#include "storage/recovery/recovery.h"

struct warming_options {
    struct io *io; /* its clock */
    enum ring_kind ring_kind;
    uint32_t connections_max;
    int64_t handshake_us;
    int64_t partial_us;
    uint32_t listeners_count;
    int listeners[ENGINE_SHARDS_MAX];
};

struct warming {
    struct warming_options options;
    bool is_told;              /* of a rebuild; the thread was started, or cannot be */
    bool is_running;           /* the thread */
    enum recovery_phase phase; /* told last; of the teller, as the times */
    int64_t phase_us;          /* monotonic: when it began */
    int64_t logged_us;         /* monotonic: the last line of the log */
    _Atomic uint32_t told;     /* phase and percent */
    _Atomic uint32_t retry_us;
    _Atomic bool is_ending;
    pthread_t thread;
    struct io_ring *ring;
    struct conns conns;
    bool is_accepting[ENGINE_SHARDS_MAX];
    int64_t accept_again_us; /* monotonic */
    int64_t now_us;          /* monotonic, of this tick */
};

void warming_init(struct warming *warming, const struct warming_options *options);
/* Ends it. Zeroed memory is one that was never begun. */
void warming_deinit(struct warming *warming);

/* What recovery says; logs it, at most once a second and phase. A thread that cannot be started is
 * logged, too: connections wait then. */
void warming_tell(struct warming *warming, const struct recovery_progress *progress);

#endif
