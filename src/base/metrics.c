#include "base/metrics.h"

#include <inttypes.h>

#include "base/assert.h"

enum metric_kind { COUNTER, GAUGE };

static const struct metric_spec {
    enum metric_kind kind;
    const char *name;
    const char *help;
} specs[METRICS_COUNT] = {
#define METRIC_SPEC(name, kind, text, help) [METRIC_##name] = {kind, text, help},
    METRIC_TABLE(METRIC_SPEC)
#undef METRIC_SPEC
};

const char *metric_name(enum metric metric) {
    FST_ASSERT(metric < METRICS_COUNT);
    return specs[metric].name;
}

const char *metric_help(enum metric metric) {
    FST_ASSERT(metric < METRICS_COUNT);
    return specs[metric].help;
}

uint64_t metrics_sum(const struct metrics *const *metrics, uint32_t metrics_count,
                     enum metric metric) {
    FST_ASSERT(metric < METRICS_COUNT);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < metrics_count; i++) sum += metrics_get(metrics[i], metric);
    return sum;
}

void metrics_dump(const struct metrics *const *metrics, uint32_t metrics_count, FILE *out) {
    for (uint32_t i = 0; i < METRICS_COUNT; i++) {
        const struct metric_spec *spec = &specs[i];
        uint64_t sum = metrics_sum(metrics, metrics_count, (enum metric)i);
        fprintf(out, "# HELP fstore_%s %s\n", spec->name, spec->help);
        fprintf(out, "# TYPE fstore_%s %s\n", spec->name,
                spec->kind == GAUGE ? "gauge" : "counter");
        if (spec->kind == GAUGE) {
            fprintf(out, "fstore_%s %" PRId64 "\n", spec->name, (int64_t)sum);
        } else {
            fprintf(out, "fstore_%s %" PRIu64 "\n", spec->name, sum);
        }
    }
}
