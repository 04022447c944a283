// Redis publish and subscribe: each user subscribes to a channel of the same name. Version 3 of the protocol allows
// that on the connection on which the user publishes.
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void log_in(struct connection *c)
{
    say(c, "HELLO 3\r\nSUBSCRIBE %s\r\nPING\r\n", c->name);
    do {
        read_line(c);
        if (c->line[0] == '-') fail("%s: the server wrote: %s", c->name, c->line);
    } while (strcmp(c->line, "+PONG") != 0);
    c->state = allocate(1, sizeof(long));
}

static struct text publish(const char *channel, struct text message)
{
    return text("*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(channel), channel, message.length,
                message.bytes);
}

static struct text published(const char *channel, struct text message)
{
    return text(">3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(channel), channel, message.length,
                message.bytes);
}

static void script(struct connection *sender, struct connection *receiver)
{
    struct text answer = {"y", 1};
    sender->writes = publish(receiver->name, body);
    receiver->reads = published(receiver->name, body);
    receiver->writes = publish(sender->name, answer);
    sender->reads = published(sender->name, answer);
}

// The server answers a PUBLISH with the number of receivers.
static size_t take(struct connection *c, const char *at, size_t length)
{
    struct reader r = {c, at, at, at + length};
    if (!take_string(&r, ":1\r\n")) return 0;
    long *replies = c->state;
    if (++*replies > (c->sends ? c->begun : c->taken)) unexpected(c, at, (size_t)(r.at - at));
    return (size_t)(r.at - at);
}

const struct protocol redis = {
    .name = "redis",
    .log_in = log_in,
    .script = script,
    .take = take,
};
