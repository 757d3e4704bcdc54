/*
 * verdict: whether a run has measured the server, or the load generator itself.
 *
 * Only an open loop can be refused: it promises a rate, and a load that does not keep its promise
 * measures something else. It did not if requests left late for no fault of the server, or if the
 * load had no processor time left while the server had. A closed loop promises nothing; it is only
 * remarked on.
 *
 * Threads: pure functions. Memory: the caller's.
 */
#ifndef FSBENCH_VERDICT_H
#define FSBENCH_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

struct verdict_facts {
    bool is_open_loop;
    bool knows_server;
    uint64_t lateness_ns_p99; /* the load's own */
    uint64_t lateness_ns_max; /* what of it is allowed; 0: anything */
    double load_busy;         /* share of the time that the load had something to do */
    double server_busy;       /* share of the time that the server's busiest thread ran */
};

enum verdict {
    VERDICT_TRUSTED,
    VERDICT_LATE,      /* requests left too late */
    VERDICT_SATURATED, /* the load's processor was busy, and the server's was not */
};

enum verdict verdict_of(const struct verdict_facts *facts);

/* "no", "lateness", "processor". */
const char *verdict_name(enum verdict verdict);

#endif
