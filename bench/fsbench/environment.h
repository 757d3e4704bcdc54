/*
 * environment: the machine a measurement is made on, as far as it can be read; what is not known is
 * empty.
 *
 * Threads: any. Memory: in place.
 */
#ifndef FSBENCH_ENVIRONMENT_H
#define FSBENCH_ENVIRONMENT_H

#include <stdint.h>
#include <stdio.h>

enum { ENVIRONMENT_TEXT_BYTES = 128 };

struct environment {
    char cpu_model[ENVIRONMENT_TEXT_BYTES];
    uint32_t cpus_count;
    char kernel[ENVIRONMENT_TEXT_BYTES];
    char governor[ENVIRONMENT_TEXT_BYTES];     /* of the first processor's frequency */
    char load_average[ENVIRONMENT_TEXT_BYTES]; /* "0.50 0.40 0.30": of 1, 5 and 15 minutes */
};

/* Reads proc/ and sys/ below `root`, which is "" for the machine's own. */
void environment_get(const char *root, struct environment *environment_out);

/* A member `"environment":{...}`, with the version of this program. */
void environment_json_dump(const struct environment *environment, FILE *out);

#endif
