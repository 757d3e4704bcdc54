#include "shard/control.h"

#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/logger.h"
#include "shard/control_operations.h"

enum { WAIT_MS_MAX = 100, ARENA_BYTES = 64 << 20 };

/* ---- definitions ---- */

static void definitions_destroy(struct definitions *definitions) {
    if (!definitions) return;
    catalog_destroy(definitions->catalog);
    if (definitions->access) access_destroy(definitions->access);
    free(definitions);
}

static enum fst_status definitions_create(const struct registry *registry,
                                          struct definitions **definitions_out) {
    struct definitions *definitions = calloc(1, sizeof *definitions);
    if (!definitions) return FST_NO_MEMORY;
    enum fst_status status = registry_catalog(registry, &definitions->catalog);
    if (status == FST_OK) status = registry_access(registry, &definitions->access);
    if (status != FST_OK) {
        definitions_destroy(definitions);
        return status;
    }
    *definitions_out = definitions;
    return FST_OK;
}

static bool is_unused(const struct engine *engine, const struct definitions_retired *retired) {
    for (uint32_t s = 0; s < engine->shards_count; s++) {
        if (atomic_load(&engine->adopted[s]) <= retired->definitions->number) return false;
    }
    return epoch_is_past(&engine->epoch, retired->stamp);
}

static void retired_free(struct control *control) {
    struct definitions_retired **at = &control->retired;
    while (*at) {
        struct definitions_retired *retired = *at;
        if (!is_unused(control->engine, retired)) { /* C2 */
            at = &retired->next;
            continue;
        }
        *at = retired->next;
        definitions_destroy(retired->definitions);
        free(retired);
    }
}

enum fst_status control_publish(struct control *control) {
    struct engine *engine = control->engine;
    struct definitions *now;
    struct definitions_retired *retired = calloc(1, sizeof *retired);
    if (!retired) return FST_NO_MEMORY;
    enum fst_status status = definitions_create(control->registry, &now);
    if (status != FST_OK) {
        free(retired);
        return status;
    }
    now->number = atomic_load(&engine->definitions)->number + 1;
    const struct definitions *old = atomic_exchange(&engine->definitions, now);
    retired->definitions = (struct definitions *)(uintptr_t)old;
    /* Shards wake so that sleeping ones look at the new pair, too. */
    for (uint32_t s = 0; s < engine->shards_count; s++) engine_wake(engine, s);
    retired->stamp = epoch_stamp(&engine->epoch);
    retired->next = control->retired;
    control->retired = retired;
    return FST_OK;
}

/* ---- life ---- */

enum fst_status control_create(struct control **control_out, const struct control_options *options,
                               struct fst_error *error) {
    struct control *control = calloc(1, sizeof *control);
    if (!control) return fst_error_set(error, FST_NO_MEMORY, "no memory for the control thread");
    control->engine = options->engine;
    control->registry = options->registry;
    control->changes = options->changes;
    control->change_lock = options->change_lock;
    control->keeper = options->keeper;
    control->checkpoint = options->checkpoint;
    pthread_mutex_init(&control->wake_lock, NULL);
    pthread_cond_init(&control->wake_cond, NULL);
    enum fst_status status = arena_init(&control->arena, ARENA_BYTES);
    if (status == FST_OK) status = write_buffers_init(&control->buffers);
    struct definitions *definitions = NULL;
    if (status == FST_OK) status = definitions_create(control->registry, &definitions);
    if (status != FST_OK) {
        control_destroy(control);
        return fst_error_set(error, status, "no memory for the control thread");
    }
    definitions->number = 1;
    atomic_store(&control->engine->definitions, definitions);
    control->engine->control = control;
    control->engine->control_wake = control_wake;
    *control_out = control;
    return FST_OK;
}

void control_destroy(struct control *control) {
    if (!control) return;
    while (control->retired) {
        struct definitions_retired *retired = control->retired;
        control->retired = retired->next;
        definitions_destroy(retired->definitions);
        free(retired);
    }
    const struct definitions *last = atomic_exchange(&control->engine->definitions, NULL);
    definitions_destroy((struct definitions *)(uintptr_t)last);
    registry_destroy(control->registry);
    buffers_deinit(&control->buffers);
    arena_deinit(&control->arena);
    pthread_cond_destroy(&control->wake_cond);
    pthread_mutex_destroy(&control->wake_lock);
    free(control);
}

void control_wake(void *context) {
    struct control *control = context;
    pthread_mutex_lock(&control->wake_lock);
    control->is_awake = true;
    pthread_cond_signal(&control->wake_cond);
    pthread_mutex_unlock(&control->wake_lock);
}

static void control_wait(struct control *control) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_MS_MAX * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec += 1;
    }
    pthread_mutex_lock(&control->wake_lock);
    if (!control->is_awake) {
        pthread_cond_timedwait(&control->wake_cond, &control->wake_lock, &until);
    }
    control->is_awake = false;
    pthread_mutex_unlock(&control->wake_lock);
}

static struct message *mail_get(struct control *control) {
    struct engine *engine = control->engine;
    return mailbox_receive(&engine->mailboxes, engine_control_seat(engine), &control->mail_cursor);
}

struct message *control_receive(struct control *control, enum message_kind kind) {
    for (;;) {
        struct message *message;
        while ((message = mail_get(control)) != NULL) {
            if (message->kind == kind) return message;
            FST_ASSERT(message->kind == MESSAGE_CONTROL);
            message_list_put(&control->calls, message);
        }
        /* Not before: until its thread ends, a shard may hold what was sent, and answers it. */
        if (engine_state(control->engine) == ENGINE_STOPPED) return NULL;
        control_wait(control);
    }
}

static void call_serve(struct control *control, struct control_call *call) {
    call->error.status = FST_OK;
    control_operation_run(control, call);
    arena_reset(&control->arena);
    call->message.kind = MESSAGE_CONTROLLED;
    uint32_t to = call->message.from;
    struct engine *engine = control->engine;
    bool is_sent =
        mailbox_send(&engine->mailboxes, engine_control_seat(engine), to, &call->message);
    FST_ASSERT(is_sent); /* A queue holds more than the calls it can have brought. */
    engine_wake(engine, to);
}

void control_run(struct control *control) {
    struct engine *engine = control->engine;
    uint32_t seat = engine_control_seat(engine);
    for (;;) {
        struct message *message;
        while ((message = mail_get(control)) != NULL) {
            FST_ASSERT(message->kind == MESSAGE_CONTROL);
            message_list_put(&control->calls, message);
        }
        if (engine_state(engine) == ENGINE_STOPPED) break;
        message = message_list_get(&control->calls);
        if (message) {
            epoch_enter(&engine->epoch, seat);
            call_serve(control, (struct control_call *)message);
            epoch_leave(&engine->epoch, seat);
        } else {
            control_wait(control);
        }
        retired_free(control);
    }
}
