#include "client/cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

/* Code points, near enough to columns. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void table_text(struct table *t, const char *text)
{
    size_t column = t->cell++ % t->columns, width = width_of(text);
    if (width > t->widths[column])
        t->widths[column] = width;
    buf_append(&t->cells, text, strlen(text) + 1);
}

void table_init(struct table *t, const char *const *columns)
{
    *t = (struct table){0};
    while (columns[t->columns])
        t->columns++;
    for (size_t i = 0; i < t->columns; i++) {
        bool is_number = columns[i][0] == '>';
        t->right |= (unsigned)is_number << i;
        table_text(t, columns[i] + is_number);
    }
}

void table_number(struct table *t, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    table_text(t, text);
}

const char *bytes_text(char to[BYTES_TEXT_SIZE], uint64_t bytes)
{
    static const char units[] = " KMGTP";
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit + 2 < sizeof units; unit++)
        value /= 1024;
    if (unit == 0)
        snprintf(to, BYTES_TEXT_SIZE, "%u", (unsigned)bytes);
    else
        snprintf(to, BYTES_TEXT_SIZE, "%.1f%c", value, units[unit]);
    return to;
}

void table_bytes(struct table *t, uint64_t bytes)
{
    char text[BYTES_TEXT_SIZE];
    table_text(t, bytes_text(text, bytes));
}

void table_date(struct table *t, uint64_t wall_us)
{
    char text[CLOCK_RFC3339_SIZE];
    if (!wall_us) {
        table_text(t, "-");
        return;
    }
    clock_rfc3339(wall_us, text);
    memcpy(text + 19, "Z", 2); /* whole seconds will do for a person */
    table_text(t, text);
}

static void print_cell(const struct table *t, size_t column, const char *text)
{
    int padding = (int)(t->widths[column] - width_of(text));
    bool is_last = column + 1 == t->columns;
    if (t->right >> column & 1)
        printf("%*s%s%s", padding, "", text, is_last ? "\n" : "  ");
    else
        printf("%s%*s%s", text, is_last ? 0 : padding, "", is_last ? "\n" : "  ");
}

void table_print(struct table *t)
{
    const char *text = t->cells.data, *end = text + t->cells.len;
    for (size_t cell = 0; text < end; cell++, text += strlen(text) + 1)
        print_cell(t, cell % t->columns, text);
}

void table_finish(struct table *t)
{
    buf_finish(&t->cells);
}
