/* Any text is planned against definitions that are there already: it is applied, or refused with
 * problems or reasons, and what is applied makes a sound catalog.
 *
 * The whole input is the text of one document.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "registry/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const char stored[] =
    "entities:\n- {name: e, keys: [{name: k, type: int64}]}\nviews:\n- {name: v, entity: e, "
    "features: [{name: a, type: int32, default: 1}, {name: b, type: string}]}\n"
    "services:\n- {name: s, features: [\"v:*\"]}\n";

static Fst__ApplyReply *plan(const struct registry *registry, const void *text, size_t bytes,
                             struct bytes *change_out) {
    char name[] = "input";
    char actor[] = "fuzz";
    Fst__Document document = FST__DOCUMENT__INIT;
    Fst__Document *documents[] = {&document};
    Fst__ApplyRequest request = FST__APPLY_REQUEST__INIT;
    Fst__ApplyReply *reply = NULL;
    document.name = name;
    document.text.data = (uint8_t *)(uintptr_t)text;
    document.text.len = bytes;
    request.documents = documents;
    request.n_documents = 1;
    request.actor = actor;
    FST_ASSERT(registry_plan_apply(registry, &request, 1, &reply, change_out) == FST_OK);
    return reply;
}

static void adopt(struct registry *registry, struct bytes change) {
    struct catalog *catalog;
    FST_ASSERT(registry_adopt(registry, change, NULL) == FST_OK);
    FST_ASSERT(registry_catalog(registry, &catalog) == FST_OK);
    FST_ASSERT(catalog_check(catalog) == FST_OK);
    catalog_destroy(catalog);
    free((void *)(uintptr_t)change.data);
}

/* A refused plan says why; one that is not says nothing of the kind. */
static void reply_check(const Fst__ApplyReply *reply, struct bytes change) {
    size_t reasons_count = 0;
    for (size_t i = 0; i < reply->n_changes; i++) {
        reasons_count += reply->changes[i]->reason[0] != 0;
    }
    FST_ASSERT(reply->refused == (reply->n_problems + reasons_count > 0));
    if (reply->refused) FST_ASSERT(change.data == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct registry *registry;
    struct bytes change;
    FST_ASSERT(registry_create(&registry) == FST_OK);
    fst__apply_reply__free_unpacked(plan(registry, stored, strlen(stored), &change), NULL);
    FST_ASSERT(change.data != NULL);
    adopt(registry, change);

    Fst__ApplyReply *reply = plan(registry, data, bytes, &change);
    reply_check(reply, change);
    fst__apply_reply__free_unpacked(reply, NULL);
    if (change.data) {
        adopt(registry, change);
        /* What is applied is the same from then on. */
        reply = plan(registry, data, bytes, &change);
        FST_ASSERT(!reply->refused);
        FST_ASSERT(change.data == NULL);
        fst__apply_reply__free_unpacked(reply, NULL);
    }
    registry_destroy(registry);
    return 0;
}
