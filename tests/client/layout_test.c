/*
 * Shows that layouts are believed only as far as they were checked, and that features keep their
 * indices when definitions change. Good layouts are cut at every length and changed at every byte:
 * what still decodes must keep the invariants. A scripted server changes layouts under a client.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/layout.h"
#include "tests/client/fake_server.h"

enum { GET = 3, WRITE = 4, PAYLOAD_BYTES_MAX = 4096 };

static const struct fake_layout before = {
    .number = 1,
    .id = 77,
    .features_count = 3,
    .features = {{"x", {.kind = FST_KIND_INT64}, 0, true},
                 {"y", {.kind = FST_KIND_STRING}, 0, false},
                 {"x", {.kind = FST_KIND_FLOAT32}, 1, false}},
};
/* View a has gained z before view b's x, which is wider now. */
static const struct fake_layout after = {
    .number = 1,
    .id = 78,
    .features_count = 4,
    .features = {{"x", {.kind = FST_KIND_INT64}, 0, true},
                 {"y", {.kind = FST_KIND_STRING}, 0, false},
                 {"z", {.kind = FST_KIND_INT64}, 0, false},
                 {"x", {.kind = FST_KIND_FLOAT64}, 1, false}},
};
static const struct fake_layout without_y = {
    .number = 1,
    .id = 79,
    .features_count = 2,
    .features = {{"x", {.kind = FST_KIND_INT64}, 0, true},
                 {"x", {.kind = FST_KIND_FLOAT64}, 1, false}},
};
static const struct fake_layout other_key = {
    .number = 1,
    .id = 80,
    .key_string = true,
    .features_count = 3,
    .features = {{"x", {.kind = FST_KIND_INT64}, 0, true},
                 {"y", {.kind = FST_KIND_STRING}, 0, false},
                 {"x", {.kind = FST_KIND_FLOAT32}, 1, false}},
};

/* ---- decoding ---- */

static void layout_check(const struct client_layout *layout) {
    for (uint32_t i = 0; i < layout->features_count; i++) {
        const struct client_layout_feature *feature = &layout->features[i];
        assert_true(feature->group < layout->groups_count);
        const struct client_layout_group *group = &layout->groups[feature->group];
        uint32_t bytes = client_type_bytes(feature->type);
        if (layout->plan != CLIENT_PLAN_WRITE) {
            assert_true((uint64_t)feature->offset + (bytes ? bytes : 8) <= layout->row_bytes);
            uint64_t null_end = (uint64_t)group->offset + CLIENT_GROUP_HEAD_BYTES;
            assert_true(null_end + feature->null_bit / 8 < layout->row_bytes);
        }
        assert_true(strlen(feature->name) < PAYLOAD_BYTES_MAX);
    }
}

static enum fst_status decode(const uint8_t *data, size_t bytes) {
    /* A copy of just these bytes, so that reading past the end is seen. */
    uint8_t *copy = malloc(bytes + 1);
    assert_non_null(copy);
    memcpy(copy + 1, data, bytes);
    struct client_layout *layout = NULL;
    struct bytes payload = {.data = copy + 1, .bytes = bytes};
    enum fst_status status = client_layout_decode(payload, &layout);
    if (status == FST_OK) layout_check(layout);
    client_layout_destroy(layout);
    free(copy);
    return status;
}

static void test_damaged_layouts(void **state) {
    (void)state;
    static const uint8_t changes[] = {0x01, 0x80, 0xff, 0x7f};
    const struct fake_layout *layouts[] = {&before, &after, &other_key};
    for (size_t l = 0; l < 3; l++) {
        uint8_t payload[PAYLOAD_BYTES_MAX];
        size_t bytes = fake_layout_encode(layouts[l], payload);
        assert_int_equal(decode(payload, bytes), FST_OK);
        assert_int_equal(decode(payload, bytes + 1), FST_BAD_FRAME);
        for (size_t cut = 0; cut < bytes; cut++) {
            assert_int_equal(decode(payload, cut), FST_BAD_FRAME);
        }
        for (size_t at = 0; at < bytes; at++) {
            for (size_t c = 0; c < sizeof changes; c++) {
                payload[at] ^= changes[c];
                (void)decode(payload, bytes);
                payload[at] ^= changes[c];
            }
        }
    }
}

static const struct damage {
    const char *name;
    size_t at; /* in the payload of `before` */
    uint8_t byte;
} damages[] = {
    {"number 0", 0, 0},
    {"plan", 12, 3},
    {"reserved", 13, 1},
    {"row too short for its groups", 17, 0},
    {"kind of the key", 22, 13},
    {"name with a 0", 32, 0},
    {"group beyond the row", 43, 8},
    {"key column of a group", 54, 1},
};

static void test_each_rule(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        uint8_t payload[PAYLOAD_BYTES_MAX];
        size_t bytes = fake_layout_encode(&before, payload);
        assert_int_not_equal(payload[damages[i].at], damages[i].byte);
        payload[damages[i].at] = damages[i].byte;
        if (decode(payload, bytes) != FST_BAD_FRAME) fail_msg("%s", damages[i].name);
    }
}

