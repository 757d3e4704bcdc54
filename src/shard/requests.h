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

/* ---- for modules that serve one opcode ---- */

/* Answer a request with a status and its text; what broke the protocol ends the connection. */
void request_fail_text(struct conn *conn, const struct frame *frame, enum fst_status status,
                       const char *text);
void request_fail(struct conn *conn, const struct frame *frame, const struct fst_error *error);

/* True if the connection's key has not the role; then the request is answered. */
bool request_role_is_missing(struct conn *conn, const struct frame *frame, uint32_t role);

/* The plan's handle if the client's picture of it is right; otherwise the request is answered. */
struct handle *request_find_handle(struct conn *conn, const struct frame *frame, bool is_write,
                                   uint64_t layout_id);

#endif
