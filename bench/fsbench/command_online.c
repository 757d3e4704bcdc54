#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/io.h"
#include "bench/fsbench/benchmark.h"
#include "bench/fsbench/command.h"
#include "bench/fsbench/dialect_fstore.h"
#include "bench/fsbench/fstore_session.h"
#include "bench/fsbench/json_text.h"
#include "bench/fsbench/wire.h"

#define ONLINE_SETTINGS(X)                                                                         \
    X(key, TEXT, "", 0, 0, "KEY", "API key; without it the environment's FSTORE_KEY")              \
    X(entities_per_request, COUNT, "1", 1, 10000, NULL, "keys of a read")                          \
    X(rows_per_write, COUNT, "1", 1, 4096, NULL, "rows of a write")                                \
    X(mix, TEXT, "100:0", 0, 0, "R:W", "reads and writes among the requests")                      \
    X(new_rows, BOOL, "false", 0, 0, NULL,                                                         \
      "writes are of the next rows that do not exist yet: from --first + --entities on")           \
    X(ack, CHOICE, "durable", 0, 0, "durable|memory", "what writes wait for")                      \
    X(evict, BOOL, "false", 0, 0, NULL,                                                            \
      "--load applies a definition whose rows may leave memory: evict: true")                      \
    X(deadline, DURATION, "0", 0, UINT64_C(3600000000), NULL,                                      \
      "sent with each read: the server answers TIMEOUT if it comes to it later; 0: none")          \
    X(shape, CHOICE, "rows", 0, 0, REPLY_SHAPE_NAMES,                                              \
      "of the replies; for a matrix all rows are first read once as typed rows, whose versions "   \
      "it "                                                                                        \
      "is checked with: nobody else may write meanwhile")

enum { FILL_CONNECTIONS = 8, FILL_DEPTH = 4, FILL_BYTES = 96 << 10 };

struct online_settings {
    struct load_settings load;
    ONLINE_SETTINGS(OPTION_MEMBER)
    int64_t *versions; /* by key from the first on, for shapes that carry none; NULL: not needed */
};

static const struct option_spec online_specs[] = {
#define SPEC(name, ...) OPTION_SPEC(struct online_settings, name, __VA_ARGS__)
    ONLINE_SETTINGS(SPEC)
#undef SPEC
};

static const struct settings_table online_table = {
    .command = "online",
    .help =
        "Measures reads and writes of a running fsd over its binary protocol. --load applies the\n"
        "definition of bench.wide_N (N the number of features, key role admin) and writes all\n"
        "rows; every reply is checked against the values its keys stand for.\n",
    .own = online_specs,
    .own_count = sizeof online_specs / sizeof online_specs[0],
};

/* The share of writes in "R:W", or a negative number. */
static double mix_decode(const char *text) {
    char *end;
    double reads = strtod(text, &end);
    if (end == text || *end != ':') return -1;
    const char *second = end + 1;
    double writes = strtod(second, &end);
    if (end == second || *end != 0 || !(reads >= 0) || !(writes >= 0)) return -1;
    return reads + writes > 0 ? writes / (reads + writes) : -1;
}

static const char *api_key_of(const struct online_settings *settings) {
    const char *environment = getenv("FSTORE_KEY");
    return settings->key[0] || !environment ? settings->key : environment;
}

static uint64_t client_id_random(void) {
    struct io *io = io_posix();
    uint64_t id;
    io->ops->random(io, &id, sizeof id);
    return id | 1; /* never 0 */
}

static enum fst_status online_dialect_create(const struct benchmark *benchmark,
                                             const struct load_options *load,
                                             const struct key_stream *keys,
                                             struct dialect **dialect_out,
                                             struct fst_error *error) {
    const struct online_settings *settings = benchmark->own;
    bool is_fill = load == &benchmark->fill;
    struct dialect_fstore_options options = {
        .api_key = api_key_of(settings),
        .connections_count = load->connections_count,
        .depth = load->depth,
        .features_count = (uint32_t)settings->load.features,
        .keys_per_read = load->keys_per_read,
        .rows_per_write = load->rows_per_write,
        .client_id_seed = client_id_random(),
        .is_durable = is_fill || settings->ack == 0,
        .applies = is_fill,
        .is_evicted = settings->evict,
        .deadline_us = load == &benchmark->measure ? settings->deadline : 0,
        .shape = load == &benchmark->measure ? (enum reply_shape)settings->shape : SHAPE_ROWS,
        .versions = settings->versions,
        .learns_versions = load == &benchmark->read_back && settings->versions,
    };
    return dialect_fstore_create(&options, keys, dialect_out, error);
}

static enum fst_status session_open(const struct online_settings *settings, int *socket_out,
                                    struct fst_error *error) {
    struct fstore_limits limits;
    FST_TRY(wire_open(settings->load.server, socket_out, error));
    enum fst_status status =
        fstore_session_open(*socket_out, client_id_random(), api_key_of(settings), &limits, error);
    if (status != FST_OK) wire_close(*socket_out);
    return status;
}

/* Rows just written wait for the next checkpoint, which would share the server's processor. */
static enum fst_status online_settle(const struct benchmark *benchmark, struct fst_error *error) {
    int socket;
    FST_TRY(session_open(benchmark->own, &socket, error));
    enum fst_status status = fstore_session_checkpoint(socket, error);
    wire_close(socket);
    return status;
}

