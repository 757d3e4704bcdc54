#include "bench/fsbench/find_max.h"

#include <inttypes.h>

#include "base/assert.h"

enum { FIRST_RATE = 10000, NS_PER_US = 1000 };
enum { REQUESTS_MIN = 100 }; /* of a probe: a p99 of fewer says nothing */

static const char *const state_names[] = {"span", "narrow", "verify", "lower"};

static void probe_judge(const struct find_max *find, const struct measurement *measurement,
                        struct find_max_probe *probe) {
    const struct load_result *total = &measurement->total;
    struct histogram all = total->read_ns;
    histogram_merge(&all, &total->write_ns);
    probe->p99_us = (double)histogram_quantile(&all, 0.99) / NS_PER_US;
    probe->fullness = objective_fullness(&find->objective, &all);
    probe->lost_count = total->refused_count + total->unsent_count;
    probe->verdict = measurement->verdict;
    probe->is_kept = objective_is_kept(&find->objective, &all) && probe->lost_count == 0 &&
                     probe->verdict == VERDICT_TRUSTED;
}

static void probe_print(const struct find_max *find, const struct find_max_probe *probe) {
    fprintf(stderr,
            "probe %2u, %-6s %9" PRIu64 " /s: p99 %.1f us, %.0f %% of the objective%s, %s\n",
            find->probes_count, state_names[find->search.state], probe->rate, probe->p99_us,
            100 * probe->fullness, probe->lost_count ? ", not all answered" : "",
            probe->is_kept                        ? "kept"
            : probe->verdict == VERDICT_TRUSTED   ? "missed"
            : probe->verdict == VERDICT_SATURATED ? "missed: fsbench was busy"
                                                  : "missed: fsbench was late");
}

static enum fst_status probe_run(struct find_max *find, struct load *load,
                                 const struct load_settings *settings,
                                 struct measurement *measurement, struct fst_error *error) {
    struct load_settings at_rate = *settings;
    struct find_max_probe *probe = &find->probes[find->probes_count++];
    at_rate.rate = probe->rate = find->search.rate;
    FST_TRY(measurement_run(load, &at_rate, NULL, measurement, error));
    if (measurement->total.wrong_count > 0)
        return fst_error_set(error, FST_CORRUPT, "%" PRIu64 " replies were wrong",
                             measurement->total.wrong_count);
    probe_judge(find, measurement, probe);
    probe_print(find, probe);
    rate_search_put(&find->search, probe->is_kept);
    if (!probe->is_kept) find->is_load_bound = probe->verdict != VERDICT_TRUSTED;
    return FST_OK;
}

enum fst_status find_max_run(struct find_max *find, struct load *load,
                             const struct load_settings *settings,
                             struct measurement *measurement_out, struct fst_error *error) {
    *find = (struct find_max){.probes_count = 0};
    FST_TRY(objective_decode(settings->slo, &find->objective, error));
    uint64_t rate_min = UINT64_C(1000000) * REQUESTS_MIN / (uint64_t)settings->duration + 1;
    rate_search_init(&find->search, settings->rate ? settings->rate : FIRST_RATE,
                     rate_min < SETTINGS_RATE_MAX ? rate_min : SETTINGS_RATE_MAX,
                     SETTINGS_RATE_MAX);
    while (rate_search_is_running(&find->search)) {
        FST_ASSERT(find->probes_count < RATE_SEARCH_PROBES_MAX);
        FST_TRY(probe_run(find, load, settings, measurement_out, error));
    }
    if (find->search.state == RATE_SEARCH_FOUND) return FST_OK;
    return fst_error_set(error, FST_NOT_FOUND,
                         "no rate from %" PRIu64 " on keeps --slo %.64s, and keeps it again%s",
                         find->search.rate_min, settings->slo,
                         find->is_load_bound ? "; the last was missed by fsbench itself" : "");
}

void find_max_dump(const struct find_max *find, const struct load_settings *settings, FILE *out) {
    fprintf(out, "%" PRIu64 " requests/s keep %s", find->search.rate, settings->slo);
    if (find->search.missed) fprintf(out, ", %" PRIu64 " do not", find->search.missed);
    fprintf(out, "; %u probes, the last one at this rate again:\n", find->probes_count);
    if (find->is_load_bound)
        fprintf(out, "fsbench was the limit, not the server: it may well do more.\n");
}

void find_max_json_dump(const struct find_max *find, const struct load_settings *settings,
                        FILE *out) {
    fprintf(out,
            "\"find_max\":{\"slo\":\"%s\",\"rate\":%" PRIu64 ",\"missed_rate\":%" PRIu64
            ",\"limit\":\"%s\",\"probes\":[",
            settings->slo, find->search.rate, find->search.missed,
            find->is_load_bound ? "fsbench" : "server");
    for (uint32_t i = 0; i < find->probes_count; i++) {
        const struct find_max_probe *probe = &find->probes[i];
        fprintf(out,
                "%s{\"rate\":%" PRIu64 ",\"p99_us\":%.3f,\"fullness\":%.4f,\"lost\":%" PRIu64
                ",\"load_bound\":\"%s\",\"kept\":%s}",
                i ? "," : "", probe->rate, probe->p99_us, probe->fullness, probe->lost_count,
                verdict_name(probe->verdict), probe->is_kept ? "true" : "false");
    }
    fprintf(out, "]}");
}
