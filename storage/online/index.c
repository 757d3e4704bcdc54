#include "storage/online/index.h"

#include <string.h>

#include "base/assert.h"

enum {
    HOME_SHIFT = TABLE_DEPTH_MAX,
    SLOT_HASH_BITS = 24,
    TAG_SHIFT = SLOT_HASH_BITS,
    LIMIT_SHIFT = 56,
    PAGE_BITS = 27,
    VIEW_GROUP_BITS = 6,
    SEGMENT_SLOTS = INDEX_BUCKETS * INDEX_BUCKET_SLOTS,
    FILL_SPLIT = SEGMENT_SLOTS * 3 / 4,
    PAGE_UNITS = SLAB_SEGMENT_BYTES / TABLE_UNIT_BYTES,
};
#define SLOT_HASH_MASK ((UINT64_C(1) << SLOT_HASH_BITS) - 1)
#define TAG_BYTES      UINT64_C(0x0001010101010101)
#define TAG_LOW_BITS   UINT64_C(0x007f7f7f7f7f7f7f)
#define TAG_MASK       UINT64_C(0x00ffffffffffffff)
#define PAGE_MASK      ((UINT32_C(1) << PAGE_BITS) - 1)

/* ---- hashes ---- */

uint64_t index_hash(uint64_t hash, uint32_t view_id) {
    uint64_t group = view_id >> VIEW_GROUP_BITS;
    return hash ^ group * UINT64_C(0x9e3779b97f4a7c15) >> 8;
}

/* An odd factor: no two of 255 views in a row have the same tag for one entity, but for the
 * exchange of 0. */
uint8_t index_tag(uint64_t mixed_hash, uint32_t view_id) {
    uint8_t tag = (uint8_t)((mixed_hash >> TAG_SHIFT) + view_id * UINT64_C(0x9d));
    return tag ? tag : 1; /* 0 marks a free slot. */
}

static uint32_t home_of(uint64_t hash) {
    return hash >> HOME_SHIFT & (INDEX_BUCKETS - 1);
}

/* ---- words ---- */

static uint32_t entry_load(const struct index *index, uint64_t number) {
    return __atomic_load_n(&index->directory[number], __ATOMIC_ACQUIRE);
}

static struct index_segment *segment_at(const struct index *index, uint32_t entry) {
    return table_at(&index->table, (uint64_t)(entry & PAGE_MASK) * PAGE_UNITS);
}

static uint32_t entry_of(uint64_t place, uint32_t bits) {
    FST_ASSERT(place % PAGE_UNITS == 0);
    FST_ASSERT(place / PAGE_UNITS <= PAGE_MASK);
    return bits << PAGE_BITS | (uint32_t)(place / PAGE_UNITS);
}

static uint64_t low_bits(uint64_t value, uint64_t count) {
    return value & ((UINT64_C(1) << count) - 1);
}

/* Bit i is set where byte i of `tags` (of seven) equals the wanted one; exact, no false matches. */
static uint32_t tags_match(uint64_t tags, uint64_t wanted) {
    uint64_t x = (tags ^ wanted) & TAG_MASK;
    uint64_t zero = ~(((x & TAG_LOW_BITS) + TAG_LOW_BITS) | x | TAG_LOW_BITS) & TAG_MASK;
    return (uint32_t)((zero >> 7) * UINT64_C(0x0001020408102040) >> 48 & 0x7f);
}

static uint64_t tag_put(uint64_t tags, uint32_t slot, uint8_t tag) {
    return (tags & ~(UINT64_C(0xff) << 8 * slot)) | (uint64_t)tag << 8 * slot;
}

/* ---- looking ---- */

void index_open(struct index *index, const struct table *table, struct slabs *slabs) {
    *index = (struct index){
        .table = *table,
        .root = &table->header->index,
        .directory = (uint32_t *)(void *)(table->base + TABLE_DIRECTORY_OFFSET),
        .slabs = slabs,
    };
}

void index_begin(const struct index *index, struct index_probe *probe, uint64_t hash,
                 uint32_t view_id) {
    uint64_t mixed = index_hash(hash, view_id);
    uint64_t sequence = table_word_load(&index->root->sequence);
    uint64_t depth = table_word_load(&index->root->depth);
    uint32_t entry = entry_load(index, low_bits(mixed, depth));
    *probe = (struct index_probe){
        .segment = segment_at(index, entry),
        .hash = mixed,
        .sequence = sequence,
        .tags = index_tag(mixed, view_id) * TAG_BYTES,
        .home = (uint8_t)home_of(mixed),
    };
    __builtin_prefetch(&probe->segment->buckets[probe->home]);
}

