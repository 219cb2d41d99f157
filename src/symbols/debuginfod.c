/* SPDX-License-Identifier: MIT */
/*
 * The library can be left only through its progress callback, which it calls
 * about once a second. So the client is owned by two, its user and its thread,
 * and whoever leaves last frees it: a thread that the library does not let go
 * is left behind, touching nothing that is not its own.
 *
 * Leaving it has a price: the library notes in its cache, as an empty file,
 * that the server does not have what it was asked for, and believes that for
 * ten minutes. Notes of questions that we broke off are deleted.
 */
#include "symbols/debuginfod.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"

#define LIBRARY "libdebuginfod.so.1"
#define URL_FOLDER "/etc/debuginfod"
#define MAX_URL_FILE_BYTES (64u * 1024)

struct question {
    struct question *next;
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    size_t build_id_bytes;
    debuginfod_answer_cb on_answer;
    void *userdata;
};

/* The functions of the library that we use; its handles are opaque to us. */
struct library {
    void *(*begin)(void);
    void (*end)(void *session);
    void (*set_progress)(void *session, int (*on_progress)(void *session, long at, long whole));
    void (*set_user_data)(void *session, void *userdata);
    void *(*get_user_data)(void *session);
    int (*find_debuginfo)(void *session, const unsigned char *build_id, int build_id_bytes,
                          char **ret_path);
};

struct debuginfod {
    pthread_mutex_t lock;
    pthread_cond_t has_changed;
    /* Under the lock: */
    unsigned n_owners;
    bool is_stopping;
    bool is_answering; /* the thread is in a callback */
    bool has_ended;    /* the thread */
    struct question *first, **last;
    size_t n_waiting;
    /* The thread's alone: */
    struct library library;
    void *session;
    const char *library_failure;
    uint64_t paused_until_ns;
    const char *pause_reason;
    uint64_t question_start_ns;
    bool was_broken_off;
};

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value && value[strspn(value, " \t\n")] != '\0';
}

static bool is_switched(const char *to)
{
    const char *value = getenv("STAX_DEBUGINFOD");
    return value && strcmp(value, to) == 0;
}

static void add_urls_of(const char *name, struct text *urls)
{
    char path[sizeof(URL_FOLDER) + 1 + 256];
    snprintf(path, sizeof(path), URL_FOLDER "/%s", name);
    _cleanup_(freep) char *text = NULL;
    size_t n_bytes;
    if (fd_read_file(path, MAX_URL_FILE_BYTES, &text, &n_bytes) < 0) {
        return;
    }
    for (char *rest = text, *url; (url = strsep(&rest, " \t\r\n")) != NULL;) {
        if (url[0] != '\0') {
            text_printf(urls, "%s%s", urls->length_bytes > 0 ? " " : "", url);
        }
    }
}

static void read_url_files(void)
{
    DIR *folder = opendir(URL_FOLDER);
    if (!folder) {
        return;
    }
    _cleanup_(text_releasep) struct text urls;
    text_init(&urls, MAX_URL_FILE_BYTES);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        const char *suffix = strrchr(entry->d_name, '.');
        if (suffix && strcmp(suffix, ".urls") == 0) {
            add_urls_of(entry->d_name, &urls);
        }
    }
    closedir(folder);
    if (urls.length_bytes > 0 && !urls.is_cut) {
        (void)setenv("DEBUGINFOD_URLS", urls.data, 1);
    }
}

void debuginfod_prepare_environment(void)
{
    if (is_switched("1") && !is_set("DEBUGINFOD_URLS")) {
        read_url_files();
    }
    (void)setenv("DEBUGINFOD_TIMEOUT", DEBUGINFOD_SILENCE_S, 0);
    (void)setenv("DEBUGINFOD_RETRY_LIMIT", "0", 0);
    (void)setenv("DEBUGINFOD_MAXSIZE", DEBUGINFOD_MAX_FILE_BYTES, 0);
}

bool debuginfod_is_enabled(void)
{
    return is_set("DEBUGINFOD_URLS") && !is_switched("0");
}

/* A function pointer out of the pointer that dlsym() gives. */
static bool find_function(void *handle, const char *name, void *ret_function)
{
    void *address = dlsym(handle, name);
    memcpy(ret_function, &address, sizeof(address));
    return address != NULL;
}

/* The library stays loaded: what it brings along (curl, TLS) does not like to be unloaded. */
static bool load_library(struct library *library)
{
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    return handle && find_function(handle, "debuginfod_begin", &library->begin) &&
           find_function(handle, "debuginfod_end", &library->end) &&
           find_function(handle, "debuginfod_set_progressfn", &library->set_progress) &&
           find_function(handle, "debuginfod_set_user_data", &library->set_user_data) &&
           find_function(handle, "debuginfod_get_user_data", &library->get_user_data) &&
           find_function(handle, "debuginfod_find_debuginfo", &library->find_debuginfo);
}

static struct library *progress_library; /* set once, by the first thread that has loaded it */

