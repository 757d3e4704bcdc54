#include "shard/control_operations.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/logger.h"

enum { REQUEST_BYTES_MIN = 64 << 10, REQUEST_BYTES_MULTIPLE = 4 };

/* ---- changes ---- */

static enum fst_status change_log(struct control *control, struct bytes change,
                                  struct fst_error *error) {
    struct engine *engine = control->engine;
    struct write_change sent = {.message.kind = MESSAGE_CHANGE,
                                .generation = registry_generation(control->registry) + 1,
                                .change = change};
    uint32_t seat = engine_control_seat(engine);
    if (!mailbox_send(&engine->mailboxes, seat, 0, &sent.message)) {
        return fst_error_set(error, FST_OVERLOADED, "the log has too much to do; try again");
    }
    engine_wake(engine, 0);
    if (!control_receive(control, MESSAGE_CHANGED)) {
        return fst_error_set(error, FST_OUTCOME_UNKNOWN, "the server is ending");
    }
    if (sent.status == FST_OK) return FST_OK;
    return fst_error_set(error, sent.status, "the change could not be logged: %s",
                         fst_status_text(sent.status));
}

enum fst_status control_change(struct control *control, struct bytes change,
                               struct fst_error *error) {
    uint64_t generation = registry_generation(control->registry) + 1;
    struct change_entry *entry = change_entry_create(generation, change);
    if (!entry) return fst_error_set(error, FST_NO_MEMORY, "no memory for the change");
    pthread_mutex_lock(control->change_lock); /* C3 */
    enum fst_status status = change_log(control, change, error);
    if (status == FST_OK)
        change_queue_put(control->changes, entry);
    else
        change_entry_destroy(entry);
    pthread_mutex_unlock(control->change_lock);
    bool is_refused = status != FST_OK && status != FST_OUTCOME_UNKNOWN;
    if (is_refused) return status;
    if (status == FST_OK) status = registry_adopt(control->registry, change, error);
    if (status != FST_OK) {
        /* It is in the log but not in force: only recovery can say what the state is now. */
        log_error("registry.change_failed", "status=%s action=stop", fst_status_name(status));
        engine_state_raise(control->engine, ENGINE_FAILED);
        return status;
    }
    status = control_publish(control);
    if (status != FST_OK) return fst_error_set(error, status, "no memory for the new definitions");
    log_info("registry.change", "generation=%llu",
             (unsigned long long)registry_generation(control->registry));
    return FST_OK;
}

static enum fst_status change_finish(struct control *control, struct bytes change,
                                     struct fst_error *error) {
    enum fst_status status = FST_OK;
    if (change.bytes > 0) status = control_change(control, change, error);
    free((void *)(uintptr_t)change.data);
    return status;
}

/* ---- operations ---- */

static enum fst_status apply_run(struct control *control, const Fst__ApplyRequest *request,
                                 Fst__ControlReply *reply, struct fst_error *error) {
    struct bytes change = {0};
    enum fst_status status = registry_plan_apply(
        control->registry, request, io_now_us(control->engine->io), &reply->apply, &change);
    if (status != FST_OK) {
        return fst_error_set(error, status, "the definitions could not be read: %s",
                             fst_status_text(status));
    }
    reply->operation_case = FST__CONTROL_REPLY__OPERATION_APPLY;
    if (request->dry_run) {
        free((void *)(uintptr_t)change.data);
        return FST_OK;
    }
    FST_TRY(change_finish(control, change, error));
    reply->apply->generation = registry_generation(control->registry);
    return FST_OK;
}

static uint32_t role_of_name(const char *name) {
    if (strcmp(name, "read") == 0) return ROLE_READ;
    if (strcmp(name, "write") == 0) return ROLE_WRITE;
    if (strcmp(name, "admin") == 0) return ROLE_ADMIN;
    return 0;
}

/* How many keys have the role admin, and the name of one of them. */
static enum fst_status admins_count(const struct control *control, uint32_t *count_out,
                                    char name_out[ACCESS_KEY_TEXT_BYTES]) {
    Fst__KeyList *keys = NULL;
    FST_TRY(registry_keys(control->registry, &keys));
    *count_out = 0;
    for (size_t k = 0; k < keys->n_keys; k++) {
        for (size_t r = 0; r < keys->keys[k]->n_roles; r++) {
            if (strcmp(keys->keys[k]->roles[r], "admin") != 0) continue;
            *count_out += 1;
            snprintf(name_out, ACCESS_KEY_TEXT_BYTES, "%s", keys->keys[k]->name);
        }
    }
    fst__key_list__free_unpacked(keys, NULL);
    return FST_OK;
}

