#include "storage/meta/meta.h"

#include <errno.h>
#include <lmdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "storage/meta/meta_key.h"

enum {
    ROW_KEY_HEADER_BYTES = 6,
    ROW_HEADER_BYTES = 16,
    READERS_MAX = 64,
    PATH_BYTES = 4096,
    FILE_MODE = 0600,
    DIR_MODE = 0700,
};

enum database { STORE, CHANGES, ROWS, CLIENTS, LSNS, LOGS, DATABASES_COUNT };

/* Sizes that keys and values have; 0: they vary. */
static const struct {
    const char *name;
    size_t key_bytes;
    size_t value_bytes;
} databases[DATABASES_COUNT] = {
    [STORE] = {"store", 0, 0},       [CHANGES] = {"changes", 8, 0}, [ROWS] = {"rows", 0, 0},
    [CLIENTS] = {"clients", 10, 16}, [LSNS] = {"lsns", 2, 8},       [LOGS] = {"logs", 8, 8},
};

struct meta {
    MDB_env *env;
    MDB_dbi dbis[DATABASES_COUNT];
};

struct meta_batch {
    struct meta *meta;
    MDB_txn *txn;
    MDB_cursor *cursors[DATABASES_COUNT]; /* NULL until used */
};

/* One value that is being read, put together in memory of its own if it has several pieces. */
struct value {
    uint8_t *memory;
    size_t room_bytes;
    struct bytes bytes;
};

static enum fst_status status_of(int result) {
    switch (result) {
    case MDB_SUCCESS:
        return FST_OK;
    case MDB_NOTFOUND:
        return FST_NOT_FOUND;
    case MDB_MAP_FULL:
        return FST_DISK_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_PANIC:
        return FST_CORRUPT;
    default:
        return result > 0 ? fst_status_from_errno(result) : FST_INTERNAL;
    }
}

static enum fst_status failure(struct fst_error *error, const char *what, int result) {
    return fst_error_set(error, status_of(result), "LMDB: cannot %s: %s", what,
                         mdb_strerror(result));
}

/* ---- keys and pieces ---- */

/* The key of one piece, for LMDB. */
static MDB_val key_piece(struct meta_key *key, uint32_t piece) {
    key->data[key->bytes] = (uint8_t)(piece >> 8);
    key->data[key->bytes + 1] = (uint8_t)piece;
    return (MDB_val){.mv_size = key->bytes + META_PIECE_NUMBER_BYTES, .mv_data = key->data};
}

static uint64_t piece_checksum(enum database database, const MDB_val *key, const uint8_t *piece,
                               size_t piece_bytes) {
    uint64_t seed = hash_checksum(key->mv_data, key->mv_size, (uint64_t)database + 1);
    return hash_checksum(piece + sizeof(uint64_t), piece_bytes - sizeof(uint64_t), seed);
}

/* ---- the environment ---- */

/* Pages that the file should have and has not would end the process when they are touched. */
static enum fst_status file_check(const struct meta *meta, const char *path,
                                  struct fst_error *error) {
    MDB_envinfo info;
    MDB_stat stat_env;
    struct stat file;
    char data_path[PATH_BYTES];
    (void)snprintf(data_path, sizeof data_path, "%s/data.mdb", path);
    int result = mdb_env_info(meta->env, &info);
    if (result == 0) result = mdb_env_stat(meta->env, &stat_env);
    if (result == 0 && stat(data_path, &file) < 0) result = errno;
    if (result != 0) return failure(error, "measure its file", result);
    uint64_t expected = ((uint64_t)info.me_last_pgno + 1) * stat_env.ms_psize;
    if ((uint64_t)file.st_size >= expected || info.me_last_pgno <= 1) return FST_OK;
    return fst_error_set(error, FST_CORRUPT, "%s is cut short: expected %llu bytes, found %llu",
                         data_path, (unsigned long long)expected, (unsigned long long)file.st_size);
}

static int databases_open(struct meta *meta, bool is_read_only) {
    MDB_txn *txn;
    int result = mdb_txn_begin(meta->env, NULL, is_read_only ? MDB_RDONLY : 0, &txn);
    if (result != 0) return result;
    for (int d = 0; d < DATABASES_COUNT && result == 0; d++) {
        unsigned flags = is_read_only ? 0 : MDB_CREATE;
        result = mdb_dbi_open(txn, databases[d].name, flags, &meta->dbis[d]);
    }
    if (result == 0) return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return result;
}

