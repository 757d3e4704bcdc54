#include "registry/yaml.h"

#include <stdlib.h>

#include "base/assert.h"
#include "model/value_parse.h"
#include "registry/yaml_fields.h"

enum { VERSION_MAX = 1000000, ELEMENT_BYTES_MAX = 16, TEXT_ESCAPE_BYTES = 6 };

/* ---- entities ---- */

static void key_type_read(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    struct declared_type *type = target;
    yaml_read_type(reader, node, target);
    if (type->text.text && !key_type_is_allowed(type->type)) {
        yaml_put_problem(reader, node,
                         "a type for keys (bool, int32, int64, timestamp, string, bytes, uuid)");
    }
}

static const struct yaml_field key_fields[] = {
    {"name", yaml_read_column_name, offsetof(struct declared_key, name), true},
    {"type", key_type_read, offsetof(struct declared_key, type), true},
};

static void keys_read(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    struct declared_entity *entity = target;
    const char *expected = "a list of key columns, such as [{name: customer_id, type: int64}]";
    if (!yaml_list_check(reader, node, expected, KEY_COLUMNS_MAX)) return;
    struct region *region = reader->declarations->region;
    entity->keys = region_get(region, node->children_count * sizeof *entity->keys);
    if (!entity->keys) return;
    for (const struct yaml_node *child = node->children; child; child = child->next) {
        struct declared_key *key = &entity->keys[entity->keys_count];
        if (child->kind != YAML_MAPPING) {
            yaml_put_problem(reader, child, "a key column, such as {name: id, type: int64}");
            continue;
        }
        yaml_read_fields(reader, child, YAML_FIELDS(key_fields), key);
        for (uint32_t i = 0; key->name.text && i < entity->keys_count; i++) {
            const char *other = entity->keys[i].name.text;
            if (!other || strcmp(other, key->name.text) != 0) continue;
            declarations_put_problem(reader->declarations, key->name.place,
                                     "key column '%s' is given twice", other);
        }
        entity->keys_count += 1;
    }
}

static const struct yaml_field entity_fields[] = {
    {"name", yaml_read_name, offsetof(struct declared_entity, name), true},
    {"keys", keys_read, 0, true},
    {"description", yaml_read_description, offsetof(struct declared_entity, metadata), false},
    {"owner", yaml_read_owner, offsetof(struct declared_entity, metadata), false},
    {"tags", yaml_read_tags, offsetof(struct declared_entity, metadata), false},
};

static void entity_read(struct yaml_reader *reader, const struct yaml_node *node) {
    struct declarations *declarations = reader->declarations;
    uint32_t problems_before = declarations->problems_count;
    struct declared_entity *entity = region_get(declarations->region, sizeof *entity);
    if (!entity) return;
    entity->space = reader->space;
    yaml_read_fields(reader, node, YAML_FIELDS(entity_fields), entity);
    entity->is_broken = declarations->problems_count > problems_before;
    *declarations->entities_end = entity;
    declarations->entities_end = &entity->next;
}

/* ---- features ---- */

/* One text as a JSON string; every character that might need it is escaped. */
static void json_string_write(struct writer *out, const char *text) {
    static const char digits[] = "0123456789abcdef";
    write_u8(out, '"');
    for (const char *at = text; *at; at++) {
        uint8_t c = (uint8_t)*at;
        uint8_t escape[TEXT_ESCAPE_BYTES] = {
            '\\', 'u', '0', '0', (uint8_t)digits[c >> 4], (uint8_t)digits[c & 15]};
        if (c < 0x20 || c == '"' || c == '\\')
            write_bytes(out, escape, sizeof escape);
        else
            write_u8(out, c);
    }
    write_u8(out, '"');
}

