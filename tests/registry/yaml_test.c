/* Every mistake in a definition is named with its line and column, all of a text at once; what
 * is right is read to the last option. Documents are applied to an empty registry, so the words
 * are those that people see. */
#include "tests/registry/apply.h"

#define HEAD "namespace: n\nentities:\n- {name: e, keys: [{name: k, type: int64}]}\nviews:\n"
/* Four lines; what follows begins on the fifth. */

static const struct problem_case {
    const char *name, *text, *problems;
} problem_cases[] = {
    {"not a mapping", "- a\n",
     "1:1 expected definitions (namespace, entities, views, services), found a list\n"},
    {"unknown key with a near one", "nmespace: a\n",
     "1:1 unknown key 'nmespace', did you mean 'namespace'?\n"},
    {"unknown key without one", "colour: red\n", "1:1 unknown key 'colour'\n"},
    {"sources", "sources:\n- {name: s}\n",
     "1:1 'sources' is not supported: expected a row view (features with a type)\n"},
    {"bad namespace", "namespace: Fraud\n",
     "1:12 expected a name (a-z, then a-z, 0-9 or _; at most 63 bytes), found 'Fraud'\n"},
    {"entities that are no list", "entities: {name: e}\n",
     "1:11 expected a list of entities (name, keys), found a mapping\n"},
    {"entity that is no mapping", "entities: [e]\n",
     "1:12 expected a list of entities (name, keys), found 'e'\n"},
    {"entity without anything", "entities:\n- {}\n",
     "2:3 expected the key 'name'\n2:3 expected the key 'keys'\n"},
    {"entity with nothing as a name", "entities:\n- name:\n  keys: [{name: k, type: bool}]\n",
     "2:3 expected a name (a-z, then a-z, 0-9 or _; at most 63 bytes), found nothing\n"},
    {"no keys", "entities:\n- {name: e, keys: []}\n",
     "2:19 expected a list of key columns, such as [{name: customer_id, type: int64}], found an "
     "empty list\n"},
    {"nine keys",
     "entities:\n- {name: e, keys: [{name: a, type: bool}, {name: b, type: bool}, {name: c, type: "
     "bool},\n"
     "  {name: d, type: bool}, {name: e, type: bool}, {name: f, type: bool}, {name: g, type: "
     "bool},\n"
     "  {name: h, type: bool}, {name: i, type: bool}]}\n",
     "2:19 expected a list of key columns, such as [{name: customer_id, type: int64}], at most 8 "
     "of them, found "
     "9\n"},
    {"key of a wrong type", "entities:\n- {name: e, keys: [{name: k, type: float64}]}\n",
     "2:36 expected a type for keys (bool, int32, int64, timestamp, string, bytes, uuid), found "
     "'float64'\n"},
    {"key twice", "entities:\n- {name: e, keys: [{name: k, type: bool}, {name: k, type: bool}]}\n",
     "2:50 key column 'k' is given twice\n"},
    {"key called event_time", "entities:\n- {name: e, keys: [{name: event_time, type: bool}]}\n",
     "2:27 'event_time' is reserved: every row has it\n"},
    {"all problems at once",
     "entities:\n- {name: E, keys: [{name: k, type: int65}], ownr: x}\n- {name: f, keys: [{nam: "
     "k}]}\n",
     "2:10 expected a name (a-z, then a-z, 0-9 or _; at most 63 bytes), found 'E'\n"
     "2:36 expected a type (bool, int32, int64, float32, float64, decimal(0..18), timestamp, "
     "string, bytes, "
     "uuid, vector(float32, 1..4096), list(T) of one of the others but vector), found 'int65'\n"
     "2:45 unknown key 'ownr', did you mean 'owner'?\n"
     "3:20 expected the key 'name'\n3:20 expected the key 'type'\n3:21 unknown key 'nam', did you "
     "mean 'name'?\n"},
    {"description that is a list",
     "entities:\n- {name: e, keys: [{name: k, type: bool}], description: [x]}\n",
     "2:57 expected a description, found a list\n"},
    {"tags that are a list", "entities:\n- {name: e, keys: [{name: k, type: bool}], tags: [x]}\n",
     "2:50 expected tags, such as {tier: gold}, found a list\n"},
    {"tag without a value", "entities:\n- {name: e, keys: [{name: k, type: bool}], tags: {a: }}\n",
     "2:51 expected a tag's value, found nothing\n"},
    {"view without features", HEAD "- {name: v, entity: e, features: []}\n",
     "5:34 expected a list of features, such as [{name: score, type: float64}], found an empty "
     "list\n"},
    {"view of nothing", HEAD "- {name: v, features: [{name: a, type: bool}]}\n",
     "5:3 expected the key 'entity'\n"},
    {"view of a list", HEAD "- {name: v, entity: [e], features: [{name: a, type: bool}]}\n",
     "5:21 expected a name, found a list\n"},
    {"view of an unknown entity",
     HEAD "- {name: v, entity: f, features: [{name: a, type: bool}]}\n",
     "5:21 there is no entity 'f'\n"},
    {"view of an entity of elsewhere",
     HEAD "- {name: v, entity: m.e, features: [{name: a, type: bool}]}\n",
     "5:21 there is no entity 'm.e'\n"},
    {"view of something unspeakable",
     HEAD "- {name: v, entity: \"e e\", features: [{name: a, type: bool}]}\n",
     "5:21 expected an entity, such as customer or fraud.customer, found 'e e'\n"},
    {"feature twice",
     HEAD "- {name: v, entity: e, features: [{name: a, type: bool}, {name: a, type: bool}]}\n",
     "5:65 feature 'a' is given twice\n"},
    {"feature that is a key", HEAD "- {name: v, entity: e, features: [{name: k, type: bool}]}\n",
     "5:42 feature 'k' is a key column of entity 'e'\n"},
    {"feature called created_time",
     HEAD "- {name: v, entity: e, features: [{name: created_time, type: bool}]}\n",
     "5:42 'created_time' is reserved: every row has it\n"},
    {"feature without a type", HEAD "- {name: v, entity: e, features: [{name: a}]}\n",
     "5:35 expected the key 'type'\n"},
    {"feature that is a text", HEAD "- {name: v, entity: e, features: [a]}\n",
     "5:35 expected a feature, such as {name: score, type: float64}, found 'a'\n"},
    {"default of a wrong type",
     HEAD "- {name: v, entity: e, features: [{name: a, type: int32, default: 1.5}]}\n",
     "5:67 expected an integer from -2147483648 to 2147483647, found '1.5'\n"},
    {"default before its type",
     HEAD "- {name: v, entity: e, features: [{default: x, type: bool, name: a}]}\n",
     "5:45 expected true or false, found 'x'\n"},
    {"default of nothing",
     HEAD "- {name: v, entity: e, features: [{name: a, type: string, default: }]}\n",
     "5:59 expected a default of the feature's type (without one, leave the key out), found "
     "nothing\n"},
    {"default list too short",
     HEAD "- {name: v, entity: e, features: [{name: a, type: \"vector(float32, 3)\", default: [1, "
          "2]}]}\n",
     "5:82 expected a JSON array of numbers, as many as the vector has elements, found a list\n"},
    {"default list with nothing in it",
     HEAD "- {name: v, entity: e, features: [{name: a, type: list(string), default: [~]}]}\n",
     "5:74 expected a JSON array of elements that fit the list's type, found a list\n"},
    {"ttl without a unit",
     HEAD "- {name: v, entity: e, ttl: 7, features: [{name: a, type: bool}]}\n",
     "5:29 expected a duration, a whole number and us, ms, s, m, h or d, such as 90s, found "
     "\"7\"\n"},
    {"future of a wrong form",
     HEAD "- {name: v, entity: e, future: on, features: [{name: a, type: bool}]}\n",
     "5:32 expected a duration, a whole number and us, ms, s, m, h or d, such as 90s, found "
     "\"on\"\n"},
    {"visible to nobody",
     HEAD "- {name: v, entity: e, visible: never, features: [{name: a, type: bool}]}\n",
     "5:33 expected memory or durable, found 'never'\n"},
    {"evict at times",
     HEAD "- {name: v, entity: e, evict: cold, features: [{name: a, type: bool}]}\n",
     "5:31 expected true or false, found 'cold'\n"},
    {"version zero", HEAD "- {name: v, entity: e, version: 0, features: [{name: a, type: bool}]}\n",
     "5:33 expected a version from 1 to 1000000, found '0'\n"},
    {"version too large",
     HEAD "- {name: v, entity: e, version: 1000001, features: [{name: a, type: bool}]}\n",
     "5:33 expected a version from 1 to 1000000, found '1000001'\n"},
    {"aggregate view",
     HEAD "- {name: v, entity: e, source: s, features: [{name: a, agg: count, window: 1d}]}\n",
     "5:24 'source' is not supported: expected a row view (features with a type)\n"},
    {"aggregate in a row view",
     HEAD "- {name: v, entity: e, features: [{name: a, agg: count, window: 1d}]}\n",
     "5:45 'agg' is not supported: expected a row view (features with a type)\n"},
    {"partial view",
     HEAD "- {name: v, entity: e, partial: true, features: [{name: a, type: bool}]}\n",
     "5:24 'partial' is not supported: expected a row view (features with a type)\n"},
    {"service of nothing", "services:\n- {name: s, features: []}\n",
     "2:23 expected a list of features, such as [\"profile:score\", \"profile:*\"], found an "
     "empty list\n"},
    {"service of a mapping", "services:\n- {name: s, features: [{a: b}]}\n",
     "2:24 expected view:feature or view:*, found a mapping\n"},
    {"service of a view",
     HEAD "- {name: v, entity: e, features: [{name: a, type: bool}]}\nservices:\n- {name: s, "
          "features: [v]}\n",
     "7:24 expected view:feature or view:*, found 'v'\n"},
    {"service of what is not there",
     HEAD "- {name: vie, entity: e, features: [{name: abc, type: bool}]}\nservices:\n"
          "- {name: s, features: [\"vie:abd\", \"vie2:a\", \"vie@2:abc\", \"m.vie:abc\"]}\n",
     "7:24 there is no feature 'vie:abd', did you mean 'abc'?\n7:35 there is no view for 'vie2:a', "
     "did you mean "
     "'vie'?\n7:45 there is no view for 'vie@2:abc', did you mean 'vie'?\n7:58 there is no view "
     "for 'm.vie:abc'\n"},
    {"service with a feature twice",
     HEAD "- {name: v, entity: e, features: [{name: a, type: bool}]}\nservices:\n- {name: s, "
          "features: [\"v:a\", \"v:*\"]}\n",
     "7:31 feature 'v:*' is given twice\n"},
    {"entity twice",
     "entities:\n- {name: e, keys: [{name: k, type: bool}]}\n- {name: e, keys: [{name: l, type: "
     "bool}]}\n",
     "3:10 entity 'e' is declared twice, first on line 2\n"},
    {"a broken entity is named once",
     "entities:\n- {name: e, keys: [{name: k, type: x}]}\nviews:\n- {name: v, entity: e, features: "
     "[{name: a, type: bool}]}\n"
     "services:\n- {name: s, features: [\"v:a\", \"v:b\"]}\n",
     "2:36 expected a type (bool, int32, int64, float32, float64, decimal(0..18), timestamp, "
     "string, bytes, "
     "uuid, vector(float32, 1..4096), list(T) of one of the others but vector), found 'x'\n"},
    {"key columns that clash",
     "entities:\n- {name: e, keys: [{name: k, type: int32}]}\n- {name: f, keys: [{name: k, type: "
     "string}]}\nviews:\n"
     "- {name: v, entity: e, features: [{name: a, type: bool}]}\n- {name: w, entity: f, features: "
     "[{name: a, type: bool}]}\n"
     "services:\n- {name: s, features: [\"v:a\", \"w:a\"]}\n",
     "8:31 key column 'k' is string in entity 'f' but int32 in entity 'e': a service cannot ask "
     "for both\n"},
};

