#include "server/server.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/logger.h"
#include "jobs/keeper.h"
#include "net/ring.h"
#include "net/socket.h"
#include "server/cpu_list.h"
#include "server/sync_choice.h"
#include "server/warming.h"
#include "shard/control.h"
#include "shard/shard.h"
#include "shard/warm.h"

enum {
    MAILS_MAX = 1 << 15,
    RING_ENTRIES = 4096,
    RING_BUFFERS = 1024,
    RING_BUFFER_BYTES = 16 << 10,
    LISTEN_BACKLOG = 1024,
    KEEPER_NICE = 10,
    FIRST_FILE_BYTES = 8 << 20,
    DESCRIPTORS_SPARE = 1024, /* rings, LMDB */
};

static_assert((int)LOG_GROUPS_IN_FLIGHT_MAX == 16, "the limit of the option");
static_assert((int)WARM_THREADS_MAX == 32, "the limit of the option");
static_assert(MAILS_MAX > WARM_CALLS_MAX + WARM_PROMOTIONS_MAX, "a warm thread never has to wait");

struct server;

struct shard_thread {
    struct server *server;
    struct shard *shard;
    struct io_ring *ring;
    struct log *log;
    int listener; /* -1: none */
    int cpu;      /* -1: not pinned */
    pthread_t thread;
    bool is_started;
};

struct server {
    const struct server_options *options;
    struct io *io;
    struct engine *engine;
    struct registry *registry; /* until the control thread owns it */
    struct store store;
    bool is_store_open;
    uint32_t shards_count;
    struct shard_thread *shards;
    struct control *control;
    struct keeper *keeper;
    struct sync_choice sync;
    struct warming warming;
    struct net_address address; /* of the listeners */
    bool is_listening;
    sigset_t signals;    /* that end it */
    bool is_interrupted; /* by one of them, before it served */
    pthread_mutex_t change_lock;
    pthread_t control_thread;
    pthread_t keeper_thread;
    bool is_control_started;
    bool is_keeper_started;
};

/* ---- what recovery needs of the registry ---- */

static enum fst_status registry_take_change(void *context, struct bytes change,
                                            struct fst_error *error) {
    return registry_adopt(context, change, error);
}

static uint64_t registry_take_generation(void *context) {
    return registry_generation(context);
}

static enum fst_status registry_take_catalog(void *context, struct catalog **catalog_out) {
    return registry_catalog(context, catalog_out);
}

static const struct catalog *keeper_catalog(void *context) {
    struct engine *engine = context;
    return atomic_load(&engine->definitions)->catalog;
}

static enum fst_status control_checkpoint(void *keeper, struct fst_error *error) {
    return keeper_checkpoint(keeper, error);
}

/* ---- start ---- */

static void limits_set(struct engine_limits *limits, const struct server_options *options,
                       uint32_t shards_count) {
    *limits = (struct engine_limits){
        .connections_max = server_options_shard_connections(options, shards_count),
        .in_flight_max = (uint32_t)options->in_flight,
        .frame_bytes_max = (uint32_t)options->frame_bytes,
        .bulk_bytes_max = (uint32_t)options->bulk_bytes,
        .output_bytes_max = (uint32_t)options->output_bytes,
        .keys_max = (uint32_t)options->keys,
        .handshake_us = options->handshake_timeout,
        .partial_us = options->frame_timeout,
        .arena_bytes = options->arena_bytes,
    };
}

static void store_locked(void *context, const char *log_dir) {
    struct server *server = context;
    const struct sync_choice_options options = {
        .wish = (enum sync_wish)server->options->sync_method,
        .io = server->io,
        .ring_kind = (enum ring_kind)server->options->io,
        .groups_in_flight_max = (uint32_t)server->options->groups_in_flight,
        .dir = log_dir,
    };
    sync_choice_init(&server->sync, &options);
}

/* Ctrl-C ends a rebuild, too; the next start takes it on. */
static bool store_progress(void *context, const struct recovery_progress *progress) {
    struct server *server = context;
    const struct timespec now = {.tv_sec = 0};
    int signal = sigtimedwait(&server->signals, NULL, &now);
    if (signal > 0) {
        log_info("server.stopping", "signal=%d", signal);
        server->is_interrupted = true;
        return false;
    }
    warming_tell(&server->warming, progress);
    return true;
}