/* A YAML list as a JSON array of strings, which value_parse takes for every kind of element. */
static struct bytes json_array(struct region *region, const struct yaml_node *node) {
    size_t bytes_max = 2;
    for (const struct yaml_node *child = node->children; child; child = child->next) {
        bytes_max += 8;
        if (child->kind == YAML_SCALAR) bytes_max += TEXT_ESCAPE_BYTES * strlen(child->text);
    }
    uint8_t *room = region_get(region, bytes_max);
    if (!room) return (struct bytes){0};
    struct writer out = writer_of(room, bytes_max);
    write_u8(&out, '[');
    for (const struct yaml_node *child = node->children; child; child = child->next) {
        if (child != node->children) write_u8(&out, ',');
        bool is_text = child->kind == YAML_SCALAR && !yaml_node_is_null(child);
        if (is_text)
            json_string_write(&out, child->text);
        else
            write_bytes(&out, "null", 4);
    }
    write_u8(&out, ']');
    FST_ASSERT(!out.failed);
    return (struct bytes){.data = room, .bytes = writer_used(&out)};
}

/* Comes after the type in the table of fields. */
static void feature_default_read(struct yaml_reader *reader, const struct yaml_node *node,
                                 void *target) {
    struct declared_feature *feature = target;
    struct region *region = reader->declarations->region;
    const char *expected = "a default of the feature's type (without one, leave the key out)";
    if (!feature->type.text.text) return;
    if (node->kind == YAML_MAPPING || yaml_node_is_null(node)) {
        yaml_put_problem(reader, node, expected);
        return;
    }
    struct bytes text = {.data = (const uint8_t *)node->text};
    if (node->kind == YAML_SEQUENCE)
        text = json_array(region, node);
    else
        text.bytes = strlen(node->text);
    if (!text.data) return;

    size_t room_bytes = type_fixed_bytes(feature->type.type);
    if (room_bytes == 0) room_bytes = ELEMENT_BYTES_MAX * (text.bytes + 1);
    uint8_t *room = region_get(region, room_bytes);
    if (!room) return;
    struct writer out = writer_of(room, room_bytes);
    enum fst_status status =
        value_parse(feature->type.type, (const char *)text.data, text.bytes, &out, &expected);
    if (status != FST_OK) {
        yaml_put_problem(reader, node, expected);
        return;
    }
    feature->has_default = true;
    feature->default_value = (struct bytes){.data = room, .bytes = writer_used(&out)};
}

static const struct yaml_field feature_fields[] = {
    {"name", yaml_read_column_name, offsetof(struct declared_feature, name), true},
    {"type", yaml_read_type, offsetof(struct declared_feature, type), true},
    {"default", feature_default_read, 0, false},
    {"description", yaml_read_description, offsetof(struct declared_feature, metadata), false},
    {"tags", yaml_read_tags, offsetof(struct declared_feature, metadata), false},
};

static void feature_read(struct yaml_reader *reader, const struct yaml_node *node,
                         struct declared_feature *feature) {
    const struct yaml_node *aggregate = yaml_find(node, "agg");
    if (aggregate)
        yaml_read_unsupported(reader, aggregate, NULL);
    else
        yaml_read_fields(reader, node, YAML_FIELDS(feature_fields), feature);
}

static void features_read(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    struct declared_view *view = target;
    const char *expected = "a list of features, such as [{name: score, type: float64}]";
    if (!yaml_list_check(reader, node, expected, FEATURES_MAX)) return;
    struct region *region = reader->declarations->region;
    view->features = region_get(region, node->children_count * sizeof *view->features);
    if (!view->features) return;
    for (const struct yaml_node *child = node->children; child; child = child->next) {
        struct declared_feature *feature = &view->features[view->features_count];
        if (child->kind != YAML_MAPPING) {
            yaml_put_problem(reader, child, "a feature, such as {name: score, type: float64}");
            continue;
        }
        feature_read(reader, child, feature);
        for (uint32_t i = 0; feature->name.text && i < view->features_count; i++) {
            const char *other = view->features[i].name.text;
            if (!other || strcmp(other, feature->name.text) != 0) continue;
            declarations_put_problem(reader->declarations, feature->name.place,
                                     "feature '%s' is given twice", other);
        }
        view->features_count += 1;
    }
}

/* ---- views ---- */

