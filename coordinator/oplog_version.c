#include "coordinator/oplog_version.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/fd.h"
#include "coordinator/oplog_record.h"

/* One without a whole header is of a kill, one whose header is damaged names nothing that its records do not. */
static int check_file(const char *path, uint32_t *out_version)
{
    uint8_t header[OPLOG_FILE_HEADER];
    scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = fd_pread_all(fd, header, sizeof header, 0);
    if (err)
        return err == ERR_CLOSED ? 0 : err;
    *out_version = load_u32(header + 4);
    return oplog_check_file_header(header, sizeof header, load_u64(header + 8)) == ERR_VERSION ? ERR_VERSION : 0;
}

static int is_log(const struct dirent *e)
{
    size_t digits = strspn(e->d_name, "0123456789");
    return digits > 0 && strcmp(e->d_name + digits, ".log") == 0;
}

static int check_named(const char *directory, const char *name, char why[OPLOG_WHY])
{
    char path[OPLOG_WHY - 200];
    uint32_t version = 0;
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
        return -ENAMETOOLONG;
    int err = check_file(path, &version);
    if (err == ERR_VERSION)
        snprintf(why, OPLOG_WHY, "%s is of format %u, this server reads %d", path, version, OPLOG_VERSION);
    else if (err)
        snprintf(why, OPLOG_WHY, "%s: %s", path, err_str(err));
    return err;
}

int oplog_check_versions(const char *directory, char why[OPLOG_WHY])
{
    struct dirent **files;
    int count = scandir(directory, &files, is_log, alphasort), err = 0;
    if (count < 0) {
        err = -errno;
        snprintf(why, OPLOG_WHY, "%s: %s", directory, err_str(err));
        return err;
    }
    for (int i = 0; i < count; i++) {
        err = err ? err : check_named(directory, files[i]->d_name, why);
        free(files[i]);
    }
    free(files);
    return err;
}
