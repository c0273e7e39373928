#include "session.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "error.hpp"
#include "onnx_check.hpp"

namespace edgeseg {
namespace {

using Clock = std::chrono::steady_clock;

float milliseconds(Clock::time_point from, Clock::time_point to) { return std::chrono::duration<float, std::milli>(to - from).count(); }

edgeseg_rect rect(const Box& box) { return {box.left, box.top, box.width, box.height}; }

void say(edgeseg_result& result, const char* why) noexcept {
    const std::size_t length = std::min(std::strlen(why), sizeof result.reason - 1);
    std::memcpy(result.reason, why, length);
    result.reason[length] = '\0';
}

}  // namespace

Session::Session(std::unique_ptr<Bundle> bundle, Choice choice, std::unique_ptr<Backend> backend)
    : bundle_(std::move(bundle)), choice_(std::move(choice)), classes_(bundle_->manifest.classes), backend_(std::move(backend)), areas_(classes_.size()) {}

std::unique_ptr<Session> open_session(const std::string& path, const Wish& wish, std::uint32_t threads, std::uint32_t device,
                                      const char* expected_manifest_sha256) {
    constexpr std::int64_t most_graph = std::int64_t{1} << 30;
    auto bundle = std::make_unique<Bundle>(path, expected_manifest_sha256);
    const Manifest& manifest = bundle->manifest;
    if (!manifest.steps.empty()) {
        throw Error(EDGESEG_E_UNSUPPORTED, "bundle \"" + manifest.name + "\" needs the step \"clahe\" between fit and network, which this library does not have; use edgeseg's Python");
    }
    Choice choice = choose(manifest, wish, this_machine(device));
    const Load load{bundle->folder.read(choice.file, most_graph), choice.name,  choice.precision, manifest.height, manifest.width,
                    manifest.channels(), threads, device};
    if (choice.backend != EDGESEG_TENSORRT) {
        try {
            check_onnx(load.file);
        } catch (const Error& error) {
            throw Error(error.status(), bundle->folder.path() + "/" + choice.file.path + " " + error.what());
        }
    }
    std::unique_ptr<Backend> backend;
#ifdef EDGESEG_WITH_OPENVINO
    if (choice.backend == EDGESEG_OPENVINO) backend = load_openvino(load);
#endif
#ifdef EDGESEG_WITH_ONNXRUNTIME
    if (choice.backend == EDGESEG_ONNXRUNTIME) backend = load_onnxruntime(load);
#endif
#ifdef EDGESEG_WITH_TENSORRT
    if (choice.backend == EDGESEG_TENSORRT) backend = load_tensorrt(load);
#endif
    if (backend == nullptr) throw Error(EDGESEG_E_INTERNAL, "a backend was chosen that is not built in");
    return std::make_unique<Session>(std::move(bundle), std::move(choice), std::move(backend));
}

void Session::set_threshold(std::uint32_t index, std::uint8_t threshold) {
    if (index == 0 || index >= classes_.size() || threshold == 0) {
        throw Error(EDGESEG_E_ARGUMENT, "class_index must be 1 to classes - 1 and threshold 1 to 255");
    }
    classes_[index].threshold = threshold;
}

void Session::prepare(std::uint32_t format, int width, int height, bool warm) {
    const Manifest& manifest = bundle_->manifest;
    width_ = 0;  // should memory run out half-way, nothing counts as prepared
    fitter_.prepare(width, manifest.width, manifest.height);
    post_.prepare(manifest, width, height);
    watch_.prepare(manifest.height, manifest.width);
    content_reader_.prepare(width);
    content_width_ = width;
    content_counts_.assign(static_cast<std::size_t>(width) + static_cast<std::size_t>(height), 0);
    placement_ = {};
    forget();
    if (warm) forget_statistics();
    if (warm || !warm_) {
        std::memset(backend_->input(), 0, static_cast<std::size_t>(manifest.width) * static_cast<std::size_t>(manifest.height) * 3);
        backend_->infer();
        warm_ = true;
    }
    format_ = format;
    width_ = width;
    height_ = height;
}

void Session::forget() noexcept {
    post_.forget();
    watch_.forget();
    holds_content_ = has_past_ = false;
}

void Session::forget_statistics() noexcept {
    frames_ = invalid_ = 0;
    latencies_.clear();
}

// The room for it is prepared with the stream; only a still of another size makes it allocate.
Box Session::content(const Picture& picture) {
    const std::size_t sides = static_cast<std::size_t>(picture.width) + static_cast<std::size_t>(picture.height);
    if (content_width_ != picture.width || content_counts_.size() != sides) {
        content_reader_.prepare(picture.width);
        content_width_ = picture.width;
        content_counts_.assign(sides, 0);
    }
    return content_box(picture, bundle_->manifest.fit.content_level, content_reader_, content_counts_);
}

Box Session::find_content(const edgeseg_frame& frame) { return content(check_frame(frame)); }

Session::MaskOut Session::check_buffers(const edgeseg_result& result, const Picture& picture) const {
    const Manifest& manifest = bundle_->manifest;
    if (result.mask_at > EDGESEG_MASK_FRAME) throw Error(EDGESEG_E_ARGUMENT, "result.mask_at is neither EDGESEG_MASK_NETWORK nor EDGESEG_MASK_FRAME");
    const bool at_frame = result.mask_at == EDGESEG_MASK_FRAME;
    MaskOut out{result.mask, 0, static_cast<std::size_t>(at_frame ? picture.width : manifest.width), static_cast<std::size_t>(at_frame ? picture.height : manifest.height)};
    out.stride = out.width;
    const auto least = [](const char* field, std::size_t has, std::size_t needs, edgeseg_status status) {
        if (has < needs) throw Error(status, std::string("result.") + field + " is " + std::to_string(has) + ", " + std::to_string(needs) + " are needed");
    };
    if (result.mask != nullptr) {
        if (result.mask_stride != 0) out.stride = result.mask_stride;
        least("mask_stride", out.stride, out.width, EDGESEG_E_ARGUMENT);
        least("mask_size", result.mask_size, out.stride * (out.height - 1) + out.width, EDGESEG_E_BUFFER);
    }
    const std::size_t values = static_cast<std::size_t>(manifest.channels()) * static_cast<std::size_t>(manifest.width) * static_cast<std::size_t>(manifest.height);
    if (result.probability != nullptr) least("probability_size", result.probability_size, values, EDGESEG_E_BUFFER);
    if (result.class_area != nullptr) least("area_capacity", result.area_capacity, classes_.size(), EDGESEG_E_BUFFER);
    return out;
}

Placement Session::choose_placement(const Picture& picture, const edgeseg_frame& frame, bool& provisional) {
    const Manifest& manifest = bundle_->manifest;
    Box box{0, 0, picture.width, picture.height};
    provisional = false;
    if (!has_roi(frame, box) && manifest.fit.content) {
        if (!holds_content_) {
            content_ = content(picture);
            provisional = true;
        }
        box = content_;
    }
    return place(manifest.fit, manifest.height, manifest.width, box);
}

void Session::use_placement(const Placement& placement, std::uint32_t format) {
    if (placement == placement_) return;
    fitter_.place(placement, format);
    post_.place(placement);
    post_.forget();
    placement_ = placement;
}

std::int32_t Session::look(const edgeseg_frame& frame, edgeseg_result& result) {
    const char* why = nullptr;
    const std::int32_t signal = watch_.look(backend_->input(), placement_, frame.captured_ns, why);
    if (why != nullptr) say(result, why);
    // Smoothing must not carry one picture's mask over a gap, or over a change of state, into another's.
    if (!has_past_ || frame.sequence != last_sequence_ + 1 || signal != last_signal_) post_.forget();
    has_past_ = true;
    last_sequence_ = frame.sequence;
    last_signal_ = signal;
    return signal;
}

void Session::write_empty(const MaskOut& mask, edgeseg_result& result) noexcept {
    if (mask.data != nullptr) {
        for (std::size_t y = 0; y < mask.height; ++y) std::memset(mask.data + y * mask.stride, 0, mask.width);
    }
    if (result.class_area != nullptr) {
        std::fill(result.class_area, result.class_area + classes_.size(), 0U);
        result.class_area[0] = mask.width * mask.height;
    }
    result.object_count = 0;
}

void Session::write_mask(const std::uint8_t* probability, const edgeseg_result& wanted, const MaskOut& mask, edgeseg_result& out) {
    if (mask.data == nullptr && wanted.objects == nullptr && wanted.class_area == nullptr) return;
    std::uint8_t* const data = mask.data != nullptr ? mask.data : post_.own_mask();
    if (wanted.mask_at == EDGESEG_MASK_FRAME) {
        post_.mask_frame(probability, classes_, data, mask.stride);
    } else {
        post_.mask_network(probability, classes_, data, mask.stride);
    }
    const std::uint32_t capacity = wanted.objects != nullptr ? wanted.object_capacity : 0;
    out.object_count = post_.measure(data, mask.stride, wanted.mask_at, areas_.data(), wanted.objects, capacity);
    if (wanted.class_area != nullptr) std::copy(areas_.begin(), areas_.end(), wanted.class_area);
}

void Session::run(const edgeseg_frame& frame, edgeseg_result& result) {
    result.object_count = 0;
    result.signal = EDGESEG_INVALID;
    result.region = {};
    result.sequence = frame.sequence;
    result.captured_ns = frame.captured_ns;
    result.fit_ms = result.infer_ms = result.post_ms = 0.0F;
    result.reason[0] = '\0';
    MaskOut mask{};
    bool checked = false, reached = false;
    try {
        const Picture picture = check_frame(frame);
        Box unused;
        has_roi(frame, unused);
        // Before anything that can fail: from here on a failure leaves an empty mask, never the frame before's.
        mask = check_buffers(result, picture);
        checked = true;
        if (width_ != picture.width || height_ != picture.height || format_ != picture.format) {
            prepare(picture.format, picture.width, picture.height, false);
        }

        const auto start = Clock::now();
        bool provisional = false;
        use_placement(choose_placement(picture, frame, provisional), picture.format);
        result.region = rect(placement_.source);
        fitter_.run(picture, bundle_->manifest.fit.pad_value, backend_->input());
        std::int32_t signal = look(frame, result);
        const auto fitted = Clock::now();
        ++frames_;
        reached = true;
        backend_->infer();
        const auto inferred = Clock::now();
        const std::uint8_t* probability = post_.smooth(backend_->output());
        if (result.probability != nullptr) {
            const Manifest& manifest = bundle_->manifest;
            std::memcpy(result.probability, probability, static_cast<std::size_t>(manifest.channels()) * static_cast<std::size_t>(manifest.width) * static_cast<std::size_t>(manifest.height));
        }
        if (post_.all_positive(probability, classes_)) {
            signal = EDGESEG_INVALID;
            ++invalid_;
            post_.forget();
            say(result, "every pixel came out positive, as from a broken engine");
        }
        if (provisional && signal == EDGESEG_LIVE) holds_content_ = true;
        if (signal == EDGESEG_INVALID || signal == EDGESEG_NO_SIGNAL) {
            write_empty(mask, result);
        } else {
            write_mask(probability, result, mask, result);
        }
        const auto done = Clock::now();
        result.signal = signal;
        result.fit_ms = milliseconds(start, fitted);
        result.infer_ms = milliseconds(fitted, inferred);
        result.post_ms = milliseconds(inferred, done);
        latencies_.add(static_cast<double>(milliseconds(start, done)));
    } catch (const std::exception& error) {
        give_up(result, checked ? &mask : nullptr, reached, error.what());
        throw;
    } catch (...) {
        give_up(result, checked ? &mask : nullptr, reached, "an unknown exception");
        throw;
    }
}

void Session::give_up(edgeseg_result& result, const MaskOut* mask, bool reached, const char* why) noexcept {
    if (reached) ++invalid_;
    if (mask != nullptr) write_empty(*mask, result);
    has_past_ = false;
    result.signal = EDGESEG_INVALID;
    say(result, why);
}

}  // namespace edgeseg
