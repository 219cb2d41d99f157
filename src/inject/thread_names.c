/* SPDX-License-Identifier: MIT */
#include "inject/thread_names.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define NAMES_MAX 1024u
#define NAME_BYTES 64
#define COMM_BYTES 16

struct thread_name {
    uint32_t tid; /* 0: nobody's */
    char name[NAME_BYTES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct thread_name names[NAMES_MAX];
static uint32_t n_names; /* places in use, and those that were */
static uint32_t version = 1;

static struct thread_name *find(uint32_t tid)
{
    for (uint32_t i = 0; i < n_names; i++) {
        if (names[i].tid == tid) {
            return &names[i];
        }
    }
    return NULL;
}

void thread_names_set(uint32_t tid, const char *name)
{
    if (tid == 0) {
        return;
    }
    pthread_mutex_lock(&lock);
    struct thread_name *place = find(tid);
    bool is_change = name[0] != '\0' || place;
    if (name[0] == '\0') {
        if (place) {
            place->tid = 0;
        }
    } else {
        place = place ? place : find(0);
        if (!place && n_names < NAMES_MAX) {
            place = &names[n_names++];
        }
        if (place) {
            place->tid = tid;
            snprintf(place->name, sizeof(place->name), "%s", name);
        }
    }
    pthread_mutex_unlock(&lock);
    if (is_change) {
        __atomic_add_fetch(&version, 1, __ATOMIC_RELEASE);
    }
}

/* Under the lock. */
static bool is_given_twice(const struct thread_name *name)
{
    for (uint32_t i = 0; i < n_names; i++) {
        if (names[i].tid != 0 && &names[i] != name && strcmp(names[i].name, name->name) == 0) {
            return true;
        }
    }
    return false;
}

/* Threads that nobody named inherit the name of the program, cut. */
static bool is_program_name(const char *comm)
{
    return strncmp(comm, program_invocation_short_name, COMM_BYTES - 1) == 0;
}

bool thread_names_label(uint32_t tid, char ret_label[static THREAD_LABEL_BYTES])
{
    pthread_mutex_lock(&lock);
    const struct thread_name *name = find(tid);
    bool is_alone = name && !is_given_twice(name);
    if (is_alone) {
        snprintf(ret_label, THREAD_LABEL_BYTES, "%s", name->name);
    } else if (name) {
        snprintf(ret_label, THREAD_LABEL_BYTES, "%s (%u)", name->name, tid);
    }
    pthread_mutex_unlock(&lock);
    if (name) {
        return is_alone;
    }
    char comm[COMM_BYTES] = "";
    if (pthread_getname_np(pthread_self(), comm, sizeof(comm)) == 0 && comm[0] != '\0' &&
        !is_program_name(comm)) {
        snprintf(ret_label, THREAD_LABEL_BYTES, "%s (%u)", comm, tid);
    } else {
        snprintf(ret_label, THREAD_LABEL_BYTES, "thread %u", tid);
    }
    return false;
}

uint32_t thread_names_version(void)
{
    return __atomic_load_n(&version, __ATOMIC_ACQUIRE);
}

void thread_names_forked(uint32_t old_tid, uint32_t tid)
{
    /* Another thread may have held it in the parent. */
    pthread_mutex_init(&lock, NULL);
    for (uint32_t i = 0; i < n_names; i++) {
        names[i].tid = names[i].tid == old_tid && old_tid != 0 ? tid : 0;
    }
    version++;
}
