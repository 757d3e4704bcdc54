/* What may change and what may not, case by case: each starts from the same stored definitions,
 * plans one text, and must say exactly the expected lines, reasons and hints. Then what an apply
 * leaves behind: revisions, versions, services. */
#include "tests/registry/apply.h"

#define ENTITIES                                                                                   \
    "entities:\n- {name: e, keys: [{name: k, type: int64}]}\n- {name: f, keys: [{name: l, type: "  \
    "string}]}\n"

/* What every case starts from. */
static const char stored[] = ENTITIES
    "views:\n"
    "- {name: v, entity: e, ttl: 7d, owner: me, features: [{name: a, type: int32, default: 1},"
    " {name: b, type: float32}, {name: c, type: decimal(2), default: 0.5}, {name: d, type: "
    "string}]}\n"
    "- {name: w, entity: f, features: [{name: a, type: bool}]}\n"
    "services:\n- {name: s, features: [\"v:a\", \"w:*\"]}\n";

#define VIEW(options, features)                                                                    \
    "views:\n- {name: v, entity: e, " options ", features: [" features "]}\n"
#define AS_STORED "ttl: 7d, owner: me"
#define A         "{name: a, type: int32, default: 1}"
#define B         "{name: b, type: float32}"
#define C         "{name: c, type: decimal(2), default: 0.5}"
#define D         "{name: d, type: string}"
#define HINT      "  ? leave version 1 as it is and add the new form beside it, with `version: 2`\n"

