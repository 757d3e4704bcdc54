/* plan and apply: definitions from files, and what they change. */
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/fsctl/files.h"
#include "tools/fsctl/json.h"
#include "tools/fsctl/remote.h"

enum { ACTOR_BYTES = 256 };

/* ---- asking ---- */

struct documents {
    struct file_list files;
    Fst__Document *documents;
    Fst__Document **pointers;
    size_t count; /* read so far */
};

static void documents_deinit(struct documents *all) {
    for (size_t i = 0; i < all->count; i++) free(all->documents[i].text.data);
    free(all->documents);
    free(all->pointers);
    file_list_deinit(&all->files);
}

static enum fst_status documents_read(struct ctl *ctl, struct documents *all,
                                      struct fst_error *error) {
    const char *path;
    uint32_t cursor = 0;
    while ((path = ctl_option_next(ctl, "file", &cursor))) {
        enum fst_status status = file_list_find(&all->files, path, error);
        if (status != FST_OK) return status;
    }
    if (all->files.count == 0) return fst_error_set(error, FST_INVALID, "expected a file");
    all->documents = calloc(all->files.count, sizeof *all->documents);
    all->pointers = calloc(all->files.count, sizeof(Fst__Document *));
    if (!all->documents || !all->pointers) {
        return fst_error_set(error, FST_NO_MEMORY, "no memory for %zu files", all->files.count);
    }
    for (size_t i = 0; i < all->files.count; i++) {
        Fst__Document *document = &all->documents[i];
        char *text;
        fst__document__init(document);
        enum fst_status status =
            file_read_whole(ctl, all->files.paths[i], &text, &document->text.len, error);
        if (status != FST_OK) return status;
        document->text.data = (uint8_t *)text;
        document->name = all->files.paths[i];
        all->pointers[i] = document;
        all->count = i + 1;
    }
    return FST_OK;
}

/* Who will be in the audit trail: user@host. */
static void actor_format(char *out, size_t bytes) {
    char host[64] = "?";
    const struct passwd *user = getpwuid(geteuid());
    (void)gethostname(host, sizeof host);
    host[sizeof host - 1] = '\0';
    snprintf(out, bytes, "%.100s@%.100s", user ? user->pw_name : "?", host);
}

/* ---- showing ---- */

struct colors {
    const char *add, *change, *refuse, *dim, *bold, *end;
};

static struct colors colors_of(const struct ctl *ctl) {
    if (!ctl->has_color) return (struct colors){"", "", "", "", "", ""};
    return (struct colors){"\033[32m", "\033[33m", "\033[31m", "\033[2m", "\033[1m", "\033[0m"};
}

struct counts {
    uint32_t add, change, same, refused;
};

static void line_print(FILE *out, const struct colors *colors, const char *line) {
    const char *color = line[0] == '+'   ? colors->add
                        : line[0] == '-' ? colors->refuse
                        : line[0] == '~' ? colors->change
                                         : "";
    fprintf(out, "    %s%s%s\n", color, line, color[0] ? colors->end : "");
}

static void change_print(FILE *out, const struct colors *colors, const Fst__Change *change,
                         struct counts *counts) {
    bool is_refused = change->reason[0] != '\0';
    bool is_same = strcmp(change->action, "same") == 0;
    bool is_add = strcmp(change->action, "add") == 0;
    counts->refused += is_refused;
    counts->same += is_same && !is_refused;
    counts->add += is_add && !is_refused;
    counts->change += !is_same && !is_add && !is_refused;
    if (is_same && !is_refused) return;
    const char *color = is_refused ? colors->refuse : is_add ? colors->add : colors->change;
    const char *sign = is_refused ? "!" : is_add ? "+" : "~";
    fprintf(out, "%s%s %s %s%s%s%s%s\n", color, sign, change->kind, colors->bold, change->name,
            colors->end, is_add || is_refused ? "" : ": ",
            is_add || is_refused ? "" : change->action);
    for (size_t i = 0; i < change->n_lines; i++) line_print(out, colors, change->lines[i]);
    if (is_refused) {
        fprintf(out, "    %srefused%s: %s\n", colors->refuse, colors->end, change->reason);
        if (change->hint[0]) fprintf(out, "    instead: %s\n", change->hint);
    }
}

static void problem_print(FILE *out, const struct colors *colors, const Fst__Problem *problem) {
    fprintf(out, "%s%s", colors->bold, problem->document);
    if (problem->line > 0) fprintf(out, ":%u:%u", problem->line, problem->column);
    fprintf(out, "%s: %s\n", colors->end, problem->text);
}

/* How to do what was planned. */
static void command_print(struct ctl *ctl) {
    uint32_t cursor = 0;
    const char *path;
    fprintf(ctl->out, ". Do it with: fsctl apply");
    while ((path = ctl_option_next(ctl, "file", &cursor))) fprintf(ctl->out, " -f %s", path);
    fputc('\n', ctl->out);
}

