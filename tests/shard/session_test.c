/* Shows what a session remembers: handles numbered from 1, refused past 256 and by bad names
 * without taking a number, and compiled anew when definitions change: the same layout id where
 * nothing changed, another one where the view grew, no plan while a name is missing, and a plan
 * again when it is back. Its roles are those that its key has when they are granted: all while no
 * key exists, none once another one does, its own as long as it lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "shard/session.h"
#include "tests/shard/shard_fixture.h"

#define HEAD                                                                                       \
    "namespace: t\n"                                                                               \
    "entities:\n"                                                                                  \
    "  - {name: customer, keys: [{name: customer_id, type: int64}]}\n"                             \
    "views:\n"
#define VIEW_A "  - {name: a, entity: customer, features: [{name: x, type: int64}]}\n"
#define VIEW_B "  - {name: b, entity: customer, features: [{name: y, type: float64}]}\n"
#define VIEW_B_GROWN                                                                               \
    "  - {name: b, entity: customer, features: [{name: y, type: float64}, {name: z, type: "        \
    "bool}]}\n"
#define SERVICE "services:\n  - {name: s, features: [\"a:x\", \"b:y\"]}\n"

struct names {
    struct handle_names asked;
    struct bytes texts[2];
};

static struct handle_names *names_of(struct names *names, enum plan_kind kind, const char *first,
                                     const char *second) {
    const char *texts[] = {first, second};
    names->asked = (struct handle_names){.kind = kind, .names = names->texts};
    for (uint32_t i = 0; i < 2 && texts[i]; i++) {
        names->texts[names->asked.count++] =
            (struct bytes){.data = (const uint8_t *)texts[i], .bytes = strlen(texts[i])};
    }
    return &names->asked;
}

static struct catalog *catalog_of(const char *yaml) {
    struct registry *registry = fixture_registry(yaml);
    struct catalog *catalog = NULL;
    assert_int_equal(registry_catalog(registry, &catalog), FST_OK);
    registry_destroy(registry);
    return catalog;
}

static uint32_t prepare(struct session *session, const struct catalog *catalog,
                        const struct handle_names *names) {
    struct fst_error error = {.text = ""};
    uint32_t number = 0;
    enum fst_status status = session_prepare(session, catalog, names, &number, &error);
    if (status != FST_OK) print_message("%s\n", error.text);
    assert_int_equal(status, FST_OK);
    return number;
}

/* 0: no plan. */
static uint64_t layout_id(const struct session *session, uint32_t number) {
    const struct handle *handle = session_find(session, number);
    assert_non_null(handle);
    assert_false(handle->read && handle->write);
    if (handle->read) return handle->read->layout_id;
    return handle->write ? handle->write->layout_id : 0;
}

static void test_handles_are_numbered(void **state) {
    (void)state;
    struct names names;
    struct session *session;
    struct catalog *catalog = catalog_of(HEAD VIEW_A VIEW_B SERVICE);
    assert_int_equal(session_create(&session), FST_OK);
    assert_null(session_find(session, 0));
    assert_null(session_find(session, 1));
    assert_int_equal(prepare(session, catalog, names_of(&names, PLAN_FEATURES, "a:x", "b:y")), 1);
    assert_int_equal(prepare(session, catalog, names_of(&names, PLAN_SERVICE, "s", NULL)), 2);
    assert_int_equal(prepare(session, catalog, names_of(&names, PLAN_WRITE, "b", NULL)), 3);
    assert_true(session_find(session, 1)->read && !session_find(session, 1)->write);
    assert_true(session_find(session, 2)->read && !session_find(session, 2)->write);
    assert_true(session_find(session, 3)->write && !session_find(session, 3)->read);
    assert_int_equal(session_find(session, 1)->names_count, 2);
    assert_memory_equal(session_find(session, 1)->names[1].data, "b:y", 3);
    assert_null(session_find(session, 0));
    assert_null(session_find(session, 4));
    assert_null(session_find(session, UINT32_MAX));
    session_destroy(session);
    catalog_destroy(catalog);
}

