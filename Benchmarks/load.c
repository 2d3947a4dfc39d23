// load: sends one prepared HTTP/1.1 request again and again over loopback, and checks every answer.
//
//     load closed PORT REQUEST-FILE [options]   each connection sends its next request when its last answer has ended
//     load open   PORT REQUEST-FILE [options]   requests begin at a fixed rate, whatever the answers do
//     load hold   PORT REQUEST-FILE [options]   opens streams, prints "ready", reads them until SIGTERM or the limit
//
//     --connections N    connections (default 64)
//     --warmup S         seconds before the measured window (default 1)
//     --seconds S        length of the measured window (default 5)
//     --rate N           requests per second (open)
//     --requests N       stop after N requests instead of after the window (closed)
//     --expect-bytes N   body bytes that a whole answer must have, chunk framing not counted
//     --expect-events N  server-sent events that a whole answer must have
//     --cpu PID,PID      processes whose CPU time over the window is reported, all their threads together
//     --limit S          ends everything after so many seconds, whatever happens (default 120)
//
// After the window no request begins, and those that run are read to their end, so that every answer is checked whole.
// Latencies count from the time at which a request was due, also when no connection was free to send it then
// (no coordinated omission); those due within the window are reported. The result is one JSON object on stdout.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES_MAX = 8192, READ_BYTES = 262144, OPENING_MAX = 64, ERRORS_MAX = 50, CPU_MAX = 64, DRAIN_SECONDS = 20 };

enum phase { CLOSED, CONNECTING, IDLE, HEAD, LENGTH_BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, LAST_LINE };

struct connection {
    int fd;
    enum phase phase;
    bool opening;        // counted in `opening`: nothing of its first answer's body has come yet
    bool closing;        // the answer said Connection: close
    bool blank;          // the body's last byte was a newline
    uint64_t due;        // when the request should have begun
    uint64_t left;       // of the body or chunk
    uint64_t bytes, events;
    unsigned line;       // bytes of the current chunk-size or trailer line
    size_t head_bytes;
    char head[HEAD_BYTES_MAX + 1];
};

struct counts {
    uint64_t answers, events, bytes, at;
    double cpu;
};

static enum { MODE_CLOSED, MODE_OPEN, MODE_HOLD } mode;
static struct sockaddr_in server = {.sin_family = AF_INET};
static char request[65536], buffer[READ_BYTES];
static size_t request_bytes;
static int64_t expected_bytes = -1, expected_events = -1;
static uint64_t request_limit = UINT64_MAX, begun, running, errors, reconnects;
static int epoll, connection_count = 64, closed_count, opening, cpu_count;
static clockid_t cpu_clocks[CPU_MAX];
static struct connection *connections;
static struct connection **idle;  // a queue: the one that has rested longest is next
static int idle_first, idle_count;
static char first_error[256];
static struct counts total;
static uint64_t *latencies, window_start, window_end;
static size_t latency_count, latency_room;
static bool issuing = true;
static volatile sig_atomic_t stopped;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static _Noreturn void give_up(const char *what) {
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

// CPU time of the watched processes so far: their own clocks, exact to the nanosecond, ended threads included.
static double watched_cpu(void) {
    double sum = 0;
    for (int i = 0; i < cpu_count; i++) {
        struct timespec t;
        if (clock_gettime(cpu_clocks[i], &t) != 0) give_up("a watched process has ended");
        sum += (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    }
    return sum;
}

static struct counts snapshot(void) {
    struct counts c = total;
    c.at = now_ns();
    c.cpu = watched_cpu();
    return c;
}

// MARK: connections

static void set_opening(struct connection *c, bool value) {
    opening += (int)value - (int)c->opening;
    c->opening = value;
}

static bool carries_request(const struct connection *c) { return c->phase >= HEAD; }

static void hang_up(struct connection *c) {
    if (c->phase == CLOSED) return;
    if (carries_request(c)) running--;
    if (c->phase == IDLE) {  // rare, so a walk is good enough
        for (int i = 0; i < idle_count; i++) {
            int at = (idle_first + i) % connection_count;
            if (idle[at] != c) continue;
            for (; i + 1 < idle_count; i++, at = (at + 1) % connection_count) idle[at] = idle[(at + 1) % connection_count];
            idle_count--;
        }
    }
    set_opening(c, false);
    close(c->fd);
    c->phase = CLOSED;
    closed_count++;
}

__attribute__((format(printf, 2, 3)))
static void fail(struct connection *c, const char *format, ...) {
    if (errors++ == 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(first_error, sizeof first_error, format, arguments);
        va_end(arguments);
    }
    hang_up(c);
}

static void connect_one(struct connection *c) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) give_up("out of descriptors");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    c->phase = CONNECTING;
    closed_count--;
    c->closing = false;
    set_opening(c, true);
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS)
        fail(c, "connect: %s", strerror(errno));
}

