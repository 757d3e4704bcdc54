#include "bench/fsbench/fstore_session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "bench/fsbench/wire.h"
#include "fstore/control.pb-c.h"

enum {
    HELLO_MAGIC = 0x31545346, /* "FST1" */
    PROTOCOL_VERSION = 1,
    KIND_FEATURES = 0,
    KIND_WRITE = 2,
    TYPE_BYTES = 8,
    TYPE_INT64 = 3,
    TYPE_FLOAT64 = 5,
    STATUS_ERROR_FIRST = 16,
    REPLY_BYTES_MAX = 1 << 20,
};

/* One reply; `data` is freed by the caller. */
struct answer {
    uint8_t *data;
    struct bytes payload;
};

/* The text of an error payload, or a general one. */
static enum fst_status refusal_of(uint32_t status, struct bytes payload, const char *what,
                                  struct fst_error *error) {
    struct reader reader = reader_of(payload.data, payload.bytes);
    read_u32(&reader);
    struct bytes text = read_short(&reader);
    enum fst_status code = status <= FST_INTERNAL ? (enum fst_status)status : FST_CORRUPT;
    if (!reader_is_done(&reader)) text = (struct bytes){.data = NULL};
    return fst_error_set(error, code, "%s: %s: %.*s", what, fst_status_name(code), (int)text.bytes,
                         text.data ? (const char *)text.data : "");
}

static enum fst_status answer_get(int socket, uint8_t opcode, const char *what,
                                  struct answer *answer_out, struct fst_error *error) {
    uint8_t header[FSTORE_HEADER_BYTES];
    FST_TRY(wire_get(socket, header, sizeof header, error));
    uint32_t bytes = load_u32(header);
    if (bytes < sizeof header || bytes > REPLY_BYTES_MAX || header[4] != opcode ||
        header[5] != FSTORE_FLAG_REPLY)
        return fst_error_set(error, FST_CORRUPT, "%s: the server's reply is no frame", what);
    size_t payload_bytes = bytes - sizeof header;
    uint8_t *data = malloc(payload_bytes + 1);
    if (!data) return fst_error_set(error, FST_NO_MEMORY, "no memory");
    enum fst_status status = wire_get(socket, data, payload_bytes, error);
    struct bytes payload = {.data = data, .bytes = payload_bytes};
    if (status == FST_OK && load_u32(header + 12) >= STATUS_ERROR_FIRST)
        status = refusal_of(load_u32(header + 12), payload, what, error);
    if (status != FST_OK) {
        free(data);
        return status;
    }
    *answer_out = (struct answer){.data = data, .payload = payload};
    return FST_OK;
}

/* Sends the frame whose payload `writer` holds behind room for a header, and waits for its reply.
 * */
static enum fst_status ask(int socket, uint8_t opcode, const char *what, struct writer *writer,
                           struct answer *answer_out, struct fst_error *error) {
    if (writer->failed)
        return fst_error_set(error, FST_TOO_LARGE, "%s: the request is too large", what);
    fstore_header_put(writer->begin, (uint32_t)writer_used(writer), opcode, 1, 0);
    FST_TRY(wire_put(socket, writer->begin, writer_used(writer), error));
    return answer_get(socket, opcode, what, answer_out, error);
}

enum fst_status fstore_session_open(int socket, uint64_t client_id, const char *api_key,
                                    struct fstore_limits *limits_out, struct fst_error *error) {
    uint8_t request[4096];
    struct writer writer = writer_of(request, sizeof request);
    write_room(&writer, FSTORE_HEADER_BYTES);
    write_u32(&writer, HELLO_MAGIC);
    write_u16(&writer, PROTOCOL_VERSION);
    write_u16(&writer, PROTOCOL_VERSION);
    write_u64(&writer, client_id);
    write_short(&writer, api_key, strlen(api_key));
    struct answer answer = {.data = NULL};
    FST_TRY(ask(socket, FSTORE_HELLO, "HELLO", &writer, &answer, error));
    struct reader reader = reader_of(answer.payload.data, answer.payload.bytes);
    uint16_t version = read_u16(&reader);
    read_bytes(&reader, 2 + 1 + 3); /* partitions, roles */
    *limits_out = (struct fstore_limits){.frame_bytes_max = read_u32(&reader)};
    limits_out->bulk_bytes_max = read_u32(&reader);
    limits_out->keys_max = read_u32(&reader);
    limits_out->features_max = read_u32(&reader);
    limits_out->in_flight_max = read_u32(&reader);
    bool is_good = !reader.failed && version == PROTOCOL_VERSION;
    free(answer.data);
    return is_good ? FST_OK : fst_error_set(error, FST_CORRUPT, "HELLO: the reply is malformed");
}

