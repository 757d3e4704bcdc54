#include "server/inspect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/time.h"
#include "registry/registry.h"
#include "server/server.h"
#include "storage/recovery/identity.h"
#include "storage/recovery/recovery.h"

/* A process that was killed holds its lock for some milliseconds more. */
enum { PATH_BYTES = 2048, LOCK_WAIT_US = 2000000, LOCK_RETRY_US = 10000 };

struct inspection {
    const struct server_options *options;
    struct io *io;
    io_file lock_file; /* -1: none */
    struct registry *registry;
    struct catalog *catalog;
    struct identity identity;
    uint32_t problems;
    uint64_t changes, rows_stored, records, rows_logged;
};

/* ---- lines ---- */

static void line_put(const struct inspection *i, const char *part, bool is_ok, const char *text) {
    if (!i->options->json) {
        printf("%-8s %-8s %s\n", part, is_ok ? "ok" : "DAMAGED", text);
        return;
    }
    printf("{\"part\":\"%s\",\"ok\":%s,\"text\":\"", part, is_ok ? "true" : "false");
    for (const char *at = text; *at; at++) {
        if (*at == '"' || *at == '\\') putchar('\\');
        putchar((unsigned char)*at < 0x20 ? ' ' : *at);
    }
    printf("\"}\n");
}

/* A full disk must not look like a store without problems. */
static int output_end(void) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return SERVER_DONE;
    fprintf(stderr, "fsd: the output could not be written\n");
    return SERVER_FAILED;
}

static void problem_put(struct inspection *i, const char *part, const struct fst_error *error) {
    i->problems += 1;
    line_put(i, part, false, error->text[0] ? error->text : fst_status_text(error->status));
}

/* ---- check ---- */

static enum fst_status change_take(void *context, uint64_t generation, struct bytes change) {
    struct inspection *i = context;
    (void)generation;
    i->changes += 1;
    return registry_adopt(i->registry, change, NULL);
}

static const struct view *view_of(const struct inspection *i, uint32_t view_id) {
    return view_id < i->catalog->views_by_id_count ? i->catalog->views_by_id[view_id] : NULL;
}

static enum fst_status stored_row_check(void *context, const struct meta_row *row) {
    struct inspection *i = context;
    const struct view *view = view_of(i, row->view_id);
    i->rows_stored += 1;
    if (!view || !view_has_revision(view, row->revision)) return FST_CORRUPT;
    const struct row_layout *layout = view_layout(view, row->revision);
    if (row->image.bytes != layout->image_bytes) return FST_CORRUPT;
    return row_check(layout, row->image.data, row->heap.data, row->heap.bytes);
}

static enum fst_status catalog_renew(struct inspection *i) {
    catalog_destroy(i->catalog);
    i->catalog = NULL;
    return registry_catalog(i->registry, &i->catalog);
}

static enum fst_status meta_walk(struct inspection *i, struct meta *meta, struct fst_error *error) {
    FST_TRY(meta_check(meta, error));
    struct meta_visitor changes = {.context = i, .change = change_take};
    FST_TRY(meta_visit(meta, &changes, error));
    FST_TRY(catalog_renew(i));
    struct meta_visitor rows = {.context = i, .row = stored_row_check};
    return meta_visit(meta, &rows, error);
}

static enum fst_status meta_start(struct inspection *i, struct meta **meta_out,
                                  struct fst_error *error) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/meta", i->options->data);
    struct meta_options options = {
        .path = path, .map_bytes = i->options->meta_bytes, .is_read_only = true};
    return meta_open(meta_out, &options, error);
}

static void meta_part_check(struct inspection *i) {
    struct fst_error error = {.text = ""};
    struct meta *meta = NULL;
    error.status = meta_start(i, &meta, &error);
    if (error.status == FST_NOT_FOUND) {
        line_put(i, "meta", true, "none: the next start rebuilds it from the log");
        return;
    }
    if (error.status == FST_OK) error.status = meta_walk(i, meta, &error);
    meta_close(meta);
    if (error.status != FST_OK) {
        problem_put(i, "meta", &error);
        return;
    }
    char text[128];
    snprintf(text, sizeof text, "changes=%" PRIu64 " rows=%" PRIu64, i->changes, i->rows_stored);
    line_put(i, "meta", true, text);
}

