/* SPDX-License-Identifier: MIT */
#include "server/object_names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash_table.h"
#include "server/data_place.h"

#define TCP_LISTEN 0x0a

struct object_name {
    int64_t pid;
    bool is_address;
    uint64_t value; /* the address, or the descriptor */
    char *link;     /* as /proc/PID/fd has it */
    char *text;
};

struct object_names {
    pthread_mutex_t lock;
    struct hash_table known; /* by pid and descriptor, or address */
    struct object_name items[OBJECT_NAMES_MAX];
    uint32_t n_items;
};

int object_names_new(struct object_names **ret_names)
{
    struct object_names *names = calloc(1, sizeof(*names));
    if (!names) {
        return -ENOMEM;
    }
    pthread_mutex_init(&names->lock, NULL);
    hash_table_init(&names->known);
    *ret_names = names;
    return 0;
}

struct object_names *object_names_free(struct object_names *names)
{
    if (names) {
        for (uint32_t i = 0; i < names->n_items; i++) {
            free(names->items[i].link);
            free(names->items[i].text);
        }
        hash_table_release(&names->known);
        pthread_mutex_destroy(&names->lock);
        free(names);
    }
    return NULL;
}

/* ---- tables of sockets ---- */

/* Words of a line of /proc/net, separated by blanks. NULL: it has fewer. */
static const char *word_of(const char *line, size_t nth)
{
    line += strspn(line, " ");
    for (size_t i = 0; i < nth && *line && *line != '\n'; i++) {
        line += strcspn(line, " \n");
        line += strspn(line, " ");
    }
    return *line && *line != '\n' ? line : NULL;
}

static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end ? end + 1 : NULL;
}

/* "0100007F:1538": words of the address in the order of the machine, then the port. */
static bool write_address(const char *word, char *ret_text, size_t n_bytes)
{
    uint32_t words[4];
    size_t n_words = 0;
    while (n_words < 4 && word[0] != ':' && strnlen(word, 8) == 8) {
        char digits[9];
        memcpy(digits, word, 8);
        digits[8] = '\0';
        char *end;
        words[n_words++] = (uint32_t)strtoul(digits, &end, 16);
        if (*end != '\0') {
            return false;
        }
        word += 8;
    }
    if (word[0] != ':' || (n_words != 1 && n_words != 4)) {
        return false;
    }
    char address[INET6_ADDRSTRLEN];
    unsigned long port = strtoul(word + 1, NULL, 16);
    if (!inet_ntop(n_words == 4 ? AF_INET6 : AF_INET, words, address, sizeof(address))) {
        return false;
    }
    snprintf(ret_text, n_bytes, n_words == 4 ? "[%s]:%lu" : "%s:%lu", address, port);
    return true;
}

const char *object_names_find_inet(const char *table, uint64_t inode, struct arena *arena)
{
    /* sl local_address rem_address st queues timers retransmits uid timeout inode */
    for (const char *line = next_line(table); line && *line; line = next_line(line)) {
        const char *told = word_of(line, 9);
        if (!told || strtoull(told, NULL, 10) != inode) {
            continue;
        }
        bool is_listening = strtoul(word_of(line, 3), NULL, 16) == TCP_LISTEN;
        const char *peer = word_of(line, 2);
        size_t n_address = strcspn(peer, ":");
        bool has_peer = strspn(peer, "0") < n_address;
        char text[INET6_ADDRSTRLEN + 16];
        if (!write_address(has_peer ? peer : word_of(line, 1), text, sizeof(text))) {
            return NULL;
        }
        return arena_printf(arena, "%s%s", text,
                            is_listening ? " (listening)"
                            : has_peer   ? ""
                                         : " (own)");
    }
    return NULL;
}

const char *object_names_find_unix(const char *table, uint64_t inode, struct arena *arena)
{
    /* Num RefCount Protocol Flags Type St Inode Path */
    for (const char *line = next_line(table); line && *line; line = next_line(line)) {
        const char *told = word_of(line, 6);
        if (told && strtoull(told, NULL, 10) == inode) {
            const char *path = word_of(line, 7);
            return path ? arena_strndup(arena, path, strcspn(path, "\n")) : "";
        }
    }
    return NULL;
}

static char *read_table(int64_t pid, const char *name)
{
    char path[64];
    char *text = NULL;
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/net/%s", pid, name);
    return fd_read_file(path, OBJECT_NAMES_TABLE_BYTES, &text, NULL) == 0 ? text : NULL;
}

static const char *name_socket(struct arena *arena, int64_t pid, uint64_t inode)
{
    static const struct {
        const char *file, *word;
    } tables[] = {{"tcp", "tcp"}, {"tcp6", "tcp"}, {"udp", "udp"}, {"udp6", "udp"}};
    _cleanup_(freep) char *sockets = read_table(pid, "unix");
    const char *found = sockets ? object_names_find_unix(sockets, inode, arena) : NULL;
    if (found) {
        return found[0] ? arena_printf(arena, "unix %s", found)
                        : arena_printf(arena, "unix socket:[%" PRIu64 "]", inode);
    }
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        _cleanup_(freep) char *table = read_table(pid, tables[i].file);
        found = table ? object_names_find_inet(table, inode, arena) : NULL;
        if (found) {
            return arena_printf(arena, "%s %s", tables[i].word, found);
        }
    }
    return NULL;
}

