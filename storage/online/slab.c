#include "storage/online/slab.h"

#include <string.h>

#include "base/assert.h"

/* In a waiting list: the number of a free span, not a place. */
#define WAITING_SPAN (UINT64_C(1) << 63)

enum {
    VALUE_EXACT_UNITS = 8,
    FREE_LINK_OFFSET = 8,
    WASTE_MAX_PART = 16,
    AHEAD_PART = 64, /* of the extents taken so many more are reserved, */
    AHEAD_EXTENTS_MAX = 4,
    PAGE_BYTES = IO_BLOCK_BYTES,
    WAITING_PAGE = PAGE_BYTES / 8, /* entries of each list */
    /* A place in flight may free one, and that empty a span; as many as were freed before. */
    WAITING_PER_PROMISED = 4,
    WAITING_SPARE = 8, /* more than the last row in flight asks for */
};

static_assert(TABLE_WAITING_MAX % WAITING_PAGE == 0, "reserved by the page");
static_assert(TABLE_WAITING_OFFSET + 2ll * TABLE_WAITING_MAX * 8 <= TABLE_EXTENT_TABLE_OFFSET, "");
static_assert(TABLE_EXTENT_TABLE_OFFSET + TABLE_EXTENTS_MAX * 32ll <= TABLE_EXTENTS_OFFSET, "");

/* ---- sizes ---- */

/* Sizes of values: steps of 16 bytes up to 128, then eight steps per power of two. */
static uint32_t value_units(uint32_t units) {
    if (units <= VALUE_EXACT_UNITS) return units;
    uint32_t step = 1u << (31 - (uint32_t)__builtin_clz(units - 1) - 3);
    return (units + step - 1) & ~(step - 1);
}

uint32_t slab_place_bytes(enum slab_kind kind, uint32_t bytes) {
    FST_ASSERT(bytes > 0);
    FST_ASSERT(bytes <= SLAB_PLACE_BYTES_MAX);
    uint32_t units = (bytes + TABLE_UNIT_BYTES - 1) / TABLE_UNIT_BYTES;
    if (kind == SLAB_VALUES) units = value_units(units);
    return units * TABLE_UNIT_BYTES;
}

uint32_t slab_span_extents(uint32_t place_bytes) {
    for (uint32_t extents = 1; extents < TABLE_SPAN_EXTENTS_MAX; extents++) {
        uint32_t bytes = extents * TABLE_EXTENT_BYTES;
        if (bytes >= place_bytes && bytes % place_bytes * WASTE_MAX_PART <= bytes) return extents;
    }
    return TABLE_SPAN_EXTENTS_MAX;
}

uint32_t slab_span_places(uint32_t place_bytes) {
    return slab_span_extents(place_bytes) * TABLE_EXTENT_BYTES / place_bytes;
}

uint32_t slabs_span_places(const struct extent *span) {
    return span->span * TABLE_EXTENT_BYTES / (span->class * (uint32_t)TABLE_UNIT_BYTES);
}

static uint32_t span_bytes(const struct extent *span) {
    return span->class * (uint32_t)TABLE_UNIT_BYTES;
}

/* ---- lists of spans ---- */

static uint32_t extent_link(const struct slabs *slabs, const struct extent *span) {
    return (uint32_t)(span - slabs->extents) + 1;
}

static void list_put(struct slabs *slabs, uint32_t *head, struct extent *span) {
    span->prev = 0;
    span->next = *head;
    if (*head) slabs->extents[*head - 1].prev = extent_link(slabs, span);
    *head = extent_link(slabs, span);
}

static void list_remove(struct slabs *slabs, uint32_t *head, struct extent *span) {
    if (span->prev)
        slabs->extents[span->prev - 1].next = span->next;
    else
        *head = span->next;
    if (span->next) slabs->extents[span->next - 1].prev = span->prev;
    span->next = 0;
    span->prev = 0;
}

static uint32_t slab_number(enum slab_kind kind, uint32_t class) {
    return ((uint32_t)kind - SLAB_ROWS) * SLAB_CLASSES + class;
}

static uint32_t slab_page(uint32_t number) {
    return number * (uint32_t)sizeof(struct slab) / PAGE_BYTES;
}

