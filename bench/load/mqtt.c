// MQTT 3.1.1 with QoS 0: a PUBLISH to the receiver's topic, answered by a PUBLISH to the sender's. Each user subscribes
// to a topic of the same name.
//
// A PUBLISH with QoS 0 has no number, so the server passes on the same bytes that it received.
#include "load.h"

#include <stdio.h>
#include <string.h>

enum { CONNECT = 0x10, CONNACK = 0x20, PUBLISH = 0x30, SUBSCRIBE = 0x82, SUBACK = 0x90 };
enum { LONGEST_START = 5 }; // of a packet: its kind, and its length in 1 to 4 bytes of 7 bits each

static size_t put_start(char *at, int kind, size_t length)
{
    size_t used = 0;
    at[used++] = (char)kind;
    do {
        at[used] = (char)(length & 0x7f);
        length >>= 7;
        if (length) at[used] |= (char)0x80;
        used++;
    } while (length);
    return used;
}

static size_t put_string(char *at, const char *string)
{
    size_t length = strlen(string);
    at[0] = (char)(length >> 8);
    at[1] = (char)length;
    memcpy(at + 2, string, length);
    return 2 + length;
}

static struct text publish(const char *topic, const char *payload)
{
    size_t length = 2 + strlen(topic) + strlen(payload);
    struct text packet = {allocate(LONGEST_START + length, 1), 0};
    packet.length = put_start(packet.bytes, PUBLISH, length);
    packet.length += put_string(packet.bytes + packet.length, topic);
    memcpy(packet.bytes + packet.length, payload, strlen(payload));
    packet.length += strlen(payload);
    return packet;
}

static void expect_bytes(struct connection *c, const char *expected, size_t length)
{
    char got[16];
    read_bytes(c, got, length);
    if (memcmp(got, expected, length) != 0) unexpected(c, got, length);
}

static void log_in(struct connection *c)
{
    static const char settings[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0}; // version 3.1.1, a clean session, no pings
    char packet[64];
    size_t length = put_start(packet, CONNECT, sizeof settings + 2 + strlen(c->name));
    memcpy(packet + length, settings, sizeof settings);
    length += sizeof settings;
    length += put_string(packet + length, c->name);
    write_bytes(c, packet, length);
    static const char accepted[] = {CONNACK, 2, 0, 0};
    expect_bytes(c, accepted, sizeof accepted);

    const char *topic = options.receivers && !c->sends ? "everyone" : c->name;
    length = put_start(packet, SUBSCRIBE, 2 + 2 + strlen(topic) + 1);
    packet[length++] = 0;
    packet[length++] = 1; // the number of this packet
    length += put_string(packet + length, topic);
    packet[length++] = 0; // QoS
    write_bytes(c, packet, length);
    static const char subscribed[] = {(char)SUBACK, 3, 0, 1, 0};
    expect_bytes(c, subscribed, sizeof subscribed);
}

static void script_to(struct connection *sender, struct connection *receiver, const char *topic)
{
    sender->writes = receiver->reads = publish(topic, body.bytes);
    receiver->writes = sender->reads = publish(sender->name, "y");
}

static void script(struct connection *sender, struct connection *receiver)
{
    script_to(sender, receiver, receiver->name);
}

static void script_everyone(struct connection *sender, struct connection *receivers)
{
    for (int i = 0; i < options.receivers; i++) script_to(sender, &receivers[i], "everyone");
    sender->answers_expected = options.receivers;
}

const struct protocol mqtt = {
    .name = "mqtt",
    .log_in = log_in,
    .script = script,
    .script_everyone = script_everyone,
};
