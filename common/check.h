/* check.h - `require` what would otherwise corrupt the index or another process: always compiled in, logs and aborts.
 * assert() is for what only a bug in this process could break. Bytes from outside are never asserted but decoded. */
#ifndef COMMON_CHECK_H
#define COMMON_CHECK_H

#define require(claim) ((claim) ? (void)0 : check_failed(#claim, __FILE__, __LINE__))

_Noreturn void check_failed(const char *claim, const char *file, int line);

#endif