static enum fst_status store_open(struct server *server, struct fst_error *error) {
    const struct server_options *options = server->options;
    struct engine *engine = server->engine;
    engine->budget.limit_bytes = options->memory;
    epoch_init(&engine->epoch, server->shards_count + 2);
    struct recovery_options recovery = {
        .io = server->io,
        .data_dir = options->data,
        .table_dir = options->table_dir,
        .partitions_new = (uint32_t)options->partitions,
        .meta_bytes = options->meta_bytes,
        .epoch = &engine->epoch,
        .budget = &engine->budget,
        .locked = store_locked,
        .locked_context = server,
        .threads_count = server_options_processors(),
        .progress = store_progress,
        .progress_context = server,
    };
    FST_TRY(registry_create(&server->registry));
    struct recovery_registry registry = {
        .context = server->registry,
        .change = registry_take_change,
        .generation = registry_take_generation,
        .catalog = registry_take_catalog,
    };
    struct recovery_report report = {0};
    FST_TRY(recovery_open(&server->store, &recovery, &registry, &report, error));
    server->is_store_open = true;
    log_info("store.open",
             "epoch=%u partitions=%u mapped=%u restored=%u made=%u checkpoint_rows=%llu "
             "log_records=%llu applied_rows=%llu torn_tails=%u took_us=%lld",
             server->store.epoch, server->store.partitions_count, report.mapped, report.restored,
             report.made, (unsigned long long)report.checkpoint_rows,
             (unsigned long long)report.log_records, (unsigned long long)report.applied_rows,
             report.torn_tails, (long long)report.took_us);
    return FST_OK;
}

static enum fst_status engine_fill(struct server *server, struct fst_error *error) {
    struct engine *engine = server->engine;
    engine->io = server->io;
    engine->store = (struct get_store){.io = server->io,
                                       .partitions = server->store.partitions,
                                       .partitions_count = server->store.partitions_count,
                                       .secret = server->store.secret};
    memcpy(engine->store_id, server->store.store_id, STORE_ID_BYTES);
    engine->server_epoch = server->store.epoch;
    engine->partitions_count = server->store.partitions_count;
    engine->shards_count = server->shards_count;
    engine->started_us = io_now_us(server->io);
    engine->places = (struct engine_places){.data_dir = server->options->data,
                                            .log_dir = server->store.log_dir,
                                            .table_dir = server->options->table_dir};
    limits_set(&engine->limits, server->options, server->shards_count);
    engine->connections.max = (uint32_t)server->options->connections;
    engine->rings = calloc(server->shards_count, sizeof *engine->rings);
    engine->logs = calloc(server->shards_count, sizeof *engine->logs);
    engine->warm_threads_count = (uint32_t)server->options->warm_threads;
    engine->warm_budget.limit_bytes = server->options->warm_bytes;
    size_t metrics_bytes = engine_seats_count(engine) * sizeof *engine->metrics;
    engine->metrics = aligned_alloc(64, bytes_align(metrics_bytes, 64));
    enum fst_status status =
        engine->rings && engine->logs && engine->metrics ? FST_OK : FST_NO_MEMORY;
    if (status == FST_OK) {
        memset(engine->metrics, 0, metrics_bytes);
        status = mailboxes_init(&engine->mailboxes, engine_seats_count(engine), MAILS_MAX);
    }
    if (status != FST_OK)
        return fst_error_set(error, status, "no memory for %u shards", server->shards_count);
    return FST_OK;
}

