// PostgreSQL: each message is a row, inserted by a prepared statement in a transaction of its own. Senders pipeline: a
// sender does not wait for one transaction to end before it writes the next. A Sync after each commits it.
#define _GNU_SOURCE
#include "binary.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VERSION = 3 << 16, TEXT = 25, BYTEA = 17 }; // of the protocol; numbers of types

static const char table[] = "CREATE TABLE IF NOT EXISTS messages"
                            " (id bigserial PRIMARY KEY, sender text, recipient text, body bytea)";
static const char insert[] = "INSERT INTO messages (sender, recipient, body) VALUES ($1, $2, $3)";

// Write a message: its kind, its length including the length field, and its content, which is freed.
static void put_message(struct text *to, char kind, struct text *content)
{
    put_bytes(to, &kind, 1);
    put_number(to, 4, content->length + 4);
    put_text(to, content);
}

static void put_name(struct text *to, const char *name)
{
    put_bytes(to, name, strlen(name) + 1);
}

static void put_value(struct text *to, const char *bytes, size_t length)
{
    put_number(to, 4, length);
    put_bytes(to, bytes, length);
}

// Read until the server is ready for a query. Return false if the server is still starting.
static bool read_until_ready(struct connection *c)
{
    for (;;) {
        char start[5], content[LONGEST_LINE];
        read_bytes(c, start, sizeof start);
        size_t length = get_number(start + 1, 4) - 4;
        if (length > sizeof content) fail("%s: the server wrote a message that is too long", c->name);
        read_bytes(c, content, length);
        if (start[0] == 'Z') return true;
        if (start[0] == 'E' && memmem(content, length, "C57P03", sizeof "C57P03")) return false;
        if (start[0] == 'E' || (start[0] == 'R' && get_number(content, 4) != 0)) unexpected(c, content, length);
    }
}

static bool open_session(struct connection *c)
{
    static const char who[] = "user\0bench\0database\0postgres\0";
    struct text start = {0};
    put_number(&start, 4, 4 + 4 + sizeof who);
    put_number(&start, 4, VERSION);
    put_bytes(&start, who, sizeof who);
    say_text(c, &start);
    return read_until_ready(c);
}

static void ask(struct connection *c, struct text *messages)
{
    say_text(c, messages);
    if (!read_until_ready(c)) fail("%s: the server is not ready", c->name);
}

static void log_in(struct connection *c)
{
    for (int left = PATIENCE_SECONDS * 10; !open_session(c); left--) {
        if (!left) fail("%s: the server is still starting", c->name);
        close(c->socket);
        usleep(100000);
        c->socket = open_socket();
    }
    struct text messages = {0}, content = {0};
    if (c->number == 0) {
        put_name(&content, table);
        put_message(&messages, 'Q', &content);
        ask(c, &messages);
    }
    put_name(&content, "insert");
    put_name(&content, insert);
    put_number(&content, 2, 3);
    put_number(&content, 4, TEXT);
    put_number(&content, 4, TEXT);
    put_number(&content, 4, BYTEA);
    put_message(&messages, 'P', &content);
    put_message(&messages, 'S', &content);
    ask(c, &messages);
}

static void script(struct connection *sender, struct connection *receiver)
{
    (void)receiver;
    struct text content = {0}, recipient = text("r%d", sender->number);
    put_name(&content, ""); // the portal
    put_name(&content, "insert");
    put_number(&content, 2, 1); // one format for all values:
    put_number(&content, 2, 1); // binary
    put_number(&content, 2, 3);
    put_value(&content, sender->name, strlen(sender->name));
    put_value(&content, recipient.bytes, recipient.length);
    put_value(&content, body.bytes, body.length);
    put_number(&content, 2, 0);
    put_message(&sender->writes, 'B', &content);
    put_name(&content, "");     // the portal
    put_number(&content, 4, 0); // any number of rows
    put_message(&sender->writes, 'E', &content);
    put_message(&sender->writes, 'S', &content);
    free(recipient.bytes);

    put_message(&sender->reads, '2', &content); // BindComplete
    put_name(&content, "INSERT 0 1");
    put_message(&sender->reads, 'C', &content); // CommandComplete
    put_string(&content, "I");
    put_message(&sender->reads, 'Z', &content); // ReadyForQuery, outside of a transaction: it is committed
}

const struct protocol postgres = {
    .name = "postgres",
    .no_receivers = true,
    .log_in = log_in,
    .script = script,
};
