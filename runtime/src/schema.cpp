#include "schema.hpp"

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "error.hpp"

namespace edgeseg {
namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();

enum class Type { text, choice, hash, file, name, color, time, integer, number, flag, object, objects, texts, integers, numbers };

struct Field {
    const char* key;
    Type type;
    const char* choices = "";  // "a|b|c"
    double low = -infinite;    // of a number, or of each in a list
    double high = infinite;
    std::size_t fewest = 0;  // items of a list
    std::size_t most = 1024;
    std::vector<Field> fields = {};  // of an object, or of each in a list
    bool required = true;

    Field optional() const {
        Field copy = *this;
        copy.required = false;
        return copy;
    }
};
using Fields = std::vector<Field>;

Field plain(const char* key, Type type) { return {key, type}; }
Field text(const char* key) { return plain(key, Type::text); }
Field hash(const char* key) { return plain(key, Type::hash); }
Field file(const char* key) { return plain(key, Type::file); }
Field flag(const char* key) { return plain(key, Type::flag); }
Field choice(const char* key, const char* choices) { return {key, Type::choice, choices}; }
Field integer(const char* key, double low = -infinite, double high = infinite) { return {key, Type::integer, "", low, high}; }
Field count(const char* key) { return integer(key, 0); }
Field pixels(const char* key) { return integer(key, 1, 16384); }
Field grey(const char* key) { return integer(key, 0, 255); }
Field number(const char* key, double low = -infinite, double high = infinite) { return {key, Type::number, "", low, high}; }
Field texts(const char* key) { return plain(key, Type::texts); }
Field numbers(const char* key, std::size_t fewest, std::size_t most, double low = -infinite, double high = infinite) {
    return {key, Type::numbers, "", low, high, fewest, most};
}
Field shape(const char* key) { return {key, Type::integers, "", 0, infinite, 4, 4}; }
Field object(const char* key, Fields fields) { return {key, Type::object, "", 0, 0, 0, 0, std::move(fields)}; }
Field objects(const char* key, Fields fields, std::size_t fewest = 0) {
    return {key, Type::objects, "", 0, 0, fewest, 1024, std::move(fields)};
}

constexpr const char* precisions = "fp32|bf16|fp16|int8";
constexpr const char* gates = "passed|parity|pending";

Fields frame() {
    return {pixels("height"), pixels("width"), integer("channels", 3, 3).optional(), choice("layout", "NHWC").optional(),
            choice("dtype", "uint8").optional(), choice("order", "BGR").optional(),
            object("fit", {choice("region", "frame|content"), grey("content_level").optional(), choice("mode", "resize|pad|crop"),
                           flag("enlarge").optional(), grey("pad_value").optional(), choice("interpolation", "bilinear").optional()}),
            objects("steps", {choice("op", "clahe"), number("clip_limit"), integer("tiles", 1, 64)}).optional(),
            object("window", {number("center_hu"), number("width_hu", std::numeric_limits<double>::denorm_min())}).optional()};
}

Fields output() {
    return {choice("name", "probability").optional(), choice("layout", "NCHW").optional(), choice("dtype", "uint8").optional(),
            integer("channels", 1, 64), pixels("height"), pixels("width"), integer("scale", 255, 255).optional(),
            choice("upsample", "bilinear|nearest").optional(), number("min_area", 0, 1).optional(),
            number("smoothing", 0, 0.95).optional()};
}

Fields operating_point() {
    return {text("class"), text("rule"), text("data"), text("split"), number("ece"),
            {"thresholds", Type::integers, "", 1, 255}, numbers("sensitivity", 0, 1024, 0, 1), numbers("precision", 0, 1024, 0, 1)};
}

Field data_used() { return objects("data", {text("name"), hash("listing_sha256"), text("terms")}); }

Field splits_used() {
    return objects("splits", {text("data"), text("split"), count("images"), hash("list_sha256")});
}

Fields training() {
    return {text("recipe"), hash("recipe_sha256"), integer("seed"), count("epochs"), count("epoch"), text("commit"), flag("dirty"),
            hash("weights_sha256"), hash("parent_sha256").optional(), hash("teacher_sha256").optional(), count("parameters"), number("gmac"),
            objects("versions", {text("name"), text("version")}),
            data_used(), splits_used(),
            objects("ancestors", {text("recipe"), integer("seed"), hash("weights_sha256"), hash("parent_sha256").optional(),
                                  hash("teacher_sha256").optional(), data_used(), splits_used()}).optional()};
}

Fields calibration() {
    return {text("recipe"), choice("method", "minmax|percentile|entropy|mse"), integer("seed"), count("frames"), text("data"), text("split"),
            hash("frames_sha256"), hash("weights_sha256"), hash("frame_spec_sha256"), hash("graph_sha256")};
}

Fields graph() {
    return {text("name"), choice("form", "float|cpu|trt-typed|trt-legacy"), choice("precision", precisions), integer("opset"),
            shape("input"), choice("resize", "host|engine"), texts("float_layers").optional(), hash("table_sha256").optional(),
            choice("gate", gates), file("file"), count("size"), hash("sha256")};
}

Fields engine() {
    return {text("name"), text("target"), text("graph"), hash("graph_sha256"), choice("backend", "tensorrt"),
            choice("flavour", "tensorrt|rtx"), text("version"), choice("precision", precisions),
            choice("platform", "linux-x86_64|linux-aarch64"), texts("compute_capabilities"), integer("cuda_driver_min"),
            flag("version_compatible"), choice("hardware_compatible", "none|ampere-plus|same-cc"), integer("dla_core").optional(),
            object("profile", {shape("min"), shape("opt"), shape("max")}), choice("resize", "host|engine"), choice("gate", gates),
            file("file"), count("size"), hash("sha256")};
}

Fields figures() {
    Fields out;
    for (const char* key : {"dice", "iou", "sensitivity", "specificity", "accuracy", "auc"}) out.push_back(number(key).optional());
    return out;
}

Fields evaluation() {
    return {text("subject"), text("backend"), text("backend_version"), choice("purpose", "gate|report"), text("data"), text("split"),
            count("images"), choice("area", "frame|fov"), text("machine"), plain("created", Type::time), number("parity_db").optional(),
            object("per_image", figures()), object("pooled", figures()), number("dice_drop").optional(),
            numbers("dice_drop_ci95", 2, 2).optional(), text("worst_image").optional(), number("worst_dice").optional(),
            number("latency_p50_ms").optional()};
}

Fields golden() {
    return {text("name"), text("source"), pixels("height"), pixels("width"), file("file"), hash("sha256"), file("fitted_file"),
            hash("fitted_sha256"),
            objects("expected", {text("graph"), grey("max_diff"), number("max_fraction", 0, 1), file("file"), hash("sha256")})};
}

Fields manifest() {
    return {choice("format", "edgeseg"), integer("schema", 1, 1), choice("kind", "run|bundle"), plain("name", Type::name),
            plain("created", Type::time), text("writer"),
            object("task", {choice("kind", "segmentation"), choice("modality", "colonoscopy|dermoscopy|fundus|ct|other"), text("network")}),
            objects("classes", {text("name"), plain("color", Type::color), integer("threshold", 1, 255).optional()}, 2),
            object("frame", frame()), object("output", output()), objects("operating_points", operating_point()).optional(),
            object("training", training()), object("calibration", calibration()).optional(), objects("graphs", graph()).optional(),
            objects("engines", engine()).optional(), objects("evaluations", evaluation()).optional(),
            objects("golden", golden()).optional(),
            object("input_statistics", {text("split"), count("frames"), numbers("mean", 3, 3), numbers("mean_sd", 3, 3), numbers("std", 3, 3),
                                        numbers("std_sd", 3, 3), numbers("histogram", 16, 16), number("psi_warn")})
                .optional(),
            object("terms", {text("weights_licence"), flag("research_only"), text("notice")}),
            object("use", {text("intended"), texts("not_intended"), text("frames")}).optional(),
            objects("documents", {choice("role", "calibration|report|sbom|card|weights"), file("file"), count("size"), hash("sha256")})
                .optional()};
}

bool skips_unknown(std::string_view key) {
    return key == "graphs" || key == "engines" || key == "evaluations" || key == "golden" || key == "documents";
}

bool one_of(const std::string& value, std::string_view choices) {
    while (!choices.empty()) {
        const std::size_t bar = choices.find('|');
        if (value == choices.substr(0, bar)) return true;
        if (bar == std::string_view::npos) break;
        choices.remove_prefix(bar + 1);
    }
    return false;
}

// Plain comparisons, for isalnum and friends ask the locale.
bool digit(char c) { return c >= '0' && c <= '9'; }
bool lower(char c) { return c >= 'a' && c <= 'z'; }
bool upper(char c) { return c >= 'A' && c <= 'Z'; }
bool alphanumeric(char c) { return digit(c) || lower(c) || upper(c); }

bool is_hash(const std::string& value) {
    return value.size() == 64 && value.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool is_color(const std::string& value) {
    return value.size() == 7 && value[0] == '#' && value.find_first_not_of("0123456789abcdefABCDEF", 1) == std::string::npos;
}

bool is_name(const std::string& value) {
    if (value.empty() || value.size() > 64) return false;
    for (const char c : value) {
        if (!lower(c) && !digit(c) && c != '-') return false;
    }
    return true;
}

bool is_time(const std::string& value) {
    constexpr std::string_view form = "dddd-dd-ddTdd:dd:ddZ";
    if (value.size() != form.size()) return false;
    for (std::size_t i = 0; i < form.size(); ++i) {
        if (form[i] == 'd' ? !digit(value[i]) : value[i] != form[i]) return false;
    }
    const auto part = [&value](std::size_t at) { return (value[at] - '0') * 10 + (value[at + 1] - '0'); };
    const int year = part(0) * 100 + part(2), month = part(5), day = part(8);
    if (year < 1 || month < 1 || month > 12 || part(11) > 23 || part(14) > 59 || part(17) > 61) return false;  // 61: leap seconds
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    const int days = month == 2 ? (leap ? 29 : 28) : month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
    return day >= 1 && day <= days;
}

// Segments [A-Za-z0-9][A-Za-z0-9._-]* joined by "/": no "..", no absolute path, no hidden file can be written this way.
bool is_file(const std::string& value) {
    if (value.empty() || value.size() > 128) return false;
    bool first = true;
    for (const char c : value) {
        if (c == '/') {
            if (first) return false;
            first = true;
        } else if (first) {
            if (!alphanumeric(c)) return false;
            first = false;
        } else if (!alphanumeric(c) && c != '.' && c != '_' && c != '-') {
            return false;
        }
    }
    return !first;
}

class Checker {
public:
    // What is wrong with an object's fields; unknown enum values are only counted, for in some lists they are no fault.
    void fields(const Json& value, const Fields& rules, const std::string& where) {
        for (const Field& rule : rules) {
            const std::string path = where.empty() ? rule.key : where + "." + rule.key;
            const Json* item = value.find(rule.key);
            if (item == nullptr) {
                if (rule.required) wrong(path, "is missing");
            } else {
                field(*item, rule, path);
            }
        }
    }
    const std::string& complaint() const { return complaint_; }
    const std::string& unknown_enum() const { return unknown_enum_; }

private:
    void wrong(const std::string& where, const char* why) {
        if (complaint_.empty()) complaint_ = "has a fault: " + where + " " + why;
    }
    bool expect(const Json& value, Json::Kind kind, const std::string& where, const char* why) {
        if (value.kind != kind) wrong(where, why);
        return value.kind == kind;
    }
    void pattern(const Json& value, bool (*holds)(const std::string&), const std::string& where, const char* why) {
        if (value.kind != Json::Kind::text || !holds(value.text)) wrong(where, why);
    }
    void one_number(const Json& value, const Field& rule, bool whole, const std::string& where) {
        const bool right = value.kind == Json::Kind::integer || (!whole && value.kind == Json::Kind::number);
        if (!right) return wrong(where, whole ? "is no integer" : "is no number");
        if (!(value.number >= rule.low && value.number <= rule.high)) wrong(where, "is out of range");
    }
    void list(const Json& value, const Field& rule, const std::string& where) {
        if (!expect(value, Json::Kind::list, where, "is no list")) return;
        if (value.items.size() < rule.fewest || value.items.size() > rule.most) return wrong(where, "has the wrong number of items");
        for (std::size_t i = 0; i < value.items.size(); ++i) {
            const Json& item = value.items[i];
            const std::string place = where + "[" + std::to_string(i) + "]";
            if (rule.type == Type::texts) {
                expect(item, Json::Kind::text, place, "is no string");
            } else if (rule.type == Type::objects) {
                if (expect(item, Json::Kind::object, place, "is no object")) fields(item, rule.fields, place);
            } else {
                one_number(item, rule, rule.type == Type::integers, place);
            }
        }
    }
    void field(const Json& value, const Field& rule, const std::string& where) {
        switch (rule.type) {
            case Type::text: expect(value, Json::Kind::text, where, "is no string"); break;
            case Type::choice:
                if (expect(value, Json::Kind::text, where, "is no string") && !one_of(value.text, rule.choices) && unknown_enum_.empty()) {
                    unknown_enum_ = "has a value that this library does not know: " + where + " \"" + value.text.substr(0, 40) + "\"";
                }
                break;
            case Type::hash: pattern(value, is_hash, where, "is no SHA-256 in lower-case hex"); break;
            case Type::file: pattern(value, is_file, where, "is no plain relative path"); break;
            case Type::name: pattern(value, is_name, where, "is no name of [a-z0-9-]"); break;
            case Type::color: pattern(value, is_color, where, "is no colour like #00e5a0"); break;
            case Type::time: pattern(value, is_time, where, "is no time like 2026-11-24T09:30:00Z"); break;
            case Type::integer: one_number(value, rule, true, where); break;
            case Type::number: one_number(value, rule, false, where); break;
            case Type::flag: expect(value, Json::Kind::flag, where, "is neither true nor false"); break;
            case Type::object:
                if (expect(value, Json::Kind::object, where, "is no object")) fields(value, rule.fields, where);
                break;
            case Type::objects:
            case Type::texts:
            case Type::integers:
            case Type::numbers: list(value, rule, where); break;
        }
    }

    std::string complaint_;
    std::string unknown_enum_;
};

void skip_unknown_entries(Json& list, const Fields& rules) {
    std::vector<Json> kept;
    for (Json& item : list.items) {
        Checker checker;
        if (item.kind == Json::Kind::object) checker.fields(item, rules, "");
        const bool skip = !checker.unknown_enum().empty() && checker.complaint().empty();
        if (!skip) kept.push_back(std::move(item));
    }
    list.items = std::move(kept);
}

}  // namespace

void check_schema(Json& value) {
    const Json* format = value.find("format");
    if (format == nullptr || format->text != "edgeseg") throw Error(EDGESEG_E_MANIFEST, "is not edgeseg's (format)");
    const Json* schema = value.find("schema");
    if (schema == nullptr || schema->kind != Json::Kind::integer) throw Error(EDGESEG_E_MANIFEST, "has no schema");
    if (schema->integer != 1) {
        throw Error(EDGESEG_E_UNSUPPORTED,
                    "has schema " + std::to_string(schema->integer) + ", this library reads 1; use the edgeseg that belongs to the bundle");
    }
    const Fields rules = manifest();
    for (const Field& rule : rules) {
        if (!skips_unknown(rule.key)) continue;
        for (std::size_t i = 0; i < value.keys.size(); ++i) {
            if (value.keys[i] == rule.key && value.items[i].kind == Json::Kind::list) skip_unknown_entries(value.items[i], rule.fields);
        }
    }
    Checker checker;
    checker.fields(value, rules, "");
    if (!checker.complaint().empty()) throw Error(EDGESEG_E_MANIFEST, checker.complaint());
    if (!checker.unknown_enum().empty()) throw Error(EDGESEG_E_UNSUPPORTED, checker.unknown_enum());
}

}  // namespace edgeseg
