// Whether a fitted frame shows a picture at all, and a new one. The rules stand in edgeseg.h beside the states.
#pragma once

#include <cstdint>
#include <vector>

#include "fit.hpp"

namespace edgeseg {

class SignalWatch {
public:
    void prepare(int network_height, int network_width);
    void forget() noexcept { has_reference_ = false; }  // the picture before
    // Returns EDGESEG_LIVE, _FROZEN or _NO_SIGNAL; `why` is then set to a phrase that lives forever.
    std::int32_t look(const std::uint8_t* fitted, const Placement& placement, std::int64_t captured_ns, const char*& why);

private:
    bool frozen(const std::uint8_t* fitted, std::int64_t captured_ns);

    int width_ = 0;
    std::vector<std::uint8_t> reference_;  // the first of the frames that look alike
    std::int64_t reference_ns_ = 0;
    bool has_reference_ = false;
};

}  // namespace edgeseg