static const struct plan_case {
    const char *name, *text, *want;
} plan_cases[] = {
    {"nothing", "", ""},
    {"all the same", stored,
     "same entity default.e\nsame entity default.f\nsame view default.v\nsame view default.w\n"
     "same service default.s\n"},
    {"order of features does not matter", VIEW(AS_STORED, D ", " C ", " B ", " A),
     "same view default.v\n"},
    {"feature added at the end", VIEW(AS_STORED, A ", " B ", " C ", " D ", {name: x, type: uuid}"),
     "change view default.v\n  + feature x uuid\n"},
    {"feature added at the front",
     VIEW(AS_STORED, "{name: x, type: int32, default: 3}, " A ", " B ", " C ", " D),
     "change view default.v\n  + feature x int32 default 3\n"},
    {"integer widened", VIEW(AS_STORED, "{name: a, type: int64, default: 1}, " B ", " C ", " D),
     "change view default.v\n  ~ feature a int32 -> int64\n"},
    {"float widened", VIEW(AS_STORED, A ", {name: b, type: float64}, " C ", " D),
     "change view default.v\n  ~ feature b float32 -> float64\n"},
    {"default changed", VIEW(AS_STORED, "{name: a, type: int32, default: 2}, " B ", " C ", " D),
     "change view default.v\n  ~ default of a 1 -> 2\n"},
    {"default added and removed",
     VIEW(AS_STORED, "{name: a, type: int32}, {name: b, type: float32, default: 1.5}, " C ", " D),
     "change view default.v\n  ~ default of a 1 -> none\n  ~ default of b none -> 1.5\n"},
    {"options", VIEW("ttl: 1d, future: off, visible: memory, evict: true", A ", " B ", " C ", " D),
     "change view default.v\n  ~ ttl 7d -> 1d\n  ~ future 1m -> off\n  ~ visible durable -> "
     "memory\n  ~ evict false -> true\n  - owner me\n"},
    {"metadata",
     VIEW("ttl: 7d, owner: you, description: x, tags: {t: 1}",
          "{name: a, type: int32, default: 1, description: y}, " B ", " C ", " D),
     "change view default.v\n  + description x\n  ~ owner me -> you\n  + tag t 1\n  + a: "
     "description y\n"},
    {"feature removed", VIEW(AS_STORED, A ", " B ", " C),
     "change view default.v\n  - feature d\n  ! feature 'd' is stored and cannot be "
     "removed\n" HINT},
    {"feature renamed", VIEW(AS_STORED, A ", " B ", " C ", {name: dd, type: string}"),
     "change view default.v\n  - feature d\n  + feature dd string\n  ! feature 'd' is stored and "
     "cannot be removed\n" HINT},
    {"integer narrowed to bool", VIEW(AS_STORED, "{name: a, type: bool}, " B ", " C ", " D),
     "change view default.v\n  ~ feature a int32 -> bool\n  ~ default of a 1 -> none\n  ! feature "
     "'a' cannot change from int32 to bool "
     "(only int32 to int64 and float32 to float64)\n" HINT},
    {"integer to float", VIEW(AS_STORED, "{name: a, type: float64, default: 1}, " B ", " C ", " D),
     "change view default.v\n  ~ feature a int32 -> float64\n  ! feature 'a' cannot change from "
     "int32 to float64 "
     "(only int32 to int64 and float32 to float64)\n" HINT},
    {"scale of a decimal",
     VIEW(AS_STORED, A ", " B ", {name: c, type: decimal(3), default: 0.5}, " D),
     "change view default.v\n  ~ feature c decimal(2) -> decimal(3)\n  ~ default of c 0.50 -> "
     "0.500\n  ! feature 'c' cannot change from "
     "decimal(2) to decimal(3) (only int32 to int64 and float32 to float64)\n" HINT},
    {"two reasons", VIEW(AS_STORED, A ", {name: b, type: int32}, " C),
     "change view default.v\n  ~ feature b float32 -> int32\n  - feature d\n  ! feature 'b' cannot "
     "change from float32 to int32 (only int32 "
     "to int64 and float32 to float64); feature 'd' is stored and cannot be removed\n" HINT},
    {"another entity", "views:\n- {name: w, entity: e, features: [{name: a, type: bool}]}\n",
     "change view default.w\n  ~ entity -> e\n  ! the entity of a view cannot change: rows are "
     "stored under its keys\n" HINT},
    {"a new version",
     "views:\n- {name: w, version: 2, entity: e, features: [{name: z, type: bytes}]}\n",
     "new version view default.w@2\n  + entity e\n  + feature z bytes\n"},
    {"a later version",
     "views:\n- {name: w, version: 7, entity: f, features: [{name: a, type: bool}]}\n",
     "new version view default.w@7\n  + entity f\n  + feature a bool\n"},
    {"entity's metadata", "entities:\n- {name: e, owner: me, keys: [{name: k, type: int64}]}\n",
     "change entity default.e\n  + owner me\n"},
    {"entity's keys",
     "entities:\n- {name: e, keys: [{name: k, type: int64}, {name: m, type: bool}]}\n",
     "change entity default.e\n  - key k int64\n  + key k int64\n  + key m bool\n  ! the keys of "
     "an entity cannot change: rows are stored under "
     "them\n  ? define an entity with another name, and views for it\n"},
    {"a name in another namespace",
     "namespace: n\nentities:\n- {name: e, keys: [{name: other, type: uuid}]}\n",
     "add entity n.e\n  + key other uuid\n"},
    {"a view of another namespace's entity",
     "namespace: n\nviews:\n- {name: v, entity: default.e, features: [{name: a, type: bool}]}\n",
     "add view n.v\n  + entity default.e\n  + feature a bool\n"},
    {"service's features", "services:\n- {name: s, features: [\"v:b\", \"w:*\"]}\n",
     "change service default.s\n  - feature v:a\n  + feature v:b\n"},
    {"service's order", "services:\n- {name: s, features: [\"w:*\", \"v:a\"]}\n",
     "change service default.s\n  ~ order of features\n"},
    {"service of a new version of a view",
     "views:\n- {name: w, version: 2, entity: f, features: [{name: a, type: bool}]}\nservices:\n- "
     "{name: s, features: [\"v:a\", \"w:*\"]}\n",
     "new version view default.w@2\n  + entity f\n  + feature a bool\nchange service default.s\n  "
     "- feature w:*\n  + feature w@2:*\n"},
    {"service held at a version",
     "views:\n- {name: w, version: 2, entity: f, features: [{name: a, type: bool}]}\nservices:\n- "
     "{name: s, features: [\"v:a\", \"w@1:*\"]}\n",
     "new version view default.w@2\n  + entity f\n  + feature a bool\nsame service default.s\n"},
    {"service of a refused view",
     "views:\n- {name: w, entity: f, features: [{name: z, type: bool}]}\nservices:\n- {name: t, "
     "features: [\"w:z\"]}\n",
     "change view default.w\n  - feature a\n  + feature z bool\n  ! feature 'a' is stored and "
     "cannot be removed\n" HINT},
    {"service of a feature that is added beside it",
     VIEW(AS_STORED,
          A ", " B ", " C ", " D
            ", {name: x, type: uuid}") "services:\n- {name: s, features: [\"v:x\", \"w:*\"]}\n",
     "change view default.v\n  + feature x uuid\nchange service default.s\n  - feature v:a\n  + "
     "feature v:x\n"},
};

