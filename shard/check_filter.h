/* check_filter.h - CheckFilter: whether a filter can be understood. */
#ifndef SHARD_CHECK_FILTER_H
#define SHARD_CHECK_FILTER_H

#include "shard/request.h"

request_handler check_filter;

#endif
