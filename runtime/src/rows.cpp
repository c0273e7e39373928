// Rows of a frame as BGR or grey.
#include "fit.hpp"

namespace edgeseg {
namespace {

// libswscale's integer matrices (ITU-R BT.601 and BT.709 inverse, 1/65536), for limited range.
struct Matrix {
    int v_r, u_b, u_g, v_g;
};
constexpr Matrix bt601{104597, 132201, -25675, -53279};
constexpr Matrix bt709{117489, 138438, -13975, -34925};

struct Scaled {
    int luma, black;
    Matrix chroma;
};

Scaled scaled(std::uint32_t color) {
    const Matrix matrix = color == EDGESEG_BT709_LIMITED || color == EDGESEG_BT709_FULL ? bt709 : bt601;
    if (color == EDGESEG_BT601_LIMITED || color == EDGESEG_BT709_LIMITED) return {65536 * 255 / 219, 16, matrix};
    const auto full = [](int value) { return static_cast<int>(std::int64_t{value} * 224 / 255); };
    return {65536, 0, {full(matrix.v_r), full(matrix.u_b), full(matrix.u_g), full(matrix.v_g)}};
}

Yuv coefficients(std::uint32_t color) {
    const Scaled from = scaled(color);
    const auto round = [](int value) { return static_cast<std::int16_t>((std::int64_t{value} * 8192 + 32768) >> 16); };
    return {round(from.luma),       static_cast<std::int16_t>(from.black), round(from.chroma.v_r), round(from.chroma.u_b),
            round(from.chroma.u_g), round(from.chroma.v_g)};
}

// libswscale writes the last two rows by another, table-driven way (chroma moved into steps of luma, the row before the last with
// chroma 1:3); it is imitated so that a frame matches to its edge.
void nv12_last_row(const std::uint8_t* y, const std::uint8_t* far, const std::uint8_t* near, int near_quarters, std::uint32_t color, int width,
                   std::uint8_t* out) {
    const Scaled from = scaled(color);
    const auto steps = [&from](int coefficient, int value) {
        const std::int64_t increment = (std::int64_t{coefficient} * 65536 + 32768) / from.luma;
        return static_cast<int>((value * increment) >> 16) - static_cast<int>(increment >> 9);
    };
    const auto grey = [&from](int luma) {
        // Where its table begins: 384 entries before black in full range, 326 in limited, in steps of from.luma.
        const std::int64_t begin = from.black != 0 ? std::int64_t{326} * from.luma - (384 + from.black) * 65536 : 0;
        const std::int64_t value = (std::int64_t{luma} * from.luma + begin + 32768) >> 16;
        return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
    };
    for (int x = 0; x < width; ++x) {
        const int at = x & ~1;
        const int u = (far[at] * (4 - near_quarters) + near[at] * near_quarters + 2) >> 2;
        const int v = (far[at + 1] * (4 - near_quarters) + near[at + 1] * near_quarters + 2) >> 2;
        out[3 * x] = grey(y[x] + steps(from.chroma.u_b, u));
        out[3 * x + 1] = grey(y[x] + steps(from.chroma.u_g, u) + steps(from.chroma.v_g, v));
        out[3 * x + 2] = grey(y[x] + steps(from.chroma.v_r, v));
    }
}

}  // namespace

void RowReader::prepare(int width) {
    line_.assign(static_cast<std::size_t>(width) * 3, 0);
    planes_.assign(static_cast<std::size_t>(width) * 3, 0);
}

const std::uint8_t* RowReader::row(const Picture& picture, int y) {
    const std::uint8_t* first = picture.plane[0] + static_cast<std::size_t>(y) * picture.stride[0];
    if (picture.format != EDGESEG_NV12) return first;  // RGB keeps its order here; the writer of the result swaps
    const auto chroma = [&picture](int row) { return picture.plane[1] + static_cast<std::size_t>(row) * picture.stride[1]; };
    const int near = y / 2;
    // Odd rows sit on their chroma row, even rows between two; across, chroma is repeated. So does libswscale by default.
    const int far = y % 2 == 1 || near == 0 ? near : near - 1;
    if (y >= picture.height - 2) {
        nv12_last_row(first, chroma(far), chroma(near), y % 2 == 1 ? 4 : 3, picture.color, picture.width, line_.data());
    } else {
        kernels().nv12_row(first, chroma(near), chroma(far), coefficients(picture.color), picture.width, planes_.data(), line_.data());
    }
    return line_.data();
}

}  // namespace edgeseg
