/* utf8.h - what is UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"

/* Bytes of the valid sequence at the front (1 to 4), or 0 if it begins with none. */
size_t utf8_sequence(struct str s);

/* Bytes up to the first invalid sequence: s.len if all is valid. */
size_t utf8_valid_prefix(struct str s);

/* Writes a code point (1 to 4 bytes) and returns how many; surrogates are the caller's to avoid. */
size_t utf8_encode(char to[4], uint32_t code);

#endif
