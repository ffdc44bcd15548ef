/*
 * driver - SQLite FTS5 beside Mayfly: contentless, with positions, its own bm25 (k1 1.2, b 0.75).
 *
 *   driver index TSV DIRECTORY default|one   TSV: id, tab, text; "one" merges the index to one segment at the end
 *   driver run DIRECTORY QUERIES             requests on standard input: ../../requests.h
 *
 * The tokenizer is FTS5's unicode61, behind it the stop words and Snowball's English stemmer. FTS5 counts positions of
 * the tokens that it is given: where a stop word was left out there is no gap.
 */
#include <libstemmer.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../requests.h"
#include "../stop_words.h"

static void must(int ok, const char *what, sqlite3 *db)
{
    if (ok)
        return;
    fprintf(stderr, "driver: %s: %s\n", what, db ? sqlite3_errmsg(db) : "failed");
    exit(EXIT_FAILURE);
}

/* ------------------------------------------------------------------------------------------------------- the tokenizer
 */

struct english {
    fts5_tokenizer words; /* unicode61 */
    Fts5Tokenizer *state;
    struct sb_stemmer *stemmer;
};

struct sink {
    struct english *english;
    void *context;
    int (*token)(void *, int, const char *, int, int, int);
};

static int take_word(void *context, int flags, const char *word, int length, int begin, int end)
{
    struct sink *sink = context;
    if (is_stop_word(word, length))
        return SQLITE_OK;
    const sb_symbol *stem = sb_stemmer_stem(sink->english->stemmer, (const sb_symbol *)word, length);
    return sink->token(sink->context, flags, (const char *)stem, sb_stemmer_length(sink->english->stemmer), begin, end);
}

static int english_tokenize(Fts5Tokenizer *tokenizer, void *context, int flags, const char *text, int length,
                            int (*token)(void *, int, const char *, int, int, int))
{
    struct english *english = (struct english *)tokenizer;
    struct sink sink = {.english = english, .context = context, .token = token};
    return english->words.xTokenize(english->state, &sink, flags, text, length, take_word);
}

static void english_delete(Fts5Tokenizer *tokenizer)
{
    struct english *english = (struct english *)tokenizer;
    english->words.xDelete(english->state);
    sb_stemmer_delete(english->stemmer);
    free(english);
}

static const char *const word_characters[] = {"tokenchars", "_"}; /* as in UAX 29 */

static int english_create(void *context, const char **arguments, int count, Fts5Tokenizer **out)
{
    fts5_api *api = context;
    void *words_context;
    struct english *english = calloc(1, sizeof *english);
    (void)arguments, (void)count;
    if (!english)
        return SQLITE_NOMEM;
    int rc = api->xFindTokenizer(api, "unicode61", &words_context, &english->words);
    if (rc == SQLITE_OK)
        rc = english->words.xCreate(words_context, (const char **)word_characters, 2, &english->state);
    english->stemmer = sb_stemmer_new("english", "UTF_8");
    *out = (Fts5Tokenizer *)english;
    return rc == SQLITE_OK && !english->stemmer ? SQLITE_NOMEM : rc;
}

static fts5_api *find_api(sqlite3 *db)
{
    fts5_api *api = NULL;
    sqlite3_stmt *statement;
    must(sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &statement, NULL) == SQLITE_OK, "fts5", db);
    sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", NULL);
    sqlite3_step(statement);
    sqlite3_finalize(statement);
    must(api != NULL, "fts5", db);
    return api;
}

static sqlite3 *open_database(const char *directory, fts5_api **api)
{
    static fts5_tokenizer english = {english_create, english_delete, english_tokenize};
    char path[4096];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/fts5.db", directory);
    must(sqlite3_open(path, &db) == SQLITE_OK, path, db);
    *api = find_api(db);
    must((*api)->xCreateTokenizer(*api, "english", *api, &english, NULL) == SQLITE_OK, "the tokenizer", db);
    return db;
}

static void execute(sqlite3 *db, const char *sql)
{
    must(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, sql, db);
}

/* ------------------------------------------------------------------------------------------------------------ indexing
 */

static void add_line(sqlite3 *db, sqlite3_stmt *insert, char *line, ssize_t length)
{
    char *tab = memchr(line, '\t', (size_t)length);
    const char *text = tab ? tab + 1 : line;
    sqlite3_bind_text(insert, 1, text, (int)(line + length - text), SQLITE_STATIC);
    must(sqlite3_step(insert) == SQLITE_DONE, "insert", db);
    sqlite3_reset(insert);
}

