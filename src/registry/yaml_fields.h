/*
 * yaml_fields: reads the mappings and scalars of definitions, by tables of keys.
 *
 * Each kind of mapping has a table of struct field: the key, the function that reads its value, and
 * where in the caller's struct it goes. Whatever does not fit becomes a problem with its place, and
 * reading goes on. Nothing is reported here as a status: who asks compares the number of problems
 * before and after.
 *
 * Threads: one. Memory: what is stored borrows from the tree, or lies in the region of the
 *          declarations.
 */
#ifndef REGISTRY_YAML_FIELDS_H
#define REGISTRY_YAML_FIELDS_H

#include "registry/declaration.h"
#include "registry/yaml_tree.h"

struct yaml_reader {
    struct declarations *declarations;
    uint32_t document;
    const char *space; /* the namespace of the document */
};

struct yaml_field {
    const char *key;
    void (*read)(struct yaml_reader *reader, const struct yaml_node *node, void *target);
    size_t offset; /* of the target in the struct that the table is for */
    bool is_required;
};

struct yaml_fields {
    const struct yaml_field *fields;
    size_t count;
};

#define YAML_FIELDS(table)                                                                         \
    (&(const struct yaml_fields){.fields = (table), .count = sizeof(table) / sizeof((table)[0])})

struct place yaml_place(const struct yaml_reader *reader, const struct yaml_node *node);

/* Notes "expected ..., found ..." at the node. */
void yaml_put_problem(struct yaml_reader *reader, const struct yaml_node *node,
                      const char *expected);

/* Reads a mapping in the order of the table, so that a field may use what an earlier one has
 * stored. Unknown keys are problems that name the nearest known one. */
void yaml_read_fields(struct yaml_reader *reader, const struct yaml_node *node,
                      const struct yaml_fields *fields, void *target);

/* The value of a key, or NULL. */
const struct yaml_node *yaml_find(const struct yaml_node *mapping, const char *key);

/* True if the node is a list of 1 to `count_max` entries; else a problem. */
bool yaml_list_check(struct yaml_reader *reader, const struct yaml_node *node, const char *expected,
                     uint32_t count_max);

/* For tables: the target is a */
void yaml_read_name(struct yaml_reader *reader, const struct yaml_node *node,
                    void *target); /* struct declared_text */
void yaml_read_column_name(struct yaml_reader *reader, const struct yaml_node *node,
                           void *target); /* struct declared_text; no reserved name */
void yaml_read_type(struct yaml_reader *reader, const struct yaml_node *node,
                    void *target); /* struct declared_type */
void yaml_read_duration(struct yaml_reader *reader, const struct yaml_node *node,
                        void *target); /* int64_t, microseconds */
void yaml_read_description(struct yaml_reader *reader, const struct yaml_node *node,
                           void *target); /* struct declared_metadata; likewise below */
void yaml_read_owner(struct yaml_reader *reader, const struct yaml_node *node, void *target);
void yaml_read_tags(struct yaml_reader *reader, const struct yaml_node *node, void *target);

/* For keys that belong to aggregates: a problem that says what is supported. */
void yaml_read_unsupported(struct yaml_reader *reader, const struct yaml_node *node, void *target);

#endif
