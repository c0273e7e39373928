// JSON as manifests allow it: at most 1 MiB, 6 levels, strings of 1,024 bytes, arrays of 1,024 items, no null, no duplicate key, no
// NaN, integers below 2^53. What breaks a rule is refused while it is read, before anything is built from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace edgeseg {

struct Json {
    enum class Kind { flag, integer, number, text, list, object };

    Kind kind = Kind::object;
    bool flag = false;
    std::int64_t integer = 0;
    double number = 0.0;  // also set for integers
    std::string text;
    std::vector<Json> items;                // of a list, or an object's values
    std::vector<std::string> keys;          // of an object, in step with items

    const Json* find(std::string_view key) const noexcept;
};

// Throws Error(EDGESEG_E_MANIFEST) whose sentence follows "manifest.json ".
Json parse_json(const char* data, std::size_t size);

}  // namespace edgeseg
