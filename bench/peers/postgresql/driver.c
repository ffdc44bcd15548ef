/*
 * driver - PostgreSQL beside Mayfly: requests (../../requests.h) answered by one connection to a server.
 *
 *   driver SOCKET-DIRECTORY QUERIES
 *
 * Hits are sorted by ts_rank, which knows no frequencies of the collection and no lengths: not comparable to BM25.
 */
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../requests.h"

static const char *const queries[] = {
    [REQUEST_OR] = "CAST(replace(plainto_tsquery('english', $1)::text, ' & ', ' | ') AS tsquery)",
    [REQUEST_AND] = "plainto_tsquery('english', $1)",
    [REQUEST_PHRASE] = "phraseto_tsquery('english', $1)",
};
enum { QUERIES = sizeof queries / sizeof *queries };

/* Notices of queries that have stop words only; plans that know the words. */
static const char options[] = "-c client_min_messages=error -c plan_cache_mode=force_custom_plan";

static void must(PGconn *server, PGresult *result, ExecStatusType status, const char *what)
{
    if (PQresultStatus(result) == status)
        return;
    fprintf(stderr, "driver: %s: %s\n", what, PQerrorMessage(server));
    exit(EXIT_FAILURE);
}

static void prepare(PGconn *server, int operation)
{
    char sql[1024], name[8];
    snprintf(name, sizeof name, "top%d", operation);
    snprintf(sql, sizeof sql,
             "SELECT id, ts_rank(words, query) AS score FROM docs, %s query WHERE words @@ query "
             "ORDER BY score DESC LIMIT $2::int",
             queries[operation]);
    PGresult *result = PQprepare(server, name, sql, 2, NULL);
    must(server, result, PGRES_COMMAND_OK, sql);
    PQclear(result);
    snprintf(name, sizeof name, "all%d", operation);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM docs WHERE words @@ %s", queries[operation]);
    result = PQprepare(server, name, sql, 1, NULL);
    must(server, result, PGRES_COMMAND_OK, sql);
    PQclear(result);
}

static uint64_t search(void *context, const struct request_mode *mode, uint32_t k, const char *text)
{
    PGconn *server = context;
    char name[8], limit[16];
    const char *values[] = {text, limit};
    snprintf(name, sizeof name, "%s%d", mode->is_count ? "all" : "top", (int)mode->operation);
    snprintf(limit, sizeof limit, "%u", k);
    PGresult *result = PQexecPrepared(server, name, mode->is_count ? 1 : 2, values, NULL, NULL, 0);
    must(server, result, PGRES_TUPLES_OK, text);
    uint64_t answer = mode->is_count ? strtoull(PQgetvalue(result, 0, 0), NULL, 10) : (uint64_t)PQntuples(result);
    PQclear(result);
    return answer;
}

int main(int argc, char **argv)
{
    struct request_queries lines;
    if (argc != 3) {
        fprintf(stderr, "usage: driver SOCKET-DIRECTORY QUERIES\n");
        return 2;
    }
    const char *names[] = {"host", "user", "dbname", "options", NULL};
    const char *values[] = {argv[1], "bench", "postgres", options, NULL};
    PGconn *server = PQconnectdbParams(names, values, 0);
    if (PQstatus(server) != CONNECTION_OK) {
        fprintf(stderr, "driver: %s", PQerrorMessage(server));
        return EXIT_FAILURE;
    }
    for (int i = 0; i < QUERIES; i++)
        prepare(server, i);
    request_queries_read(&lines, argv[2]);
    request_serve(&lines, search, server);
    PQfinish(server);
    return EXIT_SUCCESS;
}
