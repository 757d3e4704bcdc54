#include "bench/fsbench/verdict.h"

#include "base/assert.h"

/* A load this busy has queued by itself; a server less busy than that could have done more. */
static const double load_busy_max = 0.95, server_busy_min = 0.9;

enum verdict verdict_of(const struct verdict_facts *facts) {
    bool is_late = facts->lateness_ns_max && facts->lateness_ns_p99 > facts->lateness_ns_max;
    if (facts->is_open_loop && is_late) return VERDICT_LATE;
    bool has_idle_server = facts->knows_server && facts->server_busy < server_busy_min;
    if (has_idle_server && facts->load_busy > load_busy_max) return VERDICT_SATURATED;
    return VERDICT_TRUSTED;
}

const char *verdict_name(enum verdict verdict) {
    static const char *const names[] = {"no", "lateness", "processor"};
    FST_ASSERT(verdict <= VERDICT_SATURATED);
    return names[verdict];
}
