/* Shows what names compile to: groups, key columns, offsets, layout ids; and which names are
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "catalog_fixture.h"
#include "query/read_plan.h"
#include "query/write_plan.h"

static struct bytes text(const char *s) {
    return (struct bytes){.data = (const uint8_t *)s, .bytes = strlen(s)};
}

static enum fst_status plan_of(const struct catalog *catalog, enum plan_kind kind,
                               const char *const *names, struct read_plan **plan_out,
                               struct fst_error *error) {
    struct bytes all[8];
    uint32_t count = 0;
    for (; names[count]; count++) all[count] = text(names[count]);
    return read_plan_create(plan_out, catalog, kind, all, count, error);
}

static const struct refusal {
    const char *name;
    enum plan_kind kind;
    const char *names[4];
    enum fst_status status;
    const char *part; /* of the message */
} refusals[] = {
    {"no names", PLAN_FEATURES, {NULL}, FST_INVALID, "at least one feature"},
    {"no colon", PLAN_FEATURES, {"profile"}, FST_INVALID, "view:feature"},
    {"empty name", PLAN_FEATURES, {""}, FST_INVALID, "found 0 bytes"},
    {"unknown view", PLAN_FEATURES, {"t.nobody:score"}, FST_UNKNOWN, "nobody"},
    {"unknown feature", PLAN_FEATURES, {"t.profile:nothing"}, FST_UNKNOWN, "nothing"},
    {"twice", PLAN_FEATURES, {"t.profile:score", "t.profile:score"}, FST_INVALID, "twice"},
    {"twice by star", PLAN_FEATURES, {"t.profile:score", "t.profile:*"}, FST_INVALID, "twice"},
    {"unknown service", PLAN_SERVICE, {"t.nobody"}, FST_UNKNOWN, "nobody"},
    {"two services", PLAN_SERVICE, {"t.fraud", "t.fraud"}, FST_INVALID, "one service"},
};

static void test_refuses(void **state) {
    (void)state;
    struct catalog_fixture *fixture = catalog_fixture_create();
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *c = &refusals[i];
        print_message("  %s\n", c->name);
        struct read_plan *plan = NULL;
        struct fst_error error = {.text = ""};
        assert_int_equal(plan_of(&fixture->catalog, c->kind, c->names, &plan, &error), c->status);
        assert_null(plan);
        assert_non_null(strstr(error.text, c->part));
    }
    catalog_fixture_destroy(fixture);
}

static void test_whole_view(void **state) {
    (void)state;
    struct catalog_fixture *fixture = catalog_fixture_create();
    const char *names[] = {"t.profile:*", NULL};
    struct read_plan *plan;
    assert_int_equal(plan_of(&fixture->catalog, PLAN_FEATURES, names, &plan, NULL), FST_OK);
    assert_int_equal(plan->groups_count, 1);
    assert_int_equal(plan->features_count, 4);
    assert_true(plan->groups[0].is_whole);
    assert_true(plan->has_references);
    const struct row_body *stored =
        &view_current(catalog_fixture_view(fixture, FIXTURE_PROFILE))->layout.body;
    assert_int_equal(plan->groups[0].body.bytes, stored->bytes);
    assert_int_equal(plan->row_bytes, PLAN_GROUP_HEADER_BYTES + stored->bytes);
    assert_int_equal(plan->key_bytes_fixed, 8);
    read_plan_destroy(plan);
    catalog_fixture_destroy(fixture);
}

/* The order of features decides whether a view is taken whole. */
static void test_other_order_is_not_whole(void **state) {
    (void)state;
    struct catalog_fixture *fixture = catalog_fixture_create();
    const char *names[] = {"t.spend:n", "t.spend:total", NULL};
    struct read_plan *plan;
    assert_int_equal(plan_of(&fixture->catalog, PLAN_FEATURES, names, &plan, NULL), FST_OK);
    assert_false(plan->groups[0].is_whole);
    assert_int_equal(plan->groups[0].columns[0], 1);
    assert_int_equal(plan->groups[0].columns[1], 0);
    read_plan_destroy(plan);
    catalog_fixture_destroy(fixture);
}

