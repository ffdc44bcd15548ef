// simdjson for json_bench: its on-demand interface, one parser for all documents, as its authors recommend.
#include <simdjson.h>

#include "bench/json_bench.h"

namespace {

namespace ondemand = simdjson::ondemand;

void see(json_sum *sum, std::string_view text)
{
    json_seen(sum, text.data(), text.size());
}

void walk(json_sum *sum, ondemand::value value)
{
    switch (value.type()) {
    case ondemand::json_type::object:
        for (auto field : value.get_object()) {
            see(sum, field.unescaped_key());
            walk(sum, field.value());
        }
        break;
    case ondemand::json_type::array:
        for (auto child : value.get_array())
            walk(sum, child.value());
        break;
    case ondemand::json_type::string:
        see(sum, value.get_string());
        break;
    default:
        break;
    }
}

} // namespace

extern "C" bool json_read_simdjson(json_sum *sum, const char *text, size_t size)
{
    static ondemand::parser parser;
    try {
        ondemand::document document = parser.iterate(text, size, size + JSON_BENCH_PADDING);
        for (auto field : document.get_object()) {
            see(sum, field.unescaped_key());
            walk(sum, field.value());
        }
        return true;
    } catch (const simdjson::simdjson_error &) {
        return false;
    }
}
