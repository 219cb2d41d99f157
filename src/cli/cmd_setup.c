/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/setup_check_linux.h"
#include "cli/setup_files_linux.h"
#include "cli/setup_run_linux.h"
#include "cli/setup_texts.h"

#define DAEMON_PATH "/usr/local/libexec/stax/staxd"
#define SOCKET_UNIT_PATH "/etc/systemd/system/staxd.socket"
#define SERVICE_UNIT_PATH "/etc/systemd/system/staxd.service"
#define SYSUSERS_PATH "/etc/sysusers.d/stax.conf"
#define SOCKET_PATH "/run/staxd.sock"
#define DEFAULT_GROUP "stax"

struct setup_options {
    bool yes, uninstall, user, is_open;
    const char *group, *root;
};

static const struct option_spec specs[] = {
    {.name = "yes",
     .letter = 'y',
     .kind = OPTION_FLAG,
     .summary = "do it without asking",
     .offset = offsetof(struct setup_options, yes)},
    {.name = "uninstall",
     .kind = OPTION_FLAG,
     .summary = "remove all that setup has installed",
     .offset = offsetof(struct setup_options, uninstall)},
    {.name = "group",
     .kind = OPTION_TEXT,
     .value_name = "GROUP",
     .summary = "who may ask staxd: members of this group; default: stax, which is made",
     .offset = offsetof(struct setup_options, group)},
    {.name = "open",
     .kind = OPTION_FLAG,
     .summary = "every user may ask staxd",
     .offset = offsetof(struct setup_options, is_open)},
    {.name = "user",
     .kind = OPTION_FLAG,
     .summary = "install stax-server as a service of yours instead; needs no root",
     .offset = offsetof(struct setup_options, user)},
    {.name = "root",
     .kind = OPTION_TEXT,
     .value_name = "DIR",
     .summary = "write below DIR and start nothing, as packagers do",
     .offset = offsetof(struct setup_options, root)},
};

static const char *group_of(const struct setup_options *options)
{
    return options->is_open ? "root" : options->group ? options->group : DEFAULT_GROUP;
}

static bool has_systemd(const struct setup_options *options)
{
    return !options->root && access("/run/systemd/system", F_OK) == 0;
}

/* The plan, in the words of what is done below. */
static void print_plan(const struct setup_options *options, struct text *text)
{
    const char *root = options->root ? options->root : "";
    text_printf(text, options->uninstall ? "stax setup --uninstall stops staxd and removes:\n"
                                         : "stax setup installs:\n");
    text_printf(text, "  %s" DAEMON_PATH "\n", root);
    text_printf(text, "  %s" SOCKET_UNIT_PATH "\n  %s" SERVICE_UNIT_PATH "\n", root, root);
    text_printf(text, "  %s" SYSUSERS_PATH "\n", root);
    if (!options->root) {
        text_printf(text, "  the system user staxd%s\n",
                    strcmp(group_of(options), DEFAULT_GROUP) == 0 ? " and the group stax" : "");
    }
    if (!options->uninstall) {
        text_printf(text,
                    "and lets %s%s ask it, at " SOCKET_PATH ",\nto open events of their own "
                    "processes, kernel stacks included.\n",
                    options->is_open ? "every user" : "members of ",
                    options->is_open ? "" : group_of(options));
    }
}

static int put_text(const struct setup_options *options, const char *path, const char *text,
                    struct error *reterr_error)
{
    const struct setup_content content = {.text = text, .n_bytes = strlen(text), .fd = -1};
    return setup_files_put(options->root, path, &content, 0644, reterr_error);
}

/* The unit as packaged, with the socket's group and mode as they were asked for. */
static int put_socket_unit(const struct setup_options *options, struct error *reterr_error)
{
    static const char packaged[] = "SocketGroup=stax\nSocketMode=0660\n";
    _cleanup_(text_releasep) struct text text;
    const char *at = strstr(SETUP_STAXD_SOCKET, packaged);
    text_init(&text, 8192);
    text_printf(&text, "%.*sSocketGroup=%s\nSocketMode=%s\n%s", (int)(at - SETUP_STAXD_SOCKET),
                SETUP_STAXD_SOCKET, group_of(options), options->is_open ? "0666" : "0660",
                at + sizeof(packaged) - 1);
    return put_text(options, SOCKET_UNIT_PATH, text.data, reterr_error);
}

