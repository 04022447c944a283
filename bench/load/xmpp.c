// XMPP: a message, answered by a message. Users are anonymous, and the server chooses their addresses.
//
// Servers write the attributes of a message in any order and with either quotation mark, and may add the stream's
// language.
#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <string.h>

static const char domain[] = "localhost";

// Read up to the end of some text, byte by byte, because XML has no lines.
static void read_until(struct connection *c, const char *text)
{
    size_t length = 0;
    c->line[0] = 0;
    while (!strstr(c->line, text)) {
        if (length + 1 == sizeof c->line) fail("%s: the server does not write '%s' but: %s", c->name, text, c->line);
        read_bytes(c, c->line + length, 1);
        c->line[++length] = 0;
        if (strstr(c->line, "error") || strstr(c->line, "failure"))
            fail("%s: the server wrote an error: %s", c->name, c->line);
    }
}

static void open_stream(struct connection *c)
{
    say(c,
        "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xml:lang='en' xmlns='jabber:client' "
        "xmlns:stream='http://etherx.jabber.org/streams'>",
        domain);
    read_until(c, "</stream:features>");
}

static void log_in(struct connection *c)
{
    open_stream(c);
    say(c, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>");
    read_until(c, "<success");
    read_until(c, ">");
    open_stream(c);
    say(c, "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    read_until(c, "</iq>");
    const char *address = strstr(c->line, "<jid>"), *end = strstr(c->line, "</jid>");
    if (!address || !end) fail("%s: the server does not say what its address is: %s", c->name, c->line);
    address += strlen("<jid>");
    snprintf(c->address, sizeof c->address, "%.*s", (int)(end - address), address);
}

static struct text message(const struct connection *to, const char *content)
{
    return text("<message to='%s' type='chat'><body>%s</body></message>", to->address, content);
}

// The part of a message that follows its attributes.
static struct text *content(const char *content)
{
    struct text *result = allocate(1, sizeof *result);
    *result = text("><body>%s</body></message>", content);
    return result;
}

static void script(struct connection *sender, struct connection *receiver)
{
    sender->writes = message(receiver, body.bytes);
    receiver->state = content(body.bytes);
    receiver->writes = message(sender, "y");
    sender->state = content("y");
}

// Read one attribute, in either kind of quotation marks. Return NULL if it is incomplete.
static const char *take_attribute(struct reader *r, struct text *name, struct text *value)
{
    const char *equals = memchr(r->at, '=', (size_t)(r->end - r->at));
    if (!equals || equals + 1 == r->end) return NULL;
    const char *opening = equals + 1;
    if (*opening != '\'' && *opening != '"') unexpected(r->c, r->begin, (size_t)(r->end - r->begin));
    const char *closing = memchr(opening + 1, *opening, (size_t)(r->end - opening - 1));
    if (!closing) return NULL;
    *name = (struct text){(char *)r->at, (size_t)(equals - r->at)};
    *value = (struct text){(char *)opening + 1, (size_t)(closing - opening - 1)};
    return r->at = closing + 1;
}

static bool is(struct text text, const char *string)
{
    return text.length == strlen(string) && memcmp(text.bytes, string, text.length) == 0;
}

static size_t take(struct connection *c, const char *at, size_t length)
{
    struct reader r = {c, at, at, at + length};
    if (!take_string(&r, "<message")) return 0;
    bool from = false, to = false, type = false;
    while (r.at < r.end && *r.at == ' ') {
        r.at++;
        struct text name, value;
        if (!take_attribute(&r, &name, &value)) return 0;
        if (is(name, "from") && is(value, c->other->address)) from = true;
        else if (is(name, "to") && is(value, c->address)) to = true;
        else if (is(name, "type") && is(value, "chat")) type = true;
        else if (!is(name, "xml:lang") || !is(value, "en")) unexpected(c, at, length);
    }
    const struct text *content = c->state;
    if (!take_text(&r, content->bytes, content->length)) return 0;
    if (!from || !to || !type) unexpected(c, at, (size_t)(r.at - at));
    if (c->sends) answer_came(c, 1);
    else message_came(c);
    return (size_t)(r.at - at);
}

const struct protocol xmpp = {
    .name = "xmpp",
    .log_in = log_in,
    .script = script,
    .take = take,
};