/* Of a class whose memory was taken. */
static struct slab *slab_of(const struct slabs *slabs, enum slab_kind kind, uint32_t class) {
    return &slabs->classes[slab_number(kind, class)];
}

static bool slab_has_memory(const struct slabs *slabs, uint32_t number) {
    return slabs->root->class_pages >> slab_page(number) & 1;
}

static bool slab_reserve(struct slabs *slabs, uint32_t number) {
    if (slab_has_memory(slabs, number)) return true;
    uint64_t page = slab_page(number);
    uint64_t offset = TABLE_SLABS_OFFSET + page * PAGE_BYTES;
    if (!table_reserve(&slabs->table, offset, PAGE_BYTES)) return false;
    slabs->root->class_pages |= UINT64_C(1) << page;
    return true;
}

bool slabs_reserve_class(struct slabs *slabs, enum slab_kind kind, uint32_t bytes) {
    return slab_reserve(slabs, slab_number(kind, slab_place_bytes(kind, bytes) / TABLE_UNIT_BYTES));
}

static bool span_has_room(const struct extent *span) {
    return span->free != 0 || span->fresh < slabs_span_places(span);
}

/* ---- spans ---- */

/* Pages of the extent table: that of the last extent has memory. */
static bool extent_table_reserve(const struct slabs *slabs, uint64_t begin, uint64_t end) {
    uint64_t begin_bytes = bytes_align(begin * sizeof(struct extent), PAGE_BYTES);
    uint64_t end_bytes = bytes_align(end * sizeof(struct extent), PAGE_BYTES);
    return begin_bytes == end_bytes ||
           table_reserve(&slabs->table, TABLE_EXTENT_TABLE_OFFSET + begin_bytes,
                         end_bytes - begin_bytes);
}

static bool extents_reserve(const struct slabs *slabs, uint64_t end) {
    struct table_slabs *root = slabs->root;
    uint64_t begin = root->extents_reserved;
    bool has_room = extent_table_reserve(slabs, begin, end) &&
                    table_reserve(&slabs->table, TABLE_EXTENTS_OFFSET + begin * TABLE_EXTENT_BYTES,
                                  (end - begin) * TABLE_EXTENT_BYTES);
    if (has_room) __atomic_store_n(&root->extents_reserved, (uint32_t)end, __ATOMIC_RELAXED);
    return has_room;
}

/* A large table takes a little more than needed, for fewer calls. */
bool slabs_reserve(const struct slabs *slabs, uint64_t extents) {
    const struct table_slabs *root = slabs->root;
    uint64_t end = root->extents_count + extents;
    if (end > root->extents_max) return false;
    if (end <= root->extents_reserved) return true;
    uint64_t more = root->extents_count / AHEAD_PART;
    uint64_t ahead = end + (more < AHEAD_EXTENTS_MAX ? more : AHEAD_EXTENTS_MAX);
    if (more > 0 && ahead <= root->extents_max && extents_reserve(slabs, ahead)) return true;
    return extents_reserve(slabs, end);
}

/* A span from the pool or from the end of the file. NULL when the reserve or the memory is used up.
 */
static struct extent *span_take(struct slabs *slabs, uint32_t extents) {
    struct table_slabs *root = slabs->root;
    uint32_t pooled = root->pool[extents];
    if (pooled) {
        struct extent *span = &slabs->extents[pooled - 1];
        list_remove(slabs, &root->pool[extents], span);
        table_add(&root->pool_extents, -(int64_t)extents);
        slabs->pool_singles -= extents == 1;
        return span;
    }
    if (!slabs_reserve(slabs, extents)) return NULL;
    struct extent *span = &slabs->extents[root->extents_count];
    for (uint32_t i = 1; i < extents; i++) {
        span[i] = (struct extent){.kind = SLAB_TAIL, .span = i};
    }
    span->span = extents;
    __atomic_store_n(&root->extents_count, root->extents_count + extents, __ATOMIC_RELEASE);
    atomic_fetch_add(&slabs->budget->used_bytes, (uint64_t)extents * TABLE_EXTENT_BYTES);
    return span;
}