static int put_daemon(const struct setup_options *options, struct error *reterr_error)
{
    _cleanup_(fd_closep) int fd = setup_run_find("staxd", "../libexec/stax/staxd");
    if (fd < 0) {
        error_set(reterr_error, "no_daemon", "staxd is neither beside stax nor in ../libexec/stax");
        error_hint(reterr_error, "build it with `./dev build`, and run setup of that build");
        return fd;
    }
    const struct setup_content content = {.fd = fd};
    return setup_files_put(options->root, DAEMON_PATH, &content, 0755, reterr_error);
}

/* As systemd would from the file in sysusers.d. */
static int make_accounts(const struct setup_options *options, struct error *reterr_error)
{
    if (setup_run((const char *const[]){"systemd-sysusers", SYSUSERS_PATH, NULL}) == 0) {
        return 0;
    }
    (void)setup_run((const char *const[]){"groupadd", "--system", "--force", "stax", NULL});
    (void)setup_run((const char *const[]){"useradd", "--system", "--no-create-home", "--shell",
                                          "/usr/sbin/nologin", "staxd", NULL});
    if (!getgrnam(group_of(options))) {
        error_set(reterr_error, "no_group", "there is no group %s, and it could not be made",
                  group_of(options));
        error_hint(reterr_error, "make it: `groupadd --system %s`", group_of(options));
        return -ENOENT;
    }
    return 0;
}

static int start(const struct setup_options *options, struct text *report,
                 struct error *reterr_error)
{
    if (options->root) {
        return 0;
    }
    int r = make_accounts(options, reterr_error);
    if (r != 0) {
        return r;
    }
    if (!has_systemd(options)) {
        text_printf(report,
                    "systemd is not at work here, so staxd was not started; to start it by hand, "
                    "as root:\n  " DAEMON_PATH "%s%s &\n",
                    options->is_open ? "" : " --socket-group ",
                    options->is_open ? "" : group_of(options));
        return 0;
    }
    /* A service of an older version ends; the socket starts the new one. */
    if (setup_run((const char *const[]){"systemctl", "daemon-reload", NULL}) != 0 ||
        setup_run((const char *const[]){"systemctl", "stop", "staxd.service", NULL}) < 0 ||
        setup_run((const char *const[]){"systemctl", "enable", "staxd.socket", NULL}) != 0 ||
        setup_run((const char *const[]){"systemctl", "restart", "staxd.socket", NULL}) != 0) {
        error_set(reterr_error, "no_service", "systemd did not start staxd.socket");
        error_hint(reterr_error, "`systemctl status staxd.socket` says why");
        return -EIO;
    }
    r = setup_check(SOCKET_PATH, reterr_error);
    if (r == 0) {
        text_append(report, "staxd is installed, and opened an event for an ordinary user\n");
        if (!options->is_open) {
            text_printf(report, "next: sudo usermod -aG %s YOU, log in again, then stax record\n",
                        group_of(options));
        }
    }
    return r;
}

static int install(const struct setup_options *options, struct text *report,
                   struct error *reterr_error)
{
    if (options->group && strcmp(options->group, DEFAULT_GROUP) != 0 && !getgrnam(options->group)) {
        error_set(reterr_error, "no_group", "there is no group %s", options->group);
        error_hint(reterr_error, "make it: `groupadd --system %s`", options->group);
        return -ENOENT;
    }
    int r = put_daemon(options, reterr_error);
    r = r != 0 ? r : put_text(options, SERVICE_UNIT_PATH, SETUP_STAXD_SERVICE, reterr_error);
    r = r != 0 ? r : put_socket_unit(options, reterr_error);
    r = r != 0 ? r : put_text(options, SYSUSERS_PATH, SETUP_SYSUSERS, reterr_error);
    return r != 0 ? r : start(options, report, reterr_error);
}

static int uninstall(const struct setup_options *options, struct text *report,
                     struct error *reterr_error)
{
    static const char *const paths[] = {SOCKET_UNIT_PATH, SERVICE_UNIT_PATH, SYSUSERS_PATH,
                                        DAEMON_PATH};
    if (has_systemd(options)) {
        (void)setup_run((const char *const[]){"systemctl", "disable", "--now", "staxd.socket",
                                              "staxd.service", NULL});
    }
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        int r = setup_files_remove(options->root, paths[i], reterr_error);
        if (r != 0) {
            return r;
        }
    }
    if (has_systemd(options)) {
        (void)setup_run((const char *const[]){"systemctl", "daemon-reload", NULL});
    }
    if (!options->root) {
        (void)setup_run((const char *const[]){"userdel", "staxd", NULL});
        (void)setup_run((const char *const[]){"groupdel", "staxd", NULL});
        (void)setup_run((const char *const[]){"groupdel", "stax", NULL});
    }
    text_append(report, "staxd is removed\n");
    return 0;
}

