#include "query/copy_plan.h"

#include "base/bytes.h"

enum { WORD_BITS = 64 };

/* ---- making ---- */

static void run_append(struct copy_plan *plan, const struct row_column *from,
                       const struct row_column *to) {
    if (plan->runs_count > 0) {
        struct copy_run *last = &plan->runs[plan->runs_count - 1];
        bool is_next =
            from->offset == last->from + last->bytes && to->offset == last->to + last->bytes;
        if (is_next) {
            last->bytes += to->bytes;
            return;
        }
    }
    plan->runs[plan->runs_count++] =
        (struct copy_run){.from = from->offset, .to = to->offset, .bytes = to->bytes};
}

static void bit_append(struct copy_plan *plan, uint32_t from, uint32_t to) {
    if (plan->bits_count > 0 && to % WORD_BITS != 0) {
        struct copy_bits *last = &plan->bits[plan->bits_count - 1];
        if (from == last->from + last->count) {
            last->count += 1;
            return;
        }
    }
    plan->bits[plan->bits_count++] = (struct copy_bits){.from = from, .to = to, .count = 1};
}

void copy_plan_init(struct copy_plan *plan, const struct copy_columns *wanted) {
    static const uint32_t classes[] = {8, 4, 1}; /* The order in which a body has its values. */
    plan->runs_count = 0;
    plan->bits_count = 0;
    for (size_t k = 0; k < sizeof classes / sizeof classes[0]; k++) {
        for (uint32_t c = 0; c < wanted->to->columns_count; c++) {
            const struct row_column *to = &wanted->to->columns[c];
            if (type_row_class(to->type) != classes[k]) continue;
            run_append(plan, &wanted->from->columns[wanted->columns[c]], to);
        }
    }
    for (uint32_t c = 0; c < wanted->to->columns_count; c++) {
        bit_append(plan, wanted->columns[c], c);
    }
}

/* ---- copying ---- */

static uint64_t bits_load(const uint8_t *body, const struct copy_bits *bits) {
    const uint8_t *word = body + (size_t)(bits->from / WORD_BITS) * 8;
    uint32_t shift = bits->from % WORD_BITS;
    uint64_t found = load_u64(word) >> shift;
    if (shift + bits->count > WORD_BITS) found |= load_u64(word + 8) << (WORD_BITS - shift);
    return bits->count == WORD_BITS ? found : found & ((UINT64_C(1) << bits->count) - 1);
}

void copy_plan_run(const struct copy_plan *plan, const struct row_body *to, const uint8_t *from,
                   uint8_t *out) {
    memset(out, 0, (size_t)to->null_words * 8);
    store_u64(out + to->bytes - 8, 0); /* what follows the last value */
    for (uint32_t i = 0; i < plan->bits_count; i++) {
        const struct copy_bits *bits = &plan->bits[i];
        uint8_t *word = out + (size_t)(bits->to / WORD_BITS) * 8;
        store_u64(word, load_u64(word) | bits_load(from, bits) << (bits->to % WORD_BITS));
    }
    for (uint32_t i = 0; i < plan->runs_count; i++) {
        const struct copy_run *run = &plan->runs[i];
        memcpy(out + run->to, from + run->from, run->bytes);
    }
}

/* ---- checking ---- */

static bool cell_is_copied(const struct copy_plan *plan, uint32_t from, uint32_t to,
                           uint32_t bytes) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < plan->runs_count; i++) {
        const struct copy_run *run = &plan->runs[i];
        if (to < run->to || to + bytes > run->to + run->bytes) continue;
        if (from - run->from == to - run->to) found += 1;
    }
    return found == 1;
}

static bool bit_is_copied(const struct copy_plan *plan, uint32_t from, uint32_t to) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < plan->bits_count; i++) {
        const struct copy_bits *bits = &plan->bits[i];
        if (to >= bits->to && to < bits->to + bits->count && from - bits->from == to - bits->to) {
            found += 1;
        }
    }
    return found == 1;
}

enum fst_status copy_plan_check(const struct copy_plan *plan, const struct copy_columns *wanted) {
    size_t cells_bytes = 0, runs_bytes = 0, bits_count = 0;
    for (uint32_t i = 0; i < plan->runs_count; i++) runs_bytes += plan->runs[i].bytes;
    for (uint32_t i = 0; i < plan->bits_count; i++) {
        const struct copy_bits *bits = &plan->bits[i];
        bits_count += bits->count;
        if (bits->to % WORD_BITS + bits->count > WORD_BITS) return FST_CORRUPT; /* K3 */
    }
    for (uint32_t c = 0; c < wanted->to->columns_count; c++) {
        const struct row_column *to = &wanted->to->columns[c];
        uint32_t column = wanted->columns[c];
        uint32_t from = wanted->from->columns[column].offset;
        if (!cell_is_copied(plan, from, to->offset, to->bytes)) return FST_CORRUPT; /* K1 */
        if (!bit_is_copied(plan, column, c)) return FST_CORRUPT;                    /* K2 */
        cells_bytes += to->bytes;
    }
    if (runs_bytes != cells_bytes) return FST_CORRUPT;               /* K1 */
    if (bits_count != wanted->to->columns_count) return FST_CORRUPT; /* K2 */
    return FST_OK;
}
