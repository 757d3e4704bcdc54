"""The table of layers: which folder may use which. Includes and symbols are checked against it.

A folder may always use itself. `net/frame.h` is the one file of net that the client may use.
"""

STORAGE = ["storage/log", "storage/meta", "storage/online", "storage/recovery"]
BASE = ["include", "src/base"]
MODEL = BASE + ["src/model"]
REGISTRY = MODEL + STORAGE
QUERY = REGISTRY + ["src/registry"]
INGEST = MODEL + ["src/registry"]
JOBS = QUERY + ["src/query", "src/ingest"]
SHARD = JOBS + ["src/jobs", "net", "net/frame.h"]

ALLOWED = {
    "include": [],
    "src/base": ["include"],
    "src/model": BASE,
    "storage/log": MODEL,
    "storage/meta": MODEL + ["storage/log"],
    "storage/online": MODEL + ["storage/meta", "storage/log"],
    "storage/recovery": MODEL + ["storage/meta", "storage/log", "storage/online"],
    "net": BASE,
    "src/registry": REGISTRY,
    "src/query": QUERY,
    "src/ingest": INGEST,
    "src/jobs": JOBS,
    "src/shard": SHARD,
    "src/server": SHARD + ["src/shard"],
    "src/client": BASE + ["net/frame.h"],
    "tools": BASE,
    "bench": BASE,
    "bench/micro": MODEL + STORAGE + ["net/frame.h"],
    "docs/examples": ["include"],
}

# Third-party header: the files or folders that may include it.
CONFINED = {
    "liburing.h": ["net/ring_uring.c", "bench/echo.c"],
    "lmdb.h": ["storage/meta/meta.c"],
    "librdkafka/rdkafka.h": ["src/ingest/kafka.c"],
    "openssl/": ["net/tls.c"],
    "libfyaml.h": ["src/registry/yaml"],
    "jansson.h": ["src/registry/", "src/ingest/", "tests/ingest/"],
    "xxhash.h": ["src/base/hash.c"],
    "zlib.h": ["bench/fsbench/hdr_log.c"],
    "cmocka.h": ["tests/"],
    "protobuf-c/": [],
}

# Folders that link another one for its public functions (fst_), whose headers are in include/.
PUBLIC = {"tools": "src/client"}

# What an include line of a generated header may be used by.
GENERATED = {
    "fstore/": ["src/registry/", "src/shard/", "src/server/", "tools/", "bench/",
                "tests/"],
    "registry/": ["src/registry/", "tests/registry/"],
}

# Library of the build, by folder.
LIBRARIES = {
    "src/base": "fst_base",
    "src/model": "fst_model",
    "storage/meta": "fst_storage_meta",
    "storage/log": "fst_storage_log",
    "storage/online": "fst_storage_online",
    "storage/recovery": "fst_storage_recovery",
    "net": "fst_net",
    "net/frame.h": "fst_frame",
    "src/registry": "fst_registry",
    "src/query": "fst_query",
    "src/ingest": "fst_ingest",
    "src/jobs": "fst_jobs",
    "src/shard": "fst_shard",
    "src/server": "fst_server",
    "src/client": "fst_client",
    "tools": "fst_fsctl",
    "bench": "fst_bench",
    "bench/micro": "fst_micro",
}


def folder_of(path):
    """The row of ALLOWED that `path` belongs to; None for tests and whatever is no source."""
    place = path.replace("bench/micro_", "bench/micro/")  # the programs stand beside the folder
    matches = [folder for folder in ALLOWED if place.startswith(folder + "/")]
    return max(matches, key=len) if matches else None
