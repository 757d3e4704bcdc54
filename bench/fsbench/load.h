/*
 * load: keeps a server busy over many connections and measures how it answers.
 *
 * One thread, one epoll, no library in between. A turn waits for sockets, takes all replies that
 * came on each with one receive, and sends the requests that follow with one send. In the closed
 * loop each connection has `depth` requests in flight; a reply makes room for the next. In the open
 * loop requests are due by a schedule that does not wait for the server (schedule.h), and the loop
 * never sleeps while one is to come; a latency counts from when the request was due, so a server
 * that stalls is charged for everything that waited. Requests that are due at the same time, since
 * their rate is high or the load was late, leave together, up to 16 on one connection.
 *
 * Invariants, restated as code in load_check():
 *   I1  Of each connection's slots, in_flight_count are busy; the others wait in free_slots.
 *   I2  Bytes kept for later are sent before any new request of that connection.
 *
 * Threads: one. Memory: settled in load_open, but for bytes that a socket would not take.
 */
#ifndef FSBENCH_LOAD_H
#define FSBENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "bench/fsbench/dialect.h"
#include "bench/fsbench/series.h"

enum { LOAD_CONNECTIONS_MAX = 4096, LOAD_DEPTH_MAX = 1024, LOAD_STATUSES = 256 };

enum load_verify { LOAD_VERIFY_SAMPLE, LOAD_VERIFY_ALL, LOAD_VERIFY_NONE };

struct load_options {
    const char *address;
    uint32_t connections_count;
    uint32_t depth;
    uint32_t keys_per_read;
    uint32_t rows_per_write;
    double write_share;  /* of the requests, 0 to 1 */
    bool writes_new;     /* each write is of the next rows that nobody has written yet */
    uint64_t in_time_ns; /* answers later than that after they were sent are late; 0: none is */
    enum load_verify verify;
    uint64_t seed;
};

/* What one run of a load does. */
struct load_phase {
    uint64_t warmup_ns;
    uint64_t duration_ns;
    double rate; /* requests per second; 0: closed loop */
    bool is_poisson;
    /* Instead of all that: write, or read, rows 0 to rows_count - 1 once. */
    uint64_t rows_count;
    bool is_read_back;
    void (*report)(void *context, uint64_t done, uint64_t total); /* may be NULL */
    void *context;
    uint64_t interval_ns; /* 0: none */
    void (*interval)(void *interval_context, const struct interval *interval);
    void *interval_context;
};

struct load_result {
    uint64_t elapsed_ns;
    uint64_t reads_count, writes_count; /* requests answered in time */
    uint64_t keys_count;                /* keys read and rows written by them */
    uint64_t missing_count;             /* of the keys read: those that do not exist */
    uint64_t late_count;                /* of the answers: those that did not come in time */
    uint64_t new_rows_count;            /* rows written beyond the keys that are read, until now */
    uint64_t stale_count, refused_count, wrong_count;
    uint64_t refused_by_status[LOAD_STATUSES];
    uint64_t received_bytes, sent_bytes;
    uint64_t cpu_ns; /* this process's own */
    /* Time with something to do: in an open loop all but fruitless looks at the sockets, in a
     * closed one the processor time. */
    uint64_t busy_ns;
    /* Open loop: fruitless looks at the sockets that took long: another had the processor. */
    uint64_t stalled_ns;
    /* Open loop: requests due that were never sent, and those that found no room when due. */
    uint64_t unsent_count, held_count;
    struct histogram read_ns, write_ns; /* of an open loop also of what was answered later */
    struct histogram lateness_ns;       /* open loop: of requests that found room (schedule.h) */
    struct histogram service_ns;        /* open loop: from when each was sent, not when due */
};

struct load;

/* Connects and greets. The dialect is borrowed until load_close. */
FST_MUST_USE enum fst_status load_open(const struct load_options *options, struct dialect *dialect,
                                       struct load **load_out, struct fst_error *error);
void load_close(struct load *load);

/* Runs to the end and waits for what is in flight. A phase of all rows asks again for those that
 * are refused with OVERLOADED, and fails with it when none is served for 30 s. FST_CLOSED when the
 * server went away, FST_CORRUPT when it sent no reply, FST_TIMEOUT when replies stay out. Wrong
 * values are counted, not failed. */
FST_MUST_USE enum fst_status load_run(struct load *load, const struct load_phase *phase,
                                      struct load_result *result_out, struct fst_error *error);

/* Walks all connections. FST_CORRUPT if I1 fails. */
FST_MUST_USE enum fst_status load_check(const struct load *load);

#endif