static int env_open(struct meta *meta, const struct meta_options *options) {
    /* Transactions belong to their makers here, not to threads. */
    unsigned flags = MDB_NOTLS | (options->is_read_only ? MDB_RDONLY : 0);
    int result = mdb_env_create(&meta->env);
    if (result == 0) result = mdb_env_set_maxdbs(meta->env, DATABASES_COUNT);
    if (result == 0) result = mdb_env_set_maxreaders(meta->env, READERS_MAX);
    if (result == 0) result = mdb_env_set_mapsize(meta->env, options->map_bytes);
    if (result == 0) result = mdb_env_open(meta->env, options->path, flags, FILE_MODE);
    return result;
}

enum fst_status meta_open(struct meta **meta_out, const struct meta_options *options,
                          struct fst_error *error) {
    if (strlen(options->path) > PATH_BYTES - 16) {
        return fst_error_set(error, FST_INVALID, "the name of the meta folder is too long");
    }
    if (!options->is_read_only && mkdir(options->path, DIR_MODE) < 0 && errno != EEXIST) {
        return fst_error_set(error, fst_status_from_errno(errno), "%s: cannot make the folder: %s",
                             options->path, strerror(errno));
    }
    struct meta *meta = calloc(1, sizeof *meta);
    if (!meta) return fst_error_set(error, FST_NO_MEMORY, "no memory for LMDB");
    int dead;
    int result = env_open(meta, options);
    enum fst_status status =
        result == 0 ? file_check(meta, options->path, error)
                    : fst_error_set(error, status_of(result), "%s: cannot open LMDB: %s",
                                    options->path, mdb_strerror(result));
    if (status == FST_OK) {
        result = mdb_reader_check(meta->env, &dead); /* What killed processes left. */
        if (result == 0) result = databases_open(meta, options->is_read_only);
        if (result != 0) status = failure(error, "open its databases", result);
    }
    if (status != FST_OK) {
        meta_close(meta);
        return status;
    }
    *meta_out = meta;
    return FST_OK;
}

void meta_close(struct meta *meta) {
    if (!meta) return;
    if (meta->env) mdb_env_close(meta->env);
    free(meta);
}

/* ---- batches ---- */

enum fst_status meta_begin(struct meta *meta, struct meta_batch **batch_out,
                           struct fst_error *error) {
    struct meta_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return fst_error_set(error, FST_NO_MEMORY, "no memory for LMDB");
    batch->meta = meta;
    int result = mdb_txn_begin(meta->env, NULL, 0, &batch->txn);
    if (result != 0) {
        free(batch);
        return failure(error, "begin a transaction", result);
    }
    *batch_out = batch;
    return FST_OK;
}

static void cursors_close(struct meta_batch *batch) {
    for (int d = 0; d < DATABASES_COUNT; d++) {
        if (batch->cursors[d]) mdb_cursor_close(batch->cursors[d]);
    }
}

enum fst_status meta_commit(struct meta_batch *batch, struct fst_error *error) {
    cursors_close(batch);
    int result = mdb_txn_commit(batch->txn);
    free(batch);
    return result == 0 ? FST_OK : failure(error, "commit", result);
}

void meta_abort(struct meta_batch *batch) {
    cursors_close(batch);
    mdb_txn_abort(batch->txn);
    free(batch);
}

static int cursor_get(struct meta_batch *batch, enum database database, MDB_cursor **cursor_out) {
    int result = 0;
    if (!batch->cursors[database]) {
        result =
            mdb_cursor_open(batch->txn, batch->meta->dbis[database], &batch->cursors[database]);
    }
    *cursor_out = batch->cursors[database];
    return result;
}

/* How many pieces the value of a key has now, as its first piece says; more are never there
 * (M2). */
static int pieces_find(MDB_cursor *cursor, struct meta_key *key, uint32_t *count_out) {
    MDB_val name = key_piece(key, 0), data;
    *count_out = 0;
    int result = mdb_cursor_get(cursor, &name, &data, MDB_SET);
    if (result == MDB_NOTFOUND) return 0;
    if (result != 0) return result;
    if (data.mv_size < META_PIECE_HEADER_BYTES) return MDB_CORRUPTED;
    size_t value_bytes = load_u32((const uint8_t *)data.mv_data + sizeof(uint64_t));
    if (value_bytes > META_VALUE_BYTES_MAX) return MDB_CORRUPTED;
    *count_out = meta_pieces_count(key->bytes, value_bytes);
    return 0;
}

