// What Swift's Glibc module cannot give: accept4 and memmem (behind _GNU_SOURCE), epoll_event, which is packed on x86-64, and the variadic syscall.
#ifndef ROTATOR_CLINUX_SHIM_H
#define ROTATOR_CLINUX_SHIM_H

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

extern int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);

enum { rotator_epoll_event_size = sizeof(struct epoll_event) };

static inline int rotator_epoll_ctl(int epoll, int operation, int fd, uint32_t mask, uint64_t data) {
    struct epoll_event event;
    event.events = mask;
    event.data.u64 = data;
    return epoll_ctl(epoll, operation, fd, &event);
}

static inline int rotator_epoll_wait(int epoll, void *events, int capacity, int milliseconds) {
    return epoll_wait(epoll, (struct epoll_event *)events, capacity, milliseconds);
}

static inline uint32_t rotator_epoll_mask(const void *events, int index) {
    return ((const struct epoll_event *)events)[index].events;
}

static inline void rotator_epoll_clear(void *events, int index) {
    ((struct epoll_event *)events)[index].events = 0;
}

static inline uint64_t rotator_epoll_data(const void *events, int index) {
    return ((const struct epoll_event *)events)[index].data.u64;
}

// glibc's own recv, send and sendmsg are points where a thread can be cancelled (pthreads(7)): beside other threads each of them changes the thread's
// state atomically twice. Nobody cancels threads here.
static inline ssize_t rotator_recv(int fd, void *octets, size_t count, int flags) {
    return syscall(SYS_recvfrom, fd, octets, count, flags, NULL, NULL);
}

static inline ssize_t rotator_send(int fd, const void *octets, size_t count, int flags) {
    return syscall(SYS_sendto, fd, octets, count, flags, NULL, 0);
}

static inline ssize_t rotator_sendmsg(int fd, const struct msghdr *message, int flags) {
    return syscall(SYS_sendmsg, fd, message, flags);
}

#endif
