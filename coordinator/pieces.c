#include "coordinator/pieces.h"

#include <stdbool.h>
#include <sys/mman.h>

enum { PAGE = 4096, ALIGNMENT = 16 };

struct block { /* in front of what is given out */
    _Alignas(ALIGNMENT) struct piece *piece;
    size_t size; /* of this, too */
};

struct piece { /* in front of its blocks */
    _Alignas(ALIGNMENT) struct piece *younger;
    size_t size, used; /* bytes, of this too */
    size_t blocks;     /* that are not gone; and one while it is out and was not let go of */
    bool is_out;
};

static size_t round_up(size_t size, size_t to)
{
    return (size + to - 1) / to * to;
}

void pieces_init(struct pieces *p, size_t piece_size)
{
    *p = (struct pieces){.piece_size = round_up(piece_size, PAGE)};
}

static struct piece *add_piece(struct pieces *p, size_t block)
{
    size_t size = round_up(sizeof(struct piece) + block, PAGE);
    size = size < p->piece_size ? p->piece_size : size;
    struct piece *piece = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (piece == MAP_FAILED)
        return NULL;
    *piece = (struct piece){.size = size, .used = sizeof *piece};
    p->bytes += PAGE;
    *(p->newest ? &p->newest->younger : &p->oldest) = piece;
    p->newest = piece;
    return piece;
}

static void use(struct pieces *p, struct piece *piece, size_t size)
{
    p->bytes -= round_up(piece->used, PAGE);
    piece->used += size;
    piece->blocks++;
    p->bytes += round_up(piece->used, PAGE);
}

void *pieces_take(struct pieces *p, size_t size)
{
    struct piece *piece = p->newest;
    size = round_up(sizeof(struct block) + size, ALIGNMENT);
    if (!piece || piece->size - piece->used < size)
        piece = add_piece(p, size);
    if (!piece)
        return NULL;
    struct block *b = (void *)((char *)piece + piece->used);
    use(p, piece, size);
    *b = (struct block){piece, size};
    return b + 1;
}

static void take_out(struct pieces *p, struct piece *piece)
{
    struct piece **at = &p->oldest, *before = NULL;
    for (; *at != piece; at = &before->younger)
        before = *at;
    *at = piece->younger;
    if (p->newest == piece)
        p->newest = before;
    piece->is_out = true;
}

static void leave(struct pieces *p, struct piece *piece)
{
    if (--piece->blocks)
        return;
    if (!piece->is_out)
        take_out(p, piece);
    p->bytes -= round_up(piece->used, PAGE);
    munmap(piece, piece->size);
}

void pieces_leave(struct pieces *p, void *block)
{
    leave(p, ((struct block *)block - 1)->piece);
}

struct piece *pieces_oldest(struct pieces *p)
{
    struct piece *piece = p->oldest;
    if (piece) {
        take_out(p, piece);
        piece->blocks++;
    }
    return piece;
}

void *piece_next(struct piece *piece, const void *block)
{
    const struct block *b = block;
    size_t at = b ? (size_t)((const char *)block - (const char *)piece) - sizeof *b + b[-1].size : sizeof *piece;
    return at < piece->used ? (char *)piece + at + sizeof *b : NULL;
}

void pieces_let_go(struct pieces *p, struct piece *piece)
{
    leave(p, piece);
}
