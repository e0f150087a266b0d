#include <cstring>
#include <string>

#include "checkpoint/safetensors.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace sparsescope {
namespace {

using ::testing::ElementsAre;
using testing::error_of;

TEST(SafetensorsWriter, RoundTrip) {
  const testing::TempDir folder;
  const std::vector<float> weights{1.0f, -2.5f, 3.0f, 0.0f, 1e-30f, 7.0f};
  const std::vector<int64_t> steps{900, -1};
  const std::vector<uint16_t> halves{0x3f80};
  const std::vector<uint8_t> flags{1, 0, 1};
  const auto path = folder / "out.safetensors";
  write_safetensors(path,
                    {{"flags", Dtype::kBool, {3}, bytes_of(flags)},
                     {"b/\"weights\"", Dtype::kF32, {2, 3}, bytes_of(weights)},
                     {"a", Dtype::kF32, {0, 3}, {}},
                     {"scalar", Dtype::kBF16, {}, bytes_of(halves)},
                     {"steps", Dtype::kI64, {2}, bytes_of(steps)}},
                    {{"format", "pt"}}, false);
  const auto file = SafetensorsFile::open(path);
  EXPECT_THAT(to_float(file.fetch("b/\"weights\""), "b"), ::testing::ElementsAreArray(weights));
  EXPECT_THAT(file.find("b/\"weights\"")->shape, ElementsAre(2, 3));
  EXPECT_THAT(to_int64(file.fetch("steps"), "steps"), ElementsAre(900, -1));
  EXPECT_THAT(to_int64(file.fetch("flags"), "flags"), ElementsAre(1, 0, 1));
  EXPECT_THAT(to_float(file.fetch("scalar"), "scalar"), ElementsAre(1.0f));
  EXPECT_TRUE(file.find("scalar")->shape.empty());
  EXPECT_EQ(file.metadata().at("format"), "pt");

  // By descending width, then by name, and every tensor aligned to its elements.
  std::vector<std::string> order;
  for (const TensorInfo& tensor : file.tensors()) {
    order.push_back(tensor.name);
    const auto address = reinterpret_cast<uintptr_t>(file.fetch(tensor.name).data);
    EXPECT_EQ(address % static_cast<uintptr_t>(dtype_bits(*tensor.dtype) / 8), 0u) << tensor.name;
  }
  EXPECT_THAT(order, ElementsAre("steps", "a", "b/\"weights\"", "scalar", "flags"));
}

// The layout by hand: length, header, padding, data.
TEST(SafetensorsWriter, Bytes) {
  const testing::TempDir folder;
  const std::vector<uint8_t> data{1, 2};
  write_safetensors(folder / "x", {{"t", Dtype::kU8, {2}, bytes_of(data)}}, {}, false);
  const std::string header = R"({"t":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
  const size_t padded = (header.size() + 7) / 8 * 8;
  std::string expected(1, static_cast<char>(padded));
  expected += std::string(7, '\0') + header + std::string(padded - header.size(), ' ') + "\x01\x02";
  EXPECT_EQ(testing::read_file(folder / "x"), expected);
}

TEST(SafetensorsWriter, NeverReplacesUnasked) {
  const testing::TempDir folder;
  const auto path = folder.write("x", "precious");
  const std::vector<uint8_t> data{1};
  const std::vector<TensorToWrite> tensors{{"t", Dtype::kU8, {1}, bytes_of(data)}};
  error_of(ErrorKind::kUsage, [&] { write_safetensors(path, tensors, {}, false); });
  EXPECT_EQ(testing::read_file(path), "precious");
  write_safetensors(path, tensors, {}, true);
  EXPECT_EQ(SafetensorsFile::open(path).tensors().size(), 1u);
  EXPECT_EQ(folder.num_entries(), 1u);
}

TEST(SafetensorsWriter, RefusesWhatTheReaderWouldRefuse) {
  const testing::TempDir folder;
  const std::vector<uint8_t> data{1, 2};
  const auto write = [&](std::vector<TensorToWrite> tensors) {
    error_of(ErrorKind::kInternal,
             [&] { write_safetensors(folder / "x", std::move(tensors), {}, false); });
  };
  write({{"t", Dtype::kU8, {3}, bytes_of(data)}});
  write({{"t", Dtype::kU8, {2}, bytes_of(data)}, {"t", Dtype::kU8, {2}, bytes_of(data)}});
  write({{"__metadata__", Dtype::kU8, {2}, bytes_of(data)}});
  write({{"t", Dtype::kU8, {2, 1, 1, 1, 1, 1, 1, 1, 1}, bytes_of(data)}});
  EXPECT_EQ(folder.num_entries(), 0u);
}

}  // namespace
}  // namespace sparsescope
