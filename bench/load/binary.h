// Putting together what protocols that are not text write, and reading their numbers: the most significant byte first.
#ifndef BINARY_H
#define BINARY_H

#include "load.h"

void put_bytes(struct text *to, const void *bytes, size_t length);
void put_string(struct text *to, const char *string); // without its 0
void put_text(struct text *to, struct text *content); // which is given up
void put_number(struct text *to, int size, uint64_t number);
uint64_t get_number(const void *at, int size);
void set_number(void *at, int size, uint64_t number);
void say_text(struct connection *c, struct text *content);    // while logging in; the text is given up
void append_text(struct connection *c, struct text *content); // while it runs; the text is given up

#endif
