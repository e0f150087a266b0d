// Files that must load, however odd, and the values that come out of them.
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "checkpoint/safetensors.h"
#include "core/json_io.h"
#include "raw_file.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace sparsescope {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::header_of;
using testing::one_tensor;
using testing::raw_file;
using testing::u8_entry;

SafetensorsFile open_bytes(const testing::TempDir& folder, const std::string& bytes) {
  return SafetensorsFile::open(folder.write("file.safetensors", bytes));
}

template <typename T>
std::string packed(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST(Safetensors, MisalignedDoubles) {
  std::string header = R"({"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}})";
  if (header.size() % 2 == 0) header += ' ';
  const testing::TempDir folder;
  const auto file = open_bytes(
      folder, testing::little_endian_u64(header.size()) + header + packed<double>({1.5, -2.25}));
  const StoredTensor tensor = file.fetch("a");
  EXPECT_NE(reinterpret_cast<uintptr_t>(tensor.data) % alignof(double), 0u);
  EXPECT_THAT(to_float(tensor, "a"), ElementsAre(1.5f, -2.25f));
}

TEST(Safetensors, ScalarsAndEmptyShapes) {
  const testing::TempDir folder;
  const auto scalar = open_bytes(folder, one_tensor("F32", "[]", "[0,4]", 4));
  EXPECT_TRUE(scalar.tensors()[0].shape.empty());
  EXPECT_EQ(scalar.tensors()[0].elements(), 1);
  EXPECT_THAT(to_float(scalar.fetch("a"), "a"), ElementsAre(0.0f));

  const auto empty = open_bytes(folder, one_tensor("F32", "[0,3]", "[0,0]", 0));
  EXPECT_THAT(empty.tensors()[0].shape, ElementsAre(0, 3));
  EXPECT_TRUE(to_float(empty.fetch("a"), "a").empty());

  const auto vast = open_bytes(folder, one_tensor("F32", "[0,9223372036854775808,4]", "[0,0]", 0));
  EXPECT_EQ(vast.tensors()[0].elements(), 0);
  EXPECT_EQ(vast.tensors()[0].shape[1], std::numeric_limits<int64_t>::max());
}

TEST(Safetensors, EmptyTensorsShareAnOffset) {
  const testing::TempDir folder;
  // The full tensor stands first in the header, the empty ones begin where it begins and ends.
  const auto file =
      open_bytes(folder, raw_file(header_of({u8_entry("full", 0, 4), u8_entry("y", 0, 0),
                                             u8_entry("x", 0, 0), u8_entry("z", 4, 4)}),
                                  4));
  std::vector<std::string> names;
  for (const TensorInfo& tensor : file.tensors()) names.push_back(tensor.name);
  EXPECT_THAT(names, ElementsAre("x", "y", "full", "z"));
}

TEST(Safetensors, EmptyFileAndPadding) {
  const testing::TempDir folder;
  EXPECT_TRUE(open_bytes(folder, raw_file("{}")).tensors().empty());
  EXPECT_TRUE(open_bytes(folder, raw_file("{}      ")).tensors().empty());
  EXPECT_TRUE(open_bytes(folder, raw_file("{ \n\t }")).tensors().empty());
}

TEST(Safetensors, NamesAreOpaque) {
  const std::string long_name(4096, 'n');
  for (const auto& [written, read] : {std::pair<std::string, std::string>{"../x", "../x"},
                                      {"a b", "a b"},
                                      {long_name, long_name},
                                      {"q\\\"uote", "q\"uote"},
                                      {"%s{}", "%s{}"},
                                      {"", ""},
                                      {"\\u00e9\xc3\xa9", "\xc3\xa9\xc3\xa9"}}) {
    const testing::TempDir folder;
    const auto file = open_bytes(folder, raw_file(header_of({u8_entry(written, 0, 1)}), 1));
    ASSERT_EQ(file.tensors().size(), 1u);
    EXPECT_EQ(file.tensors()[0].name, read);
    EXPECT_NE(file.find(read), nullptr);
    EXPECT_THAT(to_int64(file.fetch(read), read), ElementsAre(0));
  }
}

TEST(Safetensors, OrderOfTheHeaderHasNoMeaning) {
  const testing::TempDir folder;
  const std::string header = header_of({u8_entry("late", 2, 3), u8_entry("early", 0, 2)});
  const auto file =
      open_bytes(folder, testing::little_endian_u64(header.size()) + header + "\x01\x02\x03");
  EXPECT_THAT(to_int64(file.fetch("early"), "early"), ElementsAre(1, 2));
  EXPECT_THAT(to_int64(file.fetch("late"), "late"), ElementsAre(3));
}

