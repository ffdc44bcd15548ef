#include "coordinator/turns.h"

void turns_take(struct turns *t, size_t bytes)
{
    t->left -= bytes < t->left ? bytes : t->left;
}

uint64_t turns_period(bool is_searching, bool is_updating, bool is_ahead)
{
    if (is_ahead && (is_searching || is_updating))
        return TURN_AHEAD_US;
    return is_searching ? TURN_EVERY_US : 0;
}

bool turns_begin(struct turns *t, uint64_t period_us, uint64_t now_us)
{
    if (now_us - t->given_us < period_us)
        return false;
    t->left = TURN_BYTES;
    t->given_us = now_us;
    return true;
}
