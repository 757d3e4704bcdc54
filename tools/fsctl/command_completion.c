/* Completion: the shell asks this program, which knows its commands, options and what is
 *             defined. */
#include <stdlib.h>
#include <string.h>

#include "tools/fsctl/remote.h"

enum { OPTION_BYTES = 64 };

static const int64_t ask_us = 300000;

static const char bash_script[] =
    "# bash completion of fsctl. 'fsctl words' answers with the words that may stand at the "
    "cursor.\n"
    "# The line is cut at blanks only: $COMP_WORDS has it cut at ':' and '=', too.\n"
    "_fsctl() {\n"
    "    local line=${COMP_LINE:0:COMP_POINT} words IFS=$'\\n'\n"
    "    IFS=$' \\t' read -ra words <<<\"$line\"\n"
    "    [[ $line != *[[:blank:]] ]] || words+=(\"\")\n"
    "    COMPREPLY=($(fsctl words $((${#words[@]} - 1)) \"${words[@]}\" 2>/dev/null))\n"
    "}\n"
    "complete -o default -F _fsctl fsctl\n";

enum ctl_exit ctl_completion(struct ctl *ctl) {
    if (strcmp(ctl->words[0], "bash") != 0) {
        return ctl_misuse(ctl, "expected bash, found '%s'", ctl->words[0]);
    }
    fputs(bash_script, ctl->out);
    return CTL_DONE;
}

static void word_offer(struct ctl *ctl, const char *word, size_t bytes, const char *prefix) {
    size_t prefix_bytes = strlen(prefix);
    if (prefix_bytes > bytes || memcmp(word, prefix, prefix_bytes) != 0) return;
    fprintf(ctl->out, "%.*s\n", (int)bytes, word);
}

static void options_offer(struct ctl *ctl, const struct ctl_option *options, const char *prefix) {
    for (; options->name; options++) {
        char word[64];
        snprintf(word, sizeof word, "--%s", options->name);
        word_offer(ctl, word, strlen(word), prefix);
    }
}

/* Whether a name means something without its namespace. */
static bool is_one_space(const Fst__ListReply *list) {
    size_t bytes = list->n_items > 0 ? strcspn(list->items[0]->name, ".") + 1 : 0;
    for (size_t i = 1; i < list->n_items; i++) {
        if (strncmp(list->items[i]->name, list->items[0]->name, bytes) != 0) return false;
    }
    return true;
}

/* Names of what is defined, of one kind or all (""); nothing if the server is not there at once. */
static void names_offer(struct ctl *ctl, const char *kind, const char *prefix) {
    FILE *err = ctl->err;
    Fst__ListRequest list = FST__LIST_REQUEST__INIT;
    Fst__ControlRequest request = FST__CONTROL_REQUEST__INIT;
    request.operation_case = FST__CONTROL_REQUEST__OPERATION_LIST;
    request.list = &list;
    ctl->timeout_us = ask_us;
    ctl->err = fopen("/dev/null", "we");
    if (!ctl->err) ctl->err = err;
    Fst__ControlReply *reply = ctl_call(ctl, &request, true, FST__CONTROL_REPLY__OPERATION_LIST);
    bool is_bare = reply && is_one_space(reply->list);
    for (size_t i = 0; reply && i < reply->list->n_items; i++) {
        const char *name = reply->list->items[i]->name;
        const char *point = strchr(name, '.');
        if (kind[0] && strcmp(reply->list->items[i]->kind, kind) != 0) continue;
        word_offer(ctl, name, strlen(name), prefix);
        if (point && is_bare) word_offer(ctl, point + 1, strlen(point + 1), prefix);
    }
    if (reply) fst__control_reply__free_unpacked(reply, NULL);
    if (ctl->err != err) fclose(ctl->err);
    ctl->err = err;
}

/* The first word of every command, or the second of those that begin with `first`. */
static void commands_offer(struct ctl *ctl, const char *first, const char *prefix) {
    const char *last = "";
    size_t first_bytes = first ? strlen(first) : 0;
    for (uint32_t i = 0; i < ctl_commands_count; i++) {
        const char *name = ctl_commands[i].name;
        size_t bytes = strcspn(name, " ");
        if (!ctl_commands[i].summary) continue;
        bool is_same = strcspn(last, " ") == bytes && memcmp(last, name, bytes) == 0;
        if (!first && !is_same) {
            word_offer(ctl, name, bytes, prefix);
            last = name;
        }
        bool is_group = first && name[bytes] && bytes == first_bytes && !memcmp(name, first, bytes);
        if (is_group) word_offer(ctl, name + bytes + 1, strlen(name + bytes + 1), prefix);
    }
}