static int pieces_remove(MDB_cursor *cursor, struct meta_key *key, uint32_t from, uint32_t to) {
    for (uint32_t piece = from; piece < to; piece++) {
        MDB_val name = key_piece(key, piece), data;
        int result = mdb_cursor_get(cursor, &name, &data, MDB_SET);
        if (result == 0) result = mdb_cursor_del(cursor, 0);
        if (result != 0) return result == MDB_NOTFOUND ? MDB_CORRUPTED : result;
    }
    return 0;
}

/* Stores a value given as up to three parts. */
static enum fst_status value_put(struct meta_batch *batch, enum database database,
                                 struct meta_key *key, const struct bytes *parts,
                                 uint32_t parts_count) {
    uint8_t piece[META_KEY_AND_PIECE_BYTES];
    size_t value_bytes = 0;
    for (uint32_t p = 0; p < parts_count; p++) value_bytes += parts[p].bytes;
    if (value_bytes > META_VALUE_BYTES_MAX) return FST_TOO_LARGE;
    MDB_cursor *cursor;
    uint32_t old_count;
    int result = cursor_get(batch, database, &cursor);
    if (result == 0) result = pieces_find(cursor, key, &old_count);
    if (result != 0) return status_of(result);
    uint32_t count = meta_pieces_count(key->bytes, value_bytes);
    size_t max = meta_piece_bytes_max(key->bytes);
    store_u32(piece + sizeof(uint64_t), (uint32_t)value_bytes);
    for (uint32_t n = 0; n < count && result == 0; n++) {
        size_t offset = n * max;
        size_t bytes = value_bytes - offset < max ? value_bytes - offset : max;
        MDB_val name = key_piece(key, n);
        meta_parts_copy(parts, parts_count, offset, piece + META_PIECE_HEADER_BYTES, bytes);
        bytes += META_PIECE_HEADER_BYTES;
        store_u64(piece, piece_checksum(database, &name, piece, bytes));
        MDB_val data = {.mv_size = bytes, .mv_data = piece};
        result = mdb_cursor_put(cursor, &name, &data, 0);
    }
    if (result == 0) result = pieces_remove(cursor, key, count, old_count);
    return status_of(result);
}

static struct bytes bytes_of(const void *data, size_t bytes) {
    return (struct bytes){.data = data, .bytes = bytes};
}

static enum fst_status number_put(struct meta_batch *batch, enum database database,
                                  struct meta_key *key, uint64_t number) {
    struct bytes part = bytes_of(&number, sizeof number);
    return value_put(batch, database, key, &part, 1);
}

enum fst_status meta_put_value(struct meta_batch *batch, const char *name, struct bytes value) {
    struct meta_key key = {.bytes = 0};
    if (!meta_key_put_bytes(&key, name, strlen(name))) return FST_TOO_LARGE;
    return value_put(batch, STORE, &key, &value, 1);
}

enum fst_status meta_put_change(struct meta_batch *batch, uint64_t generation,
                                struct bytes change) {
    struct meta_key key = {.bytes = 0};
    meta_key_put_u64(&key, generation);
    return value_put(batch, CHANGES, &key, &change, 1);
}

static bool row_key(struct meta_key *key, uint16_t partition, uint32_t view_id,
                    struct bytes row_key) {
    meta_key_put_u16(key, partition);
    meta_key_put_u32(key, view_id);
    return meta_key_put_bytes(key, row_key.data, row_key.bytes);
}

enum fst_status meta_put_row(struct meta_batch *batch, const struct meta_row *row) {
    struct meta_key key = {.bytes = 0};
    uint8_t header[ROW_HEADER_BYTES] = {0};
    if (!row_key(&key, row->partition, row->view_id, row->key)) return FST_TOO_LARGE;
    if (row->image.bytes > META_VALUE_BYTES_MAX) return FST_TOO_LARGE;
    store_u16(header, row->revision);
    store_u64(header + 8, row->lsn);
    store_u32(header + 4, (uint32_t)row->image.bytes);
    const struct bytes parts[] = {bytes_of(header, sizeof header), row->image, row->heap};
    return value_put(batch, ROWS, &key, parts, 3);
}

enum fst_status meta_remove_row(struct meta_batch *batch, uint16_t partition, uint32_t view_id,
                                struct bytes key_bytes) {
    struct meta_key key = {.bytes = 0};
    MDB_cursor *cursor;
    uint32_t count;
    if (!row_key(&key, partition, view_id, key_bytes)) return FST_TOO_LARGE;
    int result = cursor_get(batch, ROWS, &cursor);
    if (result == 0) result = pieces_find(cursor, &key, &count);
    if (result == 0) result = pieces_remove(cursor, &key, 0, count);
    return status_of(result);
}

