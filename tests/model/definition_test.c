/* Names are judged, references taken apart, and a small catalog made by hand is searched and
 * then broken in every way its check must see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "model/definition.h"

/* ---- names ---- */

static const struct name_case {
    const char *text;
    bool is_valid;
} name_cases[] = {
    {"a", true},
    {"a1_b", true},
    {"z_", true},
    {"", false},
    {"A", false},
    {"1a", false},
    {"_a", false},
    {"a-b", false},
    {"a.b", false},
    {"a b", false},
    {"\xc3\xa9", false},
    {"a\xc3\xa9", false},
    {"a\n", false},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
};

static void test_names(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof name_cases / sizeof name_cases[0]; i++) {
        const char *text = name_cases[i].text;
        assert_int_equal(name_is_valid(text, strlen(text)), name_cases[i].is_valid);
    }
}

static const struct reference_case {
    const char *text, *space, *name; /* name NULL: it is none */
    uint32_t version;
} reference_cases[] = {
    {"v", "", "v", 0},       {"n.v", "n", "v", 0},
    {"v@7", "", "v", 7},     {"n.v@123456789", "n", "v", 123456789},
    {"", NULL, NULL, 0},     {".v", NULL, NULL, 0},
    {"n.", NULL, NULL, 0},   {"a.b.c", NULL, NULL, 0},
    {"v@", NULL, NULL, 0},   {"v@0", NULL, NULL, 0},
    {"v@01", NULL, NULL, 0}, {"v@1x", NULL, NULL, 0},
    {"v@-1", NULL, NULL, 0}, {"v@1234567890", NULL, NULL, 0},
    {"@1", NULL, NULL, 0},   {"n@1.v", NULL, NULL, 0},
    {"V", NULL, NULL, 0},    {"v:f", NULL, NULL, 0},
};

static void test_references(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof reference_cases / sizeof reference_cases[0]; i++) {
        const struct reference_case *c = &reference_cases[i];
        print_message("  '%s'\n", c->text);
        struct reference reference;
        bool is_read = reference_parse(c->text, strlen(c->text), &reference);
        assert_int_equal(is_read, c->name != NULL);
        if (!is_read) continue;
        assert_string_equal(reference.space.text, c->space);
        assert_string_equal(reference.name.text, c->name);
        assert_int_equal(reference.version, c->version);
    }
}

/* ---- a catalog ---- */

static void feature_fill(struct feature *feature, const char *name, uint8_t kind) {
    strcpy(feature->name.text, name);
    feature->type.kind = kind;
}

static void revision_fill(struct view *view, uint32_t number, const struct type *types,
                          uint32_t count) {
    struct row_column *columns = calloc(count, sizeof *columns);
    assert_non_null(columns);
    struct row_body body;
    row_body_init(&body, columns, types, count);
    row_layout_init(&view->revisions[number].layout, view->entity->key_types,
                    view->entity->keys_count, &body);
    view->revisions[number].features_count = count;
}

/* Features a int64, b string; revision 0 had a as int32 and no b. */
static void view_fill(struct catalog *catalog, uint32_t index, uint32_t id, const char *space,
                      const char *name, uint32_t version) {
    struct view *view = &catalog->views[index];
    view->id = id;
    view->version = version;
    view->entity = &catalog->entities[0];
    strcpy(view->space.text, space);
    strcpy(view->name.text, name);
    view->features = calloc(2, sizeof *view->features);
    view->revisions = calloc(2, sizeof *view->revisions);
    assert_non_null(view->features);
    assert_non_null(view->revisions);
    view->features_count = 2;
    view->revisions_count = 2;
    feature_fill(&view->features[0], "a", TYPE_INT64);
    feature_fill(&view->features[1], "b", TYPE_STRING);
    struct type types[] = {{.kind = TYPE_INT32}, {.kind = TYPE_STRING}};
    revision_fill(view, 0, types, 1);
    types[0].kind = TYPE_INT64;
    revision_fill(view, 1, types, 2);
    catalog->views_by_id[id] = view;
}

