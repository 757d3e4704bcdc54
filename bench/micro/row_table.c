#include "bench/micro/row_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum {
    RECORD_ROWS = 256,
    SEATS = 2,
    RESERVE_PER_ROW = 512, /* address space beyond the body, for index and slack */
    RESERVE_BYTES_MIN = 256 << 20,
    ENTITY_ID = 1,
    VIEW_ID = 1,
};

struct row_table {
    struct epoch epoch;
    struct partition_budget budget;
    struct row_table_options options;
    struct hash_secret secret;
    struct partition *partition;
    struct entity entity;
    struct view view;
    struct view_revision revision;
    struct row_column columns[ROW_TABLE_FEATURES_MAX];
    uint64_t lsn;
    /* of reading */
    struct partition_read *reads;
    int64_t *keys;
    uint8_t *copies;
};

static void definitions_make(struct row_table *table) {
    struct type types[ROW_TABLE_FEATURES_MAX];
    for (uint32_t i = 0; i < table->options.features_count; i++)
        types[i] = (struct type){.kind = TYPE_FLOAT64};
    table->entity =
        (struct entity){.id = ENTITY_ID, .keys_count = 1, .key_types = {{.kind = TYPE_INT64}}};
    struct row_body body;
    row_body_init(&body, table->columns, types, table->options.features_count);
    row_layout_init(&table->revision.layout, table->entity.key_types, 1, &body);
    table->revision.features_count = table->options.features_count;
    table->view = (struct view){.id = VIEW_ID,
                                .version = 1,
                                .entity = &table->entity,
                                .revisions_count = 1,
                                .revisions = &table->revision,
                                .features_count = table->options.features_count};
}

static enum fst_status partition_make(struct row_table *table, struct fst_error *error) {
    uint64_t row_bytes = row_table_body_bytes(table) + RESERVE_PER_ROW;
    uint64_t reserve_bytes = table->options.rows_count * row_bytes + RESERVE_BYTES_MIN;
    epoch_init(&table->epoch, SEATS);
    table->budget.limit_bytes = reserve_bytes;
    table->secret = (struct hash_secret){.k0 = 1, .k1 = 2};
    struct partition_options options = {.io = table->options.io,
                                        .epoch = &table->epoch,
                                        .budget = &table->budget,
                                        .secret = table->secret,
                                        .store_id = {1},
                                        .boot_id = {1},
                                        .reserve_bytes = reserve_bytes,
                                        .path = table->options.path};
    enum partition_origin origin;
    (void)options.io->ops->unlink(options.io, options.path);
    return partition_open(&table->partition, &options, &origin, error);
}

/* One record of rows `first` to `first + count - 1`. */
static enum fst_status record_apply(struct row_table *table, uint8_t *body, uint64_t first,
                                    uint32_t count) {
    const struct row_layout *layout = &table->revision.layout;
    struct log_rows_header rows = {.view_id = VIEW_ID, .rows_count = count};
    memcpy(body, &rows, sizeof rows);
    uint8_t *image = body + sizeof rows;
    for (uint32_t i = 0; i < count; i++, image += layout->image_bytes) {
        memset(image, 0, layout->image_bytes);
        store_i64(image, 1);
        store_i64(image + 8, 1);
        store_i64(image + ROW_KEY_OFFSET, (int64_t)(first + i));
        for (uint32_t c = 0; c < layout->body.columns_count; c++)
            store_u64(image + layout->body_offset + table->columns[c].offset, first + i + c);
    }
    struct log_record_header header = {.type = LOG_RECORD_ROWS, .lsn = table->lsn + 1};
    header.bytes = (uint32_t)(LOG_RECORD_HEADER_BYTES + (size_t)(image - body));
    table->lsn += count;
    if (partition_admit(table->partition, &table->view, body) != PARTITION_ADMIT) return FST_FULL;
    return partition_apply(table->partition, &table->view, &header, body, true, NULL);
}

static enum fst_status rows_fill(struct row_table *table, struct fst_error *error) {
    size_t image_bytes = table->revision.layout.image_bytes;
    uint8_t *body = malloc(sizeof(struct log_rows_header) + RECORD_ROWS * image_bytes);
    FST_ASSERT(body != NULL);
    enum fst_status status = FST_OK;
    uint64_t rows_count = table->options.rows_count;
    for (uint64_t first = 0; status == FST_OK && first < rows_count; first += RECORD_ROWS) {
        uint64_t left = rows_count - first;
        status =
            record_apply(table, body, first, left < RECORD_ROWS ? (uint32_t)left : RECORD_ROWS);
    }
    free(body);
    if (status == FST_OK) return FST_OK;
    return fst_error_set(error, status, "the rows could not be written: %s",
                         fst_status_name(status));
}

static enum fst_status reads_make(struct row_table *table, struct fst_error *error) {
    uint32_t body_bytes = row_table_body_bytes(table);
    table->reads = calloc(ROW_TABLE_BATCH_MAX, sizeof *table->reads);
    table->keys = calloc(ROW_TABLE_BATCH_MAX, sizeof *table->keys);
    table->copies = calloc(ROW_TABLE_BATCH_MAX, body_bytes);
    if (!table->reads || !table->keys || !table->copies)
        return fst_error_set(error, FST_NO_MEMORY, "no memory");
    for (size_t i = 0; i < ROW_TABLE_BATCH_MAX; i++)
        table->reads[i] = (struct partition_read){
            .partition = table->partition,
            .key = {.data = (const uint8_t *)&table->keys[i], .bytes = sizeof table->keys[i]},
            .view_id = VIEW_ID,
            .key_bytes_fixed = table->revision.layout.key_bytes,
            .copy = table->copies + i * body_bytes,
            .body_bytes_max = body_bytes};
    return FST_OK;
}

enum fst_status row_table_open(struct row_table **table_out,
                               const struct row_table_options *options, struct fst_error *error) {
    FST_ASSERT(options->features_count >= 1 && options->features_count <= ROW_TABLE_FEATURES_MAX);
    FST_ASSERT(options->rows_count >= 1);
    struct row_table *table = aligned_alloc(64, bytes_align(sizeof *table, 64));
    if (!table) return fst_error_set(error, FST_NO_MEMORY, "no memory");
    memset(table, 0, sizeof *table);
    table->options = *options;
    definitions_make(table);
    enum fst_status status = partition_make(table, error);
    if (status == FST_OK) status = rows_fill(table, error);
    if (status == FST_OK) status = reads_make(table, error);
    if (status == FST_OK)
        *table_out = table;
    else
        row_table_close(table);
    return status;
}

void row_table_close(struct row_table *table) {
    struct io *io = table->options.io;
    partition_close(table->partition);
    (void)io->ops->unlink(io, table->options.path);
    free(table->reads);
    free(table->keys);
    free(table->copies);
    free(table);
}

uint32_t row_table_body_bytes(const struct row_table *table) {
    return table->revision.layout.body.bytes;
}

/* The generator of splitmix64. */
static uint64_t random_next(uint64_t *random) {
    uint64_t x = *random += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t row_table_read(struct row_table *table, uint32_t count, uint64_t *random) {
    FST_ASSERT(count <= ROW_TABLE_BATCH_MAX);
    uint64_t found_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        table->keys[i] = (int64_t)(random_next(random) % table->options.rows_count);
        table->reads[i].hash = partition_hash(&table->secret, ENTITY_ID, table->reads[i].key);
    }
    partition_read_many(table->reads, count);
    for (uint32_t i = 0; i < count; i++) found_count += table->reads[i].is_found;
    return found_count;
}