/* Whether a piece belongs to a row that is kept. The filter is asked of the first piece, and the
 * others follow it: its answer may change in between. */
static bool piece_is_kept(struct meta_batch *batch, const struct meta_filter *filter,
                          const MDB_val *name) {
    struct meta_key key = {.bytes = 0};
    const uint8_t *at = name->mv_data;
    if (!filter || name->mv_size < ROW_KEY_HEADER_BYTES + META_PIECE_NUMBER_BYTES) return false;
    if (!meta_key_put_bytes(&key, at, name->mv_size - META_PIECE_NUMBER_BYTES)) return false;
    if (meta_key_u16(at + key.bytes) > 0) {
        MDB_val first = key_piece(&key, 0), data;
        return mdb_get(batch->txn, batch->meta->dbis[ROWS], &first, &data) == 0;
    }
    struct bytes row = bytes_of(at + ROW_KEY_HEADER_BYTES, key.bytes - ROW_KEY_HEADER_BYTES);
    return filter->keeps(filter->context, meta_key_u32(at + sizeof(uint16_t)), row);
}

/* Piece by piece, whatever is in it: what is damaged can be removed, too. */
static enum fst_status pieces_filter(struct meta_batch *batch, enum database database,
                                     uint16_t partition, const struct meta_filter *filter) {
    struct meta_key prefix = {.bytes = 0};
    uint8_t next[META_KEY_ROOM_BYTES];
    MDB_cursor *cursor;
    meta_key_put_u16(&prefix, partition);
    MDB_val name = {.mv_size = prefix.bytes, .mv_data = prefix.data}, data;
    int result = cursor_get(batch, database, &cursor);
    if (result == 0) result = mdb_cursor_get(cursor, &name, &data, MDB_SET_RANGE);
    while (result == 0) {
        bool is_inside =
            name.mv_size >= prefix.bytes && memcmp(name.mv_data, prefix.data, prefix.bytes) == 0;
        if (!is_inside) break;
        if (piece_is_kept(batch, filter, &name)) {
            result = mdb_cursor_get(cursor, &name, &data, MDB_NEXT);
            continue;
        }
        if (name.mv_size > sizeof next) return FST_CORRUPT;
        memcpy(next, name.mv_data, name.mv_size);
        result = mdb_cursor_del(cursor, 0);
        if (result != 0) break;
        name.mv_data = next;
        result = mdb_cursor_get(cursor, &name, &data, MDB_SET_RANGE);
    }
    return result == MDB_NOTFOUND ? FST_OK : status_of(result);
}

enum fst_status meta_remove_rows(struct meta_batch *batch, uint16_t partition,
                                 const struct meta_filter *filter) {
    return pieces_filter(batch, ROWS, partition, filter);
}

enum fst_status meta_remove_clients(struct meta_batch *batch, uint16_t partition) {
    return pieces_filter(batch, CLIENTS, partition, NULL);
}

enum fst_status meta_put_client(struct meta_batch *batch, uint16_t partition, uint64_t client_id,
                                uint64_t sequence, uint64_t recent) {
    struct meta_key key = {.bytes = 0};
    meta_key_put_u16(&key, partition);
    meta_key_put_u64(&key, client_id);
    const uint64_t numbers[] = {sequence, recent};
    struct bytes part = bytes_of(numbers, sizeof numbers);
    return value_put(batch, CLIENTS, &key, &part, 1);
}

enum fst_status meta_put_lsn(struct meta_batch *batch, uint16_t partition, uint64_t lsn) {
    struct meta_key key = {.bytes = 0};
    meta_key_put_u16(&key, partition);
    return number_put(batch, LSNS, &key, lsn);
}

enum fst_status meta_put_log(struct meta_batch *batch, const struct log_position *position) {
    struct meta_key key = {.bytes = 0};
    meta_key_put_u32(&key, position->epoch);
    meta_key_put_u32(&key, position->shard);
    return number_put(batch, LOGS, &key, position->group);
}