/* The definition as YAML; the caller frees it. */
static char *definition_format(uint32_t features_count, bool is_evicted, size_t *bytes_out) {
    char *text = NULL;
    FILE *out = open_memstream(&text, bytes_out);
    if (!out) return NULL;
    fprintf(out,
            "namespace: bench\n"
            "entities:\n"
            "  - {name: item, keys: [{name: item_id, type: int64}]}\n"
            "views:\n"
            "  - name: wide_%u\n"
            "    entity: item\n"
            "    visible: durable\n"
            "%s"
            "    features:\n",
            features_count, is_evicted ? "    evict: true\n" : "");
    for (uint32_t i = 0; i < features_count; i++)
        fprintf(out, "      - {name: f%u, type: float64}\n", i);
    return fclose(out) == 0 ? text : NULL;
}

/* Sends a request of the control plane; its reply is freed with fst__control_reply__free_unpacked.
 * */
static enum fst_status control_ask(int socket, const Fst__ControlRequest *request, const char *what,
                                   Fst__ControlReply **reply_out, struct fst_error *error) {
    size_t bytes = FSTORE_HEADER_BYTES + fst__control_request__get_packed_size(request);
    uint8_t *frame = malloc(bytes);
    if (!frame) return fst_error_set(error, FST_NO_MEMORY, "no memory");
    struct writer writer = writer_of(frame, bytes);
    write_room(&writer, FSTORE_HEADER_BYTES);
    uint8_t *room = write_room(&writer, bytes - FSTORE_HEADER_BYTES);
    fst__control_request__pack(request, room);
    struct answer answer = {.data = NULL};
    enum fst_status status = ask(socket, FSTORE_CONTROL, what, &writer, &answer, error);
    free(frame);
    if (status != FST_OK) return status;
    *reply_out = fst__control_reply__unpack(NULL, answer.payload.bytes, answer.payload.data);
    free(answer.data);
    if (*reply_out) return FST_OK;
    return fst_error_set(error, FST_CORRUPT, "%s: the reply is malformed", what);
}

static enum fst_status apply_judge(const Fst__ControlReply *reply, struct fst_error *error) {
    if (!reply || reply->operation_case != FST__CONTROL_REPLY__OPERATION_APPLY)
        return fst_error_set(error, FST_CORRUPT, "apply: the reply is of another operation");
    const Fst__ApplyReply *apply = reply->apply;
    if (!apply->refused) return FST_OK;
    if (apply->n_problems > 0)
        return fst_error_set(error, FST_INVALID, "apply: %s:%u:%u: %s",
                             apply->problems[0]->document, apply->problems[0]->line,
                             apply->problems[0]->column, apply->problems[0]->text);
    return fst_error_set(error, FST_INCOMPATIBLE, "apply: the definition was refused");
}

enum fst_status fstore_session_apply(int socket, uint32_t features_count, bool is_evicted,
                                     struct fst_error *error) {
    size_t text_bytes = 0;
    char *text = definition_format(features_count, is_evicted, &text_bytes);
    if (!text) return fst_error_set(error, FST_NO_MEMORY, "no memory");
    Fst__Document document = FST__DOCUMENT__INIT;
    char name[] = "fsbench.yaml", actor[] = "fsbench";
    document.name = name;
    document.text = (ProtobufCBinaryData){.len = text_bytes, .data = (uint8_t *)text};
    Fst__Document *documents[] = {&document};
    Fst__ApplyRequest apply = FST__APPLY_REQUEST__INIT;
    apply.n_documents = 1;
    apply.documents = documents;
    apply.actor = actor;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_APPLY;
    request.apply = &apply;
    Fst__ControlReply *reply = NULL;
    enum fst_status status = control_ask(socket, &request, "apply", &reply, error);
    free(text);
    if (status != FST_OK) return status;
    status = apply_judge(reply, error);
    fst__control_reply__free_unpacked(reply, NULL);
    return status;
}

enum fst_status fstore_session_checkpoint(int socket, struct fst_error *error) {
    Fst__Empty empty = FST__EMPTY__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_CHECKPOINT;
    request.checkpoint = &empty;
    Fst__ControlReply *reply = NULL;
    FST_TRY(control_ask(socket, &request, "checkpoint", &reply, error));
    fst__control_reply__free_unpacked(reply, NULL);
    return FST_OK;
}

enum fst_status fstore_session_facts(int socket, struct fstore_facts *facts_out,
                                     struct fst_error *error) {
    Fst__Empty empty = FST__EMPTY__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_STATUS;
    request.status = &empty;
    Fst__ControlReply *reply = NULL;
    FST_TRY(control_ask(socket, &request, "status", &reply, error));
    memset(facts_out, 0, sizeof *facts_out);
    bool is_status = reply && reply->operation_case == FST__CONTROL_REPLY__OPERATION_STATUS;
    for (size_t i = 0; is_status && i < reply->status->n_fields; i++) {
        const Fst__Field *field = reply->status->fields[i];
        char *room = strcmp(field->name, "version") == 0  ? facts_out->version
                     : strcmp(field->name, "io") == 0     ? facts_out->io
                     : strcmp(field->name, "shards") == 0 ? facts_out->shards
                                                          : NULL;
        if (room) snprintf(room, FSTORE_FACT_BYTES, "%s", field->value);
    }
    fst__control_reply__free_unpacked(reply, NULL);
    return FST_OK;
}