static struct extent *span_create(struct slabs *slabs, enum slab_kind kind, uint32_t class) {
    if (!slab_reserve(slabs, slab_number(kind, class))) return NULL;
    struct extent *span = span_take(slabs, slab_span_extents(class * TABLE_UNIT_BYTES));
    if (!span) return NULL;
    span->used = 0;
    span->free = 0;
    __atomic_store_n(&span->fresh, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&span->class, (uint16_t) class, __ATOMIC_RELAXED);
    __atomic_store_n(&span->kind, (uint16_t)kind, __ATOMIC_RELEASE);
    struct slab *slab = slab_of(slabs, kind, class);
    list_put(slabs, &slab->room, span);
    slab->spans += 1;
    slab->free_places += slabs_span_places(span);
    table_add(&slabs->root->free_bytes, (int64_t)slabs_span_places(span) * span_bytes(span));
    table_add(&slabs->root->kind_extents[kind], span->span);
    return span;
}

/* An empty span leaves its class, once the visitor cannot be in it any more. */
static void span_release(struct slabs *slabs, struct extent *span) {
    struct table_slabs *root = slabs->root;
    struct slab *slab = slab_of(slabs, span->kind, span->class);
    list_remove(slabs, &slab->room, span);
    slab->spans -= 1;
    slab->free_places -= slabs_span_places(span);
    table_add(&root->free_bytes, -(int64_t)slabs_span_places(span) * span_bytes(span));
    table_add(&root->kind_extents[span->kind], -(int64_t)span->span);
    table_add(&root->waiting_bytes, (int64_t)span->span * TABLE_EXTENT_BYTES);
    __atomic_store_n(&span->kind, SLAB_NONE, __ATOMIC_RELEASE);
    uint32_t now = root->waiting_now;
    uint64_t number = (uint64_t)(span - slabs->extents);
    slabs->waiting[now][root->waiting_count[now]++] = WAITING_SPAN | number;
}

static void span_pool(struct slabs *slabs, struct extent *span) {
    struct table_slabs *root = slabs->root;
    table_add(&root->waiting_bytes, -(int64_t)span->span * TABLE_EXTENT_BYTES);
    table_add(&root->pool_extents, span->span);
    list_put(slabs, &root->pool[span->span], span);
    slabs->pool_singles += span->span == 1;
}

struct extent *slabs_span_of(const struct slabs *slabs, uint64_t place) {
    struct extent *extent = slabs_extent(slabs, place);
    return extent->kind == SLAB_TAIL ? extent - extent->span : extent;
}

/* ---- places ---- */

static uint64_t *free_link(const struct slabs *slabs, uint64_t place) {
    return (uint64_t *)(void *)((uint8_t *)table_at(&slabs->table, place) + FREE_LINK_OFFSET);
}

/* The visitor may look at any place of a row, so its words are written as such. */
static uint64_t place_take(struct slabs *slabs, struct extent *span) {
    uint64_t place;
    if (span->free) {
        place = slabs_place(slabs, span, span->free - 1);
        span->free = (uint32_t)*free_link(slabs, place);
    } else {
        place = slabs_place(slabs, span, span->fresh);
        uint64_t *first = table_at(&slabs->table, place);
        if (span->kind == SLAB_ROWS) __atomic_store_n(first, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&span->fresh, span->fresh + 1, __ATOMIC_RELEASE);
    }
    span->used += 1;
    return place;
}

uint64_t slabs_get(struct slabs *slabs, enum slab_kind kind, uint32_t bytes) {
    uint32_t class = slab_place_bytes(kind, bytes) / TABLE_UNIT_BYTES;
    bool has_room = slabs_free_places(slabs, kind, bytes) > 0;
    if (!has_room && !span_create(slabs, kind, class)) return 0;
    struct slab *slab = slab_of(slabs, kind, class);
    struct extent *span = &slabs->extents[slab->room - 1];
    uint64_t place = place_take(slabs, span);
    slab->free_places -= 1;
    table_add(&slabs->root->free_bytes, -(int64_t)span_bytes(span));
    if (!span_has_room(span)) list_remove(slabs, &slab->room, span);
    return place;
}

