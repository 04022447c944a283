// MQTT 3.1.1 with QoS 1 and without receivers: a client that is away has subscribed to the topic of each message, so
// the server must store the message. It answers with a PUBACK.
#include "binary.h"

#include <string.h>
#include <unistd.h>

enum packet {
    CONNECT = 0x10,
    CONNACK = 0x20,
    PUBLISH_QOS_1 = 0x32,
    PUBACK = 0x40,
    SUBSCRIBE = 0x82,
    SUBACK = 0x90,
    DISCONNECT = 0xe0,
};
enum { CLEAN_SESSION = 2 };
enum { NUMBERS = 0xffff }; // numbers of packets: from 1 to this one, then from 1 again

// Write a packet: its kind, its length in bytes of 7 bits each, and its content, which is freed.
static struct text packet(enum packet kind, struct text content)
{
    struct text result = {0};
    put_number(&result, 1, kind);
    size_t left = content.length;
    for (; left > 0x7f; left >>= 7) put_number(&result, 1, 0x80 | (left & 0x7f));
    put_number(&result, 1, left);
    put_text(&result, &content);
    return result;
}

static void put_name(struct text *to, const char *name)
{
    put_number(to, 2, strlen(name));
    put_string(to, name);
}

// Return the last byte, which holds the result.
static unsigned expect(struct connection *c, enum packet kind, size_t length)
{
    unsigned char got[8];
    read_bytes(c, got, 2 + length);
    if (got[0] != kind || got[1] != length) unexpected(c, (char *)got, 2 + length);
    return got[1 + length];
}

static void introduce(struct connection *c, const char *name, int flags)
{
    struct text content = {0};
    put_name(&content, "MQTT");
    put_number(&content, 1, 4); // version 3.1.1
    put_number(&content, 1, (uint64_t)flags);
    put_number(&content, 2, 0); // no pings
    put_name(&content, name);
    struct text connect = packet(CONNECT, content);
    say_text(c, &connect);
    if (expect(c, CONNACK, 2) != 0) fail("%s: the server refuses the connection", name);
}

// Use recipients of this run only: the server would send earlier messages to a recipient that connects.
static struct text recipient_of(const struct connection *sender)
{
    return text("r%d-%d", sender->number, getpid());
}

// Have the recipient connect, subscribe and disconnect.
static void subscribe(const char *name)
{
    struct connection recipient = {.socket = open_socket()};
    introduce(&recipient, name, 0);
    struct text content = {0};
    put_number(&content, 2, 1); // the number of this packet
    put_name(&content, name);
    put_number(&content, 1, 1); // QoS
    struct text subscribe = packet(SUBSCRIBE, content);
    say_text(&recipient, &subscribe);
    if (expect(&recipient, SUBACK, 3) != 1) fail("%s: the server refuses QoS 1", name);
    struct text disconnect = packet(DISCONNECT, (struct text){0});
    say_text(&recipient, &disconnect);
    close(recipient.socket);
}

static void log_in(struct connection *c)
{
    struct text recipient = recipient_of(c);
    subscribe(recipient.bytes);
    introduce(c, c->name, CLEAN_SESSION);
}

static void script(struct connection *sender, struct connection *receiver)
{
    (void)receiver;
    struct text recipient = recipient_of(sender), content = {0};
    put_name(&content, recipient.bytes);
    put_number(&content, 2, 0); // the number of this packet
    put_bytes(&content, body.bytes, body.length);
    sender->writes = packet(PUBLISH_QOS_1, content);
}

static uint64_t packet_number(long message)
{
    return 1 + (uint64_t)message % NUMBERS;
}

static void write_message(struct connection *sender)
{
    set_number(sender->writes.bytes + sender->writes.length - body.length - 2, 2, packet_number(sender->begun));
    append(sender, sender->writes.bytes, sender->writes.length);
}

static size_t take(struct connection *c, const char *at, size_t length)
{
    char expected[4] = {PUBACK, 2};
    set_number(expected + 2, 2, packet_number(c->settled));
    struct reader r = {c, at, at, at + length};
    if (!take_text(&r, expected, sizeof expected)) return 0;
    answer_came(c, 1);
    return sizeof expected;
}

const struct protocol mqtt_stored = {
    .name = "mqtt-stored",
    .no_receivers = true,
    .log_in = log_in,
    .script = script,
    .write_message = write_message,
    .take = take,
};