enum fst_status meta_put_done_epoch(struct meta_batch *batch, uint32_t epoch) {
    MDB_cursor *cursor;
    MDB_val name, data;
    int result = cursor_get(batch, LOGS, &cursor);
    /* Big-endian keys: the earliest epochs come first. */
    while (result == 0) {
        result = mdb_cursor_get(cursor, &name, &data, MDB_FIRST);
        if (result != 0) break;
        if (name.mv_size >= sizeof epoch && meta_key_u32(name.mv_data) >= epoch) break;
        result = mdb_cursor_del(cursor, 0);
    }
    if (result != 0 && result != MDB_NOTFOUND) return status_of(result);
    struct bytes value = {.data = (const uint8_t *)&epoch, .bytes = sizeof epoch};
    return meta_put_value(batch, "done_epoch", value);
}

/* ---- reading ---- */

__attribute__((format(printf, 4, 5))) static enum fst_status damage(struct fst_error *error,
                                                                    enum database database,
                                                                    const MDB_val *key,
                                                                    const char *format, ...) {
    char what[128], hex[2 * 64 + 1] = "";
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    const uint8_t *bytes = key->mv_data;
    for (size_t i = 0; i < key->mv_size && i < 64; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    }
    return fst_error_set(error, FST_CORRUPT, "LMDB: database %s, key %s%s: %s",
                         databases[database].name, hex, key->mv_size > 64 ? "..." : "", what);
}

/* M1 of one piece, and that it says a possible length. */
static enum fst_status piece_check(enum database database, const MDB_val *key, const MDB_val *piece,
                                   struct fst_error *error) {
    if (piece->mv_size < META_PIECE_HEADER_BYTES) {
        return damage(error, database, key, "a piece of %zu bytes", piece->mv_size);
    }
    if (load_u64(piece->mv_data) != piece_checksum(database, key, piece->mv_data, piece->mv_size)) {
        return damage(error, database, key, "the checksum does not fit");
    }
    size_t value_bytes = load_u32((const uint8_t *)piece->mv_data + sizeof(uint64_t));
    if (value_bytes <= META_VALUE_BYTES_MAX) return FST_OK;
    return damage(error, database, key, "a value of %zu bytes", value_bytes);
}

static enum fst_status value_grow(struct value *value, size_t bytes, struct fst_error *error) {
    if (bytes <= value->room_bytes) return FST_OK;
    uint8_t *memory = realloc(value->memory, bytes);
    if (!memory) return fst_error_set(error, FST_NO_MEMORY, "no memory for %zu bytes", bytes);
    value->memory = memory;
    value->room_bytes = bytes;
    return FST_OK;
}

struct reading {
    struct meta *meta;
    MDB_txn *txn;
    const struct meta_visitor *visitor;
    struct fst_error *error;
    struct value value;
};

/* One more piece, whose bytes must be exactly what is missing from `offset` on, or as many as
 * fit. */
static enum fst_status value_append(struct reading *reading, enum database database,
                                    struct meta_key *key, uint32_t number, size_t value_bytes) {
    MDB_val name = key_piece(key, number), piece;
    int result = mdb_get(reading->txn, reading->meta->dbis[database], &name, &piece);
    if (result == MDB_NOTFOUND)
        return damage(reading->error, database, &name, "a piece is missing");
    if (result != 0) return failure(reading->error, "read", result);
    FST_TRY(piece_check(database, &name, &piece, reading->error));
    size_t max = meta_piece_bytes_max(key->bytes);
    size_t offset = number * max;
    size_t expected = value_bytes - offset < max ? value_bytes - offset : max;
    if (load_u32((const uint8_t *)piece.mv_data + sizeof(uint64_t)) != value_bytes ||
        piece.mv_size != META_PIECE_HEADER_BYTES + expected) {
        return damage(reading->error, database, &name, "a piece of another value");
    }
    memcpy(reading->value.memory + offset, (const uint8_t *)piece.mv_data + META_PIECE_HEADER_BYTES,
           expected);
    return FST_OK;
}

/* The whole value whose first piece is given: a view into LMDB, or a copy if there are more
 * pieces. */
static enum fst_status value_read(struct reading *reading, enum database database,
                                  const MDB_val *name, const MDB_val *first) {
    FST_TRY(piece_check(database, name, first, reading->error));
    const uint8_t *data = first->mv_data;
    size_t value_bytes = load_u32(data + sizeof(uint64_t));
    struct meta_key key = {.bytes = name->mv_size - META_PIECE_NUMBER_BYTES};
    memcpy(key.data, name->mv_data, key.bytes);
    uint32_t count = meta_pieces_count(key.bytes, value_bytes);
    if (count == 1) {
        if (first->mv_size != META_PIECE_HEADER_BYTES + value_bytes) {
            return damage(reading->error, database, name, "expected %zu bytes, found %zu",
                          value_bytes, first->mv_size - META_PIECE_HEADER_BYTES);
        }
        reading->value.bytes = bytes_of(data + META_PIECE_HEADER_BYTES, value_bytes);
        return FST_OK;
    }
    FST_TRY(value_grow(&reading->value, value_bytes, reading->error));
    for (uint32_t n = 0; n < count; n++) {
        FST_TRY(value_append(reading, database, &key, n, value_bytes));
    }
    reading->value.bytes = bytes_of(reading->value.memory, value_bytes);
    return FST_OK;
}

