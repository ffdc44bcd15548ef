/* format.h - the bytes of a segment file, seg-<id>.mdb.
 *
 * One LMDB environment with one unnamed database, and behind LMDB's pages a seal (seal.h), which protects its tree. The
 * same documents and terms give the same bytes. A key is a section and a part:
 *
 *   | section u8 | part u32 big-endian |                                                                        5 bytes
 *
 * and every value is an extent, sealed by checksums:
 *
 *   0           4          8                12            16                      16+n
 *   | magic u32 | n u32    | section u8     | crc u32     | payload               | crc-32c of each piece, u32 each   |
 *   | "MFS1"    |          | 3 zero bytes   |             | n bytes               | pieces of 64 KiB, the last shorter
 * |
 *
 * crc = CRC-32C of bytes 0 to 11 and of the piece checksums behind the payload. Zero bytes follow, so that the value's
 * length is a multiple of LMDB's page less 16: then it has pages of its own, begins 16 bytes behind the first one's
 * beginning, and the payload is aligned to 32. A piece is checked when it is first touched after the file was mapped.
 *
 * A section is a stream cut into extents of EXTENT_PAYLOAD bytes, a table of equal elements cut into extents of
 * TABLE_PAYLOAD bytes (as many whole elements as fit), or one array in part 0 ("array"). What must lie in one
 * piece of memory (a posting list, a dictionary block, an id) never straddles extents: it goes to the next one, and
 * what is larger than an extent has one of its own. A place in a stream is
 *
 *   | part u32 | offset in its payload u32 |   as one u64, part << 32 | offset
 *
 * Sections:
 *
 *   T  0x01  TOC              array: struct toc below, then the analyzer's identity, then the fields' names, each u16
 *                             length and bytes
 *   D  0x10  dictionary       stream of blocks of up to 64 terms (dictionary.h)
 *   B  0x11  block index      table: 16 bytes of each dictionary block (dictionary.h)
 *   P  0x20  postings         stream of lists (postings.h)
 *   O  0x21  positions        stream of lists (postings.h)
 *   L  0x30  length codes     array: u8 of each document
 *   S  0x31  stamps           array: u64 of each document
 *   I  0x40  records          stream of { u16 id's length, u32 ranges' size, id, ranges }; ranges: v field, v first
 *                             position above that of the range before; a range ends where the next begins
 *   J  0x41  id places        table: u64 of each document
 *   H  0x42  id hashes        table: u64 XXH64 of each id, rising
 *   G  0x43  hash documents   table: u32 document of each hash
 *   C  0x50  stored bodies    stream of blocks: LZ4 of STORE_BLOCK bytes of all bodies one after the other
 *   K  0x51  body blocks      table: u64 place of each block, and u32 compressed length, u32 length (16 bytes)
 *   E  0x52  body ends        table: u64, where each document's body ends among all bodies
 *
 * All integers are little-endian. The order of documents is that of their stamps. */
#ifndef INDEX_FORMAT_H
#define INDEX_FORMAT_H

#include <assert.h>
#include <stdint.h>

enum { FORMAT_VERSION = 2, EXTENT_MAGIC = 0x3153464d /* "MFS1" */ };

enum section {
    SECTION_TOC = 0x01,
    SECTION_DICTIONARY = 0x10,
    SECTION_BLOCKS = 0x11,
    SECTION_POSTINGS = 0x20,
    SECTION_POSITIONS = 0x21,
    SECTION_LENGTHS = 0x30,
    SECTION_STAMPS = 0x31,
    SECTION_IDS = 0x40,
    SECTION_ID_PLACES = 0x41,
    SECTION_HASHES = 0x42,
    SECTION_HASH_DOCUMENTS = 0x43,
    SECTION_BODIES = 0x50,
    SECTION_BODY_BLOCKS = 0x51,
    SECTION_BODY_ENDS = 0x52,
};

enum {
    EXTENT_HEADER = 16,
    PIECE = 64 << 10,
    /* 256 pages less LMDB's 16 bytes: header, payload, and 16 checksums. */
    EXTENT_PAYLOAD = (1 << 20) - 16 - EXTENT_HEADER - 16 * 4,
    /* 32 pages in the same way, with 2 checksums. */
    TABLE_PAYLOAD = (128 << 10) - 16 - EXTENT_HEADER - 2 * 4,
    STORE_BLOCK = 16 << 10,
    RECORD_HEAD = 6,
    TERMS_PER_BLOCK = 64,
    MAX_KEY = 1 + 512,
};

static_assert((TABLE_PAYLOAD + PIECE - 1) / PIECE == 2, "a table's checksums are as many as it has room for");
static_assert((EXTENT_PAYLOAD + PIECE - 1) / PIECE == 16, "an extent's checksums are as many as it has room for");

/* The front of the TOC; a file of another version has another number at its beginning and is refused. */
struct toc {
    uint32_t version;
    uint32_t documents;
    uint64_t id;
    uint64_t terms;
    uint64_t total_length; /* sum of decoded length codes */
    uint64_t first_stamp, last_stamp;
    uint32_t parts_dictionary, parts_postings, parts_positions, parts_ids, parts_bodies; /* extents of each stream */
    uint32_t blocks;                                                                     /* of the dictionary */
    uint32_t body_blocks;
    uint16_t analyzer; /* length of its identity */
    uint16_t fields;
};

static_assert(sizeof(struct toc) == 80, "the TOC is as drawn");

static inline uint64_t place_of(uint32_t part, uint32_t offset)
{
    return (uint64_t)part << 32 | offset;
}

#endif
