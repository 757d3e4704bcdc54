/* Shows what the control thread promises, with the test in the seat of the only shard: a change is
 * seen by shards, queued for LMDB and answered only after the log has it; one that the log refuses
 * leaves everything as it was; one whose outcome is unknown ends the engine; old definitions stay
 * as long as a shard may use them; operations need their roles; and rows that come as text are
 * written like any others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "shard/control.h"
#include "tests/shard/shard_fixture.h"

enum {
    QUEUE = 64,
    CONTROL_SEAT = 1,
    SEATS = 2,
    ADMIN = ROLE_ADMIN,
};

/* Says that the shard has mail. */
struct bell {
    struct io_ring ring;
    sem_t rung;
};

static void bell_wake(struct io_ring *ring) {
    sem_post(&((struct bell *)(void *)ring)->rung);
}

static const struct io_ring_ops bell_ops = {.name = "bell", .wake = bell_wake};

struct stage {
    struct shard_fixture *fixture;
    struct engine *engine;
    struct control *control;
    struct change_queue *changes;
    struct bell bell;
    struct io_ring *rings[1];
    pthread_mutex_t change_lock;
    pthread_t thread;
    uint32_t cursor;
    struct metrics metrics[1 + SEATS];
};

static void *stage_run(void *stage) {
    control_run(((struct stage *)stage)->control);
    return NULL;
}

static struct stage *stage_create(void) {
    struct stage *stage = aligned_alloc(64, bytes_align(sizeof *stage, 64));
    assert_non_null(stage);
    memset(stage, 0, sizeof *stage);
    assert_int_equal(change_queue_create(&stage->changes), FST_OK);
    stage->fixture = shard_fixture_create(1, 256 << 20, 1);
    stage->engine = stage->fixture->engine;
    stage->engine->io = stage->fixture->io;
    stage->engine->store = (struct get_store){.io = stage->fixture->io,
                                              .partitions = stage->fixture->partitions,
                                              .partitions_count = FIXTURE_PARTITIONS};
    stage->engine->metrics = stage->metrics;
    stage->engine->places = (struct engine_places){
        .data_dir = "store", .log_dir = FIXTURE_DIR, .table_dir = "memory", .listen = "[::1]:7"};
    epoch_init(&stage->engine->epoch, 3);
    assert_int_equal(mailboxes_init(&stage->engine->mailboxes, SEATS, QUEUE), FST_OK);
    stage->bell.ring.ops = &bell_ops;
    sem_init(&stage->bell.rung, 0, 0);
    stage->rings[0] = &stage->bell.ring;
    stage->engine->rings = stage->rings;
    stage->engine->state = ENGINE_RUNNING;
    pthread_mutex_init(&stage->change_lock, NULL);
    struct registry *registry = NULL;
    assert_int_equal(registry_create(&registry), FST_OK);
    struct control_options options = {.engine = stage->engine,
                                      .registry = registry,
                                      .changes = stage->changes,
                                      .change_lock = &stage->change_lock};
    assert_int_equal(control_create(&stage->control, &options, NULL), FST_OK);
    assert_int_equal(pthread_create(&stage->thread, NULL, stage_run, stage), 0);
    return stage;
}

static void stage_destroy(struct stage *stage) {
    engine_state_raise(stage->engine, ENGINE_STOPPED);
    pthread_join(stage->thread, NULL);
    control_destroy(stage->control);
    change_queue_destroy(stage->changes);
    mailboxes_deinit(&stage->engine->mailboxes);
    sem_destroy(&stage->bell.rung);
    pthread_mutex_destroy(&stage->change_lock);
    shard_fixture_destroy(stage->fixture);
    free(stage);
}

/* ---- the shard's side ---- */

static struct message *stage_receive(struct stage *stage, enum message_kind kind) {
    for (;;) {
        struct message *message = mailbox_receive(&stage->engine->mailboxes, 0, &stage->cursor);
        if (message) {
            assert_int_equal(message->kind, kind);
            return message;
        }
        sem_wait(&stage->bell.rung);
    }
}

