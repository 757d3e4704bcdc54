/*
 * layout: what the server says about a prepared handle, taken apart and checked.
 *
 * A layout is the payload of a PREPARE reply. Everything in it that will be used to compute an
 * address in a reply row is checked here, once, so that reading a value needs no checks but the
 * index.
 *
 * Invariants of a decoded layout of a read:
 *   I1  Groups lie inside the row, and hold their head and one null bit per feature.
 *   I2  Values lie inside the row; a value without a fixed size has 8 bytes there.
 *   I3  Names are 0-ended and hold no other 0.
 *
 * Threads: one. Memory: one allocation, owned by whoever decoded it.
 */
#ifndef CLIENT_LAYOUT_H
#define CLIENT_LAYOUT_H

#include "client/value.h"

enum { CLIENT_GROUP_HEAD_BYTES = 32 };
enum client_plan { CLIENT_PLAN_FEATURES = 0, CLIENT_PLAN_SERVICE = 1, CLIENT_PLAN_WRITE = 2 };

struct client_layout_key {
    struct fst_type type;
    const char *name;
};

struct client_layout_group {
    const char *view;
    int64_t ttl_us;
    uint32_t offset; /* in the row */
    uint32_t bytes;
    uint32_t features_count;
};

struct client_layout_feature {
    struct fst_type type;
    const char *name;
    uint32_t group;
    uint32_t null_bit;
    uint32_t offset; /* in the row */
    bool has_default;
};

struct client_layout {
    struct client_layout *older; /* of the same handle; names of both may be in use */
    uint32_t number;             /* the server's, of the handle */
    uint64_t id;
    enum client_plan plan;
    uint32_t row_bytes;
    uint32_t keys_count;
    uint32_t groups_count;
    uint32_t features_count;
    struct client_layout_key *keys;
    struct client_layout_group *groups;
    struct client_layout_feature *features;
};

/* FST_BAD_FRAME for anything that breaks the rules above; FST_NO_MEMORY. */
FST_MUST_USE enum fst_status client_layout_decode(struct bytes payload,
                                                  struct client_layout **layout_out);
/* Frees a layout and all older ones. */
void client_layout_destroy(struct client_layout *layout);

#endif
