/*
 * client: reads and writes features of an fstore server over TCP.
 *
 * A program opens a client, prepares what it will ask for, and then asks:
 *
 *     struct fst_options options;
 *     fst_options_init(&options);
 *     options.server = "10.0.0.5:7601";
 *     struct fst_client *client;
 *     if (fst_client_open(&client, &options, &error) != FST_OK) ...
 *     struct fst_handle *handle;
 *     if (fst_prepare_service(client, "fraud_v1", &handle, &error) != FST_OK) ...
 *     struct fst_keys *keys = fst_keys_create(handle);
 *
 *     fst_keys_clear(keys);                        for each transaction
 *     fst_keys_put(keys, fst_int64(customer_id));
 *     fst_keys_put(keys, fst_int64(terminal_id));
 *     struct fst_reply reply;
 *     if (fst_get(keys, NULL, &reply) != FST_OK) ...
 *     struct fst_value value = fst_reply_value(&reply, 0, 3);
 *
 * Names are resolved once, when a handle is prepared; after that, features are known by their index
 * in the handle, and requests and replies carry values only.
 *
 * Blocking and pipelined. fst_get(), fst_write(), fst_delete(), fst_control() and fst_ping() wait
 * for their reply. The fst_submit_ functions queue a request and return; fst_poll() sends what is
 * queued, receives, and calls the function given with each request. Both kinds may be mixed on one
 * client.
 *
 * When the connection breaks, the client connects again, waiting a little longer each time,
 * prepares all handles again and repeats what was not answered; the caller notices nothing but the
 * delay, until the time limit of its request. Writes are repeated under their old sequence, so that
 * the server recognises those it had applied: their rows are answered FST_DUPLICATE, which is
 * success.
 *
 * When definitions change on the server, handles are brought up to date and the request is
 * repeated. The index of a feature never changes: features that a `view:*` or a service gains are
 * added behind the others. fst_handle_features_count() may grow in any call that talks to the
 * server.
 *
 * Promises:
 *   I1  Every request that was accepted is answered exactly once, at the latest at its time limit
 *       or when the client is closed.
 *   I2  A write is never applied twice, whatever is repeated.
 *   I3  Writes reach the server in the order in which they were submitted, but for those that are
 *       repeated because definitions changed.
 *   I4  Once all requests have been made once, a request allocates no memory.
 *
 * Statuses of a whole request: FST_OK; what the server answered (FST_INVALID, FST_OVERLOADED, ...);
 * or FST_TIMEOUT: no reply in time. FST_CLOSED: no connection. FST_WARMING: none, because
 * the server was rebuilding its tables all the time. FST_OUTCOME_UNKNOWN: a write, or a control
 * request that cannot be repeated, was sent and not answered. FST_LAYOUT_CHANGED:
 * definitions changed so much that keys or rows must be filled in again. FST_BUSY: called from a
 * callback, or too much in flight. FST_BAD_FRAME: the peer does not speak the protocol, or says
 * that we do not.
 *
 * Times are int64 microseconds; moments are since 1970-01-01 UTC.
 *
 * Threads: a client, with all that was made from it, is used by one thread at a time. Different
 *          clients are independent.
 * Memory:  the client owns its handles; keys and batches are the caller's to destroy, before the
 *          client is closed. What a reply points to is borrowed: from a blocking call until the
 *          next call on that client, in a callback until it returns.
 */
#ifndef FSTORE_CLIENT_H
#define FSTORE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fstore/status.h"
#include "fstore/value.h"