/* ---- what was found ---- */

static const char *name_link(struct arena *arena, int64_t pid, const char *link)
{
    uint64_t inode;
    if (sscanf(link, "socket:[%" SCNu64 "]", &inode) == 1) { /* NOLINT(cert-err34-c): digits */
        const char *name = name_socket(arena, pid, inode);
        return name ? name : link;
    }
    return link;
}

static const char *find_kept(struct object_names *names, struct arena *arena, uint64_t key,
                             const char *link)
{
    pthread_mutex_lock(&names->lock);
    uint32_t known = hash_table_find(&names->known, key);
    bool is_same =
        known != HASH_TABLE_NONE && (!link || strcmp(names->items[known].link, link) == 0);
    const char *text = is_same ? arena_strdup(arena, names->items[known].text) : NULL;
    pthread_mutex_unlock(&names->lock);
    return text;
}

static uint64_t key_of(int64_t pid, bool is_address, uint64_t value)
{
    return is_address ? hash_u64(value ^ hash_u64((uint64_t)pid))
                      : (uint64_t)pid << 32 | (uint32_t)value;
}

static void keep(struct object_names *names, const struct object_name_entry *entry,
                 const char *link)
{
    char *own_link = strdup(link), *own_text = strdup(entry->text);
    uint64_t key = key_of(entry->pid, entry->is_address, entry->value);
    pthread_mutex_lock(&names->lock);
    uint32_t at = hash_table_find(&names->known, key);
    if (own_link && own_text && at == HASH_TABLE_NONE && names->n_items < OBJECT_NAMES_MAX &&
        hash_table_add(&names->known, key, names->n_items) == 0) {
        at = names->n_items++;
    }
    if (own_link && own_text && at != HASH_TABLE_NONE) {
        struct object_name *item = &names->items[at];
        char *old_link = item->link, *old_text = item->text;
        *item = (struct object_name){
            .pid = entry->pid,
            .is_address = entry->is_address,
            .value = entry->value,
            .link = own_link,
            .text = own_text,
        };
        own_link = old_link;
        own_text = old_text;
    }
    pthread_mutex_unlock(&names->lock);
    free(own_link);
    free(own_text);
}

const char *object_names_find(struct object_names *names, struct arena *arena, int64_t pid, int fd,
                              bool is_alive)
{
    uint64_t key = key_of(pid, false, (uint32_t)fd);
    char path[64], link[PATH_MAX];
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/fd/%d", pid, fd);
    ssize_t n_bytes = is_alive ? readlink(path, link, sizeof(link) - 1) : -1;
    if (n_bytes <= 0) {
        return find_kept(names, arena, key, NULL);
    }
    link[n_bytes] = '\0';
    const char *text = find_kept(names, arena, key, link);
    if (!text) {
        text = arena_strdup(arena, name_link(arena, pid, link));
        if (text) {
            const struct object_name_entry entry = {
                .pid = pid, .value = (uint32_t)fd, .text = text};
            keep(names, &entry, link);
        }
    }
    return text;
}

/* A variable never moves; a process asks for the same few again and again. */
const char *object_names_find_address(struct object_names *names, struct arena *arena, int64_t pid,
                                      uint64_t address, bool is_alive)
{
    const char *text = find_kept(names, arena, key_of(pid, true, address), NULL);
    if (!text && is_alive) {
        text = data_place_name(arena, pid, address);
        const struct object_name_entry entry = {
            .pid = pid, .is_address = true, .value = address, .text = text ? text : ""};
        keep(names, &entry, "");
    }
    return text && text[0] ? text : NULL;
}

int object_names_list(struct object_names *names, struct arena *arena,
                      struct object_name_entry **ret_entries, size_t *ret_n_entries)
{
    int r = 0;
    pthread_mutex_lock(&names->lock);
    struct object_name_entry *entries = arena_alloc_array(arena, names->n_items, sizeof(*entries));
    size_t n_entries = entries ? names->n_items : 0;
    for (size_t i = 0; i < n_entries && r == 0; i++) {
        const struct object_name *item = &names->items[i];
        entries[i] = (struct object_name_entry){
            .pid = item->pid,
            .is_address = item->is_address,
            .value = item->value,
            .text = arena_strdup(arena, item->text),
        };
        r = entries[i].text ? 0 : -ENOMEM;
    }
    pthread_mutex_unlock(&names->lock);
    *ret_entries = entries;
    *ret_n_entries = n_entries;
    return entries ? r : -ENOMEM;
}

void object_names_add(struct object_names *names, const struct object_name_entry *entry)
{
    keep(names, entry, "");
}
