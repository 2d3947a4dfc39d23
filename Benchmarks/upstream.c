// upstream: the provider behind every proxy that is measured. One thread, one epoll, plain HTTP/1.1 on loopback.
//
//     upstream SECONDS        serves until SECONDS have passed or its parent ends; prints "port N"
//
// What it answers is said by the model that the request body names, so no proxy needs to know:
//     bench-unary             a chat completion of about 1 KB with Content-Length
//     bench-bulk-N            N server-sent events as fast as they are read, each in a chunk of its own
//     bench-paced-N-MS        N events, the first at once, then one each MS milliseconds, each in a chunk and a write of its own
//     bench-echo              the request as it arrived
// A request without one of the injected keys gets 401, so every answer of 200 also proves the injection.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_BYTES_MAX = 16384, PACED_MAX = 16384, BLOCK_EVENTS = 256 };

static const char KEY_PREFIX[] = "Bearer sk-upstream-";

static const char UNARY_BODY[] =
    "{\"id\":\"chatcmpl-C9xQ2vT7mKf0bJrWnY4hLsPd81aEg\",\"object\":\"chat.completion\",\"created\":1760000000,"
    "\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
    "\"A reverse proxy accepts connections on behalf of one or more servers and carries each request to one of them. "
    "It can spread the load, keep connections open so that no request has to wait for a handshake, end TLS in one "
    "place, and hold back what must not pass. Because every byte goes through it twice, its own cost per request is "
    "what decides how many machines are needed in front of the ones that do the work.\",\"refusal\":null,"
    "\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":58,"
    "\"completion_tokens\":88,\"total_tokens\":146,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
    "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,"
    "\"rejected_prediction_tokens\":0}},\"service_tier\":\"default\",\"system_fingerprint\":\"fp_560af6e559\"}\n";

static const char EVENT[] =
    "data: {\"id\":\"chatcmpl-C9xQ2vT7mKf0bJrWnY4hLsPd81aEg\",\"object\":\"chat.completion.chunk\","
    "\"created\":1760000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"system_fingerprint\":\"fp_560af6e559\","
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" proxy\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";

static const char TAIL[] = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

#define COMMON_FIELDS                                          \
    "Date: Thu, 09 Oct 2025 08:53:20 GMT\r\n"                  \
    "openai-organization: bench\r\n"                           \
    "openai-processing-ms: 412\r\n"                            \
    "openai-version: 2020-10-01\r\n"                           \
    "x-request-id: req_5d1c1f0f3ab94c6fa8f6f2a0f9d1a7c3\r\n"   \
    "x-ratelimit-limit-requests: 10000\r\n"                    \
    "x-ratelimit-limit-tokens: 2000000\r\n"                    \
    "x-ratelimit-remaining-requests: 9999\r\n"                 \
    "x-ratelimit-remaining-tokens: 1999942\r\n"                \
    "x-ratelimit-reset-requests: 6ms\r\n"                      \
    "x-ratelimit-reset-tokens: 1ms\r\n"

static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n"
    "Cache-Control: no-cache\r\n" COMMON_FIELDS "\r\n";

struct connection {
    int fd;
    bool wants_write;
    size_t received;
    // A stream is `total` bytes: events, then TAIL. Those before `allowed` may go out now; those before `sent` have.
    bool streaming;
    uint64_t sent, allowed, total;
    uint64_t due, interval;
    int heap_index;  // −1: not waiting for a time
    char request[REQUEST_BYTES_MAX + 1];
};