static int build(const char *tsv, const char *directory, const char *shape)
{
    fts5_api *api;
    sqlite3_stmt *insert;
    char *line = NULL;
    size_t room = 0;
    FILE *file = fopen(tsv, "r");
    must(file != NULL, tsv, NULL);
    mkdir(directory, 0777);
    sqlite3 *db = open_database(directory, &api);
    execute(db, "PRAGMA journal_mode=OFF");
    execute(db, "PRAGMA synchronous=OFF");
    execute(db, "CREATE VIRTUAL TABLE docs USING fts5(text, content='', tokenize='english')");
    execute(db, "BEGIN");
    must(sqlite3_prepare_v2(db, "INSERT INTO docs(text) VALUES(?1)", -1, &insert, NULL) == SQLITE_OK, "insert", db);
    for (ssize_t length; (length = getline(&line, &room, file)) > 0;)
        add_line(db, insert, line, length - (line[length - 1] == '\n'));
    sqlite3_finalize(insert);
    execute(db, "COMMIT");
    if (strcmp(shape, "one") == 0)
        execute(db, "INSERT INTO docs(docs) VALUES('optimize')");
    free(line);
    fclose(file);
    return sqlite3_close(db) != SQLITE_OK;
}

/* ----------------------------------------------------------------------------------------------------------- searching
 */

struct search {
    sqlite3 *db;
    fts5_tokenizer tokenizer;
    Fts5Tokenizer *english;
    sqlite3_stmt *top, *count;
};

/* The words of a query as FTS5 reads them: each in quotation marks, an operator between. */
struct expression {
    const char *text, *operator;
    char *end, *limit;
};

static int take_term(void *context, int flags, const char *stem, int length, int begin, int end)
{
    struct expression *e = context;
    (void)flags, (void)stem, (void)length;
    int wrote = snprintf(e->end, (size_t)(e->limit - e->end), "%s\"%.*s\"", e->operator, end - begin, e->text + begin);
    if (wrote >= e->limit - e->end)
        return SQLITE_FULL;
    e->end += wrote;
    return SQLITE_OK;
}

static const char *const operators[] = {[REQUEST_OR] = " OR ", [REQUEST_AND] = " AND ", [REQUEST_PHRASE] = " + "};

/* Where the expression begins; NULL if the query has no words. */
static const char *express(struct search *s, const struct request_mode *mode, const char *text, char *room, size_t size)
{
    const char *operator= operators[mode->operation];
    struct expression e = {.text = text, .operator= operator, .end = room, .limit = room + size};
    int rc = s->tokenizer.xTokenize(s->english, &e, FTS5_TOKENIZE_QUERY, text, (int)strlen(text), take_term);
    must(rc == SQLITE_OK, text, NULL);
    return e.end == room ? NULL : room + strlen(operator);
}

static uint64_t search(void *context, const struct request_mode *mode, uint32_t k, const char *text)
{
    struct search *s = context;
    char room[16384];
    uint64_t found = 0;
    const char *expression = express(s, mode, text, room, sizeof room);
    if (!expression)
        return 0;
    sqlite3_stmt *statement = mode->is_count ? s->count : s->top;
    sqlite3_bind_text(statement, 1, expression, -1, SQLITE_STATIC);
    if (!mode->is_count)
        sqlite3_bind_int64(statement, 2, k);
    for (int rc; (rc = sqlite3_step(statement)) != SQLITE_DONE;) {
        must(rc == SQLITE_ROW, expression, s->db);
        found = mode->is_count ? (uint64_t)sqlite3_column_int64(statement, 0) : found + 1;
    }
    sqlite3_reset(statement);
    return found;
}

static int serve(const char *directory, const char *path)
{
    static const char top[] = "SELECT rowid, rank FROM docs WHERE docs MATCH ?1 ORDER BY rank LIMIT ?2";
    static const char count[] = "SELECT count(*) FROM docs WHERE docs MATCH ?1";
    struct request_queries queries;
    struct search s = {0};
    fts5_api *api;
    void *tokenizer_context;
    request_queries_read(&queries, path);
    s.db = open_database(directory, &api);
    must(api->xFindTokenizer(api, "english", &tokenizer_context, &s.tokenizer) == SQLITE_OK, "the tokenizer", s.db);
    must(s.tokenizer.xCreate(tokenizer_context, NULL, 0, &s.english) == SQLITE_OK, "the tokenizer", s.db);
    execute(s.db, "PRAGMA mmap_size=4294967296");
    execute(s.db, "PRAGMA cache_size=-1048576");
    must(sqlite3_prepare_v2(s.db, top, -1, &s.top, NULL) == SQLITE_OK, top, s.db);
    must(sqlite3_prepare_v2(s.db, count, -1, &s.count, NULL) == SQLITE_OK, count, s.db);
    request_serve(&queries, search, &s);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "index") == 0)
        return build(argv[2], argv[3], argv[4]);
    if (argc == 4 && strcmp(argv[1], "run") == 0)
        return serve(argv[2], argv[3]);
    fprintf(stderr, "usage: driver index TSV DIRECTORY default|one, or driver run DIRECTORY QUERIES\n");
    return 2;
}
