#include "coordinator/edition_policy.h"

enum { FEW = 2000 /* documents: about as many as a pause of a moment takes */, MOST_PASSES = 8 };

bool edition_is_last_next(unsigned passes, uint64_t differences, uint64_t before)
{
    return differences <= FEW || passes >= MOST_PASSES || differences > before / 2;
}
