/* format.h - the bytes of a segment file, seg-<id>.mdb, and of the extents of an image (image.h).
 *
 * One LMDB environment with one unnamed database, and behind LMDB's pages a seal (seal.h), which protects its tree. The
 * same documents and terms, written in the same way, give the same bytes. A key is a section and a part:
 *
 *   | section u8 | part u32 big-endian |                                                                        5 bytes
 *
 * and every value is an extent, sealed by checksums:
 *
 *   0           4          8                12            16                      16+n
 *   | magic u32 | n u32    | section u8     | crc u32     | payload               | crc-32c of each piece, u32 each   |
 *   | "MFS1"    |          | its version u8 |             | n bytes               | (64 KiB, the last shorter)        |
 *   |           |          | 2 zero bytes   |             |                       |                                   |
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
 *   D  0x10  dictionary       stream of blocks of up to 64 terms (below)
 *   B  0x11  block index      table: 16 bytes of each dictionary block (below)
 *   P  0x20  postings         stream of lists (below)
 *   O  0x21  positions        stream of lists (below)
 *   Q  0x22  pairs            stream of rows (below)
 *   N  0x23  pair words       table: 16 bytes of each word that has a row (below)
 *   L  0x30  length codes     array: u8 of each document
 *   S  0x31  stamps           array: u64 of each document
 *   I  0x40  records          stream of { u16 id's length, u32 ranges' size, id, ranges }; ranges: v field, v first
 *                             position above that of the range before; a range ends where the next begins
 *   J  0x41  id places        table: u64 of each document
 *   H  0x42  id hashes        table: u64 XXH64 of each id, rising
 *   G  0x43  hash documents   table: u32 document of each hash
 *   C  0x50  stored bodies    stream of blocks: LZ4 of up to STORE_BLOCK bytes of all bodies one after the other
 *   K  0x51  body blocks      table: u64 place of each block, and u64: where it begins among all bodies << 16 | its
 *                             compressed length; it ends where the next one begins, the last where all bodies end
 *   E  0x52  body ends        table: u64, where each document's body ends among all bodies
 *
 * All integers are little-endian; v is a variable-length one (common/bytes.h). The order of documents is that of their
 * stamps.
 *
 * Dictionary
 *
 * A block of the dictionary holds terms of one kind:
 *
 *   | terms u8 | size up to the short texts u16, up to the long ones u16 | heads, u8 a term | lasts, u8 a term |
 *   | short texts | long texts | places u64, u64 | sizes, u8 a term | entries, one a term |
 *
 *   head:   | shared << 4 | rest |                            a nibble each, 15 for 15 and more
 *   last:   | last byte of the key |
 *   text:   | `rest` bytes but the last |                     where neither nibble is 15; it is called long where one is:
 *           | v: shared - 15 if that is 15 | v: rest - 15 if that is 15 | `rest` bytes but the last |
 *   entry:  | v: documents << 2 | INLINED | ELSEWHERE |
 *     INLINED    | the list itself |
 *     ELSEWHERE  | v, v: part and offset of the postings | v: length | stems: the same of the positions |
 *     else       | v: postings' offset behind `places` | v: length | stems: the same of the positions |
 *
 * Sizes are those of heads, lasts and texts. Short texts lie where the heads in front of them say, added up.
 * `shared` bytes of the key are those of the key before, `rest` follow (at least one); the first term of a
 * block shares nothing, the others at least the kind. `places` are where the postings and positions begin of the first
 * term that has them outside. `sizes` are those of the entries.
 *
 * The block index says of each block where it is and how its first key begins, 16 bytes:
 *
 *   | place u64 | first 8 bytes of the key, u64 big-endian, 0 where it is shorter |
 *
 * Postings
 *
 * A posting list has blocks of 256 documents, the last one shorter. What the dictionary says of it: the number of documents,
 * and the two places and lengths, or the list itself.
 *
 * Inlined: at most 8 documents and 48 bytes in all. For each document
 *
 *   | v: gap | stems: v: T << 1 | (n is not T) | v: n, where it is not T | n positions, v each |
 *
 * gap = document - the one before - 1, the first as it is. n = number of positions. Positions: the first as it is, then
 * what each is above the one before, less 1.
 *
 * One block, where there are up to 256 documents: just the block. Several: a structure of arrays in front of them,
 *
 *   | last u32[blocks] | ends u32[blocks] | stems: ends of positions u32[blocks] |
 *   | maxima u8[blocks][16] | maxima u8[groups][16] | blocks ... |
 *
 * last = the last document; ends = where the block ends behind the arrays, where its positions end in the list's. A group
 * is 32 blocks. Maxima are eight pairs (T, length code): of every posting T and code are such that T is not above, and code
 * not below, those of one of the pairs; T 255 stands for all from there on. They are the Pareto front of what is there, the
 * last pair repeated if it has fewer, neighbours joined if it has more. So they hold for any weights and average length.
 *
 * block:
 *
 *   | kind u8 | T bits u8 | T exceptions u8 | n bits u8 | n exceptions u8 |
 *   | documents | T, packed | n, packed | exceptions of T, then of n: each u8 index, v value |
 *
 *   kind 0..32  gaps (the first above the last document of the block before), packed in so many bits
 *   kind 64     a bitset: u64 words from (last of the block before + 1) / 64 * 64 up to the block's last document; not in
 *               a list of one block
 *   T - 1 in `T bits`, n - 1 in `n bits`, both at most 31, since neither T nor n is above 2^31 - 1; n bits 255: n = T
 *   everywhere. Where a field has exceptions the code of all ones says that the value (again less 1) is among them. Words,
 *   unlike stems, have T = 1 and no n: all four are 0.
 *
 * Packed: value i of b bits begins at bit i * b (index/kernels.h).
 *
 * positions of a block, all documents one after the other, so that those of document i begin at index n[0] + .. n[i-1]:
 *
 *   | bits u8 | v: exceptions | packed | exceptions: each v index above the one before, v value |
 *
 * No bits only where no document has several positions: so a damaged n is at most 8 times the bytes that there are.
 *
 * Positions of more than EXTENT_PAYLOAD bytes are a run of extents, so that a writer holds one at a time. No block's
 * positions straddle two of them: offset o in the list is offset o % EXTENT_PAYLOAD in the (o / EXTENT_PAYLOAD)th part
 * behind the first. What follows a block that ends an extent is at the next multiple. A single block above
 * EXTENT_PAYLOAD has an extent that counts as several parts, the others being empty.
 *
 * Pairs
 *
 * Where two words stand side by side: for each two stems that at least `pair_least` documents each have, the documents that
 * have the second one at the position behind the first. pair_least 0: nothing is known. The words have numbers by rising
 * XXH64 of their keys, and each has a row of those that stand behind it:
 *
 *   pair word:  | XXH64 of the key u64 | place of the row u64, or NO_ROW: nothing is known of what stands behind it |
 *
 *   row:        | groups, one of each 64 words | entries, one of each word that stands behind the row's, by number |
 *   group:      | a bit per word, whether it stands behind u64 | where the group's entries end behind all groups u32 |
 *
 * Two words with the same XXH64 are both left out. An entry is a set of postings' numbers in the list of the word that fewer
 * documents have, of the first word where both have as many. gap = number - the one before - 1, the first as it is.
 *
 *   entry:      | postings << 4 | bits | gaps, packed in so many bits |                       1 to 14 postings
 *               | 15 << 4 | bits | v: postings | v: n | so many lower bits of the gaps, packed |
 *               |     n bytes: what is left of each gap, as so many bits that are 0, and a 1 |  any number (Golomb, Rice) */
