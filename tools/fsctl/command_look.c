/* list, describe, status and audit: looking, changing nothing. */
#include <inttypes.h>
#include <string.h>

#include "base/time.h"
#include "tools/fsctl/json.h"
#include "tools/fsctl/remote.h"
#include "tools/fsctl/text_table.h"

/* ---- list ---- */

static void list_print(struct ctl *ctl, const Fst__ListReply *list) {
    struct text_table table;
    if (list->n_items == 0) fprintf(ctl->err, "Nothing is defined yet: fsctl apply -f PATH\n");
    if (list->n_items == 0 || !text_table_init(&table, 5, "lllrl")) return;
    static const char *const head[] = {"KIND", "NAME", "DETAIL", "VERSION", "OWNER"};
    for (uint32_t i = 0; i < 5; i++) text_table_put(&table, head[i]);
    for (size_t i = 0; i < list->n_items; i++) {
        const Fst__Item *item = list->items[i];
        text_table_put(&table, item->kind);
        text_table_put(&table, item->name);
        text_table_put(&table, item->detail);
        if (item->version > 0)
            text_table_put_format(&table, "%" PRIu32, item->version);
        else
            text_table_put(&table, "");
        text_table_put(&table, item->owner);
    }
    text_table_print(&table, ctl->out, ctl->has_color);
    text_table_deinit(&table);
}

static void list_json(struct ctl *ctl, const Fst__ListReply *list) {
    for (size_t i = 0; i < list->n_items; i++) {
        const Fst__Item *item = list->items[i];
        struct ctl_json json = {.out = ctl->out};
        ctl_json_begin(&json, NULL, '{');
        ctl_json_text(&json, "kind", item->kind);
        ctl_json_text(&json, "name", item->name);
        ctl_json_text(&json, "detail", item->detail);
        ctl_json_unsigned(&json, "version", item->version);
        ctl_json_text(&json, "owner", item->owner);
        ctl_json_end(&json, '}');
        fputc('\n', ctl->out);
    }
}

enum ctl_exit ctl_list(struct ctl *ctl) {
    static const char *const kinds[] = {"entities", "views", "services"};
    const char *kind = ctl->words_count > 0 ? ctl->words[0] : "";
    bool is_known = kind[0] == '\0';
    for (uint32_t i = 0; i < 3; i++) is_known |= strcmp(kind, kinds[i]) == 0;
    if (!is_known) {
        return ctl_misuse(ctl, "expected entities, views or services, found '%s'", kind);
    }
    Fst__ListRequest list = FST__LIST_REQUEST__INIT;
    list.kind = (char *)kind;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_LIST;
    request.list = &list;
    Fst__ControlReply *reply = ctl_call(ctl, &request, true, FST__CONTROL_REPLY__OPERATION_LIST);
    if (!reply) return ctl->exit;
    if (ctl->is_json)
        list_json(ctl, reply->list);
    else
        list_print(ctl, reply->list);
    fst__control_reply__free_unpacked(reply, NULL);
    return CTL_DONE;
}

/* ---- describe ---- */

static void fields_print(struct ctl *ctl, Fst__Field **fields, size_t count) {
    struct text_table table;
    if (!text_table_init(&table, 2, "ll")) return;
    for (size_t i = 0; i < count; i++) {
        text_table_put(&table, fields[i]->name);
        text_table_put(&table, fields[i]->value);
    }
    text_table_print(&table, ctl->out, false);
    text_table_deinit(&table);
}

static void columns_print(struct ctl *ctl, const char *title, Fst__Column **columns, size_t count) {
    struct text_table table;
    if (count == 0 || !text_table_init(&table, 4, "llll")) return;
    fputc('\n', ctl->out);
    const char *const head[] = {title, "TYPE", "DEFAULT", "DESCRIPTION"};
    for (uint32_t i = 0; i < 4; i++) text_table_put(&table, head[i]);
    for (size_t i = 0; i < count; i++) {
        text_table_put(&table, columns[i]->name);
        text_table_put(&table, columns[i]->type);
        text_table_put(&table, columns[i]->default_value);
        text_table_put(&table, columns[i]->description);
    }
    text_table_print(&table, ctl->out, ctl->has_color);
    text_table_deinit(&table);
}

static void fields_json(struct ctl_json *json, const char *key, Fst__Field **fields, size_t count) {
    ctl_json_begin(json, key, '{');
    for (size_t i = 0; i < count; i++) ctl_json_text(json, fields[i]->name, fields[i]->value);
    ctl_json_end(json, '}');
}

static void columns_json(struct ctl_json *json, const char *key, Fst__Column **columns,
                         size_t count) {
    ctl_json_begin(json, key, '[');
    for (size_t i = 0; i < count; i++) {
        ctl_json_begin(json, NULL, '{');
        ctl_json_text(json, "name", columns[i]->name);
        ctl_json_text(json, "type", columns[i]->type);
        if (columns[i]->default_value[0]) ctl_json_text(json, "default", columns[i]->default_value);
        if (columns[i]->description[0]) ctl_json_text(json, "description", columns[i]->description);
        ctl_json_end(json, '}');
    }
    ctl_json_end(json, ']');
}

