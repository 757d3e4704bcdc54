/*
 * status: every answer fstore gives, as one table.
 *
 * A status is one byte on the wire and one enum in C; both come from FST_STATUS_TABLE, so a number
 * never changes its meaning. Codes below 16 are normal answers about one row or value; codes from
 * 16 up are refusals and failures of a whole request. Functions that return a status return FST_OK
 * on success and leave their out-parameters untouched otherwise, unless they say something else.
 */
#ifndef FSTORE_STATUS_H
#define FSTORE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, wire code, text) */
#define FST_STATUS_TABLE(X)                                                                        \
    X(OK, 0, "ok")                                                                                 \
    X(STALE, 1, "a newer row is already there; the row went to history only")                      \
    X(DUPLICATE, 2, "this write was applied before; nothing changed")                              \
    X(NOT_FOUND, 3, "no row for this key")                                                         \
    X(EXPIRED, 4, "the newest row is older than the view's ttl")                                   \
    X(FUTURE, 5, "the event time is ahead of the clock by more than the view allows")              \
    X(FULL, 6, "the memory limit is reached; the row was refused")                                 \
    X(INVALID, 16, "an argument or field is out of range")                                         \
    X(BAD_FRAME, 17, "the frame is malformed")                                                     \
    X(TOO_LARGE, 18, "a size limit is exceeded")                                                   \
    X(UNKNOWN, 19, "no such view, feature, service, handle or operation")                          \
    X(EXISTS, 20, "it exists already")                                                             \
    X(LAYOUT_CHANGED, 21, "definitions changed; prepare again with the layout in this reply")      \
    X(UNAUTHENTICATED, 22, "the key is missing, unknown or revoked")                               \
    X(FORBIDDEN, 23, "the key's role does not allow this")                                         \
    X(UNSUPPORTED, 24, "the peer does not speak this protocol version or option")                  \
    X(OVERLOADED, 25, "too much work in flight; retry after the given time")                       \
    X(WARMING, 26, "the server is rebuilding this data; retry after the given time")               \
    X(DISK_FULL, 27, "no room on disk; writes are refused until there is")                         \
    X(OUTCOME_UNKNOWN, 28, "the write may or may not survive; repeat it with the same sequence")   \
    X(INCOMPATIBLE, 29, "the change is not compatible with stored data")                           \
    X(CORRUPT, 30, "stored bytes fail their check")                                                \
    X(IO_ERROR, 31, "the operating system reported an input/output error")                         \
    X(NO_MEMORY, 32, "out of memory")                                                              \
    X(TIMEOUT, 33, "the time limit passed")                                                        \
    X(CLOSED, 34, "the connection is closed")                                                      \
    X(BUSY, 35, "in use by another process or operation")                                          \
    X(INTERNAL, 36, "a defect in fstore; please report it")

enum fst_status {
#define FST_STATUS_ENUM(name, code, text) FST_##name = code,
    FST_STATUS_TABLE(FST_STATUS_ENUM)
#undef FST_STATUS_ENUM
};

#define FST_MUST_USE __attribute__((warn_unused_result))
#define FST_API      __attribute__((visibility("default")))

enum { FST_ERROR_TEXT_BYTES = 512 };

/* Details of a failure on the control plane; the caller owns it, and may pass NULL wherever a
 * function takes one. Filled once, where the failure is first seen. */
struct fst_error {
    enum fst_status status;
    char text[FST_ERROR_TEXT_BYTES]; /* What was expected, what was found, where; always 0-ended. */
};

/* Short upper-case name, such as "NOT_FOUND"; "?" for a number that is no status. Static. */
FST_API const char *fst_status_name(enum fst_status status);

/* One sentence for people. Static. */
FST_API const char *fst_status_text(enum fst_status status);

/* Fills `error` (if not NULL) and returns `status`, so that a caller can fail in one line. */
FST_API enum fst_status fst_error_set(struct fst_error *error, enum fst_status status,
                                      const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
#endif