/* A service of the user's own manager, which keeps no privilege. */
static int set_up_user(const struct setup_options *options, struct text *report,
                       struct error *reterr_error)
{
    char server[PATH_MAX];
    _cleanup_(text_releasep) struct text unit;
    text_init(&unit, 8192);
    /* What leads to one's own folder is one's own affair. */
    const char *config = getenv("XDG_CONFIG_HOME"), *folder = config ? config : getenv("HOME");
    const char *path =
        config ? "systemd/user/stax-server.service" : ".config/systemd/user/stax-server.service";
    if (!folder) {
        error_set(reterr_error, "no_home", "HOME is not set");
        return -ENOENT;
    }
    if (options->uninstall) {
        (void)setup_run((const char *const[]){"systemctl", "--user", "disable", "--now",
                                              "stax-server.service", NULL});
        int r = setup_files_remove(folder, path, reterr_error);
        text_append(report, r == 0 ? "stax-server is no service any more\n" : "");
        return r;
    }
    int r = setup_run_path("stax-server", server, sizeof(server));
    if (r != 0) {
        error_set_errno(reterr_error, r, "finding stax-server");
        return r;
    }
    text_printf(&unit,
                "[Unit]\nDescription=stax-server\n\n[Service]\nExecStart=%s\n\n[Install]\n"
                "WantedBy=default.target\n",
                server);
    const struct setup_content content = {
        .text = unit.data, .n_bytes = unit.length_bytes, .fd = -1};
    r = setup_files_put(folder, path, &content, 0644, reterr_error);
    if (r != 0) {
        return r;
    }
    bool is_started =
        setup_run((const char *const[]){"systemctl", "--user", "daemon-reload", NULL}) == 0 &&
        setup_run((const char *const[]){"systemctl", "--user", "enable", "--now",
                                        "stax-server.service", NULL}) == 0;
    text_printf(report, "%s/%s is installed%s\n", folder, path,
                is_started ? ", and stax-server runs"
                           : "; no systemd of yours answered, so it was not started");
    return 0;
}

static bool is_agreed(void)
{
    char answer[16];
    (void)fputs("go on? [y/N] ", stdout);
    (void)fflush(stdout);
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int run_setup(const struct invocation *invocation)
{
    const struct setup_options *options = invocation->values;
    _cleanup_(text_releasep) struct text text;
    struct error error = {0};
    text_init(&text, 16384);
    if (options->group && options->is_open) {
        return complain_usage(invocation->command, "--group and --open exclude each other");
    }
    if (options->group && options->group[strcspn(options->group, "\n\r%")] != '\0') {
        return complain_usage(invocation->command, "--group: that is no name of a group");
    }
    if (!options->user) {
        print_plan(options, &text);
        bool may = options->root || geteuid() == 0;
        bool asks = !options->yes && isatty(STDIN_FILENO);
        if (!may || (!options->yes && !asks)) {
            (void)ask_print(&text);
            complain(may ? "nothing was done: pass --yes" : "nothing was done: run it with sudo");
            return EXIT_CODE_FAILED;
        }
        if (asks) {
            (void)ask_print(&text);
            if (!is_agreed()) {
                complain("nothing was done");
                return EXIT_CODE_FAILED;
            }
        }
        text_clear(&text);
    }
    int r = options->user        ? set_up_user(options, &text, &error)
            : options->uninstall ? uninstall(options, &text, &error)
                                 : install(options, &text, &error);
    if (r != 0) {
        if (!error_is_set(&error)) {
            error_set_errno(&error, r, "setting up");
        }
        complain_error(&error);
        return EXIT_CODE_FAILED;
    }
    return ask_print(&text);
}

const struct command command_setup = {
    .name = "setup",
    .summary = "install staxd, which lets users record where the host forbids it",
    .description =
        "Installs the broker staxd: a small service that opens events for users who may\n"
        "observe a process, and for nobody else. Recordings use it by themselves where the host\n"
        "does not let them open what they want (perf_event_paranoid). Without root it says what\n"
        "it would do.",
    .options =
        {
            .groups = {{.title = "Options", OPTION_SPECS(specs)}},
            .values_bytes = sizeof(struct setup_options),
        },
    .examples = "  sudo stax setup                # asks first; -y does not\n"
                "  sudo stax setup --uninstall\n"
                "  stax setup --user              # stax-server as a service of yours\n",
    .run = run_setup,
};
