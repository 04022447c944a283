// Load for chat servers: acknowledged deliveries from end to end, the same work over several protocols.
//
// Pairs of a sender and a receiver are connected to one server on loopback. A sender keeps a number of messages in flight;
// its receiver answers each of them; and a delivery is counted when the sender has read the answer. What each connection
// has to read is known in advance, byte for byte, so that everything is compared and nothing is merely counted: any other
// byte, a closed connection or a standstill ends the program with a message and without figures.
//
// One process, one thread, non-blocking sockets and epoll: it has to be lighter than the servers that it loads. Its output
// is one JSON object, with the CPU time that the server used for a delivery if it is told the server's process.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PATIENCE_SECONDS = 10, // without any delivery, or any answer while logging in
    LONGEST_LINE = 4096,   // that a server may write besides messages: INFO of NATS is the longest
    READ_AHEAD = 64 << 10, // bytes that are read at once, beyond one message
    EVENTS = 256,          // that are taken from epoll at once
};

enum protocol { CLASSIC, WINDOW, NATS, IRC, PROTOCOLS };
static const char *const protocol_names[PROTOCOLS] = {"classic", "window", "nats", "irc"};

static struct {
    int protocol;
    int port;
    int pairs;
    int window; // messages that each sender has in flight
    long deliveries;
    long bytes;     // of each message's body
    int server_pid; // 0: its CPU time is not measured
} options = {.protocol = -1, .pairs = 50, .window = 1, .deliveries = 100000, .bytes = 64};

struct text {
    char *bytes;
    size_t length;
};

struct connection {
    char name[16];
    int socket;
    bool sends; // whether it is a sender's, and not a receiver's

    struct text reads;  // what it reads again and again: the answer, or the message
    struct text writes; // what it writes for each of those: the next message, or the answer

    char *input;
    size_t input_size, input_length;
    char *output; // from output_start to output_end is what the socket has not taken yet
    size_t output_size, output_start, output_end;
    bool waits_to_write;

    // Senders only: when each message in flight was written, in a ring of `window` places.
    int64_t *sent_at;
    int oldest, in_flight;

    // While logging in: the last line that was read, and for irc how the server shows this user to others.
    char line[LONGEST_LINE];
    char origin[256];
};

static int epoll;
static long started, finished;
static int64_t *latencies; // nanoseconds, of each delivery
static int64_t last_delivery;

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) fail("out of memory");
    return memory;
}

__attribute__((format(printf, 1, 2))) static struct text text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *bytes;
    int length = vasprintf(&bytes, format, arguments);
    va_end(arguments);
    if (length < 0) fail("out of memory");
    return (struct text){bytes, (size_t)length};
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

// CPU time, in seconds