static void test_what_may_change(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    assert_true(apply_text(registry, stored));
    for (size_t i = 0; i < sizeof plan_cases / sizeof plan_cases[0]; i++) {
        print_message("  %s\n", plan_cases[i].name);
        apply_expect(registry, plan_cases[i].text, plan_cases[i].want);
        assert_int_equal(registry_generation(registry), 1);
    }
    registry_destroy(registry);
}

/* ---- what an apply leaves behind ---- */

static struct catalog *catalog_of(const struct registry *registry) {
    struct catalog *catalog = NULL;
    assert_int_equal(registry_catalog(registry, &catalog), FST_OK);
    return catalog;
}

static void columns_expect(const struct view *view, uint32_t revision, const char *want) {
    char text[512] = "";
    const struct view_revision *r = &view->revisions[revision];
    for (uint32_t i = 0; i < r->features_count; i++) {
        char type[TYPE_TEXT_BYTES];
        type_format(r->layout.body.columns[i].type, type);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s %s", i ? ", " : "",
                 view->features[i].name.text, type);
    }
    assert_string_equal(text, want);
}

static void test_revisions(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    assert_true(apply_text(registry, stored));
    /* Metadata alone makes no revision. */
    assert_true(apply_text(registry, VIEW("ttl: 1d", A ", " B ", " C ", " D)));
    /* New columns go last, whatever their place in the text. */
    assert_true(apply_text(
        registry,
        VIEW("ttl: 1d", "{name: x, type: uuid}, {name: a, type: int64}, " B ", " C ", " D)));
    assert_true(
        apply_text(registry, VIEW("ttl: 1d", "{name: a, type: int64}, {name: b, type: float64}, " C
                                             ", " D ", {name: x, type: uuid}")));
    assert_false(
        apply_text(registry, VIEW("ttl: 1d", "{name: a, type: int64}, {name: b, type: float64}, " C
                                             ", " D ", {name: x, type: uuid}")));
    struct catalog *catalog = catalog_of(registry);
    const struct view *view = catalog_find_view(catalog, "v");
    assert_non_null(view);
    assert_int_equal(view->revisions_count, 3);
    columns_expect(view, 0, "a int32, b float32, c decimal(2), d string");
    columns_expect(view, 1, "a int64, b float32, c decimal(2), d string, x uuid");
    columns_expect(view, 2, "a int64, b float64, c decimal(2), d string, x uuid");
    assert_int_equal(view->features[0].type.kind, TYPE_INT64);
    assert_false(view->features[0].has_default);
    assert_ptr_equal(view_current(view), &view->revisions[2]);
    catalog_destroy(catalog);
    registry_destroy(registry);
}

static void test_versions_stand_side_by_side(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    assert_true(apply_text(registry, stored));
    assert_true(apply_text(
        registry,
        "views:\n- {name: w, version: 3, entity: f, features: [{name: a, type: string}]}\n"));
    apply_expect(registry,
                 "views:\n- {name: w, version: 2, entity: f, features: [{name: a, type: bool}]}\n",
                 "2:10 version 2 of view 'w' is not stored, and older than the newest: expected "
                 "version 4 or later\n");
    /* The old version may still change on its own. */
    assert_true(apply_text(
        registry, "views:\n- {name: w, ttl: 5m, entity: f, features: [{name: a, type: bool}]}\n"));
    struct catalog *catalog = catalog_of(registry);
    const struct view *first = catalog_find_view(catalog, "w@1");
    const struct view *third = catalog_find_view(catalog, "default.w@3");
    assert_non_null(first);
    assert_non_null(third);
    assert_ptr_equal(catalog_find_view(catalog, "w"), third);
    assert_null(catalog_find_view(catalog, "w@2"));
    assert_true(first->ttl_us == 300 * INT64_C(1000000));
    assert_true(third->ttl_us == 0);
    assert_int_not_equal(first->id, third->id);
    /* The service keeps what it was applied with. */
    const struct service *service = catalog_find_service(catalog, "s");
    assert_ptr_equal(service->features[1].view, first);
    catalog_destroy(catalog);
    registry_destroy(registry);
}

