#include "registry/yaml_fields.h"

#include "base/text.h"
#include "base/units.h"

enum { FOUND_BYTES = 80 };

/* ---- problems ---- */

struct place yaml_place(const struct yaml_reader *reader, const struct yaml_node *node) {
    return (struct place){.document = reader->document, .line = node->line, .column = node->column};
}

static void found_text(const struct yaml_node *node, char text_out[FOUND_BYTES]) {
    char shown[FOUND_BYTES - 2];
    switch (node->kind) {
    case YAML_MAPPING:
        memcpy(text_out, "a mapping", sizeof "a mapping");
        return;
    case YAML_SEQUENCE:
        if (node->children_count > 0)
            memcpy(text_out, "a list", sizeof "a list");
        else
            memcpy(text_out, "an empty list", sizeof "an empty list");
        return;
    case YAML_SCALAR:
        break;
    }
    if (yaml_node_is_null(node)) {
        memcpy(text_out, "nothing", sizeof "nothing");
        return;
    }
    size_t bytes = text_format_printable(node->text, strlen(node->text), shown, sizeof shown);
    text_out[0] = '\'';
    memcpy(text_out + 1, shown, bytes);
    memcpy(text_out + 1 + bytes, "'", sizeof "'");
}

void yaml_put_problem(struct yaml_reader *reader, const struct yaml_node *node,
                      const char *expected) {
    char found[FOUND_BYTES];
    found_text(node, found);
    declarations_put_problem(reader->declarations, yaml_place(reader, node),
                             "expected %s, found %s", expected, found);
}

/* ---- mappings ---- */

static void key_put_problem(struct yaml_reader *reader, const struct yaml_node *key,
                            const struct yaml_fields *fields) {
    char found[FOUND_BYTES];
    struct text_nearest nearest;
    text_nearest_init(&nearest, key->text);
    for (size_t i = 0; i < fields->count; i++) text_nearest_put(&nearest, fields->fields[i].key);
    const char *known = text_nearest_get(&nearest);
    text_format_printable(key->text, strlen(key->text), found, sizeof found);
    declarations_put_problem(reader->declarations, yaml_place(reader, key),
                             "unknown key '%s'%s%s%s", found, known ? ", did you mean '" : "",
                             known ? known : "", known ? "'?" : "");
}

const struct yaml_node *yaml_find(const struct yaml_node *mapping, const char *key) {
    for (const struct yaml_node *child = mapping->children; child; child = child->next) {
        if (strcmp(child->key->text, key) == 0) return child;
    }
    return NULL;
}

void yaml_read_fields(struct yaml_reader *reader, const struct yaml_node *node,
                      const struct yaml_fields *fields, void *target) {
    for (const struct yaml_node *child = node->children; child; child = child->next) {
        size_t i = 0;
        while (i < fields->count && strcmp(child->key->text, fields->fields[i].key) != 0) i += 1;
        if (i == fields->count) key_put_problem(reader, child->key, fields);
    }
    for (size_t i = 0; i < fields->count; i++) {
        const struct yaml_field *field = &fields->fields[i];
        const struct yaml_node *child = yaml_find(node, field->key);
        if (child) {
            field->read(reader, child, (char *)target + field->offset);
        } else if (field->is_required) {
            declarations_put_problem(reader->declarations, yaml_place(reader, node),
                                     "expected the key '%s'", field->key);
        }
    }
}

bool yaml_list_check(struct yaml_reader *reader, const struct yaml_node *node, const char *expected,
                     uint32_t count_max) {
    if (node->kind != YAML_SEQUENCE || node->children_count == 0) {
        yaml_put_problem(reader, node, expected);
        return false;
    }
    if (node->children_count > count_max) {
        declarations_put_problem(reader->declarations, yaml_place(reader, node),
                                 "expected %s, at most %u of them, found %u", expected, count_max,
                                 node->children_count);
        return false;
    }
    return true;
}

/* ---- scalars ---- */

