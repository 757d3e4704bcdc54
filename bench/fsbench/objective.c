#include "bench/fsbench/objective.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

enum { NS_PER_US = 1000, DURATION_BYTES = 32 };

/* Reads one bound up to a comma or the end; NULL if it is none. */
static const char *bound_decode(const char *text, double *quantile_out, uint64_t *ns_out) {
    char *end, duration[DURATION_BYTES];
    if (*text != 'p' || text[1] < '0' || text[1] > '9') return NULL;
    double percent = strtod(text + 1, &end);
    if (!(percent > 0 && percent < 100) || *end != '=') return NULL;
    size_t bytes = strcspn(end + 1, ",");
    if (bytes >= sizeof duration) return NULL;
    memcpy(duration, end + 1, bytes);
    duration[bytes] = 0;
    int64_t us;
    if (duration_parse(duration, &us, NULL) != FST_OK || us <= 0) return NULL;
    *quantile_out = percent / 100;
    *ns_out = (uint64_t)us * NS_PER_US;
    return end + 1 + bytes;
}

enum fst_status objective_decode(const char *text, struct objective *objective_out,
                                 struct fst_error *error) {
    const char *at = text;
    *objective_out = (struct objective){.bounds_count = 0};
    for (uint32_t i = 0; at && i < OBJECTIVE_BOUNDS_MAX; i++) {
        at = bound_decode(at, &objective_out->bounds[i].quantile, &objective_out->bounds[i].ns_max);
        objective_out->bounds_count = i + 1;
        if (at && *at == 0) return FST_OK;
        if (at) at++;
    }
    return fst_error_set(error, FST_INVALID,
                         "--slo: expected bounds such as p99=500us,p99.9=2ms, found %.64s", text);
}

double objective_fullness(const struct objective *objective, const struct histogram *latency_ns) {
    double fullest = 0;
    for (uint32_t i = 0; i < objective->bounds_count; i++) {
        double ns = (double)histogram_quantile(latency_ns, objective->bounds[i].quantile);
        double fullness = ns / (double)objective->bounds[i].ns_max;
        if (fullness > fullest) fullest = fullness;
    }
    return fullest;
}

bool objective_is_kept(const struct objective *objective, const struct histogram *latency_ns) {
    return latency_ns->count > 0 && objective_fullness(objective, latency_ns) <= 1;
}
