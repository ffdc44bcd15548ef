#include "coordinator/turns.h"

enum { AHEAD_OF_SEARCHES = 16, AHEAD_OF_UPDATES = 2 }; /* parts of the budget */

void turns_take(struct turns *t, size_t bytes)
{
    t->left -= bytes < t->left ? bytes : t->left;
}

void turns_end(struct turns *t)
{
    t->left = 0;
}

uint64_t turns_period(struct turns_wanted w)
{
    if (w.searching)
        return w.ahead_bytes > w.budget / AHEAD_OF_SEARCHES ? TURN_AHEAD_US : TURN_EVERY_US;
    return w.updating && w.ahead_bytes > w.budget / AHEAD_OF_UPDATES ? TURN_AHEAD_US : 0;
}

bool turns_begin(struct turns *t, uint64_t period_us, uint64_t now_us)
{
    if (now_us - t->given_us < period_us)
        return false;
    t->left = TURN_BYTES;
    t->given_us = now_us;
    return true;
}
