#include "client/client.h"

#include <stdio.h>

#include "base/assert.h"

static const char default_server[] = "127.0.0.1:7601";
static const int64_t ms = 1000;

/* Beyond a year a time limit is a mistake, and its sum with a clock stays far from overflow. */
static const int64_t timeout_us_max = INT64_C(366) * 86400 * 1000000;

void fst_options_init(struct fst_options *options) {
    *options = (struct fst_options){
        .server = default_server,
        .key = "",
        .connect_timeout_us = 5000 * ms,
        .request_timeout_us = 10000 * ms,
        .backoff_us_min = 10 * ms,
        .backoff_us_max = 1000 * ms,
        .attempts_max = 5,
        .in_flight_max = 64,
    };
}

/* ---- opening ---- */

static enum fst_status time_check(int64_t us, const char *name, struct fst_error *error) {
    if (us > 0 && us <= timeout_us_max) return FST_OK;
    return fst_error_set(error, FST_INVALID, "%s: expected from 1 us to a year, found %lld us",
                         name, (long long)us);
}

static enum fst_status options_check(const struct fst_options *options, struct fst_error *error) {
    FST_TRY(time_check(options->connect_timeout_us, "connect_timeout_us", error));
    FST_TRY(time_check(options->request_timeout_us, "request_timeout_us", error));
    FST_TRY(time_check(options->backoff_us_min, "backoff_us_min", error));
    FST_TRY(time_check(options->backoff_us_max, "backoff_us_max", error));
    if (options->attempts_max == 0) {
        return fst_error_set(error, FST_INVALID, "attempts_max: expected at least 1, found 0");
    }
    if (options->in_flight_max == 0 || options->in_flight_max > FST_IN_FLIGHT_MAX) {
        return fst_error_set(error, FST_INVALID, "in_flight_max: expected 1 to %d, found %u",
                             FST_IN_FLIGHT_MAX, options->in_flight_max);
    }
    return FST_OK;
}

static enum fst_status client_init(struct fst_client *client, const struct fst_options *options,
                                   struct fst_error *error) {
    FST_TRY(options_check(options, error));
    const char *server = options->server ? options->server : default_server;
    FST_TRY(client_address_parse(server, &client->address, error));
    const char *key = options->key ? options->key : "";
    if (strlen(key) >= sizeof client->key) {
        return fst_error_set(error, FST_TOO_LARGE, "key: expected at most %zu bytes, found %zu",
                             sizeof client->key - 1, strlen(key));
    }
    memcpy(client->key, key, strlen(key) + 1);
    client->options = *options;
    client->options.server = NULL;
    client->options.key = NULL;
    client->backoff_us = options->backoff_us_min;
    client->io = io_posix();
    while (client->client_id == 0) {
        client->io->ops->random(client->io, &client->client_id, sizeof client->client_id);
    }
    if (client_window_init(&client->window, options->in_flight_max) != FST_OK) {
        return fst_error_set(error, FST_NO_MEMORY, "no memory for a client");
    }
    return FST_OK;
}

/* One attempt, to its end, and others once the server has said that it is only warming up.
 * `until_us` is monotonic. */
static void attempts_run(struct fst_client *client, int64_t until_us) {
    struct fst_error warming = {.status = FST_OK};
    while (client->phase != CLIENT_READY) {
        client_pump(client, until_us);
        if (client->phase_until_us > until_us) client->phase_until_us = until_us;
        if (client->phase != CLIENT_IDLE) continue;
        enum fst_status status = client->fault.status;
        if (status == FST_WARMING) warming = client->fault;
        bool is_passing = status == FST_WARMING || status == FST_CLOSED || status == FST_TIMEOUT;
        if (!is_passing || warming.status == FST_OK) return;
        if (client_now_us(client) < until_us) continue;
        if (status == FST_TIMEOUT) client->fault = warming;
        return;
    }
}

static enum fst_status connect_run(struct fst_client *client, struct fst_error *error) {
    client->is_opening = true;
    attempts_run(client, client_now_us(client) + client->options.connect_timeout_us);
    client->is_opening = false;
    if (client->phase == CLIENT_READY) return FST_OK;
    return fst_error_set(error, client->fault.status, "cannot connect to %s:%s: %.200s",
                         client->address.host, client->address.port, client->fault.text);
}

enum fst_status fst_client_open(struct fst_client **client_out, const struct fst_options *options,
                                struct fst_error *error) {
    struct fst_options defaults;
    fst_options_init(&defaults);
    struct fst_client *client = calloc(1, sizeof *client);
    if (!client) return fst_error_set(error, FST_NO_MEMORY, "no memory for a client");
    client_link_init(&client->link);
    enum fst_status status = client_init(client, options ? options : &defaults, error);
    if (status == FST_OK) status = connect_run(client, error);
    if (status != FST_OK) {
        fst_client_close(client);
        return status;
    }
    *client_out = client;
    return FST_OK;
}

/* ---- closing ---- */

static void in_flight_fail(struct fst_client *client) {
    client_window_rewind(&client->window);
    struct client_request *request;
    while ((request = client->window.queued.first)) {
        bool is_unknown = request->has_effect && request->is_unknown;
        client_fail(client, request, is_unknown ? FST_OUTCOME_UNKNOWN : FST_CLOSED,
                    "the client is closed");
    }
}

void fst_client_close(struct fst_client *client) {
    if (!client) return;
    FST_ASSERT(!client->is_answering);
    client_link_deinit(&client->link);
    in_flight_fail(client);
    for (uint32_t i = 0; i < client->handles_count; i++) client_handle_destroy(client->handles[i]);
    client_window_deinit(&client->window);
    client_buffer_deinit(&client->setup);
    explicit_bzero(client->key, sizeof client->key);
    free(client);
}

const struct fst_server *fst_client_server(const struct fst_client *client) {
    return &client->server;
}
