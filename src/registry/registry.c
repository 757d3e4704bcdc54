#include "registry/registry.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/text.h"
#include "registry/catalog_build.h"
#include "registry/change_check.h"
#include "registry/describe.h"
#include "registry/plan.h"
#include "registry/sha256.h"
#include "registry/yaml.h"

/* What one apply may take: a few times the largest single text that yaml_tree.h allows. */
enum { APPLY_BYTES_MAX = 128 << 20, ACTOR_BYTES_MAX = 256 };

struct registry {
    struct registry_state state;
};

enum fst_status registry_create(struct registry **registry_out) {
    struct registry *registry = calloc(1, sizeof *registry);
    if (!registry) return FST_NO_MEMORY;
    *registry_out = registry;
    return FST_OK;
}

void registry_destroy(struct registry *registry) {
    if (!registry) return;
    registry_state_deinit(&registry->state);
    free(registry);
}

uint64_t registry_generation(const struct registry *registry) {
    return registry->state.generation;
}

enum fst_status registry_adopt(struct registry *registry, struct bytes change,
                               struct fst_error *error) {
    Fst__Registry__Change *message = fst__registry__change__unpack(NULL, change.bytes, change.data);
    if (!message) {
        return fst_error_set(error, FST_CORRUPT,
                             "registry change after %llu: its %zu bytes are no change",
                             (unsigned long long)registry->state.generation, change.bytes);
    }
    enum fst_status status = FST_OK;
    bool is_adopted = message->generation >= 1 && message->generation <= registry->state.generation;
    if (!is_adopted) {
        status = change_check(&registry->state, message, error);
        if (status == FST_OK) status = registry_state_merge(&registry->state, message);
    }
    fst__registry__change__free_unpacked(message, NULL);
    return status;
}

enum fst_status registry_catalog(const struct registry *registry, struct catalog **catalog_out) {
    return catalog_build(&registry->state, catalog_out);
}

enum fst_status registry_access(const struct registry *registry, struct access_table **access_out) {
    return access_create(access_out, &registry->state);
}

/* Numbers and packs a change. It was planned against this state, so it can be adopted by it. */
static enum fst_status change_pack(const struct registry *registry, Fst__Registry__Change *change,
                                   struct bytes *change_out) {
    change->generation = registry->state.generation + 1;
    FST_ASSERT(change_check(&registry->state, change, NULL) == FST_OK);
    size_t bytes = fst__registry__change__get_packed_size(change);
    uint8_t *data = malloc(bytes);
    if (!data) return FST_NO_MEMORY;
    fst__registry__change__pack(change, data);
    *change_out = (struct bytes){.data = data, .bytes = bytes};
    return FST_OK;
}

/* ---- apply ---- */

static Fst__Change *reply_change(struct region *region, const struct plan_item *item) {
    Fst__Change *change = region_get(region, sizeof *change);
    char **lines = region_get(region, item->diff.lines_count * sizeof *lines);
    if (!change || !lines || !item->name) return NULL;
    fst__change__init(change);
    change->action = (char *)(uintptr_t)item->action;
    change->kind = (char *)(uintptr_t)item->kind;
    change->name = (char *)(uintptr_t)item->name;
    for (const struct diff_line *line = item->diff.lines; line; line = line->next) {
        lines[change->n_lines++] = line->text;
    }
    change->lines = lines;
    if (item->diff.reason) change->reason = (char *)(uintptr_t)item->diff.reason;
    if (item->diff.hint) change->hint = (char *)(uintptr_t)item->diff.hint;
    return change;
}

static Fst__Problem *reply_problem(struct region *region, const struct problem *problem,
                                   const Fst__ApplyRequest *request) {
    Fst__Problem *out = region_get(region, sizeof *out);
    if (!out) return NULL;
    fst__problem__init(out);
    if (problem->place.document < request->n_documents) {
        out->document = request->documents[problem->place.document]->name;
    }
    out->line = problem->place.line;
    out->column = problem->place.column;
    out->text = (char *)(uintptr_t)problem->text;
    return out;
}

/* Those beyond the ones that were kept become one more, which counts them. */
static void reply_problems(struct region *region, const struct declarations *declarations,
                           const Fst__ApplyRequest *request, Fst__ApplyReply *reply) {
    reply->problems = region_get(region, (DECLARED_PROBLEMS_MAX + 1) * sizeof *reply->problems);
    if (!reply->problems) return;
    const struct problem *problem = declarations->problems;
    for (; problem; problem = problem->next) {
        Fst__Problem *out = reply_problem(region, problem, request);
        if (!out) return;
        reply->problems[reply->n_problems++] = out;
    }
    if (declarations->problems_count <= DECLARED_PROBLEMS_MAX) return;
    struct problem rest = {
        .text = region_get_format(region, "and %u more problems",
                                  declarations->problems_count - DECLARED_PROBLEMS_MAX)};
    Fst__Problem *out = reply_problem(region, &rest, request);
    if (out && rest.text) reply->problems[reply->n_problems++] = out;
}

static enum fst_status reply_make(struct region *region, const struct plan *plan,
                                  const Fst__ApplyRequest *request, Fst__ApplyReply **reply_out) {
    Fst__ApplyReply reply = FST__APPLY_REPLY__INIT;
    reply.generation = plan->state->generation;
    reply.refused = plan_is_refused(plan);
    reply.changes = region_get(region, plan->items_count * sizeof *reply.changes);
    for (const struct plan_item *item = plan->items; item && reply.changes; item = item->next) {
        Fst__Change *change = reply_change(region, item);
        if (change) reply.changes[reply.n_changes++] = change;
    }
    reply_problems(region, plan->declarations, request, &reply);
    *reply_out = describe_own(region, &reply.base);
    return *reply_out ? FST_OK : FST_NO_MEMORY;
}