/* A server that says nothing was measured all the same. */
static void online_facts_json_dump(const struct benchmark *benchmark, FILE *out) {
    struct fstore_facts facts = {.version = ""};
    struct fst_error error;
    int socket;
    if (session_open(benchmark->own, &socket, &error) == FST_OK) {
        if (fstore_session_facts(socket, &facts, &error) != FST_OK)
            facts = (struct fstore_facts){.version = ""};
        wire_close(socket);
    }
    fprintf(out, "{\"fstore\":");
    json_text_dump(facts.version, out);
    fprintf(out, ",\"io\":");
    json_text_dump(facts.io, out);
    fprintf(out, ",\"shards\":");
    json_text_dump(facts.shards, out);
    fprintf(out, "}");
}

/* Of the frames of a GET and its reply (docs/protocol.md). */
static struct floors_sizes read_sizes_of(const struct online_settings *settings) {
    uint32_t keys = (uint32_t)settings->entities_per_request;
    uint32_t features = (uint32_t)settings->load.features;
    struct fstore_layout layout = {.row_bytes = FSTORE_ROW_HEAD_BYTES + (features + 63) / 64 * 8 +
                                                features * 8,
                                   .features_count = features};
    uint64_t payload = reply_shape_bytes((enum reply_shape)settings->shape, &layout, keys);
    return (struct floors_sizes){.keys_per_read = keys,
                                 .request_bytes = FSTORE_HEADER_BYTES + 32 + keys * 8,
                                 .reply_bytes = FSTORE_HEADER_BYTES + (uint32_t)payload};
}

static enum fst_status online_check(const struct online_settings *settings, double write_share,
                                    struct fst_error *error) {
    if (write_share < 0)
        return fst_error_set(error, FST_INVALID, "--mix: expected R:W such as 95:5, found %.64s",
                             settings->mix);
    if (!reply_shape_has_versions((enum reply_shape)settings->shape) && write_share > 0 &&
        !settings->new_rows)
        return fst_error_set(error, FST_INVALID,
                             "--shape: a matrix carries no versions, so its rows cannot be "
                             "written meanwhile: --mix 100:0, or --new-rows");
    if (settings->new_rows && strtod(settings->load.miss, NULL) > 0)
        return fst_error_set(error, FST_INVALID,
                             "--miss: asks for keys that do not exist, and --new-rows writes them");
    return FST_OK;
}

/* Room for the versions of all rows, if replies do not carry them. */
static enum fst_status versions_open(struct online_settings *settings, struct fst_error *error) {
    settings->versions = NULL;
    if (reply_shape_has_versions((enum reply_shape)settings->shape)) return FST_OK;
    settings->versions = calloc(settings->load.entities, sizeof *settings->versions);
    if (!settings->versions)
        return fst_error_set(error, FST_NO_MEMORY, "no memory for the versions of all rows");
    settings->load.verify_load |= settings->load.verify != LOAD_VERIFY_NONE;
    return FST_OK;
}

static int online_measure(struct online_settings *settings, double write_share) {

    struct benchmark benchmark = {.table = &online_table,
                                  .settings = &settings->load,
                                  .fill = benchmark_options_of(&settings->load),
                                  .measure = benchmark_options_of(&settings->load),
                                  .dialect_create = online_dialect_create,
                                  .settle = online_settle,
                                  .facts_json_dump = online_facts_json_dump,
                                  .own = settings};
    benchmark.measure.keys_per_read = (uint32_t)settings->entities_per_request;
    benchmark.measure.rows_per_write = (uint32_t)settings->rows_per_write;
    benchmark.measure.write_share = write_share;
    benchmark.measure.writes_new = settings->new_rows;
    benchmark.fill.connections_count = FILL_CONNECTIONS;
    benchmark.fill.depth = FILL_DEPTH;
    uint32_t fill_rows = FILL_BYTES / ((uint32_t)settings->load.features * 8 + 16);
    benchmark.fill.rows_per_write = fill_rows > 1 ? fill_rows : 1;
    benchmark.read_back = benchmark.fill;
    benchmark.read_back.verify = LOAD_VERIFY_ALL;
    benchmark.read_back.keys_per_read = benchmark.fill.rows_per_write;
    if (settings->evict) {
        /* Where a part of a write is refused, writing all of it again would keep the rest in use,
         * and nothing could leave memory. */
        benchmark.fill.connections_count = benchmark.measure.connections_count;
        benchmark.fill.depth = benchmark.measure.depth;
        benchmark.fill.rows_per_write = 1;
    }
    benchmark.sizes = read_sizes_of(settings);
    return benchmark_run(&benchmark);
}

int command_online_run(int argc, char **argv) {
    struct online_settings settings;
    int exit_code;
    if (!settings_get(&online_table, argc, argv, &settings, &exit_code)) return exit_code;
    double write_share = mix_decode(settings.mix);
    struct fst_error error = {.status = FST_OK};
    enum fst_status status = online_check(&settings, write_share, &error);
    if (status == FST_OK) status = versions_open(&settings, &error);
    if (status != FST_OK) {
        fprintf(stderr, "fsbench online: %s\n", error.text);
        return settings_exit_of(status);
    }
    exit_code = online_measure(&settings, write_share);
    free(settings.versions);
    return exit_code;
}