/* ---- changing ---- */

struct setting {
    struct fake fake;
    struct fst_client *client;
    struct fst_handle *handle;
    struct fst_keys *keys;
    struct fst_error error;
};

static void setting_open(struct setting *s, void (*script)(struct fake *fake)) {
    *s = (struct setting){0};
    fake_open(&s->fake, script, NULL);
    struct fst_options options = fake_options(&s->fake);
    assert_int_equal(fst_client_open(&s->client, &options, &s->error), FST_OK);
    const char *names[] = {"a:*", "b:x"};
    assert_int_equal(fst_prepare_features(s->client, names, 2, &s->handle, &s->error), FST_OK);
    s->keys = fst_keys_create(s->handle);
    assert_int_equal(fst_keys_put(s->keys, fst_int64(5)), FST_OK);
}

static void setting_close(struct setting *s) {
    fst_keys_destroy(s->keys);
    fst_client_close(s->client);
    fake_close(&s->fake);
}

static void begin(struct fake *fake, const struct fake_layout *layout) {
    fake_accept(fake);
    fake_greet(fake);
    fake_prepare(fake, layout);
}

static void changed_reply(struct fake *fake, uint8_t opcode, const struct fake_layout *layout) {
    uint8_t payload[PAYLOAD_BYTES_MAX];
    struct fake_frame request = fake_expect(fake, opcode);
    size_t bytes = fake_layout_encode(layout, payload);
    fake_reply(fake, &request, FST_LAYOUT_CHANGED, payload, bytes);
}

static void after_reply(struct fake *fake) {
    struct fake_frame get = fake_expect(fake, GET);
    fake_check(fake, load_u64(get.payload) == 78);
    struct fake_rows rows = fake_rows_create(1);
    fake_rows_put(&rows, &after, 0, 0, &(int64_t){10}, 8);
    fake_rows_put_heap(&rows, &after, 0, 1, "why", 3);
    fake_rows_put(&rows, &after, 0, 2, &(int64_t){30}, 8);
    fake_rows_put(&rows, &after, 0, 3, &(double){0.1}, 8);
    fake_rows_send(fake, &get, &rows);
}

static void changed_by_reply_script(struct fake *fake) {
    begin(fake, &before);
    changed_reply(fake, GET, &after);
    after_reply(fake);
    after_reply(fake);
    fake_drain(fake);
}

static void changed_by_restart_script(struct fake *fake) {
    begin(fake, &before);
    fake_expect(fake, GET);
    begin(fake, &after);
    after_reply(fake);
    begin(fake, &after);
    after_reply(fake);
    fake_drain(fake);
}

static void test_features_keep_their_indices(void **state) {
    (void)state;
    void (*const scripts[])(struct fake * fake) = {changed_by_reply_script,
                                                   changed_by_restart_script};
    for (size_t i = 0; i < 2; i++) {
        struct setting s;
        struct fst_reply reply;
        setting_open(&s, scripts[i]);
        struct fst_column y = fst_handle_feature(s.handle, 1);
        assert_int_equal(fst_handle_features_count(s.handle), 3);
        for (uint32_t round = 0; round < 2; round++) {
            assert_int_equal(fst_get(s.keys, NULL, &reply), FST_OK);
            assert_int_equal(fst_handle_features_count(s.handle), 4);
            assert_int_equal(fst_reply_value(&reply, 0, 0).integer, 10);
            assert_memory_equal(fst_reply_value(&reply, 0, 1).data, "why", 3);
            assert_true(fst_reply_value(&reply, 0, 2).number == 0.1);
            assert_int_equal(fst_reply_value(&reply, 0, 3).integer, 30);
        }
        assert_string_equal(y.name, "y"); /* Names handed out earlier stay readable. */
        assert_string_equal(fst_handle_feature(s.handle, 3).name, "z");
        assert_int_equal(fst_handle_feature(s.handle, 2).type.kind, FST_KIND_FLOAT64);
        assert_int_equal(fst_handle_find(s.handle, "b:x"), 2);
        setting_close(&s);
    }
}

static void gone_script(struct fake *fake) {
    begin(fake, &before);
    changed_reply(fake, GET, &without_y);
    fake_drain(fake);
}

static void test_a_feature_that_is_gone_ends_the_handle(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, gone_script);
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_LAYOUT_CHANGED);
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_LAYOUT_CHANGED);
    assert_string_equal(fst_handle_feature(s.handle, 1).name, "y");
    setting_close(&s);
}

static void other_key_script(struct fake *fake) {
    begin(fake, &before);
    changed_reply(fake, GET, &other_key);
    struct fake_frame get = fake_expect(fake, GET);
    fake_check(fake, load_u64(get.payload) == 80 && get.payload_bytes == 32 + 8 + 3);
    struct fake_rows rows = fake_rows_create(1);
    fake_rows_send(fake, &get, &rows);
    fake_drain(fake);
}

