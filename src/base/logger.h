/*
 * logger: events of the running program as single lines on standard error.
 *
 * A line is `TIME LEVEL dotted.event key=value key=value`; nothing is logged per request above
 * debug.
 *
 * Threads: any; a line is written with one call and never torn.
 * Memory:  no allocation; a line beyond 1 KiB is cut.
 */
#ifndef BASE_LOGGER_H
#define BASE_LOGGER_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Lines below `level` are dropped. Called once, before threads start. The default is LOG_INFO. */
void logger_init(enum log_level level);

void logger_write(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(event, ...) logger_write(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  logger_write(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  logger_write(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) logger_write(LOG_ERROR, event, __VA_ARGS__)

#endif
