// What Swift's Glibc module cannot give: prctl is variadic.
#ifndef ROTATOR_CLINUX_PROCESS_H
#define ROTATOR_CLINUX_PROCESS_H

#include <sys/prctl.h>

static inline int rotator_prctl_set_dumpable(int dumpable) {
    return prctl(PR_SET_DUMPABLE, (unsigned long)dumpable, 0UL, 0UL, 0UL);
}

static inline int rotator_prctl_set_name(const char *name) {
    return prctl(PR_SET_NAME, (unsigned long)name, 0UL, 0UL, 0UL);
}

#endif
