// edgeseg.h for C++17: sessions that close themselves, statuses as exceptions, buffers that fit. Header only; the rules of edgeseg.h hold.
#ifndef EDGESEG_HPP
#define EDGESEG_HPP

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "edgeseg.h"

namespace edgeseg {

// A status other than EDGESEG_OK, with the library's sentence.
class Failure : public std::runtime_error {
public:
    Failure(edgeseg_status status, const std::string& sentence) : std::runtime_error(sentence), status_(status) {}
    edgeseg_status status() const noexcept { return status_; }

private:
    edgeseg_status status_;
};

struct Options : edgeseg_options {
    Options() noexcept : edgeseg_options{} { struct_size = sizeof(edgeseg_options); }
};

// Describes memory that stays the caller's. For NV12 second_plane is the interleaved chroma.
struct Frame : edgeseg_frame {
    Frame(std::uint32_t frame_format, std::uint32_t frame_width, std::uint32_t frame_height, const std::uint8_t* first_plane,
          const std::uint8_t* second_plane = nullptr) noexcept
        : edgeseg_frame{} {
        struct_size = sizeof(edgeseg_frame);
        format = frame_format;
        width = frame_width;
        height = frame_height;
        plane[0] = first_plane;
        plane[1] = second_plane;
    }
};

// What run() found. Its buffers are reused by the session's next run.
struct Result {
    edgeseg_result raw{};
    std::vector<std::uint8_t> probability;   // [channels][height][width] of edgeseg_info
    std::vector<std::uint8_t> mask;          // [mask_height][mask_width], class index
    std::uint32_t mask_width = 0, mask_height = 0;
    std::vector<edgeseg_object> objects;     // largest first, at most as many as the session keeps
    std::vector<std::uint64_t> class_area;

    // EDGESEG_LIVE to EDGESEG_LOST, by content and age.
    std::int32_t signal(std::int64_t now_ns, std::int64_t stale_ns = 0, std::int64_t lost_ns = 0) const noexcept {
        return edgeseg_signal(&raw, now_ns, stale_ns, lost_ns);
    }
};

class Session {
public:
    explicit Session(const std::string& bundle, const Options& options = Options(), std::uint32_t most_objects = 64) : most_objects_(most_objects) {
        char error[512];
        check(edgeseg_open(EDGESEG_ABI, bundle.c_str(), &options, &handle_, error, sizeof error), error);
        info_.struct_size = sizeof info_;
        const edgeseg_status status = edgeseg_get_info(handle_, &info_);
        if (status != EDGESEG_OK) {  // a program built with a later header
            edgeseg_close(handle_);
            check(status, edgeseg_status_text(status));
        }
        result_.raw.struct_size = sizeof result_.raw;
        result_.raw.signal = EDGESEG_LOST;  // until a run writes it
    }
    ~Session() { edgeseg_close(handle_); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    Session(Session&& other) noexcept
        : handle_(std::exchange(other.handle_, nullptr)), info_(other.info_), most_objects_(other.most_objects_), result_(std::move(other.result_)) {}
    Session& operator=(Session&& other) noexcept {
        std::swap(handle_, other.handle_);
        std::swap(info_, other.info_);
        std::swap(most_objects_, other.most_objects_);
        std::swap(result_, other.result_);
        return *this;
    }

    const edgeseg_info& info() const noexcept { return info_; }
    edgeseg_class class_info(std::uint32_t index) const {
        edgeseg_class out{};
        out.struct_size = sizeof out;
        check(edgeseg_get_class(handle_, index, &out));
        return out;
    }
    void set_threshold(std::uint32_t class_index, std::uint8_t threshold) { check(edgeseg_set_threshold(handle_, class_index, threshold)); }
    void prepare(std::uint32_t format, std::uint32_t width, std::uint32_t height) { check(edgeseg_prepare(handle_, format, width, height)); }
    edgeseg_rect find_content(const Frame& frame) {
        edgeseg_rect out{};
        check(edgeseg_find_content(handle_, &frame, &out));
        return out;
    }
    // Throws Failure; result() then still holds the frame's number, the state and the reason, and an empty mask (without pixels if
    // the frame's size is no possible one).
    const Result& run(const Frame& frame, std::uint32_t mask_at = EDGESEG_MASK_FRAME) {
        edgeseg_result& raw = result_.raw;
        const bool at_frame = mask_at == EDGESEG_MASK_FRAME;
        const bool possible = frame.width <= 16384 && frame.height <= 16384;  // else refused below, before gigabytes are asked for
        result_.mask_width = !possible ? 0 : at_frame ? frame.width : info_.width;
        result_.mask_height = !possible ? 0 : at_frame ? frame.height : info_.height;
        result_.mask.resize(std::size_t{result_.mask_width} * result_.mask_height);
        result_.probability.resize(std::size_t{info_.channels} * info_.height * info_.width);
        result_.objects.resize(most_objects_);
        result_.class_area.resize(info_.classes);
        raw.mask_at = mask_at;
        raw.mask = result_.mask.data();
        raw.mask_size = result_.mask.size();
        raw.probability = result_.probability.data();
        raw.probability_size = result_.probability.size();
        raw.objects = result_.objects.data();
        raw.object_capacity = most_objects_;
        raw.class_area = result_.class_area.data();
        raw.area_capacity = info_.classes;
        const edgeseg_status status = edgeseg_run(handle_, &frame, &raw);
        result_.objects.resize(std::min(raw.object_count, most_objects_));
        if (status != EDGESEG_OK) {  // refused for its arguments, a call leaves the buffers alone: they hold the frame before
            std::fill(result_.mask.begin(), result_.mask.end(), std::uint8_t{0});
            std::fill(result_.class_area.begin(), result_.class_area.end(), std::uint64_t{0});
            result_.class_area[0] = result_.mask.size();
        }
        check(status);
        return result_;
    }
    const Result& result() const noexcept { return result_; }
    edgeseg_statistics statistics() const {
        edgeseg_statistics out{};
        out.struct_size = sizeof out;
        check(edgeseg_get_statistics(handle_, &out));
        return out;
    }
    // Returns how many golden frames passed, which is all of them: otherwise it throws.
    std::uint32_t selftest() {
        std::uint32_t passed = 0;
        check(edgeseg_selftest(handle_, &passed, nullptr, nullptr, 0));
        return passed;
    }
    edgeseg_session* handle() const noexcept { return handle_; }

private:
    static void check(edgeseg_status status, const char* sentence) {
        if (status != EDGESEG_OK) throw Failure(status, sentence);
    }
    void check(edgeseg_status status) const { check(status, edgeseg_last_error(handle_)); }

    edgeseg_session* handle_ = nullptr;
    edgeseg_info info_{};
    std::uint32_t most_objects_;
    Result result_;
};

}  // namespace edgeseg

#endif
