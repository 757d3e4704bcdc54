/* A change that is right is broken in one way after the other; each must be seen before it
 * reaches the state. */
#include "tests/registry/apply.h"

#include "registry/change.pb-c.h"
#include "registry/change_check.h"

static const char text[] = "entities:\n- {name: e, keys: [{name: k, type: int64}, {name: l, type: "
                           "string}]}\n- {name: f, keys: [{name: m, type: bool}]}\n"
                           "views:\n- {name: v, entity: e, features: [{name: a, type: int32, "
                           "default: 1}, {name: b, type: string}]}\n"
                           "- {name: w, entity: f, features: [{name: a, type: bool}]}\n"
                           "services:\n- {name: s, features: [\"v:a\", \"w:*\"]}\n";

/* The same definitions with more: a second change on top of the first. */
static const char more[] =
    "entities:\n- {name: e, owner: me, keys: [{name: k, type: int64}, {name: l, type: string}]}\n"
    "views:\n- {name: v, entity: e, features: [{name: a, type: int64}, {name: b, type: string}, "
    "{name: c, type: bool}]}\n"
    "- {name: w, version: 2, entity: f, features: [{name: a, type: bool}]}\n"
    "services:\n- {name: s, features: [\"v:c\"]}\n- {name: t, features: [\"w:*\"]}\n";

static void text_set(char **field, const char *value) {
    free(*field);
    *field = strdup(value);
    assert_non_null(*field);
}

static void break_generation(Fst__Registry__Change *c) {
    c->generation += 1;
}
static void break_entity_name(Fst__Registry__Change *c) {
    text_set(&c->entities[0]->name, "E");
}
static void break_entity_space(Fst__Registry__Change *c) {
    text_set(&c->entities[0]->space, "a.b");
}
static void break_entity_id_zero(Fst__Registry__Change *c) {
    c->entities[0]->id = 0;
}
static void break_entity_id_gap(Fst__Registry__Change *c) {
    c->entities[0]->id = 9;
}
static void break_entity_id_other(Fst__Registry__Change *c) {
    c->entities[0]->id = 2;
}
static void break_key_type(Fst__Registry__Change *c) {
    c->entities[0]->keys[0]->type.data[0] = TYPE_FLOAT64;
}
static void break_key_type_length(Fst__Registry__Change *c) {
    c->entities[0]->keys[0]->type.len = 7;
}
static void break_key_type_of_stored(Fst__Registry__Change *c) {
    c->entities[0]->keys[0]->type.data[0] = TYPE_INT32;
}
static void break_key_twice(Fst__Registry__Change *c) {
    text_set(&c->entities[0]->keys[1]->name, "k");
}
static void break_view_entity(Fst__Registry__Change *c) {
    c->views[0]->entity_id = 3;
}
static void break_view_entity_of_stored(Fst__Registry__Change *c) {
    c->views[0]->entity_id = 2;
}
static void break_view_version(Fst__Registry__Change *c) {
    c->views[1]->version = 0;
}
static void break_view_id_twice(Fst__Registry__Change *c) {
    c->views[1]->id = c->views[0]->id;
}
static void break_view_id_of_another(Fst__Registry__Change *c) {
    c->views[1]->id = 2;
}
static void break_view_ttl(Fst__Registry__Change *c) {
    c->views[0]->ttl_us = -1;
}
static void break_view_future(Fst__Registry__Change *c) {
    c->views[0]->future_us = INT64_MIN;
}
static void break_feature_name(Fst__Registry__Change *c) {
    text_set(&c->views[0]->features[1]->name, "");
}
static void break_feature_twice(Fst__Registry__Change *c) {
    text_set(&c->views[0]->features[1]->name, "a");
}
static void break_feature_is_key(Fst__Registry__Change *c) {
    text_set(&c->views[0]->features[1]->name, "k");
}
static void break_feature_type(Fst__Registry__Change *c) {
    c->views[0]->features[1]->type.data[1] = 5;
}
static void break_default(Fst__Registry__Change *c) {
    c->views[0]->features[0]->has_default = true;
}
static void break_no_revision(Fst__Registry__Change *c) {
    for (size_t i = 0; i < c->views[0]->n_revisions; i++) free(c->views[0]->revisions[i].data);
    c->views[0]->n_revisions = 0;
}
static void break_revision_length(Fst__Registry__Change *c) {
    c->views[0]->revisions[0].len -= 1;
}
static void break_last_revision_shorter(Fst__Registry__Change *c) {
    c->views[0]->revisions[1].len -= 8;
}
static void break_revision_longer_than_next(Fst__Registry__Change *c) {
    ProtobufCBinaryData *revisions = c->views[0]->revisions;
    free(revisions[0].data);
    revisions[0].data = malloc(revisions[1].len);
    assert_non_null(revisions[0].data);
    memcpy(revisions[0].data, revisions[1].data, revisions[1].len);
    revisions[0].len = revisions[1].len;
    revisions[1].len -= 8;
}
static void break_revision_narrows(Fst__Registry__Change *c) {
    c->views[0]->revisions[0].data[0] = TYPE_FLOAT32;
}
static void break_revision_differs_from_view(Fst__Registry__Change *c) {
    c->views[0]->features[2]->type.data[0] = TYPE_INT32;
}
static void break_service_view(Fst__Registry__Change *c) {
    c->services[0]->features[0]->view_id = 99;
}
static void break_service_feature(Fst__Registry__Change *c) {
    text_set(&c->services[0]->features[0]->name, "zzz");
}
static void break_service_id(Fst__Registry__Change *c) {
    c->services[1]->id = 4;
}
static void break_revoked_key(Fst__Registry__Change *c) {
    c->revoked = calloc(1, sizeof *c->revoked);
    assert_non_null(c->revoked);
    c->revoked[c->n_revoked++] = strdup("nobody");
}
static void break_key_hash(Fst__Registry__Change *c) {
    c->keys = calloc(1, sizeof *c->keys);
    assert_non_null(c->keys);
    c->keys[0] = calloc(1, sizeof *c->keys[0]);
    assert_non_null(c->keys[0]);
    fst__registry__key__init(c->keys[0]);
    c->keys[0]->name = strdup("key");
    c->n_keys = 1;
}

