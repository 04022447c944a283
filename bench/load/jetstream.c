// JetStream, the part of nats-server that stores messages: the server acknowledges each message when it is stored; and
// a consumer fetches the messages of one recipient, as a device of Twotick does that comes back.
#include "load.h"

#include <stdio.h>
#include <string.h>

#define STREAM "messages"

enum { WINDOW = 256 }; // messages in flight to a consumer

struct state {
    long stored; // the number in the stream of the last message that was stored, or fetched

    // The consumer's.
    struct text delivered, acknowledged_to, last_acknowledged;
    long taken, acknowledged;
    char to_acknowledge[256]; // the subject that acknowledges the message fetched last
};

static void log_in(struct connection *c)
{
    read_line(c);
    if (!starts_with(c->line, "INFO ")) fail("%s: the server is not nats-server, it wrote: %s", c->name, c->line);
    say(c, "CONNECT {\"verbose\":false}\r\nSUB answer.%s.* 1\r\nPING\r\n", c->name);
    expect_line(c, "PONG");
    c->state = allocate(1, sizeof(struct state));
}

// Create a stream or a consumer. The answer is the same if it exists with the same settings.
static void create(struct connection *c, const char *what, const char *settings)
{
    say(c, "PUB $JS.API.%s answer.%s.made %zu\r\n%s\r\n", what, c->name, strlen(settings), settings);
    read_line(c);
    if (!starts_with(c->line, "MSG answer.")) fail("%s: the server wrote: %s", c->name, c->line);
    read_line(c);
    if (strstr(c->line, "\"error\"")) fail("%s: %s: %s", c->name, what, c->line);
}

static bool take_ping(struct reader *r)
{
    if (!take_string(r, "PING\r\n")) return false;
    append_format(r->c, "PONG\r\n");
    return true;
}

// Sending

static void log_in_sender(struct connection *c)
{
    log_in(c);
    if (c->number == 0)
        create(c, "STREAM.CREATE." STREAM, "{\"name\":\"" STREAM "\",\"subjects\":[\"to.*\"],\"storage\":\"file\"}");
}

static void script(struct connection *c, struct connection *receiver)
{
    (void)c, (void)receiver; // the answer to each message goes to a subject of its own
}

static void write_message(struct connection *sender)
{
    append_format(sender, "PUB to.r%d answer.%s.%ld %ld\r\n", sender->number, sender->name, sender->begun,
                  options.bytes);
    append(sender, body.bytes, body.length);
    append(sender, "\r\n", 2);
}

static bool take_stored(struct reader *r)
{
    struct state *state = r->c->state;
    long number, length, stored;
    bool whole = take_string(r, "MSG answer.") && take_string(r, r->c->name) && take_string(r, ".") &&
                 take_number(r, &number) && take_string(r, " 1  ") && take_number(r, &length) && take_string(r, "\r\n");
    const char *content = r->at;
    whole = whole && take_string(r, "{\"stream\":\"" STREAM "\", \"seq\":") && take_number(r, &stored) &&
            take_string(r, "}\r\n");
    if (!whole) return false;
    if (length != r->at - content - 2) unexpected(r->c, r->begin, (size_t)(r->at - r->begin));
    if (number != r->c->settled || stored <= state->stored)
        fail("%s: message %ld is said to be stored as %ld, where message %ld is next, after %ld", r->c->name, number,
             stored, r->c->settled, state->stored);
    state->stored = stored;
    answer_came(r->c, 1);
    return true;
}

static size_t take(struct connection *c, const char *at, size_t length)
{
    struct reader r = {c, at, at, at + length};
    bool whole = *at == 'P' ? take_ping(&r) : take_stored(&r);
    return whole ? (size_t)(r.at - at) : 0;
}

const struct protocol jetstream = {
    .name = "jetstream",
    .no_receivers = true,
    .log_in = log_in_sender,
    .script = script,
    .write_message = write_message,
    .take = take,
};