static int epoll;
static char unary[4096], *block;
static size_t unary_bytes, frame_bytes, block_bytes;
static struct connection *heap[PACED_MAX];
static int heap_count;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void check(bool ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "upstream: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

// MARK: the streams that wait for their next event: a binary heap by due time

static void heap_place(struct connection *c, int i) {
    heap[i] = c;
    c->heap_index = i;
}

static void heap_settle(int i) {
    struct connection *c = heap[i];
    for (; i > 0 && heap[(i - 1) / 2]->due > c->due; i = (i - 1) / 2) heap_place(heap[(i - 1) / 2], i);
    for (int child; (child = 2 * i + 1) < heap_count; i = child) {
        if (child + 1 < heap_count && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[child]->due >= c->due) break;
        heap_place(heap[child], i);
    }
    heap_place(c, i);
}

static void heap_remove(struct connection *c) {
    int i = c->heap_index;
    if (i < 0) return;
    c->heap_index = -1;
    if (i == --heap_count) return;
    heap_place(heap[heap_count], i);
    heap_settle(i);
}

// MARK: connections

static void drop(struct connection *c) {
    heap_remove(c);
    close(c->fd);
    free(c);
}

static void watch(struct connection *c, bool write) {
    if (c->wants_write == write) return;
    c->wants_write = write;
    struct epoll_event e = {.events = write ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
}

// Small answers always fit an empty socket buffer; one that doesn't ends the connection, and the load generator tells.
static bool answer(struct connection *c, const char *bytes, size_t count) {
    return send(c->fd, bytes, count, MSG_NOSIGNAL) == (ssize_t)count;
}

// Writes what is allowed once, and asks for EPOLLOUT when more is left.
static bool flush_stream(struct connection *c) {
    uint64_t events_end = c->total - (sizeof TAIL - 1);
    const char *from = TAIL + (c->sent - events_end);
    uint64_t end = c->allowed;
    if (c->sent < events_end) {
        uint64_t offset = c->sent % block_bytes;
        from = block + offset;
        if (end > events_end) end = events_end;
        if (end - c->sent > block_bytes - offset) end = c->sent + block_bytes - offset;
    }
    ssize_t n = send(c->fd, from, end - c->sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return false;
    if (n > 0) c->sent += (uint64_t)n;
    watch(c, c->sent < c->allowed);
    if (c->sent == c->total) c->streaming = false;
    return true;
}

static bool begin_stream(struct connection *c, unsigned events, unsigned interval_ms) {
    static uint64_t streams;
    c->streaming = true;
    c->sent = c->allowed = 0;
    c->total = events * frame_bytes + sizeof TAIL - 1;
    if (!answer(c, STREAM_HEAD, sizeof STREAM_HEAD - 1)) return false;
    if (interval_ms == 0) {
        c->allowed = c->total;
        watch(c, true);
        return true;
    }
    if (heap_count == PACED_MAX) return false;
    // The first event goes out at once, the second within one interval, at a phase that differs from stream to
    // stream: so the events of many streams are spread evenly in time rather than come in bursts.
    c->interval = interval_ms * 1000000ull;
    c->due = now_ns() + (++streams * 0x9E3779B97F4A7C15u >> 32) * c->interval / (1ull << 32);
    c->allowed = frame_bytes;
    heap[heap_count] = c;
    c->heap_index = heap_count++;
    heap_settle(c->heap_index);
    return flush_stream(c);
}

static void send_due_events(uint64_t now) {
    while (heap_count > 0 && heap[0]->due <= now) {
        struct connection *c = heap[0];
        c->due += c->interval;
        c->allowed += frame_bytes;
        if (c->allowed + sizeof TAIL - 1 >= c->total) {  // the last event goes out together with the end
            c->allowed = c->total;
            heap_remove(c);
            watch(c, true);
        } else {
            heap_settle(0);
        }
        if (!flush_stream(c)) drop(c);
    }
}

// MARK: requests

static bool respond(struct connection *c, const char *body, size_t body_bytes, size_t request_bytes, bool keyed) {
    static const char refused[] = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    static const char unknown[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    static const char mark[] = "\"model\":\"bench-";
    unsigned events, interval;
    if (!keyed) return answer(c, refused, sizeof refused - 1);
    const char *model = memmem(body, body_bytes, mark, sizeof mark - 1);
    if (!model) return answer(c, unknown, sizeof unknown - 1);
    model += sizeof mark - 1;
    if (strncmp(model, "unary\"", 6) == 0) return answer(c, unary, unary_bytes);
    if (sscanf(model, "bulk-%u\"", &events) == 1) return begin_stream(c, events, 0);
    if (sscanf(model, "paced-%u-%u\"", &events, &interval) == 2 && events > 1 && interval > 0) return begin_stream(c, events, interval);
    if (strncmp(model, "echo\"", 5) == 0) {
        char head[128];
        int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", request_bytes);
        return answer(c, head, (size_t)n) && answer(c, c->request, request_bytes);
    }
    return answer(c, unknown, sizeof unknown - 1);
}

// Takes one whole request off the buffer and answers it. False ends the connection.
static bool take_request(struct connection *c) {
    c->request[c->received] = 0;
    char *head_end = memmem(c->request, c->received, "\r\n\r\n", 4);
    if (!head_end) return c->received < REQUEST_BYTES_MAX;
    size_t length = 0, head_bytes = (size_t)(head_end + 4 - c->request);
    bool chunked = false, keyed = false;
    for (char *line = strchr(c->request, '\n') + 1; line < head_end + 2; line = strchr(line, '\n') + 1) {
        if (strncasecmp(line, "content-length:", 15) == 0) length = strtoul(line + 15, NULL, 10);
        if (strncasecmp(line, "transfer-encoding: chunked", 26) == 0) chunked = true;
        if (strncasecmp(line, "authorization: ", 15) == 0) keyed = strncmp(line + 15, KEY_PREFIX, sizeof KEY_PREFIX - 1) == 0;
    }
    if (chunked) {  // good enough for a JSON body of one line: it cannot contain the end mark
        char *end = memmem(head_end + 2, c->received - head_bytes + 2, "\r\n0\r\n\r\n", 7);
        if (!end) return c->received < REQUEST_BYTES_MAX;
        length = (size_t)(end + 7 - c->request) - head_bytes;
    }
    size_t whole = head_bytes + length;
    if (whole > REQUEST_BYTES_MAX) return false;
    if (c->received < whole) return true;
    if (!respond(c, c->request + head_bytes, length, whole, keyed)) return false;
    c->received -= whole;
    memmove(c->request, c->request + whole, c->received);
    return true;
}

static bool serve(struct connection *c, uint32_t events) {
    if (events & EPOLLOUT && c->streaming && !flush_stream(c)) return false;
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return true;
    ssize_t n = recv(c->fd, c->request + c->received, REQUEST_BYTES_MAX - c->received, 0);
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return false;
    c->received += (size_t)n;
    return c->streaming ? c->received < REQUEST_BYTES_MAX : take_request(c);
}

static void accept_all(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct connection *c = malloc(sizeof *c);
        check(c, "malloc");
        memset(c, 0, offsetof(struct connection, request));
        c->fd = fd;
        c->heap_index = -1;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    }
}

static void prepare_answers(void) {
    unary_bytes = (size_t)snprintf(unary, sizeof unary,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n" COMMON_FIELDS "\r\n%s",
        sizeof UNARY_BODY - 1, UNARY_BODY);
    char frame[sizeof EVENT + 16];
    frame_bytes = (size_t)snprintf(frame, sizeof frame, "%zx\r\n%s\r\n", sizeof EVENT - 1, EVENT);
    block_bytes = frame_bytes * BLOCK_EVENTS;
    block = malloc(block_bytes);
    check(block, "malloc");
    for (size_t i = 0; i < BLOCK_EVENTS; i++) memcpy(block + i * frame_bytes, frame, frame_bytes);
}

int main(int argc, char **argv) {
    check(argc == 2 && atoi(argv[1]) > 0, "usage: upstream SECONDS");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1);
    alarm((unsigned)atoi(argv[1]));
    prepare_answers();

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_bytes = sizeof address;
    check(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    check(listen(listener, 4096) == 0, "listen");
    getsockname(listener, (struct sockaddr *)&address, &address_bytes);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, ready[256];
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e) == 0, "epoll_ctl");
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);

    for (;;) {
        struct timespec wait = {0}, *timeout = NULL;
        if (heap_count > 0) {
            uint64_t now = now_ns(), left = heap[0]->due > now ? heap[0]->due - now : 0;
            wait = (struct timespec){(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
            timeout = &wait;
        }
        int count = epoll_pwait2(epoll, ready, 256, timeout, NULL);
        check(count >= 0 || errno == EINTR, "epoll_pwait2");
        for (int i = 0; i < count; i++) {
            struct connection *c = ready[i].data.ptr;
            if (!c) accept_all(listener);
            else if (!serve(c, ready[i].events)) drop(c);
        }
        send_due_events(now_ns());
    }
}