static void stage_send(struct stage *stage, struct message *message, enum message_kind kind) {
    message->kind = kind;
    assert_true(mailbox_send(&stage->engine->mailboxes, 0, CONTROL_SEAT, message));
    control_wake(stage->control);
}

static struct control_call *call_new(uint32_t roles, const void *data, size_t bytes) {
    struct control_call *call = calloc(1, sizeof *call + bytes);
    assert_non_null(call);
    call->roles = roles;
    call->payload_bytes = bytes;
    memcpy(call->payload, data, bytes);
    return call;
}

static struct control_call *call_send_bytes(struct stage *stage, uint32_t roles, const void *data,
                                            size_t bytes) {
    struct control_call *call = call_new(roles, data, bytes);
    stage_send(stage, &call->message, MESSAGE_CONTROL);
    return call;
}

static struct control_call *call_send(struct stage *stage, uint32_t roles,
                                      const Fst__ControlRequest *request) {
    uint8_t packed[4096];
    size_t bytes = fst__control_request__get_packed_size(request);
    assert_true(bytes <= sizeof packed);
    fst__control_request__pack(request, packed);
    return call_send_bytes(stage, roles, packed, bytes);
}

/* Takes the answer: a reply of this case, or the status why there is none. The call is freed. */
static Fst__ControlReply *call_end(struct stage *stage, struct control_call *call,
                                   enum fst_status status) {
    assert_ptr_equal(stage_receive(stage, MESSAGE_CONTROLLED), &call->message);
    if (call->error.status != status) print_message("%s\n", call->error.text);
    assert_int_equal(call->error.status, status);
    Fst__ControlReply *reply = NULL;
    if (status == FST_OK) {
        reply = fst__control_reply__unpack(NULL, call->reply_bytes, call->reply);
        assert_non_null(reply);
    } else {
        assert_true(call->error.text[0] != 0);
    }
    free(call->reply);
    free(call);
    return reply;
}

static struct control_call *apply_send(struct stage *stage) {
    Fst__Document document = FST__DOCUMENT__INIT;
    Fst__Document *documents[] = {&document};
    Fst__ApplyRequest apply = FST__APPLY_REQUEST__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    char name[] = "d.yaml";
    document.name = name;
    document.text.data = (uint8_t *)(uintptr_t)fixture_yaml;
    document.text.len = strlen(fixture_yaml);
    apply.n_documents = 1;
    apply.documents = documents;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_APPLY;
    request.apply = &apply;
    return call_send(stage, ADMIN, &request);
}

static const struct definitions *definitions_now(const struct stage *stage) {
    return atomic_load(&stage->engine->definitions);
}

/* Answers the change that is on its way, after nothing was seen of it. */
static void change_answer(struct stage *stage, enum fst_status status) {
    struct write_change *change = (struct write_change *)stage_receive(stage, MESSAGE_CHANGE);
    assert_int_equal(change->generation, 1);
    assert_int_equal(definitions_now(stage)->catalog->views_count, 0);
    assert_int_equal(change_queue_count(stage->changes), 0);
    change->status = status;
    stage_send(stage, &change->message, MESSAGE_CHANGED);
}

static void apply_run(struct stage *stage) {
    struct control_call *call = apply_send(stage);
    change_answer(stage, FST_OK);
    Fst__ControlReply *reply = call_end(stage, call, FST_OK);
    assert_int_equal(reply->operation_case, FST__CONTROL_REPLY__OPERATION_APPLY);
    assert_int_equal(reply->apply->generation, 1);
    fst__control_reply__free_unpacked(reply, NULL);
}

/* ---- tests ---- */