/* Spans never take the room among those waiting that admitted rows may need. */
static bool span_can_wait(struct slabs *slabs) {
    const struct table_slabs *root = slabs->root;
    return root->waiting_count[root->waiting_now] <= TABLE_WAITING_MAX / 2 &&
           slabs_can_wait_beside(slabs, slabs->promised_places, 1);
}

static void place_free(struct slabs *slabs, uint64_t place) {
    struct extent *span = slabs_span_of(slabs, place);
    struct slab *slab = slab_of(slabs, span->kind, span->class);
    if (!span_has_room(span)) list_put(slabs, &slab->room, span);
    __atomic_store_n(free_link(slabs, place), (uint64_t)span->free, __ATOMIC_RELAXED);
    span->free = (uint32_t)((place - slabs_place(slabs, span, 0)) / span->class) + 1;
    span->used -= 1;
    slab->free_places += 1;
    table_add(&slabs->root->free_bytes, span_bytes(span));
    if (span->used > 0 || (slab->room == extent_link(slabs, span) && span->next == 0)) return;
    /* Places that are promised were counted on when the promise was made. */
    bool is_promised = slab->free_places - slabs_span_places(span) < slabs->promised_places;
    if (!is_promised && span_can_wait(slabs)) span_release(slabs, span);
}

/* ---- waiting ---- */

static bool waiting_reserve(struct slabs *slabs, uint64_t count) {
    uint64_t end = bytes_align(count, WAITING_PAGE);
    for (uint32_t list = 0; list < 2; list++) {
        uint64_t first = list * (uint64_t)TABLE_WAITING_MAX + slabs->waiting_reserved;
        uint64_t bytes = (end - slabs->waiting_reserved) * sizeof(uint64_t);
        uint64_t offset = TABLE_WAITING_OFFSET + first * sizeof(uint64_t);
        if (!table_reserve(&slabs->table, offset, bytes)) return false;
    }
    slabs->waiting_reserved = end;
    return true;
}

bool slabs_is_waiting_full(const struct slabs *slabs, uint64_t places) {
    return slabs->root->waiting_count[slabs->root->waiting_now] + places > TABLE_WAITING_MAX;
}

bool slabs_can_wait(struct slabs *slabs, uint64_t places) {
    uint64_t count = slabs->root->waiting_count[slabs->root->waiting_now] + places;
    if (slabs_is_waiting_full(slabs, places)) return false;
    return count <= slabs->waiting_reserved || waiting_reserve(slabs, count);
}

uint64_t slabs_waiting_max(uint64_t promised_places) {
    return WAITING_PER_PROMISED * promised_places + WAITING_SPARE;
}

bool slabs_can_wait_beside(struct slabs *slabs, uint64_t promised_places, uint64_t places) {
    return slabs_can_wait(slabs, slabs_waiting_max(promised_places) + places);
}

bool slabs_is_waiting(const struct slabs *slabs) {
    return slabs->root->waiting_count[0] + slabs->root->waiting_count[1] > 0;
}

void slabs_put(struct slabs *slabs, uint64_t place) {
    struct table_slabs *root = slabs->root;
    uint32_t now = root->waiting_now;
    FST_ASSERT(root->waiting_count[now] < TABLE_WAITING_MAX);
    slabs->waiting[now][root->waiting_count[now]++] = place;
    table_add(&root->waiting_bytes, span_bytes(slabs_span_of(slabs, place)));
}

static void waiting_free(struct slabs *slabs, uint32_t list, uint32_t places_max) {
    struct table_slabs *root = slabs->root;
    for (uint32_t i = 0; i < places_max && root->waiting_count[list] > 0; i++) {
        uint64_t entry = slabs->waiting[list][--root->waiting_count[list]];
        if (entry & WAITING_SPAN) {
            span_pool(slabs, &slabs->extents[entry & ~WAITING_SPAN]);
            continue;
        }
        table_add(&root->waiting_bytes, -(int64_t)span_bytes(slabs_span_of(slabs, entry)));
        place_free(slabs, entry);
    }
}

