#include "query/read_plan.h"

#include <math.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "query/layout.h"

enum { NAME_TEXT_BYTES = 2 * NAME_BYTES_MAX + 16 };

/* A plan under construction: all wanted columns in request order, before they are grouped. */
struct draft {
    const struct catalog *catalog;
    struct service_feature *wanted;
    uint32_t wanted_count;
};

static enum fst_status draft_put(struct draft *draft, const struct view *view, uint32_t column,
                                 struct fst_error *error) {
    if (draft->wanted_count == FEATURES_MAX) {
        return fst_error_set(error, FST_TOO_LARGE, "expected at most %d features in a request",
                             FEATURES_MAX);
    }
    for (uint32_t i = 0; i < draft->wanted_count; i++) {
        if (draft->wanted[i].view == view && draft->wanted[i].column == column) {
            return fst_error_set(error, FST_INVALID, "feature %s.%s:%s is asked for twice",
                                 view->space.text, view->name.text,
                                 view->features[column].name.text);
        }
    }
    draft->wanted[draft->wanted_count++] = (struct service_feature){.view = view, .column = column};
    return FST_OK;
}

/* One "view:feature" or "view:*". */
static enum fst_status draft_put_name(struct draft *draft, struct bytes name,
                                      struct fst_error *error) {
    char text[NAME_TEXT_BYTES + NAME_BYTES_MAX];
    if (name.bytes == 0 || name.bytes >= sizeof text || memchr(name.data, 0, name.bytes)) {
        return fst_error_set(error, FST_INVALID,
                             "expected a feature as view:feature, found %zu bytes", name.bytes);
    }
    memcpy(text, name.data, name.bytes);
    text[name.bytes] = 0;
    char *colon = strchr(text, ':');
    if (!colon) {
        return fst_error_set(error, FST_INVALID, "expected view:feature or view:*, found '%s'",
                             text);
    }
    *colon = 0;
    const struct view *view = catalog_find_view(draft->catalog, text);
    if (!view) return catalog_refuse_view(draft->catalog, text, error);
    if (strcmp(colon + 1, "*") == 0) {
        for (uint32_t i = 0; i < view->features_count; i++) {
            FST_TRY(draft_put(draft, view, i, error));
        }
        return FST_OK;
    }
    int column = view_find_feature(view, colon + 1);
    if (column < 0) {
        return fst_error_set(error, FST_UNKNOWN, "view '%s' has no feature '%s'", text, colon + 1);
    }
    return draft_put(draft, view, (uint32_t)column, error);
}

static enum fst_status draft_put_service(struct draft *draft, struct bytes name,
                                         struct fst_error *error) {
    char text[NAME_TEXT_BYTES];
    if (name.bytes == 0 || name.bytes >= sizeof text || memchr(name.data, 0, name.bytes)) {
        return fst_error_set(error, FST_INVALID, "expected the name of a service, found %zu bytes",
                             name.bytes);
    }
    memcpy(text, name.data, name.bytes);
    text[name.bytes] = 0;
    const struct service *service = catalog_find_service(draft->catalog, text);
    if (!service) return catalog_refuse_service(draft->catalog, text, error);
    for (uint32_t i = 0; i < service->features_count; i++) {
        FST_TRY(draft_put(draft, service->features[i].view, service->features[i].column, error));
    }
    return FST_OK;
}

/* The plan's number for a key column, adding it if it is new. */
static enum fst_status key_column_put(struct read_plan *plan, const struct key_column *column,
                                      uint16_t *index_out, struct fst_error *error) {
    for (uint32_t i = 0; i < plan->key_columns_count; i++) {
        if (strcmp(plan->key_columns[i].name.text, column->name.text) != 0) continue;
        if (!type_is_equal(plan->key_columns[i].type, column->type)) {
            return fst_error_set(error, FST_INVALID,
                                 "key column '%s' has different types in the entities asked for",
                                 column->name.text);
        }
        *index_out = (uint16_t)i;
        return FST_OK;
    }
    if (plan->key_columns_count == PLAN_KEY_COLUMNS_MAX) {
        return fst_error_set(error, FST_TOO_LARGE, "expected at most %d key columns in a request",
                             PLAN_KEY_COLUMNS_MAX);
    }
    plan->key_columns[plan->key_columns_count] = *column;
    plan->key_types[plan->key_columns_count] = column->type;
    *index_out = (uint16_t)plan->key_columns_count++;
    return FST_OK;
}

