// RabbitMQ over AMQP 0-9-1: persistent messages to durable queues, which the server confirms when they are stored; and
// a consumer that fetches the messages of one queue, as a device of Twotick does that comes back.
#include "binary.h"

#include <stdio.h>
#include <string.h>

enum { METHOD = 1, HEADER = 2, BODY = 3, END = 0xce }; // kinds of frames, and the byte that ends each
enum { FRAME_START = 7 };                              // bytes before a frame's content: kind, channel and length
enum { LONGEST_FRAME = 131072, CHANNEL = 1 };
enum { WINDOW = 256 }; // messages in flight to a consumer

#define CONSUMER "returning"
// Where the number of a DELIVER is: after the method and the consumer's name.
enum { NUMBER_OF_DELIVERED = FRAME_START + 4 + 1 + sizeof CONSUMER - 1 };

// Methods: the number of the class, and the number within the class.
enum method {
    START = 10 << 16 | 10,
    START_OK = 10 << 16 | 11,
    TUNE = 10 << 16 | 30,
    TUNE_OK = 10 << 16 | 31,
    OPEN = 10 << 16 | 40,
    OPEN_OK = 10 << 16 | 41,
    CHANNEL_OPEN = 20 << 16 | 10,
    CHANNEL_OPEN_OK = 20 << 16 | 11,
    DECLARE = 50 << 16 | 10,
    DECLARE_OK = 50 << 16 | 11,
    QOS = 60 << 16 | 10,
    QOS_OK = 60 << 16 | 11,
    CONSUME = 60 << 16 | 20,
    CONSUME_OK = 60 << 16 | 21,
    PUBLISH = 60 << 16 | 40,
    DELIVER = 60 << 16 | 60,
    ACK = 60 << 16 | 80,
    SELECT = 85 << 16 | 10,
    SELECT_OK = 85 << 16 | 11,
};
enum { MULTIPLE = 1, PASSIVE = 1, DURABLE = 2 }; // flags of ACK and DECLARE
enum { HAS_DELIVERY_MODE = 1 << 12, PERSISTENT = 2, BASIC = 60 };

struct state {
    char queue[16];
    bool *confirmed; // in a ring, which of the messages in flight are

    // The consumer's.
    struct text consuming, delivered, declared; // what it reads
    bool consumes;
    long taken, acknowledged;
};

static void put_frame(struct text *to, int kind, int channel, struct text *content)
{
    put_number(to, 1, (uint64_t)kind);
    put_number(to, 2, (uint64_t)channel);
    put_number(to, 4, content->length);
    put_text(to, content);
    put_number(to, 1, END);
}

static void put_method(struct text *to, int channel, enum method method, struct text *arguments)
{
    struct text content = {0};
    put_number(&content, 4, method);
    put_text(&content, arguments);
    put_frame(to, METHOD, channel, &content);
}

static void put_short_string(struct text *to, const char *string)
{
    put_number(to, 1, strlen(string));
    put_string(to, string);
}

static void call(struct connection *c, int channel, enum method method, struct text *arguments)
{
    struct text frame = {0};
    put_method(&frame, channel, method, arguments);
    say_text(c, &frame);
}

static void expect(struct connection *c, enum method method)
{
    char start[FRAME_START], content[LONGEST_LINE];
    read_bytes(c, start, sizeof start);
    size_t length = get_number(start + 3, 4) + 1;
    if (length > sizeof content) fail("%s: the server wrote a frame that is too long", c->name);
    read_bytes(c, content, length);
    if (start[0] != METHOD || get_number(content, 4) != method) unexpected(c, content, length);
}

static struct text declaration(const char *queue, int flags)
{
    struct text arguments = {0};
    put_number(&arguments, 2, 0);
    put_short_string(&arguments, queue);
    put_number(&arguments, 1, (uint64_t)flags);
    put_number(&arguments, 4, 0); // no further arguments
    return arguments;
}

