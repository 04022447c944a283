// IRC: a PRIVMSG, answered by a PRIVMSG.
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
    read_until(c, " 376 ", " 422 "); // end of the message of the day, or no such message
    // A message to oneself shows the name and address under which others see this user.
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

static void join(struct connection *c)
{
    say(c, "JOIN #everyone\r\n");
    read_until(c, " 366 ", " 403 "); // end of the list of names, or no such channel
    if (strstr(c->line, " 403 ")) fail("%s: the server wrote: %s", c->name, c->line);
}

// The server tells each member of the channel who joins, so read that until the last one has joined.
static void script_everyone(struct connection *sender, struct connection *receivers)
{
    join(sender);
    for (int i = 0; i < options.receivers; i++) join(&receivers[i]);
    const struct connection *last = &receivers[options.receivers - 1];
    for (int i = -1; i < options.receivers - 1; i++) {
        struct connection *c = i < 0 ? sender : &receivers[i];
        do read_until(c, " JOIN ", " JOIN ");
        while (!starts_with(c->line, last->address));
    }
    for (int i = 0; i < options.receivers; i++) {
        receivers[i].reads = text("%s PRIVMSG #everyone :%s\r\n", sender->address, body.bytes);
        receivers[i].writes = text("PRIVMSG %s :y\r\n", sender->name);
    }
    sender->writes = text("PRIVMSG #everyone :%s\r\n", body.bytes);
    sender->answers_expected = options.receivers;
    sender->state = receivers;
}

// With several receivers, parse the answer of any of them. It begins with ":r12!", for example.
static void take_answer(struct connection *sender, const char *at, size_t length)
{
    const struct connection *receivers = sender->state;
    struct reader r = {sender, at, at, at + length};
    long number;
    take_string(&r, ":r");
    if (!take_number(&r, &number) || number >= options.receivers) unexpected(sender, at, length);
    r.at = at;
    bool whole = take_string(&r, receivers[number].address) && take_string(&r, " PRIVMSG ") &&
                 take_string(&r, sender->name) && take_string(&r, " :y\r\n");
    if (!whole) unexpected(sender, at, length);
    answer_came(sender, 1);
}

static size_t take(struct connection *c, const char *at, size_t length)
{
    size_t line = line_length(c, at, length);
    if (!line) return 0;
    if (line > strlen("PING ") && memcmp(at, "PING ", strlen("PING ")) == 0) {
        append(c, "PONG", strlen("PONG"));
        append(c, at + strlen("PING"), line - strlen("PING"));
    } else if (c->sends && options.receivers) {
        take_answer(c, at, line);
    } else {
        unexpected(c, at, line);
    }
    return line;
}

// A line has at most 512 bytes, including the sender's name and address, which the server adds.
const struct protocol irc = {
    .name = "irc",
    .longest_body = 350,
    .log_in = log_in,
    .script = script,
    .script_everyone = script_everyone,
    .take = take,
};
