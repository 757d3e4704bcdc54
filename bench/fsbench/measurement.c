#include "bench/fsbench/measurement.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "bench/fsbench/command.h"
#include "bench/fsbench/latency.h"
#include "bench/fsbench/process.h"

enum { NS_PER_US = 1000 };

static void result_add(struct load_result *total, const struct load_result *result) {
    total->elapsed_ns += result->elapsed_ns;
    total->reads_count += result->reads_count;
    total->writes_count += result->writes_count;
    total->keys_count += result->keys_count;
    total->missing_count += result->missing_count;
    total->late_count += result->late_count;
    total->new_rows_count = result->new_rows_count;
    total->stale_count += result->stale_count;
    total->refused_count += result->refused_count;
    total->wrong_count += result->wrong_count;
    total->received_bytes += result->received_bytes;
    total->sent_bytes += result->sent_bytes;
    total->unsent_count += result->unsent_count;
    total->held_count += result->held_count;
    total->cpu_ns += result->cpu_ns;
    total->busy_ns += result->busy_ns;
    total->stalled_ns += result->stalled_ns;
    for (int i = 0; i < LOAD_STATUSES; i++)
        total->refused_by_status[i] += result->refused_by_status[i];
    histogram_merge(&total->read_ns, &result->read_ns);
    histogram_merge(&total->write_ns, &result->write_ns);
    histogram_merge(&total->lateness_ns, &result->lateness_ns);
    histogram_merge(&total->service_ns, &result->service_ns);
}

static double seconds_of(uint64_t ns) {
    return (double)ns / 1e9;
}

/* Of the time, at least. */
static double stalled_share(const struct load_result *total) {
    return (double)total->stalled_ns / (double)total->elapsed_ns;
}

static double us_of(uint64_t ns) {
    return (double)ns / NS_PER_US;
}

/* Adds a run, during which the server's busiest thread ran for `busiest_ns`. */
static void run_add(struct measurement *measurement, const struct load_settings *settings,
                    const struct load_result *result, uint64_t busiest_ns) {
    double seconds = seconds_of(result->elapsed_ns);
    uint64_t answered = result->reads_count + result->writes_count;
    struct histogram all = result->read_ns;
    histogram_merge(&all, &result->write_ns);
    measurement->p99_us[measurement->runs_count] = us_of(histogram_quantile(&all, 0.99));
    measurement->requests_per_s[measurement->runs_count++] = (double)answered / seconds;
    measurement->server_busiest_ns += busiest_ns;
    result_add(&measurement->total, result);
    struct verdict_facts facts = {
        .is_open_loop = settings->rate > 0,
        .knows_server = settings->server_pid > 0,
        .lateness_ns_p99 = histogram_quantile(&result->lateness_ns, 0.99),
        .lateness_ns_max = (uint64_t)settings->lateness_max * NS_PER_US,
        .load_busy = seconds_of(result->busy_ns) / seconds,
        .server_busy = seconds_of(busiest_ns) / seconds,
    };
    enum verdict verdict = verdict_of(&facts);
    if (measurement->verdict != VERDICT_TRUSTED && verdict == VERDICT_TRUSTED) return;
    measurement->verdict = verdict;
    measurement->facts = facts;
}

static enum fst_status once_run(struct load *load, const struct load_settings *settings,
                                struct timeline *timeline, struct measurement *measurement,
                                struct fst_error *error) {
    struct load_phase phase = {.warmup_ns = (uint64_t)settings->warmup * NS_PER_US,
                               .duration_ns = (uint64_t)settings->duration * NS_PER_US,
                               .rate = (double)settings->rate,
                               .is_poisson = settings->arrivals == 0,
                               .interval_ns = timeline ? timeline_step_ns(timeline) : 0,
                               .interval = timeline_take,
                               .interval_context = timeline};
    uint32_t pid = (uint32_t)settings->server_pid;
    struct process_times before = {.threads_count = 0}, after = {.threads_count = 0};
    struct load_result *result = malloc(sizeof *result);
    if (!result) return fst_error_set(error, FST_NO_MEMORY, "no memory");
    if (pid) process_times_get(pid, &before);
    uint64_t server_ns = pid ? process_cpu_ns(pid) : 0;
    if (timeline) timeline_run_begin(timeline);
    enum fst_status status = load_run(load, &phase, result, error);
    if (status == FST_OK) {
        double share = (double)settings->duration / (double)(settings->duration + settings->warmup);
        if (pid) process_times_get(pid, &after);
        uint64_t busiest_ns = process_times_busiest_ns(&before, &after);
        if (pid)
            measurement->server_cpu_ns +=
                (uint64_t)((double)(process_cpu_ns(pid) - server_ns) * share);
        run_add(measurement, settings, result, (uint64_t)((double)busiest_ns * share));
    }
    free(result);
    return status;
}

