/* search.h - the two rounds of a query: Prepare and Execute. */
#ifndef SHARD_SEARCH_H
#define SHARD_SEARCH_H

#include "shard/request.h"

request_handler search_prepare;
request_handler search_execute;

#endif