static void rest(struct connection *c) {
    c->phase = IDLE;
    idle[(idle_first + idle_count++) % connection_count] = c;
}

static void send_request(struct connection *c, uint64_t due) {
    c->due = due;
    c->bytes = c->events = c->head_bytes = 0;
    c->phase = HEAD;
    running++;
    begun++;
    ssize_t n = send(c->fd, request, request_bytes, MSG_NOSIGNAL);
    if (n != (ssize_t)request_bytes) fail(c, "send: %s", n < 0 ? strerror(errno) : "cut short");
}

// Sends on connections that rest, for as long as requests are to begin at once.
static void send_at_once(uint64_t now) {
    while (mode != MODE_OPEN && issuing && begun < request_limit && idle_count > 0) {
        struct connection *c = idle[idle_first];
        idle_first = (idle_first + 1) % connection_count;
        idle_count--;
        send_request(c, now);
    }
}

// MARK: answers

static void count_body(struct connection *c, const char *bytes, size_t count) {
    set_opening(c, false);
    c->bytes += count;
    total.bytes += count;
    if (expected_events < 0) return;
    uint64_t before = c->events;
    bool blank = c->blank;  // an event ends with an empty line
    for (const char *at = bytes, *end = bytes + count; at < end;) {
        if (*at == '\n') {
            c->events += blank;
            blank = !blank;
            at++;
        } else {
            const char *newline = memchr(at, '\n', (size_t)(end - at));
            blank = newline != NULL;
            at = newline ? newline + 1 : end;
        }
    }
    c->blank = blank;
    total.events += c->events - before;
}

static void end_answer(struct connection *c) {
    uint64_t now = now_ns();
    running--;
    c->phase = CONNECTING;  // neither running nor resting, so that fail() counts right
    if (mode == MODE_HOLD) return fail(c, "a stream that was to be held ended after %lu events", c->events);
    if (expected_bytes >= 0 && c->bytes != (uint64_t)expected_bytes)
        return fail(c, "body of %lu bytes, not %ld", c->bytes, expected_bytes);
    if (expected_events >= 0 && c->events != (uint64_t)expected_events)
        return fail(c, "%lu events, not %ld", c->events, expected_events);
    total.answers++;
    if (c->due >= window_start && c->due < window_end) {
        if (latency_count == latency_room) {
            latency_room = latency_room ? 2 * latency_room : 65536;
            latencies = realloc(latencies, latency_room * sizeof *latencies);
            if (!latencies) give_up("out of memory");
        }
        latencies[latency_count++] = now - c->due;
    }
    if (c->closing) {
        reconnects++;
        hang_up(c);
    } else {
        rest(c);
    }
}

static bool take_head(struct connection *c) {
    bool length_known = false, chunked = false;
    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0) {
        fail(c, "answered \"%.*s\"", (int)strcspn(c->head, "\r\n"), c->head);
        return false;
    }
    for (char *line = strchr(c->head, '\n') + 1; *line != '\r' && *line; line = strchr(line, '\n') + 1) {
        if (strncasecmp(line, "content-length:", 15) == 0) {
            length_known = true;
            c->left = strtoull(line + 15, NULL, 10);
        } else if (strncasecmp(line, "transfer-encoding: chunked", 26) == 0) {
            chunked = true;
        } else if (strncasecmp(line, "connection: close", 17) == 0) {
            c->closing = true;
        }
    }
    if (length_known == chunked) {
        fail(c, "an answer without one clear framing");
        return false;
    }
    c->line = 0;
    c->blank = false;
    if (chunked) c->left = 0;
    c->phase = chunked ? CHUNK_SIZE : LENGTH_BODY;
    return true;
}

