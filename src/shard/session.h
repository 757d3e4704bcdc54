/*
 * session: what a connection has said about itself: its key and what that allows, its write scope,
 *          its prepared handles.
 *
 * A handle keeps the names it was prepared from, so that it can be prepared again when definitions
 * change. If the new layout differs, the handle is marked: the next request with the old layout id
 * gets the new layout. Of the key the hash is kept, so that its roles can be looked up again when
 * keys change.
 *
 * Invariants: client_id is 0, and there are no roles, before HELLO. Handles are numbered from 1
 * without gaps; exactly one of read and write is set in each. Threads: the shard of the connection.
 * Memory:  owned by the connection's slot; handles are allocated at PREPARE, freed at close.
 */
#ifndef SHARD_SESSION_H
#define SHARD_SESSION_H

#include "query/read_plan.h"
#include "query/write_plan.h"
#include "registry/access.h"

enum { SESSION_HANDLES_MAX = 256 };

struct handle {
    enum plan_kind kind;
    uint32_t names_count;
    struct bytes *names;      /* one allocation with their bytes */
    struct read_plan *read;   /* kinds features and service */
    struct write_plan *write; /* kind write */
};

/* What PREPARE asks for. */
struct handle_names {
    enum plan_kind kind;
    uint32_t count;
    const struct bytes *names;
};

struct session {
    uint64_t client_id; /* 0 before HELLO */
    uint32_t roles;     /* enum fst_role bits; 0: nothing is allowed, or not any more */
    uint8_t key_hash[ACCESS_HASH_BYTES];
    uint32_t handles_count;
    struct handle **handles;
};

FST_MUST_USE enum fst_status session_create(struct session **session_out);
void session_destroy(struct session *session);

/* HELLO: who it is, by which key (its text; empty for none). No roles yet. */
void session_greet(struct session *session, uint64_t client_id, struct bytes key);

/* Replaces the roles by those that the key has now. Nothing before HELLO. */
void session_grant(struct session *session, const struct access_table *access);

/* Compiles the names and keeps the plan under a new number. */
FST_MUST_USE enum fst_status session_prepare(struct session *session, const struct catalog *catalog,
                                             const struct handle_names *names, uint32_t *handle_out,
                                             struct fst_error *error);

/* The handle with this number, or NULL. */
struct handle *session_find(const struct session *session, uint32_t number);

/* Compiles all handles anew. A handle whose names no longer exist is left without a plan. */
void session_refresh(struct session *session, const struct catalog *catalog);

#endif
