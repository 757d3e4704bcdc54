#include "model/definition.h"

#include <stdlib.h>

#include "base/assert.h"

/* ---- names ---- */

bool name_is_valid(const char *text, size_t bytes) {
    if (bytes == 0 || bytes > NAME_BYTES_MAX) return false;
    if (text[0] < 'a' || text[0] > 'z') return false;
    for (size_t i = 1; i < bytes; i++) {
        bool is_letter = text[i] >= 'a' && text[i] <= 'z';
        bool is_digit = text[i] >= '0' && text[i] <= '9';
        if (!is_letter && !is_digit && text[i] != '_') return false;
    }
    return true;
}

int name_order(const struct name *space_a, const struct name *a, const struct name *space_b,
               const struct name *b) {
    int order = strcmp(space_a->text, space_b->text);
    return order != 0 ? order : strcmp(a->text, b->text);
}

static bool name_take(struct name *name, const char *text, size_t bytes) {
    if (!name_is_valid(text, bytes)) return false;
    memset(name, 0, sizeof *name);
    memcpy(name->text, text, bytes);
    return true;
}

/* Digits without a leading zero, up to nine of them. */
static bool version_take(uint32_t *version, const char *text, size_t bytes) {
    if (bytes == 0 || bytes > 9 || text[0] == '0') return false;
    *version = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        *version = *version * 10 + (uint32_t)(text[i] - '0');
    }
    return true;
}

bool reference_parse(const char *text, size_t bytes, struct reference *reference_out) {
    struct reference reference = {0};
    const char *at = memchr(text, '@', bytes);
    size_t name_bytes = at ? (size_t)(at - text) : bytes;
    if (at && !version_take(&reference.version, at + 1, bytes - name_bytes - 1)) return false;
    const char *point = memchr(text, '.', name_bytes);
    size_t space_bytes = point ? (size_t)(point - text) : 0;
    if (point && !name_take(&reference.space, text, space_bytes)) return false;
    size_t skipped = point ? space_bytes + 1 : 0;
    if (!name_take(&reference.name, text + skipped, name_bytes - skipped)) return false;
    *reference_out = reference;
    return true;
}

/* The namespace of everything in the catalog, or NULL if there are several or none. */
static const struct name *catalog_only_space(const struct catalog *catalog) {
    const struct name *space = NULL;
    for (uint32_t i = 0; i < catalog->entities_count; i++) {
        const struct name *other = &catalog->entities[i].space;
        if (space && strcmp(space->text, other->text) != 0) return NULL;
        space = other;
    }
    for (uint32_t i = 0; i < catalog->views_count; i++) {
        const struct name *other = &catalog->views[i].space;
        if (space && strcmp(space->text, other->text) != 0) return NULL;
        space = other;
    }
    for (uint32_t i = 0; i < catalog->services_count; i++) {
        const struct name *other = &catalog->services[i].space;
        if (space && strcmp(space->text, other->text) != 0) return NULL;
        space = other;
    }
    return space;
}

static bool wanted_complete(struct reference *wanted, const struct catalog *catalog,
                            const char *text) {
    if (!reference_parse(text, strlen(text), wanted)) return false;
    if (wanted->space.text[0] != 0) return true;
    const struct name *space = catalog_only_space(catalog);
    if (space) wanted->space = *space;
    return space != NULL;
}

/* ---- finding ---- */

const struct view *catalog_find_view(const struct catalog *catalog, const char *name) {
    struct reference wanted;
    if (!wanted_complete(&wanted, catalog, name)) return NULL;
    uint32_t low = 0; /* the first view behind all versions of the name */
    uint32_t high = catalog->views_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct view *view = &catalog->views[middle];
        int order = name_order(&view->space, &view->name, &wanted.space, &wanted.name);
        if (order > 0)
            high = middle;
        else
            low = middle + 1;
    }
    for (; low > 0; low--) {
        const struct view *view = &catalog->views[low - 1];
        if (name_order(&view->space, &view->name, &wanted.space, &wanted.name) != 0) return NULL;
        if (wanted.version == 0 || view->version == wanted.version) return view;
    }
    return NULL;
}

const struct entity *catalog_find_entity(const struct catalog *catalog, const char *name) {
    struct reference wanted;
    if (!wanted_complete(&wanted, catalog, name) || wanted.version != 0) return NULL;
    for (uint32_t i = 0; i < catalog->entities_count; i++) {
        const struct entity *entity = &catalog->entities[i];
        if (name_order(&entity->space, &entity->name, &wanted.space, &wanted.name) == 0) {
            return entity;
        }
    }
    return NULL;
}