static enum fst_status control_start(struct server *server, struct fst_error *error) {
    struct engine *engine = server->engine;
    struct keeper_options keeper = {
        .store = &server->store,
        .epoch = &engine->epoch,
        .epoch_seat = engine_keeper_seat(engine),
        .metrics = &engine->metrics[engine_keeper_seat(engine)],
        .logs = engine->logs,
        .shards_count = server->shards_count,
        .applied_groups = engine->applied_groups,
        .is_disk_full = &engine->is_disk_full,
        .is_wanted = &engine->is_checkpoint_wanted,
        .checkpoint_us = &engine->checkpoint_us,
        .change_lock = &server->change_lock,
        .interval_us = server->options->checkpoint_interval,
        .context = engine,
        .catalog = keeper_catalog,
    };
    FST_TRY(keeper_create(&server->keeper, &keeper));
    struct control_options control = {
        .engine = engine,
        .registry = server->registry,
        .changes = server->store.changes,
        .change_lock = &server->change_lock,
        .keeper = server->keeper,
        .checkpoint = control_checkpoint,
    };
    server->registry = NULL; /* Moved to the control, whatever becomes of it. */
    return control_create(&server->control, &control, error);
}

/* Without any key everybody who can connect may do everything: so nobody else may be able to
 * connect. Until this is known nobody is told more than WARMING. */
static enum fst_status address_check(const struct server *server, struct fst_error *error) {
    const struct definitions *definitions = atomic_load(&server->engine->definitions);
    if (access_keys_count(definitions->access) > 0 || net_address_is_loopback(&server->address)) {
        return FST_OK;
    }
    return fst_error_set(
        error, FST_FORBIDDEN,
        "--listen %s: without any API key only a loopback address is allowed; start on "
        "127.0.0.1, run 'fsctl key create', then listen elsewhere",
        server->options->listen);
}

/* A socket for each shard, before the store is touched: from now on connections wait. */
static enum fst_status listeners_open(struct server *server, struct fst_error *error) {
    struct net_address *address = &server->address;
    FST_TRY(net_address_decode(server->options->listen, address, error));
    struct warming_options warming = {
        .io = server->io,
        .ring_kind = (enum ring_kind)server->options->io,
        .connections_max = (uint32_t)server->options->connections,
        .handshake_us = server->options->handshake_timeout,
        .partial_us = server->options->frame_timeout,
        .listeners_count = server->shards_count,
    };
    for (uint32_t s = 0; s < server->shards_count; s++) {
        struct net_listen_options listen = {
            .backlog = LISTEN_BACKLOG, .is_shared = true, .is_first = s == 0};
        int *listener = &server->shards[s].listener;
        FST_TRY(net_listen(address, &listen, listener, error));
        if (address->port == 0) address->port = net_port(*listener); /* All shards share it. */
        warming.listeners[s] = *listener;
    }
    server->is_listening = true;
    warming_init(&server->warming, &warming);
    log_info("server.listening", "listen=%s port=%u", server->options->listen, address->port);
    return FST_OK;
}

/* Small, because it is filled with zeros before anybody is served. */
static uint64_t first_file_bytes(const struct server_options *options) {
    uint64_t bytes = bytes_align(options->group_bytes + IO_BLOCK_BYTES, IO_BLOCK_BYTES);
    if (bytes < FIRST_FILE_BYTES) bytes = FIRST_FILE_BYTES;
    return bytes < options->log_file_bytes ? bytes : options->log_file_bytes;
}

static enum fst_status shard_start(struct server *server, uint32_t index, struct fst_error *error) {
    struct shard_thread *thread = &server->shards[index];
    struct engine *engine = server->engine;
    struct log_options log = {
        .epoch = server->store.epoch,
        .shard = index,
        .group_bytes_max = (uint32_t)server->options->group_bytes,
        .groups_in_flight_max = (uint32_t)server->options->groups_in_flight,
        .sync_method = engine->sync.method,
        .file_bytes = server->options->log_file_bytes,
        .first_file_bytes = first_file_bytes(server->options),
    };
    memcpy(log.store_id, server->store.store_id, STORE_ID_BYTES);
    FST_TRY(log_open(&thread->log, server->io, server->store.log_dir, &log, error));
    engine->logs[index] = thread->log;
    struct io_ring_options ring = {.entries = RING_ENTRIES,
                                   .receive_buffers = RING_BUFFERS,
                                   .receive_buffer_bytes = RING_BUFFER_BYTES};
    FST_TRY(ring_create((enum ring_kind)server->options->io, &ring, &thread->ring, error));
    engine->rings[index] = thread->ring;
    struct shard_options options = {.index = index,
                                    .engine = engine,
                                    .ring = thread->ring,
                                    .log = thread->log,
                                    .listener = thread->listener};
    return shard_create(&thread->shard, &options, error);
}

