// Twotick's extended profile (docs/protocol.md, sections 9 to 11): guests whose messages have an Id, and members, whose
// messages are stored.
#define _GNU_SOURCE
#include "load.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char password[] = "for the bench";

struct state {
    struct text send, forward; // the heads of these frames, up to the Id
    long accepted;             // messages of this sender
    long seq;                  // of the last entry that arrived
    long accepted_seq;         // of the last message of this sender that was accepted
    long acknowledged;
};

// A part of all names and Ids of this process, so that they are new to a server that was loaded before.
static unsigned long run_number(void)
{
    static unsigned long number;
    if (!number) number = ((unsigned long)time(NULL) << 22 | (unsigned long)getpid()) & 0xffffffffffff;
    return number;
}

// Ids are as long as those of Twotick's own client.
struct text identifier(long number)
{
    static char bytes[64];
    return (struct text){bytes, (size_t)sprintf(bytes, "%012lx-%016lx", run_number(), number)};
}

static void log_in_identified(struct connection *c)
{
    say(c, "REGISTER DUPLEX %s\nWindow: %d\n\n", c->name, options.window);
    expect_line(c, "REGISTERED DUPLEX %s", c->name);
    expect_line(c, "Window: %d", options.window);
    read_line(c);
    if (!starts_with(c->line, "Max-body: ")) fail("%s: the server wrote: %s", c->name, c->line);
    expect_line(c, "%s", "");
}

static void put_base64(const char *bytes, size_t length, char *result)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < length; i += 3) {
        unsigned bits = (unsigned char)bytes[i] << 16;
        if (i + 1 < length) bits |= (unsigned)(unsigned char)bytes[i + 1] << 8;
        if (i + 2 < length) bits |= (unsigned char)bytes[i + 2];
        *result++ = digits[bits >> 18];
        *result++ = digits[bits >> 12 & 63];
        *result++ = i + 1 < length ? digits[bits >> 6 & 63] : '=';
        *result++ = i + 2 < length ? digits[bits & 63] : '=';
    }
    *result = 0;
}

// Members sign up, which the server must allow. A sender needs a window too, because its log has an entry for what
// became of each message.
static void log_in_member(struct connection *c)
{
    snprintf(c->name, sizeof c->name, "%c%dx%lx", c->sends ? 's' : 'r', c->number, run_number() & 0xffffffff);
    char proof[sizeof c->name + sizeof password], encoded[2 * sizeof proof];
    put_base64(proof, (size_t)sprintf(proof, "%s:%s", c->name, password), encoded);
    say(c, "REGISTER DUPLEX %s\nAuthorization: Basic %s\nSign-up: yes\nWindow: %d\n\n", c->name, encoded,
        options.window);
    expect_line(c, "REGISTERED DUPLEX %s", c->name);
    expect_line(c, "Device: main");
    expect_line(c, "Window: %d", options.window);
    expect_line(c, "Seq: 0");
    read_line(c);
    if (!starts_with(c->line, "Max-body: ")) fail("%s: the server wrote: %s", c->name, c->line);
    expect_line(c, "%s", "");
}

static void script(struct connection *sender, struct connection *receiver)
{
    struct state *state = sender->state = allocate(1, sizeof *state);
    state->send = text("SEND %s\nContent-length: %ld\nId: ", receiver->name, options.bytes);
    state = receiver->state = allocate(1, sizeof *state);
    state->forward = text("FORWARD %s\nContent-length: %ld\nId: ", sender->name, options.bytes);
    receiver->writes = text("RECEIVED %s\n\n", sender->name);
}

static void script_member(struct connection *sender, struct connection *receiver)
{
    script(sender, receiver);
    receiver->writes.length = 0; // take_forward writes it, since it must name the entry
}

static void write_message(struct connection *sender)
{
    const struct state *state = sender->state;
    struct text id = identifier(sender->begun);
    append(sender, state->send.bytes, state->send.length);
    append(sender, id.bytes, id.length);
    append(sender, "\n\n", 2);
    append(sender, body.bytes, body.length);
}

