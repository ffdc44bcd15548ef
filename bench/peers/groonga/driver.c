/*
 * driver - Groonga beside Mayfly: an inverted index with positions, no text kept, its own score: how often the words
 * of the query are in a document (Groonga has no BM25).
 *
 *   driver index TSV DIRECTORY default|one   TSV: id, tab, text; Groonga's index is always one
 *   driver run DIRECTORY QUERIES             requests on standard input: ../../requests.h
 *
 * Groonga splits English at each change between letters, digits and others. So that the same words are compared, this
 * splits and stems them, and gives Groonga a line of stems between spaces. Stop words are kept in the index and looked
 * at in phrases, as Mayfly's are.
 */
#include <ctype.h>
#include <groonga.h>
#include <libstemmer.h>
#include <limits.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <wchar.h>
#include <wctype.h>

#include "../../requests.h"
#include "../stop_words.h"

static grn_ctx groonga;

static void must(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "driver: %s: %s\n", what, groonga.errbuf[0] ? groonga.errbuf : "failed");
    exit(EXIT_FAILURE);
}

/* ------------------------------------------------------------------------------------------------------------ analysis
 */

/* A growing text. */
struct text {
    char *bytes;
    size_t length, room;
};

static void append(struct text *t, const char *bytes, size_t length)
{
    if (t->room - t->length <= length) {
        t->room = 2 * (t->length + length + 1);
        t->bytes = realloc(t->bytes, t->room);
        must(t->bytes != NULL, "memory");
    }
    memcpy(t->bytes + t->length, bytes, length);
    t->length += length;
    t->bytes[t->length] = '\0';
}

/* The length of the character at `s`, 0 at the end; bytes that are no UTF-8 are characters of no word. */
static size_t character(const char *s, const char *end, wint_t *c)
{
    mbstate_t state = {0};
    wchar_t wide = L' ';
    if (s >= end)
        return 0;
    size_t length = mbrtowc(&wide, s, (size_t)(end - s), &state);
    *c = (wint_t)wide;
    if (length != 0 && length <= (size_t)(end - s))
        return length;
    *c = L' ';
    return 1;
}

static int is_of_word(wint_t c)
{
    return iswalnum(c) || c == L'_';
}

/* As UAX 29: a full stop or an apostrophe between letters, a full stop or a comma between digits. */
static int joins(const char *at, const char *begin, const char *end)
{
    if (at == begin || at + 1 >= end)
        return 0;
    unsigned char before = (unsigned char)at[-1], after = (unsigned char)at[1];
    if (isdigit(before) && isdigit(after))
        return *at == '.' || *at == ',' || *at == '\'';
    return isalpha(before) && isalpha(after) && (*at == '.' || *at == '\'' || *at == ':');
}

/* The next word in lower case; false at the end. */
static bool next_word(const char **at, const char *end, struct text *word)
{
    const char *begin = *at;
    wint_t c;
    word->length = 0;
    for (size_t length; (length = character(*at, end, &c)) > 0; *at += length) {
        if (!is_of_word(c) && !(word->length > 0 && joins(*at, begin, end))) {
            if (word->length > 0)
                return true;
            continue;
        }
        char lower[MB_LEN_MAX];
        mbstate_t state = {0};
        append(word, lower, wcrtomb(lower, (wchar_t)towlower(c), &state));
    }
    return word->length > 0;
}

struct english {
    struct sb_stemmer *stemmer;
    struct text word;
};

static struct english english_new(void)
{
    return (struct english){.stemmer = sb_stemmer_new("english", "UTF_8")};
}

/* The stems of a text, `before` and `after` each. */
static void analyze(struct english *e, const char *text, size_t length, bool with_stop_words, const char *before,
                    const char *after, struct text *out)
{
    const char *end = text + length;
    out->length = 0;
    append(out, "", 0);
    while (next_word(&text, end, &e->word)) {
        if (!with_stop_words && is_stop_word(e->word.bytes, (int)e->word.length))
            continue;
        const sb_symbol *stem = sb_stemmer_stem(e->stemmer, (const sb_symbol *)e->word.bytes, (int)e->word.length);
        append(out, before, strlen(before));
        append(out, (const char *)stem, (size_t)sb_stemmer_length(e->stemmer));
        append(out, after, strlen(after));
    }
}

/* ------------------------------------------------------------------------------------------------------------ indexing
 */

static void command(const char *line)
{
    char *answer;
    unsigned length;
    int flags;
    grn_ctx_send(&groonga, line, (unsigned)strlen(line), 0);
    must(groonga.rc == GRN_SUCCESS, line);
    grn_ctx_recv(&groonga, &answer, &length, &flags);
    must(groonga.rc == GRN_SUCCESS, line);
}

static grn_obj *find(const char *name)
{
    grn_obj *found = grn_ctx_get(&groonga, name, (int)strlen(name));
    must(found != NULL, name);
    return found;
}

static const char *const schema[] = {
    "table_create Docs TABLE_NO_KEY",
    "table_create Words TABLE_PAT_KEY ShortText --default_tokenizer TokenDelimit",
    "column_create Words places COLUMN_INDEX|WITH_POSITION Docs",
    NULL,
};

