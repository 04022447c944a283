#include "binary.h"

#include <stdlib.h>
#include <string.h>

static void forget(struct text *text)
{
    free(text->bytes);
    *text = (struct text){0};
}

void put_bytes(struct text *to, const void *bytes, size_t length)
{
    to->bytes = realloc(to->bytes, to->length + length + 1);
    if (!to->bytes) fail("out of memory");
    if (length) memcpy(to->bytes + to->length, bytes, length);
    to->length += length;
}

void put_string(struct text *to, const char *string)
{
    put_bytes(to, string, strlen(string));
}

void put_text(struct text *to, struct text *content)
{
    put_bytes(to, content->bytes, content->length);
    forget(content);
}

void put_number(struct text *to, int size, uint64_t number)
{
    char bytes[8];
    set_number(bytes, size, number);
    put_bytes(to, bytes, (size_t)size);
}

void set_number(void *at, int size, uint64_t number)
{
    for (int i = 0; i < size; i++) ((unsigned char *)at)[i] = (unsigned char)(number >> 8 * (size - 1 - i));
}

uint64_t get_number(const void *at, int size)
{
    uint64_t number = 0;
    for (int i = 0; i < size; i++) number = number << 8 | ((const unsigned char *)at)[i];
    return number;
}

void say_text(struct connection *c, struct text *content)
{
    write_bytes(c, content->bytes, content->length);
    forget(content);
}

void append_text(struct connection *c, struct text *content)
{
    append(c, content->bytes, content->length);
    forget(content);
}