static void reply_print(struct ctl *ctl, const Fst__ApplyReply *reply, bool is_dry) {
    struct colors colors = colors_of(ctl);
    struct counts counts = {0};
    for (size_t i = 0; i < reply->n_problems; i++) {
        problem_print(ctl->out, &colors, reply->problems[i]);
    }
    for (size_t i = 0; i < reply->n_changes; i++) {
        change_print(ctl->out, &colors, reply->changes[i], &counts);
    }
    if (reply->n_problems > 0) {
        fprintf(ctl->out, "%zu problem%s; nothing was changed.\n", reply->n_problems,
                reply->n_problems == 1 ? "" : "s");
    } else if (reply->refused) {
        fprintf(ctl->out, "%u refused; nothing was changed.\n", counts.refused);
    } else if (counts.add + counts.change == 0) {
        fprintf(ctl->out, "Nothing to change: all %u definitions are as they should be.\n",
                counts.same);
    } else {
        fprintf(ctl->out, "%s: %u new, %u changed, %u the same", is_dry ? "Plan" : "Applied",
                counts.add, counts.change, counts.same);
        if (is_dry) {
            command_print(ctl);
        } else {
            fprintf(ctl->out, "; generation %" PRIu64 ".\n", reply->generation);
        }
    }
}

static void change_json(struct ctl_json *json, const Fst__Change *change) {
    ctl_json_begin(json, NULL, '{');
    ctl_json_text(json, "action", change->action);
    ctl_json_text(json, "kind", change->kind);
    ctl_json_text(json, "name", change->name);
    ctl_json_begin(json, "lines", '[');
    for (size_t i = 0; i < change->n_lines; i++) ctl_json_text(json, NULL, change->lines[i]);
    ctl_json_end(json, ']');
    if (change->reason[0]) ctl_json_text(json, "reason", change->reason);
    if (change->hint[0]) ctl_json_text(json, "hint", change->hint);
    ctl_json_end(json, '}');
}

static void reply_json(FILE *out, const Fst__ApplyReply *reply, bool is_dry) {
    struct ctl_json json = {.out = out};
    ctl_json_begin(&json, NULL, '{');
    ctl_json_bool(&json, "applied", !reply->refused && !is_dry);
    ctl_json_bool(&json, "refused", reply->refused);
    ctl_json_unsigned(&json, "generation", reply->generation);
    ctl_json_begin(&json, "changes", '[');
    for (size_t i = 0; i < reply->n_changes; i++) change_json(&json, reply->changes[i]);
    ctl_json_end(&json, ']');
    ctl_json_begin(&json, "problems", '[');
    for (size_t i = 0; i < reply->n_problems; i++) {
        const Fst__Problem *problem = reply->problems[i];
        ctl_json_begin(&json, NULL, '{');
        ctl_json_text(&json, "document", problem->document);
        ctl_json_unsigned(&json, "line", problem->line);
        ctl_json_unsigned(&json, "column", problem->column);
        ctl_json_text(&json, "text", problem->text);
        ctl_json_end(&json, '}');
    }
    ctl_json_end(&json, ']');
    ctl_json_end(&json, '}');
    fputc('\n', out);
}

/* ---- the commands ---- */

static enum ctl_exit documents_send(struct ctl *ctl, const struct documents *all, bool is_dry) {
    char actor[ACTOR_BYTES];
    actor_format(actor, sizeof actor);
    Fst__ApplyRequest apply = FST__APPLY_REQUEST__INIT;
    apply.n_documents = all->count;
    apply.documents = all->pointers;
    apply.dry_run = is_dry;
    apply.actor = actor;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_APPLY;
    request.apply = &apply;
    Fst__ControlReply *reply = ctl_call(ctl, &request, true, FST__CONTROL_REPLY__OPERATION_APPLY);
    if (!reply) return ctl->exit;
    bool is_refused = reply->apply->refused || reply->apply->n_problems > 0;
    if (ctl->is_json)
        reply_json(ctl->out, reply->apply, is_dry);
    else
        reply_print(ctl, reply->apply, is_dry);
    fst__control_reply__free_unpacked(reply, NULL);
    return is_refused ? CTL_REFUSED : CTL_DONE;
}

static enum ctl_exit definitions_run(struct ctl *ctl, bool is_dry) {
    struct documents all = {0};
    struct fst_error error = {0};
    if (!ctl_option(ctl, "file")) return ctl_misuse(ctl, "expected -f PATH");
    enum fst_status status = documents_read(ctl, &all, &error);
    enum ctl_exit done = status == FST_OK ? documents_send(ctl, &all, is_dry)
                                          : ctl_fail(ctl, status, "%s", error.text);
    documents_deinit(&all);
    return done;
}

enum ctl_exit ctl_plan(struct ctl *ctl) {
    return definitions_run(ctl, true);
}

enum ctl_exit ctl_apply(struct ctl *ctl) {
    return definitions_run(ctl, false);
}