static void *shard_main(void *context) {
    struct shard_thread *thread = context;
    if (thread->cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)thread->cpu, &set);
        if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0) {
            log_warn("shard.not_pinned", "cpu=%d", thread->cpu);
        }
    }
    shard_run(thread->shard);
    return NULL;
}

static void *control_main(void *context) {
    control_run(context);
    return NULL;
}

/* What the keeper does can wait, reads cannot: where it shares a processor with a shard it gets a
 * tenth of it. That is enough for log files in time, which are mostly the disk's work. */
static void *keeper_main(void *context) {
    errno = 0;
    if (nice(KEEPER_NICE) == -1 && errno != 0) log_warn("keeper.not_nice", "errno=%d", errno);
    keeper_run(context);
    return NULL;
}

static enum fst_status threads_start(struct server *server, struct fst_error *error) {
    int failed = pthread_create(&server->keeper_thread, NULL, keeper_main, server->keeper);
    if (failed == 0) server->is_keeper_started = true;
    if (failed == 0) {
        failed = pthread_create(&server->control_thread, NULL, control_main, server->control);
    }
    if (failed == 0) server->is_control_started = true;
    for (uint32_t s = 0; failed == 0 && s < server->shards_count; s++) {
        struct shard_thread *thread = &server->shards[s];
        failed = pthread_create(&thread->thread, NULL, shard_main, thread);
        if (failed == 0) thread->is_started = true;
    }
    if (failed == 0) return FST_OK;
    return fst_error_set(error, FST_NO_MEMORY, "a thread could not be started: errno %d", failed);
}

static enum fst_status shards_start(struct server *server, struct fst_error *error) {
    FST_TRY(address_check(server, error));
    int cpus[ENGINE_SHARDS_MAX];
    FST_TRY(cpu_list_decode(server->options->pin, server->shards_count, cpus, error));
    server->engine->sync = sync_choice_get(&server->sync);
    for (uint32_t s = 0; s < server->shards_count; s++) {
        server->shards[s].cpu = cpus[s];
        FST_TRY(shard_start(server, s, error));
    }
    char *listen = server->engine->places.listen;
    net_address_format(&server->address, listen, sizeof server->engine->places.listen);
    warming_deinit(&server->warming); /* Who connects from now on waits for the shards. */
    FST_TRY(threads_start(server, error));
    engine_state_raise(server->engine, ENGINE_RUNNING);
    log_info("server.ready", "listen=%s port=%u shards=%u io=%s", server->options->listen,
             server->address.port, server->shards_count, server->shards[0].ring->ops->name);
    return FST_OK;
}

static enum fst_status server_start(struct server *server, struct fst_error *error) {
    server->shards_count = server_options_shards(server->options);
    size_t engine_bytes = bytes_align(sizeof *server->engine, 64);
    server->engine = aligned_alloc(64, engine_bytes);
    server->shards = calloc(server->shards_count, sizeof *server->shards);
    if (!server->engine || !server->shards) return fst_error_set(error, FST_NO_MEMORY, "no memory");
    memset(server->engine, 0, engine_bytes);
    for (uint32_t s = 0; s < server->shards_count; s++) {
        server->shards[s].server = server;
        server->shards[s].listener = -1;
    }
    FST_TRY(listeners_open(server, error));
    FST_TRY(store_open(server, error));
    FST_TRY(engine_fill(server, error));
    FST_TRY(control_start(server, error));
    FST_TRY(warm_create(&server->engine->warm, server->engine, server->store.meta,
                        server->engine->warm_threads_count, error));
    return shards_start(server, error);
}

/* ---- end ---- */

/* True if the engine had failed by the end of its shards. */
static bool threads_join(struct server *server) {
    struct engine *engine = server->engine;
    for (uint32_t s = 0; s < server->shards_count; s++) {
        if (server->shards[s].is_started) pthread_join(server->shards[s].thread, NULL);
    }
    bool is_failed = engine_state(engine) == ENGINE_FAILED;
    if (server->is_control_started) {
        uint32_t old = atomic_load(&engine->state);
        if (old < ENGINE_STOPPED) atomic_store(&engine->state, ENGINE_STOPPED);
        if (server->is_keeper_started && is_failed) keeper_stop(server->keeper, true);
        control_wake(server->control);
        pthread_join(server->control_thread, NULL);
    }
    if (server->is_keeper_started) {
        if (!is_failed) keeper_stop(server->keeper, false);
        pthread_join(server->keeper_thread, NULL);
    }
    return is_failed;
}

