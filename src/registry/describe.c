#include "registry/describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "model/definition.h"
#include "model/value_format.h"
#include "registry/access.h"
#include "registry/change_check.h"
#include "registry/diff.h"

enum { REPLY_BYTES_MAX = 256 << 20 };

void *describe_own(struct region *region, const ProtobufCMessage *message) {
    if (region->failed) return NULL;
    size_t bytes = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = region_get(region, bytes);
    if (!packed) return NULL;
    protobuf_c_message_pack(message, packed);
    return protobuf_c_message_unpack(message->descriptor, NULL, bytes, packed);
}

static char *borrowed(const char *text) {
    return (char *)(uintptr_t)text;
}

/* ---- list ---- */

struct item_list {
    struct region *region;
    size_t count;
    Fst__Item **items; /* room for all objects */
};

static void item_put(struct item_list *list, Fst__Item item) {
    Fst__Item *copy = region_get(list->region, sizeof *copy);
    if (!copy) return;
    *copy = item;
    list->items[list->count++] = copy;
}

static Fst__Item item_of(struct region *region, const char *kind, const char *space,
                         const char *name, const Fst__Registry__Metadata *metadata) {
    Fst__Item item = FST__ITEM__INIT;
    char *full = region_get_format(region, "%s.%s", space, name);
    item.kind = borrowed(kind);
    item.name = full ? full : item.name;
    if (metadata) item.owner = metadata->owner;
    return item;
}

static char *keys_text(struct region *region, const Fst__Registry__Entity *entity) {
    char *text = region_get_text(region, "", 0);
    for (size_t i = 0; i < entity->n_keys && text; i++) {
        char type[TYPE_TEXT_BYTES];
        type_format(change_type(entity->keys[i]->type), type);
        text = region_get_format(region, "%s%s%s %s", text, i ? ", " : "", entity->keys[i]->name,
                                 type);
    }
    return text;
}

static void entities_put(struct item_list *list, const struct registry_state *state) {
    for (size_t i = 0; i < state->entities_count; i++) {
        const Fst__Registry__Entity *entity = state->entities[i];
        Fst__Item item =
            item_of(list->region, "entity", entity->space, entity->name, entity->metadata);
        item.detail = keys_text(list->region, entity);
        item_put(list, item);
    }
}

static void views_put(struct item_list *list, const struct registry_state *state) {
    for (size_t i = 0; i < state->views_count; i++) {
        const Fst__Registry__View *view = state->views[i];
        const Fst__Registry__Entity *entity = state->entities[view->entity_id - 1];
        Fst__Item item = item_of(list->region, "view", view->space, view->name, view->metadata);
        item.version = view->version;
        item.detail = region_get_format(list->region, "of %s, %zu feature%s", entity->name,
                                        view->n_features, view->n_features == 1 ? "" : "s");
        item_put(list, item);
    }
}

static void services_put(struct item_list *list, const struct registry_state *state) {
    for (size_t i = 0; i < state->services_count; i++) {
        const Fst__Registry__Service *service = state->services[i];
        Fst__Item item =
            item_of(list->region, "service", service->space, service->name, service->metadata);
        item.detail = region_get_format(list->region, "%zu entr%s", service->n_features,
                                        service->n_features == 1 ? "y" : "ies");
        item_put(list, item);
    }
}

static int item_order(const void *a, const void *b) {
    const Fst__Item *left = *(Fst__Item *const *)a;
    const Fst__Item *right = *(Fst__Item *const *)b;
    int order = strcmp(left->kind, right->kind); /* entity, service, view */
    if (order == 0) order = strcmp(left->name, right->name);
    if (order != 0) return order;
    return (left->version > right->version) - (left->version < right->version);
}

enum fst_status describe_list(const struct registry_state *state, const char *kind,
                              Fst__ListReply **reply_out) {
    bool has_all = kind[0] == 0;
    bool has_entities = has_all || strcmp(kind, "entities") == 0;
    bool has_views = has_all || strcmp(kind, "views") == 0;
    bool has_services = has_all || strcmp(kind, "services") == 0;
    if (!has_entities && !has_views && !has_services) return FST_INVALID;

    struct region region;
    region_init(&region, REPLY_BYTES_MAX);
    size_t count_max = state->entities_count + state->views_count + state->services_count;
    struct item_list list = {.region = &region};
    list.items = region_get(&region, count_max * sizeof *list.items);
    if (list.items && has_entities) entities_put(&list, state);
    if (list.items && has_views) views_put(&list, state);
    if (list.items && has_services) services_put(&list, state);
    if (list.count > 0) qsort(list.items, list.count, sizeof *list.items, item_order);
    Fst__ListReply reply = FST__LIST_REPLY__INIT;
    reply.n_items = list.count;
    reply.items = list.items;
    *reply_out = describe_own(&region, &reply.base);
    region_deinit(&region);
    return *reply_out ? FST_OK : FST_NO_MEMORY;
}

