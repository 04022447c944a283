// The measured part: non-blocking sockets, epoll, and the messages in flight.
#define _GNU_SOURCE
#include "load.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_AHEAD = 64 << 10, // bytes that one read may take beyond one message
    EVENTS = 256,          // events that one call of epoll_wait may return
    FIRST_OUTPUT = 4096,
    FIRST_LATENCIES = 1 << 20,
    SHOWN = 200, // bytes of unexpected input that an error message shows
};
#define SECOND INT64_C(1000000000)

static int epoll = -1;
static long started, finished, target; // messages of this run
static int64_t *latencies;             // of the finished messages, in nanoseconds
static long latencies_size;
static int64_t now; // the time of the last read
static int64_t last_delivery;

static int64_t nanoseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static void watch(struct connection *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, operation, c->socket, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

// From here on the socket does not block.
void prepare(struct connection *c)
{
    if (epoll < 0) epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) fail("epoll_create1: %s", strerror(errno));
    if (!c->answers_expected) c->answers_expected = 1;
    c->input_size = READ_AHEAD + c->reads.length + body.length;
    c->input = allocate(1, c->input_size);
    c->output_size = FIRST_OUTPUT;
    c->output = allocate(1, c->output_size);
    if (c->sends) c->due = allocate((size_t)options.window, sizeof *c->due);
    int flags = fcntl(c->socket, F_GETFL);
    if (flags < 0 || fcntl(c->socket, F_SETFL, flags | O_NONBLOCK) < 0) fail("fcntl: %s", strerror(errno));
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

// Writing

static void make_room(struct connection *c, size_t length)
{
    if (c->output_start) {
        c->output_end -= c->output_start;
        memmove(c->output, c->output + c->output_start, c->output_end);
        c->output_start = 0;
    }
    while (c->output_end + length > c->output_size) c->output_size *= 2;
    c->output = realloc(c->output, c->output_size);
    if (!c->output) fail("out of memory");
}

void append(struct connection *c, const void *bytes, size_t length)
{
    if (c->output_end + length > c->output_size) make_room(c, length);
    memcpy(c->output + c->output_end, bytes, length);
    c->output_end += length;
}

void append_format(struct connection *c, const char *format, ...)
{
    char line[LONGEST_LINE];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof line) fail("%s: a line to write is too long", c->name);
    append(c, line, (size_t)length);
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

// Deliveries

static void begin_delivery(struct connection *sender, int64_t due)
{
    if (sender->begun - sender->settled == options.window)
        fail("%s: %d messages are in flight already, the limit", sender->name, options.window);
    sender->due[sender->begun % options.window] = due;
    if (options.protocol->write_message) options.protocol->write_message(sender);
    else append(sender, sender->writes.bytes, sender->writes.length);
    sender->begun++;
    started++;
}

static void add_latency(int64_t latency)
{
    if (finished == latencies_size) {
        latencies_size = latencies_size ? 2 * latencies_size : FIRST_LATENCIES;
        latencies = realloc(latencies, (size_t)latencies_size * sizeof *latencies);
        if (!latencies) fail("out of memory");
    }
    latencies[finished++] = latency;
}

static void end_delivery(struct connection *sender)
{
    if (sender->settled == sender->begun) fail("%s: received an answer without a message in flight", sender->name);
    add_latency(now - sender->due[sender->settled % options.window]);
    sender->settled++;
    last_delivery = now;
    if (!options.rate && started < target) begin_delivery(sender, now);
}

void answer_came(struct connection *sender, long count)
{
    for (sender->answers += count; sender->answers >= sender->answers_expected;) {
        sender->answers -= sender->answers_expected;
        end_delivery(sender);
    }
}

void message_came(struct connection *receiver)
{
    receiver->taken++;
    append(receiver, receiver->writes.bytes, receiver->writes.length);
}

// Reading

void unexpected(struct connection *c, const char *at, size_t length)
{
    char shown[4 * SHOWN + 1], *end = shown;
    for (size_t i = 0; i < length && i < SHOWN; i++)
        end += sprintf(end, isprint((unsigned char)at[i]) ? "%c" : "\\x%02x", (unsigned char)at[i]);
    *end = 0;
    fail("%s: after %ld deliveries the server wrote what it should not: %s", c->name, finished, shown);
}

// Return the length of the first item of the input; 0 if it is incomplete.
static size_t take_one(struct connection *c, const char *at, size_t length)
{
    size_t compared = length < c->reads.length ? length : c->reads.length;
    if (compared && memcmp(at, c->reads.bytes, compared) == 0) {
        if (length < c->reads.length) return 0;
        if (c->sends) answer_came(c, 1);
        else message_came(c);
        return c->reads.length;
    }
    if (!options.protocol->take) unexpected(c, at, length);
    return options.protocol->take(c, at, length);
}

static void take_input(struct connection *c)
{
    ssize_t count = read(c->socket, c->input + c->input_length, c->input_size - c->input_length);
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) fail("%s: read: %s", c->name, strerror(errno));
    if (count == 0) fail("%s: the server closed the connection after %ld deliveries", c->name, finished);
    now = nanoseconds();

    const char *at = c->input, *end = c->input + c->input_length + count;
    for (size_t taken = 1; taken && at < end; at += taken) taken = take_one(c, at, (size_t)(end - at));
    c->input_length = (size_t)(end - at);
    if (c->input_length == c->input_size) unexpected(c, at, c->input_length);
    memmove(c->input, at, c->input_length);
    if (options.protocol->read_ended) options.protocol->read_ended(c);
    flush(c);
}