enum fst_status measurement_run(struct load *load, const struct load_settings *settings,
                                struct timeline *timeline, struct measurement *measurement_out,
                                struct fst_error *error) {
    FST_ASSERT(settings->repeat <= SETTINGS_RUNS_MAX);
    memset(measurement_out, 0, sizeof *measurement_out);
    histogram_init(&measurement_out->total.read_ns);
    histogram_init(&measurement_out->total.write_ns);
    histogram_init(&measurement_out->total.lateness_ns);
    histogram_init(&measurement_out->total.service_ns);
    for (uint64_t i = 0; i < settings->repeat; i++)
        FST_TRY(once_run(load, settings, timeline, measurement_out, error));
    return FST_OK;
}

static int double_compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void figures_sort(const double *figures, uint32_t count,
                         double sorted_out[SETTINGS_RUNS_MAX]) {
    memcpy(sorted_out, figures, count * sizeof figures[0]);
    qsort(sorted_out, count, sizeof sorted_out[0], double_compare);
}

double measurement_median(const double *figures, uint32_t count) {
    double sorted[SETTINGS_RUNS_MAX];
    if (count == 0) return 0;
    figures_sort(figures, count, sorted);
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

double measurement_spread(const double *figures, uint32_t count) {
    double sorted[SETTINGS_RUNS_MAX];
    double median = measurement_median(figures, count);
    if (median == 0) return 0;
    figures_sort(figures, count, sorted);
    return (sorted[count - 1] - sorted[0]) / median;
}

static double rate_median(const struct measurement *measurement) {
    return measurement_median(measurement->requests_per_s, measurement->runs_count);
}

/* Keys per second at the median rate: every run asks for the same number of keys per request. */
static double keys_per_s(const struct measurement *measurement) {
    uint64_t requests = measurement->total.reads_count + measurement->total.writes_count;
    if (requests == 0) return 0;
    return rate_median(measurement) * (double)measurement->total.keys_count / (double)requests;
}

static void lateness_text_dump(const struct load_result *total, FILE *out) {
    const struct histogram *late = &total->lateness_ns;
    if (late->count == 0) return;
    fprintf(out,
            "  own lateness, us  p50 %.1f, p99 %.1f, max %.1f; %" PRIu64
            " requests found no room when due\n",
            us_of(histogram_quantile(late, 0.5)), us_of(histogram_quantile(late, 0.99)),
            us_of(late->max), total->held_count);
}

void measurement_dump(const struct measurement *measurement, const char *title, FILE *out) {
    const struct load_result *total = &measurement->total;
    double seconds = seconds_of(total->elapsed_ns);
    fprintf(out, "%s\n", title);
    fprintf(out, "  requests  %12.0f /s", rate_median(measurement));
    uint32_t runs_count = measurement->runs_count;
    if (runs_count > 1)
        fprintf(out, "   median of %u runs, spread %.1f %%", runs_count,
                100 * measurement_spread(measurement->requests_per_s, runs_count));
    if (runs_count > 1)
        fprintf(out, "\n  p99       %12.1f us   median of %u runs, spread %.1f %%",
                measurement_median(measurement->p99_us, runs_count), runs_count,
                100 * measurement_spread(measurement->p99_us, runs_count));
    fprintf(out, "\n  rows      %12.0f /s\n", keys_per_s(measurement));
    latency_head_dump(out);
    latency_row_dump("read", &total->read_ns, out);
    latency_row_dump("write", &total->write_ns, out);
    lateness_text_dump(total, out);
    fprintf(out, "  processor   load %.0f %%", 100 * seconds_of(total->busy_ns) / seconds);
    if (total->stalled_ns) fprintf(out, ", taken from it %.1f %%", 100 * stalled_share(total));
    if (measurement->server_cpu_ns)
        fprintf(out, ", server %.0f %%", 100 * seconds_of(measurement->server_cpu_ns) / seconds);
    fprintf(out,
            "\n  replies     %" PRIu64 " in all, %" PRIu64 " wrong, %" PRIu64 " refused, %" PRIu64
            " stale\n",
            total->reads_count + total->writes_count, total->wrong_count, total->refused_count,
            total->stale_count);
    for (int i = 0; i < LOAD_STATUSES; i++) {
        if (total->refused_by_status[i])
            fprintf(out, "    %-16s %" PRIu64 "\n", fst_status_name((enum fst_status)i),
                    total->refused_by_status[i]);
    }
    if (total->missing_count)
        fprintf(out, "  keys        %.2f %% of those read do not exist, and none was found\n",
                100 * (double)total->missing_count / (double)total->keys_count);
    if (total->late_count)
        fprintf(out, "  late        %" PRIu64 " answers did not come in time\n", total->late_count);
    if (total->new_rows_count)
        fprintf(out, "  new rows    %" PRIu64 " are there now\n", total->new_rows_count);
    if (total->unsent_count)
        fprintf(out, "  the server did not keep up: %" PRIu64 " requests were due and not sent\n",
                total->unsent_count);
    if (measurement->verdict == VERDICT_SATURATED)
        fprintf(out, "  fsbench had no processor time left and the server had: it could do more\n");
}

/* Median, spread and the figures themselves, each under its name, with a comma behind. */
static void figures_json_dump(const char *median_name, const char *spread_name,
                              const char *runs_name, const double *figures, uint32_t count,
                              FILE *out) {
    fprintf(out, "\"%s\":%.1f,\"%s\":%.4f,\"%s\":[", median_name,
            measurement_median(figures, count), spread_name, measurement_spread(figures, count),
            runs_name);
    for (uint32_t i = 0; i < count; i++) fprintf(out, "%s%.1f", i ? "," : "", figures[i]);
    fprintf(out, "],");
}

void measurement_json_dump(const struct measurement *measurement, FILE *out) {
    const struct load_result *total = &measurement->total;
    double seconds = seconds_of(total->elapsed_ns);
    fprintf(out, "\"rows_per_s\":%.1f,", keys_per_s(measurement));
    figures_json_dump("requests_per_s", "spread", "runs", measurement->requests_per_s,
                      measurement->runs_count, out);
    figures_json_dump("p99_us", "p99_spread", "p99_runs", measurement->p99_us,
                      measurement->runs_count, out);
    latency_json_dump("read", &total->read_ns, out);
    fprintf(out, ",");
    latency_json_dump("write", &total->write_ns, out);
    fprintf(out, ",");
    latency_json_dump("lateness", &total->lateness_ns, out);
    fprintf(out, ",");
    latency_json_dump("service", &total->service_ns, out);
    fprintf(out, ",\"timeouts\":%" PRIu64 ",\"late\":%" PRIu64 ",\"new_rows\":%" PRIu64,
            total->refused_by_status[FST_TIMEOUT], total->late_count, total->new_rows_count);
    fprintf(out,
            ",\"replies\":%" PRIu64 ",\"missing_keys\":%" PRIu64 ",\"wrong\":%" PRIu64
            ",\"refused\":%" PRIu64 ",\"stale\":%" PRIu64 ",\"unsent\":%" PRIu64
            ",\"held\":%" PRIu64,
            total->reads_count + total->writes_count, total->missing_count, total->wrong_count,
            total->refused_count, total->stale_count, total->unsent_count, total->held_count);
    fprintf(out, ",\"load_cpu\":%.3f,\"load_busy\":%.3f,\"load_stalled\":%.4f",
            seconds_of(total->cpu_ns) / seconds, seconds_of(total->busy_ns) / seconds,
            stalled_share(total));
    fprintf(out, ",\"server_cpu\":%.3f,\"server_busiest_thread\":%.3f,\"load_bound\":\"%s\"",
            seconds_of(measurement->server_cpu_ns) / seconds,
            seconds_of(measurement->server_busiest_ns) / seconds,
            verdict_name(measurement->verdict));
}

const char *measurement_refusal(const struct measurement *measurement, char *text_out,
                                size_t text_bytes) {
    const struct verdict_facts *facts = &measurement->facts;
    if (!facts->is_open_loop || measurement->verdict == VERDICT_TRUSTED) return NULL;
    if (measurement->verdict == VERDICT_LATE)
        snprintf(
            text_out, text_bytes,
            "refused: at p99 requests left %.1f us late though there was room for them, more than "
            "--lateness-max %.0f us, and its processor was taken from it for %.1f %% of the "
            "time; lower --rate, or give fsbench a processor of its own (--cpu)",
            us_of(facts->lateness_ns_p99), us_of(facts->lateness_ns_max),
            100 * stalled_share(&measurement->total));
    else
        snprintf(text_out, text_bytes,
                 "refused: fsbench was busy for %.0f %% of the time and the server's busiest "
                 "thread for %.0f %%: the rate is beyond what fsbench can send",
                 100 * facts->load_busy, 100 * facts->server_busy);
    return text_out;
}

int measurement_exit_of(const struct measurement *measurement) {
    const struct load_result *total = &measurement->total;
    bool is_good = total->wrong_count == 0 && total->reads_count + total->writes_count > 0;
    if (!is_good) return EXIT_FAILED;
    bool is_refused = measurement->facts.is_open_loop && measurement->verdict != VERDICT_TRUSTED;
    return is_refused ? EXIT_LOAD_BOUND : EXIT_DONE;
}