/* ---- describe ---- */

struct description {
    struct region *region;
    Fst__DescribeReply reply;
    size_t fields_max;
};

static bool description_init(struct description *description, struct region *region,
                             const char *kind, size_t fields_max, size_t columns_max) {
    *description = (struct description){.region = region, .fields_max = fields_max};
    Fst__DescribeReply *reply = &description->reply;
    fst__describe_reply__init(reply);
    reply->kind = borrowed(kind);
    reply->fields = region_get(region, fields_max * sizeof *reply->fields);
    reply->keys = region_get(region, KEY_COLUMNS_MAX * sizeof *reply->keys);
    reply->columns = region_get(region, columns_max * sizeof *reply->columns);
    return reply->fields && reply->keys && reply->columns;
}

static void field_put(struct description *description, const char *name, const char *value) {
    Fst__Field *field = region_get(description->region, sizeof *field);
    if (!field || !value || value[0] == 0) return;
    if (description->reply.n_fields == description->fields_max) return;
    fst__field__init(field);
    field->name = borrowed(name);
    field->value = borrowed(value);
    description->reply.fields[description->reply.n_fields++] = field;
}

static void number_put(struct description *description, const char *name, uint64_t number) {
    field_put(description, name,
              region_get_format(description->region, "%llu", (unsigned long long)number));
}

static void metadata_put(struct description *description, const Fst__Registry__Metadata *metadata) {
    if (!metadata) return;
    field_put(description, "description", metadata->description);
    field_put(description, "owner", metadata->owner);
    for (size_t i = 0; i < metadata->n_tags; i++) {
        const Fst__Registry__Tag *tag = metadata->tags[i];
        field_put(description, region_get_format(description->region, "tag %s", tag->key),
                  tag->value);
    }
}

static Fst__Column *column_make(struct region *region, const char *name, struct type type) {
    char text[TYPE_TEXT_BYTES];
    Fst__Column *column = region_get(region, sizeof *column);
    type_format(type, text);
    char *copy = region_get_text(region, text, strlen(text));
    if (!column || !copy) return NULL;
    fst__column__init(column);
    column->name = borrowed(name);
    column->type = copy;
    return column;
}

static void keys_put(struct description *description, const Fst__Registry__Entity *entity) {
    for (size_t i = 0; i < entity->n_keys; i++) {
        Fst__Column *column = column_make(description->region, entity->keys[i]->name,
                                          change_type(entity->keys[i]->type));
        if (column) description->reply.keys[description->reply.n_keys++] = column;
    }
}

static char *default_text(struct region *region, const Fst__Registry__Feature *feature) {
    struct type type = change_type(feature->type);
    struct bytes value = {.data = feature->default_value.data, .bytes = feature->default_value.len};
    size_t bytes = value_format(type, value, NULL, 0);
    char *text = region_get(region, bytes + 1);
    if (text) value_format(type, value, text, bytes);
    return text;
}

static void features_put(struct description *description, const Fst__Registry__View *view) {
    for (size_t i = 0; i < view->n_features; i++) {
        const Fst__Registry__Feature *feature = view->features[i];
        Fst__Column *column =
            column_make(description->region, feature->name, change_type(feature->type));
        if (!column) return;
        if (feature->has_default) {
            char *text = default_text(description->region, feature);
            if (text) column->default_value = text;
        }
        if (feature->metadata) column->description = feature->metadata->description;
        description->reply.columns[description->reply.n_columns++] = column;
    }
}

static void duration_put(struct description *description, const char *name, int64_t us,
                         const char *text_if_none, int64_t none_us) {
    char text[UNITS_TEXT_BYTES];
    if (us == none_us) {
        field_put(description, name, text_if_none);
        return;
    }
    duration_format(us, text);
    field_put(description, name, region_get_text(description->region, text, strlen(text)));
}

static size_t fields_count(const Fst__Registry__Metadata *metadata) {
    return 16 + (metadata ? metadata->n_tags : 0);
}

