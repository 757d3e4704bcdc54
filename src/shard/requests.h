/*
 * requests: what each opcode does, from a frame to a reply or to a message on its way.
 *
 * Threads: the shard. Memory: frames are borrowed until the next wait; see shard.h.
 */
#ifndef SHARD_REQUESTS_H
#define SHARD_REQUESTS_H

#include "shard/shard.h"

/* Serves one frame. Everything it can answer now is answered, or gets its place in the output. */
void request_serve(struct shard *shard, struct conn *conn, const struct frame *frame);

/* Runs the reads that were taken. */
void request_run_gets(struct shard *shard);

#endif