static void describe_json(struct ctl *ctl, const Fst__DescribeReply *reply) {
    struct ctl_json json = {.out = ctl->out};
    ctl_json_begin(&json, NULL, '{');
    ctl_json_text(&json, "kind", reply->kind);
    ctl_json_text(&json, "name", reply->name);
    fields_json(&json, "fields", reply->fields, reply->n_fields);
    columns_json(&json, "keys", reply->keys, reply->n_keys);
    columns_json(&json, "columns", reply->columns, reply->n_columns);
    ctl_json_end(&json, '}');
    fputc('\n', ctl->out);
}

enum ctl_exit ctl_describe(struct ctl *ctl) {
    Fst__DescribeRequest describe = FST__DESCRIBE_REQUEST__INIT;
    describe.name = ctl->words[0];
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_DESCRIBE;
    request.describe = &describe;
    Fst__ControlReply *reply =
        ctl_call(ctl, &request, true, FST__CONTROL_REPLY__OPERATION_DESCRIBE);
    if (!reply) return ctl->exit;
    const Fst__DescribeReply *found = reply->describe;
    if (ctl->is_json) {
        describe_json(ctl, found);
    } else {
        fprintf(ctl->out, "%s %s\n\n", found->kind, found->name);
        fields_print(ctl, found->fields, found->n_fields);
        columns_print(ctl, "KEY", found->keys, found->n_keys);
        columns_print(ctl, "FEATURE", found->columns, found->n_columns);
    }
    fst__control_reply__free_unpacked(reply, NULL);
    return CTL_DONE;
}

/* ---- status ---- */

static void metrics_print(struct ctl *ctl, const Fst__StatusReply *status) {
    struct text_table table;
    if (status->n_metrics == 0 || !text_table_init(&table, 3, "lrl")) return;
    static const char *const head[] = {"METRIC", "VALUE", "MEANING"};
    fputc('\n', ctl->out);
    for (uint32_t i = 0; i < 3; i++) text_table_put(&table, head[i]);
    for (size_t i = 0; i < status->n_metrics; i++) {
        text_table_put(&table, status->metrics[i]->name);
        text_table_put_format(&table, "%" PRId64, status->metrics[i]->value);
        text_table_put(&table, status->metrics[i]->help);
    }
    text_table_print(&table, ctl->out, ctl->has_color);
    text_table_deinit(&table);
}

static double memory_ratio(uint64_t bytes, const Fst__StatusReply *status) {
    uint64_t payload = status->n_memory > 0 ? status->memory[0]->bytes : 0;
    return payload > 0 ? (double)bytes / (double)payload : 0;
}

static uint64_t memory_total(const Fst__StatusReply *status) {
    uint64_t total = 0;
    for (size_t i = 0; i < status->n_memory; i++) total += status->memory[i]->bytes;
    return total;
}

static void memory_line(struct text_table *table, const Fst__StatusReply *status, const char *name,
                        uint64_t bytes) {
    text_table_put(table, name);
    text_table_put_format(table, "%" PRIu64, bytes);
    text_table_put_format(table, "%.3f", memory_ratio(bytes, status));
}

/* The first line is the payload, and the others stand beside it. */
static void memory_print(struct ctl *ctl, const Fst__StatusReply *status) {
    struct text_table table;
    if (status->n_memory == 0 || !text_table_init(&table, 4, "lrrl")) return;
    static const char *const head[] = {"MEMORY", "BYTES", "OF PAYLOAD", "MEANING"};
    fputc('\n', ctl->out);
    for (uint32_t i = 0; i < 4; i++) text_table_put(&table, head[i]);
    for (size_t i = 0; i < status->n_memory; i++) {
        memory_line(&table, status, status->memory[i]->name, status->memory[i]->bytes);
        text_table_put(&table, status->memory[i]->help);
    }
    memory_line(&table, status, "total", memory_total(status));
    text_table_put(&table, "all that the tables take of their file system");
    text_table_print(&table, ctl->out, ctl->has_color);
    text_table_deinit(&table);
}

enum { PARTITION_CELLS = 6 };

static void partitions_print(struct ctl *ctl, const Fst__StatusReply *status) {
    struct text_table table;
    if (status->n_partitions == 0 || !text_table_init(&table, PARTITION_CELLS, "rrrrrr")) return;
    static const char *const head[] = {"PARTITION", "SHARD", "ROWS", "EVICTED", "BYTES", "LSN"};
    fputc('\n', ctl->out);
    for (uint32_t i = 0; i < PARTITION_CELLS; i++) text_table_put(&table, head[i]);
    for (size_t i = 0; i < status->n_partitions; i++) {
        const Fst__Partition *partition = status->partitions[i];
        const uint64_t cells[] = {partition->partition, partition->shard, partition->rows,
                                  partition->evicted,   partition->bytes, partition->lsn};
        for (uint32_t c = 0; c < PARTITION_CELLS; c++)
            text_table_put_format(&table, "%" PRIu64, cells[c]);
    }
    text_table_print(&table, ctl->out, ctl->has_color);
    text_table_deinit(&table);
}

