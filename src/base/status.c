#include "fstore/status.h"

#include <stdarg.h>
#include <stdio.h>

const char *fst_status_name(enum fst_status status) {
    switch (status) {
#define STATUS_NAME(name, code, text)                                                              \
    case FST_##name:                                                                               \
        return #name;
        FST_STATUS_TABLE(STATUS_NAME)
#undef STATUS_NAME
    }
    return "?";
}

const char *fst_status_text(enum fst_status status) {
    switch (status) {
#define STATUS_TEXT(name, code, text)                                                              \
    case FST_##name:                                                                               \
        return text;
        FST_STATUS_TABLE(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "not a status of this version of fstore";
}

enum fst_status fst_error_set(struct fst_error *error, enum fst_status status, const char *format,
                              ...) {
    if (!error) return status;
    error->status = status;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    if (length < 0) error->text[0] = '\0';
    return status;
}