static const struct break_case {
    const char *name;
    void (*apply)(Fst__Registry__Change *change);
} break_cases[] = {
    {"generation", break_generation},
    {"entity name", break_entity_name},
    {"entity namespace", break_entity_space},
    {"entity id 0", break_entity_id_zero},
    {"entity id with a gap", break_entity_id_gap},
    {"entity id of another", break_entity_id_other},
    {"key of a kind that is not allowed", break_key_type},
    {"key type of seven bytes", break_key_type_length},
    {"key type other than stored", break_key_type_of_stored},
    {"key twice", break_key_twice},
    {"view of no entity", break_view_entity},
    {"view of another entity than stored", break_view_entity_of_stored},
    {"view version 0", break_view_version},
    {"view id twice", break_view_id_twice},
    {"view id of another", break_view_id_of_another},
    {"negative ttl", break_view_ttl},
    {"negative future", break_view_future},
    {"feature without a name", break_feature_name},
    {"feature twice", break_feature_twice},
    {"feature that is a key", break_feature_is_key},
    {"feature of no type", break_feature_type},
    {"default that is no value", break_default},
    {"no revision", break_no_revision},
    {"revision of half a type", break_revision_length},
    {"last revision without a feature", break_last_revision_shorter},
    {"revision longer than the next", break_revision_longer_than_next},
    {"revision that does not widen", break_revision_narrows},
    {"revision unlike the view", break_revision_differs_from_view},
    {"service of no view", break_service_view},
    {"service of no feature", break_service_feature},
    {"service id with a gap", break_service_id},
    {"revoked key that is not there", break_revoked_key},
    {"key without a hash", break_key_hash},
};

static struct bytes plan_change(struct registry *registry, const char *documents_text) {
    const char *const documents[] = {documents_text, NULL};
    struct bytes change;
    Fst__ApplyReply *reply = apply_plan(registry, documents, &change);
    assert_false(reply->refused);
    fst__apply_reply__free_unpacked(reply, NULL);
    assert_non_null(change.data);
    return change;
}

static void test_broken_changes_are_seen(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    assert_true(apply_text(registry, text));
    struct bytes change = plan_change(registry, more);
    for (size_t i = 0; i < sizeof break_cases / sizeof break_cases[0]; i++) {
        print_message("  %s\n", break_cases[i].name);
        Fst__Registry__Change *message =
            fst__registry__change__unpack(NULL, change.bytes, change.data);
        assert_non_null(message);
        break_cases[i].apply(message);
        size_t bytes = fst__registry__change__get_packed_size(message);
        uint8_t *packed = malloc(bytes);
        assert_non_null(packed);
        fst__registry__change__pack(message, packed);
        fst__registry__change__free_unpacked(message, NULL);
        struct fst_error error = {.text = ""};
        assert_int_equal(
            registry_adopt(registry, (struct bytes){.data = packed, .bytes = bytes}, &error),
            FST_CORRUPT);
        assert_non_null(strstr(error.text, "makes no sense"));
        assert_int_equal(registry_generation(registry), 1);
        free(packed);
    }
    apply_adopt(registry, change);
    free((void *)(uintptr_t)change.data);
    registry_destroy(registry);
}

static void test_types_of_messages(void **state) {
    (void)state;
    uint8_t bytes[9] = {TYPE_DECIMAL, 2};
    ProtobufCBinaryData data = {.len = 8, .data = bytes};
    assert_int_equal(change_type(data).scale, 2);
    bytes[1] = 19;
    assert_int_equal(change_type(data).kind, TYPE_NONE);
    bytes[1] = 2;
    data.len = 9;
    assert_int_equal(change_type(data).kind, TYPE_NONE);
    data = (ProtobufCBinaryData){0};
    assert_int_equal(change_type(data).kind, TYPE_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_changes_are_seen),
        cmocka_unit_test(test_types_of_messages),
    };
    return cmocka_run_group_tests_name("registry/change_check", tests, NULL, NULL);
}