/* The problems only; objects that are right are planned beside them. */
static void problems_expect(const char *text, const char *want) {
    static char shown[APPLY_TEXT_BYTES];
    struct registry *registry = apply_registry();
    const char *const documents[] = {text, NULL};
    struct bytes change;
    Fst__ApplyReply *reply = apply_plan(registry, documents, &change);
    size_t changes_count = reply->n_changes;
    reply->n_changes = 0;
    apply_show(reply, shown);
    reply->n_changes = changes_count;
    assert_string_equal(shown, want);
    assert_true(reply->refused);
    fst__apply_reply__free_unpacked(reply, NULL);
    registry_destroy(registry);
}

static void test_problems(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof problem_cases / sizeof problem_cases[0]; i++) {
        print_message("  %s\n", problem_cases[i].name);
        problems_expect(problem_cases[i].text, problem_cases[i].problems);
    }
}

static void test_problems_are_counted_beyond_the_limit(void **state) {
    (void)state;
    static char text[APPLY_TEXT_BYTES];
    size_t used = (size_t)sprintf(text, "entities:\n");
    for (int i = 0; i < 130; i++) used += (size_t)sprintf(text + used, "- %d\n", i);
    struct registry *registry = apply_registry();
    const char *const documents[] = {"views: []\n", text, NULL};
    struct bytes change;
    Fst__ApplyReply *reply = apply_plan(registry, documents, &change);
    assert_int_equal(reply->n_problems, 101);
    assert_string_equal(reply->problems[0]->document, "d1.yaml");
    assert_int_equal(reply->problems[99]->line, 101);
    assert_string_equal(reply->problems[100]->text, "and 30 more problems");
    fst__apply_reply__free_unpacked(reply, NULL);
    registry_destroy(registry);
}

