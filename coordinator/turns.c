#include "coordinator/turns.h"

void turns_take(struct turns *t, size_t bytes)
{
    t->left -= bytes < t->left ? bytes : t->left;
}

bool turns_begin(struct turns *t, bool is_searching, uint64_t now_us)
{
    if (is_searching && now_us - t->given_us < TURN_EVERY_US)
        return false;
    t->left = TURN_BYTES;
    t->given_us = now_us;
    return true;
}