static enum fst_status entity_put(struct read_plan *plan, const struct entity *entity,
                                  uint32_t *index_out, struct fst_error *error) {
    for (uint32_t i = 0; i < plan->entities_count; i++) {
        if (plan->entities[i].entity == entity) {
            *index_out = i;
            return FST_OK;
        }
    }
    if (plan->entities_count == PLAN_ENTITIES_MAX) {
        return fst_error_set(error, FST_TOO_LARGE, "expected at most %d entities in a request",
                             PLAN_ENTITIES_MAX);
    }
    struct plan_entity *put = &plan->entities[plan->entities_count];
    *put = (struct plan_entity){
        .entity = entity,
        .key_bytes_fixed = key_fixed_bytes(entity->key_types, entity->keys_count),
    };
    for (uint32_t i = 0; i < entity->keys_count; i++) {
        FST_TRY(key_column_put(plan, &entity->keys[i], &put->key_columns[i], error));
    }
    *index_out = plan->entities_count++;
    return FST_OK;
}

static void entities_finish(struct read_plan *plan) {
    for (uint32_t e = 0; e < plan->entities_count; e++) {
        struct plan_entity *entity = &plan->entities[e];
        entity->is_whole_key = entity->entity->keys_count == plan->key_columns_count;
        for (uint32_t i = 0; i < entity->entity->keys_count; i++) {
            if (entity->key_columns[i] != i) entity->is_whole_key = false;
        }
    }
    plan->key_bytes_fixed = key_fixed_bytes(plan->key_types, plan->key_columns_count);
}

static uint32_t group_find(const struct read_plan *plan, const struct view *view) {
    uint32_t g = 0;
    while (g < plan->groups_count && plan->groups[g].view != view) g++;
    return g;
}

static struct copy_columns group_columns(const struct plan_group *group) {
    return (struct copy_columns){.from = &view_current(group->view)->layout.body,
                                 .to = &group->body,
                                 .columns = group->columns};
}

static struct number_columns group_numbers(const struct plan_group *group) {
    return (struct number_columns){.from = &view_current(group->view)->layout.body,
                                   .count = group->body.columns_count,
                                   .columns = group->columns,
                                   .features = group->features};
}

static void group_finish(struct plan_group *group, struct row_column *columns) {
    struct type types[FEATURES_MAX];
    const struct view *view = group->view;
    uint32_t count = group->body.columns_count;
    group->is_whole = count == view->features_count;
    for (uint32_t i = 0; i < count; i++) {
        types[i] = view->features[group->columns[i]].type;
        if (group->columns[i] != i) group->is_whole = false;
        if (view->features[group->columns[i]].has_default) group->has_defaults = true;
    }
    row_body_init(&group->body, columns, types, count);
    group->bytes = PLAN_GROUP_HEADER_BYTES + group->body.bytes;
    for (uint32_t r = 0; r < view->revisions_count; r++) {
        uint32_t bytes = view->revisions[r].layout.body.bytes;
        if (bytes > group->stored_bytes_max) group->stored_bytes_max = bytes;
    }
    struct copy_columns wanted = group_columns(group);
    if (!group->is_whole) copy_plan_init(&group->copy, &wanted);
}

/* Arrays with an element per feature, of which each group takes its part. */
struct plan_arrays {
    uint32_t *columns;
    uint32_t *features;
    struct row_column *cells;
    struct copy_run *runs;
    struct copy_bits *bits;
    struct number_run *numbers;
};

/* The next array of a block being measured (memory NULL) or divided. */
static void *array_take(uint8_t *memory, size_t *used_bytes, size_t count, size_t element_bytes) {
    size_t at = *used_bytes;
    *used_bytes = at + bytes_align(count * element_bytes, 16);
    return memory ? memory + at : NULL;
}

/* Bytes of a plan and its arrays, in one block. */
static size_t plan_divide(uint8_t *memory, uint32_t count, struct plan_arrays *arrays_out) {
    size_t used = 0;
    struct read_plan *plan = array_take(memory, &used, 1, sizeof *plan);
    void *groups = array_take(memory, &used, count, sizeof *plan->groups);
    void *features = array_take(memory, &used, count, sizeof *plan->features);
    arrays_out->columns = array_take(memory, &used, count, sizeof *arrays_out->columns);
    arrays_out->features = array_take(memory, &used, count, sizeof *arrays_out->features);
    arrays_out->cells = array_take(memory, &used, count, sizeof *arrays_out->cells);
    arrays_out->runs = array_take(memory, &used, count, sizeof *arrays_out->runs);
    arrays_out->bits = array_take(memory, &used, count, sizeof *arrays_out->bits);
    arrays_out->numbers = array_take(memory, &used, count, sizeof *arrays_out->numbers);
    if (plan) {
        plan->groups = groups;
        plan->features = features;
    }
    return used;
}

