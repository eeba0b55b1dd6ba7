/* A disk that fails, for the process that this is preloaded into: calls that change what lies below a place, counted, and the n-th of them refused.

   Nothing is counted before fail_below() was called. Calls are told apart by a letter each, see calls_below(). */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define MOST 65536

static char place[4096];
static atomic_long seen;
static long first;
static int code, lasting;
static char told[2 * MOST + 1];

/* From now on: of the calls on files whose path contains `below`, the `number`-th fails with `error`, and with `forever` all after it do, too.
   0 for none. */
void fail_below(const char *below, long number, int error, int forever)
{
    seen = 0;
    first = number;
    code = error;
    lasting = forever;
    memset(told, 0, sizeof told);
    strncpy(place, below, sizeof place - 1);
}

/* What was counted: two letters for each call, the last one of the file's name and what was asked for: w(rite), s(ync), t(runcate). */
const char *calls_below(void)
{
    return told;
}

static int refused(int descriptor, char what)
{
    char link[64], path[4096];
    int kept = errno;
    if (!place[0])
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (size <= 0)
        return 0;
    path[size] = 0;
    if (!strstr(path, place))
        return 0;
    long number = atomic_fetch_add(&seen, 1) + 1;
    if (number <= MOST) {
        told[2 * number - 2] = path[size - 1];
        told[2 * number - 1] = what;
    }
    if (first == 0 || (lasting ? number < first : number != first))
        return 0;
    errno = code;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* A disk that is full takes what it has room for: half of it is written all the same. */
static size_t torn(size_t size)
{
    return code == ENOSPC ? size / 2 : 0;
}

#define REFUSE_WRITE(real)                                                                                                                   \
    if (refused(descriptor, 'w')) {                                                                                                          \
        if (torn(size) && (real) < 0)                                                                                                        \
            return -1;                                                                                                                       \
        errno = code;                                                                                                                        \
        return -1;                                                                                                                           \
    }

ssize_t write(int descriptor, const void *content, size_t size)
{
    REFUSE_WRITE(REAL(write)(descriptor, content, torn(size)))
    return REAL(write)(descriptor, content, size);
}

ssize_t pwrite(int descriptor, const void *content, size_t size, off_t offset)
{
    REFUSE_WRITE(REAL(pwrite)(descriptor, content, torn(size), offset))
    return REAL(pwrite)(descriptor, content, size, offset);
}

ssize_t pwrite64(int descriptor, const void *content, size_t size, off64_t offset)
{
    REFUSE_WRITE(REAL(pwrite64)(descriptor, content, torn(size), offset))
    return REAL(pwrite64)(descriptor, content, size, offset);
}

int fsync(int descriptor)
{
    return refused(descriptor, 's') ? -1 : REAL(fsync)(descriptor);
}

int fdatasync(int descriptor)
{
    return refused(descriptor, 's') ? -1 : REAL(fdatasync)(descriptor);
}

int ftruncate(int descriptor, off_t size)
{
    return refused(descriptor, 't') ? -1 : REAL(ftruncate)(descriptor, size);
}

int ftruncate64(int descriptor, off64_t size)
{
    return refused(descriptor, 't') ? -1 : REAL(ftruncate64)(descriptor, size);
}
