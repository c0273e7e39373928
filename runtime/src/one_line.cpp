#include "backend.hpp"

namespace edgeseg {

std::string one_line(const char* text) {
    std::string out;
    bool space = false;
    for (; *text != '\0' && out.size() < 400; ++text) {
        if (static_cast<unsigned char>(*text) <= ' ') {
            space = !out.empty();
        } else {
            if (space) out.push_back(' ');
            space = false;
            out.push_back(*text);
        }
    }
    return out;
}

}  // namespace edgeseg
