// Functions to write and read binary protocols, whose numbers have the most significant byte first.
#ifndef BINARY_H
#define BINARY_H

#include "load.h"

void put_bytes(struct text *to, const void *bytes, size_t length);
void put_string(struct text *to, const char *string); // without its final 0
void put_text(struct text *to, struct text *content); // which is freed
void put_number(struct text *to, int size, uint64_t number);
uint64_t get_number(const void *at, int size);
void set_number(void *at, int size, uint64_t number);
void say_text(struct connection *c, struct text *content);    // while logging in; frees the text
void append_text(struct connection *c, struct text *content); // while it runs; frees the text

#endif
