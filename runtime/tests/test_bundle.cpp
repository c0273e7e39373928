// Folders that try to reach outside, and bytes that were changed.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle.hpp"
#include "check.hpp"
#include "error.hpp"
#include "sample.hpp"

using edgeseg::Bundle;
using edgeseg::Folder;
namespace fs = std::filesystem;

TEST(sha256_is_fips_180) {
    EXPECT_EQ(edgeseg::sha256("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(edgeseg::sha256("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const std::string million(1000000, 'a');
    EXPECT_EQ(edgeseg::sha256(million.data(), million.size()), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(reads_plain_files_below_it) {
    const sample::TemporaryFolder folder;
    folder.write("a/b/c.bin", std::string("\0x\xff", 3));
    EXPECT_EQ(Folder(folder.path()).read("a/b/c.bin", 3), (edgeseg::Bytes{0, 'x', 255}));
    EXPECT_ERROR(EDGESEG_E_FILE, Folder(folder.path()).read("a/b/c.bin", 2));
    EXPECT_ERROR(EDGESEG_E_FILE, Folder(folder.path()).read("a/b/d.bin", 3));
    EXPECT_ERROR(EDGESEG_E_FILE, Folder(folder.path()).read("a/b", 3));
    EXPECT_ERROR(EDGESEG_E_FILE, Folder((folder.path() / "none").string()));
    EXPECT_ERROR(EDGESEG_E_FILE, Folder((folder.path() / "a/b/c.bin").string()));
}

TEST(follows_no_symlink_and_waits_for_no_fifo) {
    const sample::TemporaryFolder folder;
    folder.write("real/file", "x");
    fs::create_symlink("file", folder.path() / "real/link");
    fs::create_directory_symlink("real", folder.path() / "linked");
    EXPECT_EQ(::mkfifo((folder.path() / "fifo").c_str(), 0600), 0);
    const Folder opened(folder.path());
    for (const char* file : {"real/link", "linked/file", "fifo"}) EXPECT_ERROR(EDGESEG_E_FILE, opened.read(file, 10));
    EXPECT_EQ(opened.read("real/file", 10).size(), std::size_t{1});
}

TEST(compares_size_and_hash) {
    const sample::TemporaryFolder folder;
    folder.write("f", "hello");
    const Folder opened(folder.path());
    const std::string right = edgeseg::sha256("hello", 5);
    EXPECT_EQ(opened.read(edgeseg::File{"f", 5, right}, 100).size(), std::size_t{5});
    EXPECT_EQ(opened.read(edgeseg::File{"f", -1, right}, 100).size(), std::size_t{5});
    EXPECT_ERROR(EDGESEG_E_HASH, opened.read(edgeseg::File{"f", 4, right}, 100));
    EXPECT_ERROR(EDGESEG_E_HASH, opened.read(edgeseg::File{"f", 5, edgeseg::sha256("hellO", 5)}, 100));
    EXPECT_ERROR(EDGESEG_E_UNSUPPORTED, opened.read(edgeseg::File{"f", 101, right}, 100));
}

TEST(manifest_hash_guards_the_manifest) {
    const sample::TemporaryFolder folder;
    EXPECT_ERROR(EDGESEG_E_FILE, Bundle(folder.path(), nullptr));
    folder.write_manifest(sample::manifest());
    const Bundle bundle(folder.path(), nullptr);
    EXPECT_EQ(bundle.manifest.name, "sample");
    std::string upper = bundle.manifest_sha256;
    for (char& c : upper) c = c >= 'a' ? static_cast<char>(c - 32) : c;
    EXPECT_EQ(Bundle(folder.path(), upper.c_str()).manifest.name, "sample");
    EXPECT_ERROR(EDGESEG_E_HASH, Bundle(folder.path(), std::string(64, '0').c_str()));
    EXPECT_ERROR(EDGESEG_E_HASH, Bundle(folder.path(), ""));
    folder.write("manifest.json", sample::changed("\"threshold\": 128", "\"threshold\": 129"));
    EXPECT_ERROR(EDGESEG_E_HASH, Bundle(folder.path(), nullptr));
}

TEST(hash_line_is_exact) {
    const sample::TemporaryFolder folder;
    folder.write_manifest(sample::manifest());
    const std::string hash = edgeseg::sha256(sample::manifest().data(), sample::manifest().size());
    for (const std::string& line : {hash, hash + "  other.json\n", hash + "  manifest.json\nmore", " " + hash + "  manifest.json\n", std::string()}) {
        folder.write("manifest.sha256", line);
        EXPECT_ERROR(EDGESEG_E_HASH, Bundle(folder.path(), nullptr));
    }
    folder.write("manifest.sha256", hash + "  manifest.json");
    EXPECT_EQ(Bundle(folder.path(), nullptr).manifest.name, "sample");
}

TEST(a_long_path_leaves_room_for_the_reason) {
    const std::string name = std::string(300, 'x') + "/the-last-part.edgeseg";
    try {
        const Folder folder(name);
        EXPECT(false);
    } catch (const edgeseg::Error& error) {
        const std::string said = error.what();
        EXPECT(said.size() < 400);
        EXPECT(said.find("...xxx") == 0);
        EXPECT(said.find("the-last-part.edgeseg cannot be opened") != std::string::npos);
    }
}

TEST(a_replaced_bundle_does_not_change_an_open_one) {
    const sample::TemporaryFolder folder;
    folder.write("one/f", "old");
    const Folder opened((folder.path() / "one").string());
    fs::rename(folder.path() / "one", folder.path() / "gone");
    folder.write("one/f", "new");
    EXPECT_EQ(opened.read("f", 3), (edgeseg::Bytes{'o', 'l', 'd'}));
}

TEST_MAIN()
