// What the files of the load share. main.c says what the load does.
//
// To add a protocol, fill a struct protocol in a file of its own, and name it at the end of this file and in the table
// in main.c. What a connection reads over and over is best a constant text (`reads`): it is compared byte for byte,
// which is strict and costs next to nothing. What differs from one time to the next goes to the protocol's `take`.
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PATIENCE_SECONDS = 10, // without any delivery, or any answer while logging in
    LONGEST_LINE = 4096,   // that a server may write besides messages: INFO of NATS is the longest
};

struct text {
    char *bytes;
    size_t length;
};

struct connection {
    char name[16];            // of the user: s0, s1, ... are senders, and r0, r1, ... receivers
    int number;               // 0, 1, ...: that in the name
    bool sends;               // whether it is a sender's, and not a receiver's
    struct connection *other; // the other one of the pair; NULL if there is none, or not only one

    // Set by `script`, all of them optional.
    struct text reads;     // what it reads again and again: the answer to a message, or the message
    struct text writes;    // what it writes again and again: the message, or the answer to it
    long answers_expected; // senders only: the answers that a message has before it is delivered; 1 if it is not set

    // Counted by the core since the beginning; senders only, but for `taken`.
    long begun;   // messages written: when the next one is written it is the number of that one, from 0 on
    long settled; // messages delivered: it is the number of the one whose answer comes next, from 0 on
    long answers; // to the oldest message that is not delivered
    long taken;   // messages that came to a receiver

    // The core's.
    int socket;
    int64_t *due; // when each message in flight was written, or should have been, in a ring of `window` places
    char *input;
    size_t input_size, input_length;
    char *output; // from output_start to output_end is what the socket has not taken yet
    size_t output_size, output_start, output_end;
    bool waits_to_write;

    // For the protocol's own use.
    void *state;
    char address[256];       // how others know this user, if not by the name
    char line[LONGEST_LINE]; // the last line that read_line has read
};

struct protocol {
    const char *name;  // as it is given to --protocol
    bool no_receivers; // there are only senders, whom the server itself answers
    long longest_body; // in bytes; 0 if it has no limit below that of the load

    // Log in on a connection that is open. The functions for logging in may be used; they block.
    void (*log_in)(struct connection *c);

    // Say what a pair says to each other, when both have logged in: set `reads` and `writes`. The receiver is NULL if
    // there is none.
    void (*script)(struct connection *sender, struct connection *receiver);

    // Optional: the same for one sender whose messages go to all of options.receivers receivers.
    void (*script_everyone)(struct connection *sender, struct connection *receivers);

    // Optional: append the message with the number sender->begun. Without it, `writes` is appended.
    void (*write_message)(struct connection *sender);

    // Optional: understand what came and is not `reads`. Returns how many bytes were understood; 0 if they are
    // incomplete, to be called again with the same and more. It looks at all that can be known in advance, and calls
    // `unexpected` if it is not that; calls `answer_came` or `message_came` for what it was; and may `append` what has
    // to be written for it. Without it, `reads` is all that may come.
    size_t (*take)(struct connection *c, const char *at, size_t length);

    // Optional: all that one read has brought is understood. For what is written once for several messages.
    void (*read_ended)(struct connection *c);
};

extern struct options {
    const struct protocol *protocol;
    int port;
    int pairs;     // of a sender and a receiver
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

void append(struct connection *c, const void *bytes, size_t length); // is written at the end of this turn
__attribute__((format(printf, 2, 3))) void append_format(struct connection *c, const char *format, ...);
void answer_came(struct connection *sender, long count); // count answers, to the oldest messages that wait for any
void message_came(struct connection *receiver);          // and is answered with `writes`
__attribute__((noreturn)) void unexpected(struct connection *c, const char *at, size_t length);

// For `take` (take.c): what has come of one thing, read part by part. Each function returns false if too little has
// come, and calls `unexpected` if it is something else.
struct reader {
    struct connection *c;
    const char *begin, *at, *end;
};

bool take_text(struct reader *r, const char *bytes, size_t length);
bool take_string(struct reader *r, const char *string);
bool take_number(struct reader *r, long *number); // decimal digits, and something else behind them

// The length of the first line, with its end; 0 if that has not come yet.
size_t line_length(struct connection *c, const char *at, size_t length);

void prepare(struct connection *c);

struct result {
    double seconds;
    long deliveries;
    int64_t *latencies; // of each, in nanoseconds
};

// Deliver so many messages, or for so many seconds if that comes first and is not 0, and wait for the last answer.
struct result run(struct connection *senders, int count, long deliveries, double seconds);

// CPU time, in seconds (cpu.c)

double server_cpu(void); // of the server's process and of all that it has started
double own_cpu(void);

// Anywhere (main.c)

__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);
void *allocate(size_t count, size_t size);
__attribute__((format(printf, 1, 2))) struct text text(const char *format, ...);

// Of Twotick's extended profile (extended.c)

struct text identifier(long number); // the Id of a message; the bytes are overwritten by the next call
bool take_id(struct reader *r, long number);
bool take_id_of_any_run(struct reader *r, long number); // it was sent by another process of the load
bool take_time(struct reader *r);                       // and the end of the head, before which it stands
bool take_body(struct reader *r);

// The protocols

extern const struct protocol twotick_classic, twotick_window, twotick_identified, twotick_member;
extern const struct protocol stored, waiting, jetstream, jetstream_waiting, amqp, amqp_waiting, mqtt_stored, postgres;
extern const struct protocol irc, mqtt, nats, redis, xmpp;

#endif
