/*
 * micro_log: how long the log takes for a record, without a disk: room in the group, the copying of
 * the body, and the checksum of the sealed group. Writes are forgotten.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "bench/micro/sheet.h"
#include "storage/log/log.h"

enum { GROUP_BYTES = 1 << 20, BODY_BYTES_MAX = 64 << 10, NAME_BYTES = 64 };
static const uint64_t file_bytes = UINT64_C(1) << 30;

#define LOG_OPTIONS(X)                                                                             \
    SHEET_OPTIONS(X)                                                                               \
    X(body_bytes, COUNT, "464", 1, BODY_BYTES_MAX, NULL, "size of a record's body: 50 float64")

struct log_micro_options {
    LOG_OPTIONS(OPTION_MEMBER)
};

static const struct option_spec specs[] = {
#define SPEC(name, ...) OPTION_SPEC(struct log_micro_options, name, __VA_ARGS__)
    LOG_OPTIONS(SPEC)
#undef SPEC
};

static const struct sheet_table log_help = {
    .program = "micro_log",
    .help =
        "Measures log_append and log_seal by the number of records in a group, without a disk.\n",
    .specs = specs,
    .specs_count = sizeof specs / sizeof specs[0],
};

/* ---- a disk that forgets ---- */

static int nothing_open(struct io *io, const char *path, int flags, io_file *file_out) {
    (void)io, (void)path, (void)flags;
    *file_out = 0;
    return 0;
}

static int nothing_close(struct io *io, io_file file) {
    (void)io, (void)file;
    return 0;
}

static int64_t nothing_pwrite(struct io *io, io_file file, const void *data, size_t bytes,
                              uint64_t offset) {
    (void)io, (void)file, (void)data, (void)offset;
    return (int64_t)bytes;
}

static int nothing_path(struct io *io, const char *path) {
    (void)io, (void)path;
    return 0;
}

static const struct io_ops nothing_ops = {
    .open = nothing_open,
    .close = nothing_close,
    .pwrite = nothing_pwrite,
    .sync = nothing_close,
    .unlink = nothing_path,
    .sync_dir = nothing_path,
};

/* ---- groups ---- */

struct groups {
    struct log *log;
    uint32_t records_count; /* of a group */
    size_t body_bytes;
    uint8_t body[BODY_BYTES_MAX];
    uint64_t lsn;
};

static void groups_run(void *context, uint64_t turns) {
    struct groups *groups = context;
    for (uint64_t i = 0; i < turns; i++) {
        for (uint32_t r = 0; r < groups->records_count; r++) {
            struct log_record_header header = {.type = LOG_RECORD_ROWS, .lsn = ++groups->lsn};
            uint8_t *room = log_append(groups->log, &header, groups->body_bytes);
            FST_ASSERT(room != NULL);
            memcpy(room, groups->body, groups->body_bytes);
        }
        enum fst_status status = log_prepare_file(groups->log);
        FST_ASSERT(status == FST_OK);
        struct log_write write;
        bool is_sealed = log_seal(groups->log, &write);
        FST_ASSERT(is_sealed);
        status = log_complete(groups->log, write.group, 0);
        FST_ASSERT(status == FST_OK);
        log_release(groups->log);
    }
}

static void groups_measure(struct sheet *sheet, struct groups *groups, uint32_t records_count) {
    char name[NAME_BYTES];
    size_t record_bytes = bytes_align(LOG_RECORD_HEADER_BYTES + groups->body_bytes, 8);
    if (LOG_GROUP_HEADER_BYTES + records_count * record_bytes > GROUP_BYTES) {
        snprintf(name, sizeof name, "groups of %u: more than a group takes", records_count);
        sheet_remark(sheet, name);
        return;
    }
    snprintf(name, sizeof name, "append and seal, groups of %u", records_count);
    groups->records_count = records_count;
    sheet_measure(sheet, &(struct sheet_case){.name = name,
                                              .unit = "record",
                                              .units = records_count,
                                              .bytes = groups->body_bytes,
                                              .run = groups_run,
                                              .context = groups});
}

int main(int argc, char **argv) {
    static const uint32_t counts[] = {1, 16, 64, 256, 1024, 2048};
    struct log_micro_options options;
    struct fst_error error = {.status = FST_OK};
    int exit_code = EXIT_SUCCESS;
    if (!sheet_options_get(&log_help, argc, argv, &options, &exit_code)) return exit_code;
    struct io nothing = {.ops = &nothing_ops};
    struct log_options log_options = {.epoch = 1,
                                      .group_bytes_max = GROUP_BYTES,
                                      .file_bytes = file_bytes,
                                      .groups_in_flight_max = 1};
    struct groups *groups = calloc(1, sizeof *groups);
    FST_ASSERT(groups != NULL);
    groups->body_bytes = options.body_bytes;
    if (log_open(&groups->log, &nothing, "nowhere", &log_options, &error) != FST_OK) {
        fprintf(stderr, "micro_log: %s\n", error.text);
        free(groups);
        return EXIT_FAILURE;
    }
    struct sheet sheet;
    struct sheet_options shared = {options.repeat, options.run, options.json};
    sheet_init(&sheet, log_help.program, &shared);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        groups_measure(&sheet, groups, counts[i]);
    log_close(groups->log);
    free(groups);
    return EXIT_SUCCESS;
}
