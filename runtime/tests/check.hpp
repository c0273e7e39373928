// A test is a function registered by TEST; EXPECT and friends count failures and say where. One executable per subject.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace check {

struct Case {
    const char* name;
    void (*run)();
};
inline std::vector<Case>& cases() {
    static std::vector<Case> all;
    return all;
}
inline int& failures() {
    static int count = 0;
    return count;
}
struct Register {
    Register(const char* name, void (*run)()) { cases().push_back({name, run}); }
};
inline void fail(const char* file, int line, const std::string& what) {
    std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
    ++failures();
}
template <typename A, typename B>
void equal(const char* file, int line, const char* text, const A& a, const B& b) {
    if (!(a == b)) fail(file, line, text);
}
// Runs all, or those whose name contains the first argument.
inline int main_of(int count, char** arguments) {
    const std::string only = count > 1 ? arguments[1] : "";
    int run = 0;
    for (const Case& one : cases()) {
        if (std::string(one.name).find(only) == std::string::npos) continue;
        const int before = failures();
        one.run();
        ++run;
        std::printf("%s %s\n", failures() == before ? "ok    " : "FAILED", one.name);
    }
    if (run == 0) fail(__FILE__, __LINE__, "no test has that name");
    return failures() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace check

#define TEST(name)                                          \
    static void test_##name();                              \
    static const check::Register register_##name(#name, test_##name); \
    static void test_##name()
#define EXPECT(condition) \
    do { \
        if (!(condition)) check::fail(__FILE__, __LINE__, "not so: " #condition); \
    } while (false)
#define EXPECT_EQ(a, b) check::equal(__FILE__, __LINE__, "differ: " #a " and " #b, a, b)
#define EXPECT_ERROR(status_, code) \
    do { \
        try { \
            code; \
            check::fail(__FILE__, __LINE__, "did not throw: " #code); \
        } catch (const edgeseg::Error& error) { \
            if (error.status() != (status_)) check::fail(__FILE__, __LINE__, std::string("wrong status: ") + error.what()); \
        } \
    } while (false)
#define TEST_MAIN() \
    int main(int count, char** arguments) { return check::main_of(count, arguments); }