static void test_other_keys_must_be_put_again(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, other_key_script);
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_LAYOUT_CHANGED);
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_LAYOUT_CHANGED);
    fst_keys_clear(s.keys);
    assert_int_equal(fst_handle_keys_count(s.handle), 2);
    assert_int_equal(fst_keys_put(s.keys, fst_int64(5)), FST_OK);
    assert_int_equal(fst_keys_put(s.keys, fst_string("s")), FST_OK);
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_OK);
    setting_close(&s);
}

static void changing_script(struct fake *fake) {
    begin(fake, &before);
    struct fake_layout layout = after;
    for (uint32_t i = 0; i < 5; i++) {
        layout.id += 1;
        changed_reply(fake, GET, &layout);
    }
    fake_drain(fake);
}

static void test_repeating_for_layouts_ends(void **state) {
    (void)state;
    struct setting s;
    struct fst_reply reply;
    setting_open(&s, changing_script);
    assert_int_equal(fst_get(s.keys, NULL, &reply), FST_LAYOUT_CHANGED);
    setting_close(&s);
}

/* ---- writes ---- */

static const struct fake_layout writing = {
    .number = 2,
    .id = 88,
    .plan = 2,
    .features_count = 1,
    .features = {{"x", {.kind = FST_KIND_INT32}, 0, false}},
};
static const struct fake_layout writing_default = {
    .number = 2,
    .id = 89,
    .plan = 2,
    .features_count = 1,
    .features = {{"x", {.kind = FST_KIND_INT32}, 0, false}},
};
static const struct fake_layout writing_wide = {
    .number = 2,
    .id = 90,
    .plan = 2,
    .features_count = 1,
    .features = {{"x", {.kind = FST_KIND_INT64}, 0, false}},
};

/* The first layout is of the whole view; then the names must have been asked for one by one. */
static void write_script(struct fake *fake) {
    begin(fake, &writing);
    struct fake_frame prepare = fake_expect(fake, 2);
    static const uint8_t names[] = "\x02\0\0\0\x02\0\x01\0v\x01\0x";
    fake_check(fake, prepare.payload_bytes == sizeof names - 1);
    fake_check(fake, memcmp(prepare.payload, names, sizeof names - 1) == 0);
    uint8_t payload[PAYLOAD_BYTES_MAX];
    fake_reply(fake, &prepare, 0, payload, fake_layout_encode(&writing, payload));
    changed_reply(fake, WRITE, &writing_default);
    struct fake_frame write = fake_expect(fake, WRITE);
    fake_check(fake, load_u64(write.payload) == 89 && load_u64(write.payload + 8) == 2);
    fake_reply_write(fake, &write, 1, NULL);
    changed_reply(fake, WRITE, &writing_wide);
    write = fake_expect(fake, WRITE);
    fake_check(fake, load_u64(write.payload) == 90 && load_u64(write.payload + 8) > 3);
    fake_check(fake, write.payload_bytes == 24 + 8 + 8 + 1 + 8);
    fake_reply_write(fake, &write, 1, NULL);
    fake_drain(fake);
}

static void batch_fill(struct fst_batch *batch) {
    fst_batch_clear(batch);
    assert_int_equal(fst_batch_append(batch, 1), FST_OK);
    assert_int_equal(fst_batch_put(batch, 0, fst_int64(5)), FST_OK);
    assert_int_equal(fst_batch_put(batch, 1, fst_int64(6)), FST_OK);
}

static void test_writes_are_repeated_under_a_new_sequence(void **state) {
    (void)state;
    struct setting s = {0};
    struct fst_reply reply;
    fake_open(&s.fake, write_script, NULL);
    struct fst_options options = fake_options(&s.fake);
    assert_int_equal(fst_client_open(&s.client, &options, &s.error), FST_OK);
    assert_int_equal(fst_prepare_write(s.client, "v", NULL, 0, &s.handle, &s.error), FST_OK);
    struct fst_batch *batch = fst_batch_create(s.handle);
    batch_fill(batch);
    assert_int_equal(fst_write(batch, FST_ACK_DURABLE, &reply), FST_OK);
    batch_fill(batch);
    assert_int_equal(fst_write(batch, FST_ACK_DURABLE, &reply), FST_LAYOUT_CHANGED);
    assert_int_equal(fst_write(batch, FST_ACK_DURABLE, &reply), FST_LAYOUT_CHANGED);
    batch_fill(batch);
    assert_int_equal(fst_write(batch, FST_ACK_DURABLE, &reply), FST_OK);
    fst_batch_destroy(batch);
    setting_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_layouts),
        cmocka_unit_test(test_each_rule),
        cmocka_unit_test(test_features_keep_their_indices),
        cmocka_unit_test(test_a_feature_that_is_gone_ends_the_handle),
        cmocka_unit_test(test_other_keys_must_be_put_again),
        cmocka_unit_test(test_repeating_for_layouts_ends),
        cmocka_unit_test(test_writes_are_repeated_under_a_new_sequence),
    };
    return cmocka_run_group_tests_name("client/layout", tests, NULL, NULL);
}