static double server_cpu(void)
{
    if (!options.server_pid) return 0;
    char path[64], content[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", options.server_pid);
    FILE *file = fopen(path, "r");
    if (!file) fail("%s: %s", path, strerror(errno));
    size_t length = fread(content, 1, sizeof content - 1, file);
    fclose(file);
    content[length] = 0;
    // The second field is the program's name, in which anything may stand. utime and stime are the fields 14 and 15.
    const char *after_name = strrchr(content, ')');
    unsigned long user, system;
    if (!after_name ||
        sscanf(after_name, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        fail("%s: cannot be understood", path);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double own_cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// Logging in: not measured, so it may block, which is simpler

static void open_socket(struct connection *c)
{
    c->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->socket < 0) fail("socket: %s", strerror(errno));
    int on = 1;
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    setsockopt(c->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(c->socket, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect to port %d: %s", options.port, strerror(errno));
}

__attribute__((format(printf, 2, 3))) static void say(struct connection *c, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (vdprintf(c->socket, format, arguments) < 0) fail("%s: write: %s", c->name, strerror(errno));
    va_end(arguments);
}

// Read one line into `line`, without its end. Byte by byte, so that nothing behind it is taken away from who reads next.
static void read_line(struct connection *c)
{
    char line[LONGEST_LINE];
    size_t length = 0;
    for (;;) {
        ssize_t count = read(c->socket, line + length, 1);
        if (count == 0) fail("%s: the server closed the connection; before that it wrote: %s", c->name, c->line);
        if (count < 0 && errno == EAGAIN)
            fail("%s: the server writes nothing more while logging in; before that it wrote: %s", c->name, c->line);
        if (count < 0) fail("%s: read: %s", c->name, strerror(errno));
        if (line[length] == '\n') break;
        if (++length == sizeof line) fail("%s: the server wrote a line that is too long", c->name);
    }
    if (length && line[length - 1] == '\r') length--;
    line[length] = 0;
    memcpy(c->line, line, length + 1);
}

__attribute__((format(printf, 2, 3))) static void expect_line(struct connection *c, const char *format, ...)
{
    char expected[LONGEST_LINE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(expected, sizeof expected, format, arguments);
    va_end(arguments);
    read_line(c);
    if (strcmp(c->line, expected) != 0)
        fail("%s: the server should have written '%s' but wrote: %s", c->name, expected, c->line);
}

static bool starts_with(const char *line, const char *beginning)
{
    return strncmp(line, beginning, strlen(beginning)) == 0;
}

static void register_side(struct connection *c, const char *side, bool windowed)
{
    say(c, "REGISTER %s %s\n", side, c->name);
    if (windowed) say(c, "Window: %d\n", options.window);
    say(c, "\n");
    expect_line(c, "REGISTERED %s %s", side, c->name);
    if (windowed) expect_line(c, "Window: %d", options.window);
    expect_line(c, "%s", "");
}

// A user of Twotick has two connections. The one that carries nothing here only has to stay open: nobody reads it, since a
// server that refuses a user closes both.
static void login_twotick(struct connection *c)
{
    struct connection unused = *c;
    open_socket(&unused);
    register_side(c->sends ? c : &unused, "TOSEND", false);
    register_side(c->sends ? &unused : c, "TORECV", options.protocol == WINDOW && !c->sends);
}

static void login_nats(struct connection *c)
{
    read_line(c);
    if (!starts_with(c->line, "INFO ")) fail("%s: the server is not nats-server, it wrote: %s", c->name, c->line);
    say(c, "CONNECT {\"verbose\":false}\r\nSUB %s 1\r\nPING\r\n", c->name);
    expect_line(c, "PONG");
}

static void read_irc_until(struct connection *c, const char *one, const char *other)
{
    do {
        read_line(c);
        if (starts_with(c->line, "PING ")) say(c, "PONG %s\r\n", c->line + strlen("PING "));
        if (starts_with(c->line, "ERROR ")) fail("%s: the server wrote: %s", c->name, c->line);
    } while (!strstr(c->line, one) && !strstr(c->line, other));
}

static void login_irc(struct connection *c)
{
    say(c, "NICK %s\r\nUSER %s 0 * :%s\r\n", c->name, c->name, c->name);
    read_irc_until(c, " 376 ", " 422 "); // the end of the message of the day, or that there is none
    // A message to oneself shows under what name and address others see this user.
    say(c, "PRIVMSG %s :x\r\n", c->name);
    read_irc_until(c, " PRIVMSG ", " 401 ");
    char *end = strstr(c->line, " PRIVMSG ");
    if (!end || (size_t)(end - c->line) >= sizeof c->origin) fail("%s: the server wrote: %s", c->name, c->line);
    memcpy(c->origin, c->line, (size_t)(end - c->line));
}

static void login(struct connection *c)
{
    open_socket(c);
    if (options.protocol == NATS) login_nats(c);
    else if (options.protocol == IRC) login_irc(c);
    else login_twotick(c);
}

// What a pair says to each other, and how the server passes it on
static void write_script(struct connection *sender, struct connection *receiver, const char *body)
{
    const char *s = sender->name, *r = receiver->name;
    switch (options.protocol) {
    case CLASSIC:
    case WINDOW:
        sender->writes = text("SEND %s\nContent-length: %ld\n\n%s", r, options.bytes, body);
        receiver->reads = text("FORWARD %s\nContent-length: %ld\n\n%s", s, options.bytes, body);
        receiver->writes = text("RECEIVED %s\n\n", s);
        sender->reads = text("SEND %s\n\n", r);
        break;
    case NATS:
        sender->writes = text("PUB %s %s %ld\r\n%s\r\n", r, s, options.bytes, body);
        receiver->reads = text("MSG %s 1 %s %ld\r\n%s\r\n", r, s, options.bytes, body);
        receiver->writes = text("PUB %s 1\r\ny\r\n", s);
        sender->reads = text("MSG %s 1 1\r\ny\r\n", s);
        break;
    case IRC:
        sender->writes = text("PRIVMSG %s :%s\r\n", r, body);
        receiver->reads = text("%s PRIVMSG %s :%s\r\n", sender->origin, r, body);
        receiver->writes = text("PRIVMSG %s :y\r\n", s);
        sender->reads = text("%s PRIVMSG %s :y\r\n", receiver->origin, s);
        break;
    }
}

// From here on sockets do not block

static void watch(struct connection *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, operation, c->socket, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

static void prepare(struct connection *c)
{
    c->input_size = READ_AHEAD + c->reads.length;
    c->input = allocate(1, c->input_size);
    // No more can wait than what is in flight, and the answers to a few pings.
    c->output_size = (size_t)options.window * c->writes.length + 4 * LONGEST_LINE;
    c->output = allocate(1, c->output_size);
    if (c->sends) c->sent_at = allocate((size_t)options.window, sizeof *c->sent_at);
    int flags = fcntl(c->socket, F_GETFL);
    if (flags < 0 || fcntl(c->socket, F_SETFL, flags | O_NONBLOCK) < 0) fail("fcntl: %s", strerror(errno));
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void append(struct connection *c, const char *bytes, size_t length)
{
    if (c->output_end + length > c->output_size) {
        memmove(c->output, c->output + c->output_start, c->output_end - c->output_start);
        c->output_end -= c->output_start;
        c->output_start = 0;
    }
    if (c->output_end + length > c->output_size)
        fail("%s: the server was given more than was in flight, and does not read", c->name);
    memcpy(c->output + c->output_end, bytes, length);
    c->output_end += length;
}

static void flush(struct connection *c)
{
    while (c->output_start < c->output_end) {
        ssize_t count = send(c->socket, c->output + c->output_start, c->output_end - c->output_start, MSG_NOSIGNAL);
        if (count < 0 && errno == EAGAIN) {
            if (!c->waits_to_write) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            c->waits_to_write = true;
            return;
        }
        if (count < 0) fail("%s: write: %s", c->name, strerror(errno));
        c->output_start += (size_t)count;
    }
    c->output_start = c->output_end = 0;
    if (c->waits_to_write) watch(c, EPOLL_CTL_MOD, EPOLLIN);
    c->waits_to_write = false;
}

static void begin_delivery(struct connection *sender, int64_t now)
{
    sender->sent_at[(sender->oldest + sender->in_flight) % options.window] = now;
    sender->in_flight++;
    started++;
    append(sender, sender->writes.bytes, sender->writes.length);
}

static void end_delivery(struct connection *sender, int64_t now)
{
    if (!sender->in_flight) fail("%s: an answer came to nothing that was sent", sender->name);
    latencies[finished++] = now - sender->sent_at[sender->oldest];
    sender->oldest = (sender->oldest + 1) % options.window;
    sender->in_flight--;
    last_delivery = now;
}

static void take_message(struct connection *c, int64_t now)
{
    if (!c->sends) {
        append(c, c->writes.bytes, c->writes.length);
        return;
    }
    end_delivery(c, now);
    if (started < options.deliveries) begin_delivery(c, now);
}

// The only lines besides messages that servers may write are pings, which NATS and IRC do in the same way.
static void take_other_line(struct connection *c, const char *line, size_t length)
{
    bool ping = length >= strlen("PING") && memcmp(line, "PING", strlen("PING")) == 0;
    if (!ping || options.protocol == CLASSIC || options.protocol == WINDOW)
        fail("%s: after %ld deliveries the server wrote: %.*s", c->name, finished,
             (int)strcspn(line, "\r\n"), line);
    append(c, "PONG", strlen("PONG"));
    append(c, line + strlen("PING"), length - strlen("PING"));
}

static void take_input(struct connection *c)
{
    ssize_t count = read(c->socket, c->input + c->input_length, c->input_size - 1 - c->input_length);
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) fail("%s: read: %s", c->name, strerror(errno));
    if (count == 0) fail("%s: the server closed the connection after %ld deliveries", c->name, finished);
    int64_t now = nanoseconds();

    const char *at = c->input, *end = c->input + c->input_length + count;
    c->input[end - c->input] = 0; // for the functions that look at strings; they are called on errors only
    for (;;) {
        size_t left = (size_t)(end - at);
        size_t compared = left < c->reads.length ? left : c->reads.length;
        if (memcmp(at, c->reads.bytes, compared) == 0) {
            if (left < c->reads.length) break; // nothing is left, or only the beginning of a message
            take_message(c, now);
            at += c->reads.length;
        } else {
            const char *newline = memchr(at, '\n', left);
            if (!newline && left < LONGEST_LINE) break;
            const char *next = newline ? newline + 1 : end;
            take_other_line(c, at, (size_t)(next - at));
            at = next;
        }
    }
    c->input_length = (size_t)(end - at);
    memmove(c->input, at, c->input_length);
    flush(c);
}

static void run(struct connection *connections)
{
    int64_t now = last_delivery = nanoseconds();
    for (int i = 0; i < options.pairs; i++) {
        struct connection *sender = &connections[2 * i];
        while (sender->in_flight < options.window && started < options.deliveries) begin_delivery(sender, now);
        flush(sender);
    }
    struct epoll_event events[EVENTS];
    while (finished < options.deliveries) {
        int count = epoll_wait(epoll, events, EVENTS, 1000);
        if (count < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) flush(c);
            if (events[i].events & ~(uint32_t)EPOLLOUT) take_input(c);
        }
        if (nanoseconds() - last_delivery > PATIENCE_SECONDS * INT64_C(1000000000))
            fail("no delivery for %d seconds: %ld of %ld that were sent have been answered", PATIENCE_SECONDS,
                 finished, started);
    }
}

static int compare_latencies(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static double percentile_microseconds(double share)
{
    long rank = (long)(share * (double)options.deliveries);
    return (double)latencies[rank < options.deliveries ? rank : options.deliveries - 1] / 1e3;
}

static void report(double seconds, double server, double own)
{
    qsort(latencies, (size_t)options.deliveries, sizeof *latencies, compare_latencies);
    printf("{\"protocol\": \"%s\", \"pairs\": %d, \"window\": %d, \"bytes\": %ld, \"deliveries\": %ld, "
           "\"seconds\": %.3f, \"deliveries_per_second\": %.0f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p99.9_us\": %.1f, ",
           protocol_names[options.protocol], options.pairs, options.window, options.bytes, finished, seconds,
           (double)finished / seconds, percentile_microseconds(0.5), percentile_microseconds(0.99),
           percentile_microseconds(0.999));
    if (options.server_pid) printf("\"server_cpu_us_per_delivery\": %.3f, ", server * 1e6 / (double)finished);
    printf("\"load_cpu_share\": %.3f}\n", own / seconds);
}

// The command line

static long number(const char *option, const char *value, long least, long most)
{
    char *end;
    errno = 0;
    long result = strtol(value, &end, 10);
    if (errno || end == value || *end || result < least || result > most)
        fail("--%s is a number from %ld to %ld, not '%s'", option, least, most, value);
    return result;
}

static int protocol_number(const char *name)
{
    for (int i = 0; i < PROTOCOLS; i++)
        if (strcmp(name, protocol_names[i]) == 0) return i;
    fail("--protocol is classic, window, nats or irc, not '%s'", name);
}

static void read_options(int count, char **arguments)
{
    enum { PROTOCOL, PORT, PAIRS, IN_FLIGHT, DELIVERIES, BYTES, SERVER_PID };
    static const struct option known[] = {
        {"protocol", required_argument, NULL, PROTOCOL},
        {"port", required_argument, NULL, PORT},
        {"pairs", required_argument, NULL, PAIRS},
        {"window", required_argument, NULL, IN_FLIGHT},
        {"deliveries", required_argument, NULL, DELIVERIES},
        {"bytes", required_argument, NULL, BYTES},
        {"server-pid", required_argument, NULL, SERVER_PID},
        {0},
    };
    int option, index;
    while ((option = getopt_long(count, arguments, "", known, &index)) != -1) {
        if (option == '?') exit(2);
        const char *name = known[index].name;
        switch (option) {
        case PROTOCOL: options.protocol = protocol_number(optarg); break;
        case PORT: options.port = (int)number(name, optarg, 1, 65535); break;
        case PAIRS: options.pairs = (int)number(name, optarg, 1, 100000); break;
        case IN_FLIGHT: options.window = (int)number(name, optarg, 1, 100000); break;
        case DELIVERIES: options.deliveries = number(name, optarg, 1, 1000000000); break;
        case BYTES: options.bytes = number(name, optarg, 1, 1 << 20); break;
        case SERVER_PID: options.server_pid = (int)number(name, optarg, 1, INT32_MAX); break;
        }
    }
    if (options.protocol < 0 || !options.port || optind < count) {
        fputs("usage: load --protocol classic|window|nats|irc --port PORT [--pairs N] [--window IN_FLIGHT]\n"
              "            [--deliveries N] [--bytes N] [--server-pid PID]\n", stderr);
        exit(2);
    }
    // A line of IRC has at most 512 bytes, of which the server needs some for the sender's name and address.
    if (options.protocol == IRC && options.bytes > 350) fail("--bytes is at most 350 over IRC");
}

int main(int count, char **arguments)
{
    read_options(count, arguments);
    struct connection *connections = allocate(2 * (size_t)options.pairs, sizeof *connections);
    latencies = allocate((size_t)options.deliveries, sizeof *latencies);
    char *body = allocate((size_t)options.bytes + 1, 1);
    memset(body, 'x', (size_t)options.bytes);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) fail("epoll_create1: %s", strerror(errno));

    for (int i = 0; i < options.pairs; i++) {
        struct connection *sender = &connections[2 * i], *receiver = sender + 1;
        sender->sends = true;
        snprintf(sender->name, sizeof sender->name, "s%d", i);
        snprintf(receiver->name, sizeof receiver->name, "r%d", i);
        login(sender);
        login(receiver);
        write_script(sender, receiver, body);
        prepare(sender);
        prepare(receiver);
    }

    double server_before = server_cpu(), own_before = own_cpu();
    int64_t began = nanoseconds();
    run(connections);
    double seconds = (double)(nanoseconds() - began) / 1e9;
    report(seconds, server_cpu() - server_before, own_cpu() - own_before);
    return 0;
}