static struct read_plan *plan_alloc(uint32_t features_count, struct plan_arrays *arrays_out) {
    uint8_t *memory = calloc(1, plan_divide(NULL, features_count, arrays_out));
    if (!memory) return NULL;
    (void)plan_divide(memory, features_count, arrays_out);
    return (struct read_plan *)(void *)memory;
}

/* Finds the view of each feature, and makes its group and entity if they are new. */
static enum fst_status features_put(struct read_plan *plan, const struct draft *draft,
                                    struct fst_error *error) {
    plan->features_count = draft->wanted_count;
    for (uint32_t i = 0; i < plan->features_count; i++) {
        const struct view *view = draft->wanted[i].view;
        FST_ASSERT(view);
        uint32_t g = group_find(plan, view);
        if (g == plan->groups_count) {
            plan->groups[g].view = view;
            FST_TRY(entity_put(plan, view->entity, &plan->groups[g].entity, error));
            plan->groups_count += 1;
        }
        plan->features[i] =
            (struct plan_feature){.group = g, .column = plan->groups[g].body.columns_count++};
    }
    return FST_OK;
}

/* Gives each group its part of the arrays. */
static void groups_finish(struct read_plan *plan, const struct draft *draft,
                          struct plan_arrays arrays) {
    for (uint32_t g = 0; g < plan->groups_count; g++) {
        struct plan_group *group = &plan->groups[g];
        uint32_t count = group->body.columns_count;
        group->columns = arrays.columns;
        group->features = arrays.features;
        group->copy.runs = arrays.runs;
        group->copy.bits = arrays.bits;
        group->numbers.runs = arrays.numbers;
        for (uint32_t i = 0; i < plan->features_count; i++) {
            if (plan->features[i].group != g) continue;
            *arrays.columns++ = draft->wanted[i].column;
            *arrays.features++ = i;
        }
        group_finish(group, arrays.cells);
        arrays.cells += count;
        arrays.runs += count;
        arrays.bits += count;
        arrays.numbers += count;
        group->offset = plan->row_bytes;
        plan->row_bytes += group->bytes;
        if (group->body.references_count > 0) plan->has_references = true;
    }
}

static const struct feature *feature_of(const struct read_plan *plan, uint32_t index) {
    const struct plan_group *group = &plan->groups[plan->features[index].group];
    return &group->view->features[group->columns[plan->features[index].column]];
}

/* Where everything lies in a reply in columns. */
static void columns_finish(struct read_plan *plan) {
    uint32_t at = 0;
    for (uint32_t g = 0; g < plan->groups_count; g++) {
        plan->groups[g].columns_offset = at;
        at += PLAN_VIEW_COLUMN_BYTES;
    }
    for (uint32_t i = 0; i < plan->features_count; i++) {
        plan->features[i].columns_offset = at;
        at += 1 + type_row_bytes(feature_of(plan, i)->type);
    }
    plan->columns_bytes = at;
}

/* How everything is converted for a matrix, as far as it can be. */
static void numbers_finish(struct read_plan *plan) {
    uint32_t count = 0;
    while (count < plan->features_count && number_type_is_allowed(feature_of(plan, count)->type)) {
        const struct feature *feature = feature_of(plan, count);
        struct plan_feature *put = &plan->features[count++];
        const uint8_t *value = feature->default_value.data;
        put->fill_float32 = feature->has_default ? number_float32(feature->type, value) : NAN;
        put->fill_float64 =
            feature->has_default ? number_float64(feature->type, value) : (double)NAN;
    }
    plan->numbers_count = count;
    if (count < plan->features_count) return;
    for (uint32_t g = 0; g < plan->groups_count; g++) {
        struct number_columns wanted = group_numbers(&plan->groups[g]);
        number_plan_init(&plan->groups[g].numbers, &wanted);
    }
}

static enum fst_status draft_fill(struct draft *draft, enum plan_kind kind,
                                  const struct bytes *names, uint32_t count,
                                  struct fst_error *error) {
    if (kind == PLAN_SERVICE) {
        if (count != 1) {
            return fst_error_set(error, FST_INVALID, "expected one service name, found %u", count);
        }
        return draft_put_service(draft, names[0], error);
    }
    for (uint32_t i = 0; i < count; i++) FST_TRY(draft_put_name(draft, names[i], error));
    if (draft->wanted_count == 0) {
        return fst_error_set(error, FST_INVALID, "expected at least one feature, found none");
    }
    return FST_OK;
}

