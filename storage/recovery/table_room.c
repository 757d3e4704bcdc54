#include "storage/recovery/table_room.h"

#include <errno.h>
#include <stdio.h>

enum { MIB = 1 << 20, FILE_PATH_BYTES = TABLE_ROOM_PATH_BYTES + IO_NAME_BYTES };

struct tables {
    struct io *io;
    const char *path;
    uint64_t taken_bytes;
};

void table_room_format_path(const char *table_dir, const uint8_t store_id[STORE_ID_BYTES],
                            char path_out[TABLE_ROOM_PATH_BYTES]) {
    const uint8_t *id = store_id;
    snprintf(path_out, TABLE_ROOM_PATH_BYTES, "%s/fstore-%02x%02x%02x%02x%02x%02x%02x%02x",
             table_dir, id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7]);
}

/* What cannot be opened holds nothing for us. */
static int table_take(void *context, const char *name) {
    struct tables *tables = context;
    char path[FILE_PATH_BYTES];
    io_file file;
    snprintf(path, sizeof path, "%s/%s", tables->path, name);
    if (tables->io->ops->open(tables->io, path, 0, &file) != 0) return 0;
    int64_t taken_bytes = tables->io->ops->taken(tables->io, file);
    if (taken_bytes > 0) tables->taken_bytes += (uint64_t)taken_bytes;
    (void)tables->io->ops->close(tables->io, file);
    return 0;
}

static uint64_t taken_find(struct io *io, const struct table_room *room) {
    char path[TABLE_ROOM_PATH_BYTES];
    struct tables tables = {.io = io, .path = path};
    if (!room->store_id) return 0;
    table_room_format_path(room->table_dir, room->store_id, path);
    (void)io->ops->list(io, path, table_take, &tables); /* There may be none yet. */
    return tables.taken_bytes;
}

enum fst_status table_room_check(struct io *io, const struct table_room *room,
                                 struct fst_error *error) {
    int64_t left_bytes = io->ops->room(io, room->table_dir);
    if (left_bytes == -EOPNOTSUPP) return FST_OK;
    if (left_bytes < 0) {
        enum fst_status status = fst_status_from_errno((int)left_bytes);
        return fst_error_set(error, status, "--table-dir %s: %s", room->table_dir,
                             strerror((int)-left_bytes));
    }
    uint64_t taken_bytes = taken_find(io, room);
    if ((uint64_t)left_bytes + taken_bytes >= room->memory_bytes) return FST_OK;
    return fst_error_set(
        error, FST_INVALID,
        "--table-dir %s: its file system has %llu MiB left, tables of this store %llu MiB; "
        "--memory expects %llu MiB: lower --memory, name another --table-dir, or enlarge it "
        "(mount -o remount,size=...; in a container --shm-size)",
        room->table_dir, (unsigned long long)left_bytes / MIB,
        (unsigned long long)taken_bytes / MIB, (unsigned long long)room->memory_bytes / MIB);
}
