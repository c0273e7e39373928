// One bundle, one engine, one stream of frames.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend.hpp"
#include "choose.hpp"
#include "fit.hpp"
#include "post.hpp"
#include "signal.hpp"
#include "statistics.hpp"

namespace edgeseg {

// Frame descriptors come from outside: every number is checked before it is used. Throws Error(EDGESEG_E_ARGUMENT).
Picture check_frame(const edgeseg_frame& frame);
// The frame's roi as a box, or `whole` if it is zero. Throws Error(EDGESEG_E_ARGUMENT).
bool has_roi(const edgeseg_frame& frame, Box& roi);

class Session {
public:
    // Takes a loaded backend, so that tests can bring their own.
    Session(std::unique_ptr<Bundle> bundle, Choice choice, std::unique_ptr<Backend> backend);

    // warm: run the engine once, for its first run is slow.
    void prepare(std::uint32_t format, int width, int height, bool warm);
    Box find_content(const edgeseg_frame& frame);
    // Fills the written part of `result`, whatever happens; throws Error after that.
    void run(const edgeseg_frame& frame, edgeseg_result& result);
    void selftest(std::uint32_t& passed, std::uint32_t& worst);
    void set_threshold(std::uint32_t index, std::uint8_t threshold);

    const std::vector<Class>& classes() const noexcept { return classes_; }
    const Manifest& manifest() const noexcept { return bundle_->manifest; }
    const std::string& manifest_sha256() const noexcept { return bundle_->manifest_sha256; }
    const Choice& choice() const noexcept { return choice_; }
    std::uint64_t frames() const noexcept { return frames_; }
    std::uint64_t invalid() const noexcept { return invalid_; }
    const Latencies& latencies() const noexcept { return latencies_; }

private:
    struct MaskOut {
        std::uint8_t* data;
        std::size_t stride, width, height;
    };

    void forget() noexcept;
    void forget_statistics() noexcept;
    Box content(const Picture& picture);
    MaskOut check_buffers(const edgeseg_result& result, const Picture& picture) const;
    Placement choose_placement(const Picture& picture, const edgeseg_frame& frame, bool& provisional);
    void use_placement(const Placement& placement, std::uint32_t format);
    std::int32_t look(const edgeseg_frame& frame, edgeseg_result& result);
    void write_mask(const std::uint8_t* probability, const edgeseg_result& result, const MaskOut& mask, edgeseg_result& out);
    void write_empty(const MaskOut& mask, edgeseg_result& result) noexcept;
    // mask: what to empty, NULL if it was not checked yet; reached: the engine.
    void give_up(edgeseg_result& result, const MaskOut* mask, bool reached, const char* why) noexcept;
    // Returns what is wrong, or "".
    std::string replay(const Golden& golden, std::uint32_t& worst);

    std::unique_ptr<Bundle> bundle_;
    Choice choice_;
    std::vector<Class> classes_;  // with the thresholds set by the caller
    std::unique_ptr<Backend> backend_;
    Fitter fitter_;
    Post post_;
    SignalWatch watch_;
    RowReader content_reader_;
    std::vector<std::uint32_t> content_counts_;
    int content_width_ = 0;  // of the frames that the two above have room for
    std::vector<std::uint64_t> areas_;
    // What was prepared for; width 0: nothing yet.
    std::uint32_t format_ = 0;
    int width_ = 0, height_ = 0;
    bool warm_ = false;
    Placement placement_;
    bool holds_content_ = false;
    Box content_;
    bool has_past_ = false;  // last_ belongs to the frame before
    std::uint64_t last_sequence_ = 0;
    std::int32_t last_signal_ = EDGESEG_LIVE;
    std::uint64_t frames_ = 0, invalid_ = 0;
    Latencies latencies_;
};

std::unique_ptr<Session> open_session(const std::string& path, const Wish& wish, std::uint32_t threads, std::uint32_t device,
                                      const char* expected_manifest_sha256);

}  // namespace edgeseg