static void test_change(void **state) {
    (void)state;
    struct stage *stage = stage_create();
    const struct definitions *old = definitions_now(stage);
    apply_run(stage);
    assert_int_equal(change_queue_count(stage->changes), 1); /* Waits for a checkpoint. */
    assert_int_equal(definitions_now(stage)->number, old->number + 1);
    assert_int_equal(definitions_now(stage)->catalog->views_count, 2);
    /* The shard has not adopted the new ones: the old ones are there (C2). */
    assert_int_equal(old->catalog->views_count, 0);
    stage_destroy(stage);
}

static void test_refused_change(void **state) {
    (void)state;
    static const enum fst_status refusals[] = {FST_DISK_FULL, FST_OVERLOADED, FST_TOO_LARGE};
    struct stage *stage = stage_create();
    for (int i = 0; i < 3; i++) {
        struct control_call *call = apply_send(stage);
        change_answer(stage, refusals[i]);
        assert_null(call_end(stage, call, refusals[i]));
        assert_int_equal(engine_state(stage->engine), ENGINE_RUNNING);
        assert_int_equal(change_queue_count(stage->changes), 0);
    }
    apply_run(stage); /* The number is still free. */
    stage_destroy(stage);
}

static void test_unknown_change(void **state) {
    (void)state;
    struct stage *stage = stage_create();
    struct control_call *call = apply_send(stage);
    change_answer(stage, FST_OUTCOME_UNKNOWN);
    assert_null(call_end(stage, call, FST_OUTCOME_UNKNOWN));
    assert_int_equal(engine_state(stage->engine), ENGINE_FAILED);
    assert_int_equal(definitions_now(stage)->catalog->views_count, 0);
    stage_destroy(stage);
}

/* The change lies on the control thread's stack: it must stay until the shard has let it go. */
static void test_change_on_its_way_when_the_engine_fails(void **state) {
    (void)state;
    struct stage *stage = stage_create();
    struct control_call *call = apply_send(stage);
    struct write_change *change = (struct write_change *)stage_receive(stage, MESSAGE_CHANGE);
    engine_state_raise(stage->engine, ENGINE_FAILED);
    control_wake(stage->control);
    assert_null(mailbox_receive(&stage->engine->mailboxes, 0, &stage->cursor));
    change->status = FST_OUTCOME_UNKNOWN;
    stage_send(stage, &change->message, MESSAGE_CHANGED);
    assert_null(call_end(stage, call, FST_OUTCOME_UNKNOWN));
    stage_destroy(stage);
}

static void test_roles(void **state) {
    (void)state;
    static const struct {
        Fst__ControlRequest__OperationCase operation;
        uint32_t roles;
        enum fst_status status;
    } cases[] = {
        {FST__CONTROL_REQUEST__OPERATION_LIST, ROLE_READ, FST_OK},
        {FST__CONTROL_REQUEST__OPERATION_LIST, ADMIN, FST_OK},
        {FST__CONTROL_REQUEST__OPERATION_LIST, ROLE_WRITE, FST_FORBIDDEN},
        {FST__CONTROL_REQUEST__OPERATION_AUDIT, ROLE_READ | ROLE_WRITE, FST_FORBIDDEN},
        {FST__CONTROL_REQUEST__OPERATION_AUDIT, ADMIN, FST_OK},
        {FST__CONTROL_REQUEST__OPERATION_KEY_LIST, ROLE_READ, FST_FORBIDDEN},
        {FST__CONTROL_REQUEST__OPERATION_CHECKPOINT, ROLE_WRITE, FST_FORBIDDEN},
        {FST__CONTROL_REQUEST__OPERATION__NOT_SET, ROLE_READ, FST_FORBIDDEN},
        {FST__CONTROL_REQUEST__OPERATION__NOT_SET, ADMIN, FST_UNKNOWN},
    };
    struct stage *stage = stage_create();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Fst__Empty empty = FST__EMPTY__INIT;
        Fst__ListRequest list = FST__LIST_REQUEST__INIT;
        Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
        request.operation_case = cases[i].operation;
        request.audit = &empty;
        if (cases[i].operation == FST__CONTROL_REQUEST__OPERATION_LIST) request.list = &list;
        struct control_call *call = call_send(stage, cases[i].roles, &request);
        Fst__ControlReply *reply = call_end(stage, call, cases[i].status);
        fst__control_reply__free_unpacked(reply, NULL);
    }
    struct control_call *bad = call_send_bytes(stage, ADMIN, "\xff\xff\xff", 3);
    assert_null(call_end(stage, bad, FST_BAD_FRAME));
    stage_destroy(stage);
}

