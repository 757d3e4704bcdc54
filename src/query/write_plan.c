#include "query/write_plan.h"

#include <stdlib.h>

#include "base/assert.h"
#include "query/layout.h"

enum { NAME_TEXT_BYTES = 2 * NAME_BYTES_MAX + 16 };

static enum fst_status name_text(struct bytes name, char text_out[NAME_TEXT_BYTES],
                                 struct fst_error *error) {
    if (name.bytes == 0 || name.bytes >= NAME_TEXT_BYTES || memchr(name.data, 0, name.bytes)) {
        return fst_error_set(error, FST_INVALID, "expected a name, found %zu bytes", name.bytes);
    }
    memcpy(text_out, name.data, name.bytes);
    text_out[name.bytes] = 0;
    return FST_OK;
}

static struct write_plan *plan_alloc(const struct view *view, uint32_t columns_count) {
    uint32_t null_words = view_current(view)->layout.body.null_words;
    struct write_plan *plan = calloc(1, sizeof(struct write_plan) + null_words * sizeof(uint64_t) +
                                            columns_count * sizeof(struct write_column));
    if (!plan) return NULL;
    plan->view = view;
    plan->nulls = (uint64_t *)(void *)(plan + 1);
    plan->columns = (struct write_column *)(void *)(plan->nulls + null_words);
    for (uint32_t c = 0; c < view->features_count; c++) row_set_null((uint8_t *)plan->nulls, c);
    return plan;
}

static enum write_column_kind column_kind(struct type type) {
    switch ((enum type_kind)type.kind) {
    case TYPE_INT64:
    case TYPE_DECIMAL:
    case TYPE_TIMESTAMP:
        return WRITE_WORD;
    case TYPE_FLOAT64:
        return WRITE_FLOAT64;
    default:
        return WRITE_OTHER;
    }
}

static void column_put(struct write_plan *plan, uint32_t index) {
    const struct row_column *cell = &view_current(plan->view)->layout.body.columns[index];
    uint8_t *nulls = (uint8_t *)plan->nulls;
    nulls[index / 8] &= (uint8_t) ~(1u << (index % 8));
    plan->columns[plan->columns_count++] = (struct write_column){
        .type = cell->type,
        .index = index,
        .offset = cell->offset,
        .bytes_each = type_fixed_bytes(cell->type),
        .kind = column_kind(cell->type),
    };
    plan->references_count += type_fixed_bytes(cell->type) == 0;
}

static enum fst_status columns_put(struct write_plan *plan, const struct bytes *names,
                                   uint32_t count, struct fst_error *error) {
    for (uint32_t i = 0; i < count; i++) {
        char text[NAME_TEXT_BYTES];
        FST_TRY(name_text(names[i], text, error));
        int column = view_find_feature(plan->view, text);
        if (column < 0) {
            return fst_error_set(error, FST_UNKNOWN, "view '%s' has no feature '%s'",
                                 plan->view->name.text, text);
        }
        for (uint32_t j = 0; j < i; j++) {
            if (plan->columns[j].index == (uint32_t)column) {
                return fst_error_set(error, FST_INVALID, "feature '%s' is given twice", text);
            }
        }
        column_put(plan, (uint32_t)column);
    }
    return FST_OK;
}

enum fst_status write_plan_of_view(struct write_plan **plan_out, const struct view *view) {
    struct write_plan *plan = plan_alloc(view, view->features_count);
    if (!plan) return FST_NO_MEMORY;
    for (uint32_t i = 0; i < view->features_count; i++) column_put(plan, i);
    enum fst_status status = layout_of_write(plan);
    if (status != FST_OK) {
        write_plan_destroy(plan);
        return status;
    }
    *plan_out = plan;
    return FST_OK;
}

enum fst_status write_plan_create(struct write_plan **plan_out, const struct catalog *catalog,
                                  const struct bytes *names, uint32_t count,
                                  struct fst_error *error) {
    if (count == 0) return fst_error_set(error, FST_INVALID, "expected a view, found no name");
    char text[NAME_TEXT_BYTES];
    FST_TRY(name_text(names[0], text, error));
    const struct view *view = catalog_find_view(catalog, text);
    if (!view) return catalog_refuse_view(catalog, text, error);
    if (count == 1) return write_plan_of_view(plan_out, view);
    if (count - 1 > view->features_count) {
        return fst_error_set(error, FST_INVALID, "view '%s' has %u features, found %u names", text,
                             view->features_count, count - 1);
    }
    struct write_plan *plan = plan_alloc(view, count - 1);
    if (!plan) return FST_NO_MEMORY;
    enum fst_status status = columns_put(plan, names + 1, count - 1, error);
    if (status == FST_OK) status = layout_of_write(plan);
    if (status != FST_OK) {
        write_plan_destroy(plan);
        return status;
    }
    *plan_out = plan;
    return FST_OK;
}

void write_plan_destroy(struct write_plan *plan) {
    if (!plan) return;
    free((void *)(uintptr_t)plan->layout.data);
    free(plan);
}