static void test_limit(void **state) {
    (void)state;
    struct names names;
    struct session *session;
    struct fst_error error = {.text = ""};
    struct catalog *catalog = catalog_of(HEAD VIEW_A VIEW_B SERVICE);
    assert_int_equal(session_create(&session), FST_OK);
    names_of(&names, PLAN_FEATURES, "a:x", NULL);
    for (uint32_t i = 1; i <= SESSION_HANDLES_MAX; i++) {
        assert_int_equal(prepare(session, catalog, &names.asked), i);
    }
    uint32_t number = 77;
    assert_int_equal(session_prepare(session, catalog, &names.asked, &number, &error),
                     FST_TOO_LARGE);
    assert_non_null(strstr(error.text, "256"));
    assert_int_equal(number, 77);
    assert_non_null(session_find(session, SESSION_HANDLES_MAX));
    assert_null(session_find(session, SESSION_HANDLES_MAX + 1));
    session_refresh(session, catalog);
    assert_true(layout_id(session, SESSION_HANDLES_MAX) != 0);
    session_destroy(session);
    catalog_destroy(catalog);
}

static void test_bad_names_take_no_number(void **state) {
    (void)state;
    static const struct {
        enum plan_kind kind;
        const char *first;
        const char *second;
        enum fst_status status;
    } cases[] = {
        {PLAN_FEATURES, "a:nothing", NULL, FST_UNKNOWN}, {PLAN_FEATURES, "a:x", "a:x", FST_INVALID},
        {PLAN_SERVICE, "nothing", NULL, FST_UNKNOWN},    {PLAN_WRITE, "nothing", NULL, FST_UNKNOWN},
        {PLAN_WRITE, "a", "nothing", FST_UNKNOWN},       {PLAN_WRITE, NULL, NULL, FST_INVALID},
    };
    struct names names;
    struct session *session;
    struct catalog *catalog = catalog_of(HEAD VIEW_A VIEW_B SERVICE);
    assert_int_equal(session_create(&session), FST_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fst_error error = {.text = ""};
        uint32_t number = 77;
        names_of(&names, cases[i].kind, cases[i].first, cases[i].second);
        assert_int_equal(session_prepare(session, catalog, &names.asked, &number, &error),
                         cases[i].status);
        assert_true(error.text[0] != 0);
        assert_int_equal(number, 77);
        assert_null(session_find(session, 1));
    }
    assert_int_equal(prepare(session, catalog, names_of(&names, PLAN_WRITE, "a", NULL)), 1);
    session_destroy(session);
    catalog_destroy(catalog);
}

/* The catalog before is destroyed each time: a sanitizer sees plans that still lean on it. */
static void test_refresh(void **state) {
    (void)state;
    enum { OF_A = 1, OF_B, OF_SERVICE, WRITE_A, WRITE_B, WRITE_B_Y, HANDLES = WRITE_B_Y };
    struct names names;
    struct session *session;
    uint64_t before[HANDLES + 1];
    struct catalog *catalog = catalog_of(HEAD VIEW_A VIEW_B SERVICE);
    assert_int_equal(session_create(&session), FST_OK);
    prepare(session, catalog, names_of(&names, PLAN_FEATURES, "a:x", NULL));
    prepare(session, catalog, names_of(&names, PLAN_FEATURES, "b:*", NULL));
    prepare(session, catalog, names_of(&names, PLAN_SERVICE, "s", NULL));
    prepare(session, catalog, names_of(&names, PLAN_WRITE, "a", NULL));
    prepare(session, catalog, names_of(&names, PLAN_WRITE, "b", NULL));
    prepare(session, catalog, names_of(&names, PLAN_WRITE, "b", "y"));
    for (uint32_t h = 1; h <= HANDLES; h++) before[h] = layout_id(session, h);

    struct catalog *grown = catalog_of(HEAD VIEW_A VIEW_B_GROWN SERVICE);
    session_refresh(session, grown);
    catalog_destroy(catalog);
    assert_int_equal(layout_id(session, OF_A), before[OF_A]);
    assert_int_equal(layout_id(session, OF_SERVICE), before[OF_SERVICE]);
    assert_int_equal(layout_id(session, WRITE_A), before[WRITE_A]);
    assert_int_equal(layout_id(session, WRITE_B_Y), before[WRITE_B_Y]);
    assert_int_not_equal(layout_id(session, OF_B), before[OF_B]);
    assert_int_not_equal(layout_id(session, WRITE_B), before[WRITE_B]);

    struct catalog *without = catalog_of(HEAD VIEW_A);
    session_refresh(session, without);
    catalog_destroy(grown);
    assert_int_equal(layout_id(session, OF_A), before[OF_A]);
    assert_int_equal(layout_id(session, OF_B), 0);
    assert_int_equal(layout_id(session, OF_SERVICE), 0);
    assert_int_equal(layout_id(session, WRITE_B), 0);

    struct catalog *again = catalog_of(HEAD VIEW_A VIEW_B SERVICE);
    session_refresh(session, again);
    catalog_destroy(without);
    for (uint32_t h = 1; h <= HANDLES; h++) assert_int_equal(layout_id(session, h), before[h]);
    session_destroy(session);
    catalog_destroy(again);
}

