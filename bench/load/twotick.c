// Twotick's classic profile, with and without a window (docs/protocol.md, sections 3 to 6).
#include "load.h"

static void register_side(struct connection *c, const char *side, int window)
{
    say(c, "REGISTER %s %s\n", side, c->name);
    if (window) say(c, "Window: %d\n", window);
    say(c, "\n");
    expect_line(c, "REGISTERED %s %s", side, c->name);
    if (window) expect_line(c, "Window: %d", window);
    expect_line(c, "%s", "");
}

// A user has two connections, of which the load uses one. The other must stay open, but need not be read: a server that
// refuses a user closes both.
static void log_in(struct connection *c, int window)
{
    struct connection unused = *c;
    unused.socket = open_socket();
    register_side(c->sends ? c : &unused, "TOSEND", 0);
    register_side(c->sends ? &unused : c, "TORECV", c->sends ? 0 : window);
}

static void log_in_classic(struct connection *c)
{
    log_in(c, 0);
}

static void log_in_with_window(struct connection *c)
{
    log_in(c, options.window);
}

static void script_answers(struct connection *sender, struct connection *receiver)
{
    receiver->reads = text("FORWARD %s\nContent-length: %ld\n\n%s", sender->name, options.bytes, body.bytes);
    receiver->writes = text("RECEIVED %s\n\n", sender->name);
}

static void script(struct connection *sender, struct connection *receiver)
{
    sender->writes = text("SEND %s\nContent-length: %ld\n\n%s", receiver->name, options.bytes, body.bytes);
    sender->reads = text("SEND %s\n\n", receiver->name);
    script_answers(sender, receiver);
}

static void script_everyone(struct connection *sender, struct connection *receivers)
{
    sender->writes = text("SEND ALL\nContent-length: %ld\n\n%s", options.bytes, body.bytes);
    sender->reads = text("SEND ALL\n\n");
    for (int i = 0; i < options.receivers; i++) script_answers(sender, &receivers[i]);
}

const struct protocol twotick_classic = {
    .name = "classic",
    .log_in = log_in_classic,
    .script = script,
    .script_everyone = script_everyone,
};

const struct protocol twotick_window = {
    .name = "window",
    .log_in = log_in_with_window,
    .script = script,
    .script_everyone = script_everyone,
};
