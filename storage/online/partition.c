#include "storage/online/partition.h"

#include <stdlib.h>

#include "base/assert.h"
#include "storage/online/partition_parts.h"

enum { ENTITY_ID_BYTES = 4 };

uint64_t partition_hash(const struct hash_secret *secret, uint32_t entity_id, struct bytes key) {
    uint8_t data[ENTITY_ID_BYTES + KEY_BYTES_MAX];
    FST_ASSERT(key.bytes <= KEY_BYTES_MAX);
    store_u32(data, entity_id);
    memcpy(data + ENTITY_ID_BYTES, key.data, key.bytes);
    return hash_table(secret, data, ENTITY_ID_BYTES + key.bytes);
}

/* ---- the file ---- */

static struct table_identity identity_of(const struct partition_options *options) {
    static const char text[] = "fstore table";
    struct table_identity identity = {
        .magic = TABLE_MAGIC,
        .format = TABLE_FORMAT,
        .partition = options->partition,
        .secret_check = hash_table(&options->secret, text, sizeof text),
    };
    memcpy(identity.store_id, options->store_id, sizeof identity.store_id);
    memcpy(identity.boot_id, options->boot_id, sizeof identity.boot_id);
    return identity;
}

static uint64_t extents_of(uint64_t file_bytes) {
    return (file_bytes - TABLE_EXTENTS_OFFSET) / TABLE_EXTENT_BYTES;
}

/* `file_bytes`: how long the file was when it was found. */
static bool header_is_trusted(const struct partition *partition, uint64_t file_bytes) {
    if (file_bytes < TABLE_EXTENTS_OFFSET) return false;
    uint64_t extents_max = extents_of(file_bytes);
    const struct table_header *header = partition->table.header;
    struct table_identity identity = identity_of(&partition->options);
    return memcmp(&header->identity, &identity, sizeof identity) == 0 && header->busy == 0 &&
           header->slabs.extents_count > 0 && header->slabs.extents_count <= extents_max &&
           header->slabs.waiting_now <= 1 && header->index.depth <= TABLE_DEPTH_MAX &&
           header->index.sequence % 2 == 0 && client_table_is_valid(header->client_sets);
}

static void budget_give_back(const struct partition *partition) {
    if (partition->is_torn) return; /* It has nothing. */
    uint64_t bytes = (uint64_t)partition->table.header->slabs.extents_count * TABLE_EXTENT_BYTES +
                     partition->flying_bytes;
    atomic_fetch_sub(&partition->options.budget->used_bytes, bytes);
}

static void parts_open(struct partition *partition) {
    const struct partition_options *o = &partition->options;
    slabs_open(&partition->slabs, &partition->table, o->epoch, o->budget);
    index_open(&partition->index, &partition->table, &partition->slabs);
    client_table_open(&partition->clients, &partition->table);
}

/* Starts the mapped file, which is all zero, as an empty table. Its identity comes last. */
static enum fst_status table_init(struct partition *partition) {
    struct table_header *header = partition->table.header;
    table_begin(&partition->table);
    header->slabs.extents_max = (uint32_t)extents_of(partition->mapped_bytes);
    header->slabs.class_pages = 1;
    header->client_sets = CLIENT_TABLE_SETS_MIN;
    parts_open(partition);
    FST_TRY(index_init(&partition->index));
    header->identity = identity_of(&partition->options);
    table_settle(&partition->table);
    return FST_OK;
}

/* Gives all pages back; what is read from the mapping afterwards is zero. */
static int file_empty(struct partition *partition) {
    struct io *io = partition->options.io;
    int result = io->ops->resize(io, partition->file, 0);
    if (result == 0) result = io->ops->resize(io, partition->file, partition->mapped_bytes);
    return result;
}

static enum fst_status file_map(struct partition *partition, uint64_t bytes_min,
                                uint64_t *found_bytes_out) {
    struct io *io = partition->options.io;
    int64_t size = io->ops->size(io, partition->file);
    if (size < 0) return fst_status_from_errno((int)size);
    uint64_t bytes_max = TABLE_EXTENTS_OFFSET + TABLE_EXTENTS_MAX * (uint64_t)TABLE_EXTENT_BYTES;
    uint64_t bytes = bytes_min;
    if ((uint64_t)size > bytes && (uint64_t)size <= bytes_max) {
        bytes = (uint64_t)size / TABLE_EXTENT_BYTES * TABLE_EXTENT_BYTES;
    }
    int result = io->ops->resize(io, partition->file, bytes);
    void *memory = NULL;
    if (result == 0) result = io->ops->map(io, partition->file, bytes, &memory);
    if (result != 0) return fst_status_from_errno(result);
    partition->mapped_bytes = bytes;
    partition->table =
        (struct table){.base = memory, .header = memory, .io = io, .file = partition->file};
    *found_bytes_out = (uint64_t)size;
    return FST_OK;
}

static const uint64_t clients_bytes = TABLE_CLIENTS_MAX * sizeof(struct client);
static const uint64_t slabs_bytes = (SLAB_KINDS - UINT64_C(1)) * SLAB_CLASSES * sizeof(struct slab);
static const uint64_t first_bytes = UINT64_C(3) * IO_BLOCK_BYTES;

