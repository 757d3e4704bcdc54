#include "shard/session.h"

#include <stdlib.h>

#include "base/assert.h"
#include "query/get.h"

enum fst_status session_create(struct session **session_out) {
    struct session *session = calloc(1, sizeof *session);
    if (!session) return FST_NO_MEMORY;
    session->handles = calloc(SESSION_HANDLES_MAX, sizeof *session->handles);
    if (!session->handles) {
        free(session);
        return FST_NO_MEMORY;
    }
    *session_out = session;
    return FST_OK;
}

static void handle_destroy(struct handle *handle) {
    if (!handle) return;
    read_plan_destroy(handle->read);
    write_plan_destroy(handle->write);
    free(handle->names);
    free(handle);
}

void session_destroy(struct session *session) {
    if (!session) return;
    for (uint32_t i = 0; i < session->handles_count; i++) handle_destroy(session->handles[i]);
    free(session->handles);
    free(session);
}

void session_greet(struct session *session, uint64_t client_id, struct bytes key) {
    FST_ASSERT(client_id != 0);
    FST_ASSERT(session->client_id == 0);
    session->client_id = client_id;
    access_key_hash(key.data, key.bytes, session->key_hash);
}

void session_grant(struct session *session, const struct access_table *access) {
    if (session->client_id == 0) return;
    session->roles = access_find(access, session->key_hash);
}

static enum fst_status handle_compile(struct handle *handle, const struct catalog *catalog,
                                      struct fst_error *error) {
    if (handle->kind == PLAN_WRITE) {
        return write_plan_create(&handle->write, catalog, handle->names, handle->names_count,
                                 error);
    }
    FST_TRY(read_plan_create(&handle->read, catalog, handle->kind, handle->names,
                             handle->names_count, error));
    enum fst_status status = get_plan_check(handle->read, error);
    if (status != FST_OK) {
        read_plan_destroy(handle->read);
        handle->read = NULL;
    }
    return status;
}

static enum fst_status names_copy(struct handle *handle, const struct bytes *names,
                                  uint32_t names_count) {
    size_t bytes = names_count * sizeof *names;
    for (uint32_t i = 0; i < names_count; i++) bytes += names[i].bytes;
    handle->names = malloc(bytes + 1);
    if (!handle->names) return FST_NO_MEMORY;
    uint8_t *at = (uint8_t *)(handle->names + names_count);
    for (uint32_t i = 0; i < names_count; i++) {
        if (names[i].bytes) memcpy(at, names[i].data, names[i].bytes);
        handle->names[i] = (struct bytes){.data = at, .bytes = names[i].bytes};
        at += names[i].bytes;
    }
    handle->names_count = names_count;
    return FST_OK;
}

enum fst_status session_prepare(struct session *session, const struct catalog *catalog,
                                const struct handle_names *names, uint32_t *handle_out,
                                struct fst_error *error) {
    if (session->handles_count == SESSION_HANDLES_MAX) {
        return fst_error_set(error, FST_TOO_LARGE, "expected at most %d handles per connection",
                             SESSION_HANDLES_MAX);
    }
    struct handle *handle = calloc(1, sizeof *handle);
    if (!handle) return fst_error_set(error, FST_NO_MEMORY, "no memory for a handle");
    handle->kind = names->kind;
    enum fst_status status = names_copy(handle, names->names, names->count);
    if (status == FST_OK) status = handle_compile(handle, catalog, error);
    if (status != FST_OK) {
        handle_destroy(handle);
        return status;
    }
    session->handles[session->handles_count++] = handle;
    *handle_out = session->handles_count;
    return FST_OK;
}

struct handle *session_find(const struct session *session, uint32_t number) {
    if (number == 0 || number > session->handles_count) return NULL;
    return session->handles[number - 1];
}

void session_refresh(struct session *session, const struct catalog *catalog) {
    for (uint32_t i = 0; i < session->handles_count; i++) {
        struct handle *handle = session->handles[i];
        read_plan_destroy(handle->read);
        write_plan_destroy(handle->write);
        handle->read = NULL;
        handle->write = NULL;
        enum fst_status status = handle_compile(handle, catalog, NULL);
        FST_ASSERT((status == FST_OK) == (handle->read || handle->write));
    }
}