// Running

// With --rate, return the time at which the message with this number is due.
static int64_t due(int64_t began, long number)
{
    return began + (int64_t)((double)number * (double)SECOND / (double)options.rate);
}

static void begin_what_is_due(struct connection *senders, int count, int64_t began)
{
    for (; started < target && due(began, started) <= nanoseconds();) {
        struct connection *sender = &senders[started % count];
        begin_delivery(sender, due(began, started));
        flush(sender);
    }
}

static void begin_all(struct connection *senders, int count, int64_t began)
{
    for (int i = 0; i < count; i++) {
        while (senders[i].begun - senders[i].settled < options.window && started < target)
            begin_delivery(&senders[i], began);
        flush(&senders[i]);
    }
}

static void take_events(int64_t wait)
{
    struct epoll_event events[EVENTS];
    struct timespec timeout = {.tv_sec = wait / SECOND, .tv_nsec = wait % SECOND};
    int count = epoll_pwait2(epoll, events, EVENTS, &timeout, NULL);
    if (count < 0 && errno != EINTR) fail("epoll_pwait2: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        struct connection *c = events[i].data.ptr;
        if (events[i].events & EPOLLOUT) flush(c);
        if (events[i].events & ~(uint32_t)EPOLLOUT) take_input(c);
    }
}

struct result run(struct connection *senders, int count, long deliveries, double seconds)
{
    started = finished = 0;
    target = deliveries;
    int64_t began = last_delivery = nanoseconds();
    if (!options.rate) begin_all(senders, count, began);
    while (finished < target) {
        int64_t wait = SECOND;
        if (options.rate) {
            begin_what_is_due(senders, count, began);
            if (started < target) wait = due(began, started) - nanoseconds();
        }
        take_events(wait > 0 ? wait : 0);
        int64_t end = nanoseconds();
        if (end - last_delivery > PATIENCE_SECONDS * SECOND)
            fail("no delivery for %d seconds: %ld of %ld that were sent have been answered", PATIENCE_SECONDS, finished,
                 started);
        if (seconds > 0 && (double)(end - began) > seconds * (double)SECOND) target = started;
    }
    return (struct result){(double)(nanoseconds() - began) / (double)SECOND, finished, latencies};
}