void slabs_reclaim(struct slabs *slabs, uint32_t places_max) {
    struct table_slabs *root = slabs->root;
    if (root->waiting_count[1 - root->waiting_now] == 0) {
        if (root->waiting_count[root->waiting_now] == 0) return;
        root->waiting_stamp = epoch_stamp(slabs->epoch);
        root->waiting_now = 1 - root->waiting_now;
    }
    if (!epoch_is_past(slabs->epoch, root->waiting_stamp)) return;
    waiting_free(slabs, 1 - root->waiting_now, places_max);
}

void slabs_open(struct slabs *slabs, const struct table *table, struct epoch *epoch,
                struct partition_budget *budget) {
    uint64_t *waiting = (uint64_t *)(void *)(table->base + TABLE_WAITING_OFFSET);
    *slabs = (struct slabs){
        .table = *table,
        .root = &table->header->slabs,
        .extents = (struct extent *)(void *)(table->base + TABLE_EXTENT_TABLE_OFFSET),
        .classes = (struct slab *)(void *)(table->base + TABLE_SLABS_OFFSET),
        .waiting = {waiting, waiting + TABLE_WAITING_MAX},
        .epoch = epoch,
        .budget = budget,
    };
    for (uint32_t link = slabs->root->pool[1]; link != 0; link = slabs->extents[link - 1].next) {
        slabs->pool_singles += 1;
    }
    waiting_free(slabs, 1 - slabs->root->waiting_now, UINT32_MAX);
    waiting_free(slabs, slabs->root->waiting_now, UINT32_MAX);
}

uint64_t slabs_free_places(const struct slabs *slabs, enum slab_kind kind, uint32_t bytes) {
    uint32_t number = slab_number(kind, slab_place_bytes(kind, bytes) / TABLE_UNIT_BYTES);
    return slab_has_memory(slabs, number) ? slabs->classes[number].free_places : 0;
}

uint64_t slabs_pool_extents(const struct slabs *slabs) {
    uint64_t count = slabs->pool_singles;
    return count > slabs->promised_extents ? count - slabs->promised_extents : 0;
}

void slabs_spare_span(struct slabs *slabs, struct extent *span) {
    struct slab *slab = slab_of(slabs, span->kind, span->class);
    if (slab->room != extent_link(slabs, span) || span->next == 0) return;
    list_remove(slabs, &slab->room, span);
    struct extent *first = &slabs->extents[slab->room - 1];
    span->prev = slab->room;
    span->next = first->next;
    if (span->next) slabs->extents[span->next - 1].prev = extent_link(slabs, span);
    first->next = extent_link(slabs, span);
}

/* ---- checking ---- */

enum { UNITS_PER_EXTENT = TABLE_EXTENT_BYTES / TABLE_UNIT_BYTES };

/* Sets the bit of a place; false if it is outside, not on a place of its span, or set already. */
static bool walk_mark(const struct slabs *slabs, uint8_t *bits, uint64_t place) {
    uint64_t first = TABLE_EXTENTS_OFFSET / TABLE_UNIT_BYTES;
    if (place < first) return false;
    uint64_t unit = place - first;
    if (unit / UNITS_PER_EXTENT >= slabs->root->extents_count) return false;
    const struct extent *span = slabs_span_of(slabs, place);
    if (span->kind == SLAB_NONE || span->class == 0) return false;
    uint64_t inside = unit - (uint64_t)(span - slabs->extents) * UNITS_PER_EXTENT;
    if (inside % span->class != 0 || inside / span->class >= span->fresh) return false;
    if (bits[unit / 8] >> (unit % 8) & 1) return false;
    bits[unit / 8] |= (uint8_t)(1u << (unit % 8));
    return true;
}

enum fst_status slabs_walk_put(const struct slabs *slabs, struct slabs_walk *walk,
                               enum slab_kind kind, uint64_t place, uint32_t bytes) {
    if (!walk_mark(slabs, walk->live, place)) return FST_CORRUPT;
    const struct extent *span = slabs_span_of(slabs, place);
    if (span->kind != kind || bytes > span_bytes(span)) return FST_CORRUPT;
    walk->live_places += 1;
    return FST_OK;
}

