/* emit.h - writing JSON: values and keys one after the other, commas come by themselves. */
#ifndef CLIENT_CLI_EMIT_H
#define CLIENT_CLI_EMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

void emit_begin(struct buf *b, char bracket);
void emit_end(struct buf *b, char bracket);
void emit_key(struct buf *b, const char *key);
void emit_string(struct buf *b, const char *s);
void emit_str(struct buf *b, struct str s);
void emit_raw(struct buf *b, struct str json);
void emit_bool(struct buf *b, bool value);
void emit_signed(struct buf *b, int64_t value);
void emit_score(struct buf *b, uint64_t score);  /* fixed point, 65536 being 1: exactly */

/* Key and value at once. */
void emit_member_number(struct buf *b, const char *key, uint64_t value);
void emit_member_string(struct buf *b, const char *key, const char *value);
void emit_member_date(struct buf *b, const char *key, uint64_t wall_us);

enum { EMIT_SCORE_SIZE = 40 };
void emit_score_text(char to[EMIT_SCORE_SIZE], uint64_t score);

#endif
