/* search.h - the rounds of a query: Prepare, Guess where words are misspelt, Execute. */
#ifndef SHARD_SEARCH_H
#define SHARD_SEARCH_H

#include "shard/request.h"

request_handler search_prepare;
request_handler search_guess;
request_handler search_execute;

#endif
