#include "json.hpp"

#include <locale.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include <nlohmann/json.hpp>

#include "error.hpp"

namespace edgeseg {
namespace {

constexpr std::size_t max_bytes = std::size_t{1} << 20;
constexpr std::size_t max_depth = 6;
constexpr std::size_t max_string = 1024;
constexpr std::size_t max_array = 1024;
constexpr std::int64_t max_integer = std::int64_t{1} << 53;

// Called by nlohmann's parser, which keeps its own stack on the heap, so depth cannot exhaust ours.
class Builder {
public:
    explicit Builder(Json& root) : root_(root) {}

    bool null() { return refuse("holds null; leave the key out instead"); }
    bool boolean(bool value) {
        Json node;
        node.kind = Json::Kind::flag;
        node.flag = value;
        return add(std::move(node)) != nullptr;
    }
    bool number_integer(std::int64_t value) {
        if (value <= -max_integer || value >= max_integer) return refuse("holds an integer beyond 2^53");
        Json node;
        node.kind = Json::Kind::integer;
        node.integer = value;
        node.number = static_cast<double>(value);
        return add(std::move(node)) != nullptr;
    }
    bool number_unsigned(std::uint64_t value) {
        if (value >= static_cast<std::uint64_t>(max_integer)) return refuse("holds an integer beyond 2^53");
        return number_integer(static_cast<std::int64_t>(value));
    }
    bool number_float(double value, const std::string& digits) {
        if (digits.find_first_of(".eE") == std::string::npos) return refuse("holds an integer beyond 2^53");
        Json node;
        node.kind = Json::Kind::number;
        node.number = value;
        return add(std::move(node)) != nullptr;
    }
    bool string(std::string& value) {
        if (!allowed(value)) return false;
        Json node;
        node.kind = Json::Kind::text;
        node.text = std::move(value);
        return add(std::move(node)) != nullptr;
    }
    bool binary(std::vector<std::uint8_t>&) { return refuse("holds binary data"); }
    bool start_object(std::size_t) { return open(Json::Kind::object); }
    bool start_array(std::size_t) { return open(Json::Kind::list); }
    bool end_object() { return close(); }
    bool end_array() { return close(); }
    bool key(std::string& name) {
        if (!allowed(name)) return false;
        for (const std::string& other : stack_.back()->keys) {
            if (other == name) return refuse("has the key \"" + name + "\" twice");
        }
        if (stack_.back()->keys.size() >= max_array) return refuse("has an object with over 1024 keys");
        stack_.back()->keys.push_back(std::move(name));
        return true;
    }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) {
        return refuse("is not JSON at byte " + std::to_string(position));
    }

    const std::string& complaint() const { return complaint_; }

private:
    bool refuse(std::string why) {
        if (complaint_.empty()) complaint_ = std::move(why);
        return false;
    }
    bool allowed(const std::string& value) {
        if (value.size() > max_string) return refuse("has a string over 1024 bytes");
        if (value.find('\0') != std::string::npos) return refuse("has a string with a NUL character");
        return true;
    }
    Json* add(Json&& node) {
        if (stack_.empty()) {
            if (node.kind != Json::Kind::object) {
                refuse("is not a JSON object");
                return nullptr;
            }
            root_ = std::move(node);
            return &root_;
        }
        Json& parent = *stack_.back();
        if (parent.kind == Json::Kind::list && parent.items.size() >= max_array) {
            refuse("has an array over 1024 items");
            return nullptr;
        }
        parent.items.push_back(std::move(node));
        return &parent.items.back();
    }
    // A node's address holds while it is open: its parent gets no further item before it is closed.
    bool open(Json::Kind kind) {
        if (stack_.size() >= max_depth) return refuse("is nested deeper than 6");
        Json node;
        node.kind = kind;
        Json* added = add(std::move(node));
        if (added == nullptr) return false;
        stack_.push_back(added);
        return true;
    }
    bool close() {
        stack_.pop_back();
        return true;
    }

    Json& root_;
    std::vector<Json*> stack_;
    std::string complaint_;
};

// The parser asks the thread's locale for the decimal point and takes one byte of it; in "C" that is the point JSON has.
class PlainNumbers {
public:
    PlainNumbers() : plain_(::newlocale(LC_ALL_MASK, "C", nullptr)), before_(::uselocale(plain_)) {}
    ~PlainNumbers() {
        ::uselocale(before_);
        ::freelocale(plain_);
    }
    PlainNumbers(const PlainNumbers&) = delete;
    PlainNumbers& operator=(const PlainNumbers&) = delete;

private:
    locale_t plain_, before_;
};

}  // namespace

const Json* Json::find(std::string_view key) const noexcept {
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (keys[i] == key) return &items[i];
    }
    return nullptr;
}

Json parse_json(const char* data, std::size_t size) {
    if (size > max_bytes) throw Error(EDGESEG_E_MANIFEST, "is over 1 MiB");
    if (size >= 3 && std::memcmp(data, "\xef\xbb\xbf", 3) == 0) throw Error(EDGESEG_E_MANIFEST, "begins with a byte order mark");
    // The parser takes it for the end, and whatever follows would go unread.
    if (std::find(data, data + size, '\0') != data + size) throw Error(EDGESEG_E_MANIFEST, "holds a NUL byte");
    Json root;
    Builder builder(root);
    const PlainNumbers plain_numbers;
    if (!nlohmann::json::sax_parse(data, data + size, &builder)) throw Error(EDGESEG_E_MANIFEST, builder.complaint());
    return root;
}

}  // namespace edgeseg
