#include "storage/online/removal.h"

#include "base/assert.h"
#include "storage/online/partition_parts.h"

enum { ENTRY_HEADER_BYTES = 8, ENTRY_BYTES_MAX = ENTRY_HEADER_BYTES + KEY_BYTES_MAX };
static_assert((int)ENTRY_BYTES_MAX < (int)IO_BLOCK_BYTES, "it fits below an empty ring");

static uint8_t *ring_at(const struct table *table, uint64_t position) {
    return table->base + TABLE_REMOVALS_OFFSET + position % TABLE_REMOVALS_BYTES;
}

static size_t bytes_to_end(uint64_t position) {
    return TABLE_REMOVALS_BYTES - position % TABLE_REMOVALS_BYTES;
}

/* Memory for the pages that an entry begins or enters. */
static bool pages_reserve(const struct table *table, uint64_t position, size_t bytes) {
    uint64_t page =
        position % IO_BLOCK_BYTES == 0 ? position : bytes_align(position, IO_BLOCK_BYTES);
    for (; page < position + bytes; page += IO_BLOCK_BYTES) {
        uint64_t offset = TABLE_REMOVALS_OFFSET + page % TABLE_REMOVALS_BYTES;
        if (!table_reserve(table, offset, IO_BLOCK_BYTES)) return false;
    }
    return true;
}

void removal_put(const struct table *table, uint32_t view_id, struct bytes key) {
    struct table_header *header = table->header;
    uint64_t tail = header->removals_tail;
    uint64_t head = __atomic_load_n(&header->removals_head, __ATOMIC_ACQUIRE);
    size_t bytes = ENTRY_HEADER_BYTES + bytes_align(key.bytes, 8);
    bool is_anew = tail == head && tail % TABLE_REMOVALS_BYTES >= IO_BLOCK_BYTES;
    size_t skipped = is_anew || bytes_to_end(tail) < bytes ? bytes_to_end(tail) : 0;
    FST_ASSERT(bytes <= ENTRY_BYTES_MAX);
    bool has_room = tail + skipped + bytes - head <= TABLE_REMOVALS_BYTES &&
                    (skipped == 0 || pages_reserve(table, tail, ENTRY_HEADER_BYTES));
    if (!has_room || !pages_reserve(table, tail + skipped, bytes)) {
        __atomic_store_n(&header->has_lost_removals, 1, __ATOMIC_RELEASE);
        return;
    }
    if (skipped > 0) memset(ring_at(table, tail), 0, ENTRY_HEADER_BYTES);
    uint8_t *at = ring_at(table, tail + skipped);
    store_u32(at, view_id);
    store_u32(at + 4, (uint32_t)key.bytes);
    memcpy(at + ENTRY_HEADER_BYTES, key.data, key.bytes);
    __atomic_store_n(&header->removals_tail, tail + skipped + bytes, __ATOMIC_RELEASE);
}

enum fst_status removals_visit(const struct partition *partition, const struct catalog *catalog,
                               const struct partition_visitor *visitor) {
    const struct table *table = &partition->table;
    struct table_header *header = table->header;
    uint64_t tail = __atomic_load_n(&header->removals_tail, __ATOMIC_ACQUIRE);
    uint64_t head = header->removals_head;
    while (head < tail) {
        const uint8_t *at = ring_at(table, head);
        uint32_t view_id = load_u32(at);
        if (view_id == 0) {
            head += bytes_to_end(head);
            continue;
        }
        struct bytes key = {.data = at + ENTRY_HEADER_BYTES, .bytes = load_u32(at + 4)};
        if (visitor->removed && !partition_has(partition, catalog, view_id, key)) {
            FST_TRY(visitor->removed(visitor->context, view_id, key));
        }
        head += ENTRY_HEADER_BYTES + bytes_align(key.bytes, 8);
        __atomic_store_n(&header->removals_head, head, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&header->removals_head, head, __ATOMIC_RELEASE);
    return FST_OK;
}
