#include "common/check.h"

#include <stdlib.h>

#include "common/logger.h"

_Noreturn void check_failed(const char *claim, const char *file, int line)
{
    log_error("this must hold and does not: %s at=%s:%d", claim, file, line);
    abort();
}