uint64_t partition_fixed_bytes_max(void) {
    return IO_BLOCK_BYTES + clients_bytes + bytes_align(slabs_bytes, IO_BLOCK_BYTES);
}

/* What every table touches, before it is looked at: a page of each. */
static bool first_reserve(const struct table *table) {
    return table_reserve(table, 0, IO_BLOCK_BYTES) &&
           table_reserve(table, TABLE_CLIENTS_OFFSET, IO_BLOCK_BYTES) &&
           table_reserve(table, TABLE_SLABS_OFFSET, IO_BLOCK_BYTES);
}

/* Tables of a process that did not reserve have holes, in which the next row would be put. */
static bool taken_reserve(struct table *table, uint64_t found_bytes) {
    struct table_slabs *root = &table->header->slabs;
    uint64_t extents = extents_of(found_bytes);
    if (root->extents_reserved > extents) root->extents_reserved = (uint32_t)extents;
    if (root->extents_reserved >= root->extents_count) return true;
    return table_reserve(table, TABLE_EXTENT_TABLE_OFFSET,
                         root->extents_count * sizeof(struct extent)) &&
           table_reserve(table, TABLE_EXTENTS_OFFSET,
                         (uint64_t)root->extents_count * TABLE_EXTENT_BYTES);
}

static enum fst_status table_open(struct partition *partition, uint64_t found_bytes,
                                  enum partition_origin *origin_out) {
    bool is_new = found_bytes == 0;
    if (!first_reserve(&partition->table)) return FST_DISK_FULL;
    if (!is_new && header_is_trusted(partition, found_bytes)) {
        struct table_slabs *root = &partition->table.header->slabs;
        root->extents_max = (uint32_t)extents_of(partition->mapped_bytes);
        if (!taken_reserve(&partition->table, found_bytes)) return FST_DISK_FULL;
        if (root->extents_reserved < root->extents_count) {
            root->extents_reserved = root->extents_count;
        }
        atomic_fetch_add(&partition->options.budget->used_bytes,
                         (uint64_t)root->extents_count * TABLE_EXTENT_BYTES);
        table_begin(&partition->table);
        parts_open(partition);
        table_settle(&partition->table);
        *origin_out = PARTITION_MAPPED;
        return FST_OK;
    }
    int result = is_new ? 0 : file_empty(partition);
    if (result != 0) return fst_status_from_errno(result);
    if (!is_new && !first_reserve(&partition->table)) return FST_DISK_FULL;
    *origin_out = is_new ? PARTITION_NEW : PARTITION_DISTRUSTED;
    return table_init(partition);
}

/* ---- opening and closing ---- */

static struct partition *partition_alloc(const struct partition_options *options) {
    struct partition *partition = aligned_alloc(_Alignof(struct partition), sizeof *partition);
    if (!partition) return NULL;
    *partition = (struct partition){.options = *options, .file = -1};
    partition->options.path = NULL;
    partition->scratch = malloc(2 * (size_t)ROW_IMAGE_BYTES_MAX);
    if (partition->scratch) return partition;
    free(partition);
    return NULL;
}

static void partition_free(struct partition *partition) {
    free(partition->scratch);
    free(partition);
}

enum fst_status partition_open(struct partition **partition_out,
                               const struct partition_options *options,
                               enum partition_origin *origin_out, struct fst_error *error) {
    struct io *io = options->io;
    uint64_t extents = options->reserve_bytes / TABLE_EXTENT_BYTES;
    FST_ASSERT(extents > 0);
    FST_ASSERT(extents <= TABLE_EXTENTS_MAX);
    struct partition *partition = partition_alloc(options);
    if (!partition) return fst_error_set(error, FST_NO_MEMORY, "table %s", options->path);
    uint64_t found_bytes = 0;
    enum fst_status status;
    int result = io->ops->open(io, options->path, IO_OPEN_WRITE | IO_OPEN_CREATE, &partition->file);
    if (result != 0) {
        status = fst_status_from_errno(result);
        goto free;
    }
    status = file_map(partition, TABLE_EXTENTS_OFFSET + extents * TABLE_EXTENT_BYTES, &found_bytes);
    if (status != FST_OK) goto close;
    status = table_open(partition, found_bytes, origin_out);
    if (status != FST_OK) goto unmap;
    *partition_out = partition;
    return FST_OK;
unmap:
    io->ops->unmap(io, partition->table.base, partition->mapped_bytes);
close:
    io->ops->close(io, partition->file);
free:
    partition_free(partition);
    bool is_full = status == FST_DISK_FULL || status == FST_FULL;
    return fst_error_set(
        error, status, "table %s: it cannot be opened and mapped: %s", options->path,
        is_full ? "no room in its memory file system (--table-dir)" : fst_status_text(status));
}

void partition_close(struct partition *partition) {
    if (!partition) return;
    struct io *io = partition->options.io;
    budget_give_back(partition);
    io->ops->unmap(io, partition->table.base, partition->mapped_bytes);
    io->ops->close(io, partition->file);
    partition_free(partition);
}

