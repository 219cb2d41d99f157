/* SPDX-License-Identifier: MIT */
#include "symbols/debug_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "symbols/debuginfod.h"

/* One question; kept until the end, since it may never be answered. */
struct question {
    struct question *next;
    struct debug_fetch *fetch;
    struct image_symbols *symbols;
    const struct image *image;
    int image_fd; /* -1 once it is answered */
};

struct debug_fetch {
    const struct debug_directories *directories;
    struct debuginfod *client;
    struct question *questions;
};

int debug_fetch_new(const struct debug_directories *directories, struct debug_fetch **ret_fetch)
{
    *ret_fetch = NULL;
    if (!debuginfod_is_enabled()) {
        return 0;
    }
    struct debug_fetch *fetch = calloc(1, sizeof(*fetch));
    if (!fetch) {
        return -ENOMEM;
    }
    fetch->directories = directories;
    *ret_fetch = fetch;
    return 0;
}

struct debug_fetch *debug_fetch_free(struct debug_fetch *fetch)
{
    if (!fetch) {
        return NULL;
    }
    debuginfod_free(fetch->client);
    while (fetch->questions) {
        struct question *question = fetch->questions;
        fetch->questions = question->next;
        fd_close(question->image_fd);
        free(question);
    }
    free(fetch);
    return NULL;
}

static void apply(const char *path, const char *failure, void *userdata)
{
    struct question *question = userdata;
    if (path) {
        int r = image_symbols_extend(question->symbols, question->image, question->image_fd, path,
                                     question->fetch->directories);
        /*
         * A wrong file would be believed for weeks; without it the next run asks again. The
         * folder is shared with other debuggers: what merely could not be read now is theirs too.
         */
        if (r == -ESTALE) {
            (void)unlink(path);
        }
    } else {
        image_symbols_give_up(question->symbols, failure);
    }
    question->image_fd = fd_close(question->image_fd);
}

static struct question *question_new(struct debug_fetch *fetch, const struct image *image,
                                     int image_fd, struct image_symbols *symbols)
{
    struct question *question = calloc(1, sizeof(*question));
    int fd = question ? fcntl(image_fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (fd < 0) {
        free(question);
        return NULL;
    }
    *question = (struct question){
        .next = fetch->questions,
        .fetch = fetch,
        .symbols = symbols,
        .image = image,
        .image_fd = fd,
    };
    fetch->questions = question;
    return question;
}

void debug_fetch_ask(struct debug_fetch *fetch, const struct image *image, int image_fd,
                     struct image_symbols *symbols)
{
    if (!fetch || !symbols->is_stripped || symbols->build_id_bytes == 0 || image_fd < 0) {
        return;
    }
    if (!fetch->client && debuginfod_new(&fetch->client) < 0) {
        return;
    }
    struct question *question = question_new(fetch, image, image_fd, symbols);
    if (!question) {
        return;
    }
    image_symbols_await(symbols);
    int r =
        debuginfod_ask(fetch->client, symbols->build_id, symbols->build_id_bytes, apply, question);
    if (r < 0) {
        question->image_fd = fd_close(question->image_fd);
        image_symbols_give_up(symbols, "too many files are asked for already");
    }
}
