/* The state is what its changes make of it: a registry that adopts the stored changes of another
 * one in order has the same catalog, keys and audit; gaps, repetitions, damaged and senseless
 * changes are told apart. */
#include "tests/base/random.h"
#include "tests/registry/apply.h"

enum { CHANGES_MAX = 16, FLIPS = 4000 };

static const char *const history[] = {
    "namespace: n\nentities:\n- {name: e, owner: me, keys: [{name: k, type: int64}, {name: l, "
    "type: string}]}\n",
    "namespace: n\nviews:\n- {name: v, entity: e, ttl: 7d, features: [{name: a, type: int32, "
    "default: 1}, {name: b, type: "
    "\"list(string)\", default: [x]}]}\n",
    "namespace: n\nservices:\n- {name: s, features: [\"v:*\"], tags: {a: b}}\n",
    "namespace: n\nviews:\n- {name: v, entity: e, features: [{name: a, type: int64, default: 1}, "
    "{name: b, type: "
    "\"list(string)\"}, {name: c, type: bool}]}\n",
    "namespace: n\nviews:\n- {name: v, version: 2, entity: e, visible: memory, evict: true, "
    "future: off, "
    "features: [{name: z, type: uuid}]}\n",
    "namespace: m\nentities:\n- {name: e, keys: [{name: k, type: bytes}]}\nviews:\n- {name: v, "
    "entity: n.e, features: [{name: q, type: "
    "\"vector(float32, 3)\"}]}\nservices:\n- {name: s, features: [\"v:q\", \"n.v:z\", "
    "\"n.v@1:a\"]}\n",
};
enum { HISTORY = sizeof history / sizeof history[0] };

struct changes {
    size_t count;
    struct bytes changes[CHANGES_MAX];
};

static void changes_free(struct changes *changes) {
    for (size_t i = 0; i < changes->count; i++) free((void *)(uintptr_t)changes->changes[i].data);
}

static void adopt_and_keep(struct registry *registry, struct changes *changes,
                           struct bytes change) {
    assert_non_null(change.data);
    apply_adopt(registry, change);
    changes->changes[changes->count++] = change;
}

static void key_create(struct registry *registry, struct changes *changes, const char *name,
                       uint32_t roles, char key_text_out[ACCESS_KEY_TEXT_BYTES]) {
    struct access_key_plan plan = {.name = name, .actor = "root", .roles = roles, .now_us = 77};
    memset(plan.secret, (int)changes->count + 1, sizeof plan.secret);
    struct bytes change;
    assert_int_equal(registry_plan_key_create(registry, &plan, &change, NULL), FST_OK);
    memcpy(key_text_out, plan.key_text, ACCESS_KEY_TEXT_BYTES);
    adopt_and_keep(registry, changes, change);
}

static uint32_t roles_of(const struct access_table *access, const char *key_text, size_t bytes) {
    uint8_t hash[ACCESS_HASH_BYTES];
    access_key_hash(key_text, bytes, hash);
    return access_find(access, hash);
}

/* Applies the history, makes two keys and revokes one. */
static struct registry *registry_with_history(struct changes *changes,
                                              char key_text_out[ACCESS_KEY_TEXT_BYTES]) {
    struct registry *registry = apply_registry();
    changes->count = 0;
    for (size_t i = 0; i < HISTORY; i++) {
        const char *const documents[] = {history[i], NULL};
        struct bytes change;
        Fst__ApplyReply *reply = apply_plan(registry, documents, &change);
        assert_false(reply->refused);
        assert_int_equal(reply->generation, i);
        fst__apply_reply__free_unpacked(reply, NULL);
        adopt_and_keep(registry, changes, change);
    }
    char other[ACCESS_KEY_TEXT_BYTES];
    key_create(registry, changes, "reader", ROLE_READ, key_text_out);
    key_create(registry, changes, "gone", ROLE_ADMIN, other);
    struct bytes change;
    assert_int_equal(registry_plan_key_revoke(registry, "gone", 88, &change, NULL), FST_OK);
    adopt_and_keep(registry, changes, change);
    return registry;
}

/* ---- replay ---- */

static void metadata_expect(const struct metadata *a, const struct metadata *b) {
    assert_string_equal(a->description ? a->description : "", b->description ? b->description : "");
    assert_string_equal(a->owner ? a->owner : "", b->owner ? b->owner : "");
    assert_int_equal(a->tags_count, b->tags_count);
    for (uint32_t i = 0; i < a->tags_count; i++) {
        assert_string_equal(a->tags[i].key, b->tags[i].key);
        assert_string_equal(a->tags[i].value, b->tags[i].value);
    }
}