/* The same by its key. */
static enum fst_status value_find(struct reading *reading, enum database database,
                                  struct meta_key *key, MDB_val *name_out) {
    MDB_val first;
    *name_out = key_piece(key, 0);
    int result = mdb_get(reading->txn, reading->meta->dbis[database], name_out, &first);
    if (result == MDB_NOTFOUND) return FST_NOT_FOUND;
    if (result != 0) return failure(reading->error, "read", result);
    return value_read(reading, database, name_out, &first);
}

enum fst_status meta_get_value(struct meta *meta, const char *name, void *value_out,
                               size_t bytes_max, size_t *bytes_out, struct fst_error *error) {
    struct meta_key key = {.bytes = 0};
    struct reading reading = {.meta = meta, .error = error};
    MDB_val piece_name;
    if (!meta_key_put_bytes(&key, name, strlen(name))) return FST_NOT_FOUND;
    int result = mdb_txn_begin(meta->env, NULL, MDB_RDONLY, &reading.txn);
    if (result != 0) return failure(error, "begin to read", result);
    enum fst_status status = value_find(&reading, STORE, &key, &piece_name);
    if (status == FST_OK && reading.value.bytes.bytes > bytes_max) status = FST_TOO_LARGE;
    if (status == FST_OK) {
        *bytes_out = reading.value.bytes.bytes;
        if (*bytes_out > 0) memcpy(value_out, reading.value.bytes.data, *bytes_out);
    }
    mdb_txn_abort(reading.txn);
    free(reading.value.memory);
    return status;
}

enum fst_status meta_get_done_epoch(struct meta *meta, uint32_t *epoch_out,
                                    struct fst_error *error) {
    size_t bytes = sizeof *epoch_out;
    *epoch_out = 0;
    enum fst_status status =
        meta_get_value(meta, "done_epoch", epoch_out, sizeof *epoch_out, &bytes, error);
    if (status == FST_NOT_FOUND) return FST_OK;
    return status == FST_OK && bytes != sizeof *epoch_out ? FST_CORRUPT : status;
}

/* M3 of a whole value. */
static enum fst_status sizes_check(enum database database, const MDB_val *name, struct bytes value,
                                   struct fst_error *error) {
    size_t key_bytes = name->mv_size - META_PIECE_NUMBER_BYTES;
    bool is_sound =
        databases[database].key_bytes == 0 || databases[database].key_bytes == key_bytes;
    is_sound &=
        databases[database].value_bytes == 0 || databases[database].value_bytes == value.bytes;
    if (database == ROWS) {
        is_sound = key_bytes >= ROW_KEY_HEADER_BYTES && value.bytes >= ROW_HEADER_BYTES &&
                   load_u32(value.data + 4) <= value.bytes - ROW_HEADER_BYTES;
    }
    if (is_sound) return FST_OK;
    return damage(error, database, name, "a key of %zu bytes with a value of %zu", key_bytes,
                  value.bytes);
}

static struct meta_row row_decode(const struct reading *reading, const MDB_val *name) {
    const uint8_t *key = name->mv_data;
    const uint8_t *value = reading->value.bytes.data;
    size_t image_bytes = load_u32(value + 4);
    const uint8_t *heap = value + ROW_HEADER_BYTES + image_bytes;
    size_t key_bytes = name->mv_size - META_PIECE_NUMBER_BYTES - ROW_KEY_HEADER_BYTES;
    return (struct meta_row){
        .partition = meta_key_u16(key),
        .revision = load_u16(value),
        .view_id = meta_key_u32(key + 2),
        .lsn = load_u64(value + 8),
        .key = bytes_of(key + ROW_KEY_HEADER_BYTES, key_bytes),
        .image = bytes_of(value + ROW_HEADER_BYTES, image_bytes),
        .heap = bytes_of(heap, (size_t)(value + reading->value.bytes.bytes - heap)),
    };
}

