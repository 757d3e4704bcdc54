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
    struct write_plan *plan =
        calloc(1, sizeof(struct write_plan) + columns_count * sizeof(uint32_t));
    if (!plan) return NULL;
    plan->view = view;
    plan->columns = (uint32_t *)(void *)(plan + 1);
    return plan;
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
            if (plan->columns[j] == (uint32_t)column) {
                return fst_error_set(error, FST_INVALID, "feature '%s' is given twice", text);
            }
        }
        plan->columns[plan->columns_count++] = (uint32_t)column;
    }
    return FST_OK;
}

enum fst_status write_plan_of_view(struct write_plan **plan_out, const struct view *view) {
    struct write_plan *plan = plan_alloc(view, view->features_count);
    if (!plan) return FST_NO_MEMORY;
    for (uint32_t i = 0; i < view->features_count; i++) plan->columns[i] = i;
    plan->columns_count = view->features_count;
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
