// nats-server: a message with a reply subject, answered by a message to that subject.
#include "load.h"

#include <string.h>

static void log_in(struct connection *c)
{
    read_line(c);
    if (!starts_with(c->line, "INFO ")) fail("%s: the server is not nats-server, it wrote: %s", c->name, c->line);
    say(c, "CONNECT {\"verbose\":false}\r\n");
    say(c, "SUB %s 1\r\nPING\r\n", options.receivers && !c->sends ? "everyone" : c->name);
    expect_line(c, "PONG");
}

static void script_to(struct connection *sender, struct connection *receiver, const char *subject)
{
    receiver->reads = text("MSG %s 1 %s %ld\r\n%s\r\n", subject, sender->name, options.bytes, body.bytes);
    receiver->writes = text("PUB %s 1\r\ny\r\n", sender->name);
    sender->writes = text("PUB %s %s %ld\r\n%s\r\n", subject, sender->name, options.bytes, body.bytes);
    sender->reads = text("MSG %s 1 1\r\ny\r\n", sender->name);
}

static void script(struct connection *sender, struct connection *receiver)
{
    script_to(sender, receiver, receiver->name);
}

static void script_everyone(struct connection *sender, struct connection *receivers)
{
    for (int i = 0; i < options.receivers; i++) script_to(sender, &receivers[i], "everyone");
    sender->answers_expected = options.receivers;
}

static size_t take(struct connection *c, const char *at, size_t length)
{
    size_t line = line_length(c, at, length);
    if (!line) return 0;
    if (line != strlen("PING\r\n") || memcmp(at, "PING\r\n", line) != 0) unexpected(c, at, line);
    append(c, "PONG\r\n", strlen("PONG\r\n"));
    return line;
}

const struct protocol nats = {
    .name = "nats",
    .log_in = log_in,
    .script = script,
    .script_everyone = script_everyone,
    .take = take,
};