static const char everything[] =
    "entities:\n"
    "- name: e\n"
    "  keys: [{name: a, type: string}, {name: b, type: uuid}]\n"
    "  description: An entity\n"
    "  owner: me\n"
    "  tags: {x: y, z: \"1\"}\n"
    "---\n"
    "namespace: other\n"
    "views:\n"
    "- name: v\n"
    "  entity: default.e\n"
    "  version: 3\n"
    "  ttl: 36h\n"
    "  future: off\n"
    "  visible: memory\n"
    "  evict: true\n"
    "  description: A view\n"
    "  features:\n"
    "  - {name: f1, type: bool, default: true, description: A feature, tags: {pii: none}}\n"
    "  - {name: f2, type: decimal(2), default: -1.5}\n"
    "  - {name: f3, type: \"vector(float32, 2)\", default: [0.5, nan]}\n"
    "  - {name: f4, type: list(string), default: [\"a\\\"b\", \"\\u20ac\"]}\n"
    "  - {name: f5, type: string, default: \"\"}\n"
    "  - {name: f6, type: timestamp, default: 1970-01-01T00:00:01Z}\n"
    "services:\n"
    "- {name: s, owner: us, features: [\"v:f2\", \"other.v@3:f1\"]}\n";

static void everything_entity_expect(const struct catalog *catalog) {
    const struct entity *entity = catalog_find_entity(catalog, "default.e");
    assert_non_null(entity);
    assert_int_equal(entity->keys_count, 2);
    assert_string_equal(entity->keys[1].name.text, "b");
    assert_int_equal(entity->key_types[1].kind, TYPE_UUID);
    assert_string_equal(entity->metadata.description, "An entity");
    assert_string_equal(entity->metadata.owner, "me");
    assert_int_equal(entity->metadata.tags_count, 2);
    assert_string_equal(entity->metadata.tags[1].key, "z");
    assert_string_equal(entity->metadata.tags[1].value, "1");
}