static enum fst_status record_check(void *context, const struct log_record_header *header,
                                    const uint8_t *body, const struct log_place *place) {
    struct inspection *i = context;
    size_t bytes = header->bytes - LOG_RECORD_HEADER_BYTES;
    (void)place;
    i->records += 1;
    if (header->type == LOG_RECORD_CHANGE) {
        if (header->lsn <= registry_generation(i->registry)) return FST_OK;
        struct bytes change = {.data = body, .bytes = bytes};
        FST_TRY(registry_adopt(i->registry, change, NULL));
        return catalog_renew(i);
    }
    struct log_rows_header rows;
    if (!log_record_has_rows(header) || bytes < sizeof rows) return FST_CORRUPT;
    memcpy(&rows, body, sizeof rows);
    const struct view *view = view_of(i, rows.view_id);
    if (!view) return FST_CORRUPT;
    i->rows_logged += rows.rows_count;
    return log_rows_check(view, header->type, body, bytes);
}

static void log_part_check(struct inspection *i) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/log", i->options->data);
    struct log_reader_options options = {.done_count = 0};
    memcpy(options.store_id, i->identity.store_id, STORE_ID_BYTES);
    struct log_visitor visitor = {.context = i, .record = record_check};
    struct log_reader_result result = {.files = 0};
    struct fst_error error = {.text = ""};
    error.status = log_read(i->io, path, &options, &visitor, &result, &error);
    if (error.status != FST_OK) {
        problem_put(i, "log", &error);
        return;
    }
    char text[256];
    snprintf(text, sizeof text,
             "files=%" PRIu64 " groups=%" PRIu64 " records=%" PRIu64 " rows=%" PRIu64
             " torn_tails=%u",
             result.files, result.groups, i->records, i->rows_logged, result.torn_count);
    line_put(i, "log", true, text);
}

/* Files that are written meanwhile would look damaged; the lock keeps servers away, too. */
static enum fst_status store_lock(struct inspection *i, struct fst_error *error) {
    struct io *io = i->io;
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/LOCK", i->options->data);
    if (io->ops->open(io, path, 0, &i->lock_file) != 0) {
        i->lock_file = -1; /* A copy may be without it. */
        return FST_OK;
    }
    int64_t until_us = io_monotonic_us(io) + LOCK_WAIT_US;
    int result = io->ops->lock(io, i->lock_file);
    while (result == -EWOULDBLOCK && io_monotonic_us(io) < until_us) {
        io->ops->sleep_us(io, LOCK_RETRY_US);
        result = io->ops->lock(io, i->lock_file);
    }
    if (result != -EWOULDBLOCK) return FST_OK;
    return fst_error_set(error, FST_BUSY, "%s: another process has this store open: stop it first",
                         i->options->data);
}

static enum fst_status inspection_init(struct inspection *i, const struct server_options *options,
                                       struct io *io, struct fst_error *error) {
    *i = (struct inspection){.options = options, .io = io};
    FST_TRY(store_lock(i, error));
    enum fst_status status = identity_read(io, options->data, &i->identity, error);
    if (status == FST_NOT_FOUND) {
        return fst_error_set(error, status, "%s: there is no file STORE: this is no store",
                             options->data);
    }
    if (status != FST_OK) return status;
    status = registry_create(&i->registry);
    if (status == FST_OK) status = catalog_renew(i);
    return status == FST_OK ? FST_OK : fst_error_set(error, status, "no memory");
}

static void inspection_deinit(struct inspection *i) {
    if (i->lock_file >= 0) i->io->ops->close(i->io, i->lock_file);
    catalog_destroy(i->catalog);
    registry_destroy(i->registry);
}

int inspect_check(const struct server_options *options, struct io *io) {
    struct inspection i;
    struct fst_error error = {.text = ""};
    enum fst_status status = inspection_init(&i, options, io, &error);
    if (status != FST_OK && status != FST_CORRUPT && !options->json) {
        fprintf(stderr, "fsd: %s\n", error.text); /* Not damaged: not looked at. */
        inspection_deinit(&i);
        return SERVER_STORE;
    }
    if (status != FST_OK) {
        problem_put(&i, "STORE", &error);
    } else {
        char text[64];
        snprintf(text, sizeof text, "partitions=%u", i.identity.partitions_count);
        line_put(&i, "STORE", true, text);
        meta_part_check(&i);
        log_part_check(&i);
    }
    inspection_deinit(&i);
    if (!options->json) printf("%s\n", i.problems == 0 ? "ok" : "DAMAGED");
    int code = output_end();
    return i.problems == 0 ? code : SERVER_STORE;
}

/* ---- dump ---- */