static void test_services_grow_with_their_views(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    assert_true(apply_text(registry, stored));
    assert_true(apply_text(registry, "views:\n- {name: w, entity: f, features: [{name: a, type: "
                                     "bool}, {name: b, type: int32}]}\n"));
    struct catalog *catalog = catalog_of(registry);
    const struct service *service = catalog_find_service(catalog, "s");
    assert_int_equal(service->features_count, 3);
    assert_int_equal(service->features[2].column, 1);
    catalog_destroy(catalog);
    registry_destroy(registry);
}

/* ---- limits, at the limit and one past it ---- */

static char limit_text[1 << 20];

static void view_append(const char *name, uint32_t features_count, const char *type) {
    char *at = limit_text + strlen(limit_text);
    at += sprintf(at, "- {name: %s, entity: e, features: [", name);
    for (uint32_t i = 0; i < features_count; i++) {
        at += sprintf(at, "%s{name: f%u, type: \"%s\"}", i ? ", " : "", i, type);
    }
    sprintf(at, "]}\n");
}

static void limit_begin(void) {
    strcpy(limit_text, "entities:\n- {name: e, keys: [{name: k, type: int64}]}\nviews:\n");
}

static void test_limit_of_features(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    limit_begin();
    view_append("v", FEATURES_MAX + 1, "bool");
    apply_expect(registry, limit_text,
                 "4:34 expected a list of features, such as [{name: score, type: float64}], at "
                 "most 1000 of them, found 1001\n"
                 "add entity default.e\n  + key k int64\n");
    limit_begin();
    view_append("v", FEATURES_MAX, "bool");
    strcat(limit_text, "services:\n- {name: s, features: [\"v:*\"]}\n");
    assert_true(apply_text(registry, limit_text));
    /* One more feature in the view would be too many for the service too. */
    limit_begin();
    view_append("w", 1, "bool");
    strcat(limit_text, "services:\n- {name: t, features: [\"v:*\", \"w:*\"]}\n");
    apply_expect(registry, limit_text,
                 "6:10 expected at most 1000 features in a service, found 1001\nsame entity "
                 "default.e\nadd view default.w\n  + entity e\n  "
                 "+ feature f0 bool\n");
    registry_destroy(registry);
}

static void test_limit_of_a_service_that_grows(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    limit_begin();
    view_append("v", FEATURES_MAX - 1, "bool");
    view_append("w", 1, "bool");
    strcat(limit_text, "services:\n- {name: s, features: [\"v:*\", \"w:*\"]}\n");
    assert_true(apply_text(registry, limit_text));
    limit_begin();
    view_append("w", 2, "bool");
    apply_expect(registry, limit_text,
                 "0:0 service 'default.s' would have 1001 features: expected at most 1000\nsame "
                 "entity default.e\nchange view default.w\n  + "
                 "feature f1 bool\n");
    registry_destroy(registry);
}

static void test_limit_of_a_row(void **state) {
    (void)state;
    /* Head 24, one word of null bits, three vectors of 16,384 bytes, one of the rest: 65,536 in
     * all. */
    struct registry *registry = apply_registry();
    static const char format[] =
        "entities:\n- {name: e, keys: [{name: k, type: int64}]}\nviews:\n- {name: v, entity: e, "
        "features: [{name: a, type: \"vector(float32, "
        "4096)\"}, {name: b, type: \"vector(float32, 4096)\"}, {name: c, type: \"vector(float32, "
        "4096)\"}, {name: d, type: \"vector(float32, %d)\"}]}\n";
    sprintf(limit_text, format, 4090);
    apply_expect(registry, limit_text,
                 "4:10 a row of view 'v' takes 65544 bytes: expected at most 65536\nadd entity "
                 "default.e\n  + key k int64\n");
    sprintf(limit_text, format, 4088);
    assert_true(apply_text(registry, limit_text));
    struct catalog *catalog = catalog_of(registry);
    assert_int_equal(view_current(&catalog->views[0])->layout.image_bytes, ROW_IMAGE_BYTES_MAX);
    catalog_destroy(catalog);
    registry_destroy(registry);
}