static void version_read(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    uint32_t *version = target;
    char *end = NULL;
    bool is_number = node->kind == YAML_SCALAR && node->text[0] >= '1' && node->text[0] <= '9';
    unsigned long number = is_number ? strtoul(node->text, &end, 10) : 0;
    if (!is_number || *end != 0 || number > VERSION_MAX) {
        yaml_put_problem(reader, node, "a version from 1 to 1000000");
        return;
    }
    *version = (uint32_t)number;
}

/* "name" or "namespace.name"; what it means is for the plan. */
static void reference_read(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    struct declared_text *reference = target;
    reference->place = yaml_place(reader, node);
    if (node->kind == YAML_SCALAR && !yaml_node_is_null(node))
        reference->text = node->text;
    else
        yaml_put_problem(reader, node, "a name");
}

static void future_read(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    int64_t *future_us = target;
    if (node->kind == YAML_SCALAR && strcmp(node->text, "off") == 0)
        *future_us = INT64_MAX;
    else
        yaml_read_duration(reader, node, target);
}

static void visible_read(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    bool *is_visible_from_memory = target;
    bool is_memory = node->kind == YAML_SCALAR && strcmp(node->text, "memory") == 0;
    bool is_durable = node->kind == YAML_SCALAR && strcmp(node->text, "durable") == 0;
    if (!is_memory && !is_durable) yaml_put_problem(reader, node, "memory or durable");
    *is_visible_from_memory = is_memory;
}

static void evict_read(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    bool *evicts = target;
    bool is_true = node->kind == YAML_SCALAR && strcmp(node->text, "true") == 0;
    bool is_false = node->kind == YAML_SCALAR && strcmp(node->text, "false") == 0;
    if (!is_true && !is_false) yaml_put_problem(reader, node, "true or false");
    *evicts = is_true;
}

static const struct yaml_field view_fields[] = {
    {"name", yaml_read_name, offsetof(struct declared_view, name), true},
    {"version", version_read, offsetof(struct declared_view, version), false},
    {"entity", reference_read, offsetof(struct declared_view, entity), true},
    {"ttl", yaml_read_duration, offsetof(struct declared_view, ttl_us), false},
    {"future", future_read, offsetof(struct declared_view, future_us), false},
    {"visible", visible_read, offsetof(struct declared_view, is_visible_from_memory), false},
    {"evict", evict_read, offsetof(struct declared_view, evicts), false},
    {"features", features_read, 0, true},
    {"description", yaml_read_description, offsetof(struct declared_view, metadata), false},
    {"owner", yaml_read_owner, offsetof(struct declared_view, metadata), false},
    {"tags", yaml_read_tags, offsetof(struct declared_view, metadata), false},
    {"partial", yaml_read_unsupported, 0, false},
};

static void view_read(struct yaml_reader *reader, const struct yaml_node *node) {
    struct declarations *declarations = reader->declarations;
    uint32_t problems_before = declarations->problems_count;
    struct declared_view *view = region_get(declarations->region, sizeof *view);
    if (!view) return;
    *view = (struct declared_view){
        .space = reader->space, .version = 1, .future_us = VIEW_FUTURE_US_DEFAULT};
    const struct yaml_node *source = yaml_find(node, "source");
    if (source) {
        /* One problem for an aggregate view, not one for each of its features. */
        const struct yaml_node *name = yaml_find(node, "name");
        if (name) yaml_read_name(reader, name, &view->name);
        yaml_read_unsupported(reader, source, NULL);
    } else {
        yaml_read_fields(reader, node, YAML_FIELDS(view_fields), view);
    }
    view->is_broken = declarations->problems_count > problems_before;
    *declarations->views_end = view;
    declarations->views_end = &view->next;
}

/* ---- services ---- */

static void service_features_read(struct yaml_reader *reader, const struct yaml_node *node,
                                  void *target) {
    struct declared_service *service = target;
    const char *expected = "a list of features, such as [\"profile:score\", \"profile:*\"]";
    if (!yaml_list_check(reader, node, expected, FEATURES_MAX)) return;
    struct region *region = reader->declarations->region;
    service->features = region_get(region, node->children_count * sizeof *service->features);
    if (!service->features) return;
    for (const struct yaml_node *child = node->children; child; child = child->next) {
        if (child->kind != YAML_SCALAR || yaml_node_is_null(child)) {
            yaml_put_problem(reader, child, "view:feature or view:*");
            continue;
        }
        service->features[service->features_count++] =
            (struct declared_text){.text = child->text, .place = yaml_place(reader, child)};
    }
}

