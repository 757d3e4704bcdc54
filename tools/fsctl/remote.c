#include "tools/fsctl/remote.h"

#include <stdlib.h>

static const int64_t retry_us = 50000;

static const char *status_hint(const struct ctl *ctl, enum fst_status status) {
    if (status == FST_UNAUTHENTICATED && !ctl->key[0]) {
        return "; give a key with --key, --key-file or $FSTORE_KEY";
    }
    if (status == FST_CLOSED) return "; is fsd running there? Another address: --server HOST:PORT";
    return "";
}

enum ctl_exit ctl_connect(struct ctl *ctl) {
    if (ctl->client) return CTL_DONE;
    struct fst_options options;
    struct fst_error error;
    fst_options_init(&options);
    options.server = ctl->server;
    options.key = ctl->key;
    options.request_timeout_us = ctl->timeout_us;
    if (ctl->timeout_us < options.connect_timeout_us) options.connect_timeout_us = ctl->timeout_us;
    int64_t until_us = io_monotonic_us(ctl->io) + ctl->wait_us;
    enum fst_status status = fst_client_open(&ctl->client, &options, &error);
    while ((status == FST_CLOSED || status == FST_TIMEOUT || status == FST_WARMING) &&
           io_monotonic_us(ctl->io) < until_us && !*ctl->is_interrupted) {
        ctl->io->ops->sleep_us(ctl->io, retry_us);
        status = fst_client_open(&ctl->client, &options, &error);
    }
    if (status == FST_OK) return CTL_DONE;
    ctl_fail(ctl, status, "%s%s", error.text, status_hint(ctl, status));
    if (status == FST_INVALID || status == FST_TOO_LARGE) ctl->exit = CTL_USAGE;
    if (status == FST_TIMEOUT || status == FST_BAD_FRAME || status == FST_UNSUPPORTED ||
        status == FST_OVERLOADED || status == FST_WARMING) {
        ctl->exit = CTL_NO_SERVER;
    }
    return ctl->exit;
}

void ctl_disconnect(struct ctl *ctl) {
    fst_client_close(ctl->client);
    ctl->client = NULL;
}

enum ctl_exit ctl_refused(struct ctl *ctl, const struct fst_reply *reply) {
    const char *text = reply->text[0] ? reply->text : fst_status_text(reply->status);
    const char *hint = "";
    if (reply->status == FST_FORBIDDEN)
        hint = "; use a key that has it: --key, --key-file, $FSTORE_KEY";
    if (reply->status == FST_OUTCOME_UNKNOWN) hint = "; it may or may not have happened";
    return ctl_fail(ctl, reply->status, "%s%s", text, hint);
}

uint8_t *ctl_pack(struct ctl *ctl, const Fst__ControlRequest *request, size_t *bytes_out) {
    size_t bytes = fst__control_request__get_packed_size(request);
    uint8_t *data = malloc(bytes + 1);
    if (!data) {
        ctl_fail(ctl, FST_NO_MEMORY, "no memory for a request of %zu bytes", bytes);
        return NULL;
    }
    *bytes_out = fst__control_request__pack(request, data);
    return data;
}

Fst__ControlReply *ctl_call(struct ctl *ctl, const Fst__ControlRequest *request, bool is_repeatable,
                            Fst__ControlReply__OperationCase expected) {
    if (ctl_connect(ctl) != CTL_DONE) return NULL;
    size_t bytes;
    uint8_t *data = ctl_pack(ctl, request, &bytes);
    if (!data) return NULL;
    struct fst_reply reply;
    struct fst_control control = {.data = data, .bytes = bytes, .is_repeatable = is_repeatable};
    enum fst_status status = fst_control_run(ctl->client, &control, ctl->timeout_us, &reply);
    free(data);
    if (status != FST_OK) {
        ctl_refused(ctl, &reply);
        return NULL;
    }
    Fst__ControlReply *answer = fst__control_reply__unpack(NULL, reply.bytes, reply.data);
    if (!answer || answer->operation_case != expected) {
        if (answer) fst__control_reply__free_unpacked(answer, NULL);
        ctl_fail(ctl, FST_BAD_FRAME, "the server's answer is not one to this question");
        return NULL;
    }
    return answer;
}