static bool type_is(struct reader *reader, uint8_t kind) {
    const uint8_t *type = read_bytes(reader, TYPE_BYTES);
    return type && load_u64(type) == kind;
}

static bool groups_decode(struct reader *reader, struct fstore_layout *layout) {
    if (read_u16(reader) != 1) return false;
    layout->group_offset = read_u32(reader);
    uint32_t bytes = read_u32(reader);
    uint16_t features = read_u16(reader);
    uint16_t key_columns = read_u16(reader); /* and the zero byte behind */
    uint16_t key_index = read_u16(reader);
    read_i64(reader); /* ttl */
    read_short(reader);
    return features == layout->features_count && key_columns == 1 && key_index == 0 &&
           layout->group_offset + (uint64_t)bytes <= layout->row_bytes;
}

static bool features_decode(struct reader *reader, struct fstore_layout *layout, bool is_read) {
    if (read_u16(reader) != layout->features_count) return false;
    for (uint32_t i = 0; i < layout->features_count; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%u", i);
        uint16_t group = read_u16(reader);
        read_u16(reader); /* null bit */
        uint32_t offset = read_u32(reader);
        bool is_float64 = type_is(reader, TYPE_FLOAT64);
        uint64_t has_default = read_u64(reader);
        struct bytes found = read_short(reader);
        if (group != 0 || !is_float64 || has_default != 0) return false;
        if (!found.data || found.bytes != strlen(name)) return false;
        if (memcmp(found.data, name, found.bytes) != 0) return false;
        if (is_read && (offset < layout->group_offset + (uint64_t)FSTORE_ROW_HEAD_BYTES ||
                        offset + 8ull > layout->row_bytes))
            return false;
        layout->value_offsets[i] = offset;
    }
    return true;
}

enum fst_status fstore_layout_decode(struct bytes payload, uint32_t features_count,
                                     struct fstore_layout *layout_out, struct fst_error *error) {
    struct reader reader = reader_of(payload.data, payload.bytes);
    memset(layout_out, 0, sizeof *layout_out);
    layout_out->features_count = features_count;
    layout_out->handle = read_u32(&reader);
    layout_out->layout_id = read_u64(&reader);
    uint32_t kind = read_u32(&reader);
    layout_out->row_bytes = read_u32(&reader);
    bool is_read = kind == KIND_FEATURES;
    bool is_good = is_read || kind == KIND_WRITE;
    is_good = is_good && read_u16(&reader) == 1 && type_is(&reader, TYPE_INT64);
    read_short(&reader);
    is_good = is_good && groups_decode(&reader, layout_out);
    is_good = is_good && features_decode(&reader, layout_out, is_read);
    is_good = is_good && reader_is_done(&reader);
    if (is_good) return FST_OK;
    return fst_error_set(error, FST_CORRUPT,
                         "PREPARE: the layout is not one of %u float64 features", features_count);
}

static enum fst_status prepare(int socket, struct writer *writer, uint32_t features_count,
                               struct fstore_layout *layout_out, struct fst_error *error) {
    struct answer answer = {.data = NULL};
    FST_TRY(ask(socket, FSTORE_PREPARE, "PREPARE", writer, &answer, error));
    enum fst_status status =
        fstore_layout_decode(answer.payload, features_count, layout_out, error);
    free(answer.data);
    return status;
}

enum fst_status fstore_session_prepare_read(int socket, uint32_t features_count,
                                            struct fstore_layout *layout_out,
                                            struct fst_error *error) {
    char name[64];
    uint8_t request[256];
    int name_bytes = snprintf(name, sizeof name, "bench.wide_%u:*", features_count);
    struct writer writer = writer_of(request, sizeof request);
    write_room(&writer, FSTORE_HEADER_BYTES);
    write_u32(&writer, KIND_FEATURES);
    write_u16(&writer, 1);
    write_short(&writer, name, (size_t)name_bytes);
    return prepare(socket, &writer, features_count, layout_out, error);
}

enum fst_status fstore_session_prepare_write(int socket, uint32_t features_count,
                                             struct fstore_layout *layout_out,
                                             struct fst_error *error) {
    char name[64];
    uint8_t request[256];
    int name_bytes = snprintf(name, sizeof name, "bench.wide_%u", features_count);
    struct writer writer = writer_of(request, sizeof request);
    write_room(&writer, FSTORE_HEADER_BYTES);
    write_u32(&writer, KIND_WRITE);
    write_u16(&writer, 1);
    write_short(&writer, name, (size_t)name_bytes);
    return prepare(socket, &writer, features_count, layout_out, error);
}
