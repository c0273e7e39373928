#include "statistics.hpp"

#include <algorithm>
#include <cmath>

namespace edgeseg {
namespace {

constexpr double smallest = 0.001, growth = 0.00995033085316808;  // ln 1.01

}  // namespace

void Latencies::clear() noexcept { *this = Latencies(); }

void Latencies::add(double milliseconds) noexcept {
    const double bin = std::floor(std::log(std::max(milliseconds, smallest) / smallest) / growth);
    ++bins_[std::min(static_cast<std::size_t>(bin), bins_.size() - 1)];
    ++count_;
    maximum_ = std::max(maximum_, milliseconds);
}

double Latencies::percentile(double share) const noexcept {
    if (count_ == 0) return 0.0;
    const auto rank = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < bins_.size(); ++i) {
        seen += bins_[i];
        if (seen >= rank) return std::min(maximum_, smallest * std::exp(growth * (static_cast<double>(i) + 1.0)));
    }
    return maximum_;
}

}  // namespace edgeseg