static void take(struct connection *c, const char *at, size_t count) {
    const char *end = at + count;
    while (at < end) {
        switch (c->phase) {
        case HEAD: {
            size_t searched = c->head_bytes > 3 ? c->head_bytes - 3 : 0, room = HEAD_BYTES_MAX - c->head_bytes;
            size_t n = (size_t)(end - at) < room ? (size_t)(end - at) : room;
            memcpy(c->head + c->head_bytes, at, n);
            size_t filled = c->head_bytes + n;
            char *stop = memmem(c->head + searched, filled - searched, "\r\n\r\n", 4);
            if (!stop) {
                if (filled == HEAD_BYTES_MAX) return fail(c, "a head that does not end");
                c->head_bytes = filled;
                return;
            }
            at += (size_t)(stop + 4 - c->head) - c->head_bytes;
            stop[4] = 0;
            if (!take_head(c)) return;
            if (c->phase == LENGTH_BODY && c->left == 0) end_answer(c);
            break;
        }
        case LENGTH_BODY:
        case CHUNK_DATA: {
            size_t n = (size_t)(end - at) < c->left ? (size_t)(end - at) : c->left;
            count_body(c, at, n);
            at += n;
            c->left -= n;
            if (c->left > 0) break;
            if (c->phase == LENGTH_BODY) end_answer(c);
            else c->phase = CHUNK_END;
            break;
        }
        case CHUNK_SIZE: {
            char byte = *at++;
            unsigned digit = byte >= '0' && byte <= '9' ? (unsigned)(byte - '0') : (unsigned)((byte | 32) - 'a') + 10;
            if (byte == '\n') {
                c->phase = c->left ? CHUNK_DATA : LAST_LINE;
                c->line = 0;
            } else if (byte == '\r') {
                if (c->line == 0) return fail(c, "an empty chunk size");
            } else if (digit < 16 && c->line++ < 8) {
                c->left = c->left * 16 + digit;
            } else {
                return fail(c, "a malformed chunk size");
            }
            break;
        }
        case CHUNK_END:
            if (*at != (c->line == 0 ? '\r' : '\n')) return fail(c, "a chunk that does not end where it said");
            at++;
            if (c->line++ == 1) {
                c->line = 0;
                c->phase = CHUNK_SIZE;
            }
            break;
        case LAST_LINE:  // no trailers are sent, so none may come
            if (*at != (c->line == 0 ? '\r' : '\n')) return fail(c, "a malformed end of the chunks");
            at++;
            if (c->line++ == 1) end_answer(c);
            break;
        case IDLE:
            return fail(c, "bytes that nothing had asked for");
        case CLOSED:
        case CONNECTING:
            return;
        }
    }
}

static void handle(struct connection *c, uint32_t events, uint64_t now) {
    if (c->phase == CLOSED) return;
    if (c->phase == CONNECTING) {
        int problem = 0;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &problem, &(socklen_t){sizeof problem});
        if (problem) return fail(c, "connect: %s", strerror(problem));
        if (!(events & EPOLLOUT)) return;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
        if (mode == MODE_OPEN) set_opening(c, false);
        rest(c);
        return;
    }
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n > 0) {
        take(c, buffer, (size_t)n);
        if (c->phase == IDLE) send_at_once(now);
    } else if (n == 0 && c->phase == IDLE) {  // a server may close between two requests
        reconnects++;
        hang_up(c);
    } else if (n == 0 || errno != EAGAIN) {
        fail(c, "the connection broke %s: %s", c->phase == HEAD ? "before the answer" : "within the answer", n == 0 ? "end of file" : strerror(errno));
    }
}

// MARK: the run

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double percentile_us(double share) {
    return latency_count ? (double)latencies[(size_t)(share * (double)(latency_count - 1) + 0.5)] / 1000 : 0;
}

