/* Makes fsync and fdatasync of some files fail with EIO while a file named by PALAVER_FAULT exists.
   PALAVER_FAULT_FILES: only of files that have this in their path. PALAVER_FAULT_ONCE: the one that fails removes the
   file. Preloaded into a process that a test starts. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*sync_call)(int);

static int broken(int descriptor)
{
    const char *fault = getenv("PALAVER_FAULT");
    const char *part = getenv("PALAVER_FAULT_FILES");
    char link[64], path[4096];
    ssize_t length;

    if (fault == NULL || part == NULL || access(fault, F_OK) != 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    if (strstr(path, part) == NULL)
        return 0;
    return getenv("PALAVER_FAULT_ONCE") == NULL || unlink(fault) == 0;
}

static int checked(const char *name, int descriptor)
{
    if (broken(descriptor)) {
        errno = EIO;
        return -1;
    }
    return ((sync_call)dlsym(RTLD_NEXT, name))(descriptor);
}

int fsync(int descriptor) { return checked("fsync", descriptor); }
int fdatasync(int descriptor) { return checked("fdatasync", descriptor); }
