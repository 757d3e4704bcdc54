/* fsd: the fstore server. */
#include <stdio.h>
#include <string.h>

#include "base/logger.h"
#include "server/inspect.h"
#include "server/server.h"
#include "storage/recovery/identity.h"
#include "storage/recovery/table_room.h"

/* What a start would say of the memory file system. */
static int plan_check(const struct server_options *options, struct io *io) {
    struct fst_error error;
    struct identity identity;
    struct table_room room = {.table_dir = options->table_dir, .memory_bytes = options->memory};
    if (options->data[0] && identity_read(io, options->data, &identity, &error) == FST_OK) {
        room.store_id = identity.store_id;
    }
    if (table_room_check(io, &room, &error) == FST_OK) return SERVER_DONE;
    fprintf(stderr, "fsd: %s\n", error.text);
    return SERVER_USAGE;
}

int main(int argc, char **argv) {
    struct server_options options;
    struct fst_error error;
    struct io *io = io_posix();
    if (server_options_parse(&options, argc, argv, io, &error) != FST_OK) {
        fprintf(stderr, "fsd: %s\nTry 'fsd --help'.\n", error.text);
        return SERVER_USAGE;
    }
    if (options.help) {
        server_options_help(stdout);
        return SERVER_DONE;
    }
    if (options.version) {
        printf("fsd %s\n", FST_VERSION_TEXT);
        return SERVER_DONE;
    }
    logger_init((enum log_level)options.log_level);
    if (options.plan) {
        server_options_plan(&options, stdout);
        return plan_check(&options, io);
    }
    if (!options.data[0]) {
        fprintf(stderr, "fsd: expected --data DIR, the folder of the store\nTry 'fsd --help'.\n");
        return SERVER_USAGE;
    }
    if (options.check) return inspect_check(&options, io);
    if (options.dump != SERVER_DUMP_NONE) return inspect_dump(&options, io);
    return server_run(&options, io);
}
