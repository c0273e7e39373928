#include "sha256.hpp"

#include <cstdint>

#include <sha2.h>

namespace edgeseg {

std::string sha256(const void* data, std::size_t size) {
    SHA2_CTX context;
    SHA256Init(&context);
    SHA256Update(&context, static_cast<const std::uint8_t*>(data), size);
    std::uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256Final(digest, &context);
    std::string hex;
    hex.reserve(2 * sizeof digest);
    for (const std::uint8_t byte : digest) {
        hex.push_back("0123456789abcdef"[byte >> 4]);
        hex.push_back("0123456789abcdef"[byte & 15]);
    }
    return hex;
}

}  // namespace edgeseg