static const char *field_of(const Fst__StatusReply *status, const char *name) {
    for (size_t i = 0; i < status->n_fields; i++) {
        if (strcmp(status->fields[i]->name, name) == 0) return status->fields[i]->value;
    }
    return "not told";
}

/* What status says of memory is the sum over the partitions; of the disk, what lies in the folder
 * of the logs, and nothing else; of the last checkpoint, that there was none. */
static void test_status(void **state) {
    (void)state;
    struct stage *stage = stage_create();
    struct engine *engine = stage->engine;
    uint64_t bytes[PARTITION_MEMORY_COUNT] = {0};
    for (uint32_t p = 0; p < FIXTURE_PARTITIONS; p++) {
        struct partition_stats stats;
        partition_stats(engine->store.partitions[p], &stats);
        for (uint32_t u = 0; u < PARTITION_MEMORY_COUNT; u++) bytes[u] += stats.memory_bytes[u];
    }
    io_file other;
    struct io *io = engine->io;
    assert_int_equal(
        io->ops->open(io, FIXTURE_DIR "/note.txt", IO_OPEN_WRITE | IO_OPEN_CREATE, &other), 0);
    assert_int_equal(io_write_full(io, other, "not of the log", 14, 0), 0);
    Fst__Empty empty = FST__EMPTY__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_STATUS;
    request.status = &empty;
    struct control_call *call = call_send(stage, ROLE_READ, &request);
    Fst__ControlReply *reply = call_end(stage, call, FST_OK);
    const Fst__StatusReply *status = reply->status;
    assert_int_equal(status->n_memory, PARTITION_MEMORY_COUNT);
    for (uint32_t u = 0; u < PARTITION_MEMORY_COUNT; u++) {
        assert_string_equal(status->memory[u]->name, partition_memory_name(u));
        assert_int_equal(status->memory[u]->bytes, bytes[u]);
    }
    char text[32];
    snprintf(text, sizeof text, "%u", FIXTURE_FILE_BYTES);
    assert_string_equal(field_of(status, "log_bytes"), text);
    assert_string_equal(field_of(status, "listen"), "[::1]:7");
    assert_string_equal(field_of(status, "data"), "store");
    assert_string_equal(field_of(status, "last_checkpoint"), "none since the start");
    fst__control_reply__free_unpacked(reply, NULL);
    assert_int_equal(io->ops->close(io, other), 0);
    stage_destroy(stage);
}

static struct control_call *list_send(struct stage *stage, const char *key_text) {
    Fst__ListRequest list = FST__LIST_REQUEST__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    uint8_t packed[64];
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_LIST;
    request.list = &list;
    size_t bytes = fst__control_request__pack(&request, packed);
    struct control_call *call = call_new(ADMIN, packed, bytes);
    access_key_hash(key_text, strlen(key_text), call->key_hash);
    stage_send(stage, &call->message, MESSAGE_CONTROL);
    return call;
}

/* Many small fields would take a hundred times their bytes. At most as many as a request can bring
 * are as good as one, when they are short. */