static void view_expect(const struct view *a, const struct view *b) {
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->version, b->version);
    assert_string_equal(a->name.text, b->name.text);
    assert_int_equal(a->entity->id, b->entity->id);
    assert_true(a->ttl_us == b->ttl_us && a->future_us == b->future_us);
    assert_int_equal(a->is_visible_from_memory, b->is_visible_from_memory);
    assert_int_equal(a->evicts, b->evicts);
    assert_int_equal(a->features_count, b->features_count);
    metadata_expect(&a->metadata, &b->metadata);
    for (uint32_t i = 0; i < a->features_count; i++) {
        const struct feature *left = &a->features[i];
        const struct feature *right = &b->features[i];
        assert_memory_equal(&left->name, &right->name, sizeof left->name);
        assert_true(type_is_equal(left->type, right->type));
        assert_int_equal(left->has_default, right->has_default);
        assert_int_equal(left->default_value.bytes, right->default_value.bytes);
        if (left->default_value.bytes > 0) {
            assert_memory_equal(left->default_value.data, right->default_value.data,
                                left->default_value.bytes);
        }
    }
    assert_int_equal(a->revisions_count, b->revisions_count);
    for (uint32_t i = 0; i < a->revisions_count; i++) {
        const struct row_layout *left = &a->revisions[i].layout;
        const struct row_layout *right = &b->revisions[i].layout;
        assert_int_equal(left->image_bytes, right->image_bytes);
        assert_memory_equal(left->body.columns, right->body.columns,
                            left->body.columns_count * sizeof *left->body.columns);
    }
}

static void catalogs_expect(const struct registry *a, const struct registry *b) {
    struct catalog *left;
    struct catalog *right;
    assert_int_equal(registry_catalog(a, &left), FST_OK);
    assert_int_equal(registry_catalog(b, &right), FST_OK);
    assert_int_equal(left->generation, right->generation);
    assert_int_equal(left->entities_count, right->entities_count);
    assert_int_equal(left->views_count, right->views_count);
    assert_int_equal(left->services_count, right->services_count);
    for (uint32_t i = 0; i < left->entities_count; i++) {
        assert_memory_equal(&left->entities[i].name, &right->entities[i].name, sizeof(struct name));
        assert_memory_equal(left->entities[i].keys, right->entities[i].keys,
                            sizeof left->entities[i].keys);
    }
    for (uint32_t i = 0; i < left->views_count; i++) view_expect(&left->views[i], &right->views[i]);
    for (uint32_t i = 0; i < left->services_count; i++) {
        assert_int_equal(left->services[i].features_count, right->services[i].features_count);
        for (uint32_t f = 0; f < left->services[i].features_count; f++) {
            assert_int_equal(left->services[i].features[f].view->id,
                             right->services[i].features[f].view->id);
            assert_int_equal(left->services[i].features[f].column,
                             right->services[i].features[f].column);
        }
    }
    catalog_destroy(left);
    catalog_destroy(right);
}

static void test_replay_makes_the_same_state(void **state) {
    (void)state;
    struct changes changes;
    char key_text[ACCESS_KEY_TEXT_BYTES];
    struct registry *registry = registry_with_history(&changes, key_text);
    struct registry *replayed = apply_registry();
    for (size_t i = 0; i < changes.count; i++) apply_adopt(replayed, changes.changes[i]);
    catalogs_expect(registry, replayed);
    struct access_table *access;
    assert_int_equal(registry_access(replayed, &access), FST_OK);
    assert_int_equal(access_keys_count(access), 1);
    assert_int_equal(roles_of(access, key_text, strlen(key_text)), ROLE_READ);
    access_destroy(access);
    Fst__AuditReply *audit;
    assert_int_equal(registry_audit(replayed, &audit), FST_OK);
    assert_int_equal(audit->n_items, changes.count);
    assert_string_equal(audit->items[0]->what, "add entity n.e");
    assert_string_equal(audit->items[0]->actor, "test");
    assert_int_equal(audit->items[0]->at_us, APPLY_AT_US);
    assert_string_equal(audit->items[3]->what, "change view n.v");
    assert_string_equal(audit->items[4]->what, "new version view n.v@2");
    assert_string_equal(audit->items[5]->what, "add entity m.e, view m.v, service m.s");
    assert_string_equal(audit->items[6]->what, "create key reader");
    assert_string_equal(audit->items[6]->actor, "root");
    assert_string_equal(audit->items[8]->what, "revoke key gone");
    assert_int_equal(audit->items[8]->generation, 9);
    fst__audit_reply__free_unpacked(audit, NULL);
    registry_destroy(replayed);
    registry_destroy(registry);
    changes_free(&changes);
}