static enum fst_status record_dump(void *context, const struct log_record_header *header,
                                   const uint8_t *body, const struct log_place *place) {
    struct inspection *i = context;
    struct log_rows_header rows = {.view_id = 0};
    if (log_record_has_rows(header)) memcpy(&rows, body, sizeof rows);
    char arrival[TIME_TEXT_BYTES];
    time_format_rfc3339((int64_t)header->arrival_us, arrival);
    const char *type = header->type == LOG_RECORD_ROWS      ? "rows"
                       : header->type == LOG_RECORD_DELETES ? "deletes"
                                                            : "change";
    if (i->options->json) {
        printf("{\"file\":\"%s\",\"offset\":%" PRIu64 ",\"group\":%" PRIu64
               ",\"type\":\"%s\",\"partition\":%u,\"lsn\":%" PRIu64
               ",\"arrival\":\"%s\",\"view\":%u,\"rows\":%u}\n",
               place->file, place->offset, place->position.group, type, header->partition,
               header->lsn, arrival, rows.view_id, rows.rows_count);
    } else {
        printf("%s offset=%" PRIu64 " group=%" PRIu64 " type=%s partition=%u lsn=%" PRIu64
               " arrival=%s view=%u rows=%u client=%" PRIu64 " sequence=%" PRIu64 "\n",
               place->file, place->offset, place->position.group, type, header->partition,
               header->lsn, arrival, rows.view_id, rows.rows_count, rows.client_id, rows.sequence);
    }
    return FST_OK;
}

static enum fst_status log_dump(struct inspection *i, struct fst_error *error) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/log", i->options->data);
    struct log_reader_options options = {.done_count = 0};
    memcpy(options.store_id, i->identity.store_id, STORE_ID_BYTES);
    struct log_visitor visitor = {.context = i, .record = record_dump};
    struct log_reader_result result;
    return log_read(i->io, path, &options, &visitor, &result, error);
}

static enum fst_status change_dump(void *context, uint64_t generation, struct bytes change) {
    const struct inspection *i = context;
    printf(i->options->json ? "{\"change\":%" PRIu64 ",\"bytes\":%zu}\n"
                            : "change generation=%" PRIu64 " bytes=%zu\n",
           generation, change.bytes);
    return FST_OK;
}

static enum fst_status row_dump(void *context, const struct meta_row *row) {
    const struct inspection *i = context;
    printf(i->options->json
               ? "{\"row\":{\"partition\":%u,\"view\":%u,\"revision\":%u,\"lsn\":%" PRIu64
                 ",\"event_us\":%" PRId64 ",\"key\":\""
               : "row partition=%u view=%u revision=%u lsn=%" PRIu64 " event_us=%" PRId64 " key=",
           row->partition, row->view_id, row->revision, row->lsn,
           row->image.bytes >= 8 ? load_i64(row->image.data) : 0);
    for (size_t k = 0; k < row->key.bytes; k++) printf("%02x", row->key.data[k]);
    printf(i->options->json ? "\"}}\n" : "\n");
    return FST_OK;
}

static enum fst_status position_dump(void *context, const struct log_position *position) {
    const struct inspection *i = context;
    printf(i->options->json ? "{\"log\":{\"epoch\":%u,\"shard\":%u,\"group\":%" PRIu64 "}}\n"
                            : "log epoch=%u shard=%u checkpointed_group=%" PRIu64 "\n",
           position->epoch, position->shard, position->group);
    return FST_OK;
}

static enum fst_status meta_dump(struct inspection *i, struct fst_error *error) {
    struct meta *meta;
    FST_TRY(meta_start(i, &meta, error));
    struct meta_visitor visitor = {
        .context = i, .change = change_dump, .row = row_dump, .log = position_dump};
    uint32_t done_epoch = 0;
    enum fst_status status = meta_visit(meta, &visitor, error);
    if (status == FST_OK) status = meta_get_done_epoch(meta, &done_epoch, error);
    if (status == FST_OK) {
        printf(i->options->json ? "{\"done_epoch\":%u}\n" : "logs done_epoch=%u\n", done_epoch);
    }
    meta_close(meta);
    return status;
}

int inspect_dump(const struct server_options *options, struct io *io) {
    struct inspection i;
    struct fst_error error = {.text = ""};
    enum fst_status status = inspection_init(&i, options, io, &error);
    if (status == FST_OK) {
        status = options->dump == SERVER_DUMP_LOG ? log_dump(&i, &error) : meta_dump(&i, &error);
    }
    inspection_deinit(&i);
    if (status == FST_OK) return output_end();
    fflush(stdout);
    fprintf(stderr, "fsd: %s\n", error.text[0] ? error.text : fst_status_text(status));
    return SERVER_STORE;
}