static enum fst_status documents_read(const Fst__ApplyRequest *request,
                                      struct declarations *declarations) {
    for (size_t i = 0; i < request->n_documents; i++) {
        const Fst__Document *document = request->documents[i];
        struct bytes text = {.data = document->text.data, .bytes = document->text.len};
        FST_TRY(yaml_read(text, (uint32_t)i, declarations));
    }
    return FST_OK;
}

enum fst_status registry_plan_apply(const struct registry *registry,
                                    const Fst__ApplyRequest *request, int64_t now_us,
                                    Fst__ApplyReply **reply_out, struct bytes *change_out) {
    struct region region;
    struct declarations declarations;
    struct plan plan;
    *change_out = (struct bytes){0};
    region_init(&region, APPLY_BYTES_MAX);
    declarations_init(&declarations, &region);
    enum fst_status status = documents_read(request, &declarations);
    if (status == FST_OK) status = plan_run(&plan, &registry->state, &declarations);
    if (status == FST_OK) status = reply_make(&region, &plan, request, reply_out);
    if (status == FST_OK && !plan_is_refused(&plan) && !plan_is_empty(&plan)) {
        char actor[ACTOR_BYTES_MAX];
        text_format_printable(request->actor, strlen(request->actor), actor, sizeof actor);
        plan.change.at_us = now_us;
        plan.change.actor = actor;
        status = change_pack(registry, &plan.change, change_out);
        if (status != FST_OK) {
            fst__apply_reply__free_unpacked(*reply_out, NULL);
            *reply_out = NULL;
        }
    }
    region_deinit(&region);
    return status;
}

/* ---- keys ---- */

static enum fst_status key_plan_check(const struct registry *registry,
                                      const struct access_key_plan *plan, struct fst_error *error) {
    struct registry_scope scope = {.state = &registry->state};
    if (!name_is_valid(plan->name, strlen(plan->name))) {
        return fst_error_set(
            error, FST_INVALID,
            "key: expected a name (a-z, then a-z, 0-9 or _; at most 63 bytes), found "
            "'%.64s'",
            plan->name);
    }
    if (plan->roles == 0 || (plan->roles & ~(uint32_t)ACCESS_ROLES) != 0) {
        return fst_error_set(error, FST_INVALID, "key: expected roles (read, write, admin)");
    }
    if (scope_find_key(&scope, plan->name)) {
        return fst_error_set(error, FST_EXISTS, "key '%s' exists: revoke it first", plan->name);
    }
    if (registry->state.keys_count >= ACCESS_KEYS_MAX) {
        return fst_error_set(error, FST_TOO_LARGE, "expected at most %d keys", ACCESS_KEYS_MAX);
    }
    return FST_OK;
}

enum fst_status registry_plan_key_create(const struct registry *registry,
                                         struct access_key_plan *plan, struct bytes *change_out,
                                         struct fst_error *error) {
    FST_TRY(key_plan_check(registry, plan, error));
    uint8_t hash[SHA256_BYTES];
    char what[NAME_BYTES_MAX + 32];
    access_key_text(plan->secret, plan->key_text);
    sha256_run(plan->key_text, strlen(plan->key_text), hash);
    snprintf(what, sizeof what, "create key %s", plan->name);

    Fst__Registry__Key key = FST__REGISTRY__KEY__INIT;
    key.name = (char *)(uintptr_t)plan->name;
    key.roles = plan->roles;
    key.hash = (ProtobufCBinaryData){.len = sizeof hash, .data = hash};
    key.created_us = plan->now_us;
    Fst__Registry__Key *keys[] = {&key};
    Fst__Registry__Change change = FST__REGISTRY__CHANGE__INIT;
    change.at_us = plan->now_us;
    if (plan->actor) change.actor = (char *)(uintptr_t)plan->actor;
    change.what = what;
    change.n_keys = 1;
    change.keys = keys;
    return change_pack(registry, &change, change_out);
}

enum fst_status registry_plan_key_revoke(const struct registry *registry, const char *name,
                                         int64_t now_us, struct bytes *change_out,
                                         struct fst_error *error) {
    struct registry_scope scope = {.state = &registry->state};
    if (!scope_find_key(&scope, name)) {
        return fst_error_set(error, FST_UNKNOWN, "there is no key '%.64s'", name);
    }
    char what[NAME_BYTES_MAX + 32];
    snprintf(what, sizeof what, "revoke key %s", name);
    char *revoked[] = {(char *)(uintptr_t)name};
    Fst__Registry__Change change = FST__REGISTRY__CHANGE__INIT;
    change.at_us = now_us;
    change.what = what;
    change.n_revoked = 1;
    change.revoked = revoked;
    return change_pack(registry, &change, change_out);
}

/* ---- replies ---- */

enum fst_status registry_list(const struct registry *registry, const char *kind,
                              Fst__ListReply **reply_out) {
    return describe_list(&registry->state, kind, reply_out);
}

enum fst_status registry_describe(const struct registry *registry, const char *name,
                                  Fst__DescribeReply **reply_out, struct fst_error *error) {
    return describe_object(&registry->state, name, reply_out, error);
}

enum fst_status registry_audit(const struct registry *registry, Fst__AuditReply **reply_out) {
    return describe_audit(&registry->state, reply_out);
}

enum fst_status registry_keys(const struct registry *registry, Fst__KeyList **reply_out) {
    return describe_keys(&registry->state, reply_out);
}
