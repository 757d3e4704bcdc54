/* delete: keys of a view. */
#include <string.h>

#include "tools/fsctl/entity_keys.h"
#include "tools/fsctl/import_report.h"
#include "tools/fsctl/remote.h"

/* The option --event-time, or now. */
static enum ctl_exit event_read(struct ctl *ctl, int64_t *event_us_out) {
    const char *given = ctl_option(ctl, "event-time");
    *event_us_out = io_now_us(ctl->io);
    if (!given) return CTL_DONE;
    struct fst_error error = {0};
    struct fst_value value;
    struct fst_text text = {.text = given, .bytes = strlen(given)};
    if (fst_value_parse(fst_timestamp(0).type, text, NULL, &value, &error) != FST_OK) {
        return ctl_misuse(ctl, "--event-time: %s", error.text);
    }
    *event_us_out = value.integer;
    return CTL_DONE;
}

static void answer_add(struct import_report *report, struct ctl *ctl, uint32_t row,
                       enum fst_status status) {
    report->rows_ok += status == FST_OK;
    report->rows_stale += status == FST_STALE;
    report->rows_duplicate += status == FST_DUPLICATE;
    if (status == FST_OK || status == FST_STALE || status == FST_DUPLICATE) return;
    Fst__BadRow bad = FST__BAD_ROW__INIT;
    bad.row = row + 1u;
    bad.found = (char *)(uintptr_t)fst_status_name(status);
    bad.expected = (char *)(uintptr_t)fst_status_text(status);
    bad_row_print(ctl, &bad);
    report->rows_bad += 1;
}

static enum ctl_exit keys_delete(struct ctl *ctl, const struct entity_keys *keys,
                                 struct fst_batch *batch, enum fst_ack ack) {
    int64_t event_us;
    struct fst_reply reply;
    struct import_report report = {0};
    enum ctl_exit done = event_read(ctl, &event_us);
    if (done == CTL_DONE) done = entity_keys_append(keys, ctl, event_us, batch);
    if (done != CTL_DONE) return done;
    if (fst_delete(batch, ack, &reply) != FST_OK) return ctl_refused(ctl, &reply);
    for (uint32_t i = 0; i < reply.rows_count; i++) {
        answer_add(&report, ctl, i, reply.row_statuses ? reply.row_statuses[i] : FST_OK);
    }
    import_report_print(ctl, &report, "deleted");
    return report.rows_bad > 0 ? CTL_REFUSED : CTL_DONE;
}

enum ctl_exit ctl_delete(struct ctl *ctl) {
    bool ack_memory;
    struct fst_handle *handle = NULL;
    struct fst_error error = {0};
    struct entity_keys keys;
    if (ack_read(ctl, &ack_memory) != CTL_DONE) return ctl->exit;
    if (ctl_connect(ctl) != CTL_DONE) return ctl->exit;
    enum fst_status status =
        fst_prepare_write(ctl->client, ctl->words[0], NULL, 0, &handle, &error);
    if (status != FST_OK) return ctl_fail(ctl, status, "%s", error.text);
    ctl->words += 1; /* The keys. */
    ctl->words_count -= 1;
    entity_keys_init(&keys, handle);
    enum ctl_exit done = entity_keys_read_words(&keys, ctl);
    if (done == CTL_DONE) {
        struct fst_batch *batch = fst_batch_create(handle);
        enum fst_ack ack = ack_memory ? FST_ACK_MEMORY : FST_ACK_DURABLE;
        done = batch ? keys_delete(ctl, &keys, batch, ack)
                     : ctl_fail(ctl, FST_NO_MEMORY, "no memory for the keys");
        fst_batch_destroy(batch);
    }
    entity_keys_deinit(&keys);
    return done;
}