static enum fst_status name_refuse(struct fst_error *error, const char *kind, const char *name,
                                   const struct name *space) {
    if (!space) return fst_error_set(error, FST_UNKNOWN, "there is no %s '%s'", kind, name);
    return fst_error_set(error, FST_UNKNOWN, "there is no %s '%s', did you mean '%s.%s'?", kind,
                         name, space->text, name);
}

enum fst_status catalog_refuse_view(const struct catalog *catalog, const char *name,
                                    struct fst_error *error) {
    struct reference wanted;
    const struct name *space = NULL;
    bool is_bare = reference_parse(name, strlen(name), &wanted) && !wanted.space.text[0];
    for (uint32_t i = 0; i < catalog->views_count && is_bare && !space; i++) {
        const struct view *view = &catalog->views[i];
        if (strcmp(view->name.text, wanted.name.text) == 0) space = &view->space;
    }
    return name_refuse(error, "view", name, space);
}

enum fst_status catalog_refuse_service(const struct catalog *catalog, const char *name,
                                       struct fst_error *error) {
    const struct name *space = NULL;
    for (uint32_t i = 0; i < catalog->services_count && !space; i++) {
        const struct service *service = &catalog->services[i];
        if (strcmp(service->name.text, name) == 0) space = &service->space;
    }
    return name_refuse(error, "service", name, space);
}

const struct service *catalog_find_service(const struct catalog *catalog, const char *name) {
    struct reference wanted;
    if (!wanted_complete(&wanted, catalog, name) || wanted.version != 0) return NULL;
    for (uint32_t i = 0; i < catalog->services_count; i++) {
        const struct service *service = &catalog->services[i];
        if (name_order(&service->space, &service->name, &wanted.space, &wanted.name) == 0) {
            return service;
        }
    }
    return NULL;
}

int view_find_feature(const struct view *view, const char *name) {
    for (uint32_t i = 0; i < view->features_count; i++) {
        if (strcmp(view->features[i].name.text, name) == 0) return (int)i;
    }
    return -1;
}

/* ---- ending ---- */

static void metadata_free(struct metadata *metadata) {
    for (uint32_t i = 0; i < metadata->tags_count; i++) {
        free(metadata->tags[i].key);
        free(metadata->tags[i].value);
    }
    free(metadata->tags);
    free(metadata->description);
    free(metadata->owner);
}

static void view_free(struct view *view) {
    for (uint32_t i = 0; view->features && i < view->features_count; i++) {
        metadata_free(&view->features[i].metadata);
        free((void *)(uintptr_t)view->features[i].default_value.data);
    }
    for (uint32_t i = 0; view->revisions && i < view->revisions_count; i++) {
        free(view->revisions[i].layout.body.columns);
    }
    free(view->features);
    free(view->revisions);
    metadata_free(&view->metadata);
}

void catalog_destroy(struct catalog *catalog) {
    if (!catalog) return;
    for (uint32_t i = 0; i < catalog->entities_count; i++) {
        metadata_free(&catalog->entities[i].metadata);
    }
    for (uint32_t i = 0; i < catalog->views_count; i++) view_free(&catalog->views[i]);
    for (uint32_t i = 0; i < catalog->services_count; i++) {
        metadata_free(&catalog->services[i].metadata);
        free(catalog->services[i].features);
    }
    free(catalog->entities);
    free(catalog->views);
    free(catalog->services);
    free(catalog->views_by_id);
    free(catalog);
}

/* ---- checking ---- */

static bool names_are_valid(const struct name *space, const struct name *name) {
    return name_is_valid(space->text, strnlen(space->text, sizeof space->text)) &&
           name_is_valid(name->text, strnlen(name->text, sizeof name->text));
}

static enum fst_status entities_check(const struct catalog *catalog) {
    for (uint32_t i = 0; i < catalog->entities_count; i++) {
        const struct entity *entity = &catalog->entities[i];
        if (!names_are_valid(&entity->space, &entity->name)) return FST_CORRUPT;
        if (entity->keys_count - 1 >= KEY_COLUMNS_MAX) return FST_CORRUPT;
        for (uint32_t k = 0; k < entity->keys_count; k++) {
            if (!type_is_valid(entity->keys[k].type)) return FST_CORRUPT;
            if (!key_type_is_allowed(entity->keys[k].type)) return FST_CORRUPT;
            if (!type_is_equal(entity->keys[k].type, entity->key_types[k])) return FST_CORRUPT;
        }
        if (i == 0) continue;
        const struct entity *last = entity - 1;
        int order = name_order(&last->space, &last->name, &entity->space, &entity->name);
        if (order >= 0) return FST_CORRUPT; /* D1 */
    }
    return FST_OK;
}