static int on_progress(void *session, long at, long whole)
{
    (void)at;
    (void)whole;
    struct debuginfod *client = progress_library->get_user_data(session);
    pthread_mutex_lock(&client->lock);
    bool is_stopping = client->is_stopping;
    pthread_mutex_unlock(&client->lock);
    uint64_t taken_ns = clock_now_ns() - client->question_start_ns;
    if (is_stopping || taken_ns > DEBUGINFOD_MAX_DOWNLOAD_S * NS_PER_S) {
        client->was_broken_off = true;
        return 1;
    }
    return 0;
}

static bool open_session(struct debuginfod *client)
{
    if (client->session || client->library_failure) {
        return client->session != NULL;
    }
    static struct library library;
    static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&library_lock);
    if (!progress_library && load_library(&library)) {
        progress_library = &library;
    }
    struct library *loaded = progress_library;
    pthread_mutex_unlock(&library_lock);
    if (!loaded) {
        client->library_failure = LIBRARY " cannot be loaded";
        return false;
    }
    client->library = *loaded;
    client->session = client->library.begin();
    if (!client->session) {
        client->library_failure = LIBRARY " cannot be used";
        return false;
    }
    client->library.set_user_data(client->session, client);
    client->library.set_progress(client->session, on_progress);
    return true;
}

/* Where the library keeps its files, as debuginfod_find_debuginfo(3) tells. */
static bool write_cache_folder(struct text *path)
{
    const char *folder = getenv("DEBUGINFOD_CACHE_PATH");
    if (folder && folder[0] != '\0') {
        text_append(path, folder);
        return true;
    }
    const char *home = getenv("HOME");
    const char *cache = getenv("XDG_CACHE_HOME");
    if (home) {
        text_printf(path, "%s/.debuginfod_client_cache", home);
        if (access(path->data, F_OK) == 0) {
            return true;
        }
        text_clear(path);
    }
    if (cache && cache[0] != '\0') {
        text_printf(path, "%s/debuginfod_client", cache);
    } else if (home) {
        text_printf(path, "%s/.cache/debuginfod_client", home);
    }
    return path->length_bytes > 0;
}

/* Where the answer to a question is kept; false where that cannot be told. */
static bool write_cached_path(const struct question *question, struct text *path)
{
    if (!write_cache_folder(path)) {
        return false;
    }
    text_append_char(path, '/');
    for (size_t i = 0; i < question->build_id_bytes; i++) {
        text_printf(path, "%02x", question->build_id[i]);
    }
    text_append(path, "/debuginfo");
    return !path->is_cut;
}

static void forget_note(const struct question *question)
{
    _cleanup_(text_releasep) struct text path;
    text_init(&path, 2 * LIMIT_PATH_BYTES);
    struct stat status;
    if (write_cached_path(question, &path) && lstat(path.data, &status) == 0 &&
        S_ISREG(status.st_mode) && status.st_size == 0) {
        (void)unlink(path.data);
    }
}

/* What was fetched earlier is there even while no server is: a path to free(), or NULL. */
static char *find_cached(const struct question *question)
{
    _cleanup_(text_releasep) struct text path;
    text_init(&path, 2 * LIMIT_PATH_BYTES);
    struct stat status;
    bool is_there = write_cached_path(question, &path) && stat(path.data, &status) == 0 &&
                    S_ISREG(status.st_mode) && status.st_size > 0;
    return is_there ? text_take(&path) : NULL;
}

static const char *describe(int negative_errno)
{
    switch (negative_errno) {
    case -ENOENT:
        return "the server does not have it";
    case -ETIME:
    case -ETIMEDOUT:
    case -EINTR:
        return "the server does not answer";
    case -ECONNREFUSED:
    case -EHOSTUNREACH:
        return "the server cannot be reached";
    case -EFBIG:
        return "the file is larger than DEBUGINFOD_MAXSIZE";
    case -ENOSYS:
        return "DEBUGINFOD_URLS names no server";
    default:
        return "the file cannot be fetched";
    }
}

static bool is_silence(int negative_errno)
{
    return negative_errno == -ETIME || negative_errno == -ETIMEDOUT || negative_errno == -EINTR ||
           negative_errno == -ECONNREFUSED || negative_errno == -EHOSTUNREACH;
}

/* A path to free(), or NULL and the reason. */
static char *fetch(struct debuginfod *client, const struct question *question,
                   const char **ret_failure)
{
    if (!open_session(client)) {
        *ret_failure = client->library_failure;
        return NULL;
    }
    uint64_t now_ns = clock_now_ns();
    if (now_ns < client->paused_until_ns) {
        char *cached = find_cached(question);
        *ret_failure = cached ? NULL : client->pause_reason;
        return cached;
    }
    char *path = NULL;
    client->question_start_ns = now_ns;
    client->was_broken_off = false;
    int r = client->library.find_debuginfo(client->session, question->build_id,
                                           (int)question->build_id_bytes, &path);
    if (r >= 0) {
        (void)close(r);
        return path;
    }
    log_debug("debuginfod: %s after %llu ms", strerror(-r),
              (unsigned long long)((clock_now_ns() - now_ns) / NS_PER_MS));
    if (client->was_broken_off || r != -ENOENT) {
        forget_note(question);
    }
    *ret_failure = describe(client->was_broken_off ? -ETIME : r);
    if (is_silence(r) || client->was_broken_off) {
        client->paused_until_ns = clock_now_ns() + DEBUGINFOD_PAUSE_S * NS_PER_S;
        client->pause_reason = *ret_failure;
    }
    return NULL;
}