static enum fst_status key_create_run(struct control *control, const Fst__KeyCreate *request,
                                      Fst__ControlReply *reply, struct fst_error *error) {
    struct io *io = control->engine->io;
    struct access_key_plan plan = {.name = request->name, .now_us = io_now_us(io)};
    for (size_t i = 0; i < request->n_roles; i++) {
        uint32_t role = role_of_name(request->roles[i]);
        if (role == 0) {
            return fst_error_set(error, FST_INVALID,
                                 "role: expected read, write or admin, found '%s'",
                                 request->roles[i]);
        }
        plan.roles |= role;
    }
    uint32_t admins = 0;
    char admin[ACCESS_KEY_TEXT_BYTES];
    FST_TRY(admins_count(control, &admins, admin));
    if (admins == 0 && !(plan.roles & ROLE_ADMIN)) {
        return fst_error_set(
            error, FST_INVALID,
            "the first key must have the role admin: with any key there is, nobody else "
            "could make another");
    }
    io->ops->random(io, plan.secret, sizeof plan.secret);
    struct bytes change = {0};
    FST_TRY(registry_plan_key_create(control->registry, &plan, &change, error));
    FST_TRY(change_finish(control, change, error));
    reply->key_created = calloc(1, sizeof *reply->key_created);
    if (!reply->key_created) return FST_NO_MEMORY;
    fst__key_created__init(reply->key_created);
    reply->operation_case = FST__CONTROL_REPLY__OPERATION_KEY_CREATED;
    reply->key_created->name = strdup(request->name);
    reply->key_created->key = strdup(plan.key_text);
    return FST_OK;
}

static enum fst_status key_revoke_run(struct control *control, const Fst__KeyRevoke *request,
                                      struct fst_error *error) {
    struct bytes change = {0};
    uint32_t admins = 0;
    char admin[ACCESS_KEY_TEXT_BYTES] = "";
    FST_TRY(admins_count(control, &admins, admin));
    if (admins == 1 && strcmp(admin, request->name) == 0) {
        return fst_error_set(error, FST_INVALID,
                             "'%s' is the last key with the role admin; create another one first",
                             admin);
    }
    FST_TRY(registry_plan_key_revoke(control->registry, request->name,
                                     io_now_us(control->engine->io), &change, error));
    return change_finish(control, change, error);
}

static enum fst_status list_run(struct control *control, const Fst__ListRequest *request,
                                Fst__ControlReply *reply, struct fst_error *error) {
    reply->operation_case = FST__CONTROL_REPLY__OPERATION_LIST;
    enum fst_status status = registry_list(control->registry, request->kind, &reply->list);
    if (status != FST_INVALID) return status;
    return fst_error_set(error, status,
                         "kind: expected entities, views, services or nothing, found '%.64s'",
                         request->kind);
}

static enum fst_status done_put(Fst__ControlReply *reply) {
    reply->done = calloc(1, sizeof *reply->done);
    if (!reply->done) return FST_NO_MEMORY;
    fst__empty__init(reply->done);
    reply->operation_case = FST__CONTROL_REPLY__OPERATION_DONE;
    return FST_OK;
}

/* ---- roles and dispatch ---- */

static uint32_t roles_needed(const Fst__ControlRequest *request) {
    switch (request->operation_case) {
    case FST__CONTROL_REQUEST__OPERATION_STATUS:
    case FST__CONTROL_REQUEST__OPERATION_LIST:
    case FST__CONTROL_REQUEST__OPERATION_DESCRIBE:
        return ROLE_READ;
    case FST__CONTROL_REQUEST__OPERATION_APPLY:
        return request->apply->dry_run ? ROLE_READ : 0;
    case FST__CONTROL_REQUEST__OPERATION_IMPORT:
    case FST__CONTROL_REQUEST__OPERATION_PUT:
        return ROLE_WRITE;
    default:
        return 0; /* admin, who may everything */
    }
}

static enum fst_status rows_run(struct control *control, const struct control_call *call,
                                const Fst__ControlRequest *request, Fst__ControlReply *reply,
                                struct fst_error *error) {
    Fst__ImportReply *answer = NULL;
    if (request->operation_case == FST__CONTROL_REQUEST__OPERATION_IMPORT) {
        FST_TRY(control_import(control, call, request->import, &answer, error));
        reply->import = answer;
        reply->operation_case = FST__CONTROL_REPLY__OPERATION_IMPORT;
    } else {
        FST_TRY(control_put(control, call, request->put, &answer, error));
        reply->put = answer;
        reply->operation_case = FST__CONTROL_REPLY__OPERATION_PUT;
    }
    return FST_OK;
}

