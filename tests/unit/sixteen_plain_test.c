/* As on processors that have no SSE2. */
#define SIXTEEN_IN_PLAIN_C
#include "sixteen_test.c"
