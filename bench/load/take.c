// Functions with which protocols parse their input.
#include "load.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST_NUMBER = 18 };

bool take_text(struct reader *r, const char *bytes, size_t length)
{
    size_t left = (size_t)(r->end - r->at);
    if (memcmp(r->at, bytes, left < length ? left : length) != 0)
        unexpected(r->c, r->begin, (size_t)(r->end - r->begin));
    if (left < length) return false;
    r->at += length;
    return true;
}

bool take_string(struct reader *r, const char *string)
{
    return take_text(r, string, strlen(string));
}

bool take_number(struct reader *r, long *number)
{
    const char *at = r->at;
    for (*number = 0; at < r->end && isdigit((unsigned char)*at) && at - r->at < LONGEST_NUMBER; at++)
        *number = 10 * *number + (*at - '0');
    if (at == r->end) return false;
    if (at == r->at || isdigit((unsigned char)*at)) unexpected(r->c, r->begin, (size_t)(r->end - r->begin));
    r->at = at;
    return true;
}

size_t line_length(struct connection *c, const char *at, size_t length)
{
    const char *newline = memchr(at, '\n', length);
    if (newline) return (size_t)(newline - at) + 1;
    if (length > LONGEST_LINE) unexpected(c, at, length);
    return 0;
}