enum fst_status read_plan_create(struct read_plan **plan_out, const struct catalog *catalog,
                                 enum plan_kind kind, const struct bytes *names, uint32_t count,
                                 struct fst_error *error) {
    FST_ASSERT(kind == PLAN_FEATURES || kind == PLAN_SERVICE);
    struct read_plan *plan = NULL;
    struct draft draft = {.catalog = catalog,
                          .wanted = calloc(FEATURES_MAX, sizeof(struct service_feature))};
    if (!draft.wanted) return FST_NO_MEMORY;
    enum fst_status status = draft_fill(&draft, kind, names, count, error);
    if (status != FST_OK) goto done;
    struct plan_arrays arrays;
    plan = plan_alloc(draft.wanted_count, &arrays);
    if (!plan) {
        status = FST_NO_MEMORY;
        goto done;
    }
    plan->kind = kind;
    status = features_put(plan, &draft, error);
    if (status != FST_OK) goto done;
    groups_finish(plan, &draft, arrays);
    entities_finish(plan);
    columns_finish(plan);
    numbers_finish(plan);
    status = layout_of_read(plan);
    if (status != FST_OK) goto done;
    FST_ASSERT(read_plan_check(plan) == FST_OK);
    *plan_out = plan;
    plan = NULL;
done:
    read_plan_destroy(plan);
    free(draft.wanted);
    return status;
}

void read_plan_destroy(struct read_plan *plan) {
    if (!plan) return;
    free((void *)(uintptr_t)plan->layout.data);
    free(plan);
}

static enum fst_status group_check(const struct plan_group *group) {
    bool is_whole = group->body.columns_count == group->view->features_count;
    for (uint32_t c = 0; c < group->body.columns_count; c++) {
        if (group->columns[c] >= group->view->features_count) return FST_CORRUPT; /* Q2 */
        if (group->columns[c] != c) is_whole = false;
    }
    if (is_whole != group->is_whole) return FST_CORRUPT; /* Q3 */
    struct copy_columns wanted = group_columns(group);
    return is_whole ? FST_OK : copy_plan_check(&group->copy, &wanted); /* Q4 */
}

static enum fst_status columns_check(const struct read_plan *plan) {
    size_t at = 0;
    for (uint32_t g = 0; g < plan->groups_count; g++, at += PLAN_VIEW_COLUMN_BYTES) {
        if (plan->groups[g].columns_offset != at) return FST_CORRUPT; /* Q5 */
    }
    for (uint32_t i = 0; i < plan->features_count; i++) {
        const struct plan_feature *feature = &plan->features[i];
        if (feature->columns_offset != at) return FST_CORRUPT; /* Q5 */
        at += 1 + plan->groups[feature->group].body.columns[feature->column].bytes;
    }
    return at == plan->columns_bytes ? FST_OK : FST_CORRUPT; /* Q5 */
}

static enum fst_status numbers_check(const struct read_plan *plan) {
    if (plan->numbers_count > plan->features_count) return FST_CORRUPT; /* Q6 */
    for (uint32_t i = 0; i <= plan->numbers_count && i < plan->features_count; i++) {
        bool is_number = number_type_is_allowed(feature_of(plan, i)->type);
        if (is_number != (i < plan->numbers_count)) return FST_CORRUPT; /* Q6 */
    }
    if (plan->numbers_count < plan->features_count) return FST_OK;
    for (uint32_t g = 0; g < plan->groups_count; g++) {
        struct number_columns wanted = group_numbers(&plan->groups[g]);
        FST_TRY(number_plan_check(&plan->groups[g].numbers, &wanted)); /* Q6 */
    }
    return FST_OK;
}

enum fst_status read_plan_check(const struct read_plan *plan) {
    uint32_t at = 0;
    for (uint32_t g = 0; g < plan->groups_count; g++) {
        const struct plan_group *group = &plan->groups[g];
        if (group->offset != at || group->bytes % 8 != 0) return FST_CORRUPT; /* Q1 */
        at += group->bytes;
        FST_TRY(group_check(group));
    }
    if (at != plan->row_bytes) return FST_CORRUPT; /* Q1 */
    for (uint32_t i = 0; i < plan->features_count; i++) {
        const struct plan_feature *feature = &plan->features[i];
        if (feature->group >= plan->groups_count) return FST_CORRUPT; /* Q2 */
        const struct plan_group *group = &plan->groups[feature->group];
        if (feature->column >= group->body.columns_count) return FST_CORRUPT; /* Q2 */
        const struct row_column *cell = &group->body.columns[feature->column];
        if (cell->offset + cell->bytes > group->body.bytes) return FST_CORRUPT; /* Q2 */
        if (group->features[feature->column] != i) return FST_CORRUPT;          /* Q2 */
    }
    FST_TRY(columns_check(plan));
    return numbers_check(plan);
}
