/*
 * handle: what was prepared, as the caller sees it, kept in step with what the server has.
 *
 * The caller's picture is a list of features with fixed indices; the server's is a layout that
 * changes with the definitions. Adopting a layout finds each feature of the picture in it by view
 * and name, adds those that are new at the end, and notes where each lies in a reply row.
 *
 * Invariants:
 *   I1  A feature or view keeps its index; a key column does, too, or generation rises.
 *   I2  Every place was checked against the newest layout, the one that `number` and layout->id go
 *       with.
 *   I3  generation rises when keys or rows that were made before no longer fit.
 *
 * Threads: one. Memory: owned by the client; names live in its layouts until it is destroyed.
 */
#ifndef CLIENT_HANDLE_H
#define CLIENT_HANDLE_H

#include "client/buffer.h"
#include "client/layout.h"
#include "fstore/client.h"

enum { CLIENT_KEY_COLUMNS_MAX = 64, CLIENT_VIEW_COLUMN_BYTES = 25 };

/* Where a feature lies in a reply. */
struct client_place {
    uint32_t offset;
    uint32_t null_offset; /* of the byte with its null bit */
    uint8_t null_mask;
    uint32_t group_offset;
    uint32_t bytes;          /* of its value; 0: it lies in the heap */
    uint32_t group;          /* number of its view in the layout */
    uint32_t number;         /* its own number in the layout */
    uint32_t columns_offset; /* of its arrays in columns, per row */
};

/* Where a view lies in a reply. */
struct client_view_place {
    uint32_t offset; /* in a row */
    uint32_t group;  /* its number in the layout */
};

struct fst_handle {
    struct fst_client *client;
    uint32_t number;              /* the server's, on this connection; 0: none yet */
    struct client_buffer prepare; /* payload of the PREPARE request */
    struct client_layout *layout; /* the newest, leading to older ones; NULL until prepared */
    enum fst_status status;       /* FST_OK, or why it cannot be used */
    struct fst_error fault;       /* the text to it */
    uint32_t in_flight;           /* requests of it */
    uint32_t generation;
    bool is_write;
    bool has_heap;          /* some feature has no fixed size */
    bool is_in_order;       /* features have the server's order */
    uint32_t columns_bytes; /* of a reply in columns, per row */
    uint32_t keys_count;
    uint32_t features_count;
    uint32_t views_count;
    struct fst_column *keys;
    struct fst_column *features;
    struct client_place *places; /* of the features */
    struct fst_view *views;
    struct client_view_place *view_places;
};

/* A handle for `count` names; FST_TOO_LARGE when they do not fit into a request. */
FST_MUST_USE enum fst_status client_handle_create(struct fst_client *client, enum client_plan plan,
                                                  const struct fst_text *names, uint32_t count,
                                                  struct fst_handle **handle_out);
void client_handle_destroy(struct fst_handle *handle);

/* Takes over a layout, which becomes the handle's whatever the answer. FST_LAYOUT_CHANGED: features
 * or views of the picture are gone; the handle can no longer be used. FST_NO_MEMORY; FST_BAD_FRAME
 * when the server answers something else than what was prepared. */
FST_MUST_USE enum fst_status client_handle_adopt(struct fst_handle *handle,
                                                 struct client_layout *layout);

/* Types and number of the columns of a write, key columns first. */
uint32_t client_handle_columns_count(const struct fst_handle *handle);
const struct fst_column *client_handle_column(const struct fst_handle *handle, uint32_t column);

#endif
