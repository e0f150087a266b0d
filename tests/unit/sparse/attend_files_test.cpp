// Files of attend: what is read, what is refused with file, place, expected and found.
#include "sparse/attend_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/safetensors.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;

struct Stored {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape = {1, 2, 3, 4};
};

std::filesystem::path write(const TempDir& folder, const std::vector<Stored>& tensors) {
  static const std::vector<std::byte> kBytes(24 * 8);
  std::vector<TensorToWrite> written;
  for (const Stored& tensor : tensors) {
    int64_t bits = dtype_bits(tensor.dtype);
    for (const int64_t extent : tensor.shape) bits *= extent;
    written.push_back({tensor.name, tensor.dtype, tensor.shape,
                       std::span(kBytes).first(static_cast<size_t>(bits / 8))});
  }
  write_safetensors(folder / "qkv.safetensors", std::move(written), {}, true);
  return folder / "qkv.safetensors";
}

TEST(AttendFiles, ReadEveryElementTypeAndWhatIsOptional) {
  const TempDir folder;
  const AttendFile plain = read_attend_file(write(folder, {{"q"}, {"k"}, {"v"}}), std::nullopt);
  EXPECT_FALSE(plain.inputs.gate.has_value());
  EXPECT_FALSE(plain.inputs.d_out.has_value());
  EXPECT_THAT(plain.inputs.source, HasSubstr("qkv.safetensors"));
  const auto path = write(folder, {{"q", Dtype::kBF16},
                                   {"k", Dtype::kF16},
                                   {"v"},
                                   {"gate", Dtype::kBF16},
                                   {"d_out"},
                                   {"other", Dtype::kI64}});
  const AttendFile stored = read_attend_file(path, std::nullopt);
  EXPECT_EQ(stored.inputs.q.dtype, Dtype::kBF16);
  EXPECT_EQ(stored.inputs.k.dtype, Dtype::kF16);
  EXPECT_EQ(stored.inputs.v.dtype, Dtype::kF32);
  ASSERT_TRUE(stored.inputs.gate && stored.inputs.d_out);
  EXPECT_EQ(stored.inputs.gate->head_dim, 4);
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBF16, Dtype::kF16}) {
    const AttendFile converted = read_attend_file(path, dtype);
    EXPECT_EQ(converted.inputs.q.dtype, dtype);
    EXPECT_EQ(converted.inputs.d_out->dtype, dtype);
  }
}

TEST(AttendFiles, RefusalsNameFileTensorExpectedAndFound) {
  const TempDir folder;
  const std::pair<std::vector<Stored>, std::string> cases[] = {
      {{{"q"}, {"v"}}, "k"},
      {{{"q", Dtype::kI64}, {"k"}, {"v"}}, "q: expected fp32, bf16 or fp16, found "},
      {{{"q"}, {"k"}, {"v", Dtype::kF32, {2, 3, 4}}}, "v: expected [B, H, S, D], found [2, 3, 4]"},
      {{{"q"}, {"k"}, {"v"}, {"gate", Dtype::kF32, {24}}}, "gate: expected [B, H, S, D]"},
      {{{"q"}, {"k"}, {"v"}, {"d_out", Dtype::kU8}}, "d_out: expected fp32, bf16 or fp16"}};
  for (const auto& [tensors, message] : cases) {
    const auto path = write(folder, tensors);
    const std::string error =
        error_of(ErrorKind::kData, [&] { read_attend_file(path, std::nullopt); });
    EXPECT_THAT(error, HasSubstr(path.string()));
    EXPECT_THAT(error, HasSubstr(message));
  }
}

}  // namespace
}  // namespace sparsescope::testing