TEST(Safetensors, NaNAndInfinityPass) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  std::string file = one_tensor("F32", "[3]", "[0,12]", 0);
  file += packed<float>({kInf, -kInf, std::numeric_limits<float>::quiet_NaN()});
  const testing::TempDir folder;
  const auto values = to_float(open_bytes(folder, file).fetch("a"), "a");
  EXPECT_EQ(values[0], kInf);
  EXPECT_EQ(values[1], -kInf);
  EXPECT_TRUE(std::isnan(values[2]));
}

TEST(Safetensors, EveryDtypeOnce) {
  const std::vector<std::pair<std::string, int>> bits{
      {"BOOL", 8},    {"U8", 8},      {"I8", 8},          {"I16", 16},        {"U16", 16},
      {"I32", 32},    {"U32", 32},    {"I64", 64},        {"U64", 64},        {"F16", 16},
      {"BF16", 16},   {"F32", 32},    {"F64", 64},        {"C64", 64},        {"F8_E4M3", 8},
      {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6},
      {"F6_E3M2", 6}, {"F4", 4}};
  std::vector<std::string> entries;
  int at = 0;
  for (const auto& [name, width] : bits) {
    const int end = at + 4 * width / 8;  // 4 elements
    entries.push_back(fmt::format(R"("{0}":{{"dtype":"{0}","shape":[4],"data_offsets":[{1},{2}]}})",
                                  name, at, end));
    at = end;
  }
  const testing::TempDir folder;
  const auto file = open_bytes(folder, raw_file(header_of(entries), static_cast<size_t>(at)));
  ASSERT_EQ(file.tensors().size(), bits.size());
  for (const auto& [name, width] : bits) {
    EXPECT_EQ(dtype_file_name(file.fetch(name).dtype), name);
    EXPECT_EQ(file.fetch(name).bytes, static_cast<uint64_t>(width) / 2);
  }
  EXPECT_THAT(error_of(ErrorKind::kUnsupported, [&] { to_float(file.fetch("F4"), "F4"); }),
              HasSubstr("\"F4\""));
  error_of(ErrorKind::kUnsupported, [&] { to_int64(file.fetch("F32"), "F32"); });
}

TEST(Safetensors, AnUnknownDtypeFailsAloneAndOnFetch) {
  const testing::TempDir folder;
  const auto file = open_bytes(
      folder, raw_file(header_of({R"("new":{"dtype":"F3","shape":[7],"data_offsets":[0,3]})",
                                  u8_entry("old", 3, 5)}),
                       5));
  EXPECT_THAT(to_int64(file.fetch("old"), "old"), ElementsAre(0, 0));
  EXPECT_FALSE(file.find("new")->dtype.has_value());
  EXPECT_EQ(file.find("new")->dtype_text, "F3");
  const std::string message = error_of(ErrorKind::kUnsupported, [&] { file.fetch("new"); });
  EXPECT_THAT(message, HasSubstr("file.safetensors"));
  EXPECT_THAT(message, HasSubstr("F3"));
}

TEST(Safetensors, MetadataAndMissingTensors) {
  const testing::TempDir folder;
  const auto file =
      open_bytes(folder, raw_file(R"({"__metadata__":{"format":"pt","x":"{\"a\":1}"}})"));
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.metadata().at("x"), "{\"a\":1}");
  EXPECT_EQ(file.find("x"), nullptr);
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { file.fetch("no.such"); }), HasSubstr("no.such"));
}

TEST(Safetensors, IntegersAsInt64) {
  const testing::TempDir folder;
  std::string file = one_tensor("I16", "[2]", "[0,4]", 0) + packed<int16_t>({-2, 300});
  EXPECT_THAT(to_int64(open_bytes(folder, file).fetch("a"), "a"), ElementsAre(-2, 300));
  file = one_tensor("U32", "[1]", "[0,4]", 0) + packed<uint32_t>({4294967295u});
  EXPECT_THAT(to_int64(open_bytes(folder, file).fetch("a"), "a"), ElementsAre(4294967295));
  file = one_tensor("BOOL", "[2]", "[0,2]", 0) + packed<uint8_t>({0, 255});
  EXPECT_THAT(to_int64(open_bytes(folder, file).fetch("a"), "a"), ElementsAre(0, 1));
  file = one_tensor("U64", "[1]", "[0,8]", 0) + packed<uint64_t>({uint64_t{1} << 63});
  const auto large = open_bytes(folder, file);
  error_of(ErrorKind::kUnsupported, [&] { to_int64(large.fetch("a"), "a"); });
}

