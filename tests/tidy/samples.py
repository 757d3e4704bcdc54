"""Bad and good samples: BAD has at least one for each rule, named by path and text.

Each is (rule, path, text, words of the message). GOOD are files that no rule may complain about.
Words that a rule looks for are put together here, so that this file itself keeps the rules.
"""


def body(lines):
    return "int f(void) {\n" + "    f1();\n" * lines + "    return 0;\n}\n"


MARK = "TO" + "DO"
HEAD = "/* row: one row. */\n#ifndef MODEL_ROW_H\n#define MODEL_ROW_H\n"
SEVEN = "int a, int b, int c, int d,\n      int e, int g, int h"
DEEP = """int f(int a) {
    for (;;) {
        if (a) {
            while (a) {
                if (a) {
                    do {
                        a--;
                    } while (a);
                }
            }
        }
    }
}
"""

BAD = [
    ("layer", "src/base/x.c", '#include "model/row.h"\n', "src/base may not include src/model"),
    ("layer", "net/x.c", '#include "storage/log/log.h"\n', "net may not include storage/log"),
    ("layer", "src/client/x.c", '#include "net/conn.h"\n', "src/client may not include net"),
    ("layer", "src/query/x.c", '#include "shard/shard.h"\n', "src/query may not include"),
    ("layer", "storage/log/x.c", '#include "storage/online/a.h"\n', "storage/log may not"),
    ("layer", "tools/fsctl/x.c", '#include "model/row.h"\n', "tools may not include src/model"),
    ("layer", "src/base/x.c", '#include "arena.h"\n', "does not spell a folder"),
    ("layer", "src/jobs/x.c", '#include "net/frame.h"\n', "src/jobs may not include net/frame.h"),
    ("confined", "net/ring_epoll.c", "#include <liburing.h>\n", "belongs to net/ring_uring.c"),
    ("confined", "storage/log/x.c", "#include <lmdb.h>\n", "belongs to storage/meta/meta.c"),
    ("confined", "src/query/x.c", "#include <jansson.h>\n", "belongs to src/registry/"),
    ("confined", "src/base/x.c", "#include <openssl/ssl.h>\n", "belongs to net/tls.c"),
    ("confined", "storage/log/x.c", '#include "fstore/control.pb-c.h"\n', "belongs to"),
    ("confined", "src/shard/x.c", '#include "registry/change.pb-c.h"\n', "belongs to"),
    ("file_length", "src/base/x.c", "int a(void);\n" * 801, "801 lines, at most 800"),
    ("function_length", "src/base/x.c", body(68), "f has 71 lines, at most 70"),
    ("parameters", "src/base/x.c", f"int f({SEVEN}) {{\n}}\n", "f has 7 parameters"),
    ("parameters", "src/base/x.h", f"int f({SEVEN});\n", "f has 7 parameters"),
    ("parameters", "src/base/x.h",
     f"FST_MUST_USE int f({SEVEN})\n    __attribute__((nonnull(1, 2)));\n", "f has 7 parameters"),
    ("nesting", "src/base/x.c", DEEP, "f nests 5 deep"),
    ("recursion", "src/base/x.c", "int f(int a) {\n    return a > 0 ? f(a - 1) : 0;\n}\n",
     "calls itself"),
    ("conditional", "src/base/x.c",
     "int f(void) {\n#ifdef FAST\n    g();\n#endif\n    return 0;\n}\n",
     "conditional compilation inside f"),
    ("forward_declaration", "src/base/x.c", "static int f(int a);\n", "define it before its use"),
    ("forward_declaration", "src/base/x.c",
     "static int f(int a,\n             int b);\n", "define it"),
    ("mutable_state", "src/base/x.c", "static int count;\n", "hang it off"),
    ("mutable_state", "src/base/x.c", "struct shard *shards[8];\n", "hang it off"),
    ("mutable_state", "src/base/x.c", "static _Atomic uint64_t next_id = 1;\n", "hang it off"),
    ("unfinished", "src/base/x.c", f"/* {MARK}: grow */\n", "finished or left out"),
    ("unfinished", "docs/x.md", f"{MARK} write\n", "finished or left out"),
    ("sleep", "tests/base/x_test.c", "int f(void) {\n    usleep(10);\n}\n", "never for time"),
    ("sleep", "tests/base/x_test.c",
     "int f(void) {\n    nanosleep(&t, NULL);\n}\n", "never for time"),
    ("sleep", "tests/e2e/test_x.py", "time.sleep(1)\n", "never for time"),
    ("header_form", "src/model/row.h",
     "#ifndef MODEL_ROW_H\n#define MODEL_ROW_H\n#endif\n", "comment"),
    ("header_form", "src/model/row.h", HEAD.replace("row:", "cell:") + "#endif\n", 'with "row: "'),
    ("header_form", "src/model/row.h",
     HEAD.replace("MODEL_", "") + "#endif\n", "guard MODEL_ROW_H"),
    ("header_form", "src/model/row.h", HEAD + "#endif\nint x;\n#define A\n", "guard MODEL_ROW_H"),
    ("test_form", "tests/base/x_test.c", "#include <stdio.h>\n", "starts with a sentence"),
    ("own_header", "src/base/pool.c",
     '#include <stdio.h>\n\n#include "base/pool.h"\n', "comes first"),
    ("columns", "src/base/x.c", "/* " + "x" * 98 + " */\n", "104 columns"),
    ("columns", "tools/build", "#!/bin/bash\n" + "x" * 101 + "\n", "101 columns"),
    ("whitespace", "docs/x.md", "word \n", "white space at the end"),
    ("whitespace", "docs/x.md", "word", "no newline"),
    ("whitespace", "src/base/x.c", "\tint a;\n", "a tab"),
    ("machine_path", "docs/x.md", "see /wo" + "rk/main/docs\n", "path of one machine"),
    ("machine_path", "tools/x", 'cd "/ho' + 'me/me"\n', "path of one machine"),
    ("outside_world", "docs/x.md", "see DES" + "IGN.md\n", "does not have"),
    ("outside_world", "src/base/x.c", "/* fixes iss" + "ue 7 */\n", "does not have"),
    ("module_name", "src/base/utils.c", "int f(void);\n", "one noun"),
    ("links", "docs/x.md", "[here](nowhere.md)\n", "leads nowhere"),
]