static enum fst_status row_visit(const struct reading *reading, const MDB_val *name) {
    const struct meta_row row = row_decode(reading, name);
    return reading->visitor->row(reading->visitor->context, &row);
}

static enum fst_status value_visit(const struct reading *reading, enum database database,
                                   const MDB_val *name) {
    const struct meta_visitor *visitor = reading->visitor;
    const uint8_t *key = name->mv_data;
    const uint8_t *value = reading->value.bytes.data;
    switch (database) {
    case CHANGES:
        return visitor->change(visitor->context, meta_key_u64(key), reading->value.bytes);
    case ROWS:
        return row_visit(reading, name);
    case CLIENTS:
        return visitor->client(visitor->context, meta_key_u16(key), meta_key_u64(key + 2),
                               load_u64(value), load_u64(value + 8));
    case LSNS:
        return visitor->lsn(visitor->context, meta_key_u16(key), load_u64(value));
    case LOGS:
        return visitor->log(visitor->context, &(struct log_position){.epoch = meta_key_u32(key),
                                                                     .shard = meta_key_u32(key + 4),
                                                                     .group = load_u64(value)});
    default:
        return FST_OK;
    }
}

/* Pieces behind the first one come with their value; here only that they belong to one (M2). */
static enum fst_status piece_belongs(struct reading *reading, enum database database,
                                     const MDB_val *name, uint32_t number) {
    struct meta_key key = {.bytes = name->mv_size - META_PIECE_NUMBER_BYTES};
    memcpy(key.data, name->mv_data, key.bytes);
    MDB_val first_name = key_piece(&key, 0), first;
    int result = mdb_get(reading->txn, reading->meta->dbis[database], &first_name, &first);
    if (result != 0 && result != MDB_NOTFOUND) return failure(reading->error, "read", result);
    if (result == 0 && first.mv_size >= META_PIECE_HEADER_BYTES) {
        size_t value_bytes = load_u32((const uint8_t *)first.mv_data + sizeof(uint64_t));
        if (number < meta_pieces_count(key.bytes, value_bytes)) return FST_OK;
    }
    return damage(reading->error, database, name, "a piece without its value");
}

static enum fst_status entry_read(struct reading *reading, enum database database,
                                  const MDB_val *name, const MDB_val *piece) {
    if (name->mv_size < META_PIECE_NUMBER_BYTES || name->mv_size > META_KEY_ROOM_BYTES) {
        return damage(reading->error, database, name, "a key of %zu bytes", name->mv_size);
    }
    size_t key_bytes = name->mv_size - META_PIECE_NUMBER_BYTES;
    uint32_t number = meta_key_u16((const uint8_t *)name->mv_data + key_bytes);
    if (number > 0) {
        return reading->visitor ? FST_OK : piece_belongs(reading, database, name, number);
    }
    FST_TRY(value_read(reading, database, name, piece));
    FST_TRY(sizes_check(database, name, reading->value.bytes, reading->error));
    return reading->visitor ? value_visit(reading, database, name) : FST_OK;
}