void yaml_read_name(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    struct declared_text *name = target;
    name->place = yaml_place(reader, node);
    if (node->kind != YAML_SCALAR || !name_is_valid(node->text, strlen(node->text))) {
        yaml_put_problem(reader, node, "a name (a-z, then a-z, 0-9 or _; at most 63 bytes)");
        return;
    }
    name->text = node->text;
}

void yaml_read_column_name(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    struct declared_text *name = target;
    yaml_read_name(reader, node, target);
    if (!name->text) return;
    if (strcmp(name->text, "event_time") == 0 || strcmp(name->text, "created_time") == 0) {
        declarations_put_problem(reader->declarations, name->place,
                                 "'%s' is reserved: every row has it", name->text);
        name->text = NULL;
    }
}

void yaml_read_type(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    struct declared_type *type = target;
    struct fst_error error = {0};
    type->text.place = yaml_place(reader, node);
    if (node->kind != YAML_SCALAR) {
        yaml_put_problem(reader, node, "a type, such as int64 or decimal(2)");
    } else if (type_parse(node->text, &type->type, &error) != FST_OK) {
        declarations_put_problem(reader->declarations, type->text.place, "%s", error.text);
    } else {
        type->text.text = node->text;
    }
}

void yaml_read_duration(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    int64_t *us = target;
    struct fst_error error = {0};
    if (node->kind != YAML_SCALAR) {
        yaml_put_problem(reader, node, "a duration, such as 90s or 7d");
    } else if (duration_parse(node->text, us, &error) != FST_OK) {
        declarations_put_problem(reader->declarations, yaml_place(reader, node), "%s", error.text);
    }
}

static const char *text_read(struct yaml_reader *reader, const struct yaml_node *node,
                             const char *expected, size_t bytes_max) {
    if (node->kind != YAML_SCALAR || yaml_node_is_null(node)) {
        yaml_put_problem(reader, node, expected);
        return NULL;
    }
    if (strlen(node->text) > bytes_max) {
        declarations_put_problem(reader->declarations, yaml_place(reader, node),
                                 "expected %s of at most %zu bytes, found %zu", expected, bytes_max,
                                 strlen(node->text));
        return NULL;
    }
    return node->text;
}

void yaml_read_description(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    struct declared_metadata *metadata = target;
    metadata->description = text_read(reader, node, "a description", DECLARED_TEXT_BYTES_MAX);
}

void yaml_read_owner(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    struct declared_metadata *metadata = target;
    metadata->owner = text_read(reader, node, "an owner", DECLARED_LABEL_BYTES_MAX);
}

void yaml_read_tags(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    struct declared_metadata *metadata = target;
    if (node->kind != YAML_MAPPING) {
        yaml_put_problem(reader, node, "tags, such as {tier: gold}");
        return;
    }
    if (node->children_count > DECLARED_TAGS_MAX) {
        declarations_put_problem(reader->declarations, yaml_place(reader, node),
                                 "expected at most %d tags, found %u", DECLARED_TAGS_MAX,
                                 node->children_count);
        return;
    }
    struct region *region = reader->declarations->region;
    metadata->tags = region_get(region, node->children_count * sizeof *metadata->tags);
    if (!metadata->tags) return;
    for (const struct yaml_node *child = node->children; child; child = child->next) {
        size_t bytes_max = DECLARED_LABEL_BYTES_MAX;
        const char *key = text_read(reader, child->key, "a tag's name", bytes_max);
        const char *value = text_read(reader, child, "a tag's value", bytes_max);
        if (!key || !value) continue;
        metadata->tags[metadata->tags_count++] = (struct declared_tag){.key = key, .value = value};
    }
}

void yaml_read_unsupported(struct yaml_reader *reader, const struct yaml_node *node, void *target) {
    (void)target;
    declarations_put_problem(reader->declarations, yaml_place(reader, node->key),
                             "'%s' is not supported: expected a row view (features with a type)",
                             node->key->text);
}
