/* LD_PRELOAD: fsync and fdatasync answer EIO for files whose path holds EIO_MATCH, as often as stands in EIO_FILE.
 * EIO_FILE (16 bytes): int64 how many are left to fail, int64 how many have failed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int64_t *book;
static const char *match;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("EIO_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    match = getenv("EIO_MATCH");
    if (mapped != MAP_FAILED && match != NULL)
        book = mapped;
}

static int fails(int fd)
{
    char link[64], path[4096];
    ssize_t length;

    if (book == NULL || __atomic_load_n(&book[0], __ATOMIC_SEQ_CST) <= 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if ((length = readlink(link, path, sizeof path - 1)) < 0)
        return 0;
    path[length] = 0;
    if (strstr(path, match) == NULL || __atomic_fetch_sub(&book[0], 1, __ATOMIC_SEQ_CST) <= 0)
        return 0;
    __atomic_fetch_add(&book[1], 1, __ATOMIC_SEQ_CST);
    errno = EIO;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd)
{
    return fails(fd) ? -1 : NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    return fails(fd) ? -1 : NEXT(fdatasync)(fd);
}
