/*
 * server_options: the settings of fsd, as one table, and what they add up to.
 *
 * Threads: start-up only. Memory: a plain struct.
 */
#ifndef SERVER_SERVER_OPTIONS_H
#define SERVER_SERVER_OPTIONS_H

#include <stdio.h>

#include "base/options.h"

/* X(name, kind, default, min, max, form, help) */
#define SERVER_OPTIONS(X)                                                                          \
    X(data, TEXT, "", 0, 0, "DIR", "folder of the store; made if it is not there")                 \
    X(config, TEXT, "", 0, 0, "FILE", "read settings from this file too")                          \
    X(listen, TEXT, "127.0.0.1:7601", 0, 0, "HOST:PORT",                                           \
      "address to serve; without any API key only a loopback address is allowed")                  \
    X(shards, COUNT, "0", 0, 128, NULL,                                                            \
      "threads that serve, one per processor; 0: all processors")                                  \
    X(pin, TEXT, "auto", 0, 0, "auto|none|LIST",                                                   \
      "processors of the shards, such as 0,2-5; auto: those the process may use")                  \
    X(io, CHOICE, "auto", 0, 0, "auto|uring|epoll", "how to wait for sockets and disks")           \
    X(partitions, COUNT, "64", 1, 1024, NULL, "partitions of a new store; fixed from then on")     \
    X(memory, BYTES, "4G", 64 << 20, UINT64_C(1) << 46, NULL, "limit of online rows and index")    \
    X(table_dir, TEXT, "/dev/shm", 0, 0, "DIR", "memory file system for the online tables")        \
    X(meta_bytes, BYTES, "64G", 16 << 20, UINT64_C(1) << 46, NULL, "limit of the LMDB file")       \
    X(log_file_bytes, BYTES, "64M", 8 << 20, UINT64_C(1) << 32, NULL, "size of a log file")        \
    X(group_bytes, BYTES, "4M", 64 << 10, 64 << 20, NULL, "largest log group, per shard")          \
    X(groups_in_flight, COUNT, "4", 1, 16, NULL, "log groups being written at once, per shard")    \
    X(sync_method, CHOICE, "auto", 0, 0, "auto|dsync|fdatasync",                                   \
      "how log writes become durable; auto: measured at each start, the faster one")               \
    X(checkpoint_interval, DURATION, "10s", 100000, UINT64_C(86400000000), NULL,                   \
      "time between checkpoints")                                                                  \
    X(connections, COUNT, "10000", 1, 1000000, NULL, "connections, over all shards")               \
    X(in_flight, COUNT, "64", 1, 4096, NULL, "requests in flight per connection")                  \
    X(frame_bytes, BYTES, "1M", 4096, 16 << 20, NULL, "largest frame, but for WRITE and CONTROL")  \
    X(bulk_bytes, BYTES, "16M", 4096, 16 << 20, NULL, "largest WRITE or CONTROL frame")            \
    X(output_bytes, BYTES, "8M", 64 << 10, 64 << 20, NULL, "replies waiting per connection")       \
    X(keys, COUNT, "10000", 1, 10000, NULL, "keys per GET")                                        \
    X(arena_bytes, BYTES, "48M", 32 << 20, 1 << 30, NULL, "scratch memory of a tick, per shard")   \
    X(warm_threads, COUNT, "2", 1, 32, NULL, "threads that read rows that are not in memory")      \
    X(warm_bytes, BYTES, "256M", 16 << 20, UINT64_C(1) << 40, NULL,                                \
      "memory for requests that wait for such rows")                                               \
    X(handshake_timeout, DURATION, "5s", 1000, 3600000000, NULL, "time for HELLO")                 \
    X(frame_timeout, DURATION, "10s", 1000, 3600000000, NULL, "time for the rest of a frame")      \
    X(log_level, CHOICE, "info", 0, 0, "debug|info|warn|error", "least important event to log")    \
    X(plan, BOOL, "false", 0, 0, NULL, "print memory by limit, then end; nothing is mapped")       \
    X(check, BOOL, "false", 0, 0, NULL, "walk all files of a stopped store, then end")             \
    X(dump, CHOICE, "none", 0, 0, "none|log|meta", "print what a stopped store holds, then end")   \
    X(json, BOOL, "false", 0, 0, NULL, "with --plan, --check, --dump: JSON lines")                 \
    X(version, BOOL, "false", 0, 0, NULL, "print the version, then end")                           \
    X(help, BOOL, "false", 0, 0, NULL, "print this text, then end")

enum server_dump { SERVER_DUMP_NONE, SERVER_DUMP_LOG, SERVER_DUMP_META };

struct server_options {
    SERVER_OPTIONS(OPTION_MEMBER)
};

/* Reads command line and configuration file. FST_INVALID with the reason in `error`. */
FST_MUST_USE enum fst_status server_options_parse(struct server_options *options, int argc,
                                                  char *const *argv, struct io *io,
                                                  struct fst_error *error);
void server_options_help(FILE *out);

/* Processors that this process may use. */
uint32_t server_options_processors(void);

/* Number of shards: the option, or the processors this process may use. */
uint32_t server_options_shards(const struct server_options *options);

/* How many connections one of so many shards takes: the kernel deals them out by chance, so that a
 * shard may get more than its share. */
uint32_t server_options_shard_connections(const struct server_options *options,
                                          uint32_t shards_count);

/* The bytes behind each limit, and their sum. */
void server_options_plan(const struct server_options *options, FILE *out);

#endif
