#include "base/logger.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "base/time.h"

enum { LINE_BYTES = 1024 };

/* The one piece of state at file level: standard error is one, too. */
static _Atomic int level_min = LOG_INFO;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void logger_init(enum log_level level) {
    atomic_store_explicit(&level_min, (int)level, memory_order_relaxed);
}

/* Whatever a peer smuggled into a value, one call stays one line. */
static void line_clean(char *line, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)line[i];
        if (c < 0x20 || c == 0x7f) line[i] = '?';
    }
}

/* snprintf's answer as the bytes that are really there. */
static size_t length_of(int answer, size_t room) {
    if (answer < 0) return 0;
    return (size_t)answer < room ? (size_t)answer : room - 1;
}

void logger_write(enum log_level level, const char *event, const char *format, ...) {
    if ((int)level < atomic_load_explicit(&level_min, memory_order_relaxed)) return;
    char line[LINE_BYTES + 1]; /* One more, for the line's end. */
    char time_text[TIME_TEXT_BYTES];
    time_format_rfc3339(io_now_us(io_posix()), time_text);
    int answer = snprintf(line, LINE_BYTES, "%s %s %s ", time_text, level_names[(int)level], event);
    size_t bytes = length_of(answer, LINE_BYTES);

    va_list arguments;
    va_start(arguments, format);
    answer = vsnprintf(line + bytes, LINE_BYTES - bytes, format, arguments);
    va_end(arguments);
    bytes += length_of(answer, LINE_BYTES - bytes);
    while (bytes > 0 && line[bytes - 1] == ' ') bytes--;

    line_clean(line, bytes);
    line[bytes] = '\n';
    ssize_t written = write(STDERR_FILENO, line, bytes + 1);
    (void)written; /* There is nobody left to tell. */
}