// Coming back: as in stored.c, all messages are in flight from the start. The server sends them as soon as a client
// subscribes to the consumer's subject.

static void log_in_consumer(struct connection *c)
{
    log_in(c);
    struct text settings =
        text("{\"stream_name\":\"" STREAM "\",\"config\":{\"durable_name\":\"r%d\",\"filter_subject\":\"to.r%d\","
             "\"deliver_subject\":\"deliver.r%d\",\"ack_policy\":\"all\",\"max_ack_pending\":%d}}",
             c->number, c->number, c->number, WINDOW);
    struct text what = text("CONSUMER.DURABLE.CREATE." STREAM ".r%d", c->number);
    create(c, what.bytes, settings.bytes);
}

static void script_consumer(struct connection *c, struct connection *receiver)
{
    (void)receiver;
    struct state *state = c->state;
    state->delivered = text("MSG to.r%d 2 ", c->number);
    state->acknowledged_to = text("$JS.ACK." STREAM ".r%d.1.", c->number); // 1: the first delivery
    state->last_acknowledged = text("MSG answer.%s.last 1  0\r\n\r\n", c->name);
}

static void come_back(struct connection *c)
{
    if (!c->begun) append_format(c, "SUB deliver.r%d 2\r\n", c->number);
}

// The subject that acknowledges a message ends in its number in the stream, its number for the consumer, the time at
// which it was stored, and the number of messages that are left.
static bool take_delivered(struct reader *r)
{
    struct state *state = r->c->state;
    if (!take_text(r, state->delivered.bytes, state->delivered.length)) return false;
    const char *subject = r->at;
    long stored, number;
    bool whole = take_text(r, state->acknowledged_to.bytes, state->acknowledged_to.length) && take_number(r, &stored) &&
                 take_string(r, ".") && take_number(r, &number) && take_string(r, ".");
    const char *end = whole ? memchr(r->at, ' ', (size_t)(r->end - r->at)) : NULL;
    if (!end) return false;
    r->at = end;
    long length;
    whole = take_string(r, " ") && take_number(r, &length) && take_string(r, "\r\n") &&
            take_text(r, body.bytes, body.length) && take_string(r, "\r\n");
    if (!whole) return false;
    if (length != options.bytes) unexpected(r->c, r->begin, (size_t)(r->at - r->begin));
    if (number != ++state->taken || stored <= state->stored)
        fail("%s: message %ld, stored as %ld, came where message %ld should have come, after %ld", r->c->name, number,
             stored, state->taken, state->stored);
    state->stored = stored;
    snprintf(state->to_acknowledge, sizeof state->to_acknowledge, "%.*s", (int)(end - subject), subject);
    if (state->taken < options.deliveries) answer_came(r->c, 1);
    return true;
}

static size_t take_as_consumer(struct connection *c, const char *at, size_t length)
{
    struct state *state = c->state;
    struct reader r = {c, at, at, at + length};
    if (*at == 'P') return take_ping(&r) ? (size_t)(r.at - at) : 0;
    if (state->taken < options.deliveries) return take_delivered(&r) ? (size_t)(r.at - at) : 0;
    if (!take_text(&r, state->last_acknowledged.bytes, state->last_acknowledged.length)) return 0;
    answer_came(c, 1);
    return (size_t)(r.at - at);
}

// One acknowledgement covers all messages before it. The server answers the last one.
static void acknowledge(struct connection *c)
{
    struct state *state = c->state;
    if (state->acknowledged == state->taken) return;
    state->acknowledged = state->taken;
    append_format(c, "PUB %s ", state->to_acknowledge);
    if (state->taken == options.deliveries) append_format(c, "answer.%s.last ", c->name);
    append_format(c, "4\r\n+ACK\r\n");
}

const struct protocol jetstream_waiting = {
    .name = "jetstream-waiting",
    .no_receivers = true,
    .log_in = log_in_consumer,
    .script = script_consumer,
    .write_message = come_back,
    .take = take_as_consumer,
    .read_ended = acknowledge,
};
