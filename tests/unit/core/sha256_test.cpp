// Digests published with the standard (FIPS 180-4 examples).
#include "core/sha256.h"

#include <string>

#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace sparsescope {
namespace {

constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* kMillionA =
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST(Sha256, KnownStrings) {
  EXPECT_EQ(sha256_hex("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc", 3), kAbc);
}

TEST(Sha256, InPieces) {
  Sha256 hash;
  const std::string piece(1000, 'a');
  for (int i = 0; i < 1000; ++i) hash.update(piece.data(), piece.size());
  EXPECT_EQ(hash.hex(), kMillionA);
}

TEST(Sha256, Files) {
  const testing::TempDir folder;
  EXPECT_EQ(sha256_file(folder.write("abc", "abc")), kAbc);
  // More than one read.
  const std::string large(3 << 20, 'b');
  EXPECT_EQ(sha256_file(folder.write("large", large)), sha256_hex(large.data(), large.size()));
  EXPECT_THAT(testing::error_of(ErrorKind::kData, [&] { sha256_file(folder / "none"); }),
              ::testing::HasSubstr("none"));
}

}  // namespace
}  // namespace sparsescope
