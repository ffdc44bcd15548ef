/* decoders.h - the decoders of bytes from outside, each as a function of bytes: for libFuzzer, and replayed by ctest.
 *
 * Each aborts on what must not be; 0 otherwise. */
#ifndef TESTS_FUZZ_DECODERS_H
#define TESTS_FUZZ_DECODERS_H

#include <stddef.h>
#include <stdint.h>

int batch_fuzz(const uint8_t *data, size_t size);   /* batch_header_decode, operation_decode */
int frame_fuzz(const uint8_t *data, size_t size);   /* frame_next, in pieces */
int json_fuzz(const uint8_t *data, size_t size);    /* json_parse, json_tree, json_scan_member, json_unescape */
int message_fuzz(const uint8_t *data, size_t size); /* message_unpack, message_unpack_shard */

#endif