static const struct ctl_command *command_of(char *const *words, uint32_t count) {
    for (uint32_t w = 1; w < count; w++) {
        for (uint32_t i = 0; i < ctl_commands_count; i++) {
            char name[64];
            bool is_pair = strchr(ctl_commands[i].name, ' ') != NULL;
            snprintf(name, sizeof name, is_pair ? "%.30s %.30s" : "%.30s", words[w],
                     w + 1 < count ? words[w + 1] : "");
            if (strcmp(name, ctl_commands[i].name) == 0) return &ctl_commands[i];
        }
    }
    return NULL;
}

/* What may stand as a word of this command, or as the value of the option before. */
static void arguments_offer(struct ctl *ctl, const struct ctl_command *command,
                            const char *previous, const char *prefix) {
    static const char *const words[][4] = {{"entities", "views", "services", NULL},
                                           {"bash", NULL},
                                           {"durable", "memory", NULL},
                                           {"read", "write", "admin", NULL},
                                           {"log", "meta", NULL}};
    const char *const *offered = NULL;
    if (strcmp(previous, "--service") == 0) {
        names_offer(ctl, "service", prefix);
    } else if (strcmp(previous, "--view") == 0 || command->run == ctl_put ||
               (command->run == ctl_delete && strcmp(previous, "delete") == 0)) {
        names_offer(ctl, "view", prefix);
    } else if (command->run == ctl_describe) {
        names_offer(ctl, "", prefix);
    } else if (command->run == ctl_list) {
        offered = words[0];
    } else if (command->run == ctl_completion) {
        offered = words[1];
    } else if (strcmp(previous, "--ack") == 0) {
        offered = words[2];
    } else if (strcmp(previous, "--role") == 0) {
        offered = words[3];
    } else if (command->run == ctl_dump && strcmp(previous, "dump") != 0) {
        offered = words[4];
    }
    for (; offered && *offered; offered++) word_offer(ctl, *offered, strlen(*offered), prefix);
}

static const struct ctl_option *global_find(const char *word) {
    const struct ctl_option *option = ctl_global_options;
    for (; option->name; option++) {
        bool is_long = strncmp(word, "--", 2) == 0 && strcmp(word + 2, option->name) == 0;
        bool is_short = option->letter && word[0] == '-' && word[1] == option->letter && !word[2];
        if (is_long || is_short) return option;
    }
    return NULL;
}

/* The first word of a command, behind global options and "help"; NULL if there is none. */
static const char *first_word(char *const *words, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        const struct ctl_option *option = words[i][0] == '-' ? global_find(words[i]) : NULL;
        bool is_plain = words[i][0] != '-' && strcmp(words[i], "help") != 0;
        if (is_plain) return words[i];
        if (option && option->form) i += 1;
    }
    return NULL;
}

/* A server and a key that stand on the line already are the ones to ask. */
static void globals_take(struct ctl *ctl, char *const *words, uint32_t count) {
    for (uint32_t i = 1; i + 1 < count; i++) {
        if (strcmp(words[i], "--server") == 0 || strcmp(words[i], "-s") == 0) {
            ctl->server = words[i + 1];
        } else if (strcmp(words[i], "--key") == 0 || strcmp(words[i], "-k") == 0) {
            snprintf(ctl->key, sizeof ctl->key, "%s", words[i + 1]);
        }
    }
}

/* "--option=value" is an option and its value: bash replaces what is behind the '='. */
static const char *value_split(const char *prefix, const char *previous, char option[OPTION_BYTES],
                               const char **previous_out) {
    const char *equals = strncmp(prefix, "--", 2) == 0 ? strchr(prefix, '=') : NULL;
    *previous_out = previous;
    if (!equals || equals - prefix >= OPTION_BYTES) return prefix;
    snprintf(option, OPTION_BYTES, "%.*s", (int)(equals - prefix), prefix);
    *previous_out = option;
    return equals + 1;
}

enum ctl_exit ctl_words(struct ctl *ctl) {
    static const char *const colors[] = {"auto", "always", "never"};
    uint32_t index = (uint32_t)strtoul(ctl->words[0], NULL, 10);
    char *const *words = &ctl->words[1];
    uint32_t count = ctl->words_count - 1;
    if (index == 0 || index > count) return CTL_USAGE;
    char option[OPTION_BYTES];
    const char *previous;
    const char *prefix = index < count ? words[index] : "";
    prefix = value_split(prefix, words[index - 1], option, &previous);
    const struct ctl_option *global = global_find(previous);
    const struct ctl_command *command = command_of(words, index);
    globals_take(ctl, words, count);
    if (global && global->form) {
        bool is_color = strcmp(global->name, "color") == 0;
        for (uint32_t i = 0; is_color && i < 3; i++) {
            word_offer(ctl, colors[i], strlen(colors[i]), prefix);
        }
    } else if (prefix[0] == '-') {
        options_offer(ctl, ctl_global_options, prefix);
        if (command) options_offer(ctl, command->options, prefix);
    } else if (command) {
        arguments_offer(ctl, command, previous, prefix);
    } else {
        commands_offer(ctl, first_word(words, index), prefix);
    }
    return CTL_DONE;
}