static void test_fields_are_bounded(void **state) {
    (void)state;
    static const struct {
        const char *name, *field; /* two bytes */
        uint32_t count;
        enum fst_status status;
    } cases[] = {
        {"documents", "\x0a\x00", 100, FST_OK},
        {"documents", "\x0a\x00", 1 << 20, FST_TOO_LARGE},
        {"unknown fields", "\x78\x01", 1 << 20, FST_TOO_LARGE},
    };
    struct stage *stage = stage_create();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("  %u %s\n", cases[i].count, cases[i].name);
        size_t inner_bytes = 2 + (size_t)2 * cases[i].count; /* with dry_run */
        uint8_t *packed = malloc(inner_bytes + 8);
        assert_non_null(packed);
        size_t at = 0;
        packed[at++] = 0x12; /* apply */
        for (size_t left = inner_bytes; left > 0; left >>= 7) {
            packed[at++] = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
        }
        packed[at++] = 0x10;
        packed[at++] = 1;
        for (uint32_t f = 0; f < cases[i].count; f++, at += 2)
            memcpy(packed + at, cases[i].field, 2);
        struct control_call *call = call_send_bytes(stage, ROLE_READ, packed, at);
        Fst__ControlReply *reply = call_end(stage, call, cases[i].status);
        fst__control_reply__free_unpacked(reply, NULL);
        free(packed);
    }
    stage_destroy(stage);
}

/* A call asks with the roles its connection had, but its key must still be one when it is served:
 * the second call was sent before the first key was there. */
static void test_a_call_needs_a_key_that_lives(void **state) {
    (void)state;
    char name[] = "boss", role[] = "admin";
    char *roles[] = {role};
    struct stage *stage = stage_create();
    Fst__KeyCreate create = FST__KEY_CREATE__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    create.name = name;
    create.roles = roles;
    create.n_roles = 1;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_KEY_CREATE;
    request.key_create = &create;
    struct control_call *first = call_send(stage, ADMIN, &request);
    struct control_call *second = list_send(stage, "");
    change_answer(stage, FST_OK);
    Fst__ControlReply *reply = call_end(stage, first, FST_OK);
    assert_null(call_end(stage, second, FST_UNAUTHENTICATED));
    struct control_call *third = list_send(stage, reply->key_created->key);
    fst__control_reply__free_unpacked(reply, NULL);
    reply = call_end(stage, third, FST_OK);
    fst__control_reply__free_unpacked(reply, NULL);
    stage_destroy(stage);
}

/* The shard answers the rows with these statuses, by rising key. */
static void rows_answer(struct stage *stage) {
    static const enum fst_status statuses[] = {FST_OK, FST_STALE, FST_DUPLICATE, FST_FULL};
    struct write_batch *batch = (struct write_batch *)stage_receive(stage, MESSAGE_WRITE);
    assert_int_equal(batch->sequence, 9);
    assert_true(batch->is_durable);
    for (uint32_t p = 0; p < batch->parts_count; p++) {
        struct write_part *part = &batch->parts[p];
        for (uint32_t r = 0; r < part->rows_count; r++) {
            part->statuses[r] = (uint8_t)statuses[part->rows[r]];
        }
    }
    stage_send(stage, &batch->message, MESSAGE_WRITTEN);
}

static void test_list_of_an_unknown_kind(void **state) {
    (void)state;
    char kind[] = "features";
    Fst__ListRequest list = FST__LIST_REQUEST__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    struct stage *stage = stage_create();
    list.kind = kind;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_LIST;
    request.list = &list;
    struct control_call *call = call_send(stage, ROLE_READ, &request);
    assert_ptr_equal(stage_receive(stage, MESSAGE_CONTROLLED), &call->message);
    assert_int_equal(call->error.status, FST_INVALID);
    assert_string_equal(call->error.text,
                        "kind: expected entities, views, services or nothing, found 'features'");
    free(call);
    stage_destroy(stage);
}

static void test_put_needs_a_sequence(void **state) {
    (void)state;
    char view[] = "plain";
    Fst__PutRequest put = FST__PUT_REQUEST__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    struct stage *stage = stage_create();
    apply_run(stage);
    put.view = view;
    put.json = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t) "[]", .len = 2};
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_PUT;
    request.put = &put;
    assert_null(call_end(stage, call_send(stage, ROLE_WRITE, &request), FST_INVALID));
    put.sequence = 1;
    Fst__ControlReply *reply = call_end(stage, call_send(stage, ROLE_WRITE, &request), FST_OK);
    assert_int_equal(reply->put->rows_ok, 0);
    fst__control_reply__free_unpacked(reply, NULL);
    stage_destroy(stage);
}

