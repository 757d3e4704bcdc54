#include "registry/diff.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "base/units.h"
#include "model/value_format.h"
#include "registry/change_check.h"

enum { SHOWN_TEXT_BYTES = 96 };

/* Protobuf's structs have no const: texts of declarations are borrowed until the change is
 * packed. */
static char *borrowed(const char *text) {
    return (char *)(uintptr_t)text;
}

/* ---- lines ---- */

void diff_init(struct diff *diff, struct region *region) {
    *diff = (struct diff){.region = region};
    diff->lines_end = &diff->lines;
}

static void line_put(struct diff *diff, char *text) {
    struct diff_line *line = region_get(diff->region, sizeof *line);
    if (!line || !text) return;
    line->text = text;
    *diff->lines_end = line;
    diff->lines_end = &line->next;
    diff->lines_count += 1;
}

void diff_put_line(struct diff *diff, const char *format, ...) {
    char text[FST_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    line_put(diff, region_get_text(diff->region, text, strlen(text)));
}

void diff_refuse(struct diff *diff, const char *format, ...) {
    char text[FST_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (diff->reason)
        diff->reason = region_get_format(diff->region, "%s; %s", diff->reason, text);
    else
        diff->reason = region_get_text(diff->region, text, strlen(text));
}

/* One property that may be there or not. */
static void property_diff(struct diff *diff, const char *what, const char *before,
                          const char *after) {
    char before_shown[SHOWN_TEXT_BYTES] = "";
    char after_shown[SHOWN_TEXT_BYTES] = "";
    bool has_before = before && before[0] != 0;
    bool has_after = after && after[0] != 0;
    if (has_before) text_format_printable(before, strlen(before), before_shown, SHOWN_TEXT_BYTES);
    if (has_after) text_format_printable(after, strlen(after), after_shown, SHOWN_TEXT_BYTES);
    if (!has_before && has_after) diff_put_line(diff, "+ %s %s", what, after_shown);
    if (has_before && !has_after) diff_put_line(diff, "- %s %s", what, before_shown);
    if (has_before && has_after && strcmp(before, after) != 0) {
        diff_put_line(diff, "~ %s %s -> %s", what, before_shown, after_shown);
    }
}

/* ---- metadata ---- */

static const char *tag_find(const Fst__Registry__Metadata *metadata, const char *key) {
    for (size_t i = 0; metadata && i < metadata->n_tags; i++) {
        if (strcmp(metadata->tags[i]->key, key) == 0) return metadata->tags[i]->value;
    }
    return NULL;
}

static const char *declared_tag_find(const struct declared_metadata *metadata, const char *key) {
    for (uint32_t i = 0; i < metadata->tags_count; i++) {
        if (strcmp(metadata->tags[i].key, key) == 0) return metadata->tags[i].value;
    }
    return NULL;
}

static void metadata_diff(struct diff *diff, const char *prefix,
                          const Fst__Registry__Metadata *stored,
                          const struct declared_metadata *declared) {
    char what[2 * NAME_BYTES_MAX + DECLARED_LABEL_BYTES_MAX];
    snprintf(what, sizeof what, "%sdescription", prefix);
    property_diff(diff, what, stored ? stored->description : NULL, declared->description);
    snprintf(what, sizeof what, "%sowner", prefix);
    property_diff(diff, what, stored ? stored->owner : NULL, declared->owner);
    for (uint32_t i = 0; i < declared->tags_count; i++) {
        const struct declared_tag *tag = &declared->tags[i];
        snprintf(what, sizeof what, "%stag %s", prefix, tag->key);
        property_diff(diff, what, tag_find(stored, tag->key), tag->value);
    }
    for (size_t i = 0; stored && i < stored->n_tags; i++) {
        const Fst__Registry__Tag *tag = stored->tags[i];
        snprintf(what, sizeof what, "%stag %s", prefix, tag->key);
        if (!declared_tag_find(declared, tag->key)) property_diff(diff, what, tag->value, NULL);
    }
}

static Fst__Registry__Metadata *metadata_make(struct region *region,
                                              const struct declared_metadata *declared) {
    Fst__Registry__Metadata *metadata = region_get(region, sizeof *metadata);
    size_t count = declared->tags_count;
    Fst__Registry__Tag **tags = region_get(region, count * sizeof *tags);
    Fst__Registry__Tag *values = region_get(region, count * sizeof *values);
    if (!metadata || !tags || !values) return NULL;
    fst__registry__metadata__init(metadata);
    if (declared->description) metadata->description = borrowed(declared->description);
    if (declared->owner) metadata->owner = borrowed(declared->owner);
    for (size_t i = 0; i < count; i++) {
        fst__registry__tag__init(&values[i]);
        values[i].key = borrowed(declared->tags[i].key);
        values[i].value = borrowed(declared->tags[i].value);
        tags[i] = &values[i];
    }
    metadata->n_tags = count;
    metadata->tags = tags;
    return metadata;
}

static ProtobufCBinaryData type_data(const struct type *type) {
    return (ProtobufCBinaryData){.len = sizeof *type, .data = (uint8_t *)(uintptr_t)type};
}

/* ---- entities ---- */

static bool keys_are_equal(const Fst__Registry__Entity *stored,
                           const struct declared_entity *declared) {
    if (stored->n_keys != declared->keys_count) return false;
    for (uint32_t i = 0; i < declared->keys_count; i++) {
        const struct declared_key *key = &declared->keys[i];
        if (strcmp(stored->keys[i]->name, key->name.text) != 0) return false;
        if (!type_is_equal(change_type(stored->keys[i]->type), key->type.type)) return false;
    }
    return true;
}

static void keys_diff(struct diff *diff, const Fst__Registry__Entity *stored,
                      const struct declared_entity *declared) {
    char text[TYPE_TEXT_BYTES];
    if (stored && keys_are_equal(stored, declared)) return;
    for (size_t i = 0; stored && i < stored->n_keys; i++) {
        type_format(change_type(stored->keys[i]->type), text);
        diff_put_line(diff, "- key %s %s", stored->keys[i]->name, text);
    }
    for (uint32_t i = 0; i < declared->keys_count; i++) {
        type_format(declared->keys[i].type.type, text);
        diff_put_line(diff, "+ key %s %s", declared->keys[i].name.text, text);
    }
    if (!stored) return;
    diff_refuse(diff, "the keys of an entity cannot change: rows are stored under them");
    diff->hint = "define an entity with another name, and views for it";
}

Fst__Registry__Entity *diff_entity(struct diff *diff, const Fst__Registry__Entity *stored,
                                   const struct declared_entity *declared) {
    struct region *region = diff->region;
    size_t count = declared->keys_count;
    Fst__Registry__Entity *entity = region_get(region, sizeof *entity);
    Fst__Registry__KeyColumn **keys = region_get(region, count * sizeof *keys);
    Fst__Registry__KeyColumn *values = region_get(region, count * sizeof *values);
    if (!entity || !keys || !values) return NULL;
    keys_diff(diff, stored, declared);
    metadata_diff(diff, "", stored ? stored->metadata : NULL, &declared->metadata);
    fst__registry__entity__init(entity);
    entity->id = stored ? stored->id : 0;
    entity->space = borrowed(declared->space);
    entity->name = borrowed(declared->name.text);
    entity->metadata = metadata_make(region, &declared->metadata);
    entity->n_keys = count;
    entity->keys = keys;
    for (size_t i = 0; i < count; i++) {
        fst__registry__key_column__init(&values[i]);
        values[i].name = borrowed(declared->keys[i].name.text);
        values[i].type = type_data(&declared->keys[i].type.type);
        keys[i] = &values[i];
    }
    return entity;
}

/* ---- features ---- */

static const struct declared_feature *declared_feature_find(const struct declared_view *view,
                                                            const char *name) {
    for (uint32_t i = 0; i < view->features_count; i++) {
        if (strcmp(view->features[i].name.text, name) == 0) return &view->features[i];
    }
    return NULL;
}

/* Long values are cut: the beginning tells people enough. */
static const char *default_text(struct region *region, struct type type, bool has_default,
                                struct bytes value) {
    char text[SHOWN_TEXT_BYTES];
    char shown[SHOWN_TEXT_BYTES];
    if (!has_default) return "none";
    size_t bytes = value_format(type, value, text, sizeof text);
    if (bytes > sizeof text) bytes = sizeof text;
    size_t shown_bytes = text_format_printable(text, bytes, shown, sizeof shown);
    return region_get_text(region, shown, shown_bytes);
}

static void feature_added(struct diff *diff, const struct declared_feature *declared) {
    char type[TYPE_TEXT_BYTES];
    type_format(declared->type.type, type);
    const char *text = default_text(diff->region, declared->type.type, declared->has_default,
                                    declared->default_value);
    if (!declared->has_default)
        diff_put_line(diff, "+ feature %s %s", declared->name.text, type);
    else
        diff_put_line(diff, "+ feature %s %s default %s", declared->name.text, type, text);
}

static void feature_diff(struct diff *diff, const Fst__Registry__Feature *stored,
                         const struct declared_feature *declared) {
    char before_type[TYPE_TEXT_BYTES];
    char after_type[TYPE_TEXT_BYTES];
    char prefix[NAME_BYTES_MAX + 8];
    struct type before = change_type(stored->type);
    struct type after = declared->type.type;
    if (!type_is_equal(before, after)) {
        type_format(before, before_type);
        type_format(after, after_type);
        diff_put_line(diff, "~ feature %s %s -> %s", stored->name, before_type, after_type);
        if (!type_can_widen(before, after)) {
            diff_refuse(diff,
                        "feature '%s' cannot change from %s to %s (only int32 to int64 and float32 "
                        "to float64)",
                        stored->name, before_type, after_type);
        }
    }
    struct bytes value = {.data = stored->default_value.data, .bytes = stored->default_value.len};
    const char *before_text = default_text(diff->region, before, stored->has_default, value);
    const char *after_text =
        default_text(diff->region, after, declared->has_default, declared->default_value);
    bool is_same = stored->has_default == declared->has_default;
    if (is_same && declared->has_default && type_is_equal(before, after)) {
        is_same = value.bytes == declared->default_value.bytes &&
                  memcmp(value.data, declared->default_value.data, value.bytes) == 0;
    } else if (is_same && before_text && after_text) {
        is_same = strcmp(before_text, after_text) == 0;
    }
    if (!is_same) {
        diff_put_line(diff, "~ default of %s %s -> %s", stored->name, before_text, after_text);
    }
    snprintf(prefix, sizeof prefix, "%s: ", stored->name);
    metadata_diff(diff, prefix, stored->metadata, &declared->metadata);
}

static void features_diff(struct diff *diff, const Fst__Registry__View *stored,
                          const struct declared_view *declared) {
    for (size_t i = 0; stored && i < stored->n_features; i++) {
        const Fst__Registry__Feature *feature = stored->features[i];
        const struct declared_feature *now = declared_feature_find(declared, feature->name);
        if (now) {
            feature_diff(diff, feature, now);
            continue;
        }
        diff_put_line(diff, "- feature %s", feature->name);
        diff_refuse(diff, "feature '%s' is stored and cannot be removed", feature->name);
    }
    for (uint32_t i = 0; i < declared->features_count; i++) {
        const struct declared_feature *feature = &declared->features[i];
        bool is_new = !stored || registry_view_find_feature(stored, feature->name.text) < 0;
        if (is_new) feature_added(diff, feature);
    }
}

static void feature_make(struct region *region, const struct declared_feature *declared,
                         Fst__Registry__Feature *feature) {
    fst__registry__feature__init(feature);
    feature->name = borrowed(declared->name.text);
    feature->type = type_data(&declared->type.type);
    feature->has_default = declared->has_default;
    feature->default_value = (ProtobufCBinaryData){
        .len = declared->default_value.bytes,
        .data = (uint8_t *)(uintptr_t)declared->default_value.data,
    };
    feature->metadata = metadata_make(region, &declared->metadata);
}

/* In stored order: those that are stored already, then the new ones as they are declared. */
static bool features_make(struct region *region, const Fst__Registry__View *stored,
                          const struct declared_view *declared, Fst__Registry__View *view) {
    size_t count = declared->features_count;
    Fst__Registry__Feature **features = region_get(region, count * sizeof *features);
    Fst__Registry__Feature *values = region_get(region, count * sizeof *values);
    if (!features || !values) return false;
    size_t made = 0;
    for (size_t i = 0; stored && i < stored->n_features; i++) {
        const struct declared_feature *feature =
            declared_feature_find(declared, stored->features[i]->name);
        if (feature) feature_make(region, feature, &values[made++]);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct declared_feature *feature = &declared->features[i];
        bool is_new = !stored || registry_view_find_feature(stored, feature->name.text) < 0;
        if (is_new) feature_make(region, feature, &values[made++]);
    }
    for (size_t i = 0; i < made; i++) features[i] = &values[i];
    view->n_features = made;
    view->features = features;
    return true;
}

/* A new revision if the types of the stored columns are not what they were. */
static bool revisions_make(struct diff *diff, const Fst__Registry__View *stored,
                           Fst__Registry__View *view) {
    size_t stored_count = stored ? stored->n_revisions : 0;
    size_t bytes = view->n_features * TYPE_WIRE_BYTES;
    ProtobufCBinaryData *revisions =
        region_get(diff->region, (stored_count + 1) * sizeof *revisions);
    uint8_t *types = region_get(diff->region, bytes);
    if (!revisions || !types) return false;
    for (size_t i = 0; i < stored_count; i++) revisions[i] = stored->revisions[i];
    for (size_t i = 0; i < view->n_features; i++) {
        memcpy(types + i * TYPE_WIRE_BYTES, view->features[i]->type.data, TYPE_WIRE_BYTES);
    }
    view->revisions = revisions;
    view->n_revisions = stored_count;
    const ProtobufCBinaryData *last = stored_count > 0 ? &revisions[stored_count - 1] : NULL;
    if (last && last->len == bytes && memcmp(last->data, types, bytes) == 0) return true;
    revisions[view->n_revisions++] = (ProtobufCBinaryData){.len = bytes, .data = types};
    if (view->n_revisions > REVISIONS_MAX) {
        diff_refuse(diff, "the view has changed its columns %d times, which is the most it may",
                    REVISIONS_MAX - 1);
    }
    return true;
}

/* ---- views ---- */

static const char *future_text(struct region *region, int64_t future_us) {
    char text[UNITS_TEXT_BYTES];
    if (future_us == INT64_MAX) return "off";
    duration_format(future_us, text);
    return region_get_text(region, text, strlen(text));
}

static const char *ttl_text(struct region *region, int64_t ttl_us) {
    return ttl_us == 0 ? "none" : future_text(region, ttl_us);
}

static const char *visible_text(bool is_from_memory) {
    return is_from_memory ? "memory" : "durable";
}

static const char *evict_text(bool evicts) {
    return evicts ? "true" : "false";
}

/* For a new view only what is not the default is worth a line. */
static void options_diff(struct diff *diff, const Fst__Registry__View *stored,
                         const struct declared_view *declared) {
    struct region *region = diff->region;
    int64_t ttl_us = stored ? stored->ttl_us : 0;
    int64_t future_us = stored ? stored->future_us : VIEW_FUTURE_US_DEFAULT;
    bool is_from_memory = stored && stored->is_visible_from_memory;
    const char *mark = stored ? "~" : "+";
    if (ttl_us != declared->ttl_us) {
        const char *before = stored ? ttl_text(region, ttl_us) : "";
        diff_put_line(diff, "%s ttl %s%s%s", mark, before, stored ? " -> " : "",
                      ttl_text(region, declared->ttl_us));
    }
    if (future_us != declared->future_us) {
        const char *before = stored ? future_text(region, future_us) : "";
        diff_put_line(diff, "%s future %s%s%s", mark, before, stored ? " -> " : "",
                      future_text(region, declared->future_us));
    }
    if (is_from_memory != declared->is_visible_from_memory) {
        const char *before = stored ? visible_text(is_from_memory) : "";
        diff_put_line(diff, "%s visible %s%s%s", mark, before, stored ? " -> " : "",
                      visible_text(declared->is_visible_from_memory));
    }
    bool evicts = stored && stored->evicts;
    if (evicts != declared->evicts) {
        const char *before = stored ? evict_text(evicts) : "";
        diff_put_line(diff, "%s evict %s%s%s", mark, before, stored ? " -> " : "",
                      evict_text(declared->evicts));
    }
}

Fst__Registry__View *diff_view(struct diff *diff, const Fst__Registry__View *stored,
                               const struct declared_view *declared, uint32_t entity_id) {
    struct region *region = diff->region;
    Fst__Registry__View *view = region_get(region, sizeof *view);
    if (!view) return NULL;
    if (!stored) {
        diff_put_line(diff, "+ entity %s", declared->entity.text);
    } else if (stored->entity_id != entity_id) {
        diff_put_line(diff, "~ entity -> %s", declared->entity.text);
        diff_refuse(diff, "the entity of a view cannot change: rows are stored under its keys");
    }
    options_diff(diff, stored, declared);
    metadata_diff(diff, "", stored ? stored->metadata : NULL, &declared->metadata);
    features_diff(diff, stored, declared);

    fst__registry__view__init(view);
    view->id = stored ? stored->id : 0;
    view->version = declared->version;
    view->space = borrowed(declared->space);
    view->name = borrowed(declared->name.text);
    view->metadata = metadata_make(region, &declared->metadata);
    view->entity_id = entity_id;
    view->ttl_us = declared->ttl_us;
    view->future_us = declared->future_us;
    view->is_visible_from_memory = declared->is_visible_from_memory;
    view->evicts = declared->evicts;
    if (!features_make(region, stored, declared, view)) return NULL;
    return revisions_make(diff, stored, view) ? view : NULL;
}

/* ---- services ---- */

const char *diff_feature_label(struct region *region, const struct registry_scope *scope,
                               const Fst__Registry__ServiceFeature *feature, const char *space) {
    const Fst__Registry__View *view = scope_get_view(scope, feature->view_id);
    bool is_near = strcmp(view->space, space) == 0;
    const char *prefix = is_near ? "" : view->space;
    const char *point = is_near ? "" : ".";
    if (view->version == 1) {
        return region_get_format(region, "%s%s%s:%s", prefix, point, view->name, feature->name);
    }
    return region_get_format(region, "%s%s%s@%u:%s", prefix, point, view->name, view->version,
                             feature->name);
}

static bool service_has(Fst__Registry__ServiceFeature *const *features, size_t count,
                        const Fst__Registry__ServiceFeature *wanted) {
    for (size_t i = 0; i < count; i++) {
        if (features[i]->view_id != wanted->view_id) continue;
        if (strcmp(features[i]->name, wanted->name) == 0) return true;
    }
    return false;
}

Fst__Registry__Service *diff_service(struct diff *diff, const struct registry_scope *scope,
                                     const Fst__Registry__Service *stored,
                                     const struct declared_service *declared,
                                     Fst__Registry__ServiceFeature **wanted) {
    Fst__Registry__Service *service = region_get(diff->region, sizeof *service);
    if (!service) return NULL;
    size_t lines_before = diff->lines_count;
    size_t count = declared->features_count;
    size_t stored_count = stored ? stored->n_features : 0;
    for (size_t i = 0; i < stored_count; i++) {
        if (service_has(wanted, count, stored->features[i])) continue;
        diff_put_line(
            diff, "- feature %s",
            diff_feature_label(diff->region, scope, stored->features[i], declared->space));
    }
    for (size_t i = 0; i < count; i++) {
        if (stored && service_has(stored->features, stored_count, wanted[i])) continue;
        diff_put_line(diff, "+ feature %s",
                      diff_feature_label(diff->region, scope, wanted[i], declared->space));
    }
    bool is_moved = false;
    for (size_t i = 0; diff->lines_count == lines_before && i < count && i < stored_count; i++) {
        if (!service_has(&stored->features[i], 1, wanted[i])) is_moved = true;
    }
    if (is_moved) diff_put_line(diff, "~ order of features");
    metadata_diff(diff, "", stored ? stored->metadata : NULL, &declared->metadata);

    fst__registry__service__init(service);
    service->id = stored ? stored->id : 0;
    service->space = borrowed(declared->space);
    service->name = borrowed(declared->name.text);
    service->metadata = metadata_make(diff->region, &declared->metadata);
    service->n_features = count;
    service->features = wanted;
    return service;
}