#ifndef INDEX_FORMAT_H
#define INDEX_FORMAT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of the whole, in the TOC, and of each section, in its extents. */
enum { FORMAT_VERSION = 7, EXTENT_MAGIC = 0x3153464d /* "MFS1" */ };

enum section {
    SECTION_TOC = 0x01,
    SECTION_DICTIONARY = 0x10,
    SECTION_BLOCKS = 0x11,
    SECTION_POSTINGS = 0x20,
    SECTION_POSITIONS = 0x21,
    SECTION_PAIRS = 0x22,
    SECTION_PAIR_WORDS = 0x23,
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
    STORE_BLOCK = 48 << 10,
    BODY_SIZE_BITS = 16,
    RECORD_HEAD = 6,
    TERMS_PER_BLOCK = 64,
    MAX_KEY = 1 + 512,
    PAIR_WORD = 16, /* bytes */
    PAIRED_MOST = 4096, /* words that have rows */
    PAIR_GROUP = 64, /* words */
    PAIR_GROUP_SIZE = 12, /* bytes */
    PAIR_FEW = 14,
    PAIR_MOST_BITS = 15,
};

#define NO_ROW UINT64_MAX

static_assert(PAIRED_MOST * PAIR_WORD <= TABLE_PAYLOAD, "pair words lie in one piece");
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
    uint32_t pair_least, pair_words, pairs, parts_pairs; /* pairs: entries in all rows */
    uint16_t analyzer; /* length of its identity */
    uint16_t fields;
};

static_assert(sizeof(struct toc) == 96, "the TOC is as drawn");

/* The format's version in which the section's bytes changed last: others are refused, never misread. Whoever changes
 * them counts FORMAT_VERSION up and says so here; a test has checksums of what each version makes of the same
 * documents. */
static inline uint8_t section_version(enum section s)
{
    static const uint8_t versions[] = {
        [SECTION_TOC] = 7,         [SECTION_DICTIONARY] = 6, [SECTION_BLOCKS] = 1,         [SECTION_POSTINGS] = 3,
        [SECTION_POSITIONS] = 2,   [SECTION_LENGTHS] = 1,    [SECTION_STAMPS] = 1,         [SECTION_IDS] = 2,
        [SECTION_ID_PLACES] = 1,   [SECTION_HASHES] = 1,     [SECTION_HASH_DOCUMENTS] = 1, [SECTION_BODIES] = 6,
        [SECTION_BODY_BLOCKS] = 5, [SECTION_BODY_ENDS] = 1,  [SECTION_PAIRS] = 7,          [SECTION_PAIR_WORDS] = 7,
    };
    return (unsigned)s < sizeof versions ? versions[s] : 0; /* what is no section has none */
}

/* Bytes 8 to 11 of an extent. */
static inline uint32_t section_word(enum section s)
{
    return (uint32_t)s | (uint32_t)section_version(s) << 8;
}

static inline size_t pieces_of(size_t size)
{
    return (size + PIECE - 1) / PIECE;
}

static inline uint64_t place_of(uint32_t part, uint32_t offset)
{
    return (uint64_t)part << 32 | offset;
}

#endif
