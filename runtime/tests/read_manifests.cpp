#include <cstdio>
#include <fstream>
#include <iterator>

#include "error.hpp"
#include "manifest.hpp"

int main(int count, char** arguments) {
    for (int i = 1; i < count; ++i) {
        std::ifstream file(arguments[i], std::ios::binary);
        const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        try {
            edgeseg::parse_manifest(text.data(), text.size());
            std::puts("ok");
        } catch (const edgeseg::Error& error) {
            std::printf("%d %s\n", error.status(), error.what());
        }
    }
    return 0;
}