static void test_service_over_two_entities(void **state) {
    (void)state;
    struct catalog_fixture *fixture = catalog_fixture_create();
    const char *names[] = {"t.fraud", NULL};
    struct read_plan *plan;
    assert_int_equal(plan_of(&fixture->catalog, PLAN_SERVICE, names, &plan, NULL), FST_OK);
    assert_int_equal(plan->entities_count, 2);
    assert_int_equal(plan->groups_count, 3);
    assert_int_equal(plan->key_columns_count, 3); /* customer_id; bank, number */
    assert_string_equal(plan->key_columns[0].name.text, "customer_id");
    assert_int_equal(plan->key_bytes_fixed, 0);
    assert_false(plan->entities[0].is_whole_key);
    assert_int_equal(plan->features[1].group, 1);
    read_plan_destroy(plan);
    catalog_fixture_destroy(fixture);
}

/* Equal requests have equal ids; any difference that a client could see gives another one. */
static void test_layout_ids(void **state) {
    (void)state;
    struct catalog_fixture *fixture = catalog_fixture_create();
    const char *one[] = {"t.spend:n", "t.spend:total", NULL};
    const char *other[] = {"t.spend:total", "t.spend:n", NULL};
    struct read_plan *plans[4];
    assert_int_equal(plan_of(&fixture->catalog, PLAN_FEATURES, one, &plans[0], NULL), FST_OK);
    assert_int_equal(plan_of(&fixture->catalog, PLAN_FEATURES, one, &plans[1], NULL), FST_OK);
    assert_int_equal(plan_of(&fixture->catalog, PLAN_FEATURES, other, &plans[2], NULL), FST_OK);
    catalog_fixture_view(fixture, FIXTURE_SPEND)->ttl_us = 101;
    assert_int_equal(plan_of(&fixture->catalog, PLAN_FEATURES, one, &plans[3], NULL), FST_OK);
    assert_true(plans[0]->layout_id == plans[1]->layout_id);
    assert_true(plans[0]->layout_id != plans[2]->layout_id);
    assert_true(plans[0]->layout_id != plans[3]->layout_id);
    for (int i = 0; i < 4; i++) read_plan_destroy(plans[i]);
    catalog_fixture_destroy(fixture);
}

static void test_write_plan(void **state) {
    (void)state;
    struct catalog_fixture *fixture = catalog_fixture_create();
    struct bytes names[] = {text("t.profile"), text("age"), text("score"), text("age")};
    struct write_plan *plan;
    struct fst_error error;
    assert_int_equal(write_plan_create(&plan, &fixture->catalog, names, 1, &error), FST_OK);
    assert_int_equal(plan->columns_count, 4);
    uint64_t all_id = plan->layout_id;
    write_plan_destroy(plan);
    assert_int_equal(write_plan_create(&plan, &fixture->catalog, names, 3, &error), FST_OK);
    assert_int_equal(plan->columns_count, 2);
    assert_int_equal(plan->columns[0].index, 2);
    assert_int_equal(plan->columns[1].index, 0);
    assert_true(plan->layout_id != all_id);
    write_plan_destroy(plan);
    assert_int_equal(write_plan_create(&plan, &fixture->catalog, names, 4, &error), FST_INVALID);
    assert_non_null(strstr(error.text, "twice"));
    assert_int_equal(write_plan_create(&plan, &fixture->catalog, names, 0, &error), FST_INVALID);
    names[0] = text("t.none");
    assert_int_equal(write_plan_create(&plan, &fixture->catalog, names, 1, &error), FST_UNKNOWN);
    catalog_fixture_destroy(fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_whole_view),
        cmocka_unit_test(test_other_order_is_not_whole),
        cmocka_unit_test(test_service_over_two_entities),
        cmocka_unit_test(test_layout_ids),
        cmocka_unit_test(test_write_plan),
    };
    return cmocka_run_group_tests_name("query/read_plan", tests, NULL, NULL);
}
