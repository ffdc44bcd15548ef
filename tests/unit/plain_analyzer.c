#include "plain_analyzer.h"

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

void analyzer_words(struct analyzer *a, struct str text, analyzer_sink *sink, void *context)
{
    uint32_t position = 0;
    for (size_t i = 0; i < text.len;) {
        size_t end = i;
        if ((unsigned char)text.ptr[i] >= 0xe0 && i + 3 <= text.len)
            end = i + 3;
        while (end < text.len && (unsigned char)text.ptr[i] < 0x80 && is_word_byte(text.ptr[end]))
            end++;
        size_t mark = arena_mark(&a->words);
        char *folded = arena_alloc(&a->words, end - i + 1);
        for (size_t k = i; k < end; k++)
            folded[k - i] = text.ptr[k] >= 'A' && text.ptr[k] <= 'Z' ? (char)(text.ptr[k] + 32) : text.ptr[k];
        bool more = end == i || sink(context, (struct str){folded, end - i}, position++);
        arena_rewind(&a->words, mark);
        if (!more)
            return;
        i = end > i ? end : i + 1;
    }
}

struct str analyzer_stem(struct analyzer *a, struct str word)
{
    (void)a;
    if (word.len > 2 && word.ptr[word.len - 1] == 's')
        word.len--;
    return word;
}

bool analyzer_is_stop_word(const struct analyzer *a, struct str word)
{
    (void)a;
    static const char *const stop_words[] = {"the", "or", "and", "not", "of", "to", "be"};
    for (size_t i = 0; i < sizeof stop_words / sizeof *stop_words; i++) {
        if (str_equal(word, str_of(stop_words[i])))
            return true;
    }
    return false;
}
