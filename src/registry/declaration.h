/*
 * declaration: what the documents of one apply say, before any name is looked up.
 *
 * The reader of YAML fills it; the plan compares it with the state. Everything knows its place, so
 * that a problem found late still names document, line and column. A declaration in which a problem
 * was found is kept as broken: it is not applied, but names that refer to it are not complained
 * about again.
 *
 * Threads: one. Memory: everything lies in the region.
 */
#ifndef REGISTRY_DECLARATION_H
#define REGISTRY_DECLARATION_H

#include "model/definition.h"
#include "registry/region.h"

enum {
    DECLARED_PROBLEMS_MAX = 100,  /* more are counted, not kept */
    DECLARED_OBJECTS_MAX = 10000, /* entities, views and services of one apply */
    DECLARED_TAGS_MAX = 64,
    DECLARED_TEXT_BYTES_MAX = 4096, /* of a description */
    DECLARED_LABEL_BYTES_MAX = 255, /* of an owner, a tag's key, a tag's value */
};

struct place {
    uint32_t document; /* index into the documents of the apply */
    uint32_t line;     /* from 1; 0: the document as a whole */
    uint32_t column;
};

struct declared_text {
    const char *text; /* NULL if not given */
    struct place place;
};

struct declared_type {
    struct declared_text text; /* NULL also when it is wrong */
    struct type type;
};

struct declared_tag {
    const char *key;
    const char *value;
};

struct declared_metadata {
    const char *description; /* NULL if not given; likewise owner */
    const char *owner;
    uint32_t tags_count;
    struct declared_tag *tags;
};

struct declared_key {
    struct declared_text name;
    struct declared_type type;
};

struct declared_entity {
    struct declared_text name;
    const char *space; /* the namespace; likewise below */
    bool is_broken;
    struct declared_metadata metadata;
    uint32_t keys_count;
    struct declared_key *keys;
    struct declared_entity *next;
};

struct declared_feature {
    struct declared_text name;
    struct declared_type type;
    bool has_default;
    struct bytes default_value;
    struct declared_metadata metadata;
};

struct declared_view {
    struct declared_text name;
    const char *space;
    bool is_broken;
    uint32_t version;
    struct declared_text entity;
    int64_t ttl_us;
    int64_t future_us; /* INT64_MAX: no bound */
    bool is_visible_from_memory;
    bool evicts;
    struct declared_metadata metadata;
    uint32_t features_count;
    struct declared_feature *features;
    struct declared_view *next;
};

struct declared_service {
    struct declared_text name;
    const char *space;
    bool is_broken;
    struct declared_metadata metadata;
    uint32_t features_count;
    struct declared_text *features; /* "view:feature" or "view:*" */
    struct declared_service *next;
};

struct problem {
    struct place place;
    const char *text; /* what was expected, what was found */
    struct problem *next;
};

struct declarations {
    struct region *region;
    struct declared_entity *entities; /* in the order of the texts; likewise below */
    struct declared_view *views;
    struct declared_service *services;
    struct problem *problems;              /* in the order of their places */
    struct declared_entity **entities_end; /* where the next one is hung */
    struct declared_view **views_end;
    struct declared_service **services_end;
    uint32_t objects_count;
    uint32_t problems_count; /* also those that were not kept */
};

/* Starts without declarations. The region is borrowed. */
void declarations_init(struct declarations *declarations, struct region *region);

/* Notes a problem. */
void declarations_put_problem(struct declarations *declarations, struct place place,
                              const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The first declaration of this name, or NULL; `version` 0 is any. */
struct declared_entity *declarations_find_entity(const struct declarations *declarations,
                                                 const char *space, const char *name);
struct declared_view *declarations_find_view(const struct declarations *declarations,
                                             const char *space, const char *name, uint32_t version);
struct declared_service *declarations_find_service(const struct declarations *declarations,
                                                   const char *space, const char *name);

#endif
