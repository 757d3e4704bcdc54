#include "bench/fsbench/latency.h"

#include <inttypes.h>

static const struct quantile {
    const char *name;
    double quantile;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

enum { QUANTILES_COUNT = sizeof quantiles / sizeof quantiles[0], NS_PER_US = 1000 };

static double us_of(uint64_t ns) {
    return (double)ns / NS_PER_US;
}

void latency_head_dump(FILE *out) {
    fprintf(out, "  latency, us     mean");
    for (int i = 0; i < QUANTILES_COUNT; i++) fprintf(out, " %9s", quantiles[i].name);
    fprintf(out, " %9s\n", "max");
}

void latency_row_dump(const char *name, const struct histogram *latency, FILE *out) {
    if (latency->count == 0) return;
    fprintf(out, "    %-8s %9.1f", name, histogram_mean(latency) / NS_PER_US);
    for (int i = 0; i < QUANTILES_COUNT; i++)
        fprintf(out, " %9.1f", us_of(histogram_quantile(latency, quantiles[i].quantile)));
    fprintf(out, " %9.1f\n", us_of(latency->max));
}

void latency_json_dump(const char *name, const struct histogram *latency, FILE *out) {
    fprintf(out, "\"%s_us\":{\"count\":%" PRIu64 ",\"mean\":%.3f", name, latency->count,
            histogram_mean(latency) / NS_PER_US);
    for (int i = 0; i < QUANTILES_COUNT; i++)
        fprintf(out, ",\"%s\":%.3f", quantiles[i].name,
                us_of(histogram_quantile(latency, quantiles[i].quantile)));
    fprintf(out, ",\"max\":%.3f}", us_of(latency->max));
}