static enum fst_status revision_check(const struct view *view, uint32_t number) {
    const struct view_revision *revision = &view->revisions[number];
    const struct row_body *body = &revision->layout.body;
    if (revision->features_count == 0) return FST_CORRUPT;
    if (body->columns_count != revision->features_count) return FST_CORRUPT;
    if (revision->layout.image_bytes > ROW_IMAGE_BYTES_MAX) return FST_CORRUPT;
    const struct view_revision *next = number + 1 < view->revisions_count ? revision + 1 : NULL;
    uint32_t next_count = next ? next->features_count : view->features_count;
    if (revision->features_count > next_count) return FST_CORRUPT; /* D3 */
    if (!next && revision->features_count != next_count) return FST_CORRUPT;
    for (uint32_t c = 0; c < body->columns_count; c++) {
        struct type type = body->columns[c].type;
        struct type later = next ? next->layout.body.columns[c].type : view->features[c].type;
        if (!type_is_valid(type) || !type_can_widen(type, later)) return FST_CORRUPT; /* D3 */
        if (!next && !type_is_equal(type, later)) return FST_CORRUPT;
    }
    return FST_OK;
}

static enum fst_status view_check(const struct catalog *catalog, const struct view *view) {
    if (!names_are_valid(&view->space, &view->name) || view->version == 0) return FST_CORRUPT;
    if (view->ttl_us < 0 || view->future_us < 0) return FST_CORRUPT;
    if (view->features_count - 1 >= FEATURES_MAX) return FST_CORRUPT;
    if (view->revisions_count - 1 >= REVISIONS_MAX) return FST_CORRUPT;
    if (view->id >= catalog->views_by_id_count) return FST_CORRUPT; /* D2 */
    if (catalog->views_by_id[view->id] != view) return FST_CORRUPT; /* D2 */
    for (uint32_t f = 0; f < view->features_count; f++) {
        const struct feature *feature = &view->features[f];
        if (!names_are_valid(&view->space, &feature->name)) return FST_CORRUPT;
        if (view_find_feature(view, feature->name.text) != (int)f) return FST_CORRUPT;
        if (!type_is_valid(feature->type)) return FST_CORRUPT;
        if (feature->has_default && value_check(feature->type, feature->default_value) != FST_OK) {
            return FST_CORRUPT;
        }
    }
    for (uint32_t r = 0; r < view->revisions_count; r++) FST_TRY(revision_check(view, r));
    return FST_OK;
}

static enum fst_status views_check(const struct catalog *catalog) {
    for (uint32_t i = 0; i < catalog->views_count; i++) {
        const struct view *view = &catalog->views[i];
        FST_TRY(view_check(catalog, view));
        if (i == 0) continue;
        const struct view *last = view - 1;
        int order = name_order(&last->space, &last->name, &view->space, &view->name);
        if (order > 0) return FST_CORRUPT;                                    /* D1 */
        if (order == 0 && last->version >= view->version) return FST_CORRUPT; /* D1 */
    }
    return FST_OK;
}

static enum fst_status services_check(const struct catalog *catalog) {
    for (uint32_t i = 0; i < catalog->services_count; i++) {
        const struct service *service = &catalog->services[i];
        if (!names_are_valid(&service->space, &service->name)) return FST_CORRUPT;
        if (service->features_count - 1 >= FEATURES_MAX) return FST_CORRUPT;
        for (uint32_t f = 0; f < service->features_count; f++) {
            const struct view *view = service->features[f].view;
            bool is_known = view >= catalog->views && view < catalog->views + catalog->views_count;
            if (!is_known) return FST_CORRUPT;                                           /* D4 */
            if (service->features[f].column >= view->features_count) return FST_CORRUPT; /* D4 */
        }
        if (i == 0) continue;
        const struct service *last = service - 1;
        int order = name_order(&last->space, &last->name, &service->space, &service->name);
        if (order >= 0) return FST_CORRUPT; /* D1 */
    }
    return FST_OK;
}

enum fst_status catalog_check(const struct catalog *catalog) {
    FST_TRY(entities_check(catalog));
    FST_TRY(views_check(catalog));
    return services_check(catalog);
}
