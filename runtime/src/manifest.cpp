#include "manifest.hpp"

#include <set>

#include "error.hpp"
#include "json.hpp"
#include "schema.hpp"

namespace edgeseg {
namespace {

// The schema has been checked: a required key is there and has its type.
const Json& get(const Json& object, const char* key) { return *object.find(key); }
const std::string& text(const Json& object, const char* key) { return get(object, key).text; }
int integer(const Json& object, const char* key) { return static_cast<int>(get(object, key).integer); }

int integer_or(const Json& object, const char* key, int absent) {
    const Json* value = object.find(key);
    return value != nullptr ? static_cast<int>(value->integer) : absent;
}
double number_or(const Json& object, const char* key, double absent) {
    const Json* value = object.find(key);
    return value != nullptr ? value->number : absent;
}
bool flag_or(const Json& object, const char* key, bool absent) {
    const Json* value = object.find(key);
    return value != nullptr ? value->flag : absent;
}
const std::vector<Json>& items(const Json& object, const char* key) {
    static const std::vector<Json> none;  // constant, and empty
    const Json* value = object.find(key);
    return value != nullptr ? value->items : none;
}

[[noreturn]] void fault(const std::string& what) { throw Error(EDGESEG_E_MANIFEST, "has a fault: " + what); }
[[noreturn]] void unsupported(const std::string& what) { throw Error(EDGESEG_E_UNSUPPORTED, what); }

Precision precision(const Json& object) {
    const std::string& name = text(object, "precision");
    if (name == "fp32") return Precision::fp32;
    if (name == "bf16") return Precision::bf16;
    return name == "fp16" ? Precision::fp16 : Precision::int8;
}

Gate gate(const Json& object) {
    const std::string& name = text(object, "gate");
    if (name == "passed") return Gate::passed;
    return name == "parity" ? Gate::parity : Gate::pending;
}

std::array<std::int64_t, 4> shape(const Json& object, const char* key) {
    std::array<std::int64_t, 4> out{};
    for (std::size_t i = 0; i < 4; ++i) out[i] = get(object, key).items[i].integer;
    return out;
}

File sized_file(const Json& object) { return {text(object, "file"), get(object, "size").integer, text(object, "sha256")}; }

std::uint8_t hex_byte(const std::string& color, std::size_t at) {
    const auto nibble = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
    return static_cast<std::uint8_t>(nibble(color[at]) * 16 + nibble(color[at + 1]));
}

Class read_class(const Json& value) {
    const std::string& color = text(value, "color");
    return {text(value, "name"), hex_byte(color, 1), hex_byte(color, 3), hex_byte(color, 5),
            static_cast<std::uint8_t>(integer_or(value, "threshold", 0))};
}

Fit read_fit(const Json& value) {
    Fit out;
    out.content = text(value, "region") == "content";
    out.content_level = integer_or(value, "content_level", out.content_level);
    const std::string& mode = text(value, "mode");
    out.mode = mode == "resize" ? Fit::Mode::resize : mode == "pad" ? Fit::Mode::pad : Fit::Mode::crop;
    out.enlarge = flag_or(value, "enlarge", out.enlarge);
    out.pad_value = static_cast<std::uint8_t>(integer_or(value, "pad_value", out.pad_value));
    return out;
}

Graph read_graph(const Json& value) {
    return {text(value, "name"), text(value, "form"), precision(value), shape(value, "input"), text(value, "resize") == "host", gate(value),
            sized_file(value)};
}

Engine read_engine(const Json& value) {
    Engine out;
    out.name = text(value, "name");
    out.target = text(value, "target");
    out.graph = text(value, "graph");
    out.graph_sha256 = text(value, "graph_sha256");
    out.rtx = text(value, "flavour") == "rtx";
    out.version = text(value, "version");
    out.precision = precision(value);
    out.platform = text(value, "platform");
    for (const Json& item : items(value, "compute_capabilities")) out.compute_capabilities.push_back(item.text);
    out.ampere_plus = text(value, "hardware_compatible") == "ampere-plus";
    out.cuda_driver_min = get(value, "cuda_driver_min").integer;
    out.profile_min = shape(get(value, "profile"), "min");
    out.profile_max = shape(get(value, "profile"), "max");
    out.host_resize = text(value, "resize") == "host";
    out.gate = gate(value);
    out.file = sized_file(value);
    return out;
}

Golden read_golden(const Json& value) {
    Golden out;
    out.name = text(value, "name");
    out.height = integer(value, "height");
    out.width = integer(value, "width");
    const std::int64_t bytes = std::int64_t{3} * out.height * out.width;
    out.frame = {text(value, "file"), bytes, text(value, "sha256")};
    out.fitted = {text(value, "fitted_file"), -1, text(value, "fitted_sha256")};
    for (const Json& item : items(value, "expected")) {
        out.expected.push_back({text(item, "graph"), integer(item, "max_diff"), get(item, "max_fraction").number,
                                {text(item, "file"), -1, text(item, "sha256")}});
    }
    return out;
}

template <typename Entry>
void names_differ(const std::vector<Entry>& entries, const char* list) {
    std::set<std::string> names;
    for (const Entry& entry : entries) {
        if (!names.insert(entry.name).second) fault(std::string(list) + " has two entries named \"" + entry.name.substr(0, 64) + "\"");
    }
}

// Pixels are allocated by these, so they are bounded beyond what the schema says: 8 px to 16 Mpx of network, 64 MiB of golden frame.
void bound_sizes(const Manifest& manifest) {
    constexpr std::int64_t most_pixels = 1 << 24, most_values = 1 << 26;
    constexpr int least_side = 8;
    const std::int64_t pixels = std::int64_t{manifest.height} * manifest.width;
    const bool small = manifest.height < least_side || manifest.width < least_side;
    if (small || pixels > most_pixels || pixels * manifest.channels() > most_values) {
        unsupported("asks for a network of " + std::to_string(manifest.height) + "x" + std::to_string(manifest.width) +
                    ", outside of this library's 8 pixels to 16 megapixels");
    }
    for (const Golden& golden : manifest.golden) {
        if (golden.frame.size > most_values) unsupported("has a golden frame beyond this library's 64 MiB");
    }
}

void check_points_and_splits(const Json& root) {
    const auto check = [](const Json& value) {
        if (text(value, "split") == "test") fault("operating points and calibration must not come from the test split");
    };
    for (const Json& point : items(root, "operating_points")) {
        check(point);
        const std::size_t count = items(point, "thresholds").size();
        if (items(point, "sensitivity").size() != count || items(point, "precision").size() != count) {
            fault("an operating point's thresholds, sensitivity and precision are not of equal length");
        }
    }
    if (const Json* calibration = root.find("calibration")) check(*calibration);
}

void check_consistency(const Json& root, const Manifest& manifest) {
    if (text(root, "kind") != "bundle") fault("it is a run's; export the run and open the bundle");
    const std::vector<Json>& classes = items(root, "classes");
    for (std::size_t i = 0; i < classes.size(); ++i) {
        if ((classes[i].find("threshold") == nullptr) != (i == 0)) {
            fault("every class but the background, and only those, has a threshold");
        }
    }
    const Json& output = get(root, "output");
    if (integer(output, "channels") != manifest.channels()) fault("output.channels is not the number of classes less the background");
    if (integer(output, "height") != manifest.height || integer(output, "width") != manifest.width) {
        fault("output has another height or width than frame");
    }
    names_differ(manifest.classes, "classes");
    names_differ(manifest.graphs, "graphs");
    names_differ(manifest.engines, "engines");
    names_differ(manifest.golden, "golden");
    if (manifest.graphs.empty() || manifest.golden.empty() || root.find("use") == nullptr) {
        fault("a bundle needs graphs, golden frames and use");
    }
}

}  // namespace

const char* to_string(Precision precision) noexcept {
    switch (precision) {
        case Precision::fp32: return "fp32";
        case Precision::bf16: return "bf16";
        case Precision::fp16: return "fp16";
        case Precision::int8: return "int8";
    }
    return "";
}

Manifest parse_manifest(const char* data, std::size_t size) {
    Json root = parse_json(data, size);
    check_schema(root);
    Manifest out;
    out.name = text(root, "name");
    for (const Json& item : items(root, "classes")) out.classes.push_back(read_class(item));
    const Json& frame = get(root, "frame");
    out.height = integer(frame, "height");
    out.width = integer(frame, "width");
    out.fit = read_fit(get(frame, "fit"));
    for (const Json& step : items(frame, "steps")) out.steps.push_back({get(step, "clip_limit").number, integer(step, "tiles")});
    const Json& output = get(root, "output");
    const Json* upsample = output.find("upsample");
    out.upsample_nearest = upsample != nullptr && upsample->text == "nearest";
    out.min_area = number_or(output, "min_area", 0.0);
    out.smoothing = number_or(output, "smoothing", 0.0);
    for (const Json& item : items(root, "graphs")) out.graphs.push_back(read_graph(item));
    for (const Json& item : items(root, "engines")) out.engines.push_back(read_engine(item));
    for (const Json& item : items(root, "golden")) out.golden.push_back(read_golden(item));
    check_points_and_splits(root);
    check_consistency(root, out);
    bound_sizes(out);
    return out;
}

}  // namespace edgeseg
