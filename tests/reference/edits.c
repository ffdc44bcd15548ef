#include "tests/reference/edits.h"

#include <stddef.h>
#include <string.h>

enum { MAX_WORD = 512 };

/* A letter as the view of its bytes: up to where the next one begins. */
static size_t letters_of(struct str word, struct str letters[MAX_WORD])
{
    size_t count = 0;
    for (size_t i = 0; i < word.len; i++) {
        if (((unsigned char)word.ptr[i] & 0xc0) != 0x80)
            letters[count++] = (struct str){word.ptr + i, 1};
        else if (count)
            letters[count - 1].len++;
    }
    return count;
}

uint32_t edits_allowed(struct str word)
{
    struct str letters[MAX_WORD];
    size_t count = letters_of(word, letters);
    for (char digit = '0'; digit <= '9'; digit++)
        if (memchr(word.ptr, digit, word.len))
            return 0;
    return count > 63 ? 0 : count >= 9 ? 2 : count >= 5 ? 1 : 0;
}

static uint32_t lower(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t edits_between(struct str a, struct str b, uint32_t most)
{
    struct str x[MAX_WORD], y[MAX_WORD];
    size_t n = letters_of(a, x), m = letters_of(b, y);
    uint32_t rows[3][MAX_WORD + 1], *before = rows[0], *row = rows[1], *earlier = rows[2];
    if (n > m + most || m > n + most) /* the table would say so */
        return most + 1;
    for (uint32_t k = 0; k <= m; k++)
        before[k] = k;
    for (size_t i = 1; i <= n; i++) {
        row[0] = (uint32_t)i;
        for (size_t k = 1; k <= m; k++) {
            row[k] = lower(before[k - 1] + !str_equal(x[i - 1], y[k - 1]), lower(before[k], row[k - 1]) + 1);
            if (i > 1 && k > 1 && str_equal(x[i - 1], y[k - 2]) && str_equal(x[i - 2], y[k - 1]))
                row[k] = lower(row[k], earlier[k - 2] + 1);
        }
        uint32_t *oldest = earlier;
        earlier = before;
        before = row;
        row = oldest;
    }
    return before[m];
}