static void name_put(struct description *description, const char *space, const char *name) {
    char *full = region_get_format(description->region, "%s.%s", space, name);
    if (full) description->reply.name = full;
}

static bool entity_describe(struct description *description, struct region *region,
                            const Fst__Registry__Entity *entity) {
    if (!description_init(description, region, "entity", fields_count(entity->metadata), 1)) {
        return false;
    }
    name_put(description, entity->space, entity->name);
    metadata_put(description, entity->metadata);
    number_put(description, "id", entity->id);
    keys_put(description, entity);
    return true;
}

static bool view_describe(struct description *description, struct region *region,
                          const struct registry_state *state, const Fst__Registry__View *view) {
    const Fst__Registry__Entity *entity = state->entities[view->entity_id - 1];
    if (!description_init(description, region, "view", fields_count(view->metadata),
                          view->n_features)) {
        return false;
    }
    name_put(description, view->space, view->name);
    metadata_put(description, view->metadata);
    field_put(description, "entity",
              region_get_format(region, "%s.%s", entity->space, entity->name));
    number_put(description, "version", view->version);
    number_put(description, "revision", view->n_revisions);
    duration_put(description, "ttl", view->ttl_us, "none", 0);
    duration_put(description, "future", view->future_us, "off", INT64_MAX);
    field_put(description, "visible", view->is_visible_from_memory ? "memory" : "durable");
    field_put(description, "evict", view->evicts ? "true" : "false");
    number_put(description, "id", view->id);
    keys_put(description, entity);
    features_put(description, view);
    return true;
}

static bool service_describe(struct description *description, struct region *region,
                             const struct registry_state *state,
                             const Fst__Registry__Service *service) {
    struct registry_scope scope = {.state = state};
    if (!description_init(description, region, "service", fields_count(service->metadata),
                          service->n_features)) {
        return false;
    }
    name_put(description, service->space, service->name);
    metadata_put(description, service->metadata);
    number_put(description, "id", service->id);
    for (size_t i = 0; i < service->n_features; i++) {
        const Fst__Registry__ServiceFeature *feature = service->features[i];
        const Fst__Registry__View *view = state->views[feature->view_id - 1];
        const char *label = diff_feature_label(region, &scope, feature, service->space);
        int index = registry_view_find_feature(view, feature->name);
        struct type type = {.kind = TYPE_BOOL};
        if (index >= 0) type = change_type(view->features[index]->type);
        Fst__Column *column = label ? column_make(region, label, type) : NULL;
        if (!column) return false;
        if (index < 0) {
            column->type = region_get_format(region, "%zu feature%s", view->n_features,
                                             view->n_features == 1 ? "" : "s");
        }
        description->reply.columns[description->reply.n_columns++] = column;
    }
    return true;
}

/* The only namespace, or NULL. */
static const char *only_space(const struct registry_state *state) {
    const char *space = NULL;
    for (size_t i = 0; i < state->entities_count; i++) {
        if (space && strcmp(space, state->entities[i]->space) != 0) return NULL;
        space = state->entities[i]->space;
    }
    for (size_t i = 0; i < state->views_count; i++) {
        if (space && strcmp(space, state->views[i]->space) != 0) return NULL;
        space = state->views[i]->space;
    }
    for (size_t i = 0; i < state->services_count; i++) {
        if (space && strcmp(space, state->services[i]->space) != 0) return NULL;
        space = state->services[i]->space;
    }
    return space;
}

static enum fst_status found_describe(struct description *description, struct region *region,
                                      const struct registry_state *state,
                                      const struct reference *reference) {
    struct registry_scope scope = {.state = state};
    const char *space = reference->space.text[0] ? reference->space.text : only_space(state);
    const char *name = reference->name.text;
    if (!space) return FST_UNKNOWN;
    const Fst__Registry__Entity *entity =
        reference->version ? NULL : scope_find_entity(&scope, space, name);
    const Fst__Registry__View *view = scope_find_view(&scope, space, name, reference->version);
    const Fst__Registry__Service *service =
        reference->version ? NULL : scope_find_service(&scope, space, name);
    bool is_made = false;
    if (entity)
        is_made = entity_describe(description, region, entity);
    else if (view)
        is_made = view_describe(description, region, state, view);
    else if (service)
        is_made = service_describe(description, region, state, service);
    else
        return FST_UNKNOWN;
    return is_made ? FST_OK : FST_NO_MEMORY;
}

