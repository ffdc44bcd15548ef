/* reader-slots FILE: the pid of each slot that is taken in the reader table of an LMDB file, one a line. */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>

static int print_slot(const char *line, void *context)
{
    long pid = strtol(line, NULL, 10);
    (void)context;
    if (pid > 0) /* else the heading */
        printf("%ld\n", pid);
    return 0;
}

int main(int argc, char **argv)
{
    MDB_env *env;
    int rc = argc == 2 ? mdb_env_create(&env) : -1;
    if (!rc)
        rc = mdb_env_set_mapsize(env, (size_t)1 << 30);
    if (!rc)
        rc = mdb_env_open(env, argv[1], MDB_NOSUBDIR | MDB_RDONLY, 0);
    if (!rc && mdb_reader_list(env, print_slot, NULL) < 0)
        rc = -1;
    if (rc) {
        fprintf(stderr, "reader-slots: %s\n", argc == 2 ? mdb_strerror(rc) : "usage: reader-slots FILE");
        return 1;
    }
    mdb_env_close(env);
    return 0;
}