bool take_time(struct reader *r)
{
    static const char form[] = "Time: 0000-00-00T00:00:00.000Z\n\n";
    if ((size_t)(r->end - r->at) < strlen(form)) return false;
    for (const char *expected = form; *expected; expected++, r->at++)
        if (*expected == '0' ? !isdigit((unsigned char)*r->at) : *r->at != *expected)
            unexpected(r->c, r->begin, (size_t)(r->end - r->begin));
    return true;
}

bool take_id(struct reader *r, long number)
{
    struct text id = identifier(number);
    return take_text(r, id.bytes, id.length);
}

bool take_id_of_any_run(struct reader *r, long number)
{
    struct text id = identifier(number);
    ptrdiff_t run = strchr(id.bytes, '-') - id.bytes;
    if (r->end - r->at < run) return false;
    r->at += run;
    return take_text(r, id.bytes + run, id.length - (size_t)run);
}

bool take_body(struct reader *r)
{
    return take_text(r, body.bytes, body.length);
}

static size_t take_identified(struct connection *c, const char *at, size_t length)
{
    const struct state *state = c->state;
    struct reader r = {c, at, at, at + length};
    if (!c->sends) {
        bool whole = take_text(&r, state->forward.bytes, state->forward.length) && take_id(&r, c->taken) &&
                     take_string(&r, "\n") && take_time(&r) && take_body(&r);
        if (!whole) return 0;
        message_came(c);
    } else {
        bool whole = take_string(&r, "SEND ") && take_string(&r, c->other->name) && take_string(&r, "\nId: ") &&
                     take_id(&r, c->settled) && take_string(&r, "\n\n");
        if (!whole) return 0;
        answer_came(c, 1);
    }
    return (size_t)(r.at - at);
}

static bool take_seq(struct reader *r, long *seq)
{
    return take_string(r, "\nSeq: ") && take_number(r, seq) && take_string(r, "\n");
}

// Acknowledge all entries of one read in one frame, as a client may (rule 11.3).
static void acknowledge(struct connection *c)
{
    struct state *state = c->state;
    if (state->acknowledged == state->seq) return;
    state->acknowledged = state->seq;
    append_format(c, "RECEIVED %s\nSeq: %ld\n\n", c->other->name, state->acknowledged);
}

static size_t take_forward(struct connection *c, struct reader r)
{
    struct state *state = c->state;
    long seq;
    bool whole = take_text(&r, state->forward.bytes, state->forward.length) && take_id(&r, c->taken) &&
                 take_seq(&r, &seq) && take_time(&r) && take_body(&r);
    if (!whole) return 0;
    if (seq != ++state->seq) fail("%s: received entry %ld instead of %ld", c->name, seq, state->seq);
    message_came(c);
    return (size_t)(r.at - r.begin);
}

// Parse an ACCEPTED, which the server writes when it has stored a message, or a SEND, when the receiver has it. Both
// are entries of the sender's log.
static size_t take_tick(struct connection *c, struct reader r)
{
    struct state *state = c->state;
    bool accepted = *r.at == 'A';
    long seq, number = accepted ? state->accepted : c->settled;
    bool whole = take_string(&r, accepted ? "ACCEPTED " : "SEND ") && take_string(&r, c->other->name) &&
                 take_string(&r, "\nId: ") && take_id(&r, number) && take_seq(&r, &seq) && take_string(&r, "\n");
    if (!whole) return 0;
    // An answer may arrive before older entries that wait for room in the window.
    long *last = accepted ? &state->accepted_seq : &state->seq;
    if (seq <= *last) fail("%s: received entry %ld after %ld", c->name, seq, *last);
    *last = seq;
    if (accepted) {
        state->accepted++;
    } else {
        if (c->settled == state->accepted) fail("%s: a message arrived before it was accepted", c->name);
        answer_came(c, 1);
    }
    return (size_t)(r.at - r.begin);
}

static size_t take_member(struct connection *c, const char *at, size_t length)
{
    struct reader r = {c, at, at, at + length};
    return c->sends ? take_tick(c, r) : take_forward(c, r);
}

const struct protocol twotick_identified = {
    .name = "identified",
    .log_in = log_in_identified,
    .script = script,
    .write_message = write_message,
    .take = take_identified,
};

const struct protocol twotick_member = {
    .name = "member",
    .log_in = log_in_member,
    .script = script_member,
    .write_message = write_message,
    .take = take_member,
    .read_ended = acknowledge,
};
