/*
 * index: where the row of a key and view is, in segments of 64 cache lines.
 *
 * Extendible hashing: the low `depth` bits of a hash choose an entry of the directory, which names
 * a segment; a segment that is full splits in two by the next bit, so growth moves some 400 slots
 * at a time. Doubling the directory copies its lower half to the upper, which readers of the old
 * depth do not notice.
 *
 *     hash:       [ ... | tag 8, mixed with the view id | home 6 | directory 18 ]
 *     directory:  u32 each: [ bits of the segment 5 | number of its 4 KiB page 27 ]
 *     segment:    64 buckets of 64 B: [ tag x 7 | limit | slot x 7 ]
 *     slot:       [ place 40 | home 6, directory 18 ]
 *
 * A slot is in its home bucket or one of the following (around the end of the segment); the home's
 * `limit` says how many buckets further to look. The home depends on the entity key alone, so that
 * views of one entity share a line; only from 64 view ids to the next 64 the hash is mixed anew,
 * because a segment could not hold more rows with one home. A slot keeps all hash bits that a split
 * needs: rows are not touched.
 *
 * A segment splits when a slot would have to go more than 8 buckets away and three quarters are
 * full: at a load of 86 % on average, 0.25 buckets beyond home per hit (uniform hashes, simulated).
 * So a row costs 10 to 21 bytes of index, 15 on average.
 *
 * Invariants, restated in index_check():
 *   X1  All directory entries of a segment, and no others, agree with it in its bits.
 *   X2  A slot agrees with its segment in the segment's bits, and is within its home's limit.
 *   X3  slots_used and segments_count are what a walk counts.
 *
 * Threads: one writer. Readers use index_begin, index_next and index_is_settled; a hit must be
 *          verified at the row, a miss is one only if index_is_settled() afterwards.
 * Memory:  segments come from slabs and are never given back.
 */
#ifndef STORAGE_ONLINE_INDEX_H
#define STORAGE_ONLINE_INDEX_H

#include "storage/online/slab.h"
#include "storage/online/table.h"

enum { INDEX_BUCKETS = 64, INDEX_BUCKET_SLOTS = 7, INDEX_PROBE_SPLIT = 8 };

struct index_bucket {
    uint64_t tags; /* seven tags, then the limit in the highest byte */
    uint64_t slots[INDEX_BUCKET_SLOTS];
};
static_assert(sizeof(struct index_bucket) == 64, "one cache line");

struct index_segment {
    struct index_bucket buckets[INDEX_BUCKETS];
};
static_assert(sizeof(struct index_segment) == SLAB_SEGMENT_BYTES, "one page");

struct index {
    struct table table;
    struct table_index *root;
    uint32_t *directory;
    struct slabs *slabs;
    uint64_t directory_reserved; /* bytes that have memory */
};

/* A walk over the slots that may be the one wanted. */
struct index_probe {
    struct index_segment *segment;
    uint64_t hash;     /* mixed with the view */
    uint64_t sequence; /* of the index when the probe began */
    uint64_t tags;     /* the wanted tag in seven bytes */
    uint32_t matches;  /* slots of the bucket that agree and were not handed out yet */
    uint8_t home;
    uint8_t step;  /* buckets beyond home */
    uint8_t limit; /* of the home bucket */
    bool is_loaded;
    uint32_t bucket; /* where the slot handed out last is */
    uint32_t slot;
};

/* Attaches to a mapped table. */
void index_open(struct index *index, const struct table *table, struct slabs *slabs);
/* Makes the first segment of a new table. FST_FULL. */
FST_MUST_USE enum fst_status index_init(struct index *index);

/* Starts looking for (hash of key, view), and prefetches the home bucket. */
void index_begin(const struct index *index, struct index_probe *probe, uint64_t hash,
                 uint32_t view_id);
/* Place of the next row that may be the one; 0 when there is none. */
uint64_t index_next(const struct index *index, struct index_probe *probe);
/* Whether nothing moved since index_begin. */
bool index_is_settled(const struct index *index, const struct index_probe *probe);

/* How many more slots the segment of the key has. The owner's. */
uint32_t index_room(const struct index_probe *probe);
/* Takes the memory for the next doubling of the directory: false when there is none. */
bool index_reserve(struct index *index);
/* Adds a slot for a row that has none. FST_FULL when there is no room for a segment. */
FST_MUST_USE enum fst_status index_put(struct index *index, uint64_t hash, uint32_t view_id,
                                       uint64_t place);
/* Lets the slot handed out last lead to another place. */
void index_replace(struct index *index, const struct index_probe *probe, uint64_t place);
/* Frees the slot handed out last. */
void index_remove(struct index *index, const struct index_probe *probe);

/* FST_CORRUPT if X1 to X3 fail. `slot` is called for every slot with what the row's hash must
 * have. */
struct index_slot {
    uint64_t place;
    uint64_t hash_bits; /* the low 24 of the mixed hash */
    uint8_t tag;
};
struct index_visitor {
    void *context;
    enum fst_status (*slot)(void *context, const struct index_slot *slot);
};
FST_MUST_USE enum fst_status index_check(const struct index *index, struct slabs_walk *walk,
                                         const struct index_visitor *visitor,
                                         struct fst_error *error);
/* The mixed hash and tag; for checks. */
uint64_t index_hash(uint64_t hash, uint32_t view_id);
uint8_t index_tag(uint64_t mixed_hash, uint32_t view_id);

#endif