static void entity_fill(struct entity *entity, uint32_t id, const char *space, const char *name) {
    entity->id = id;
    strcpy(entity->space.text, space);
    strcpy(entity->name.text, name);
    entity->keys_count = 1;
    strcpy(entity->keys[0].name.text, "k");
    entity->keys[0].type.kind = TYPE_INT64;
    entity->key_types[0] = entity->keys[0].type;
}

/* Views m.v, m.v@3, m.w, and with two namespaces also n.v; a service of m.v@3:b and m.w:a. */
static struct catalog *catalog_make(bool has_two_spaces) {
    struct catalog *catalog = calloc(1, sizeof *catalog);
    assert_non_null(catalog);
    catalog->entities = calloc(2, sizeof *catalog->entities);
    catalog->views = calloc(4, sizeof *catalog->views);
    catalog->services = calloc(1, sizeof *catalog->services);
    catalog->views_by_id = calloc(6, sizeof *catalog->views_by_id);
    assert_non_null(catalog->entities);
    assert_non_null(catalog->views);
    assert_non_null(catalog->services);
    assert_non_null(catalog->views_by_id);
    catalog->entities_count = 2;
    catalog->views_count = 3 + has_two_spaces;
    catalog->services_count = 1;
    catalog->views_by_id_count = 6;
    entity_fill(&catalog->entities[0], 2, "m", "e");
    entity_fill(&catalog->entities[1], 1, "m", "f");
    view_fill(catalog, 0, 4, "m", "v", 1);
    view_fill(catalog, 1, 5, "m", "v", 3);
    view_fill(catalog, 2, 1, "m", "w", 1);
    if (has_two_spaces) view_fill(catalog, 3, 2, "n", "v", 1);
    struct service *service = &catalog->services[0];
    strcpy(service->space.text, "m");
    strcpy(service->name.text, "s");
    service->features = calloc(2, sizeof *service->features);
    assert_non_null(service->features);
    service->features_count = 2;
    service->features[0] = (struct service_feature){.view = &catalog->views[1], .column = 1};
    service->features[1] = (struct service_feature){.view = &catalog->views[2], .column = 0};
    return catalog;
}

static void refusal_check(enum fst_status status, const struct fst_error *error,
                          const char *expected) {
    assert_int_equal(status, FST_UNKNOWN);
    assert_string_equal(error->text, expected);
}

static void test_finding(void **state) {
    (void)state;
    struct fst_error error;
    struct catalog *one = catalog_make(false);
    struct catalog *two = catalog_make(true);
    assert_int_equal(catalog_check(one), FST_OK);
    assert_int_equal(catalog_check(two), FST_OK);
    assert_ptr_equal(catalog_find_view(one, "v"), &one->views[1]);
    assert_ptr_equal(catalog_find_view(one, "v@1"), &one->views[0]);
    assert_ptr_equal(catalog_find_view(one, "m.v@3"), &one->views[1]);
    assert_ptr_equal(catalog_find_view(one, "w"), &one->views[2]);
    assert_null(catalog_find_view(one, "v@2"));
    assert_null(catalog_find_view(one, "x"));
    assert_null(catalog_find_view(one, "a"));
    assert_null(catalog_find_view(one, "n.v"));
    assert_null(catalog_find_view(one, "V"));
    assert_null(catalog_find_view(two, "v"));
    assert_ptr_equal(catalog_find_view(two, "n.v"), &two->views[3]);
    assert_ptr_equal(catalog_find_view(two, "m.v"), &two->views[1]);
    assert_ptr_equal(catalog_find_entity(one, "f"), &one->entities[1]);
    assert_ptr_equal(catalog_find_entity(two, "m.e"), &two->entities[0]);
    assert_null(catalog_find_entity(two, "e"));
    assert_null(catalog_find_entity(one, "e@1"));
    assert_ptr_equal(catalog_find_service(one, "s"), &one->services[0]);
    assert_null(catalog_find_service(one, "v"));
    refusal_check(catalog_refuse_view(two, "v", &error), &error,
                  "there is no view 'v', did you mean 'm.v'?");
    refusal_check(catalog_refuse_view(two, "v@2", &error), &error,
                  "there is no view 'v@2', did you mean 'm.v@2'?");
    refusal_check(catalog_refuse_view(two, "o.v", &error), &error, "there is no view 'o.v'");
    refusal_check(catalog_refuse_view(two, "V", &error), &error, "there is no view 'V'");
    refusal_check(catalog_refuse_service(two, "s", &error), &error,
                  "there is no service 's', did you mean 'm.s'?");
    refusal_check(catalog_refuse_service(two, "v", &error), &error, "there is no service 'v'");
    assert_int_equal(view_find_feature(&one->views[0], "b"), 1);
    assert_int_equal(view_find_feature(&one->views[0], "c"), -1);
    assert_int_equal(view_current(&one->views[0])->features_count, 2);
    catalog_destroy(one);
    catalog_destroy(two);
    catalog_destroy(NULL);
}