static void bucket_load(struct index_probe *probe) {
    probe->bucket = (probe->home + probe->step) % INDEX_BUCKETS;
    uint64_t tags = table_word_load(&probe->segment->buckets[probe->bucket].tags);
    if (probe->step == 0) probe->limit = (uint8_t)(tags >> LIMIT_SHIFT);
    probe->matches = tags_match(tags, probe->tags);
}

uint64_t index_next(const struct index *index, struct index_probe *probe) {
    (void)index;
    if (!probe->is_loaded) {
        probe->is_loaded = true;
        bucket_load(probe);
    }
    for (;;) {
        while (probe->matches) {
            probe->slot = (uint32_t)__builtin_ctz(probe->matches);
            probe->matches &= probe->matches - 1;
            uint64_t slot =
                table_word_load(&probe->segment->buckets[probe->bucket].slots[probe->slot]);
            if (((slot ^ probe->hash) & SLOT_HASH_MASK) == 0) return slot >> SLOT_HASH_BITS;
        }
        if (probe->step >= probe->limit) return 0;
        probe->step += 1;
        bucket_load(probe);
    }
}

bool index_is_settled(const struct index *index, const struct index_probe *probe) {
    uint64_t sequence = __atomic_load_n(&index->root->sequence, __ATOMIC_RELAXED);
    return sequence == probe->sequence && sequence % 2 == 0;
}

/* ---- segments ---- */

static uint32_t segment_fill(const struct index_segment *segment) {
    uint32_t fill = 0;
    for (uint32_t b = 0; b < INDEX_BUCKETS; b++) {
        uint32_t free = tags_match(segment->buckets[b].tags, 0);
        fill += INDEX_BUCKET_SLOTS - (uint32_t)__builtin_popcount(free);
    }
    return fill;
}

/* Buckets beyond home where the first free slot is; INDEX_BUCKETS if there is none. */
static uint32_t segment_find_free(const struct index_segment *segment, uint32_t home) {
    for (uint32_t step = 0; step < INDEX_BUCKETS; step++) {
        const struct index_bucket *bucket = &segment->buckets[(home + step) % INDEX_BUCKETS];
        if (tags_match(bucket->tags, 0)) return step;
    }
    return INDEX_BUCKETS;
}

/* The limit rises before the tag shows the slot, so no reader stops short of it. */
static void segment_put(struct index_segment *segment, uint32_t step, uint64_t slot, uint8_t tag) {
    uint32_t home = home_of(slot);
    struct index_bucket *first = &segment->buckets[home];
    if (step > first->tags >> LIMIT_SHIFT) {
        table_word_store(&first->tags, (first->tags & TAG_MASK) | (uint64_t)step << LIMIT_SHIFT);
    }
    struct index_bucket *bucket = &segment->buckets[(home + step) % INDEX_BUCKETS];
    uint32_t number = (uint32_t)__builtin_ctz(tags_match(bucket->tags, 0));
    table_word_store(&bucket->slots[number], slot);
    table_word_store(&bucket->tags, tag_put(bucket->tags, number, tag));
}

/* Deals the slots of `from` out by one hash bit. */
static void segment_deal(const struct index_segment *from, uint32_t bit,
                         struct index_segment to[2]) {
    memset(to, 0, 2 * sizeof *to);
    for (uint32_t b = 0; b < INDEX_BUCKETS; b++) {
        for (uint32_t s = 0; s < INDEX_BUCKET_SLOTS; s++) {
            uint8_t tag = (uint8_t)(from->buckets[b].tags >> 8 * s);
            if (tag == 0) continue;
            uint64_t slot = from->buckets[b].slots[s];
            struct index_segment *half = &to[slot >> bit & 1];
            segment_put(half, segment_find_free(half, home_of(slot)), slot, tag);
        }
    }
}

