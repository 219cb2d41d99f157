/* SPDX-License-Identifier: MIT */
#include "disasm/kernel_memory.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

static int fail(struct error *reterr_error, int r, const char *path)
{
    const char *why = strerror(-r);
    if (r == -ENOENT) {
        why = "this kernel was built without it";
    } else if (r == -EACCES || r == -EPERM) {
        why = "only root may read it";
    }
    error_set(reterr_error, "no_code", "the kernel's code cannot be shown: %s: %s", path, why);
    return r;
}

/* The place of `address` in the file, or a negative errno. */
static int find_place(int fd, uint64_t address, uint64_t *ret_offset, uint64_t *ret_n_bytes)
{
    uint8_t head[sizeof(Elf64_Ehdr)];
    Elf64_Ehdr header;
    if (pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head)) {
        return -EIO;
    }
    memcpy(&header, head, sizeof(header));
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_phentsize != sizeof(Elf64_Phdr)) {
        return -ENOEXEC;
    }
    for (uint32_t i = 0; i < header.e_phnum && i < KERNEL_MEMORY_MAX_SEGMENTS; i++) {
        Elf64_Phdr segment;
        uint64_t offset = header.e_phoff + (uint64_t)i * sizeof(segment);
        if (pread(fd, &segment, sizeof(segment), (off_t)offset) != (ssize_t)sizeof(segment)) {
            return -EIO;
        }
        if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
            address - segment.p_vaddr < segment.p_filesz) {
            *ret_offset = segment.p_offset + (address - segment.p_vaddr);
            *ret_n_bytes = segment.p_filesz - (address - segment.p_vaddr);
            return 0;
        }
    }
    return -EFAULT;
}

ssize_t kernel_memory_read(const char *path, uint64_t address, void *buffer, size_t n_bytes,
                           struct error *reterr_error)
{
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return fail(reterr_error, -errno, path);
    }
    uint64_t offset, n_there;
    int r = find_place(fd, address, &offset, &n_there);
    if (r < 0) {
        return fail(reterr_error, r, path);
    }
    ssize_t n_read = pread(fd, buffer, n_bytes < n_there ? n_bytes : n_there, (off_t)offset);
    return n_read < 0 ? fail(reterr_error, -errno, path) : n_read;
}
