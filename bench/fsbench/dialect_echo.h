/*
 * dialect_echo: frames of fixed size both ways, with a server that answers without looking
 * (fsecho).
 *
 * Threads: one. Memory: owns itself until close.
 */
#ifndef FSBENCH_DIALECT_ECHO_H
#define FSBENCH_DIALECT_ECHO_H

#include "bench/fsbench/dialect.h"

/* Both sizes count the 16 bytes of the frame header. */
FST_MUST_USE enum fst_status dialect_echo_create(uint32_t request_bytes, uint32_t reply_bytes,
                                                 const struct key_stream *keys,
                                                 struct dialect **dialect_out,
                                                 struct fst_error *error);

#endif