static void log_in(struct connection *c)
{
    struct state *state = c->state = allocate(1, sizeof *state);
    snprintf(state->queue, sizeof state->queue, "r%d", c->number);
    write_bytes(c, "AMQP\0\0\11\1", 8); // version 0-9-1
    expect(c, START);
    struct text arguments = {0};
    put_number(&arguments, 4, 0); // no properties of this client
    put_short_string(&arguments, "PLAIN");
    put_number(&arguments, 4, strlen("?guest?guest"));
    put_bytes(&arguments, "\0guest\0guest", strlen("?guest?guest"));
    put_short_string(&arguments, "en_US");
    call(c, 0, START_OK, &arguments);
    expect(c, TUNE);
    put_number(&arguments, 2, CHANNEL); // the number of channels
    put_number(&arguments, 4, LONGEST_FRAME);
    put_number(&arguments, 2, 0); // no heartbeats
    call(c, 0, TUNE_OK, &arguments);
    put_short_string(&arguments, "/");
    put_number(&arguments, 2, 0);
    call(c, 0, OPEN, &arguments);
    expect(c, OPEN_OK);
    put_number(&arguments, 1, 0);
    call(c, CHANNEL, CHANNEL_OPEN, &arguments);
    expect(c, CHANNEL_OPEN_OK);
    arguments = declaration(state->queue, DURABLE);
    call(c, CHANNEL, DECLARE, &arguments);
    expect(c, DECLARE_OK);
}

// Sending

static void log_in_sender(struct connection *c)
{
    log_in(c);
    struct text arguments = {0};
    put_number(&arguments, 1, 0);
    call(c, CHANNEL, SELECT, &arguments);
    expect(c, SELECT_OK);
}

static void script(struct connection *sender, struct connection *receiver)
{
    (void)receiver;
    struct state *state = sender->state;
    state->confirmed = allocate((size_t)options.window, sizeof *state->confirmed);
    struct text arguments = {0}, content = {0};
    put_number(&arguments, 2, 0);
    put_short_string(&arguments, ""); // the default exchange, which routes by the name of the queue
    put_short_string(&arguments, state->queue);
    put_number(&arguments, 1, 0);
    put_method(&sender->writes, CHANNEL, PUBLISH, &arguments);
    put_number(&content, 2, BASIC);
    put_number(&content, 2, 0);
    put_number(&content, 8, body.length);
    put_number(&content, 2, HAS_DELIVERY_MODE);
    put_number(&content, 1, PERSISTENT);
    put_frame(&sender->writes, HEADER, CHANNEL, &content);
    put_bytes(&content, body.bytes, body.length);
    put_frame(&sender->writes, BODY, CHANNEL, &content);
}

// Messages are numbered from 1 on and confirmed in any order. One counts when all before it are confirmed.
static void confirm(struct connection *c, long number, bool multiple)
{
    struct state *state = c->state;
    if (number <= c->settled || number > c->begun) fail("%s: message %ld was confirmed unasked", c->name, number);
    for (long i = multiple ? c->settled + 1 : number; i <= number; i++) state->confirmed[i % options.window] = true;
    for (long begun = c->begun; c->settled < begun && state->confirmed[(c->settled + 1) % options.window];) {
        state->confirmed[(c->settled + 1) % options.window] = false;
        answer_came(c, 1);
    }
}

static size_t take_confirmation(struct connection *c, const char *at, size_t length)
{
    static const char start[] = {METHOD, 0, CHANNEL, 0, 0, 0, 13, 0, 60, 0, 80}; // with the method ACK
    struct reader r = {c, at, at, at + length};
    enum { NUMBER = 8, FLAGS = 1 };
    if (!take_text(&r, start, sizeof start) || r.end - r.at < NUMBER + FLAGS + 1) return 0;
    if ((unsigned char)r.at[NUMBER + FLAGS] != END) unexpected(c, at, length);
    confirm(c, (long)get_number(r.at, NUMBER), r.at[NUMBER] & MULTIPLE);
    return (size_t)(r.at - at) + NUMBER + FLAGS + 1;
}

const struct protocol amqp = {
    .name = "amqp",
    .no_receivers = true,
    .log_in = log_in_sender,
    .script = script,
    .take = take_confirmation,
};

