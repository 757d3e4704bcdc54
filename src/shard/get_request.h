/*
 * get_request: GET, from its frame to its reply, in one tick or, if rows are not in memory, in two.
 *
 * A reply's place in the output is taken at once and filled when the batch of the tick runs. A
 * request that met evicted rows gets its place taken back then, goes to the warm threads as a call,
 * and is served again as a whole, with these rows in hand, when the call returns: deadline, role,
 * handle and tables count as they are by then. Others overtake it.
 *
 * Threads: the shard.
 * Memory:  what a request needs until its run lies in the tick's arena; a call is taken from the
 *          budget of the warm threads.
 */
#ifndef SHARD_GET_REQUEST_H
#define SHARD_GET_REQUEST_H

#include "shard/shard.h"

struct warm_call;

/* Serves one frame. `call`, NULL the first time, is taken over. */
void get_request_serve(struct shard *shard, struct conn *conn, const struct frame *frame,
                       struct warm_call *call);

/* Runs the reads that were taken, and sends away what is missing rows. */
void get_request_run(struct shard *shard);

/* A call came back: its request is served again, if its connection is still there. */
void get_request_warmed(struct shard *shard, struct warm_call *call);

#endif
