/* put: rows as JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/fsctl/files.h"
#include "tools/fsctl/import_report.h"
#include "tools/fsctl/remote.h"

static enum ctl_exit json_send(struct ctl *ctl, const char *text, size_t bytes, bool ack_memory) {
    if (ctl_connect(ctl) != CTL_DONE) return ctl->exit;
    Fst__PutRequest put = FST__PUT_REQUEST__INIT;
    put.view = ctl->words[0];
    put.json.data = (uint8_t *)text;
    put.json.len = bytes;
    put.sequence = fst_sequence_next(ctl->client);
    put.ack_memory = ack_memory;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_PUT;
    request.put = &put;
    /* The sequence makes a repetition harmless. */
    Fst__ControlReply *reply = ctl_call(ctl, &request, true, FST__CONTROL_REPLY__OPERATION_PUT);
    if (!reply) return ctl->exit;
    struct import_report report = {0};
    import_report_add(&report, reply->put);
    for (size_t i = 0; i < reply->put->n_bad_rows; i++) {
        bad_row_print(ctl, reply->put->bad_rows[i]);
    }
    import_report_print(ctl, &report, "put");
    fst__control_reply__free_unpacked(reply, NULL);
    return report.rows_bad > 0 ? CTL_REFUSED : CTL_DONE;
}

enum ctl_exit ctl_put(struct ctl *ctl) {
    bool ack_memory;
    if (ack_read(ctl, &ack_memory) != CTL_DONE) return ctl->exit;
    if (strcmp(ctl->words[1], "-") != 0) {
        return json_send(ctl, ctl->words[1], strlen(ctl->words[1]), ack_memory);
    }
    char *text;
    size_t bytes;
    struct fst_error error;
    enum fst_status status = file_read_whole(ctl, "-", &text, &bytes, &error);
    if (status != FST_OK) return ctl_fail(ctl, status, "%s", error.text);
    enum ctl_exit done = json_send(ctl, text, bytes, ack_memory);
    free(text);
    return done;
}
