/* Lists and descriptions of a known set of definitions, word for word. */
#include "tests/registry/apply.h"

static const char text[] =
    "namespace: n\n"
    "entities:\n- {name: e, owner: me, description: An entity, tags: {a: b}, keys: [{name: k, "
    "type: int64}, {name: l, type: string}]}\n"
    "views:\n- {name: v, entity: e, ttl: 36h, features: [{name: a, type: decimal(2), default: 1.5, "
    "description: A feature}, {name: b, type: string, "
    "default: \"\"}]}\n"
    "- {name: w, version: 2, entity: e, future: off, visible: memory, evict: true, features: "
    "[{name: c, type: "
    "bool}]}\n"
    "services:\n- {name: s, owner: us, features: [\"v:*\", \"w:c\"]}\n"
    "---\nnamespace: m\nservices:\n- {name: s, features: [\"n.v:a\"]}\n";

static const struct list_case {
    const char *kind, *want;
} list_cases[] = {
    {"", "entity n.e 0 me: k int64, l string\n"
         "service m.s 0 : 1 entry\n"
         "service n.s 0 us: 2 entries\n"
         "view n.v 1 : of e, 2 features\n"
         "view n.w 2 : of e, 1 feature\n"},
    {"entities", "entity n.e 0 me: k int64, l string\n"},
    {"views", "view n.v 1 : of e, 2 features\nview n.w 2 : of e, 1 feature\n"},
    {"services", "service m.s 0 : 1 entry\nservice n.s 0 us: 2 entries\n"},
};

static const struct describe_case {
    const char *name, *want;
} describe_cases[] = {
    {"n.e", "entity n.e\ndescription=An entity\nowner=me\ntag a=b\nid=1\nkey k int64 '' ''\nkey l "
            "string '' ''\n"},
    {"n.v", "view "
            "n.v\nentity=n.e\nversion=1\nrevision=1\nttl=36h\nfuture=1m\nvisible=durable\nevict="
            "false\nid=1\nkey "
            "k int64 '' ''\nkey l string '' ''\n"
            "column a decimal(2) '1.50' 'A feature'\ncolumn b string '' ''\n"},
    {"n.w@2", "view "
              "n.w\nentity=n.e\nversion=2\nrevision=1\nttl=none\nfuture=off\nvisible=memory\nevict="
              "true\nid=2\nkey "
              "k int64 '' ''\nkey l string '' ''\n"
              "column c bool '' ''\n"},
    {"n.s", "service n.s\nowner=us\nid=1\ncolumn v:* 2 features '' ''\ncolumn w@2:c bool '' ''\n"},
    {"m.s", "service m.s\nid=2\ncolumn n.v:a decimal(2) '' ''\n"},
};

static void test_lists(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    assert_true(apply_text(registry, text));
    for (size_t i = 0; i < sizeof list_cases / sizeof list_cases[0]; i++) {
        Fst__ListReply *reply;
        char shown[2048] = "";
        assert_int_equal(registry_list(registry, list_cases[i].kind, &reply), FST_OK);
        for (size_t k = 0; k < reply->n_items; k++) {
            const Fst__Item *item = reply->items[k];
            snprintf(shown + strlen(shown), sizeof shown - strlen(shown), "%s %s %u %s: %s\n",
                     item->kind, item->name, item->version, item->owner, item->detail);
        }
        assert_string_equal(shown, list_cases[i].want);
        fst__list_reply__free_unpacked(reply, NULL);
    }
    Fst__ListReply *reply;
    assert_int_equal(registry_list(registry, "features", &reply), FST_INVALID);
    registry_destroy(registry);
}

static void columns_show(char *shown, size_t bytes, const char *what, Fst__Column *const *columns,
                         size_t count) {
    for (size_t k = 0; k < count; k++) {
        snprintf(shown + strlen(shown), bytes - strlen(shown), "%s %s %s '%s' '%s'\n", what,
                 columns[k]->name, columns[k]->type, columns[k]->default_value,
                 columns[k]->description);
    }
}

static void test_descriptions(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    assert_true(apply_text(registry, text));
    for (size_t i = 0; i < sizeof describe_cases / sizeof describe_cases[0]; i++) {
        Fst__DescribeReply *reply;
        char shown[2048];
        assert_int_equal(registry_describe(registry, describe_cases[i].name, &reply, NULL), FST_OK);
        snprintf(shown, sizeof shown, "%s %s\n", reply->kind, reply->name);
        for (size_t k = 0; k < reply->n_fields; k++) {
            snprintf(shown + strlen(shown), sizeof shown - strlen(shown), "%s=%s\n",
                     reply->fields[k]->name, reply->fields[k]->value);
        }
        columns_show(shown, sizeof shown, "key", reply->keys, reply->n_keys);
        columns_show(shown, sizeof shown, "column", reply->columns, reply->n_columns);
        assert_string_equal(shown, describe_cases[i].want);
        fst__describe_reply__free_unpacked(reply, NULL);
    }
    registry_destroy(registry);
}

static void test_one_feature_is_not_features(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    assert_true(apply_text(registry, "entities:\n- {name: e, keys: [{name: k, type: bool}]}\n"
                                     "views:\n- {name: v, entity: e, features: [{name: a, type: "
                                     "bool}]}\nservices:\n- {name: s, features: ['v:*']}\n"));
    Fst__DescribeReply *reply;
    struct fst_error error;
    assert_int_equal(registry_describe(registry, "s", &reply, &error), FST_OK);
    assert_string_equal(reply->columns[0]->type, "1 feature");
    fst__describe_reply__free_unpacked(reply, NULL);
    registry_destroy(registry);
}

static void test_unknown_names(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    assert_true(apply_text(registry, text));
    /* There are two namespaces, so a name alone means nothing. */
    static const char *const unknown[] = {"e", "s", "n.x", "n.v@2", "n.e@1", "x.e"};
    static const char *const invalid[] = {"",      "n.",    ".e",  "n.v@",   "n.v@0",
                                          "n.v@x", "a.b.c", "N.e", "n.v@1@2"};
    Fst__DescribeReply *reply;
    struct fst_error error;
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_int_equal(registry_describe(registry, unknown[i], &reply, &error), FST_UNKNOWN);
        assert_non_null(strstr(error.text, unknown[i]));
    }
    assert_int_equal(registry_describe(registry, "s", &reply, &error), FST_UNKNOWN);
    assert_non_null(strstr(error.text, "did you mean 'n.s'?"));
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        assert_int_equal(registry_describe(registry, invalid[i], &reply, &error), FST_INVALID);
    }
    registry_destroy(registry);
    registry = apply_registry();
    assert_true(apply_text(registry, "entities:\n- {name: e, keys: [{name: k, type: bool}]}\n"));
    assert_int_equal(registry_describe(registry, "e", &reply, &error), FST_OK);
    assert_string_equal(reply->name, "default.e");
    fst__describe_reply__free_unpacked(reply, NULL);
    registry_destroy(registry);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_descriptions),
        cmocka_unit_test(test_one_feature_is_not_features),
        cmocka_unit_test(test_unknown_names),
    };
    return cmocka_run_group_tests_name("registry/describe", tests, NULL, NULL);
}
