// The fuzz targets on some ten thousand damaged headers and indices, the same ones in every run.
#include <gtest/gtest.h>

#include <span>
#include <string>

#include "checkpoint/safetensors_header.h"
#include "checkpoint/shard_index.h"
#include "core/error.h"
#include "fuzz/header_mutator.h"

namespace sparsescope {
namespace {

constexpr uint64_t kHeaders = 20000;
constexpr uint64_t kIndices = 5000;

SafetensorsHeader parse(const std::string& file) {
  return parse_safetensors_header(std::as_bytes(std::span(file)), "input");
}

TEST(MutatedHeaders, WithoutDamageTheyAreAccepted) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    ASSERT_NO_THROW(parse(testing::valid_safetensors(seed))) << seed;
    ASSERT_NO_THROW(parse_shard_index(testing::valid_index(seed), "input")) << seed;
  }
}

// Tensors of an accepted file cover its buffer exactly; everything else is Error(kData).
TEST(MutatedHeaders, AreRefusedOrDescribeTheirBytesExactly) {
  uint64_t refused = 0;
  for (uint64_t seed = 0; seed < kHeaders; ++seed) {
    const std::string file = testing::mutated_safetensors(seed);
    try {
      const SafetensorsHeader header = parse(file);
      uint64_t end = 0;
      for (const TensorInfo& tensor : header.tensors) {
        ASSERT_EQ(tensor.begin, end) << seed;
        ASSERT_GE(tensor.end, tensor.begin) << seed;
        ASSERT_LE(tensor.shape.size(), kMaxRank) << seed;
        end = tensor.end;
      }
      ASSERT_EQ(header.buffer_offset + end, file.size()) << seed;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kData) << seed << ": " << error.what();
      ASSERT_TRUE(std::string(error.what()).starts_with("input: ")) << seed << ": " << error.what();
      ++refused;
    }
  }
  // Most damage is fatal, some is not (a name, padding): both paths ran.
  EXPECT_GT(refused, kHeaders / 2);
  EXPECT_LT(refused, kHeaders - 100);
}

TEST(MutatedIndices, AreRefusedOrStayInTheirFolder) {
  uint64_t refused = 0;
  for (uint64_t seed = 0; seed < kIndices; ++seed) {
    try {
      for (const auto& [tensor, shard] : parse_shard_index(testing::mutated_index(seed), "input")) {
        ASSERT_FALSE(shard.empty()) << seed;
        ASSERT_EQ(shard.find_first_of("/\\"), std::string::npos) << seed;
      }
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kData) << seed << ": " << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, kIndices / 4);
  EXPECT_LT(refused, kIndices - 100);
}

}  // namespace
}  // namespace sparsescope