TEST(Safetensors, HalfPrecisionValues) {
  const testing::TempDir folder;
  std::string file = one_tensor("BF16", "[2]", "[0,4]", 0) + packed<uint16_t>({0x3fc0, 0xc000});
  EXPECT_THAT(to_float(open_bytes(folder, file).fetch("a"), "a"), ElementsAre(1.5f, -2.0f));
  file = one_tensor("F16", "[3]", "[0,6]", 0) + packed<uint16_t>({0x3e00, 0xc000, 0x0001});
  EXPECT_THAT(to_float(open_bytes(folder, file).fetch("a"), "a"),
              ElementsAre(1.5f, -2.0f, 0x1p-24f));
}

// All 256 codes of each 8-bit float, as PyTorch decodes them.
TEST(Safetensors, Fp8ValuesAgreeWithPyTorch) {
  const Json golden =
      read_json_file(std::string(SPARSESCOPE_TEST_DATA) + "/checkpoint/fp8_values.json");
  ASSERT_EQ(golden.size(), 5u);
  std::string codes;
  for (int byte = 0; byte < 256; ++byte) codes += static_cast<char>(byte);
  for (const auto& [type, expected] : golden.items()) {
    const testing::TempDir folder;
    const auto values = to_float(
        open_bytes(folder, one_tensor(type, "[256]", "[0,256]", 0) + codes).fetch("a"), "a");
    ASSERT_EQ(expected.size(), 256u);
    for (size_t byte = 0; byte < 256; ++byte) {
      const Json& entry = expected[byte];
      const double value =
          entry.is_string() ? std::stod(entry.get<std::string>()) : entry.get<double>();
      if (std::isnan(value)) {
        EXPECT_TRUE(std::isnan(values[byte])) << type << " code " << byte;
      } else {
        EXPECT_EQ(values[byte], static_cast<float>(value)) << type << " code " << byte;
        EXPECT_EQ(std::signbit(values[byte]), std::signbit(value)) << type << " code " << byte;
      }
    }
  }
}

TEST(Safetensors, Fp8CheckValues) {
  const testing::TempDir folder;
  const auto decode = [&](const char* dtype, std::vector<uint8_t> codes) {
    const std::string count = std::to_string(codes.size());
    return to_float(
        open_bytes(folder,
                   one_tensor(dtype, "[" + count + "]", "[0," + count + "]", 0) + packed(codes))
            .fetch("a"),
        "a");
  };
  EXPECT_THAT(decode("F8_E4M3", {0x7e, 0x08, 0x01, 0xbc}),
              ElementsAre(448.0f, 0x1p-6f, 0x1p-9f, -1.5f));
  EXPECT_THAT(decode("F8_E5M2", {0x7c, 0xfc, 0x3c, 0x01}),
              ElementsAre(HUGE_VALF, -HUGE_VALF, 1.0f, 0x1p-16f));
  EXPECT_THAT(decode("F8_E8M0", {0, 127, 128, 254}), ElementsAre(0x1p-127f, 1.0f, 2.0f, 0x1p127f));
  EXPECT_THAT(decode("F8_E4M3FNUZ", {0x7f, 0x08, 0x01}), ElementsAre(240.0f, 0x1p-7f, 0x1p-10f));
  EXPECT_THAT(decode("F8_E5M2FNUZ", {0x7f, 0x01}), ElementsAre(57344.0f, 0x1p-17f));
  EXPECT_TRUE(std::isnan(decode("F8_E4M3", {0xff})[0]));
  EXPECT_TRUE(std::isnan(decode("F8_E8M0", {0xff})[0]));
  EXPECT_TRUE(std::isnan(decode("F8_E4M3FNUZ", {0x80})[0]));
}

TEST(Safetensors, ATensorOutlivesItsFile) {
  StoredTensor tensor;
  {
    const testing::TempDir folder;
    tensor = open_bytes(folder, one_tensor("U8", "[3]", "[0,3]", 0) + "\x07\x08\x09").fetch("a");
  }
  EXPECT_THAT(to_int64(tensor, "a"), ElementsAre(7, 8, 9));
}

}  // namespace
}  // namespace sparsescope