/* Marks what waits and what is free; counts what waits per span only by its sum. */
static enum fst_status waiting_check(const struct slabs *slabs, struct slabs_walk *walk,
                                     struct fst_error *error) {
    for (uint32_t list = 0; list < 2; list++) {
        for (uint32_t i = 0; i < slabs->root->waiting_count[list]; i++) {
            uint64_t entry = slabs->waiting[list][i];
            if (entry & WAITING_SPAN) continue;
            walk->live_places += 1;
            if (walk_mark(slabs, walk->live, entry)) continue;
            return fst_error_set(error, FST_CORRUPT, "place %llu waits but is live or no place",
                                 (unsigned long long)entry);
        }
    }
    return FST_OK;
}

static enum fst_status span_check(const struct slabs *slabs, struct slabs_walk *walk,
                                  const struct extent *span, struct fst_error *error) {
    uint32_t free = 0;
    uint32_t number = (uint32_t)(span - slabs->extents);
    for (uint32_t link = span->free; link != 0; free++) {
        uint64_t place = slabs_place(slabs, span, link - 1);
        if (link > span->fresh || !walk_mark(slabs, walk->live, place)) {
            return fst_error_set(error, FST_CORRUPT, "extent %u: place %u is free and in use",
                                 number, link - 1);
        }
        link = (uint32_t)*free_link(slabs, place);
    }
    if (span->fresh > slabs_span_places(span) || free + span->used != span->fresh) {
        return fst_error_set(error, FST_CORRUPT, "extent %u: %u used, %u free, %u fresh", number,
                             span->used, free, span->fresh); /* S2 */
    }
    return FST_OK;
}

/* S1: walks the lists of all classes; `rooms_left` is how many spans have room. */
static enum fst_status lists_check(const struct slabs *slabs, uint64_t rooms_left,
                                   struct fst_error *error) {
    for (uint32_t i = 0; i < (SLAB_KINDS - 1) * SLAB_CLASSES; i++) {
        if (!(slabs->root->class_pages >> (i * 16 / 4096) & 1)) continue;
        for (uint32_t link = slabs->classes[i].room; link != 0;) {
            const struct extent *span = &slabs->extents[link - 1];
            bool is_ours = (span->kind - 1u) * SLAB_CLASSES + span->class == i;
            if (!is_ours || !span_has_room(span) || rooms_left == 0) {
                return fst_error_set(error, FST_CORRUPT, "extent %u is in the wrong list",
                                     link - 1);
            }
            rooms_left -= 1;
            link = span->next;
        }
    }
    if (rooms_left == 0) return FST_OK;
    return fst_error_set(error, FST_CORRUPT, "%llu spans with room are in no list",
                         (unsigned long long)rooms_left);
}

enum fst_status slabs_check(const struct slabs *slabs, struct slabs_walk *walk,
                            struct fst_error *error) {
    FST_TRY(waiting_check(slabs, walk, error));
    uint64_t rooms = 0;
    uint64_t used = 0;
    uint64_t free_bytes = 0;
    for (uint32_t i = 0; i < slabs->root->extents_count;) {
        const struct extent *span = &slabs->extents[i];
        bool is_span = span->kind < SLAB_TAIL && span->span >= 1 &&
                       span->span <= slabs->root->extents_count - i;
        for (uint32_t t = 1; is_span && t < span->span; t++) {
            is_span = span[t].kind == SLAB_TAIL && span[t].span == t;
        }
        if (!is_span) return fst_error_set(error, FST_CORRUPT, "extent %u is no span", i); /* S3 */
        i += span->span;
        if (span->kind == SLAB_NONE) continue;
        FST_TRY(span_check(slabs, walk, span, error));
        rooms += span_has_room(span);
        used += span->used;
        free_bytes += (uint64_t)(slabs_span_places(span) - span->used) * span_bytes(span);
    }
    if (used != walk->live_places || free_bytes != slabs->root->free_bytes) {
        return fst_error_set(error, FST_CORRUPT, "%llu places used, %llu found live or waiting",
                             (unsigned long long)used, (unsigned long long)walk->live_places);
    }
    return lists_check(slabs, rooms, error);
}