static void server_close(struct server *server) {
    warming_deinit(&server->warming);
    if (server->engine) warm_destroy(server->engine->warm); /* It wakes rings. */
    for (uint32_t s = 0; server->shards && s < server->shards_count; s++) {
        struct shard_thread *thread = &server->shards[s];
        if (thread->ring) thread->ring->ops->close(thread->ring);
        shard_destroy(thread->shard);
        if (thread->listener >= 0) close(thread->listener);
        if (thread->log) log_close(thread->log);
    }
    control_destroy(server->control);
    registry_destroy(server->registry);
    sync_choice_deinit(&server->sync);
    keeper_destroy(server->keeper);
    if (server->is_store_open) recovery_close(&server->store);
    if (server->engine) {
        mailboxes_deinit(&server->engine->mailboxes);
        free(server->engine->rings);
        free(server->engine->logs);
        free(server->engine->metrics);
    }
    free(server->engine);
    free(server->shards);
    pthread_mutex_destroy(&server->change_lock);
}

static int exit_of(const struct server *server, enum fst_status status) {
    if (server->is_interrupted) return SERVER_DONE;
    /* The address; later it is the store. */
    if (status == FST_BUSY && !server->is_listening) return SERVER_FAILED;
    switch (status) {
    case FST_OK:
        return SERVER_DONE;
    case FST_INVALID:
    case FST_FORBIDDEN:
        return SERVER_USAGE;
    case FST_CORRUPT:
    case FST_BUSY:
    case FST_INCOMPATIBLE:
        return SERVER_STORE;
    default:
        return SERVER_FAILED;
    }
}

/* Shells allow some 1,000 descriptors and let a process ask for more: every connection takes one,
 * and so do partitions and log files, which must not go without. */
static void descriptors_raise(const struct server_options *options) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    uint64_t logs =
        server_options_shards(options) * options->groups_in_flight * (uint64_t)LOG_FILES_MAX;
    uint64_t wanted = options->connections + options->partitions + logs + DESCRIPTORS_SPARE;
    if (limit.rlim_cur >= wanted) return;
    log_warn("server.descriptors", "found=%llu wanted=%llu", (unsigned long long)limit.rlim_cur,
             (unsigned long long)wanted);
}

/* Waits for SIGINT or SIGTERM, or for the engine to fail. */
static void signals_wait(struct server *server) {
    const struct timespec pause = {.tv_nsec = 100000000};
    for (;;) {
        int signal = sigtimedwait(&server->signals, NULL, &pause);
        if (signal > 0) {
            log_info("server.stopping", "signal=%d", signal);
            engine_state_raise(server->engine, ENGINE_STOPPING);
            return;
        }
        if (engine_state(server->engine) >= ENGINE_STOPPING) return;
    }
}

int server_run(const struct server_options *options, struct io *io) {
    struct server server = {.options = options, .io = io};
    pthread_mutex_init(&server.change_lock, NULL);
    sigemptyset(&server.signals);
    sigaddset(&server.signals, SIGINT);
    sigaddset(&server.signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &server.signals, NULL); /* All threads inherit it. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* A limit on file sizes is the error of a write. */
    descriptors_raise(options);

    struct fst_error error = {.text = ""};
    enum fst_status status = server_start(&server, &error);
    int code = exit_of(&server, status);
    if (status == FST_OK) {
        signals_wait(&server);
    } else if (!server.is_interrupted) {
        log_error("server.failed", "status=%s text=\"%s\"", fst_status_name(status), error.text);
        if (server.is_keeper_started) engine_state_raise(server.engine, ENGINE_STOPPING);
    }
    if (server.is_keeper_started && threads_join(&server)) code = SERVER_LOG_WRITE;
    server_close(&server);
    log_info("server.ended", "code=%d", code);
    return code;
}
