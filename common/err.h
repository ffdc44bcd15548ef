/* err.h - one int for every failure: 0, or negative.
 *
 * errno values are negated; LMDB's codes (-30799..-30780) and libuv's (-1..-133 and -3000..-4095) keep their values; ours
 * begin at -20001. So a code never needs translation, only a name. */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

enum {
    ERR_CORRUPT = -20001,  /* bytes from outside that do not decode */
    ERR_FULL = -20002,     /* past a cap that was set */
    ERR_TOO_LARGE = -20003,
    ERR_VERSION = -20004,  /* a format or protocol of another version */
    ERR_INVALID = -20005,  /* what a user gave does not make sense */
    ERR_STALE = -20006,    /* a lower epoch, or a generation that is gone */
    ERR_BUSY = -20007,
    ERR_CLOSED = -20008,   /* the other end is gone */
};

/* A sentence fragment in lower case, never NULL; for codes of libraries only after err_name_range. */
const char *err_str(int err);

/* Called from main.c for each library whose codes may reach err_str. At most 4 ranges; low and high are inclusive. */
void err_name_range(int low, int high, const char *(*name)(int err));

#endif