static void test_limit_of_views(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    limit_begin();
    for (uint32_t i = 0; i < VIEWS_PER_ENTITY_MAX; i++) {
        char name[8];
        snprintf(name, sizeof name, "v%u", i);
        view_append(name, 1, "bool");
    }
    assert_true(apply_text(registry, limit_text));
    limit_begin();
    view_append("x", 1, "bool");
    apply_expect(registry, limit_text,
                 "4:10 expected at most 256 views of entity 'e', versions included\nsame entity "
                 "default.e\n");
    registry_destroy(registry);
}

static void test_limit_of_names(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    char name[66] = "";
    memset(name, 'n', 64);
    sprintf(limit_text, "entities:\n- {name: %s, keys: [{name: k, type: int64}]}\n", name);
    char want[256];
    snprintf(want, sizeof want,
             "2:10 expected a name (a-z, then a-z, 0-9 or _; at most 63 bytes), found '%s'\n",
             name);
    apply_expect(registry, limit_text, want);
    name[63] = 0;
    sprintf(limit_text, "entities:\n- {name: %s, keys: [{name: k, type: int64}]}\n", name);
    assert_true(apply_text(registry, limit_text));
    registry_destroy(registry);
}

static void test_limits_of_a_service(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    for (uint32_t extra = 0; extra <= 1; extra++) {
        char *at = limit_text + sprintf(limit_text, "entities:\n");
        uint32_t count = SERVICE_ENTITIES_MAX + extra;
        for (uint32_t i = 0; i < count; i++) {
            at += sprintf(
                at, "- {name: e%u, keys: [{name: k%u, type: int64}, {name: l%u, type: int64}]}\n",
                i, i, i);
        }
        at += sprintf(at, "views:\n");
        for (uint32_t i = 0; i < count; i++) {
            at += sprintf(at, "- {name: v%u, entity: e%u, features: [{name: a, type: bool}]}\n", i,
                          i);
        }
        at += sprintf(at, "services:\n- {name: s, features: [");
        for (uint32_t i = 0; i < count; i++) at += sprintf(at, "%s\"v%u:a\"", i ? ", " : "", i);
        sprintf(at, "]}\n");
        if (extra == 0) {
            assert_true(apply_text(registry, limit_text));
            continue;
        }
        const char *const documents[] = {limit_text, NULL};
        struct bytes change;
        Fst__ApplyReply *reply = apply_plan(registry, documents, &change);
        assert_int_equal(reply->n_problems, 1);
        assert_string_equal(reply->problems[0]->text, "expected at most 8 entities in a service");
        fst__apply_reply__free_unpacked(reply, NULL);
    }
    registry_destroy(registry);
}

static void test_limit_of_revisions(void **state) {
    (void)state;
    struct registry *registry = apply_registry();
    for (uint32_t i = 1; i <= REVISIONS_MAX; i++) {
        limit_begin();
        view_append("v", i, "bool");
        assert_true(apply_text(registry, limit_text));
    }
    limit_begin();
    view_append("v", REVISIONS_MAX + 1, "bool");
    apply_expect(registry, limit_text,
                 "same entity default.e\nchange view default.v\n  + feature f256 bool\n  ! the "
                 "view has changed its columns 255 times, which "
                 "is the most it may\n" HINT);
    struct catalog *catalog = catalog_of(registry);
    assert_int_equal(catalog->views[0].revisions_count, REVISIONS_MAX);
    catalog_destroy(catalog);
    registry_destroy(registry);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_may_change),
        cmocka_unit_test(test_revisions),
        cmocka_unit_test(test_versions_stand_side_by_side),
        cmocka_unit_test(test_services_grow_with_their_views),
        cmocka_unit_test(test_limit_of_features),
        cmocka_unit_test(test_limit_of_a_service_that_grows),
        cmocka_unit_test(test_limit_of_a_row),
        cmocka_unit_test(test_limit_of_views),
        cmocka_unit_test(test_limit_of_names),
        cmocka_unit_test(test_limits_of_a_service),
        cmocka_unit_test(test_limit_of_revisions),
    };
    return cmocka_run_group_tests_name("registry/plan", tests, NULL, NULL);
}