void partition_put_boot_id(struct partition *partition, const uint8_t boot_id[16]) {
    memcpy(partition->options.boot_id, boot_id, sizeof partition->options.boot_id);
    table_begin(&partition->table);
    partition->table.header->identity = identity_of(&partition->options);
    table_settle(&partition->table);
}

enum fst_status partition_clear(struct partition *partition) {
    budget_give_back(partition);
    partition->flying_bytes = 0;
    partition->flying_rows = 0;
    partition->slabs.promised_places = 0;
    partition->sweep_extent = 0;
    partition->sweep_place = 0;
    partition->hand = (struct hand){.extent = 0};
    partition->is_torn = true;
    int result = file_empty(partition);
    if (result != 0) return fst_status_from_errno(result);
    if (!first_reserve(&partition->table)) return FST_DISK_FULL;
    partition->is_torn = false;
    return table_init(partition);
}

/* ---- numbers ---- */

uint64_t partition_applied_lsn(const struct partition *partition) {
    return table_word_load(&partition->table.header->applied_lsn);
}

uint64_t partition_memory_lsn(const struct partition *partition) {
    return table_word_load(&partition->table.header->memory_lsn);
}

const char *partition_memory_name(enum partition_memory use) {
    static const char *const names[] = {
#define MEMORY_NAME(name, text, help) text,
        PARTITION_MEMORY(MEMORY_NAME)
#undef MEMORY_NAME
    };
    return names[use];
}

const char *partition_memory_help(enum partition_memory use) {
    static const char *const helps[] = {
#define MEMORY_HELP(name, text, help) help,
        PARTITION_MEMORY(MEMORY_HELP)
#undef MEMORY_HELP
    };
    return helps[use];
}

/* Counters that are read one after another beside a writer may disagree a little. */
static uint64_t rest_of(uint64_t whole, uint64_t part) {
    return whole > part ? whole - part : 0;
}

/* What the file takes in front of its extents. */
static uint64_t front_bytes(const struct partition *partition, uint64_t extents_reserved) {
    struct io *io = partition->options.io;
    int64_t taken = io->ops->taken(io, partition->file);
    uint64_t front =
        taken > 0 ? rest_of((uint64_t)taken, extents_reserved * TABLE_EXTENT_BYTES) : 0;
    return front > first_bytes ? front : first_bytes;
}

static void memory_stats(const struct partition *partition, uint64_t extents,
                         uint64_t bytes_out[PARTITION_MEMORY_COUNT]) {
    const struct table_header *header = partition->table.header;
    const struct table_slabs *slabs = &header->slabs;
    uint64_t reserved = __atomic_load_n(&slabs->extents_reserved, __ATOMIC_RELAXED);
    uint64_t directory = sizeof(uint32_t) << table_word_load(&header->index.depth);
    uint64_t segments = table_word_load(&header->index.segments_count) * SLAB_SEGMENT_BYTES;
    bytes_out[PARTITION_MEMORY_PAYLOAD] = table_word_load(&header->live_payload_bytes);
    bytes_out[PARTITION_MEMORY_HEADERS] = table_word_load(&header->live_head_bytes);
    bytes_out[PARTITION_MEMORY_INDEX] = segments + directory;
    bytes_out[PARTITION_MEMORY_FREE] = table_word_load(&slabs->free_bytes) +
                                       table_word_load(&slabs->pool_extents) * TABLE_EXTENT_BYTES;
    bytes_out[PARTITION_MEMORY_WAITING] = table_word_load(&slabs->waiting_bytes);
    bytes_out[PARTITION_MEMORY_AHEAD] = rest_of(reserved, extents) * TABLE_EXTENT_BYTES;
    bytes_out[PARTITION_MEMORY_FIXED] =
        rest_of(front_bytes(partition, reserved > extents ? reserved : extents), directory);
    uint64_t used = segments + bytes_out[PARTITION_MEMORY_PAYLOAD] +
                    bytes_out[PARTITION_MEMORY_HEADERS] + bytes_out[PARTITION_MEMORY_FREE] +
                    bytes_out[PARTITION_MEMORY_WAITING];
    bytes_out[PARTITION_MEMORY_SLACK] = rest_of(extents * TABLE_EXTENT_BYTES, used);
}

void partition_stats(const struct partition *partition, struct partition_stats *stats_out) {
    const struct table_header *header = partition->table.header;
    uint64_t extents = __atomic_load_n(&header->slabs.extents_count, __ATOMIC_ACQUIRE);
    uint64_t deleted_count = __atomic_load_n(&header->deleted_count, __ATOMIC_ACQUIRE);
    *stats_out = (struct partition_stats){
        .rows_count = rest_of(table_word_load(&header->rows_count), deleted_count),
        .deleted_count = deleted_count,
        .evicted_count = table_word_load(&header->evicted_count),
        .live_row_bytes = table_word_load(&header->live_row_bytes),
        .live_value_bytes = table_word_load(&header->live_value_bytes),
        .mapped_bytes = extents * TABLE_EXTENT_BYTES,
        .splits = table_word_load(&header->index.splits),
    };
    memory_stats(partition, extents, stats_out->memory_bytes);
}
