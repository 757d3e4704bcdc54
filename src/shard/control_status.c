/* What a running server says of itself: fields, metrics, partitions. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/time.h"
#include "shard/control_operations.h"

#ifndef FST_VERSION_TEXT
#error "the build names the version: FST_VERSION_TEXT"
#endif

enum { PATH_BYTES = 8 * IO_NAME_BYTES, FIELD_TEXT_BYTES = PATH_BYTES };

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

/* ---- partitions ---- */

static void stats_add(struct partition_stats *sum, const struct partition_stats *stats) {
    sum->rows_count += stats->rows_count;
    sum->evicted_count += stats->evicted_count;
    sum->splits += stats->splits;
    for (uint32_t u = 0; u < PARTITION_MEMORY_COUNT; u++) {
        sum->memory_bytes[u] += stats->memory_bytes[u];
    }
}

static bool partitions_put(const struct engine *engine, Fst__StatusReply *reply,
                           struct partition_stats *sum) {
    reply->partitions = calloc(engine->partitions_count, sizeof *reply->partitions);
    if (!reply->partitions) return false;
    for (uint32_t p = 0; p < engine->partitions_count; p++) {
        struct partition_stats stats;
        partition_stats(engine->store.partitions[p], &stats);
        stats_add(sum, &stats);
        Fst__Partition *row = calloc(1, sizeof *row);
        if (!row) return false;
        fst__partition__init(row);
        row->partition = p;
        row->shard = engine_owner(engine, p);
        row->rows = stats.rows_count;
        row->evicted = stats.evicted_count;
        row->bytes = stats.mapped_bytes;
        row->lsn = partition_applied_lsn(engine->store.partitions[p]);
        reply->partitions[reply->n_partitions++] = row;
    }
    return true;
}

static bool memory_put(Fst__StatusReply *reply, const struct partition_stats *sum) {
    reply->memory = calloc(PARTITION_MEMORY_COUNT, sizeof *reply->memory);
    if (!reply->memory) return false;
    for (uint32_t u = 0; u < PARTITION_MEMORY_COUNT; u++) {
        Fst__MemoryUse *use = calloc(1, sizeof *use);
        if (!use) return false;
        fst__memory_use__init(use);
        use->name = strdup(partition_memory_name((enum partition_memory)u));
        use->help = strdup(partition_memory_help((enum partition_memory)u));
        use->bytes = sum->memory_bytes[u];
        reply->memory[reply->n_memory++] = use;
    }
    return true;
}

/* ---- counters ---- */