static void client_free(struct debuginfod *client)
{
    while (client->first) {
        struct question *question = client->first;
        client->first = question->next;
        free(question);
    }
    pthread_cond_destroy(&client->has_changed);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

/* Takes the lock's owner out of it, and the client away with the last one. */
static void leave(struct debuginfod *client)
{
    bool is_last = --client->n_owners == 0;
    pthread_mutex_unlock(&client->lock);
    if (is_last) {
        client_free(client);
    }
}

/* Under the lock. */
static struct question *take_question(struct debuginfod *client)
{
    struct question *question = client->first;
    client->first = question->next;
    if (!client->first) {
        client->last = &client->first;
    }
    client->n_waiting--;
    return question;
}

/* With the lock, which is released meanwhile. */
static void answer(struct debuginfod *client, const struct question *question)
{
    pthread_mutex_unlock(&client->lock);
    const char *failure = NULL;
    _cleanup_(freep) char *path = fetch(client, question, &failure);
    pthread_mutex_lock(&client->lock);
    if (client->is_stopping) {
        return;
    }
    client->is_answering = true;
    pthread_mutex_unlock(&client->lock);
    question->on_answer(path, failure, question->userdata);
    pthread_mutex_lock(&client->lock);
    client->is_answering = false;
    pthread_cond_broadcast(&client->has_changed);
}

static void *run_client(void *userdata)
{
    struct debuginfod *client = userdata;
    pthread_mutex_lock(&client->lock);
    while (!client->is_stopping) {
        if (!client->first) {
            pthread_cond_wait(&client->has_changed, &client->lock);
            continue;
        }
        struct question *question = take_question(client);
        answer(client, question);
        free(question);
    }
    pthread_mutex_unlock(&client->lock);
    if (client->session) {
        client->library.end(client->session);
    }
    pthread_mutex_lock(&client->lock);
    client->has_ended = true;
    pthread_cond_broadcast(&client->has_changed);
    leave(client);
    return NULL;
}

static int start_thread(struct debuginfod *client)
{
    pthread_t thread;
    pthread_mutex_lock(&client->lock);
    int r = thread_start("debuginfod", run_client, client, &thread);
    if (r == 0) {
        (void)pthread_detach(thread);
    }
    pthread_mutex_unlock(&client->lock);
    return r;
}

int debuginfod_new(struct debuginfod **ret_client)
{
    struct debuginfod *client = calloc(1, sizeof(*client));
    if (!client) {
        return -ENOMEM;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&client->lock, NULL);
    pthread_cond_init(&client->has_changed, &attributes);
    pthread_condattr_destroy(&attributes);
    client->last = &client->first;
    client->n_owners = 2;
    int r = start_thread(client);
    if (r < 0) {
        client_free(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

struct debuginfod *debuginfod_free(struct debuginfod *client)
{
    if (!client) {
        return NULL;
    }
    uint64_t until_ns = clock_now_ns() + DEBUGINFOD_GOODBYE_MS * NS_PER_MS;
    struct timespec until = {
        .tv_sec = (time_t)(until_ns / NS_PER_S),
        .tv_nsec = (long)(until_ns % NS_PER_S),
    };
    pthread_mutex_lock(&client->lock);
    client->is_stopping = true;
    pthread_cond_broadcast(&client->has_changed);
    int r = 0;
    while (!client->has_ended && (r == 0 || client->is_answering)) {
        /* A callback uses what the caller is about to free; it is work of our own, which ends. */
        r = client->is_answering
                ? pthread_cond_wait(&client->has_changed, &client->lock)
                : pthread_cond_timedwait(&client->has_changed, &client->lock, &until);
    }
    leave(client);
    return NULL;
}

int debuginfod_ask(struct debuginfod *client, const uint8_t *build_id, size_t build_id_bytes,
                   debuginfod_answer_cb on_answer, void *userdata)
{
    if (build_id_bytes < 2 || build_id_bytes > LIMIT_BUILD_ID_BYTES) {
        return -EINVAL;
    }
    struct question *question = calloc(1, sizeof(*question));
    if (!question) {
        return -ENOMEM;
    }
    memcpy(question->build_id, build_id, build_id_bytes);
    question->build_id_bytes = build_id_bytes;
    question->on_answer = on_answer;
    question->userdata = userdata;
    pthread_mutex_lock(&client->lock);
    bool has_room = client->n_waiting < DEBUGINFOD_MAX_WAITING && !client->is_stopping;
    if (has_room) {
        *client->last = question;
        client->last = &question->next;
        client->n_waiting++;
        pthread_cond_broadcast(&client->has_changed);
    }
    pthread_mutex_unlock(&client->lock);
    if (!has_room) {
        free(question);
    }
    return has_room ? 0 : -ENOSPC;
}
