/*
 * definition: entities, row views and services as data, resolved and ready to use.
 *
 * The registry builds one `struct catalog` from all definitions and hands it out as an immutable
 * whole; everyone else only reads. Ids are never reused. A view has a version (an incompatible
 * change makes a new one beside the old) and within it revisions (compatible changes); each
 * revision has its own row layout, and a stored row says which revision wrote it.
 *
 * Invariants, restated in catalog_check():
 *   D1  entities, views and services are sorted by (namespace, name, version).
 *   D2  views_by_id[v->id] == v for every view; ids are below views_by_id_count.
 *   D3  The columns of revision r are a prefix (by name) of those of revision r + 1.
 *   D4  Every service feature names an existing view and column.
 *
 * Threads: immutable after creation. Memory: one catalog owns all it points to.
 */
#ifndef MODEL_DEFINITION_H
#define MODEL_DEFINITION_H

#include "model/row.h"

enum {
    NAME_BYTES_MAX = 63,
    VIEWS_PER_ENTITY_MAX = 256,
    REVISIONS_MAX = 256, /* per view version */
    SERVICE_ENTITIES_MAX = 8,
    SERVICE_KEY_COLUMNS_MAX = 16, /* columns of different names over all its entities */
    VIEW_FUTURE_US_DEFAULT = 60 * 1000 * 1000,
    /* Rows without features: */
    VIEW_REVISION_EVICTED = 2046, /* only in a table: the row itself is in the checkpoint */
    VIEW_REVISION_DELETED = 2047, /* says that the key was deleted */
};
static_assert((int)REVISIONS_MAX <= (int)VIEW_REVISION_EVICTED, "no revision of features");

struct name {
    char text[NAME_BYTES_MAX + 1]; /* [a-z][a-z0-9_]*, 0-ended */
};

/* "namespace.name@version" taken apart. */
struct reference {
    struct name space; /* "" if not given */
    struct name name;
    uint32_t version; /* 0 if not given */
};

struct tag {
    char *key;
    char *value;
};

/* What people want to know and the engine does not. */
struct metadata {
    char *description; /* NULL if none; likewise owner */
    char *owner;
    struct tag *tags;
    uint32_t tags_count;
};

struct key_column {
    struct name name;
    struct type type;
};

struct entity {
    uint32_t id;
    struct name space; /* the namespace */
    struct name name;
    struct metadata metadata;
    uint32_t keys_count;
    struct key_column keys[KEY_COLUMNS_MAX];
    struct type key_types[KEY_COLUMNS_MAX]; /* the same types, as an array for model/row.h */
};

struct feature {
    struct name name;
    struct type type;
    bool has_default;
    struct bytes default_value; /* encoded; owned by the catalog */
    struct metadata metadata;   /* without an owner */
};

struct view_revision {
    uint32_t features_count; /* the first so many features of the view, with the types of then */
    struct row_layout layout;
};

struct view {
    uint32_t id;
    uint32_t version; /* from 1 */
    struct name space;
    struct name name;
    struct metadata metadata;
    const struct entity *entity;
    int64_t ttl_us;              /* 0: no limit */
    int64_t future_us;           /* how far ahead of the clock an event time may be */
    bool is_visible_from_memory; /* `visible: memory` */
    bool evicts;                 /* `evict: true`: its cold rows may leave memory */
    uint32_t features_count;
    struct feature *features;
    uint32_t revisions_count; /* at least 1; the last one is current */
    struct view_revision *revisions;
    struct row_layout bare; /* a key without features: VIEW_REVISION_DELETED and _EVICTED */
};

struct service_feature {
    const struct view *view;
    uint32_t column;
};

struct service {
    uint32_t id;
    struct name space;
    struct name name;
    struct metadata metadata;
    uint32_t features_count;
    struct service_feature *features;
};

struct catalog {
    uint64_t generation; /* rises with every change; 0 is the empty registry */
    uint32_t entities_count;
    uint32_t views_count;
    uint32_t services_count;
    uint32_t views_by_id_count;
    struct entity *entities;
    struct view *views; /* all versions */
    struct service *services;
    const struct view **views_by_id; /* NULL where an id has no view */
};

static inline const struct view_revision *view_current(const struct view *view) {
    return &view->revisions[view->revisions_count - 1];
}

/* Settles the layout of rows without features; the entity is known. */
static inline void view_bare_init(struct view *view) {
    row_layout_init(&view->bare, view->entity->key_types, view->entity->keys_count,
                    &(struct row_body){.columns_count = 0});
}

/* Of rows that are written, logged and kept in checkpoints. */
static inline bool view_has_revision(const struct view *view, uint16_t revision) {
    return revision < view->revisions_count || revision == VIEW_REVISION_DELETED;
}

/* Of a revision that the view has, or VIEW_REVISION_EVICTED. */
static inline const struct row_layout *view_layout(const struct view *view, uint16_t revision) {
    if (revision >= VIEW_REVISION_EVICTED) return &view->bare;
    return &view->revisions[revision].layout;
}

/* By "namespace.name" or, where the catalog has one namespace, "name"; `@2` at the end asks for
 * a version of a view, otherwise it is the newest. NULL if there is none. */
const struct view *catalog_find_view(const struct catalog *catalog, const char *name);
const struct entity *catalog_find_entity(const struct catalog *catalog, const char *name);
const struct service *catalog_find_service(const struct catalog *catalog, const char *name);
/* FST_UNKNOWN: says that there is none of this name, and which one may be meant: without a
 * namespace a name means nothing where the catalog has several. */
enum fst_status catalog_refuse_view(const struct catalog *catalog, const char *name,
                                    struct fst_error *error);
enum fst_status catalog_refuse_service(const struct catalog *catalog, const char *name,
                                       struct fst_error *error);
/* Column number, or -1. */
int view_find_feature(const struct view *view, const char *name);

/* FST_CORRUPT if D1 to D4 or the layouts of the revisions do not hold. */
FST_MUST_USE enum fst_status catalog_check(const struct catalog *catalog);
/* Frees the catalog and all it owns. NULL is allowed. */
void catalog_destroy(struct catalog *catalog);

/* Whether `text` is a possible name. */
bool name_is_valid(const char *text, size_t bytes);

/* Reads "name", "namespace.name", either with "@version" behind it; false if it is none of them. */
bool reference_parse(const char *text, size_t bytes, struct reference *reference_out);

/* Order of D1: by namespace, then name; versions are compared by the caller. */
int name_order(const struct name *space_a, const struct name *a, const struct name *space_b,
               const struct name *b);

#endif