static enum fst_status dispatch(struct control *control, const struct control_call *call,
                                const Fst__ControlRequest *request, Fst__ControlReply *reply,
                                struct fst_error *error) {
    switch (request->operation_case) {
    case FST__CONTROL_REQUEST__OPERATION_STATUS:
        reply->operation_case = FST__CONTROL_REPLY__OPERATION_STATUS;
        return control_status(control, &reply->status);
    case FST__CONTROL_REQUEST__OPERATION_APPLY:
        return apply_run(control, request->apply, reply, error);
    case FST__CONTROL_REQUEST__OPERATION_LIST:
        return list_run(control, request->list, reply, error);
    case FST__CONTROL_REQUEST__OPERATION_DESCRIBE:
        reply->operation_case = FST__CONTROL_REPLY__OPERATION_DESCRIBE;
        return registry_describe(control->registry, request->describe->name, &reply->describe,
                                 error);
    case FST__CONTROL_REQUEST__OPERATION_IMPORT:
    case FST__CONTROL_REQUEST__OPERATION_PUT:
        return rows_run(control, call, request, reply, error);
    case FST__CONTROL_REQUEST__OPERATION_KEY_CREATE:
        return key_create_run(control, request->key_create, reply, error);
    case FST__CONTROL_REQUEST__OPERATION_KEY_LIST:
        reply->operation_case = FST__CONTROL_REPLY__OPERATION_KEY_LIST;
        return registry_keys(control->registry, &reply->key_list);
    case FST__CONTROL_REQUEST__OPERATION_KEY_REVOKE:
        FST_TRY(key_revoke_run(control, request->key_revoke, error));
        return done_put(reply);
    case FST__CONTROL_REQUEST__OPERATION_AUDIT:
        reply->operation_case = FST__CONTROL_REPLY__OPERATION_AUDIT;
        return registry_audit(control->registry, &reply->audit);
    case FST__CONTROL_REQUEST__OPERATION_CHECKPOINT:
        FST_TRY(control->checkpoint(control->keeper, error));
        return done_put(reply);
    default:
        return fst_error_set(error, FST_UNKNOWN, "CONTROL: no operation this server knows");
    }
}

/* Packs the reply into the call. */
static enum fst_status reply_pack(struct control_call *call, const Fst__ControlReply *reply) {
    call->reply_bytes = fst__control_reply__get_packed_size(reply);
    call->reply = malloc(call->reply_bytes + 1);
    if (!call->reply) return FST_NO_MEMORY;
    fst__control_reply__pack(reply, call->reply);
    return FST_OK;
}

static void call_fail(struct control_call *call, enum fst_status status, const char *text) {
    if (call->error.status == status) return; /* It was explained where it was seen. */
    call->error.status = fst_error_set(&call->error, status, "%s", text);
}

/* ---- decoding ---- */

/* Memory for the fields of one request. They take little more than their bytes, but an empty field
 * of two bytes takes a hundred: what many of those would take is bounded. */
struct request_memory {
    ProtobufCAllocator allocator;
    size_t left_bytes;
    bool is_exhausted;
};

static void *request_alloc(void *context, size_t bytes) {
    struct request_memory *memory = context;
    if (bytes > memory->left_bytes) {
        memory->is_exhausted = true;
        return NULL;
    }
    memory->left_bytes -= bytes;
    return malloc(bytes);
}

static void request_free(void *context, void *piece) {
    (void)context;
    free(piece);
}

static Fst__ControlRequest *request_unpack(struct request_memory *memory,
                                           struct control_call *call) {
    *memory = (struct request_memory){
        .allocator = {.alloc = request_alloc, .free = request_free, .allocator_data = memory},
        .left_bytes = REQUEST_BYTES_MIN + REQUEST_BYTES_MULTIPLE * call->payload_bytes,
    };
    Fst__ControlRequest *request =
        fst__control_request__unpack(&memory->allocator, call->payload_bytes, call->payload);
    if (!request && memory->is_exhausted) {
        call_fail(call, FST_TOO_LARGE, "CONTROL: expected fewer fields");
    } else if (!request) {
        call_fail(call, FST_BAD_FRAME, "CONTROL: expected a fst.ControlRequest");
    }
    return request;
}

void control_operation_run(struct control *control, struct control_call *call) {
    struct request_memory memory;
    Fst__ControlRequest *request = request_unpack(&memory, call);
    if (!request) return;
    /* The key may have been revoked since the shard sent the call, even by the call before. */
    uint32_t held = access_find(atomic_load(&control->engine->definitions)->access, call->key_hash);
    uint32_t roles = roles_needed(request) | ROLE_ADMIN;
    if (held == 0) {
        call_fail(call, FST_UNAUTHENTICATED, fst_status_text(FST_UNAUTHENTICATED));
    } else if (!(call->roles & held & roles)) {
        call_fail(call, FST_FORBIDDEN, "this operation needs a key with another role");
    } else {
        Fst__ControlReply *reply = calloc(1, sizeof *reply);
        enum fst_status status = reply ? FST_OK : FST_NO_MEMORY;
        if (reply) {
            fst__control_reply__init(reply);
            status = dispatch(control, call, request, reply, &call->error);
            /* A case without its message cannot be packed. */
            if (status == FST_OK)
                status = reply_pack(call, reply);
            else if (!reply->apply)
                reply->operation_case = FST__CONTROL_REPLY__OPERATION__NOT_SET;
            fst__control_reply__free_unpacked(reply, NULL);
        }
        /* The reply was freed the line before. NOLINTNEXTLINE(*-unix.Malloc) */
        if (status != FST_OK) call_fail(call, status, fst_status_text(status));
    }
    fst__control_request__free_unpacked(request, &memory.allocator);
}