static void segment_copy(struct index_segment *to, const struct index_segment *from) {
    for (uint32_t b = 0; b < INDEX_BUCKETS; b++) {
        for (uint32_t s = 0; s < INDEX_BUCKET_SLOTS; s++) {
            table_word_store(&to->buckets[b].slots[s], from->buckets[b].slots[s]);
        }
        table_word_store(&to->buckets[b].tags, from->buckets[b].tags);
    }
}

/* Memory for a directory of so many bits; a page holds the first ten. */
static bool directory_reserve(struct index *index, uint64_t depth) {
    if (depth > TABLE_DEPTH_MAX) return true; /* It never gets there. */
    uint64_t bytes = sizeof(uint32_t) << depth;
    if (bytes <= index->directory_reserved) return true;
    if (!table_reserve(&index->table, TABLE_DIRECTORY_OFFSET, bytes)) return false;
    index->directory_reserved = bytes;
    return true;
}

static uint64_t segment_create(struct index *index) {
    uint64_t place = slabs_get(index->slabs, SLAB_INDEX, SLAB_SEGMENT_BYTES);
    if (place) table_add(&index->root->segments_count, 1);
    return place;
}

enum fst_status index_init(struct index *index) {
    if (!directory_reserve(index, 0)) return FST_FULL;
    uint64_t place = segment_create(index);
    if (!place) return FST_FULL;
    memset(table_at(&index->table, place), 0, SLAB_SEGMENT_BYTES);
    index->directory[0] = entry_of(place, 0);
    return FST_OK;
}

/* ---- growing ---- */

uint32_t index_room(const struct index_probe *probe) {
    return SEGMENT_SLOTS - segment_fill(probe->segment);
}

/* Whether a segment can be had that nobody was promised the memory of. */
static bool segment_is_spare(const struct index *index) {
    const struct slabs *slabs = index->slabs;
    return slabs_free_places(slabs, SLAB_INDEX, SLAB_SEGMENT_BYTES) > 0 ||
           slabs_pool_extents(slabs) > 0 || slabs_reserve(slabs, 1);
}

bool index_reserve(struct index *index) {
    return directory_reserve(index, index->root->depth + 1);
}

static void directory_double(struct index *index) {
    uint64_t count = UINT64_C(1) << index->root->depth;
    for (uint64_t i = 0; i < count; i++) {
        __atomic_store_n(&index->directory[count + i], index->directory[i], __ATOMIC_RELEASE);
    }
    table_word_store(&index->root->depth, index->root->depth + 1);
}

/* Splits the segment of `hash`. The new half is complete before the directory shows it, and the old
 * one loses its slots last; readers that missed a slot meanwhile see the sequence and look
 * again. */
static enum fst_status segment_split(struct index *index, uint64_t hash) {
    struct table_index *root = index->root;
    uint32_t entry = index->directory[low_bits(hash, root->depth)];
    uint32_t bits = entry >> PAGE_BITS;
    if (bits == TABLE_DEPTH_MAX || !directory_reserve(index, bits + 1)) return FST_FULL;
    uint64_t place = segment_create(index);
    if (!place) return FST_FULL;
    if (bits == root->depth) directory_double(index);
    struct index_segment *old = segment_at(index, entry);
    struct index_segment halves[2];
    segment_deal(old, bits, halves);
    __atomic_store_n(&root->sequence, root->sequence + 1, __ATOMIC_RELAXED);
    segment_copy(table_at(&index->table, place), &halves[1]);
    uint64_t count = UINT64_C(1) << root->depth;
    for (uint64_t i = low_bits(hash, bits); i < count; i += UINT64_C(1) << bits) {
        bool is_new = i >> bits & 1;
        uint32_t next =
            is_new ? entry_of(place, bits + 1) : (entry & PAGE_MASK) | (bits + 1) << PAGE_BITS;
        __atomic_store_n(&index->directory[i], next, __ATOMIC_RELEASE);
    }
    segment_copy(old, &halves[0]);
    table_word_store(&root->sequence, root->sequence + 1);
    table_add(&root->splits, 1);
    return FST_OK;
}

