// Members of Twotick who send messages to recipients that are away, and a device that comes back and fetches stored
// messages (docs/protocol.md, sections 10 and 11). The members s0, s1, ... and r0, r1, ... must exist, with the tokens
// tt_s0, tt_r0, ...
#include "load.h"

#include <stdio.h>
#include <string.h>

enum { WINDOW = 256 }; // entries in flight to a device: the most that a server grants

// Sending

struct heads {
    struct text send, accepted; // the heads of these frames, up to the Id
};

static void log_in_sender(struct connection *c)
{
    say(c, "REGISTER TOSEND %s\nAuthorization: Bearer tt_%s\n\n", c->name, c->name);
    expect_line(c, "REGISTERED TOSEND %s", c->name);
    expect_line(c, "Device: bench");
    read_line(c);
    if (!starts_with(c->line, "Max-body: ")) fail("%s: the server wrote: %s", c->name, c->line);
    expect_line(c, "%s", "");
}

static void script_sender(struct connection *sender, struct connection *receiver)
{
    (void)receiver;
    struct heads *heads = sender->state = allocate(1, sizeof *heads);
    heads->send = text("SEND r%d\nContent-length: %ld\nId: ", sender->number, options.bytes);
    heads->accepted = text("ACCEPTED r%d\nId: ", sender->number);
}

static void write_message(struct connection *sender)
{
    const struct heads *heads = sender->state;
    struct text id = identifier(sender->begun);
    append(sender, heads->send.bytes, heads->send.length);
    append(sender, id.bytes, id.length);
    append(sender, "\n\n", 2);
    append(sender, body.bytes, body.length);
}

static size_t take_accepted(struct connection *c, const char *at, size_t length)
{
    const struct heads *heads = c->state;
    struct reader r = {c, at, at, at + length};
    bool whole = take_text(&r, heads->accepted.bytes, heads->accepted.length) && take_id(&r, c->settled) &&
                 take_string(&r, "\n\n");
    if (!whole) return 0;
    answer_came(c, 1);
    return (size_t)(r.at - at);
}

const struct protocol stored = {
    .name = "stored",
    .no_receivers = true,
    .log_in = log_in_sender,
    .script = script_sender,
    .write_message = write_message,
    .take = take_accepted,
};

// Coming back. To the load, the device is a sender all of whose messages are in flight from the start, and each entry
// that arrives is the answer to one. Registration is measured too, because entries follow it at once.

struct device {
    struct text registered, forward; // the beginnings of these frames, up to Max-body and to the Id
    long taken, acknowledged;        // entries of the log
};

static void log_in_device(struct connection *c)
{
    snprintf(c->name, sizeof c->name, "r%d", c->number);
}

static void script_device(struct connection *c, struct connection *receiver)
{
    (void)receiver;
    struct device *device = c->state = allocate(1, sizeof *device);
    device->registered = text("REGISTERED DUPLEX %s\nDevice: bench\nWindow: %d\nSeq: 0\nMax-body: ", c->name, WINDOW);
    device->forward = text("FORWARD s%d\nContent-length: %ld\nId: ", c->number, options.bytes);
}

static void come_back(struct connection *c)
{
    if (!c->begun)
        append_format(c, "REGISTER DUPLEX %s\nAuthorization: Bearer tt_%s\nWindow: %d\n\n", c->name, c->name, WINDOW);
}

static bool take_registered(struct reader *r)
{
    const struct device *device = r->c->state;
    long max_body;
    return take_text(r, device->registered.bytes, device->registered.length) && take_number(r, &max_body) &&
           take_string(r, "\n\n");
}

static bool take_entry(struct reader *r)
{
    struct device *device = r->c->state;
    long seq;
    bool whole = take_text(r, device->forward.bytes, device->forward.length) && take_id_of_any_run(r, device->taken) &&
                 take_string(r, "\nSeq: ") && take_number(r, &seq) && take_string(r, "\n") && take_time(r) &&
                 take_body(r);
    if (!whole) return false;
    if (seq != ++device->taken) fail("%s: received entry %ld instead of %ld", r->c->name, seq, device->taken);
    return true;
}

// The answer to a request shows that the server has handled all acknowledgements before it.
static bool take_devices(struct reader *r)
{
    long length;
    bool whole = take_string(r, "DEVICES\nContent-length: ") && take_number(r, &length) &&
                 take_string(r, "\nContent-type: application/json\n\n") && r->end - r->at >= length;
    if (!whole) return false;
    r->at += length;
    return true;
}

static size_t take_as_device(struct connection *c, const char *at, size_t length)
{
    struct device *device = c->state;
    struct reader r = {c, at, at, at + length};
    bool last = device->taken == options.deliveries;
    if (*at == 'R' ? !take_registered(&r) : last ? !take_devices(&r) : !take_entry(&r)) return 0;
    if (last || (device->taken && device->taken < options.deliveries)) answer_came(c, 1);
    return (size_t)(r.at - at);
}

static void acknowledge(struct connection *c)
{
    struct device *device = c->state;
    if (device->acknowledged == device->taken) return;
    device->acknowledged = device->taken;
    append_format(c, "RECEIVED s%d\nSeq: %ld\n\n", c->number, device->taken);
    if (device->taken == options.deliveries) append_format(c, "DEVICES\n\n");
}

const struct protocol waiting = {
    .name = "waiting",
    .no_receivers = true,
    .log_in = log_in_device,
    .script = script_device,
    .write_message = come_back,
    .take = take_as_device,
    .read_ended = acknowledge,
};
