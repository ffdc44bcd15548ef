/* catalog_store.h - catalog.mdb's keys and values in LMDB, and what the records look like. Blocking; the only file of
 * the coordinator that knows LMDB. Called by catalog.c, from the loop and from libuv's pool.
 *
 *   key                       value
 *   'm'                       u32 "MFCT" | u32 version | u32 shards | u32 0 | u64 epoch
 *   'r'                       u64 task: indexes are being given another number of shards, the one in 'm'; else there is none
 *   'n' | u8 kind             u64 reserved: numbers below it may have been given
 *   'i' | u32 be number       u32 edition | u8 name length | u8 primary key length | u8 1 if settings are coming, or 0
 *                             | u8 1 if it says how many shards it has, or 0: as many as 'm' says | u64 created at
 *                             | if it does: u32 shards | u32 numbering (index.h) | name | primary key
 *                             | if they are: u64 task | u32 length | JSON | settings (JSON, to the end)
 *   't' | u64 be uid          a task, packed by tasks.c
 *
 * Every value ends with the CRC-32C of key and value before it. Version 1 is data whose number of shards never changed:
 * who reads no more than that refuses the others, where indexes say how many they have. */
#ifndef COORDINATOR_CATALOG_STORE_H
#define COORDINATOR_CATALOG_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "coordinator/index.h"

struct catalog_store;

enum { CATALOG_VERSION_FIXED = 1, CATALOG_VERSION = 2, CATALOG_MAX_KEY = 16 };

struct catalog_write { /* one key to be put or removed */
    struct catalog_write *next;
    uint8_t key[CATALOG_MAX_KEY];
    size_t key_length; /* 0: nothing is written, somebody waits for what stands before it */
    bool remove;
    void (*done)(void *context, int err);
    void *context;
    size_t length; /* of what follows */
    uint8_t value[];
};

int catalog_store_open(const char *path, struct catalog_store **out);
int catalog_store_open_beside(const char *path, struct catalog_store **out); /* to read, while somebody may write it */
int catalog_store_open_alone(const char *path, struct catalog_store **out); /* to read, while nobody writes it */
void catalog_store_close(struct catalog_store *s);
void catalog_store_name_errors(void);

struct catalog_meta {
    uint32_t version, shards;
    uint64_t epoch;
};

/* 1, 0 if there is none yet, ERR_VERSION of a version that this program does not read, which is in *out, ERR_CORRUPT. */
int catalog_store_meta(struct catalog_store *s, struct catalog_meta *out);
struct catalog_write *catalog_write_meta(const struct catalog_meta *m);

/* Every value has its checksum, and there are as many as LMDB says. */
int catalog_store_verify(struct catalog_store *s);

/* All of the list in one durable transaction. */
int catalog_store_commit(struct catalog_store *s, const struct catalog_write *list);

/* One generation of the whole, to a new file that is synced; beside commits, which wait for a moment only. */
int catalog_store_copy(struct catalog_store *s, const char *path);

/* The value without its checksum, in `to` (room bytes). The length, 0 if there is none, or negative. */
int catalog_store_get(struct catalog_store *s, struct str key, void *to, size_t room);

/* Every record whose key begins with `kind`, by rising key. A negative value of the visitor ends it. */
typedef int catalog_store_visitor(void *context, struct str key, struct str value);
int catalog_store_visit(struct catalog_store *s, char kind, catalog_store_visitor *visit, void *context);

/* Writes to be freed by free(). The value's bytes are the caller's to fill. */
struct catalog_write *catalog_write_new(char kind, const void *key, size_t key_length, size_t length);
struct catalog_write *catalog_write_index(const struct index *i, bool says_shards);
struct catalog_write *catalog_write_resharding(uint64_t task);
struct catalog_write *catalog_write_number(unsigned kind, uint64_t reserved);

/* Adds the index of a record to the registry. ERR_CORRUPT */
int catalog_read_index(struct indexes *all, struct str key, struct str value);

#endif
