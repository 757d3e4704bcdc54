#include "bench/fsbench/floors.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/io.h"
#include "bench/fsbench/child.h"
#include "bench/fsbench/dialect_echo.h"
#include "bench/fsbench/latency.h"
#include "bench/fsbench/wire.h"

enum { NUMBER_BYTES = 24, ADDRESS_BYTES = 32, TRIES_MAX = 500, TRY_US = 10000 };

struct number {
    char text[NUMBER_BYTES];
};

static struct number number_of(uint64_t value) {
    struct number number;
    snprintf(number.text, sizeof number.text, "%" PRIu64, value);
    return number;
}

/* A port that nobody listens on; 0 if none could be had. */
static uint16_t port_find(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    bool is_good = bind(fd, (struct sockaddr *)&address, bytes) == 0 &&
                   getsockname(fd, (struct sockaddr *)&address, &bytes) == 0;
    close(fd);
    return is_good ? ntohs(address.sin_port) : 0;
}

static enum fst_status echo_wait(const struct child *child, const char *address,
                                 struct fst_error *error) {
    struct io *io = io_posix();
    for (int i = 0; i < TRIES_MAX && child_is_alive(child); i++) {
        int socket;
        if (wire_open(address, &socket, error) == FST_OK) {
            wire_close(socket);
            return FST_OK;
        }
        io->ops->sleep_us(io, TRY_US);
    }
    return fst_error_set(error, FST_CLOSED, "fsecho does not serve at %s", address);
}

static enum fst_status echo_start(struct child *child, const struct load_settings *settings,
                                  const struct floors_sizes *sizes, uint16_t port,
                                  struct fst_error *error) {
    struct number port_text = number_of(port), request = number_of(sizes->request_bytes),
                  reply = number_of(sizes->reply_bytes);
    char name[] = "fsecho", p[] = "--port", q[] = "--request-bytes", r[] = "--reply-bytes",
         c[] = "--cpu", cpu[OPTION_TEXT_BYTES];
    snprintf(cpu, sizeof cpu, "%s", settings->server_cpu);
    char *argv[] = {name, p, port_text.text, q, request.text, r, reply.text, NULL, NULL, NULL};
    if (cpu[0]) {
        argv[7] = c;
        argv[8] = cpu;
    }
    return child_start(child, argv, error);
}

static enum fst_status echo_load(struct floors *floors, const struct load_settings *settings,
                                 const struct load_options *options,
                                 const struct floors_sizes *sizes, struct fst_error *error) {
    struct dialect *dialect;
    struct load *load;
    struct key_stream keys;
    key_stream_init(&keys, settings->entities, 0);
    FST_TRY(dialect_echo_create(sizes->request_bytes, sizes->reply_bytes, &keys, &dialect, error));
    enum fst_status status = load_open(options, dialect, &load, error);
    if (status == FST_OK) {
        status = measurement_run(load, settings, NULL, &floors->echo, error);
        load_close(load);
    }
    dialect->ops->close(dialect);
    return status;
}

static enum fst_status echo_measure(struct floors *floors, const struct load_settings *settings,
                                    const struct load_options *load,
                                    const struct floors_sizes *sizes, struct fst_error *error) {
    char address[ADDRESS_BYTES];
    struct child child;
    uint16_t port = port_find();
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    FST_TRY(echo_start(&child, settings, sizes, port, error));
    enum fst_status status = echo_wait(&child, address, error);
    if (status == FST_OK) {
        struct load_settings of_echo = *settings;
        struct load_options options = *load;
        of_echo.server_pid = (uint64_t)child.pid;
        options.address = address;
        options.write_share = 0;
        status = echo_load(floors, &of_echo, &options, sizes, error);
    }
    child_stop(&child);
    return status;
}

static enum fst_status micro_run(struct floors *floors, const struct load_settings *settings,
                                 const struct floors_sizes *sizes, struct fst_error *error) {
    struct number entities = number_of(settings->entities),
                  features = number_of(settings->features), keys = number_of(sizes->keys_per_read),
                  reply = number_of(sizes->reply_bytes);
    char name[] = "micro_floor", json[] = "--json", e[] = "--entities", f[] = "--features",
         k[] = "--keys", r[] = "--reply-bytes";
    char *argv[] = {name, json,      e, entities.text, f,   features.text,
                    k,    keys.text, r, reply.text,    NULL};
    struct child child;
    FST_TRY(child_start(&child, argv, error));
    return child_read(&child, &floors->micro_text, error);
}

enum fst_status floors_open(struct floors *floors, const struct load_settings *settings,
                            const struct load_options *load, const struct floors_sizes *sizes,
                            struct fst_error *error) {
    memset(floors, 0, sizeof *floors);
    FST_TRY(micro_run(floors, settings, sizes, error));
    return echo_measure(floors, settings, load, sizes, error);
}

void floors_close(struct floors *floors) {
    free(floors->micro_text);
    floors->micro_text = NULL;
}

/* The number behind "name": in a line of JSON that micro_floor has written; 0 if it is not there.
 */
static double number_find(const char *line, const char *end, const char *name) {
    const char *at = strstr(line, name);
    return at && at < end ? strtod(at + strlen(name), NULL) : 0;
}

void floors_dump(const struct floors *floors, FILE *out) {
    const struct measurement *echo = &floors->echo;
    const char *line = floors->micro_text;
    fprintf(out, "  floors\n    %-20s %12.0f /s   p99 %.1f us\n", "echo of the sizes",
            measurement_median(echo->requests_per_s, echo->runs_count),
            measurement_median(echo->p99_us, echo->runs_count));
    for (const char *end; (end = strchr(line, '\n')); line = end + 1) {
        const char *name = strstr(line, "\"case\":\"");
        if (!name || name > end) continue;
        name += strlen("\"case\":\"");
        fprintf(out, "    %-20.*s %12.0f /s   spread %.1f %%\n", (int)strcspn(name, "\""), name,
                number_find(line, end, "\"per_s\":"), 100 * number_find(line, end, "\"spread\":"));
    }
}

void floors_json_dump(const struct floors *floors, FILE *out) {
    fprintf(out, "\"floors\":{\"echo\":{");
    measurement_json_dump(&floors->echo, out);
    fprintf(out, "},\"in_process\":[");
    const char *line = floors->micro_text;
    for (const char *end; (end = strchr(line, '\n')); line = end + 1)
        fprintf(out, "%s%.*s", line == floors->micro_text ? "" : ",", (int)(end - line), line);
    fprintf(out, "]}");
}
