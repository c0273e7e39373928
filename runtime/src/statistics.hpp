// Percentiles of run times in fixed memory: a histogram whose bins grow by 1 %, from 1 µs to about 20 minutes.
#pragma once

#include <array>
#include <cstdint>

namespace edgeseg {

class Latencies {
public:
    void clear() noexcept;
    void add(double milliseconds) noexcept;
    double percentile(double share) const noexcept;  // upper edge of its bin, at most the maximum; 0 if nothing was added
    double maximum() const noexcept { return maximum_; }
    std::uint64_t count() const noexcept { return count_; }

private:
    std::array<std::uint64_t, 2112> bins_{};
    std::uint64_t count_ = 0;
    double maximum_ = 0.0;
};

}  // namespace edgeseg