static void test_gaps_and_repetitions(void **state) {
    (void)state;
    struct changes changes;
    char key_text[ACCESS_KEY_TEXT_BYTES];
    struct registry *registry = registry_with_history(&changes, key_text);
    /* What was adopted already is skipped, in any order. */
    for (size_t i = changes.count; i-- > 0;) {
        assert_int_equal(registry_adopt(registry, changes.changes[i], NULL), FST_OK);
        assert_int_equal(registry_generation(registry), changes.count);
    }
    struct registry *other = apply_registry();
    struct fst_error error = {.text = ""};
    assert_int_equal(registry_adopt(other, changes.changes[1], &error), FST_CORRUPT);
    assert_non_null(strstr(error.text, "generation"));
    assert_int_equal(registry_generation(other), 0);
    registry_destroy(other);
    registry_destroy(registry);
    changes_free(&changes);
}

/* ---- damage ---- */

static void test_every_cut_of_a_change_is_harmless(void **state) {
    (void)state;
    struct changes changes;
    char key_text[ACCESS_KEY_TEXT_BYTES];
    struct registry *registry = registry_with_history(&changes, key_text);
    for (size_t i = 0; i < changes.count; i++) {
        for (size_t bytes = 0; bytes < changes.changes[i].bytes; bytes++) {
            struct registry *other = apply_registry();
            for (size_t k = 0; k < i; k++) {
                assert_int_equal(registry_adopt(other, changes.changes[k], NULL), FST_OK);
            }
            uint8_t *copy = malloc(bytes + 1);
            assert_non_null(copy);
            memcpy(copy, changes.changes[i].data, bytes);
            struct bytes cut = {.data = copy, .bytes = bytes};
            enum fst_status status = registry_adopt(other, cut, NULL);
            assert_true(status == FST_OK || status == FST_CORRUPT);
            apply_check_catalog(other);
            free(copy);
            registry_destroy(other);
        }
    }
    registry_destroy(registry);
    changes_free(&changes);
}

static void test_flipped_bits_are_harmless(void **state) {
    (void)state;
    struct random random = random_of_environment();
    struct changes changes;
    char key_text[ACCESS_KEY_TEXT_BYTES];
    struct registry *registry = registry_with_history(&changes, key_text);
    uint32_t refused_count = 0;
    for (uint32_t flip = 0; flip < FLIPS; flip++) {
        size_t wanted = random_below(&random, changes.count);
        struct registry *other = apply_registry();
        for (size_t k = 0; k < wanted; k++) {
            assert_int_equal(registry_adopt(other, changes.changes[k], NULL), FST_OK);
        }
        struct bytes change = changes.changes[wanted];
        uint8_t *copy = malloc(change.bytes);
        assert_non_null(copy);
        memcpy(copy, change.data, change.bytes);
        for (uint64_t n = 1 + random_below(&random, 3); n > 0; n--) {
            copy[random_below(&random, change.bytes)] ^= (uint8_t)(1u << random_below(&random, 8));
        }
        struct bytes flipped = {.data = copy, .bytes = change.bytes};
        enum fst_status status = registry_adopt(other, flipped, NULL);
        assert_true(status == FST_OK || status == FST_CORRUPT);
        refused_count += status == FST_CORRUPT;
        apply_check_catalog(other);
        free(copy);
        registry_destroy(other);
    }
    assert_true(refused_count > FLIPS / 4);
    registry_destroy(registry);
    changes_free(&changes);
}

/* ---- keys ---- */

