/* Preparing handles: the blocking calls that turn names into layouts. */
#include "base/assert.h"
#include "client/client.h"

static enum fst_status request_run(struct fst_client *client, struct fst_handle *handle,
                                   struct fst_error *error) {
    struct client_waiter waiter;
    struct fst_reply reply;
    struct fst_error fault = {0};
    struct client_request *request = NULL;
    struct fst_call call = client_waiter_call(&waiter, client, &reply);
    enum fst_status status = client_may_wait(client, &fault);
    if (status == FST_OK) {
        status = client_request_create(client, FRAME_PREPARE, &call, &request, &fault);
    }
    if (status == FST_OK) {
        request->handle = handle;
        bool has_room = client_buffer_append_bytes(&request->frame, handle->prepare.data,
                                                   handle->prepare.bytes);
        status = has_room ? client_request_submit(client, request, &fault) : FST_NO_MEMORY;
    }
    if (client_wait(&waiter, status, &fault) == FST_OK) return FST_OK;
    return fst_error_set(error, reply.status, "%s", reply.text);
}

static enum fst_status prepare_run(struct fst_client *client, enum client_plan plan,
                                   const struct fst_text *names, uint32_t count,
                                   struct fst_handle **handle_out, struct fst_error *error) {
    if (client->handles_count == FST_HANDLES_MAX) {
        return fst_error_set(error, FST_TOO_LARGE, "expected at most %d handles", FST_HANDLES_MAX);
    }
    struct fst_handle *handle;
    enum fst_status status = client_handle_create(client, plan, names, count, &handle);
    if (status != FST_OK) return fst_error_set(error, status, "too many names, or too long ones");
    status = request_run(client, handle, error);
    if (status != FST_OK) {
        client_handle_destroy(handle);
        return status;
    }
    *handle_out = handle;
    return FST_OK;
}

static struct fst_text text_of(const char *text) {
    return (struct fst_text){.text = text, .bytes = strlen(text)};
}

enum fst_status fst_prepare_service(struct fst_client *client, const char *service,
                                    struct fst_handle **handle_out, struct fst_error *error) {
    struct fst_text name = text_of(service);
    return prepare_run(client, CLIENT_PLAN_SERVICE, &name, 1, handle_out, error);
}

/* `first` (or NULL) and the names, as one array. */
static struct fst_text *texts_create(const char *first, const char *const *names, uint32_t count) {
    struct fst_text *texts = calloc((size_t)count + 1, sizeof *texts);
    if (!texts) return NULL;
    uint32_t at = 0;
    if (first) texts[at++] = text_of(first);
    for (uint32_t i = 0; i < count; i++) texts[at++] = text_of(names[i]);
    return texts;
}

enum fst_status fst_prepare_features(struct fst_client *client, const char *const *names,
                                     uint32_t names_count, struct fst_handle **handle_out,
                                     struct fst_error *error) {
    struct fst_text *texts = texts_create(NULL, names, names_count);
    if (!texts) return fst_error_set(error, FST_NO_MEMORY, "no memory for the names");
    enum fst_status status =
        prepare_run(client, CLIENT_PLAN_FEATURES, texts, names_count, handle_out, error);
    free(texts);
    return status;
}

/* The names of all features of a view: what a batch carries must not depend on when it is sent. */
static enum fst_status features_find(struct fst_client *client, const char *view,
                                     const char ***names_out, struct fst_handle **whole_out,
                                     struct fst_error *error) {
    struct fst_text name = text_of(view);
    struct fst_handle *whole = NULL;
    FST_TRY(prepare_run(client, CLIENT_PLAN_WRITE, &name, 1, &whole, error));
    FST_ASSERT(whole);
    const char **names = calloc((size_t)whole->features_count + 1, sizeof *names);
    if (!names) {
        fst_handle_close(whole);
        return fst_error_set(error, FST_NO_MEMORY, "no memory for the names");
    }
    for (uint32_t i = 0; i < whole->features_count; i++) names[i] = whole->features[i].name;
    *names_out = names;
    *whole_out = whole;
    return FST_OK;
}

enum fst_status fst_prepare_write(struct fst_client *client, const char *view,
                                  const char *const *features, uint32_t features_count,
                                  struct fst_handle **handle_out, struct fst_error *error) {
    const char **names = NULL;
    struct fst_handle *whole = NULL;
    if (features_count == 0) {
        FST_TRY(features_find(client, view, &names, &whole, error));
        FST_ASSERT(whole);
        features = names;
        features_count = whole->features_count;
    }
    enum fst_status status = FST_NO_MEMORY;
    struct fst_text *texts = texts_create(view, features, features_count);
    if (texts) {
        status =
            prepare_run(client, CLIENT_PLAN_WRITE, texts, features_count + 1, handle_out, error);
    }
    free(texts);
    free(names);
    if (whole) fst_handle_close(whole);
    return status;
}

void fst_handle_close(struct fst_handle *handle) {
    if (!handle) return;
    struct fst_client *client = handle->client;
    FST_ASSERT(handle->in_flight == 0);
    for (uint32_t i = 0; i < client->handles_count; i++) {
        if (client->handles[i] != handle) continue;
        memmove(&client->handles[i], &client->handles[i + 1],
                (client->handles_count - i - 1) * sizeof client->handles[0]);
        client->handles_count -= 1;
        /* Phase PREPARING goes through the same array; an answer on its way would meet another. */
        if (client->phase == CLIENT_PREPARING && client->setup_handle == i) client_break(client);
        if (client->setup_handle > i) client->setup_handle -= 1;
        break;
    }
    client_handle_destroy(handle);
}
