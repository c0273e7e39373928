// Golden frames, written by Python, replayed here.
#include <cstdlib>
#include <cstring>

#include "error.hpp"
#include "session.hpp"

namespace edgeseg {
namespace {

constexpr std::int64_t most_golden = 1 << 26;

// What a float graph may differ by once an engine computes it in FP16 or BF16: as Python's edgeseg/golden.py has it for
// graphs that are written in FP16.
constexpr int reduced_diff = 8;
constexpr double reduced_fraction = 0.01;

struct Difference {
    std::size_t beyond = 0;  // values further apart than allowed
    int worst = 0;
};

Difference compare(const std::uint8_t* a, const std::uint8_t* b, std::size_t count, int allowed) {
    Difference out;
    for (std::size_t i = 0; i < count; ++i) {
        const int difference = std::abs(a[i] - b[i]);
        if (difference > allowed) ++out.beyond;
        if (difference > out.worst) out.worst = difference;
    }
    return out;
}

Bytes read_exactly(const Folder& folder, File file, std::size_t size) {
    file.size = static_cast<std::int64_t>(size);
    return folder.read(file, most_golden);
}

}  // namespace

std::string Session::replay(const Golden& golden, std::uint32_t& worst) {
    const Manifest& manifest = bundle_->manifest;
    const Expected* expected = nullptr;
    for (const Expected& item : golden.expected) {
        if (item.graph == choice_.graph) expected = &item;
    }
    if (expected == nullptr) return "golden frame \"" + golden.name + "\" has no expected output for \"" + choice_.graph + "\"";
    const std::size_t pixels = static_cast<std::size_t>(manifest.width) * static_cast<std::size_t>(manifest.height);
    const Folder& folder = bundle_->folder;
    Bytes frame = folder.read(golden.frame, most_golden);
    frame.resize(frame.size() + 3);  // of a frame one pixel wide the fit reads a neighbour too, with weight 0
    const Bytes fitted = read_exactly(folder, golden.fitted, 3 * pixels);
    const Bytes output = read_exactly(folder, expected->file, static_cast<std::size_t>(manifest.channels()) * pixels);

    Picture picture;
    picture.width = golden.width;
    picture.height = golden.height;
    picture.plane[0] = frame.data();
    picture.stride[0] = 3 * static_cast<std::size_t>(golden.width);
    Box box{0, 0, golden.width, golden.height};
    if (manifest.fit.content) {
        RowReader reader;
        std::vector<std::uint32_t> counts(static_cast<std::size_t>(golden.width) + static_cast<std::size_t>(golden.height));
        box = content_box(picture, manifest.fit.content_level, reader, counts);
    }
    Fitter fitter;
    fitter.prepare(golden.width, manifest.width, manifest.height);
    fitter.place(place(manifest.fit, manifest.height, manifest.width, box), picture.format);
    fitter.run(picture, manifest.fit.pad_value, backend_->input());
    const Difference fit = compare(backend_->input(), fitted.data(), fitted.size(), 1);
    if (fit.beyond > 0) return "fit of golden frame \"" + golden.name + "\" differs by " + std::to_string(fit.worst) + " grey levels, 1 is allowed";

    std::memcpy(backend_->input(), fitted.data(), fitted.size());
    backend_->infer();
    bool reduced = false;
    for (const Graph& graph : manifest.graphs) reduced |= graph.name == choice_.graph && graph.precision != choice_.precision;
    const int max_diff = reduced ? reduced_diff : expected->max_diff;
    const double max_fraction = reduced ? reduced_fraction : expected->max_fraction;
    const Difference difference = compare(backend_->output(), output.data(), output.size(), max_diff);
    if (static_cast<std::uint32_t>(difference.worst) > worst) worst = static_cast<std::uint32_t>(difference.worst);
    if (static_cast<double>(difference.beyond) > max_fraction * static_cast<double>(output.size())) {
        return "golden frame \"" + golden.name + "\" came out of \"" + choice_.name + "\" with " + std::to_string(difference.beyond) + " of " + std::to_string(output.size()) +
               " values more than " + std::to_string(max_diff) + " grey levels off, worst " + std::to_string(difference.worst);
    }
    return "";
}

void Session::selftest(std::uint32_t& passed, std::uint32_t& worst) {
    forget();
    forget_statistics();
    placement_ = {};
    passed = worst = 0;
    std::string first_fault;
    for (const Golden& golden : bundle_->manifest.golden) {
        const std::string fault = replay(golden, worst);
        if (fault.empty()) {
            ++passed;
        } else if (first_fault.empty()) {
            first_fault = fault;
        }
    }
    if (!first_fault.empty()) throw Error(EDGESEG_E_SELFTEST, first_fault + "; do not use this bundle on this machine, rebuild or export it again");
}

}  // namespace edgeseg
