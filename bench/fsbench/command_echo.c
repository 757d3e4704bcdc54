#include <stdio.h>

#include "bench/fsbench/benchmark.h"
#include "bench/fsbench/command.h"
#include "bench/fsbench/dialect_echo.h"

#define ECHO_SETTINGS(X)                                                                           \
    X(request_bytes, COUNT, "56", 16, 1 << 20, NULL, "size of a request, as given to fsecho")      \
    X(reply_bytes, COUNT, "464", 16, 1 << 20, NULL, "size of a reply, as given to fsecho")

struct echo_settings {
    struct load_settings load;
    ECHO_SETTINGS(OPTION_MEMBER)
};

static const struct option_spec echo_specs[] = {
#define SPEC(name, ...) OPTION_SPEC(struct echo_settings, name, __VA_ARGS__)
    ECHO_SETTINGS(SPEC)
#undef SPEC
};

static const struct settings_table echo_table = {
    .command = "echo",
    .help =
        "Measures fsecho, a server that answers without looking, with the same load loop: what\n"
        "the kernel and the wire format leave to any server. Keys and features mean nothing "
        "here.\n",
    .own = echo_specs,
    .own_count = sizeof echo_specs / sizeof echo_specs[0],
};

static enum fst_status echo_dialect_create(const struct benchmark *benchmark,
                                           const struct load_options *load,
                                           const struct key_stream *keys,
                                           struct dialect **dialect_out, struct fst_error *error) {
    (void)load;
    const struct echo_settings *settings = benchmark->own;
    return dialect_echo_create((uint32_t)settings->request_bytes, (uint32_t)settings->reply_bytes,
                               keys, dialect_out, error);
}

int command_echo_run(int argc, char **argv) {
    struct echo_settings settings;
    int exit_code;
    if (!settings_get(&echo_table, argc, argv, &settings, &exit_code)) return exit_code;
    if (settings.load.load || settings.load.verify_load) {
        fprintf(stderr, "fsbench echo: --load, --verify-load: there is nothing to write\n");
        return EXIT_USAGE;
    }
    struct benchmark benchmark = {.table = &echo_table,
                                  .settings = &settings.load,
                                  .fill = benchmark_options_of(&settings.load),
                                  .measure = benchmark_options_of(&settings.load),
                                  .dialect_create = echo_dialect_create,
                                  .own = &settings};
    return benchmark_run(&benchmark);
}
