// Load for chat servers: end-to-end acknowledged deliveries, the same work over several protocols.
//
// The load connects pairs of a sender and a receiver to one server on loopback. A sender keeps a number of messages in
// flight, its receiver answers each of them, and a delivery is counted when the sender has read the answer. In two
// variants, the server itself answers each message when it has stored it, without receivers; and all receivers answer
// the messages of one sender. The load knows in advance what each connection must read, and compares every byte. Any
// other byte, a closed connection or a standstill ends the program with an error message and without figures.
//
// The load is one process and one thread with non-blocking sockets and epoll, because it must use less CPU than the
// servers that it loads. It prints one JSON object. With --server-pid, that has the server's CPU time per delivery.
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const struct protocol *const protocols[] = {
    &twotick_classic,
    &twotick_window,
    &twotick_identified,
    &twotick_member,
    &irc,
    &mqtt,
    &nats,
    &redis,
    &xmpp,
    &stored,
    &waiting,
    &jetstream,
    &jetstream_waiting,
    &amqp,
    &amqp_waiting,
    &mqtt_stored,
    &postgres,
};
enum { PROTOCOLS = sizeof protocols / sizeof *protocols, DEFAULT_DELIVERIES = 100000 };

struct options options = {.pairs = 50, .window = 1, .bytes = 64};
struct text body;

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) fail("out of memory");
    return memory;
}

struct text text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *bytes;
    int length = vasprintf(&bytes, format, arguments);
    va_end(arguments);
    if (length < 0) fail("out of memory");
    return (struct text){bytes, (size_t)length};
}

// The command line

static long number(const char *option, const char *value, long least, long most)
{
    char *end;
    errno = 0;
    long result = strtol(value, &end, 10);
    if (errno || end == value || *end || result < least || result > most)
        fail("--%s is a number from %ld to %ld, not '%s'", option, least, most, value);
    return result;
}

static const struct protocol *protocol_named(const char *name)
{
    for (int i = 0; i < PROTOCOLS; i++)
        if (strcmp(name, protocols[i]->name) == 0) return protocols[i];
    fail("there is no protocol '%s'", name);
}

static void usage(void)
{
    fputs("usage: load --protocol NAME --port PORT [--pairs N [--first N] | --receivers N] [--window IN_FLIGHT]\n"
          "            [--rate MESSAGES_A_SECOND] [--warm-up N] [--deliveries N] [--seconds N] [--bytes N]\n"
          "            [--server-pid PID]\n"
          "protocols:",
          stderr);
    for (int i = 0; i < PROTOCOLS; i++) fprintf(stderr, " %s", protocols[i]->name);
    fputc('\n', stderr);
    exit(2);
}

static void check_options(void)
{
    const struct protocol *protocol = options.protocol;
    if (protocol->longest_body && options.bytes > protocol->longest_body)
        fail("a body has at most %ld bytes over %s", protocol->longest_body, protocol->name);
    if (options.receivers && !protocol->script_everyone)
        fail("--receivers: there is no message to everyone over %s", protocol->name);
    // The load could not tell the answers to two messages apart.
    if (options.receivers && options.window > 1) fail("--window is 1 with --receivers");
}

static void read_options(int count, char **arguments)
{
    enum { PROTOCOL, PORT, PAIRS, FIRST, RECEIVERS, IN_FLIGHT, RATE, WARM_UP, DELIVERIES, SECONDS, BYTES, SERVER_PID };
    static const struct option known[] = {
        {"protocol", required_argument, NULL, PROTOCOL},
        {"port", required_argument, NULL, PORT},
        {"pairs", required_argument, NULL, PAIRS},
        {"first", required_argument, NULL, FIRST},
        {"receivers", required_argument, NULL, RECEIVERS},
        {"window", required_argument, NULL, IN_FLIGHT},
        {"rate", required_argument, NULL, RATE},
        {"warm-up", required_argument, NULL, WARM_UP},
        {"deliveries", required_argument, NULL, DELIVERIES},
        {"seconds", required_argument, NULL, SECONDS},
        {"bytes", required_argument, NULL, BYTES},
        {"server-pid", required_argument, NULL, SERVER_PID},
        {0},
    };
    int option, index;
    while ((option = getopt_long(count, arguments, "", known, &index)) != -1) {
        if (option == '?') usage();
        const char *name = known[index].name;
        switch (option) {
        case PROTOCOL: options.protocol = protocol_named(optarg); break;
        case PORT: options.port = (int)number(name, optarg, 1, 65535); break;
        case PAIRS: options.pairs = (int)number(name, optarg, 1, 100000); break;
        case FIRST: options.first = (int)number(name, optarg, 0, 100000); break;
        case RECEIVERS: options.receivers = (int)number(name, optarg, 1, 100000); break;
        case IN_FLIGHT: options.window = (int)number(name, optarg, 1, 100000); break;
        case RATE: options.rate = number(name, optarg, 1, 10000000); break;
        case WARM_UP: options.warm_up = number(name, optarg, 0, 1000000000); break;
        case DELIVERIES: options.deliveries = number(name, optarg, 1, 1000000000); break;
        case SECONDS: options.seconds = (double)number(name, optarg, 1, 86400); break;
        case BYTES: options.bytes = number(name, optarg, 1, 1 << 20); break;
        case SERVER_PID: options.server_pid = (int)number(name, optarg, 1, INT32_MAX); break;
        }
    }
    if (!options.deliveries) options.deliveries = options.seconds > 0 ? LONG_MAX : DEFAULT_DELIVERIES;
    if (!options.protocol || !options.port || optind < count) usage();
    check_options();
}