/* The name of a column that is none is quoted, cut between characters. */
static void test_a_bad_row_is_text(void **state) {
    (void)state;
    char view[] = "plain";
    char json[512] = "{\"a";
    Fst__PutRequest put = FST__PUT_REQUEST__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    struct stage *stage = stage_create();
    apply_run(stage);
    for (int i = 0; i < 150; i++) strcat(json, "\xc3\xa9");
    strcat(json, "\": 1}");
    put.view = view;
    put.sequence = 1;
    put.json = (ProtobufCBinaryData){.data = (uint8_t *)json, .len = strlen(json)};
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_PUT;
    request.put = &put;
    Fst__ControlReply *reply = call_end(stage, call_send(stage, ROLE_WRITE, &request), FST_OK);
    assert_int_equal(reply->put->n_bad_rows, 1);
    const Fst__BadRow *row = reply->put->bad_rows[0];
    assert_memory_equal(row->column, "a\xc3\xa9\xc3\xa9", 5);
    assert_true(text_is_utf8(row->column, strlen(row->column)));
    assert_int_equal(row->record.len, strlen(json));
    assert_memory_equal(row->record.data, json, strlen(json));
    fst__control_reply__free_unpacked(reply, NULL);
    stage_destroy(stage);
}

static void test_import(void **state) {
    (void)state;
    char view[] = "plain";
    char header[] = "customer_id,event_time,n,note\n";
    char records[] = "1,10,5,a\n2,10,6,\n3,10,7,c\n4,10,8,d\n";
    struct stage *stage = stage_create();
    Fst__ImportChunk chunk = FST__IMPORT_CHUNK__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    chunk.view = view;
    chunk.header = (ProtobufCBinaryData){.data = (uint8_t *)header, .len = strlen(header)};
    chunk.records = (ProtobufCBinaryData){.data = (uint8_t *)records, .len = strlen(records)};
    chunk.first_row = 1;
    chunk.sequence = 9;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_IMPORT;
    request.import = &chunk;
    assert_null(call_end(stage, call_send(stage, ROLE_WRITE, &request), FST_UNKNOWN));
    chunk.sequence = 0;
    assert_null(call_end(stage, call_send(stage, ROLE_WRITE, &request), FST_INVALID));
    chunk.sequence = 9;
    chunk.first_row = 0;
    assert_null(call_end(stage, call_send(stage, ROLE_WRITE, &request), FST_INVALID));
    chunk.first_row = 1;
    apply_run(stage);
    struct control_call *call = call_send(stage, ROLE_WRITE, &request);
    rows_answer(stage);
    Fst__ControlReply *reply = call_end(stage, call, FST_OK);
    assert_int_equal(reply->import->rows_ok, 1);
    assert_int_equal(reply->import->rows_stale, 1);
    assert_int_equal(reply->import->rows_duplicate, 1);
    assert_int_equal(reply->import->n_bad_rows, 1);
    assert_int_equal(reply->import->bad_rows[0]->row, 4);
    assert_string_equal(reply->import->bad_rows[0]->found, "FULL");
    fst__control_reply__free_unpacked(reply, NULL);
    stage_destroy(stage);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_change),
        cmocka_unit_test(test_refused_change),
        cmocka_unit_test(test_unknown_change),
        cmocka_unit_test(test_change_on_its_way_when_the_engine_fails),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_fields_are_bounded),
        cmocka_unit_test(test_a_call_needs_a_key_that_lives),
        cmocka_unit_test(test_list_of_an_unknown_kind),
        cmocka_unit_test(test_put_needs_a_sequence),
        cmocka_unit_test(test_a_bad_row_is_text),
        cmocka_unit_test(test_import),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
