// Functions for logging in: blocking reads and writes, with a time limit.
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int open_socket(void)
{
    int result = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (result < 0) fail("socket: %s", strerror(errno));
    int on = 1;
    setsockopt(result, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    setsockopt(result, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(result, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect to port %d: %s", options.port, strerror(errno));
    return result;
}

void write_bytes(struct connection *c, const void *bytes, size_t length)
{
    for (size_t written = 0; written < length;) {
        ssize_t count = send(c->socket, (const char *)bytes + written, length - written, MSG_NOSIGNAL);
        if (count < 0) fail("%s: write while logging in: %s", c->name, strerror(errno));
        written += (size_t)count;
    }
}

void say(struct connection *c, const char *format, ...)
{
    char line[LONGEST_LINE];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof line) fail("%s: what is to be written is too long", c->name);
    write_bytes(c, line, (size_t)length);
}

// Read some bytes. With the flag MSG_PEEK, they stay in the socket.
static size_t receive(struct connection *c, void *bytes, size_t length, int flags)
{
    ssize_t count = recv(c->socket, bytes, length, flags);
    if (count == 0) fail("%s: the server closed the connection; before that it wrote: %s", c->name, c->line);
    if (count < 0 && errno == EAGAIN)
        fail("%s: the server writes nothing more while logging in; before that it wrote: %s", c->name, c->line);
    if (count < 0) fail("%s: read while logging in: %s", c->name, strerror(errno));
    return (size_t)count;
}

void read_bytes(struct connection *c, void *bytes, size_t length)
{
    for (size_t got = 0; got < length;) got += receive(c, (char *)bytes + got, length - got, 0);
}

// Peek before reading, so that no bytes after the line are consumed.
void read_line(struct connection *c)
{
    char line[LONGEST_LINE];
    size_t length = 0;
    for (char *newline = NULL; !newline;) {
        if (length == sizeof line) fail("%s: the server wrote a line that is too long", c->name);
        size_t count = receive(c, line + length, sizeof line - length, MSG_PEEK);
        newline = memchr(line + length, '\n', count);
        if (newline) count = (size_t)(newline - line) + 1 - length;
        read_bytes(c, line + length, count);
        length += count;
    }
    length--;
    if (length && line[length - 1] == '\r') length--;
    line[length] = 0;
    memcpy(c->line, line, length + 1);
}

void expect_line(struct connection *c, const char *format, ...)
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

bool starts_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}
