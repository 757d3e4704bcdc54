#include "bench/fsbench/benchmark.h"
#include "bench/fsbench/command.h"
#include "bench/fsbench/dialect_redis.h"

#define REDIS_SETTINGS(X)                                                                          \
    X(command, CHOICE, "hmget", 0, 0, "hmget|get|mget|set",                                        \
      "hashes with a field per feature, or all features packed in a string")                       \
    X(entities_per_request, COUNT, "1", 1, REDIS_KEYS_MAX, NULL, "keys of an mget")

enum { FILL_CONNECTIONS = 8, FILL_DEPTH = 64 };

struct redis_settings {
    struct load_settings load;
    REDIS_SETTINGS(OPTION_MEMBER)
};

static const struct option_spec redis_specs[] = {
#define SPEC(name, ...) OPTION_SPEC(struct redis_settings, name, __VA_ARGS__)
    REDIS_SETTINGS(SPEC)
#undef SPEC
};

static const struct settings_table redis_table = {
    .command = "redis",
    .help =
        "Measures a Redis server that holds the same rows, with the same load loop. --load writes\n"
        "all rows, as hashes for hmget and as packed strings for the others; set writes.\n",
    .own = redis_specs,
    .own_count = sizeof redis_specs / sizeof redis_specs[0],
};

static enum fst_status redis_dialect_create(const struct benchmark *benchmark,
                                            const struct load_options *load,
                                            const struct key_stream *keys,
                                            struct dialect **dialect_out, struct fst_error *error) {
    const struct redis_settings *settings = benchmark->own;
    struct dialect_redis_options options = {
        .command = (enum redis_command)settings->command,
        .connections_count = load->connections_count,
        .depth = load->depth,
        .features_count = (uint32_t)settings->load.features,
        .keys_per_read = load->keys_per_read,
    };
    return dialect_redis_create(&options, keys, dialect_out, error);
}

int command_redis_run(int argc, char **argv) {
    struct redis_settings settings;
    int exit_code;
    if (!settings_get(&redis_table, argc, argv, &settings, &exit_code)) return exit_code;
    struct benchmark benchmark = {.table = &redis_table,
                                  .settings = &settings.load,
                                  .fill = benchmark_options_of(&settings.load),
                                  .measure = benchmark_options_of(&settings.load),
                                  .dialect_create = redis_dialect_create,
                                  .own = &settings};
    benchmark.measure.keys_per_read = (uint32_t)settings.entities_per_request;
    benchmark.measure.write_share = settings.command == REDIS_SET ? 1 : 0;
    benchmark.fill.connections_count = FILL_CONNECTIONS;
    benchmark.fill.depth = FILL_DEPTH;
    benchmark.read_back = benchmark.fill;
    benchmark.read_back.verify = LOAD_VERIFY_ALL;
    return benchmark_run(&benchmark);
}
