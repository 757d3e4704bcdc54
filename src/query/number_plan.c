#include "query/number_plan.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/decimal.h"

static_assert((int)DECIMAL_SCALE_MAX == (int)TYPE_SCALE_MAX, "every decimal can be converted");

/* ---- one number ---- */

bool number_type_is_allowed(struct type type) {
    return type.kind >= TYPE_BOOL && type.kind <= TYPE_TIMESTAMP;
}

static float float32_load(const uint8_t *cell) {
    float number;
    memcpy(&number, cell, sizeof number);
    return number;
}

static double float64_load(const uint8_t *cell) {
    double number;
    memcpy(&number, cell, sizeof number);
    return number;
}

double number_float64(struct type type, const uint8_t *cell) {
    switch (type.kind) {
    case TYPE_BOOL:
        return cell[0];
    case TYPE_INT32:
        return (int32_t)load_u32(cell);
    case TYPE_FLOAT32:
        return (double)float32_load(cell);
    case TYPE_FLOAT64:
        return float64_load(cell);
    case TYPE_DECIMAL:
        return decimal_float64(load_i64(cell), type.scale);
    default:
        FST_ASSERT(number_type_is_allowed(type));
        return (double)load_i64(cell);
    }
}

float number_float32(struct type type, const uint8_t *cell) {
    switch (type.kind) {
    case TYPE_BOOL:
        return cell[0];
    case TYPE_INT32:
        return (float)(int32_t)load_u32(cell);
    case TYPE_FLOAT32:
        return float32_load(cell);
    case TYPE_FLOAT64:
        return (float)float64_load(cell);
    case TYPE_DECIMAL:
        return decimal_float32(load_i64(cell), type.scale);
    default:
        FST_ASSERT(number_type_is_allowed(type));
        return (float)load_i64(cell);
    }
}

/* ---- making ---- */

void number_plan_init(struct number_plan *plan, const struct number_columns *wanted) {
    plan->runs_count = 0;
    for (uint32_t c = 0; c < wanted->count; c++) {
        const struct row_column *cell = &wanted->from->columns[wanted->columns[c]];
        FST_ASSERT(number_type_is_allowed(cell->type));
        struct number_run *last = plan->runs_count > 0 ? &plan->runs[plan->runs_count - 1] : NULL;
        bool is_next = last && type_is_equal(last->type, cell->type) &&
                       cell->offset == last->from + last->count * cell->bytes &&
                       wanted->features[c] == last->to + last->count;
        if (is_next) {
            last->count += 1;
        } else {
            plan->runs[plan->runs_count++] = (struct number_run){
                .type = cell->type, .from = cell->offset, .to = wanted->features[c], .count = 1};
        }
    }
}

/* ---- converting ---- */

static void run_float64(const struct number_run *run, const uint8_t *from, uint8_t *to) {
    uint32_t cell_bytes = type_fixed_bytes(run->type);
    for (uint32_t i = 0; i < run->count; i++) {
        double number = number_float64(run->type, from + (size_t)i * cell_bytes);
        memcpy(to + i * sizeof number, &number, sizeof number);
    }
}

void number_plan_run_float64(const struct number_plan *plan, const uint8_t *body, uint8_t *row) {
    for (uint32_t i = 0; i < plan->runs_count; i++) {
        const struct number_run *run = &plan->runs[i];
        uint8_t *to = row + run->to * sizeof(double);
        if (run->type.kind == TYPE_FLOAT64)
            memcpy(to, body + run->from, run->count * sizeof(double));
        else
            run_float64(run, body + run->from, to);
    }
}

/* The usual case of a model, in a loop that the compiler can make wide. */
static void doubles_narrow(uint32_t count, const uint8_t *from, uint8_t *to) {
    for (uint32_t i = 0; i < count; i++) {
        float number = (float)float64_load(from + i * sizeof(double));
        memcpy(to + i * sizeof number, &number, sizeof number);
    }
}

static void run_float32(const struct number_run *run, const uint8_t *from, uint8_t *to) {
    uint32_t cell_bytes = type_fixed_bytes(run->type);
    for (uint32_t i = 0; i < run->count; i++) {
        float number = number_float32(run->type, from + (size_t)i * cell_bytes);
        memcpy(to + i * sizeof number, &number, sizeof number);
    }
}

void number_plan_run_float32(const struct number_plan *plan, const uint8_t *body, uint8_t *row) {
    for (uint32_t i = 0; i < plan->runs_count; i++) {
        const struct number_run *run = &plan->runs[i];
        uint8_t *to = row + run->to * sizeof(float);
        if (run->type.kind == TYPE_FLOAT32)
            memcpy(to, body + run->from, run->count * sizeof(float));
        else if (run->type.kind == TYPE_FLOAT64)
            doubles_narrow(run->count, body + run->from, to);
        else
            run_float32(run, body + run->from, to);
    }
}

/* ---- checking ---- */

enum fst_status number_plan_check(const struct number_plan *plan,
                                  const struct number_columns *wanted) {
    uint32_t numbers_count = 0;
    for (uint32_t i = 0; i < plan->runs_count; i++) numbers_count += plan->runs[i].count;
    if (numbers_count != wanted->count) return FST_CORRUPT; /* N1 */
    for (uint32_t c = 0; c < wanted->count; c++) {
        const struct row_column *cell = &wanted->from->columns[wanted->columns[c]];
        uint32_t found = 0;
        for (uint32_t i = 0; i < plan->runs_count; i++) {
            const struct number_run *run = &plan->runs[i];
            uint32_t at = wanted->features[c] - run->to;
            if (at >= run->count || !type_is_equal(run->type, cell->type)) continue;
            if (cell->offset == run->from + at * cell->bytes) found += 1;
        }
        if (found != 1) return FST_CORRUPT; /* N1 */
    }
    return FST_OK;
}