// The users

static void log_in(struct connection *c, bool sends, int number)
{
    c->sends = sends;
    c->number = number;
    snprintf(c->name, sizeof c->name, "%c%d", sends ? 's' : 'r', number);
    c->socket = open_socket();
    options.protocol->log_in(c);
}

static void log_in_everyone(struct connection *sender, struct connection *receivers)
{
    log_in(sender, true, 0);
    for (int i = 0; i < options.receivers; i++) log_in(&receivers[i], false, i);
    options.protocol->script_everyone(sender, receivers);
}

static void log_in_pair(struct connection *sender, struct connection *receiver, int number)
{
    log_in(sender, true, number);
    if (receiver) {
        log_in(receiver, false, number);
        receiver->other = sender;
    }
    sender->other = receiver;
    options.protocol->script(sender, receiver);
}

// Check that every receiver got exactly the messages that its sender sent.
static void check_receivers(const struct connection *senders, const struct connection *receivers, int count)
{
    for (int i = 0; i < count; i++) {
        const struct connection *sender = receivers[i].other ? receivers[i].other : senders;
        if (receivers[i].taken != sender->begun)
            fail("%s received %ld messages, but %ld were sent", receivers[i].name, receivers[i].taken, sender->begun);
    }
}

// Results

static int compare_latencies(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static double percentile_microseconds(struct result result, double share)
{
    long rank = (long)(share * (double)result.deliveries);
    return (double)result.latencies[rank < result.deliveries ? rank : result.deliveries - 1] / 1e3;
}

// With --receivers, a message to n receivers counts as n deliveries, and its latency is that of the last answer.
static void report(struct result result, double server, double own)
{
    double deliveries = (double)result.deliveries * (options.receivers ? options.receivers : 1);
    qsort(result.latencies, (size_t)result.deliveries, sizeof *result.latencies, compare_latencies);
    printf("{\"protocol\": \"%s\", ", options.protocol->name);
    if (options.receivers) printf("\"receivers\": %d, ", options.receivers);
    else printf("\"pairs\": %d, ", options.pairs);
    printf("\"window\": %d, \"bytes\": %ld, \"deliveries\": %.0f, \"seconds\": %.6f, \"deliveries_per_second\": %.0f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p99.9_us\": %.1f, \"worst_us\": %.1f, ",
           options.window, options.bytes, deliveries, result.seconds, deliveries / result.seconds,
           percentile_microseconds(result, 0.5), percentile_microseconds(result, 0.99),
           percentile_microseconds(result, 0.999), percentile_microseconds(result, 1));
    if (options.server_pid)
        printf("\"server_cpu_us_per_delivery\": %.3f, \"server_cpu_share\": %.3f, ", server * 1e6 / deliveries,
               server / result.seconds);
    printf("\"load_cpu_share\": %.3f}\n", own / result.seconds);
}

static void allow_many_files(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int count, char **arguments)
{
    read_options(count, arguments);
    allow_many_files();
    prctl(PR_SET_TIMERSLACK, 1); // with --rate, send a message at most this many nanoseconds late
    body = (struct text){allocate((size_t)options.bytes + 1, 1), (size_t)options.bytes};
    memset(body.bytes, 'x', body.length);

    int sender_count = options.receivers ? 1 : options.pairs;
    int receiver_count = options.receivers ? options.receivers : options.protocol->no_receivers ? 0 : options.pairs;
    struct connection *senders = allocate((size_t)sender_count, sizeof *senders);
    struct connection *receivers = allocate((size_t)receiver_count, sizeof *receivers);
    if (options.receivers) log_in_everyone(senders, receivers);
    else
        for (int i = 0; i < sender_count; i++)
            log_in_pair(&senders[i], options.protocol->no_receivers ? NULL : &receivers[i], options.first + i);
    for (int i = 0; i < sender_count; i++) prepare(&senders[i]);
    for (int i = 0; i < receiver_count; i++) prepare(&receivers[i]);

    if (options.warm_up) run(senders, sender_count, options.warm_up, 0);
    double server_before = server_cpu(), own_before = own_cpu();
    struct result result = run(senders, sender_count, options.deliveries, options.seconds);
    double server = server_cpu() - server_before, own = own_cpu() - own_before;
    check_receivers(senders, receivers, receiver_count);
    report(result, server, own);
    return 0;
}