static void break_entity_order(struct catalog *c) {
    strcpy(c->entities[0].name.text, "g");
}
static void break_entity_twice(struct catalog *c) {
    strcpy(c->entities[0].name.text, "f");
}
static void break_entity_name(struct catalog *c) {
    strcpy(c->entities[0].name.text, "E");
}
static void break_entity_keys(struct catalog *c) {
    c->entities[0].keys_count = 0;
}
static void break_entity_key_types(struct catalog *c) {
    c->entities[0].key_types[0].kind = TYPE_INT32;
}
static void break_view_order(struct catalog *c) {
    strcpy(c->views[2].name.text, "u");
}
static void break_version_order(struct catalog *c) {
    c->views[1].version = 1;
}
static void break_view_id(struct catalog *c) {
    c->views[0].id = 5;
}
static void break_view_id_beyond(struct catalog *c) {
    c->views[0].id = 6;
}
static void break_ttl(struct catalog *c) {
    c->views[0].ttl_us = -1;
}
static void break_feature_twice(struct catalog *c) {
    strcpy(c->views[0].features[1].name.text, "a");
}
static void break_feature_type(struct catalog *c) {
    c->views[0].features[1].type.kind = TYPE_BYTES;
}
static void break_default(struct catalog *c) {
    c->views[0].features[0].has_default = true;
}
static void break_revision_count(struct catalog *c) {
    c->views[0].revisions[1].features_count = 1;
}
static void break_revision_type(struct catalog *c) {
    c->views[0].revisions[0].layout.body.columns[0].type.kind = TYPE_FLOAT32;
}
static void break_revisions(struct catalog *c) {
    for (uint32_t i = 0; i < 2; i++) free(c->views[0].revisions[i].layout.body.columns);
    c->views[0].revisions_count = 0;
}
static void break_service_view(struct catalog *c) {
    c->services[0].features[0].view = NULL;
}
static void break_service_column(struct catalog *c) {
    c->services[0].features[0].column = 2;
}
static void break_service_empty(struct catalog *c) {
    c->services[0].features_count = 0;
}

static const struct break_case {
    const char *name;
    void (*apply)(struct catalog *catalog);
} break_cases[] = {
    {"D1: order of entities", break_entity_order},
    {"D1: entity twice", break_entity_twice},
    {"entity's name", break_entity_name},
    {"entity without keys", break_entity_keys},
    {"entity's key types", break_entity_key_types},
    {"D1: order of views", break_view_order},
    {"D1: order of versions", break_version_order},
    {"D2: view by id", break_view_id},
    {"D2: id beyond the array", break_view_id_beyond},
    {"negative ttl", break_ttl},
    {"feature twice", break_feature_twice},
    {"D3: type of the last revision", break_feature_type},
    {"default that is no value", break_default},
    {"D3: last revision is short", break_revision_count},
    {"D3: revision does not widen", break_revision_type},
    {"no revision", break_revisions},
    {"D4: service of no view", break_service_view},
    {"D4: service of no column", break_service_column},
    {"service of nothing", break_service_empty},
};

static void test_check_sees_what_is_broken(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof break_cases / sizeof break_cases[0]; i++) {
        print_message("  %s\n", break_cases[i].name);
        struct catalog *catalog = catalog_make(true);
        break_cases[i].apply(catalog);
        assert_int_equal(catalog_check(catalog), FST_CORRUPT);
        catalog_destroy(catalog);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_finding),
        cmocka_unit_test(test_check_sees_what_is_broken),
    };
    return cmocka_run_group_tests_name("model/definition", tests, NULL, NULL);
}