static void everything_view_expect(const struct catalog *catalog) {
    const struct view *view = catalog_find_view(catalog, "other.v");
    assert_non_null(view);
    assert_ptr_equal(view->entity, catalog_find_entity(catalog, "default.e"));
    assert_int_equal(view->version, 3);
    assert_true(view->ttl_us == INT64_C(36) * 3600 * 1000000);
    assert_true(view->future_us == INT64_MAX);
    assert_true(view->is_visible_from_memory);
    assert_true(view->evicts);
    assert_int_equal(view->features_count, 6);
    static const struct {
        const char *value;
        size_t bytes;
    } defaults[] = {{"\1", 1},
                    {"\x6a\xff\xff\xff\xff\xff\xff\xff", 8},
                    {"\0\0\0\x3f\0\0\xc0\x7f", 8},
                    {"\2\0\0\0\3\0\0\0a\"b\3\0\0\0\xe2\x82\xac", 18},
                    {"", 0},
                    {"\x40\x42\x0f\0\0\0\0\0", 8}};
    for (uint32_t i = 0; i < 6; i++) {
        assert_true(view->features[i].has_default);
        assert_int_equal(view->features[i].default_value.bytes, defaults[i].bytes);
        assert_memory_equal(view->features[i].default_value.data, defaults[i].value,
                            defaults[i].bytes);
    }
    assert_string_equal(view->features[0].metadata.description, "A feature");
    assert_string_equal(view->features[0].metadata.tags[0].value, "none");
}

static void everything_service_expect(const struct catalog *catalog) {
    const struct service *service = catalog_find_service(catalog, "other.s");
    assert_non_null(service);
    assert_int_equal(service->features_count, 2);
    assert_int_equal(service->features[0].column, 1);
    assert_int_equal(service->features[1].column, 0);
}

static void test_everything_that_can_be_said(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    assert_true(apply_text(registry, everything));
    struct catalog *catalog;
    assert_int_equal(registry_catalog(registry, &catalog), FST_OK);
    everything_entity_expect(catalog);
    everything_view_expect(catalog);
    everything_service_expect(catalog);
    catalog_destroy(catalog);
    registry_destroy(registry);
}

static void test_defaults_of_options(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    assert_true(
        apply_text(registry, HEAD "- {name: v, entity: e, features: [{name: a, type: bool}]}\n"));
    struct catalog *catalog;
    assert_int_equal(registry_catalog(registry, &catalog), FST_OK);
    const struct view *view = catalog_find_view(catalog, "v");
    assert_non_null(view);
    assert_int_equal(view->version, 1);
    assert_true(view->ttl_us == 0);
    assert_true(view->future_us == 60 * 1000000);
    assert_false(view->is_visible_from_memory);
    assert_false(view->evicts);
    assert_false(view->features[0].has_default);
    assert_null(view->metadata.description);
    catalog_destroy(catalog);
    registry_destroy(registry);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_problems_are_counted_beyond_the_limit),
        cmocka_unit_test(test_everything_that_can_be_said),
        cmocka_unit_test(test_defaults_of_options),
    };
    return cmocka_run_group_tests_name("registry/yaml", tests, NULL, NULL);
}