#ifdef __cplusplus
extern "C" {
#endif

struct fst_client; /* a connection to a server, and what is in flight on it */
struct fst_handle; /* a prepared list of features, to be read or written */
struct fst_keys;   /* keys of one read */
struct fst_batch;  /* rows of one write */

/* ---- connecting ---- */

enum { FST_PORT = 7601, FST_HANDLES_MAX = 255, FST_IN_FLIGHT_MAX = 4096 };

struct fst_options {
    const char *server;         /* "HOST", "HOST:PORT", "[ADDRESS]:PORT"; default 127.0.0.1:7601 */
    const char *key;            /* the API key; NULL or "": none */
    int64_t connect_timeout_us; /* of one attempt, greeting included; default 5 s */
    int64_t request_timeout_us; /* from submitting to the answer; default 10 s */
    int64_t backoff_us_min;     /* before the first attempt to connect again; default 10 ms */
    int64_t backoff_us_max;     /* it doubles up to this; default 1 s */
    uint32_t attempts_max;      /* how often one request is sent at the most; default 5 */
    uint32_t in_flight_max;     /* requests not answered; default 64, at most FST_IN_FLIGHT_MAX */
};

/* Fills in the defaults. */
FST_API void fst_options_init(struct fst_options *options);

/* Connects and greets the server; one attempt, and more within connect_timeout_us while the server
 * is rebuilding its tables: then FST_WARMING. FST_CLOSED: nobody answers; FST_TIMEOUT;
 * FST_UNAUTHENTICATED; FST_UNSUPPORTED: no common version; FST_INVALID: an option is out of range.
 * `options` may be NULL, and its texts are copied. */
FST_API FST_MUST_USE enum fst_status fst_client_open(struct fst_client **client_out,
                                                     const struct fst_options *options,
                                                     struct fst_error *error);

/* Answers what is in flight with FST_CLOSED (writes that were sent: FST_OUTCOME_UNKNOWN), and frees
 * the client and its handles. NULL is fine. Not from a callback. */
FST_API void fst_client_close(struct fst_client *client);

enum { FST_ROLE_READ = 1, FST_ROLE_WRITE = 2, FST_ROLE_ADMIN = 4 };

/* What the server said of itself when it was greeted last. */
struct fst_server {
    uint16_t version; /* of the protocol */
    uint16_t partitions_count;
    uint8_t roles; /* of our key: FST_ROLE_ bits */
    uint32_t frame_bytes_max;
    uint32_t bulk_bytes_max; /* of writes and control requests */
    uint32_t keys_max;
    uint32_t features_max;
    uint32_t in_flight_max;
    uint8_t store_id[16];
    uint64_t server_epoch; /* rises with every start */
};
FST_API const struct fst_server *fst_client_server(const struct fst_client *client);

/* ---- preparing ---- */

/* Each name is "view:feature" or "view:*", the view as "namespace.view" or "view". Blocking.
 * FST_UNKNOWN names what is missing; FST_TOO_LARGE past FST_HANDLES_MAX handles or the server's
 * features_max. */
FST_API FST_MUST_USE enum fst_status
fst_prepare_features(struct fst_client *client, const char *const *names, uint32_t names_count,
                     struct fst_handle **handle_out, struct fst_error *error);
FST_API FST_MUST_USE enum fst_status fst_prepare_service(struct fst_client *client,
                                                         const char *service,
                                                         struct fst_handle **handle_out,
                                                         struct fst_error *error);
/* `features` of the view, in any order; none (0): all, in order of definition. */
FST_API FST_MUST_USE enum fst_status
fst_prepare_write(struct fst_client *client, const char *view, const char *const *features,
                  uint32_t features_count, struct fst_handle **handle_out, struct fst_error *error);

/* Frees the handle; destroy its keys and batches first, and let nothing of it be in flight. */
FST_API void fst_handle_close(struct fst_handle *handle);

struct fst_column {
    const char *name; /* borrowed until the handle is closed, like `view` */
    const char *view; /* "namespace.view"; "" for a key column */
    struct fst_type type;
    uint32_t view_index; /* of the feature's view */
    bool has_default;
};

struct fst_view {
    const char *name; /* "namespace.view"; borrowed until the handle is closed */
    int64_t ttl_us;   /* 0: none */
};

/* Indices are below the counts; beyond them everything is 0 and "". */
FST_API uint32_t fst_handle_keys_count(const struct fst_handle *handle);
FST_API struct fst_column fst_handle_key(const struct fst_handle *handle, uint32_t index);
FST_API uint32_t fst_handle_features_count(const struct fst_handle *handle);
FST_API struct fst_column fst_handle_feature(const struct fst_handle *handle, uint32_t index);
FST_API uint32_t fst_handle_views_count(const struct fst_handle *handle);
FST_API struct fst_view fst_handle_view(const struct fst_handle *handle, uint32_t index);

/* Index of a feature given as "feature", "view:feature" or "namespace.view:feature"; -1 if there is
 * none, or more than one. */
FST_API int32_t fst_handle_find(const struct fst_handle *handle, const char *name);

/* ---- replies ---- */

/* The form in which a read is answered. All say the same. Rows suit a few keys and everything about
 * them; columns suit many keys, a feature at a time; a matrix goes into a model as it is, but has
 * neither times nor anything that is no number. */
enum fst_shape {
    FST_SHAPE_ROWS = 0,
    FST_SHAPE_COLUMNS = 1,
    FST_SHAPE_FLOAT32 = 2, /* matrices */
    FST_SHAPE_FLOAT64 = 3
};

struct fst_reply {
    enum fst_status status;
    const char *text;  /* why not FST_OK; else "" */
    uint32_t retry_us; /* wait at least this long before repeating; 0: repeating is no use */

    uint32_t rows_count; /* of a read or write */

    /* Of a write: answers by row (enum fst_status), or NULL when all are FST_OK; and how many of
     * them are refusals, which FST_STALE and FST_DUPLICATE are not. */
    const uint8_t *row_statuses;
    uint32_t refused_count;

    /* Of a control request: the fst.ControlReply. Of a read: what came, in its shape. */
    const uint8_t *data;
    uint32_t bytes;

    const struct fst_handle *handle; /* of a read or write */
    const uint8_t *heap;             /* of a read in rows or columns, behind them */
    enum fst_shape shape;            /* of a read */
    bool has_statuses;               /* of a matrix: they came with it */
};

/* One feature of one row of a read in rows or columns. Indices beyond the end, and a matrix, give a
 * value of no kind, not given. */
FST_API struct fst_value fst_reply_value(const struct fst_reply *reply, uint32_t row,
                                         uint32_t feature);

/* A row of one view as it was found: when it happened, when it became known, where it is in the
 * log. */
struct fst_row {
    enum fst_presence presence; /* FST_PRESENT, FST_ROW_MISSING or FST_ROW_EXPIRED */
    int64_t event_us;
    int64_t created_us;
    uint64_t lsn;
};
/* In rows or columns; a matrix has none: FST_ROW_MISSING. */
FST_API struct fst_row fst_reply_row(const struct fst_reply *reply, uint32_t row,
                                     uint32_t view_index);

/* One feature of all rows, as it lies in a reply in columns: arrays of rows_count elements, of any
 * alignment, borrowed like the reply. What is null is the feature's default, or 0:
 *
 *     struct fst_reply_column age = fst_reply_column(&reply, 3);
 *     int32_t ages[KEYS];
 *     memcpy(ages, age.values, sizeof ages);
 */
struct fst_reply_column {
    struct fst_type type;
    uint32_t value_bytes; /* of each value */
    const void *values;   /* little-endian; string, bytes, list: uint32_t offset in heap, bytes */
    const uint8_t *nulls; /* 1 where the row has no value, else 0 */
    const uint8_t *rows;  /* enum fst_presence of the rows of the feature's view */
};
/* Of any other reply, or beyond the features: NULL and 0. */
FST_API struct fst_reply_column fst_reply_column(const struct fst_reply *reply, uint32_t feature);

/* The numbers of a reply of any shape, row after row: features 0 to `features_count` - 1 of every
 * row, whatever order the server has them in. They are those of fst_value_float64(): the default
 * for what is not there, or NaN; NaN, too, for features that are no numbers or not there. Both
 * copy whole rows out of a matrix of their own type; other shapes are converted, and what becomes
 * float32 by way of float64 is rounded twice. */
FST_API void fst_reply_matrix(const struct fst_reply *reply, uint32_t features_count,
                              double *matrix_out);
FST_API void fst_reply_matrix_float32(const struct fst_reply *reply, uint32_t features_count,
                                      float *matrix_out);
/* Why each of those numbers is there or not (enum fst_presence; FST_ROW_MISSING beyond the
 * features). False, and nothing is written, for a matrix whose statuses were not asked for. */
FST_API bool fst_reply_presences(const struct fst_reply *reply, uint32_t features_count,
                                 uint8_t *presences_out);

/* ---- reading ---- */

/* NULL: out of memory. */
FST_API struct fst_keys *fst_keys_create(struct fst_handle *handle);
FST_API void fst_keys_destroy(struct fst_keys *keys);
/* Forgets all keys and keeps the memory. */
FST_API void fst_keys_clear(struct fst_keys *keys);
/* Puts the next column of the key; after the last column of the handle the next key begins.
 * FST_INVALID for a value of another type, FST_TOO_LARGE past the server's keys_max, FST_NO_MEMORY.
 * After a failure the keys are refused by reads until they are cleared. */
FST_API enum fst_status fst_keys_put(struct fst_keys *keys, struct fst_value value);
FST_API uint32_t fst_keys_count(const struct fst_keys *keys);

struct fst_get_options {
    int64_t as_of_us;    /* the moment asked for; FST_NOW */
    int64_t deadline_us; /* 0: no limit; else FST_TIMEOUT, without looking anything up, if the
                          * server comes to the request that long after it arrived, or later */
    bool serves_expired; /* values past their ttl too; they stay FST_ROW_EXPIRED */
    bool has_statuses; /* with a matrix: fst_reply_presences(), a byte per number; else no effect */
    enum fst_shape shape;
};
#define FST_NOW INT64_MIN

/* One reply row per key, in their order. `options` may be NULL: rows, now, no deadline, no expired
 * values. FST_INVALID, naming the feature, for a matrix of a handle with a feature that is no
 * number: bool, int32, int64, float32, float64, decimal or timestamp. */
FST_API enum fst_status fst_get(const struct fst_keys *keys, const struct fst_get_options *options,
                                struct fst_reply *reply_out);

/* ---- writing ---- */

enum fst_ack {
    FST_ACK_MEMORY = 0,
    FST_ACK_DURABLE = 1 /* the rows are on disk when they are acknowledged */
};

/* Rows for a handle from fst_prepare_write(). NULL: out of memory. */
FST_API struct fst_batch *fst_batch_create(struct fst_handle *handle);
FST_API void fst_batch_destroy(struct fst_batch *batch);
/* Forgets all rows, keeps the memory, and takes over column types that have changed. */
FST_API void fst_batch_clear(struct fst_batch *batch);
/* Begins a row, after which its columns are put. In one batch either all rows have a created time,
 * or none: then it is the time of arrival. Failures as in fst_batch_put(). */
FST_API enum fst_status fst_batch_append(struct fst_batch *batch, int64_t event_us);
FST_API enum fst_status fst_batch_append_created(struct fst_batch *batch, int64_t event_us,
                                                 int64_t created_us);
/* Sets a column of the newest row, once: key columns come first, then the features. Features not
 * put are null. FST_INVALID: another type, a column that is not there or was put already, a null
 * key; FST_TOO_LARGE; FST_NO_MEMORY. After a failure the batch is refused until it is cleared. */
FST_API enum fst_status fst_batch_put(struct fst_batch *batch, uint32_t column,
                                      struct fst_value value);
FST_API uint32_t fst_batch_rows_count(const struct fst_batch *batch);
/* Bytes the rows take on the wire, at most; fst_server.bulk_bytes_max is the limit. */
FST_API size_t fst_batch_bytes(const struct fst_batch *batch);

/* Sends the rows as one request; the batch may be cleared and filled again at once. */
FST_API enum fst_status fst_write(const struct fst_batch *batch, enum fst_ack ack,
                                  struct fst_reply *reply_out);
/* Deletes the keys of the batch, of which key columns alone are put, as of the event time of each:
 * rows of a key that are smaller in the order of rows are gone, those that come later and are
 * smaller are stale. A key without a row is deleted, too. Answers, acknowledgement and repetition
 * are those of fst_write(). */
FST_API enum fst_status fst_delete(const struct fst_batch *batch, enum fst_ack ack,
                                   struct fst_reply *reply_out);

/* ---- control ---- */

struct fst_control {
    const uint8_t *data; /* a packed fst.ControlRequest, see control.proto */
    size_t bytes;
    bool is_repeatable; /* doing it twice is harmless: it may be sent again */
};

FST_API enum fst_status fst_control_run(struct fst_client *client,
                                        const struct fst_control *control, int64_t timeout_us,
                                        struct fst_reply *reply_out);

/* The next write sequence, for control requests that carry one. Submit them in this order. */
FST_API uint64_t fst_sequence_next(struct fst_client *client);

/* A round trip. */
FST_API enum fst_status fst_ping(struct fst_client *client, struct fst_reply *reply_out);

/* ---- many requests at a time ---- */

struct fst_call {
    /* Called once with the reply, from fst_poll(), from a blocking call on the same client, or when
     * the client is closed. It may submit; it may not block, poll or close. */
    void (*done)(void *context, const struct fst_reply *reply);
    void *context;
    int64_t timeout_us; /* 0: the client's request_timeout_us */
};

/* Each copies what it sends, so keys and batch are free again at once. FST_BUSY: in_flight_max
 * requests are not answered yet, poll first. Other failures are those of the arguments; `done` is
 * called only after FST_OK. */
FST_API FST_MUST_USE enum fst_status fst_submit_get(const struct fst_keys *keys,
                                                    const struct fst_get_options *options,
                                                    const struct fst_call *call,
                                                    struct fst_error *error);
FST_API FST_MUST_USE enum fst_status fst_submit_write(const struct fst_batch *batch,
                                                      enum fst_ack ack, const struct fst_call *call,
                                                      struct fst_error *error);
FST_API FST_MUST_USE enum fst_status fst_submit_delete(const struct fst_batch *batch,
                                                       enum fst_ack ack,
                                                       const struct fst_call *call,
                                                       struct fst_error *error);
FST_API FST_MUST_USE enum fst_status fst_submit_control(struct fst_client *client,
                                                        const struct fst_control *control,
                                                        const struct fst_call *call,
                                                        struct fst_error *error);

/* Sends, receives and answers. Returns how many requests were answered: as soon as there is one,
 * when `timeout_us` has passed (0: do not wait; negative: no limit), when nothing is in flight, or
 * when a signal arrives. */
FST_API uint32_t fst_poll(struct fst_client *client, int64_t timeout_us);

/* Requests not answered yet, and how many there may be. */
FST_API uint32_t fst_in_flight(const struct fst_client *client);
FST_API uint32_t fst_in_flight_max(const struct fst_client *client);

/* For other event loops: the socket (-1 while there is none), whether it should be watched for
 * being writable, and in how many microseconds fst_poll(client, 0) is due in any case (-1:
 * never). */
FST_API int fst_client_fd(const struct fst_client *client);
FST_API bool fst_client_wants_write(const struct fst_client *client);
FST_API int64_t fst_client_due_us(const struct fst_client *client);

#ifdef __cplusplus
}
#endif
#endif