static void add_line(struct english *e, grn_obj *docs, grn_obj *places, const char *line, size_t length)
{
    static struct text stems;
    const char *tab = memchr(line, '\t', length);
    const char *text = tab ? tab + 1 : line;
    grn_obj value;
    analyze(e, text, (size_t)(line + length - text), true, "", " ", &stems);
    GRN_TEXT_INIT(&value, GRN_OBJ_DO_SHALLOW_COPY);
    GRN_TEXT_SET(&groonga, &value, stems.bytes, stems.length);
    grn_id id = grn_table_add(&groonga, docs, NULL, 0, NULL);
    must(id != GRN_ID_NIL, "adding a record");
    must(grn_column_index_update(&groonga, places, id, 1, NULL, &value) == GRN_SUCCESS, "indexing");
}

static int build(const char *tsv, const char *directory)
{
    struct english english = english_new();
    char path[4096], *line = NULL;
    size_t room = 0;
    FILE *file = fopen(tsv, "r");
    must(file != NULL, tsv);
    mkdir(directory, 0777);
    snprintf(path, sizeof path, "%s/db", directory);
    must(grn_db_create(&groonga, path, NULL) != NULL, path);
    for (const char *const *s = schema; *s; s++)
        command(*s);
    grn_obj *docs = find("Docs"), *places = find("Words.places");
    for (ssize_t length; (length = getline(&line, &room, file)) > 0;)
        add_line(&english, docs, places, line, (size_t)length);
    free(line);
    fclose(file);
    must(grn_obj_flush_recursive(&groonga, grn_ctx_db(&groonga)) == GRN_SUCCESS, "writing");
    return EXIT_SUCCESS;
}

/* ----------------------------------------------------------------------------------------------------------- searching
 */

struct search {
    struct english english;
    struct text query;
    grn_obj *docs, *places;
};

/* What Groonga's query syntax takes: "a" OR "b", "a" "b", or "a b". */
static void express(struct search *s, enum request_operator operation, const char *text)
{
    struct text *q = &s->query;
    size_t length = strlen(text);
    if (operation == REQUEST_OR) {
        analyze(&s->english, text, length, false, "\"", "\" OR ", q);
        q->length -= q->length > 4 ? 4 : 0;
    } else if (operation == REQUEST_AND) {
        analyze(&s->english, text, length, false, "\"", "\" ", q);
    } else {
        struct text words = {0};
        analyze(&s->english, text, length, true, "", " ", &words);
        q->length = 0;
        if (words.length > 0) {
            append(q, "\"", 1);
            append(q, words.bytes, words.length - 1);
            append(q, "\"", 1);
        }
        free(words.bytes);
    }
}

static grn_obj *select_docs(struct search *s)
{
    grn_obj *expression, *variable;
    GRN_EXPR_CREATE_FOR_QUERY(&groonga, s->docs, expression, variable);
    must(expression && variable, "an expression");
    grn_rc rc = grn_expr_parse(&groonga, expression, s->query.bytes, (unsigned)s->query.length, s->places, GRN_OP_MATCH,
                               GRN_OP_AND, GRN_EXPR_SYNTAX_QUERY);
    must(rc == GRN_SUCCESS, s->query.bytes);
    grn_obj *found = grn_table_select(&groonga, s->docs, expression, NULL, GRN_OP_OR);
    must(found != NULL, s->query.bytes);
    grn_obj_unlink(&groonga, expression);
    return found;
}

/* The best k by score; how many there are. */
static uint64_t take_best(grn_obj *found, uint32_t k)
{
    unsigned count = 0;
    grn_obj *best = grn_table_create(&groonga, NULL, 0, NULL, GRN_OBJ_TABLE_NO_KEY, NULL, found);
    grn_table_sort_key *keys = grn_table_sort_key_from_str(&groonga, "-_score", 7, found, &count);
    must(best && keys, "sorting");
    int sorted = grn_table_sort(&groonga, found, 0, (int)k, best, keys, (int)count);
    grn_table_sort_key_close(&groonga, keys, count);
    grn_obj_unlink(&groonga, best);
    return (uint64_t)sorted;
}

static uint64_t search(void *context, const struct request_mode *mode, uint32_t k, const char *text)
{
    struct search *s = context;
    express(s, mode->operation, text);
    if (s->query.length == 0)
        return 0;
    grn_obj *found = select_docs(s);
    uint64_t answer = mode->is_count ? grn_table_size(&groonga, found) : take_best(found, k);
    grn_obj_unlink(&groonga, found);
    return answer;
}

static int serve(const char *directory, const char *path)
{
    struct request_queries queries;
    struct search s = {.english = english_new()};
    char database[4096];
    request_queries_read(&queries, path);
    snprintf(database, sizeof database, "%s/db", directory);
    must(grn_db_open(&groonga, database) != NULL, database);
    s.docs = find("Docs");
    s.places = find("Words.places");
    request_serve(&queries, search, &s);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    must(grn_init() == GRN_SUCCESS && grn_ctx_init(&groonga, 0) == GRN_SUCCESS, "groonga");
    GRN_CTX_SET_ENCODING(&groonga, GRN_ENC_UTF8);
    if (argc == 5 && strcmp(argv[1], "index") == 0)
        return build(argv[2], argv[3]);
    if (argc == 4 && strcmp(argv[1], "run") == 0)
        return serve(argv[2], argv[3]);
    fprintf(stderr, "usage: driver index TSV DIRECTORY default|one, or driver run DIRECTORY QUERIES\n");
    return 2;
}