static struct bytes text_of(const char *text) {
    return (struct bytes){.data = (const uint8_t *)text, .bytes = strlen(text)};
}

/* The access table of a registry after one more key, whose text is returned. */
static struct access_table *access_after_key(struct registry *registry, const char *name,
                                             uint32_t roles,
                                             char key_text_out[ACCESS_KEY_TEXT_BYTES]) {
    struct access_key_plan plan = {.name = name, .roles = roles, .secret = {name[0]}};
    struct bytes change;
    struct access_table *access = NULL;
    assert_int_equal(registry_plan_key_create(registry, &plan, &change, NULL), FST_OK);
    assert_int_equal(registry_adopt(registry, change, NULL), FST_OK);
    free((void *)(uintptr_t)change.data);
    memcpy(key_text_out, plan.key_text, ACCESS_KEY_TEXT_BYTES);
    assert_int_equal(registry_access(registry, &access), FST_OK);
    return access;
}

static void test_roles_follow_the_keys(void **state) {
    (void)state;
    char boss[ACCESS_KEY_TEXT_BYTES], reader[ACCESS_KEY_TEXT_BYTES];
    struct session *keyless, *reading, *silent;
    struct registry *registry = fixture_registry(HEAD VIEW_A);
    struct access_table *access = NULL;
    assert_int_equal(registry_access(registry, &access), FST_OK);
    assert_int_equal(session_create(&keyless), FST_OK);
    assert_int_equal(session_create(&reading), FST_OK);
    assert_int_equal(session_create(&silent), FST_OK);
    session_greet(keyless, 1, text_of(""));
    assert_int_equal(keyless->roles, 0);
    session_grant(keyless, access);
    assert_int_equal(keyless->roles, ACCESS_ROLES);
    session_grant(silent, access); /* It said no HELLO. */
    assert_int_equal(silent->roles, 0);

    access_destroy(access);
    access = access_after_key(registry, "boss", ROLE_ADMIN, boss);
    session_grant(keyless, access);
    assert_int_equal(keyless->roles, 0);
    access_destroy(access);
    access = access_after_key(registry, "reader", ROLE_READ, reader);
    session_greet(reading, 2, text_of(reader));
    session_grant(reading, access);
    assert_int_equal(reading->roles, ROLE_READ);

    struct bytes change;
    assert_int_equal(registry_plan_key_revoke(registry, "reader", 0, &change, NULL), FST_OK);
    assert_int_equal(registry_adopt(registry, change, NULL), FST_OK);
    free((void *)(uintptr_t)change.data);
    access_destroy(access);
    assert_int_equal(registry_access(registry, &access), FST_OK);
    session_grant(reading, access);
    assert_int_equal(reading->roles, 0);
    access_destroy(access);
    session_destroy(keyless);
    session_destroy(reading);
    session_destroy(silent);
    registry_destroy(registry);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handles_are_numbered),     cmocka_unit_test(test_limit),
        cmocka_unit_test(test_bad_names_take_no_number), cmocka_unit_test(test_refresh),
        cmocka_unit_test(test_roles_follow_the_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