static void test_keys(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    struct access_key_plan plan = {.name = "a_key", .roles = ROLE_READ | ROLE_WRITE, .now_us = 5};
    struct fst_error error = {.text = ""};
    struct bytes change = {0};
    for (uint32_t i = 0; i < sizeof plan.secret; i++) plan.secret[i] = (uint8_t)(i * 9);
    assert_int_equal(registry_plan_key_create(registry, &plan, &change, NULL), FST_OK);
    assert_string_equal(plan.key_text,
                        "fst_0009121b242d363f48515a636c757e879099a2abb4bdc6cfd8e1eaf3fc050e17");
    apply_adopt(registry, change);
    /* The text of the key is nowhere in what is stored. */
    assert_null(memmem(change.data, change.bytes, plan.key_text, strlen(plan.key_text)));
    assert_null(memmem(change.data, change.bytes, plan.secret, sizeof plan.secret));
    free((void *)(uintptr_t)change.data);

    assert_int_equal(registry_plan_key_create(registry, &plan, &change, &error), FST_EXISTS);
    plan.name = "Bad";
    assert_int_equal(registry_plan_key_create(registry, &plan, &change, &error), FST_INVALID);
    plan.name = "b";
    plan.roles = 0;
    assert_int_equal(registry_plan_key_create(registry, &plan, &change, &error), FST_INVALID);
    plan.roles = 8;
    assert_int_equal(registry_plan_key_create(registry, &plan, &change, &error), FST_INVALID);
    assert_int_equal(registry_plan_key_revoke(registry, "b", 6, &change, &error), FST_UNKNOWN);
    assert_string_equal(error.text, "there is no key 'b'");

    Fst__KeyList *keys;
    assert_int_equal(registry_keys(registry, &keys), FST_OK);
    assert_int_equal(keys->n_keys, 1);
    assert_string_equal(keys->keys[0]->name, "a_key");
    assert_int_equal(keys->keys[0]->n_roles, 2);
    assert_string_equal(keys->keys[0]->roles[1], "write");
    assert_int_equal(keys->keys[0]->created_us, 5);
    fst__key_list__free_unpacked(keys, NULL);
    registry_destroy(registry);
}

/* As long as there is no key, nobody is asked for one; then a missing one is like a wrong one. */
static void test_access_without_keys_is_open(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    struct access_table *access;
    assert_int_equal(registry_access(registry, &access), FST_OK);
    assert_int_equal(access_keys_count(access), 0);
    assert_int_equal(roles_of(access, NULL, 0), ACCESS_ROLES);
    assert_int_equal(roles_of(access, "fst_00", 6), ACCESS_ROLES);
    access_destroy(access);
    registry_destroy(registry);
}

static void test_access_finds_only_whole_keys(void **state) {
    (void)state;
    struct changes changes;
    char key_text[ACCESS_KEY_TEXT_BYTES];
    struct registry *registry = registry_with_history(&changes, key_text);
    struct access_table *access;
    assert_int_equal(registry_access(registry, &access), FST_OK);
    size_t bytes = strlen(key_text);
    assert_int_equal(roles_of(access, key_text, bytes), ROLE_READ);
    for (size_t cut = 0; cut < bytes; cut++) assert_int_equal(roles_of(access, key_text, cut), 0);
    assert_int_equal(roles_of(access, key_text, bytes + 1), 0);
    assert_int_equal(roles_of(access, NULL, 0), 0);
    for (size_t i = 0; i < bytes; i++) {
        key_text[i] ^= 1;
        assert_int_equal(roles_of(access, key_text, bytes), 0);
        key_text[i] ^= 1;
    }
    access_destroy(access);
    registry_destroy(registry);
    changes_free(&changes);
}

static void test_limit_of_keys(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    struct access_key_plan plan = {.roles = ROLE_READ};
    for (uint32_t i = 0; i <= ACCESS_KEYS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "k%u", i);
        plan.name = name;
        struct bytes change;
        enum fst_status status = registry_plan_key_create(registry, &plan, &change, NULL);
        assert_int_equal(status, i < ACCESS_KEYS_MAX ? FST_OK : FST_TOO_LARGE);
        if (status != FST_OK) break;
        assert_int_equal(registry_adopt(registry, change, NULL), FST_OK);
        free((void *)(uintptr_t)change.data);
    }
    registry_destroy(registry);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_makes_the_same_state),
        cmocka_unit_test(test_gaps_and_repetitions),
        cmocka_unit_test(test_every_cut_of_a_change_is_harmless),
        cmocka_unit_test(test_flipped_bits_are_harmless),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_access_without_keys_is_open),
        cmocka_unit_test(test_access_finds_only_whole_keys),
        cmocka_unit_test(test_limit_of_keys),
    };
    return cmocka_run_group_tests_name("registry/registry", tests, NULL, NULL);
}