GOOD_HEADER = HEAD + """
#include <stdint.h>

#include "base/bytes.h"
#include "fstore/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct row;

/* A function pointer and its six parameters. */
int f(int a, int b, int c, int d, int e, int (*call)(int x, int y));

#ifdef __cplusplus
}
#endif
#endif
"""

GOOD_CODE = """#include "model/row.h"

#include <string.h>

#include "base/bytes.h"

enum { LINES_MAX = 3 };

__extension__ typedef unsigned __int128 u128;

/* An {unbalanced brace in a comment, and in a literal. */
static const char *const names[] = {"a", "{", "\\"("};

struct place {
    int line;
};

static void
g(void) {
}

static struct place f(int a) {
    struct place place = {.line = a};
    for (int i = 0; i < a; i++) {
        if (i == 1) {
            switch (a) {
            case 1: {
                g();
                break;
            }
            default: break;
            }
        }
    }
    return place;
}
"""

GOOD = [
    ("src/model/row.h", GOOD_HEADER),
    ("src/model/row.c", GOOD_CODE),
    ("bench/fsbench/load.h",
     "/* load: the load. */\n#ifndef FSBENCH_LOAD_H\n#define FSBENCH_LOAD_H\n#endif\n"),
    ("src/client/client.c", '#include "fstore/client.h"\n\n#include "net/frame.h"\n'),
    ("src/shard/requests.c", '#include "net/conn.h"\n#include "fstore/control.pb-c.h"\n'),
    ("tests/base/x_test.c", "/* Shows that x holds, by a table. */\nint sleepy;\n"),
    ("tests/e2e/test_x.py", "time.sleep(0)  # lets another thread run\n"),
    ("docs/x.md", "[here](https://example.org/x) and at /var/lib/fstore\n"),
    ("src/base/x.c", body(67)),
]