static void memory_json(struct ctl_json *json, const Fst__StatusReply *status) {
    ctl_json_begin(json, "memory", '{');
    for (size_t i = 0; i < status->n_memory; i++) {
        ctl_json_unsigned(json, status->memory[i]->name, status->memory[i]->bytes);
    }
    ctl_json_unsigned(json, "total", memory_total(status));
    ctl_json_number(json, "total_of_payload", memory_ratio(memory_total(status), status));
    ctl_json_end(json, '}');
}

static void status_json(struct ctl *ctl, const Fst__StatusReply *status) {
    struct ctl_json json = {.out = ctl->out};
    ctl_json_begin(&json, NULL, '{');
    fields_json(&json, "fields", status->fields, status->n_fields);
    memory_json(&json, status);
    ctl_json_begin(&json, "metrics", '[');
    for (size_t i = 0; i < status->n_metrics; i++) {
        ctl_json_begin(&json, NULL, '{');
        ctl_json_text(&json, "name", status->metrics[i]->name);
        ctl_json_integer(&json, "value", status->metrics[i]->value);
        ctl_json_text(&json, "help", status->metrics[i]->help);
        ctl_json_end(&json, '}');
    }
    ctl_json_end(&json, ']');
    ctl_json_begin(&json, "partitions", '[');
    for (size_t i = 0; i < status->n_partitions; i++) {
        const Fst__Partition *partition = status->partitions[i];
        ctl_json_begin(&json, NULL, '{');
        ctl_json_unsigned(&json, "partition", partition->partition);
        ctl_json_unsigned(&json, "shard", partition->shard);
        ctl_json_unsigned(&json, "rows", partition->rows);
        ctl_json_unsigned(&json, "evicted", partition->evicted);
        ctl_json_unsigned(&json, "bytes", partition->bytes);
        ctl_json_unsigned(&json, "lsn", partition->lsn);
        ctl_json_end(&json, '}');
    }
    ctl_json_end(&json, ']');
    ctl_json_end(&json, '}');
    fputc('\n', ctl->out);
}

enum ctl_exit ctl_status(struct ctl *ctl) {
    Fst__Empty nothing = FST__EMPTY__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_STATUS;
    request.status = &nothing;
    Fst__ControlReply *reply = ctl_call(ctl, &request, true, FST__CONTROL_REPLY__OPERATION_STATUS);
    if (!reply) return ctl->exit;
    if (ctl->is_json) {
        status_json(ctl, reply->status);
    } else {
        fields_print(ctl, reply->status->fields, reply->status->n_fields);
        memory_print(ctl, reply->status);
        metrics_print(ctl, reply->status);
        if (ctl_option(ctl, "partitions")) partitions_print(ctl, reply->status);
    }
    fst__control_reply__free_unpacked(reply, NULL);
    return CTL_DONE;
}

/* ---- audit ---- */

static void audit_print(struct ctl *ctl, const Fst__AuditReply *audit) {
    struct text_table table;
    if (!text_table_init(&table, 4, "rlll")) return;
    static const char *const head[] = {"GENERATION", "AT", "WHO", "WHAT"};
    for (uint32_t i = 0; i < 4; i++) text_table_put(&table, head[i]);
    for (size_t i = 0; i < audit->n_items; i++) {
        char at[TIME_TEXT_BYTES];
        time_format_rfc3339(audit->items[i]->at_us, at);
        text_table_put_format(&table, "%" PRIu64, audit->items[i]->generation);
        text_table_put(&table, at);
        text_table_put(&table, audit->items[i]->actor);
        text_table_put_whole(&table, audit->items[i]->what);
    }
    text_table_print(&table, ctl->out, ctl->has_color);
    text_table_deinit(&table);
}

static void audit_json(struct ctl *ctl, const Fst__AuditReply *audit) {
    for (size_t i = 0; i < audit->n_items; i++) {
        struct ctl_json json = {.out = ctl->out};
        ctl_json_begin(&json, NULL, '{');
        ctl_json_unsigned(&json, "generation", audit->items[i]->generation);
        ctl_json_integer(&json, "at_us", audit->items[i]->at_us);
        ctl_json_text(&json, "actor", audit->items[i]->actor);
        ctl_json_text(&json, "what", audit->items[i]->what);
        ctl_json_end(&json, '}');
        fputc('\n', ctl->out);
    }
}

enum ctl_exit ctl_audit(struct ctl *ctl) {
    Fst__Empty nothing = FST__EMPTY__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_AUDIT;
    request.audit = &nothing;
    Fst__ControlReply *reply = ctl_call(ctl, &request, true, FST__CONTROL_REPLY__OPERATION_AUDIT);
    if (!reply) return ctl->exit;
    if (ctl->is_json)
        audit_json(ctl, reply->audit);
    else
        audit_print(ctl, reply->audit);
    fst__control_reply__free_unpacked(reply, NULL);
    return CTL_DONE;
}
