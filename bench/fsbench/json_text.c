#include "bench/fsbench/json_text.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"

void json_text_dump(const char *text, FILE *out) {
    bool is_utf8 = text_is_utf8(text, strlen(text));
    fputc('"', out);
    for (const char *at = text; *at; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte == '"' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else if (byte < ' ')
            fprintf(out, "\\u%04x", byte);
        else
            fputc(byte >= 0x80 && !is_utf8 ? '?' : byte, out);
    }
    fputc('"', out);
}