/* Reads all values whose keys begin with `prefix`. */
static enum fst_status database_read(struct reading *reading, enum database database,
                                     struct bytes prefix) {
    MDB_cursor *cursor;
    uint8_t from[META_KEY_ROOM_BYTES];
    MDB_val name = {.mv_size = prefix.bytes, .mv_data = from}, piece;
    int result = mdb_cursor_open(reading->txn, reading->meta->dbis[database], &cursor);
    if (result != 0) return failure(reading->error, "read", result);
    if (prefix.bytes > 0) memcpy(from, prefix.data, prefix.bytes);
    enum fst_status status = FST_OK;
    result = mdb_cursor_get(cursor, &name, &piece, prefix.bytes > 0 ? MDB_SET_RANGE : MDB_FIRST);
    while (result == 0 && status == FST_OK) {
        bool is_inside =
            name.mv_size >= prefix.bytes &&
            (prefix.bytes == 0 || memcmp(name.mv_data, prefix.data, prefix.bytes) == 0);
        if (!is_inside) break;
        status = entry_read(reading, database, &name, &piece);
        if (status == FST_OK) result = mdb_cursor_get(cursor, &name, &piece, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (result != 0 && result != MDB_NOTFOUND) return failure(reading->error, "read", result);
    return status;
}

static bool visitor_wants(const struct meta_visitor *visitor, enum database database) {
    switch (database) {
    case CHANGES:
        return visitor->change != NULL;
    case ROWS:
        return visitor->row != NULL;
    case CLIENTS:
        return visitor->client != NULL;
    case LSNS:
        return visitor->lsn != NULL;
    case LOGS:
        return visitor->log != NULL;
    default:
        return false;
    }
}

static enum fst_status meta_read(struct meta *meta, const struct meta_visitor *visitor,
                                 struct bytes prefix, struct fst_error *error) {
    struct reading reading = {.meta = meta, .visitor = visitor, .error = error};
    int result = mdb_txn_begin(meta->env, NULL, MDB_RDONLY, &reading.txn);
    if (result != 0) return failure(error, "begin to read", result);
    enum fst_status status = FST_OK;
    for (int d = 0; d < DATABASES_COUNT && status == FST_OK; d++) {
        bool is_by_partition = d == ROWS || d == CLIENTS;
        if (prefix.bytes > 0 && !is_by_partition) continue;
        if (visitor && !visitor_wants(visitor, (enum database)d)) continue;
        status = database_read(&reading, (enum database)d, prefix);
    }
    mdb_txn_abort(reading.txn);
    free(reading.value.memory);
    return status;
}

enum fst_status meta_visit(struct meta *meta, const struct meta_visitor *visitor,
                           struct fst_error *error) {
    return meta_read(meta, visitor, bytes_of(NULL, 0), error);
}

enum fst_status meta_visit_partition(struct meta *meta, uint16_t partition,
                                     const struct meta_visitor *visitor, struct fst_error *error) {
    struct meta_key key = {.bytes = 0};
    meta_key_put_u16(&key, partition);
    return meta_read(meta, visitor, bytes_of(key.data, key.bytes), error);
}

/* ---- single rows ---- */

struct meta_reader {
    struct reading reading;
    struct meta_key key; /* of the row last asked for */
};

enum fst_status meta_reader_open(struct meta_reader **reader_out, struct meta *meta,
                                 struct fst_error *error) {
    struct meta_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return fst_error_set(error, FST_NO_MEMORY, "no memory for LMDB");
    reader->reading.meta = meta;
    int result = mdb_txn_begin(meta->env, NULL, MDB_RDONLY, &reader->reading.txn);
    if (result != 0) {
        free(reader);
        return failure(error, "begin to read", result);
    }
    mdb_txn_reset(reader->reading.txn);
    *reader_out = reader;
    return FST_OK;
}

void meta_reader_close(struct meta_reader *reader) {
    if (!reader) return;
    mdb_txn_abort(reader->reading.txn);
    free(reader->reading.value.memory);
    free(reader);
}

enum fst_status meta_reader_begin(struct meta_reader *reader, struct fst_error *error) {
    int result = mdb_txn_renew(reader->reading.txn);
    return result == 0 ? FST_OK : failure(error, "begin to read", result);
}

void meta_reader_end(struct meta_reader *reader) {
    mdb_txn_reset(reader->reading.txn);
}

enum fst_status meta_get_row(struct meta_reader *reader, uint16_t partition, uint32_t view_id,
                             struct bytes key, struct meta_row *row_out, struct fst_error *error) {
    struct reading *reading = &reader->reading;
    reading->error = error;
    reader->key.bytes = 0;
    if (!row_key(&reader->key, partition, view_id, key)) return FST_NOT_FOUND;
    MDB_val name;
    FST_TRY(value_find(reading, ROWS, &reader->key, &name));
    FST_TRY(sizes_check(ROWS, &name, reading->value.bytes, error));
    *row_out = row_decode(reading, &name);
    return FST_OK;
}

uint64_t meta_rows_count(struct meta *meta) {
    MDB_txn *txn;
    MDB_stat rows = {.ms_entries = 0};
    if (mdb_txn_begin(meta->env, NULL, MDB_RDONLY, &txn) != 0) return 0;
    int result = mdb_stat(txn, meta->dbis[ROWS], &rows);
    mdb_txn_abort(txn);
    return result == 0 ? rows.ms_entries : 0;
}

uint64_t meta_used_bytes(struct meta *meta) {
    MDB_envinfo info;
    MDB_stat stat_env;
    int result = mdb_env_info(meta->env, &info);
    if (result == 0) result = mdb_env_stat(meta->env, &stat_env);
    FST_ASSERT(result == 0); /* Fails only without an environment. */
    return ((uint64_t)info.me_last_pgno + 1) * stat_env.ms_psize;
}

/* Reads without a visitor: every entry of every database is checked. */
enum fst_status meta_check(struct meta *meta, struct fst_error *error) {
    return meta_read(meta, NULL, bytes_of(NULL, 0), error);
}
