/* The commands of fsctl: names, options, help. */
#include "tools/fsctl/command.h"

const struct ctl_option ctl_global_options[] = {
    {"server", 's', "HOST:PORT", "the server; default $FSTORE_SERVER, else 127.0.0.1:7601"},
    {"key", 'k', "KEY", "the API key; default $FSTORE_KEY. Others may see it in the process list"},
    {"key-file", 0, "FILE", "a file whose first line is the API key"},
    {"json", 'j', NULL, "one JSON object a line instead of tables"},
    {"timeout", 't', "DURATION", "wait this long for an answer; default 30s"},
    {"wait", 0, "DURATION", "keep trying to connect for this long"},
    {"color", 0, "WHEN", "auto, always or never; auto heeds $NO_COLOR"},
    {"help", 'h', NULL, "explain the command"},
    {"version", 0, NULL, "print the version"},
    {NULL, 0, NULL, NULL},
};

static const struct ctl_option no_options[] = {{NULL, 0, NULL, NULL}};

static const struct ctl_option file_options[] = {
    {"file", 'f', "PATH",
     "a YAML file, or a folder with *.yaml below it; may be repeated; - is stdin"},
    {NULL, 0, NULL, NULL},
};
static const struct ctl_option put_options[] = {
    {"ack", 0, "LEVEL", "durable (default): on disk before it is acknowledged; or memory"},
    {NULL, 0, NULL, NULL},
};
static const struct ctl_option delete_options[] = {
    {"event-time", 0, "TIME",
     "when the keys ceased to be, as microseconds or RFC 3339; default now"},
    {"ack", 0, "LEVEL", "durable (default): on disk before it is acknowledged; or memory"},
    {NULL, 0, NULL, NULL},
};
static const struct ctl_option get_options[] = {
    {"service", 0, "NAME", "the features of this service"},
    {"features", 0, "LIST",
     "features as view:feature or view:*, separated by commas; may be repeated"},
    {"keys", 0, "FILE", "a CSV file with a column per key; - is stdin"},
    {"expired", 0, NULL, "show values past their ttl, too"},
    {NULL, 0, NULL, NULL},
};
static const struct ctl_option import_options[] = {
    {"view", 'v', "VIEW", "the view that the rows are for"},
    {"skip-bad", 0, "FILE", "go on after bad rows, and keep them in FILE"},
    {"ack", 0, "LEVEL", "durable (default): on disk before it is acknowledged; or memory"},
    {"from-row", 0, "N", "begin with row N; the first row after the header is 1"},
    {NULL, 0, NULL, NULL},
};
static const struct ctl_option status_options[] = {
    {"partitions", 0, NULL, "a line per partition"},
    {NULL, 0, NULL, NULL},
};
static const struct ctl_option key_options[] = {
    {"role", 'r', "ROLES", "read, write, admin; separated by commas, or repeated"},
    {NULL, 0, NULL, NULL},
};

static const char definitions_details[] =
    "Definitions of entities, views and services are YAML files, see docs/definitions.md. The "
    "files\n"
    "are one change: all of it is applied, or nothing. Changes that would need stored rows to be\n"
    "rewritten are refused, with the reason and what to do instead.";

