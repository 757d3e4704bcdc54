/* API keys, and checkpoint, which is as short. */
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "tools/fsctl/json.h"
#include "tools/fsctl/remote.h"
#include "tools/fsctl/text_table.h"

enum { ROLES_MAX = 3, ROLES_TEXT_BYTES = 64 };

/* ---- roles ---- */

struct roles {
    char *names[ROLES_MAX];
    size_t count;
};

static char *role_find(const char *text, size_t bytes) {
    static char names[ROLES_MAX][8] = {"read", "write", "admin"};
    for (uint32_t i = 0; i < ROLES_MAX; i++) {
        if (strlen(names[i]) == bytes && memcmp(names[i], text, bytes) == 0) return names[i];
    }
    return NULL;
}

static enum ctl_exit roles_read(struct ctl *ctl, struct roles *roles) {
    uint32_t cursor = 0;
    const char *text;
    while ((text = ctl_option_next(ctl, "role", &cursor))) {
        for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
            size_t bytes = strcspn(at, ",");
            char *name = role_find(at, bytes);
            if (!name) {
                return ctl_misuse(ctl, "--role: expected read, write or admin, found '%.*s'",
                                  (int)bytes, at);
            }
            bool is_known = false;
            for (size_t i = 0; i < roles->count; i++) is_known |= roles->names[i] == name;
            if (!is_known) roles->names[roles->count++] = name;
        }
    }
    if (roles->count == 0) return ctl_misuse(ctl, "expected --role read, write or admin");
    return CTL_DONE;
}

/* ---- commands ---- */

enum ctl_exit ctl_key_create(struct ctl *ctl) {
    struct roles roles = {0};
    enum ctl_exit done = roles_read(ctl, &roles);
    if (done != CTL_DONE) return done;
    Fst__KeyCreate create = FST__KEY_CREATE__INIT;
    create.name = ctl->words[0];
    create.n_roles = roles.count;
    create.roles = roles.names;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_KEY_CREATE;
    request.key_create = &create;
    /* Asked twice it would be answered that the key exists, and nobody would have seen it. */
    Fst__ControlReply *reply =
        ctl_call(ctl, &request, false, FST__CONTROL_REPLY__OPERATION_KEY_CREATED);
    if (!reply) return ctl->exit;
    if (ctl->is_json) {
        struct ctl_json json = {.out = ctl->out};
        ctl_json_begin(&json, NULL, '{');
        ctl_json_text(&json, "name", reply->key_created->name);
        ctl_json_text(&json, "key", reply->key_created->key);
        ctl_json_end(&json, '}');
        fputc('\n', ctl->out);
    } else {
        fprintf(ctl->out, "%s\n", reply->key_created->key);
        fflush(ctl->out);
        fprintf(ctl->err, "This is the key '%s'. It is shown this one time; keep it.\n",
                reply->key_created->name);
    }
    fst__control_reply__free_unpacked(reply, NULL);
    return CTL_DONE;
}

static void roles_format(const Fst__KeyItem *item, char text[ROLES_TEXT_BYTES]) {
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < item->n_roles && at < ROLES_TEXT_BYTES; i++) {
        int bytes =
            snprintf(text + at, ROLES_TEXT_BYTES - at, "%s%s", i ? "," : "", item->roles[i]);
        at += bytes > 0 ? (size_t)bytes : 0;
    }
}

static void keys_print(struct ctl *ctl, const Fst__KeyList *list) {
    struct text_table table;
    if (list->n_keys == 0) {
        fprintf(ctl->err, "There is no key: everybody who can connect may do everything.\n");
    }
    if (list->n_keys == 0 || !text_table_init(&table, 3, "lll")) return;
    static const char *const head[] = {"NAME", "ROLES", "CREATED"};
    for (uint32_t i = 0; i < 3; i++) text_table_put(&table, head[i]);
    for (size_t i = 0; i < list->n_keys; i++) {
        char at[TIME_TEXT_BYTES];
        char roles[ROLES_TEXT_BYTES];
        time_format_rfc3339(list->keys[i]->created_us, at);
        roles_format(list->keys[i], roles);
        text_table_put(&table, list->keys[i]->name);
        text_table_put(&table, roles);
        text_table_put(&table, at);
    }
    text_table_print(&table, ctl->out, ctl->has_color);
    text_table_deinit(&table);
}

static void keys_json(struct ctl *ctl, const Fst__KeyList *list) {
    for (size_t i = 0; i < list->n_keys; i++) {
        const Fst__KeyItem *item = list->keys[i];
        struct ctl_json json = {.out = ctl->out};
        ctl_json_begin(&json, NULL, '{');
        ctl_json_text(&json, "name", item->name);
        ctl_json_begin(&json, "roles", '[');
        for (size_t r = 0; r < item->n_roles; r++) ctl_json_text(&json, NULL, item->roles[r]);
        ctl_json_end(&json, ']');
        ctl_json_integer(&json, "created_us", item->created_us);
        ctl_json_end(&json, '}');
        fputc('\n', ctl->out);
    }
}

enum ctl_exit ctl_key_list(struct ctl *ctl) {
    Fst__Empty nothing = FST__EMPTY__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_KEY_LIST;
    request.key_list = &nothing;
    Fst__ControlReply *reply =
        ctl_call(ctl, &request, true, FST__CONTROL_REPLY__OPERATION_KEY_LIST);
    if (!reply) return ctl->exit;
    if (ctl->is_json)
        keys_json(ctl, reply->key_list);
    else
        keys_print(ctl, reply->key_list);
    fst__control_reply__free_unpacked(reply, NULL);
    return CTL_DONE;
}

/* One line that it happened. */
static enum ctl_exit done_print(struct ctl *ctl, Fst__ControlReply *reply, const char *text,
                                const char *name) {
    if (!reply) return ctl->exit;
    fst__control_reply__free_unpacked(reply, NULL);
    if (ctl->is_json)
        fprintf(ctl->out, "{\"done\": true}\n");
    else
        fprintf(ctl->out, "%s%s.\n", text, name);
    return CTL_DONE;
}

enum ctl_exit ctl_key_revoke(struct ctl *ctl) {
    Fst__KeyRevoke revoke = FST__KEY_REVOKE__INIT;
    revoke.name = ctl->words[0];
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_KEY_REVOKE;
    request.key_revoke = &revoke;
    Fst__ControlReply *reply = ctl_call(ctl, &request, false, FST__CONTROL_REPLY__OPERATION_DONE);
    return done_print(ctl, reply, "Revoked ", revoke.name);
}

enum ctl_exit ctl_checkpoint(struct ctl *ctl) {
    Fst__Empty nothing = FST__EMPTY__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_CHECKPOINT;
    request.checkpoint = &nothing;
    Fst__ControlReply *reply = ctl_call(ctl, &request, true, FST__CONTROL_REPLY__OPERATION_DONE);
    return done_print(ctl, reply, "The checkpoint is written", "");
}
