/*
 * micro_frame: how long a frame takes to judge, in a buffer as a socket fills it: many frames one
 * after another. The payload is not looked at.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "bench/micro/sheet.h"
#include "net/frame.h"

enum { BUFFER_BYTES = 256 << 10, NAME_BYTES = 64 };

struct frame_options {
    SHEET_OPTIONS(OPTION_MEMBER)
};

static const struct option_spec specs[] = {
#define SPEC(name, ...) OPTION_SPEC(struct frame_options, name, __VA_ARGS__)
    SHEET_OPTIONS(SPEC)
#undef SPEC
};

static const struct sheet_table frame_help = {
    .program = "micro_frame",
    .help = "Measures frame_decode over a buffer full of frames, by their size.\n",
    .specs = specs,
    .specs_count = sizeof specs / sizeof specs[0],
};

struct stream {
    uint8_t *data;
    size_t bytes; /* of whole frames */
};

static void stream_fill(struct stream *stream, enum frame_opcode opcode, uint32_t frame_bytes) {
    memset(stream->data, 0, BUFFER_BYTES);
    stream->bytes = BUFFER_BYTES / frame_bytes * (size_t)frame_bytes;
    for (size_t at = 0; at < stream->bytes; at += frame_bytes)
        frame_encode_request(stream->data + at, frame_bytes, opcode, (uint32_t)at, 5);
}

static void stream_run(void *context, uint64_t turns) {
    static const struct frame_rules rules = {.frame_bytes_max = FRAME_BYTES_MAX,
                                             .bulk_bytes_max = FRAME_BULK_BYTES_MAX};
    const struct stream *stream = context;
    for (uint64_t i = 0; i < turns; i++) {
        for (size_t at = 0; at < stream->bytes;) {
            struct frame frame;
            const char *field;
            enum fst_status status =
                frame_decode(stream->data + at, stream->bytes - at, &rules, &frame, &field);
            FST_ASSERT(status == FST_OK && frame.payload != NULL);
            at += frame.bytes;
        }
    }
}

int main(int argc, char **argv) {
    static const struct frame_case {
        const char *name;
        enum frame_opcode opcode;
        uint32_t bytes;
    } cases[] = {{"GET of 1 key", FRAME_GET, 56},
                 {"GET of 100 keys", FRAME_GET, 848},
                 {"WRITE of 50 float64", FRAME_WRITE, 506},
                 {"WRITE of 64 KiB", FRAME_WRITE, 64 << 10}};
    struct frame_options options;
    int exit_code = EXIT_SUCCESS;
    if (!sheet_options_get(&frame_help, argc, argv, &options, &exit_code)) return exit_code;
    struct stream stream = {.data = malloc(BUFFER_BYTES)};
    FST_ASSERT(stream.data != NULL);
    struct sheet sheet;
    struct sheet_options shared = {options.repeat, options.run, options.json};
    sheet_init(&sheet, frame_help.program, &shared);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        stream_fill(&stream, cases[i].opcode, cases[i].bytes);
        sheet_measure(&sheet, &(struct sheet_case){.name = cases[i].name,
                                                   .unit = "frame",
                                                   .units = stream.bytes / cases[i].bytes,
                                                   .run = stream_run,
                                                   .context = &stream});
    }
    free(stream.data);
    return EXIT_SUCCESS;
}
