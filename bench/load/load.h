// Declarations that the files of the load share. main.c explains what the load does.
//
// To add a protocol, define a struct protocol in a file of its own, declare it at the end of this file, and add it to
// the table in main.c. Where a connection reads the same bytes again and again, set `reads`: the load compares them
// byte for byte, which is strict and costs almost nothing. Input that differs each time is passed to `take`.
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PATIENCE_SECONDS = 10, // longest time without a delivery, or without an answer while logging in
    LONGEST_LINE = 4096,   // longest line of a server besides messages: the INFO of NATS
};

struct text {
    char *bytes;
    size_t length;
};

struct connection {
    char name[16];            // the user: senders are s0, s1, ..., receivers are r0, r1, ...
    int number;               // the number in the name
    bool sends;               // true for a sender, false for a receiver
    struct connection *other; // the other one of the pair; NULL if there is not exactly one

    // Set by `script`; each is optional.
    struct text reads;     // the bytes that it reads each time: the answer to a message, or the message
    struct text writes;    // the bytes that it writes each time: the message, or the answer to it
    long answers_expected; // senders only: the answers after which a message is delivered; 1 if unset

    // Counted by the core from the start; for senders only, except `taken`.
    long begun;   // messages written; also the number of the next message, from 0 on
    long settled; // messages delivered; also the number of the message that is answered next
    long answers; // answers so far to the oldest message that is not delivered
    long taken;   // messages that a receiver has read

    // Used by the core only.
    int socket;
    int64_t *due; // a ring of `window` times: when each message in flight was written, or was due
    char *input;
    size_t input_size, input_length;
    char *output; // the bytes from output_start to output_end are not sent yet
    size_t output_size, output_start, output_end;
    bool waits_to_write;

    // Used by the protocol only.
    void *state;
    char address[256];       // the address of this user, if it is not the name
    char line[LONGEST_LINE]; // the line that read_line read last
};

struct protocol {
    const char *name;  // the argument of --protocol
    bool no_receivers; // there are senders only, and the server answers their messages
    long longest_body; // in bytes; 0 if only the load limits it

    // Log in on an open connection. This may call the functions for logging in, which block.
    void (*log_in)(struct connection *c);

    // Set `reads` and `writes` of a pair when both have logged in. The receiver is NULL if there are no receivers.
    void (*script)(struct connection *sender, struct connection *receiver);

    // Optional: the same for one sender whose messages go to options.receivers receivers.
    void (*script_everyone)(struct connection *sender, struct connection *receivers);

    // Optional: append the message with the number sender->begun. Without it, `writes` is appended.
    void (*write_message)(struct connection *sender);

    // Optional: parse input that is not `reads`. Return the number of bytes parsed, or 0 if they are incomplete; then
    // it is called again with the same bytes and more. It must check every byte that is known in advance and call
    // `unexpected` if one differs, and call `answer_came` or `message_came`. It may `append` a reply. Without it,
    // nothing but `reads` may arrive.
    size_t (*take)(struct connection *c, const char *at, size_t length);

    // Optional: called when all bytes of one read are parsed, to write one reply for several messages.
    void (*read_ended)(struct connection *c);
};

extern struct options {
    const struct protocol *protocol;
    int port;
    int pairs;     // of a sender and a receiver
    int first;     // the number of the first pair
    int receivers; // instead of pairs there are one sender and so many receivers of each of its messages; 0: pairs
    int window;    // messages that each sender has in flight, or at most may have if there is a rate
    long rate;     // messages a second in all, whether or not others are answered; 0: as soon as others are answered
    long warm_up;  // deliveries before those that are measured
    long deliveries;
    double seconds; // after which nothing more is sent, if that comes before the last delivery; 0: it does not
    long bytes;     // of each message's body
    int server_pid; // 0: its CPU time is not measured
} options;

extern struct text body; // of each message: letters, and a 0 behind it

// Logging in (login.c): not measured, so it may block, which is simpler.

int open_socket(void); // a further connection to the server
void write_bytes(struct connection *c, const void *bytes, size_t length);
__attribute__((format(printf, 2, 3))) void say(struct connection *c, const char *format, ...);
void read_bytes(struct connection *c, void *bytes, size_t length);
void read_line(struct connection *c); // into `line`, without its end
__attribute__((format(printf, 2, 3))) void expect_line(struct connection *c, const char *format, ...);
bool starts_with(const char *text, const char *beginning);

// While it runs (run.c)

void append(struct connection *c, const void *bytes, size_t length); // written at the end of this turn of the loop
__attribute__((format(printf, 2, 3))) void append_format(struct connection *c, const char *format, ...);
void answer_came(struct connection *sender, long count); // count answers, to the oldest messages without one
void message_came(struct connection *receiver);          // also appends `writes`
__attribute__((noreturn)) void unexpected(struct connection *c, const char *at, size_t length);

// For `take` (take.c): reads input part by part. Each function returns false if the input is incomplete, and calls
// `unexpected` if it is not what was expected.
struct reader {
    struct connection *c;
    const char *begin, *at, *end;
};

bool take_text(struct reader *r, const char *bytes, size_t length);
bool take_string(struct reader *r, const char *string);
bool take_number(struct reader *r, long *number); // decimal digits, followed by another character

// Returns the length of the first line, with its line end; 0 if it is incomplete.
size_t line_length(struct connection *c, const char *at, size_t length);

void prepare(struct connection *c);

struct result {
    double seconds;
    long deliveries;
    int64_t *latencies; // of each, in nanoseconds
};

// Deliver messages until `deliveries` are sent, or until `seconds` have passed unless it is 0, and wait for the last
// answer.
struct result run(struct connection *senders, int count, long deliveries, double seconds);

// CPU time, in seconds (cpu.c)

double server_cpu(void); // of the server's process and its descendants
double own_cpu(void);

// Anywhere (main.c)

__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);
void *allocate(size_t count, size_t size);
__attribute__((format(printf, 1, 2))) struct text text(const char *format, ...);

// Of Twotick's extended profile (extended.c)

struct text identifier(long number); // the Id of a message; the bytes are overwritten by the next call
bool take_id(struct reader *r, long number);
bool take_id_of_any_run(struct reader *r, long number); // of a message that another process of the load sent
bool take_time(struct reader *r);                       // the Time header and the blank line that follows it
bool take_body(struct reader *r);

// The protocols

extern const struct protocol twotick_classic, twotick_window, twotick_identified, twotick_member;
extern const struct protocol stored, waiting, jetstream, jetstream_waiting, amqp, amqp_waiting, mqtt_stored, postgres;
extern const struct protocol irc, mqtt, nats, redis, xmpp;

#endif
