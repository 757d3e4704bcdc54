#include "server/server_options.h"

#include <inttypes.h>
#include <sched.h>
#include <string.h>

#include "base/assert.h"
#include "base/units.h"
#include "net/conn.h"
#include "net/socket.h"
#include "server/cpu_list.h"
#include "shard/engine.h"
#include "shard/shard.h"
#include "shard/write_request.h"
#include "storage/online/partition.h"

enum { RING_BUFFERS = 1024, RING_BUFFER_BYTES = 16 << 10 };
/* Ten standard deviations of what the kernel deals out, for 10,000 connections and 16 shards 6. */
enum { SHARE_SLACK_PART = 4, SHARE_SLACK = 64 };

static const struct option_spec specs[] = {
#define SPEC(name, ...) OPTION_SPEC(struct server_options, name, __VA_ARGS__)
    SERVER_OPTIONS(SPEC)
#undef SPEC
};
enum { SPECS_COUNT = sizeof specs / sizeof specs[0] };

/* An address or list that says nothing, and sizes that do not go together, before a store is
 * touched. */
static enum fst_status options_check(const struct server_options *options,
                                     struct fst_error *error) {
    struct net_address address;
    struct fst_error reason;
    int cpus[ENGINE_SHARDS_MAX];
    if (net_address_decode(options->listen, &address, &reason) != FST_OK) {
        return fst_error_set(error, FST_INVALID, "--listen: %s", reason.text);
    }
    FST_TRY(cpu_list_decode(options->pin, server_options_shards(options), cpus, error));
    if (options->group_bytes % IO_BLOCK_BYTES != 0) {
        return fst_error_set(error, FST_INVALID, "--group-bytes: expected a multiple of 4K");
    }
    if (options->log_file_bytes % IO_BLOCK_BYTES != 0) {
        return fst_error_set(error, FST_INVALID, "--log-file-bytes: expected a multiple of 4K");
    }
    if (options->log_file_bytes < options->group_bytes + IO_BLOCK_BYTES) {
        return fst_error_set(error, FST_INVALID,
                             "--log-file-bytes: expected at least 4K more than --group-bytes");
    }
    return FST_OK;
}

enum fst_status server_options_parse(struct server_options *options, int argc, char *const *argv,
                                     struct io *io, struct fst_error *error) {
    struct options parser;
    options_init(&parser, specs, SPECS_COUNT, options);
    FST_TRY(options_parse_arguments(&parser, argc, argv, error));
    if (options->config[0]) FST_TRY(options_read_file(&parser, io, options->config, error));
    return options_check(options, error);
}

void server_options_help(FILE *out) {
    fprintf(out, "usage: fsd --data DIR [options]\n\n"
                 "The fstore server: keeps features, answers reads, takes writes.\n\n");
    options_help(specs, SPECS_COUNT, out);
    fprintf(out, "\nexit codes: 0 done, 1 failed, 2 wrong usage, 3 a store is damaged or in use,\n"
                 "            4 a log write failed: start again, it recovers from disk\n");
}

uint32_t server_options_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return (uint32_t)CPU_COUNT(&set);
}

uint32_t server_options_shards(const struct server_options *options) {
    if (options->shards > 0) return (uint32_t)options->shards;
    uint32_t count = server_options_processors();
    return count < ENGINE_SHARDS_MAX ? count : ENGINE_SHARDS_MAX;
}

uint32_t server_options_shard_connections(const struct server_options *options,
                                          uint32_t shards_count) {
    uint64_t share = (options->connections + shards_count - 1) / shards_count;
    uint64_t most = share + share / SHARE_SLACK_PART + SHARE_SLACK;
    return (uint32_t)(most < options->connections ? most : options->connections);
}

static void plan_line(const struct server_options *options, FILE *out, const char *name,
                      uint64_t bytes) {
    if (options->json) {
        fprintf(out, "{\"limit\":\"%s\",\"bytes\":%" PRIu64 "}\n", name, bytes);
    } else {
        fprintf(out, "%-44s %16" PRIu64 " bytes %10.1f MiB\n", name, bytes,
                (double)bytes / (1 << 20));
    }
}

void server_options_plan(const struct server_options *options, FILE *out) {
    uint64_t shards = server_options_shards(options);
    struct conns_options conns = CONNS_OPTIONS_DEFAULT;
    conns.connections_max = server_options_shard_connections(options, (uint32_t)shards);
    conns.in_flight_max = (uint32_t)options->in_flight;
    conns.output_bytes_max = (uint32_t)options->output_bytes;
    conns.bulk_bytes_max = (uint32_t)options->bulk_bytes;
    conns.frame_bytes_max = (uint32_t)options->frame_bytes;
    const struct plan_row {
        const char *name;
        uint64_t bytes;
    } rows[] = {
        {"online rows and index (memory)", options->memory},
        {"clients and sizes of the online tables",
         (uint64_t)options->partitions * partition_fixed_bytes_max()},
        {"connections, their input and output", shards * conns_memory_bytes(&conns)},
        {"receive buffers", shards * RING_BUFFERS * RING_BUFFER_BYTES},
        {"scratch of a tick (arena_bytes)", shards * options->arena_bytes},
        {"writes on their way", (shards + 1) * write_buffers_bytes()},
        {"log groups, filling and in flight",
         shards * (options->groups_in_flight + 1) * options->group_bytes},
        {"writes waiting for their group",
         shards * committer_bytes((uint32_t)options->groups_in_flight)},
        {"batches of reads", shards * shard_gets_bytes()},
        {"requests that wait for evicted rows", options->warm_bytes},
    };
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        plan_line(options, out, rows[i].name, rows[i].bytes);
        sum += rows[i].bytes;
    }
    plan_line(options, out, "sum, if every limit is reached", sum);
}