static void report(struct counts from, struct counts to) {
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    if (latency_count) qsort(latencies, latency_count, sizeof *latencies, by_value);
    for (char *p = first_error; *p; p++)
        if (*p == '"' || *p == '\\' || (unsigned char)*p < 32) *p = '\'';
    printf("{\"seconds\": %.6f, \"answers\": %lu, \"events\": %lu, \"bytes\": %lu, \"cpu_seconds\": %.9f, "
           "\"answers_in_all\": %lu, \"streams_open\": %lu, \"reconnects\": %lu, \"errors\": %lu, \"first_error\": \"%s\", "
           "\"latencies\": %zu, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"own_cpu_seconds\": %.6f}\n",
           (double)(to.at - from.at) / 1e9, to.answers - from.answers, to.events - from.events, to.bytes - from.bytes, to.cpu - from.cpu,
           total.answers, mode == MODE_HOLD ? running : 0, reconnects, errors, first_error,
           latency_count, percentile_us(0.5), percentile_us(0.9), percentile_us(0.99), percentile_us(1),
           (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) + (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6);
    fflush(stdout);
}

static void on_signal(int signal) {
    (void)signal;
    stopped = 1;
}

static void watch_cpu_of(char *pids) {
    for (char *pid = strtok(pids, ","); pid; pid = strtok(NULL, ",")) {
        if (cpu_count == CPU_MAX || clock_getcpuclockid(atoi(pid), &cpu_clocks[cpu_count++]) != 0) give_up("--cpu: no such process");
    }
}

static uint64_t nanoseconds(double seconds) { return (uint64_t)(seconds * 1e9); }

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"connections", 1, 0, 'c'}, {"warmup", 1, 0, 'w'}, {"seconds", 1, 0, 's'}, {"rate", 1, 0, 'r'}, {"requests", 1, 0, 'n'},
        {"expect-bytes", 1, 0, 'b'}, {"expect-events", 1, 0, 'e'}, {"cpu", 1, 0, 'p'}, {"limit", 1, 0, 'l'}, {0}};
    double warmup = 1, seconds = 5, rate = 0;
    unsigned limit = 120;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'c': connection_count = atoi(optarg); break;
        case 'w': warmup = atof(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'n': request_limit = strtoull(optarg, NULL, 10); break;
        case 'b': expected_bytes = atol(optarg); break;
        case 'e': expected_events = atol(optarg); break;
        case 'p': watch_cpu_of(optarg); break;
        case 'l': limit = (unsigned)atoi(optarg); break;
        default: return 2;
        }
    }
    if (argc - optind != 3 || connection_count < 1) give_up("usage: load closed|open|hold PORT REQUEST-FILE [options]");
    const char *name = argv[optind];
    mode = strcmp(name, "open") == 0 ? MODE_OPEN : strcmp(name, "hold") == 0 ? MODE_HOLD : MODE_CLOSED;
    if (mode == MODE_OPEN && rate <= 0) give_up("open needs --rate");
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.sin_port = htons((uint16_t)atoi(argv[optind + 1]));
    int file = open(argv[optind + 2], O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? -1 : read(file, request, sizeof request);
    if (got <= 0) give_up("cannot read the request");
    request_bytes = (size_t)got;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1);
    alarm(limit);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc((size_t)connection_count, sizeof *connections);
    idle = calloc((size_t)connection_count, sizeof *idle);
    if (!connections || !idle) give_up("out of memory");
    closed_count = connection_count;

    uint64_t start = now_ns(), gap = rate > 0 ? nanoseconds(1 / rate) : 0, drain_end = UINT64_MAX, scheduled = 0, due;
    window_start = start + nanoseconds(warmup);
    window_end = window_start + nanoseconds(seconds);
    bool in_window = false, window_done = false, ready_told = false, counted = request_limit != UINT64_MAX;
    struct counts from = {0}, to = {0};
    if (mode == MODE_HOLD || counted) {  // the window is the whole run
        in_window = true;
        window_start = start;
        window_end = UINT64_MAX;
        from = snapshot();
    }

    for (;;) {
        uint64_t now = now_ns();
        if (!in_window && !window_done && now >= window_start) {
            in_window = true;
            from = snapshot();
        }
        bool over = now >= window_end || stopped || errors > ERRORS_MAX || (counted && begun == request_limit && running == 0);
        if (in_window && over) {
            in_window = false;
            window_done = true;
            issuing = false;
            to = snapshot();
            drain_end = now + nanoseconds(DRAIN_SECONDS);
        }
        due = UINT64_MAX;
        if (mode == MODE_OPEN) {
            while ((due = start + scheduled * gap) <= now && due < window_end && idle_count > 0) {
                struct connection *c = idle[idle_first];
                idle_first = (idle_first + 1) % connection_count;
                idle_count--;
                scheduled++;
                send_request(c, due);
            }
            if (due >= window_end) due = UINT64_MAX;  // all that was to be sent has been sent
        } else {
            send_at_once(now);
        }
        bool unsent = mode == MODE_OPEN && due != UINT64_MAX;
        if (window_done && (mode == MODE_HOLD || (running == 0 && !unsent) || errors > ERRORS_MAX)) break;
        if (now >= drain_end) {
            errors++;
            snprintf(first_error, sizeof first_error, "%lu answers had not ended %d s after the window", running, DRAIN_SECONDS);
            break;
        }
        if (!window_done || unsent)
            for (int i = 0; i < connection_count && closed_count > 0 && opening < OPENING_MAX && errors <= ERRORS_MAX; i++)
                if (connections[i].phase == CLOSED) connect_one(&connections[i]);
        if (mode == MODE_HOLD && !ready_told && opening == 0 && running == (uint64_t)connection_count) {
            ready_told = true;
            from = snapshot();
            printf("ready\n");
            fflush(stdout);
        }

        uint64_t wake = window_done ? drain_end : in_window ? window_end : window_start;
        if (due < wake && idle_count > 0) wake = due;
        if (wake - now > 100000000u && wake > now) wake = now + 100000000u;
        uint64_t left = wake > now ? wake - now : 0;
        struct timespec timeout = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
        struct epoll_event ready[256];
        int count = epoll_pwait2(epoll, ready, 256, &timeout, NULL);
        if (count < 0 && errno != EINTR) give_up("epoll_pwait2");
        now = now_ns();
        for (int i = 0; i < count; i++) handle(ready[i].data.ptr, ready[i].events, now);
    }
    report(from, to);
    return errors == 0 ? 0 : 3;
}