// Coming back: as in stored.c, all messages are in flight from the start.

static void log_in_consumer(struct connection *c)
{
    log_in(c);
    struct text arguments = {0};
    put_number(&arguments, 4, 0);
    put_number(&arguments, 2, WINDOW);
    put_number(&arguments, 1, 0);
    call(c, CHANNEL, QOS, &arguments);
    expect(c, QOS_OK);
}

static void script_consumer(struct connection *c, struct connection *receiver)
{
    (void)receiver;
    struct state *state = c->state;
    struct text arguments = {0}, content = {0};
    put_short_string(&arguments, CONSUMER);
    put_method(&state->consuming, CHANNEL, CONSUME_OK, &arguments);

    // The bytes of a message except its number: `delivered` has the number of the next one.
    put_short_string(&arguments, CONSUMER);
    put_number(&arguments, 8, 1);
    put_number(&arguments, 1, 0); // it was not delivered before
    put_short_string(&arguments, "");
    put_short_string(&arguments, state->queue);
    put_method(&state->delivered, CHANNEL, DELIVER, &arguments);
    put_number(&content, 2, BASIC);
    put_number(&content, 2, 0);
    put_number(&content, 8, body.length);
    put_number(&content, 2, HAS_DELIVERY_MODE);
    put_number(&content, 1, PERSISTENT);
    put_frame(&state->delivered, HEADER, CHANNEL, &content);
    put_bytes(&content, body.bytes, body.length);
    put_frame(&state->delivered, BODY, CHANNEL, &content);

    put_short_string(&arguments, state->queue);
    put_number(&arguments, 4, 0); // messages that are left
    put_number(&arguments, 4, 1); // consumers
    put_method(&state->declared, CHANNEL, DECLARE_OK, &arguments);
}

static void come_back(struct connection *c)
{
    if (c->begun) return;
    struct state *state = c->state;
    struct text arguments = {0}, frame = {0};
    put_number(&arguments, 2, 0);
    put_short_string(&arguments, state->queue);
    put_short_string(&arguments, CONSUMER);
    put_number(&arguments, 1, 0);
    put_number(&arguments, 4, 0);
    put_method(&frame, CHANNEL, CONSUME, &arguments);
    append_text(c, &frame);
}

static size_t take_as_consumer(struct connection *c, const char *at, size_t length)
{
    struct state *state = c->state;
    struct reader r = {c, at, at, at + length};
    if (state->taken == options.deliveries) {
        if (!take_text(&r, state->declared.bytes, state->declared.length)) return 0;
        answer_came(c, 1);
    } else if (!state->consumes) {
        if (!take_text(&r, state->consuming.bytes, state->consuming.length)) return 0;
        state->consumes = true;
    } else {
        if (!take_text(&r, state->delivered.bytes, state->delivered.length)) return 0;
        state->taken++;
        set_number(state->delivered.bytes + NUMBER_OF_DELIVERED, 8, (uint64_t)state->taken + 1);
        if (state->taken < options.deliveries) answer_came(c, 1);
    }
    return (size_t)(r.at - at);
}

// One acknowledgement covers all messages before it. The answer to a request that follows shows that it was handled.
static void acknowledge(struct connection *c)
{
    struct state *state = c->state;
    if (state->acknowledged == state->taken) return;
    state->acknowledged = state->taken;
    struct text arguments = {0}, frames = {0};
    put_number(&arguments, 8, (uint64_t)state->taken);
    put_number(&arguments, 1, MULTIPLE);
    put_method(&frames, CHANNEL, ACK, &arguments);
    if (state->taken == options.deliveries) {
        arguments = declaration(state->queue, DURABLE | PASSIVE);
        put_method(&frames, CHANNEL, DECLARE, &arguments);
    }
    append_text(c, &frames);
}

const struct protocol amqp_waiting = {
    .name = "amqp-waiting",
    .no_receivers = true,
    .log_in = log_in_consumer,
    .script = script_consumer,
    .write_message = come_back,
    .take = take_as_consumer,
    .read_ended = acknowledge,
};