enum fst_status index_put(struct index *index, uint64_t hash, uint32_t view_id, uint64_t place) {
    uint64_t mixed = index_hash(hash, view_id);
    uint64_t slot = place << SLOT_HASH_BITS | (mixed & SLOT_HASH_MASK);
    for (;;) {
        uint32_t entry = index->directory[low_bits(mixed, index->root->depth)];
        struct index_segment *segment = segment_at(index, entry);
        uint32_t step = segment_find_free(segment, home_of(mixed));
        bool is_far = step > INDEX_PROBE_SPLIT && segment_fill(segment) >= FILL_SPLIT &&
                      (step == INDEX_BUCKETS || segment_is_spare(index));
        enum fst_status status = is_far ? segment_split(index, mixed) : FST_OK;
        if (is_far && status == FST_OK) continue;
        if (step == INDEX_BUCKETS) return FST_FULL;
        segment_put(segment, step, slot, index_tag(mixed, view_id));
        index->root->slots_used += 1;
        return FST_OK;
    }
}

void index_replace(struct index *index, const struct index_probe *probe, uint64_t place) {
    (void)index;
    uint64_t slot = place << SLOT_HASH_BITS | (probe->hash & SLOT_HASH_MASK);
    table_word_store(&probe->segment->buckets[probe->bucket].slots[probe->slot], slot);
}

void index_remove(struct index *index, const struct index_probe *probe) {
    struct index_bucket *bucket = &probe->segment->buckets[probe->bucket];
    table_word_store(&bucket->tags, tag_put(bucket->tags, probe->slot, 0));
    index->root->slots_used -= 1;
}

/* ---- checking ---- */

static enum fst_status slot_error(struct fst_error *error, uint64_t number, uint32_t bucket,
                                  const char *what) {
    return fst_error_set(error, FST_CORRUPT, "index: segment %llu, bucket %u: %s",
                         (unsigned long long)number, bucket, what);
}

/* X2, then what the slot leads to. */
static enum fst_status segment_check(const struct index *index, uint64_t number,
                                     const struct index_visitor *visitor, uint64_t *slots_out,
                                     struct fst_error *error) {
    uint32_t entry = index->directory[number];
    const struct index_segment *segment = segment_at(index, entry);
    for (uint32_t i = 0; i < SEGMENT_SLOTS; i++) {
        uint32_t b = i / 7;
        uint8_t tag = (uint8_t)(segment->buckets[b].tags >> 8 * (i % 7));
        if (tag == 0) continue;
        uint64_t slot = segment->buckets[b].slots[i % 7];
        if (low_bits(slot ^ number, entry >> PAGE_BITS) != 0) {
            return slot_error(error, number, b, "a slot of another segment");
        }
        uint32_t home = slot >> TABLE_DEPTH_MAX & 63;
        if ((b + 64 - home) % 64 > segment->buckets[home].tags >> LIMIT_SHIFT) {
            return slot_error(error, number, b, "a slot beyond its limit");
        }
        struct index_slot found = {slot >> 24, slot & 0xffffff, tag};
        FST_TRY(visitor->slot(visitor->context, &found));
        *slots_out += 1;
    }
    return FST_OK;
}

enum fst_status index_check(const struct index *index, struct slabs_walk *walk,
                            const struct index_visitor *visitor, struct fst_error *error) {
    uint64_t slots = 0;
    uint64_t segments = 0;
    if (index->root->depth > TABLE_DEPTH_MAX || index->root->sequence % 2 != 0) {
        return fst_error_set(error, FST_CORRUPT, "index: depth %llu, sequence %llu",
                             (unsigned long long)index->root->depth,
                             (unsigned long long)index->root->sequence);
    }
    for (uint64_t i = 0; i < UINT64_C(1) << index->root->depth; i++) {
        uint32_t entry = index->directory[i];
        uint32_t bits = entry >> PAGE_BITS;
        uint64_t first = low_bits(i, bits);
        if (bits > index->root->depth || index->directory[first] != entry) {
            return slot_error(error, i, 0, "the directory entry is none"); /* X1 */
        }
        if (first != i) continue;
        uint64_t place = (uint64_t)(entry & PAGE_MASK) * PAGE_UNITS;
        segments += 1;
        if (slabs_walk_put(index->slabs, walk, SLAB_INDEX, place, 4096) != FST_OK) {
            return slot_error(error, i, 0, "no place of a segment");
        }
        FST_TRY(segment_check(index, i, visitor, &slots, error));
    }
    if (slots == index->root->slots_used && segments == index->root->segments_count) return FST_OK;
    return fst_error_set(error, FST_CORRUPT, "index: %llu slots, %llu segments found",
                         (unsigned long long)slots, (unsigned long long)segments); /* X3 */
}