static bool metrics_put(const struct engine *engine, Fst__StatusReply *reply) {
    uint32_t seats = engine_seats_count(engine);
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

/* ---- the disk ---- */

struct logs_size {
    struct io *io;
    const char *dir;
    uint64_t bytes;
};

static int log_size_add(void *context, const char *name) {
    struct logs_size *logs = context;
    char path[PATH_BYTES];
    io_file file;
    size_t bytes = strlen(name);
    if (bytes < 4 || strcmp(name + bytes - 4, ".log") != 0) return 0;
    snprintf(path, sizeof path, "%s/%s", logs->dir, name);
    if (logs->io->ops->open(logs->io, path, 0, &file) != 0) return 0; /* Gone meanwhile. */
    int64_t taken = logs->io->ops->taken(logs->io, file);
    if (taken > 0) logs->bytes += (uint64_t)taken;
    (void)logs->io->ops->close(logs->io, file);
    return 0;
}

static bool places_put(const struct engine *engine, Fst__StatusReply *reply) {
    Fst__Field ***f = &reply->fields;
    size_t *n = &reply->n_fields;
    const struct engine_places *places = &engine->places;
    struct io *io = engine->io;
    struct logs_size logs = {.io = io, .dir = places->log_dir};
    int64_t checkpoint_us = atomic_load(&engine->checkpoint_us);
    char checkpoint[TIME_TEXT_BYTES] = "none since the start";
    if (checkpoint_us > 0) time_format_rfc3339(checkpoint_us, checkpoint);
    (void)io->ops->list(io, places->log_dir, log_size_add, &logs);
    int64_t room = io->ops->room(io, places->log_dir);
    return field_put(f, n, "listen", "%s", places->listen) &&
           field_put(f, n, "data", "%s", places->data_dir) &&
           field_put(f, n, "table_dir", "%s", places->table_dir) &&
           field_put(f, n, "log_bytes", "%" PRIu64, logs.bytes) &&
           (room < 0 || field_put(f, n, "disk_free_bytes", "%" PRId64, room)) &&
           field_put(f, n, "disk_full", "%s", engine->is_disk_full ? "yes" : "no") &&
           field_put(f, n, "last_checkpoint", "%s", checkpoint);
}

/* How the logs are synced, and what each way took at the start, if it was measured. */
static bool sync_put(const struct engine *engine, Fst__StatusReply *reply) {
    Fst__Field ***f = &reply->fields;
    size_t *n = &reply->n_fields;
    const struct sync_calibration *sync = &engine->sync;
    if (!field_put(f, n, "sync_method", "%s", log_sync_method_name(sync->method))) return false;
    return sync->rounds == 0 || (field_put(f, n, "dsync_us", "%" PRId64, sync->dsync_us) &&
                                 field_put(f, n, "fdatasync_us", "%" PRId64, sync->fdatasync_us));
}

/* ---- all of it ---- */

static bool memory_fields_put(const struct engine *engine, Fst__StatusReply *reply) {
    Fst__Field ***f = &reply->fields;
    size_t *n = &reply->n_fields;
    uint64_t limit = engine->budget.limit_bytes;
    uint64_t used = atomic_load(&engine->budget.used_bytes);
    double percent = limit > 0 ? 100.0 * (double)used / (double)limit : 0;
    return field_put(f, n, "memory_limit_bytes", "%" PRIu64, limit) &&
           field_put(f, n, "memory_used_bytes", "%" PRIu64, used) &&
           field_put(f, n, "memory_used_percent", "%.1f", percent);
}

static bool fields_put(struct control *control, Fst__StatusReply *reply,
                       const struct partition_stats *sum) {
    struct engine *engine = control->engine;
    const struct definitions *definitions = atomic_load(&engine->definitions);
    Fst__Field ***f = &reply->fields;
    size_t *n = &reply->n_fields;
    char started[TIME_TEXT_BYTES];
    time_format_rfc3339(engine->started_us, started);
    int64_t up_us = io_now_us(engine->io) - engine->started_us;
    return field_put(f, n, "version", "%s", FST_VERSION_TEXT) &&
           field_put(f, n, "started", "%s", started) &&
           field_put(f, n, "uptime_s", "%" PRId64, up_us / 1000000) &&
           field_put(f, n, "epoch", "%" PRIu32, engine->server_epoch) &&
           field_put(f, n, "shards", "%" PRIu32, engine->shards_count) &&
           field_put(f, n, "io", "%s", engine->rings[0]->ops->name) &&
           field_put(f, n, "partitions", "%" PRIu32, engine->partitions_count) &&
           field_put(f, n, "generation", "%" PRIu64, registry_generation(control->registry)) &&
           field_put(f, n, "api_keys", "%u", access_keys_count(definitions->access)) &&
           field_put(f, n, "rows", "%" PRIu64, sum->rows_count) &&
           field_put(f, n, "evicted", "%" PRIu64, sum->evicted_count) &&
           field_put(f, n, "splits", "%" PRIu64, sum->splits) && memory_fields_put(engine, reply) &&
           sync_put(engine, reply) && places_put(engine, reply);
}

enum fst_status control_status(struct control *control, Fst__StatusReply **reply_out) {
    Fst__StatusReply *reply = calloc(1, sizeof *reply);
    if (!reply) return FST_NO_MEMORY;
    fst__status_reply__init(reply);
    struct partition_stats sum = {0};
    if (!partitions_put(control->engine, reply, &sum) || !memory_put(reply, &sum) ||
        !fields_put(control, reply, &sum) || !metrics_put(control->engine, reply)) {
        fst__status_reply__free_unpacked(reply, NULL);
        return FST_NO_MEMORY; /* NOLINT(*-unix.Malloc): freed the line before */
    }
    *reply_out = reply;
    return FST_OK;
}
