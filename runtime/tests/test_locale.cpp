// A program may run in any locale: numbers with a point are read as ever where the C library expects a comma. Usage: see locale.sh
#include <clocale>
#include <cstdio>
#include <locale>

#include "check.hpp"
#include "error.hpp"
#include "manifest.hpp"
#include "sample.hpp"

namespace {

// What a named locale would do to streams; naming one makes glibc lose a few bytes, which the address sanitizer sees.
struct Grouping final : std::numpunct<char> {
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
};

}  // namespace

int main(int count, char** arguments) {
    if (std::setlocale(LC_ALL, "xx_XX") == nullptr) return 2;
    std::locale::global(std::locale(std::locale(), new Grouping));
    return check::main_of(count, arguments);
}

TEST(the_locale_is_in_force) {
    char text[16];
    std::snprintf(text, sizeof text, "%.1f", 0.5);
    EXPECT(std::string(text) == "0,5" || std::string(text) == "0\xd9\xab""5");
}

TEST(fractions_keep_their_point) {
    const std::string text = sample::changed("\"min_area\": 0.0, \"smoothing\": 0.0", "\"min_area\": 0.125, \"smoothing\": 7.5e-1");
    const edgeseg::Manifest manifest = edgeseg::parse_manifest(text.data(), text.size());
    EXPECT_EQ(manifest.min_area, 0.125);
    EXPECT_EQ(manifest.smoothing, 0.75);
    const std::string comma = sample::changed("\"min_area\": 0.0", "\"min_area\": 0,0");
    EXPECT_ERROR(EDGESEG_E_MANIFEST, edgeseg::parse_manifest(comma.data(), comma.size()));
}

TEST(sizes_in_sentences_are_not_grouped) {
    const std::string text = sample::changed("\"schema\": 1", "\"schema\": 1234567");
    try {
        edgeseg::parse_manifest(text.data(), text.size());
        EXPECT(false);
    } catch (const edgeseg::Error& error) {
        EXPECT(std::string(error.what()).find("1234567") != std::string::npos);
    }
}
