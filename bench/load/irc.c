// IRC: a PRIVMSG, and a PRIVMSG back.
#define _GNU_SOURCE
#include "load.h"

#include <string.h>

static void read_until(struct connection *c, const char *one, const char *other)
{
    do {
        read_line(c);
        if (starts_with(c->line, "PING ")) say(c, "PONG %s\r\n", c->line + strlen("PING "));
        if (starts_with(c->line, "ERROR ")) fail("%s: the server wrote: %s", c->name, c->line);
    } while (!strstr(c->line, one) && !strstr(c->line, other));
}

static void log_in(struct connection *c)
{
    say(c, "NICK %s\r\nUSER %s 0 * :%s\r\n", c->name, c->name, c->name);
    read_until(c, " 376 ", " 422 "); // the end of the message of the day, or that there is none
    // A message to oneself shows under what name and address others see this user.
    say(c, "PRIVMSG %s :x\r\n", c->name);
    read_until(c, " PRIVMSG ", " 401 ");
    char *end = strstr(c->line, " PRIVMSG ");
    if (!end || (size_t)(end - c->line) >= sizeof c->address) fail("%s: the server wrote: %s", c->name, c->line);
    memcpy(c->address, c->line, (size_t)(end - c->line));
}

static void script(struct connection *sender, struct connection *receiver)
{
    sender->writes = text("PRIVMSG %s :%s\r\n", receiver->name, body.bytes);
    receiver->reads = text("%s PRIVMSG %s :%s\r\n", sender->address, receiver->name, body.bytes);
    receiver->writes = text("PRIVMSG %s :y\r\n", sender->name);
    sender->reads = text("%s PRIVMSG %s :y\r\n", receiver->address, sender->name);
}

static size_t take(struct connection *c, const char *at, size_t length)
{
    size_t line = line_length(c, at, length);
    if (!line) return 0;
    if (line < strlen("PING ") || memcmp(at, "PING ", strlen("PING ")) != 0) unexpected(c, at, line);
    append(c, "PONG", strlen("PONG"));
    append(c, at + strlen("PING"), line - strlen("PING"));
    return line;
}

// A line has at most 512 bytes, of which the server needs some for the sender's name and address.
const struct protocol irc = {
    .name = "irc",
    .longest_body = 350,
    .log_in = log_in,
    .script = script,
    .take = take,
};