const struct ctl_command ctl_commands[] = {
    {"plan", "-f PATH", "Show what apply would change", definitions_details,
     "fsctl plan -f features/\n", file_options, 0, 0, ctl_plan},
    {"apply", "-f PATH", "Change definitions to what the files say", definitions_details,
     "fsctl apply -f features/\n"
     "fsctl apply -f features/customer.yaml -f features/services.yaml\n",
     file_options, 0, 0, ctl_apply},
    {"list", "[entities|views|services]", "List what is defined", "",
     "fsctl list\n"
     "fsctl --json list views\n",
     no_options, 0, 1, ctl_list},
    {"describe", "NAME", "Show an entity, view or service in full",
     "The name may leave out the namespace if the store has just one.",
     "fsctl describe customer_profile\n", no_options, 1, 1, ctl_describe},
    {"put", "VIEW JSON", "Write rows given as JSON",
     "JSON is an object or an array of objects with the key columns, event_time (microseconds\n"
     "or RFC 3339), optionally created_time, and features by name; - reads it from stdin.",
     "fsctl put customer_profile '{\"customer_id\": 1, \"x\": 0.5,\n"
     "                             \"event_time\": \"2026-05-01T09:30:00Z\"}'\n"
     "fsctl put customer_profile - < rows.json\n",
     put_options, 2, 2, ctl_put},
    {"delete", "VIEW KEY=VALUE...", "Delete keys of a view",
     "Give every key column as COLUMN=VALUE. A column that is given again begins the next key. "
     "Rows\n"
     "of a key up to the event time are gone, and those that come later and are older stay away.",
     "fsctl delete customer_profile customer_id=1\n"
     "fsctl delete customer_profile customer_id=1 customer_id=2 --event-time "
     "2026-05-01T00:00:00Z\n",
     delete_options, 2, CTL_GIVEN_MAX, ctl_delete},
    {"get", "(--service NAME | --features LIST) KEY=VALUE...", "Read features of entities",
     "Give every key column as COLUMN=VALUE. A column that is given again begins the next entity.\n"
     "Values of missing or expired rows are shown by their status, defaults with a star. Long "
     "values\n"
     "are cut; --json has them whole.",
     "fsctl get --service fraud_v1 customer_id=1 terminal_id=2\n"
     "fsctl get --features 'customer_profile:*' customer_id=1 customer_id=2\n"
     "fsctl --json get --features customer_profile:segment --keys customers.csv\n",
     get_options, 0, CTL_GIVEN_MAX, ctl_get},
    {"import", "FILE.csv --view VIEW", "Write the rows of a CSV file",
     "The first record names the columns: the key columns, event_time, optionally created_time,\n"
     "and features, in any order. An empty field is null, \"\" the empty string; - is stdin.\n"
     "Without --skip-bad the import ends at the first bad row. An import may be repeated, or go "
     "on\n"
     "with --from-row: rows that are there already change nothing.",
     "fsctl import customers.csv --view customer_profile\n"
     "fsctl import customers.csv --view customer_profile --skip-bad bad.csv\n",
     import_options, 1, 1, ctl_import},
    {"status", "", "Show how the server is doing", "", "fsctl status\nfsctl status --partitions\n",
     status_options, 0, 0, ctl_status},
    {"key create", "NAME --role ROLES", "Make an API key and show it, this one time",
     "As long as there is no key, everybody who can connect may do everything. The first key must\n"
     "have the role admin.",
     "fsctl key create boss --role admin\n"
     "fsctl key create scoring --role read,write\n",
     key_options, 1, 1, ctl_key_create},
    {"key list", "", "List the API keys", "", "fsctl key list\n", no_options, 0, 0, ctl_key_list},
    {"key revoke", "NAME", "Make an API key useless, at once", "", "fsctl key revoke scoring\n",
     no_options, 1, 1, ctl_key_revoke},
    {"audit", "", "List all changes of definitions and keys", "", "fsctl audit\n", no_options, 0, 0,
     ctl_audit},
    {"checkpoint", "", "Write a checkpoint now",
     "The server writes checkpoints by itself; this one returns when it is done.",
     "fsctl checkpoint\n", no_options, 0, 0, ctl_checkpoint},
    {"check", "DIR", "Walk all files of a stopped store and verify every checksum",
     "Runs fsd --check, the fsd beside this program or in $PATH.", "fsctl check /var/lib/fstore\n",
     no_options, 1, 1, ctl_check},
    {"dump", "DIR [log|meta]", "Print what a stopped store holds (default: log)",
     "Runs fsd --dump, the fsd beside this program or in $PATH.",
     "fsctl dump /var/lib/fstore meta\n", no_options, 1, 2, ctl_dump},
    {"completion", "bash", "Print the shell completion", "", "source <(fsctl completion bash)\n",
     no_options, 1, 1, ctl_completion},
    {"version", "", "Print the version", "", "fsctl version\n", no_options, 0, 0, ctl_version},
    {"words", "INDEX WORD...", NULL, "", "", no_options, 1, CTL_GIVEN_MAX, ctl_words},
};

const uint32_t ctl_commands_count = sizeof ctl_commands / sizeof ctl_commands[0];
