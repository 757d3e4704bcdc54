/*
 * apply: one-line applies for tests of the registry.
 *
 * Each helper checks what must hold after every plan: a refused one has no change, a change can
 * be adopted, the catalog that follows passes its check.
 */
#ifndef TESTS_REGISTRY_APPLY_H
#define TESTS_REGISTRY_APPLY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/registry.h"

enum { APPLY_DOCUMENTS_MAX = 8, APPLY_TEXT_BYTES = 1 << 16, APPLY_AT_US = 1000000 };

/* Plans documents; a list that ends with NULL. The reply is the caller's. */
static inline Fst__ApplyReply *apply_plan(const struct registry *registry,
                                          const char *const *documents, struct bytes *change_out) {
    Fst__Document values[APPLY_DOCUMENTS_MAX];
    Fst__Document *pointers[APPLY_DOCUMENTS_MAX];
    char names[APPLY_DOCUMENTS_MAX][16];
    Fst__ApplyRequest request = FST__APPLY_REQUEST__INIT;
    char actor[] = "test";
    request.actor = actor;
    request.documents = pointers;
    for (; documents[request.n_documents]; request.n_documents++) {
        size_t i = request.n_documents;
        assert_true(i < APPLY_DOCUMENTS_MAX);
        snprintf(names[i], sizeof names[i], "d%zu.yaml", i);
        fst__document__init(&values[i]);
        values[i].name = names[i];
        values[i].text.data = (uint8_t *)(uintptr_t)documents[i];
        values[i].text.len = strlen(documents[i]);
        pointers[i] = &values[i];
    }
    Fst__ApplyReply *reply = NULL;
    *change_out = (struct bytes){0};
    int64_t now_us = APPLY_AT_US + (int64_t)registry_generation(registry);
    assert_int_equal(registry_plan_apply(registry, &request, now_us, &reply, change_out), FST_OK);
    assert_non_null(reply);
    if (reply->refused) assert_null(change_out->data);
    return reply;
}

static inline void apply_check_catalog(const struct registry *registry) {
    struct catalog *catalog = NULL;
    assert_int_equal(registry_catalog(registry, &catalog), FST_OK);
    assert_int_equal(catalog_check(catalog), FST_OK);
    assert_int_equal(catalog->generation, registry_generation(registry));
    catalog_destroy(catalog);
}

static inline void apply_adopt(struct registry *registry, struct bytes change) {
    struct fst_error error = {.text = ""};
    uint64_t generation = registry_generation(registry);
    assert_int_equal(registry_adopt(registry, change, &error), FST_OK);
    assert_int_equal(registry_generation(registry), generation + 1);
    apply_check_catalog(registry);
}

/* Plans and adopts. True if something was applied; false if nothing was to be done. Must not be
 * refused. */
static inline bool apply_documents(struct registry *registry, const char *const *documents) {
    struct bytes change;
    Fst__ApplyReply *reply = apply_plan(registry, documents, &change);
    for (size_t i = 0; i < reply->n_problems; i++) {
        print_message("%u:%u %s\n", reply->problems[i]->line, reply->problems[i]->column,
                      reply->problems[i]->text);
    }
    for (size_t i = 0; i < reply->n_changes; i++) {
        if (reply->changes[i]->reason[0]) print_message("%s\n", reply->changes[i]->reason);
    }
    assert_false(reply->refused);
    fst__apply_reply__free_unpacked(reply, NULL);
    if (!change.data) return false;
    apply_adopt(registry, change);
    free((void *)(uintptr_t)change.data);
    return true;
}

static inline bool apply_text(struct registry *registry, const char *text) {
    const char *const documents[] = {text, NULL};
    return apply_documents(registry, documents);
}

/* A reply as text: problems as "line:column text", then "action kind name", its lines, "!
 * reason", "? hint". */
static inline void apply_show(const Fst__ApplyReply *reply, char text_out[APPLY_TEXT_BYTES]) {
    size_t used = 0;
    text_out[0] = 0;
    for (size_t i = 0; i < reply->n_problems; i++) {
        const Fst__Problem *problem = reply->problems[i];
        used += (size_t)snprintf(text_out + used, APPLY_TEXT_BYTES - used, "%u:%u %s\n",
                                 problem->line, problem->column, problem->text);
    }
    for (size_t i = 0; i < reply->n_changes; i++) {
        const Fst__Change *change = reply->changes[i];
        used += (size_t)snprintf(text_out + used, APPLY_TEXT_BYTES - used, "%s %s %s\n",
                                 change->action, change->kind, change->name);
        for (size_t l = 0; l < change->n_lines; l++) {
            used += (size_t)snprintf(text_out + used, APPLY_TEXT_BYTES - used, "  %s\n",
                                     change->lines[l]);
        }
        if (!change->reason[0]) continue;
        used += (size_t)snprintf(text_out + used, APPLY_TEXT_BYTES - used, "  ! %s\n  ? %s\n",
                                 change->reason, change->hint);
    }
    assert_true(used < APPLY_TEXT_BYTES);
}

/* Plans one text, and compares what it says. Nothing is adopted. */
static inline void apply_expect(const struct registry *registry, const char *text,
                                const char *want) {
    static char shown[APPLY_TEXT_BYTES];
    const char *const documents[] = {text, NULL};
    struct bytes change;
    Fst__ApplyReply *reply = apply_plan(registry, documents, &change);
    apply_show(reply, shown);
    assert_string_equal(shown, want);
    fst__apply_reply__free_unpacked(reply, NULL);
    free((void *)(uintptr_t)change.data);
}

static inline struct registry *apply_registry(void) {
    struct registry *registry = NULL;
    assert_int_equal(registry_create(&registry), FST_OK);
    return registry;
}

#endif