/* The namespace of something of this name, or NULL. */
static const char *space_of(const struct registry_state *state, const char *name) {
    for (size_t i = 0; i < state->services_count; i++) {
        if (strcmp(state->services[i]->name, name) == 0) return state->services[i]->space;
    }
    for (size_t i = 0; i < state->views_count; i++) {
        if (strcmp(state->views[i]->name, name) == 0) return state->views[i]->space;
    }
    for (size_t i = 0; i < state->entities_count; i++) {
        if (strcmp(state->entities[i]->name, name) == 0) return state->entities[i]->space;
    }
    return NULL;
}

static enum fst_status object_refuse(const struct registry_state *state, const char *name,
                                     const struct reference *reference, struct fst_error *error) {
    const char *space = reference->space.text[0] ? NULL : space_of(state, reference->name.text);
    if (!space) {
        return fst_error_set(error, FST_UNKNOWN, "there is no entity, view or service '%s'", name);
    }
    return fst_error_set(error, FST_UNKNOWN,
                         "there is no entity, view or service '%s', did you mean '%s.%s'?", name,
                         space, name);
}

enum fst_status describe_object(const struct registry_state *state, const char *name,
                                Fst__DescribeReply **reply_out, struct fst_error *error) {
    struct reference reference;
    if (!reference_parse(name, strlen(name), &reference)) {
        return fst_error_set(error, FST_INVALID,
                             "expected a name, such as fraud.profile or fraud.profile@2, found "
                             "'%.128s'",
                             name);
    }
    struct region region;
    struct description description = {0};
    region_init(&region, REPLY_BYTES_MAX);
    enum fst_status status = found_describe(&description, &region, state, &reference);
    if (status == FST_OK) {
        *reply_out = describe_own(&region, &description.reply.base);
        if (!*reply_out) status = FST_NO_MEMORY;
    }
    region_deinit(&region);
    return status == FST_UNKNOWN ? object_refuse(state, name, &reference, error) : status;
}

/* ---- audit and keys ---- */

enum fst_status describe_audit(const struct registry_state *state, Fst__AuditReply **reply_out) {
    struct region region;
    region_init(&region, REPLY_BYTES_MAX);
    size_t count = state->audits_count;
    Fst__AuditItem **items = region_get(&region, count * sizeof *items);
    Fst__AuditItem *values = region_get(&region, count * sizeof *values);
    Fst__AuditReply reply = FST__AUDIT_REPLY__INIT;
    for (size_t i = 0; items && values && i < count; i++) {
        const struct registry_audit *audit = &state->audits[i];
        fst__audit_item__init(&values[i]);
        values[i].generation = audit->generation;
        values[i].at_us = audit->at_us;
        values[i].actor = audit->actor;
        values[i].what = audit->what;
        items[i] = &values[i];
    }
    reply.n_items = count;
    reply.items = items;
    *reply_out = describe_own(&region, &reply.base);
    region_deinit(&region);
    return *reply_out ? FST_OK : FST_NO_MEMORY;
}

static void roles_fill(struct region *region, uint32_t roles, Fst__KeyItem *item) {
    item->roles = region_get(region, 3 * sizeof *item->roles);
    if (!item->roles) return;
    if (roles & ROLE_READ) item->roles[item->n_roles++] = borrowed("read");
    if (roles & ROLE_WRITE) item->roles[item->n_roles++] = borrowed("write");
    if (roles & ROLE_ADMIN) item->roles[item->n_roles++] = borrowed("admin");
}

enum fst_status describe_keys(const struct registry_state *state, Fst__KeyList **reply_out) {
    struct region region;
    region_init(&region, REPLY_BYTES_MAX);
    size_t count = state->keys_count;
    Fst__KeyItem **keys = region_get(&region, count * sizeof *keys);
    Fst__KeyItem *values = region_get(&region, count * sizeof *values);
    Fst__KeyList reply = FST__KEY_LIST__INIT;
    for (size_t i = 0; keys && values && i < count; i++) {
        fst__key_item__init(&values[i]);
        values[i].name = state->keys[i]->name;
        values[i].created_us = state->keys[i]->created_us;
        roles_fill(&region, state->keys[i]->roles, &values[i]);
        keys[i] = &values[i];
    }
    reply.n_keys = count;
    reply.keys = keys;
    *reply_out = describe_own(&region, &reply.base);
    region_deinit(&region);
    return *reply_out ? FST_OK : FST_NO_MEMORY;
}