static const struct yaml_field service_fields[] = {
    {"name", yaml_read_name, offsetof(struct declared_service, name), true},
    {"features", service_features_read, 0, true},
    {"description", yaml_read_description, offsetof(struct declared_service, metadata), false},
    {"owner", yaml_read_owner, offsetof(struct declared_service, metadata), false},
    {"tags", yaml_read_tags, offsetof(struct declared_service, metadata), false},
};

static void service_read(struct yaml_reader *reader, const struct yaml_node *node) {
    struct declarations *declarations = reader->declarations;
    uint32_t problems_before = declarations->problems_count;
    struct declared_service *service = region_get(declarations->region, sizeof *service);
    if (!service) return;
    service->space = reader->space;
    yaml_read_fields(reader, node, YAML_FIELDS(service_fields), service);
    service->is_broken = declarations->problems_count > problems_before;
    *declarations->services_end = service;
    declarations->services_end = &service->next;
}

/* ---- documents ---- */

static void each_read(struct yaml_reader *reader, const struct yaml_node *node,
                      const char *expected,
                      void (*read)(struct yaml_reader *reader, const struct yaml_node *node)) {
    if (yaml_node_is_null(node)) return;
    if (node->kind == YAML_SEQUENCE && node->children_count == 0) return;
    if (!yaml_list_check(reader, node, expected, YAML_NODES_MAX)) return;
    struct declarations *declarations = reader->declarations;
    for (const struct yaml_node *child = node->children; child; child = child->next) {
        if (declarations->objects_count++ == DECLARED_OBJECTS_MAX) {
            declarations_put_problem(declarations, yaml_place(reader, child),
                                     "expected at most %d definitions at once",
                                     DECLARED_OBJECTS_MAX);
        }
        if (declarations->objects_count > DECLARED_OBJECTS_MAX) return;
        if (child->kind == YAML_MAPPING)
            read(reader, child);
        else
            yaml_put_problem(reader, child, expected);
    }
}

static void namespace_read(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    struct declared_text space = {0};
    (void)target;
    yaml_read_name(reader, node, &space);
    if (space.text) reader->space = space.text;
}

static void entities_read(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    (void)target;
    each_read(reader, node, "a list of entities (name, keys)", entity_read);
}

static void views_read(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    (void)target;
    each_read(reader, node, "a list of views (name, entity, features)", view_read);
}

static void services_read(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    (void)target;
    each_read(reader, node, "a list of services (name, features)", service_read);
}

static const struct yaml_field document_fields[] = {
    {"namespace", namespace_read, 0, false},
    {"entities", entities_read, 0, false},
    {"views", views_read, 0, false},
    {"services", services_read, 0, false},
    {"sources", yaml_read_unsupported, 0, false},
};

enum fst_status yaml_read(struct bytes text, uint32_t document, struct declarations *declarations) {
    struct yaml_problem problem = {0};
    struct yaml_node *tree = NULL;
    enum fst_status status = yaml_tree_read(text, declarations->region, &tree, &problem);
    if (status == FST_INVALID) {
        struct place place = {.document = document, .line = problem.line, .column = problem.column};
        declarations_put_problem(declarations, place, "%s", problem.text);
        return FST_OK;
    }
    FST_TRY(status);
    for (const struct yaml_node *node = tree; node; node = node->next) {
        struct yaml_reader reader = {
            .declarations = declarations, .document = document, .space = YAML_NAMESPACE_DEFAULT};
        if (node->kind == YAML_MAPPING) {
            yaml_read_fields(&reader, node, YAML_FIELDS(document_fields), &reader);
        } else {
            yaml_put_problem(&reader, node, "definitions (namespace, entities, views, services)");
        }
    }
    return declarations->region->failed ? FST_NO_MEMORY : FST_OK;
}
