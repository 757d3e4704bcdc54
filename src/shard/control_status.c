/* What a running server says of itself: fields, metrics, partitions. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/time.h"
#include "shard/control_operations.h"

#ifndef FST_VERSION_TEXT
#error "the build names the version: FST_VERSION_TEXT"
#endif

enum { FIELD_TEXT_BYTES = 256 };

/* Appends a field; false when memory is out. */
static bool field_put(Fst__Field ***fields, size_t *count, const char *name, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));

static bool field_put(Fst__Field ***fields, size_t *count, const char *name, const char *format,
                      ...) {
    char text[FIELD_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    Fst__Field **grown = realloc(*fields, (*count + 1) * sizeof **fields);
    if (!grown) return false;
    *fields = grown;
    Fst__Field *field = calloc(1, sizeof *field);
    if (!field) return false;
    fst__field__init(field);
    field->name = strdup(name);
    field->value = strdup(text);
    grown[(*count)++] = field;
    return true;
}

struct totals {
    struct partition_stats sum;
    uint64_t lsn_sum;
};

static void totals_add(struct totals *totals, const struct partition_stats *stats) {
    totals->sum.rows_count += stats->rows_count;
    totals->sum.index_bytes += stats->index_bytes;
    totals->sum.row_bytes += stats->row_bytes;
    totals->sum.value_bytes += stats->value_bytes;
    totals->sum.live_row_bytes += stats->live_row_bytes;
    totals->sum.live_value_bytes += stats->live_value_bytes;
    totals->sum.free_bytes += stats->free_bytes;
    totals->sum.waiting_bytes += stats->waiting_bytes;
    totals->sum.splits += stats->splits;
}

static bool partitions_put(const struct engine *engine, Fst__StatusReply *reply,
                           struct totals *totals) {
    reply->partitions = calloc(engine->partitions_count, sizeof *reply->partitions);
    if (!reply->partitions) return false;
    for (uint32_t p = 0; p < engine->partitions_count; p++) {
        struct partition_stats stats;
        partition_stats(engine->store.partitions[p], &stats);
        totals_add(totals, &stats);
        Fst__Partition *row = calloc(1, sizeof *row);
        if (!row) return false;
        fst__partition__init(row);
        row->partition = p;
        row->shard = engine_owner(engine, p);
        row->rows = stats.rows_count;
        row->bytes = stats.index_bytes + stats.row_bytes + stats.value_bytes;
        row->lsn = partition_applied_lsn(engine->store.partitions[p]);
        reply->partitions[reply->n_partitions++] = row;
    }
    return true;
}

static bool metrics_put(const struct engine *engine, Fst__StatusReply *reply) {
    uint32_t seats = engine->shards_count + 2;
    reply->metrics = calloc(METRICS_COUNT, sizeof *reply->metrics);
    const struct metrics **arrays = calloc(seats, sizeof *arrays);
    if (!reply->metrics || !arrays) {
        free(arrays);
        return false;
    }
    for (uint32_t s = 0; s < seats; s++) arrays[s] = &engine->metrics[s];
    for (uint32_t m = 0; m < METRICS_COUNT; m++) {
        Fst__Metric *metric = calloc(1, sizeof *metric);
        if (!metric) break;
        fst__metric__init(metric);
        metric->name = strdup(metric_name((enum metric)m));
        metric->help = strdup(metric_help((enum metric)m));
        metric->value = (int64_t)metrics_sum(arrays, seats, (enum metric)m);
        reply->metrics[reply->n_metrics++] = metric;
    }
    free(arrays);
    return reply->n_metrics == METRICS_COUNT;
}

static bool fields_put(struct control *control, Fst__StatusReply *reply,
                       const struct totals *totals) {
    struct engine *engine = control->engine;
    const struct definitions *definitions = atomic_load(&engine->definitions);
    Fst__Field ***f = &reply->fields;
    size_t *n = &reply->n_fields;
    char started[TIME_TEXT_BYTES];
    time_format_rfc3339(engine->started_us, started);
    int64_t up_us = io_now_us(engine->io) - engine->started_us;
    const struct partition_stats *sum = &totals->sum;
    uint64_t live = sum->live_row_bytes + sum->live_value_bytes;
    return field_put(f, n, "version", "%s", FST_VERSION_TEXT) &&
           field_put(f, n, "started", "%s", started) &&
           field_put(f, n, "uptime_s", "%" PRId64, up_us / 1000000) &&
           field_put(f, n, "epoch", "%" PRIu32, engine->server_epoch) &&
           field_put(f, n, "shards", "%" PRIu32, engine->shards_count) &&
           field_put(f, n, "io", "%s", engine->rings[0]->ops->name) &&
           field_put(f, n, "partitions", "%" PRIu32, engine->partitions_count) &&
           field_put(f, n, "generation", "%" PRIu64, registry_generation(control->registry)) &&
           field_put(f, n, "api_keys", "%u", access_keys_count(definitions->access)) &&
           field_put(f, n, "disk_full", "%s", engine->is_disk_full ? "yes" : "no") &&
           field_put(f, n, "rows", "%" PRIu64, sum->rows_count) &&
           field_put(f, n, "memory_limit_bytes", "%" PRIu64, engine->budget.limit_bytes) &&
           field_put(f, n, "memory_used_bytes", "%" PRIu64, engine->budget.used_bytes) &&
           field_put(f, n, "live_bytes", "%" PRIu64, live) &&
           field_put(f, n, "index_bytes", "%" PRIu64, sum->index_bytes) &&
           field_put(f, n, "row_bytes", "%" PRIu64, sum->row_bytes) &&
           field_put(f, n, "value_bytes", "%" PRIu64, sum->value_bytes) &&
           field_put(f, n, "free_bytes", "%" PRIu64, sum->free_bytes) &&
           field_put(f, n, "waiting_bytes", "%" PRIu64, sum->waiting_bytes) &&
           field_put(f, n, "splits", "%" PRIu64, sum->splits);
}

enum fst_status control_status(struct control *control, Fst__StatusReply **reply_out) {
    Fst__StatusReply *reply = calloc(1, sizeof *reply);
    if (!reply) return FST_NO_MEMORY;
    fst__status_reply__init(reply);
    struct totals totals = {0};
    if (!partitions_put(control->engine, reply, &totals) || !fields_put(control, reply, &totals) ||
        !metrics_put(control->engine, reply)) {
        fst__status_reply__free_unpacked(reply, NULL);
        return FST_NO_MEMORY; /* NOLINT(*-unix.Malloc): freed the line before */
    }
    *reply_out = reply;
    return FST_OK;
}
