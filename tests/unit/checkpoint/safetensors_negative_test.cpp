// Every way in which a safetensors file can be broken is refused, with the file and the fault
// named.
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "raw_file.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace sparsescope {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::header_of;
using testing::one_tensor;
using testing::raw_file;
using testing::u8_entry;

struct BrokenFile {
  const char* name;
  std::string bytes;
  const char* message;  // part of it
};

std::string pair_of(const std::string& a, const std::string& b, size_t buffer_bytes) {
  return raw_file(header_of({a, b}), buffer_bytes);
}

void PrintTo(const BrokenFile& file, std::ostream* out) { *out << file.name; }

std::string with_length(uint64_t length, const std::string& rest) {
  return testing::little_endian_u64(length) + rest;
}

std::string nesting_bomb() {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "{\"a\":";
  return raw_file(text + "1" + std::string(100000, '}'));
}

std::string field_missing(const char* fields) {
  return raw_file(fmt::format("{{\"a\":{{{}}}}}", fields), 4);
}

const std::vector<BrokenFile>& lengths() {
  static const std::vector<BrokenFile> files{
      {"empty_file", "", "expected at least 8 bytes, found 0"},
      {"seven_bytes", std::string(7, '\0'), "expected at least 8 bytes, found 7"},
      {"length_0", with_length(0, "{}"), "found an empty header"},
      {"length_beyond_file", with_length(3, "{}"), "expected at least 11 bytes"},
      {"length_2_64_minus_1", with_length(UINT64_MAX, "{}"), "found 18446744073709551615"},
      {"length_2_64_minus_8", with_length(UINT64_MAX - 7, "{}"), "at most 100000000 bytes"},
      {"length_over_limit", with_length(100'000'001, "{}"), "found 100000001"},
      {"html", "<!DOCTYPE html><html></html>", "download it again"},
      {"trailing_byte", one_tensor("U8", "[4]", "[0,4]", 5), "1 bytes behind the last tensor"},
      {"missing_byte", one_tensor("U8", "[4]", "[0,4]", 3), "download it again"},
      {"bytes_behind_nothing", raw_file("{}", 1), "1 bytes behind the last tensor"},
  };
  return files;
}

const std::vector<BrokenFile>& json_faults() {
  static const std::vector<BrokenFile> files{
      {"invalid_utf8", raw_file("{\"\xff\":1}"), "valid JSON in UTF-8"},
      {"overlong_utf8", raw_file("{\"\xc0\x80\":1}"), "valid JSON in UTF-8"},
      {"array", raw_file("[]"), "expected '{'"},
      {"truncated_json", raw_file("{\"a\":{\"dty"), "expected '}'"},
      {"unclosed_json",
       raw_file("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}", 1), "valid JSON"},
      {"two_objects", raw_file("{}{}"), "valid JSON"},
      {"comment", raw_file("{/**/}"), "valid JSON"},
      {"byte_order_mark", raw_file("\xef\xbb\xbf{}"), "expected '{'"},
      {"leading_space", raw_file(" {}"), "expected '{'"},
      {"newline_behind", raw_file("{}\n"), "only spaces"},
      {"newline_before_spaces", raw_file("{}\n  "), "only spaces"},
      {"nul_behind", raw_file(std::string("{}\0x}", 5)), "NUL"},
      {"nesting_bomb", nesting_bomb(), "found the field \"a\""},
      {"array_bomb", raw_file(fmt::format("{{\"a\":{}}}", std::string(100000, '['))),
       "found a list"},
      {"duplicate_tensor", pair_of(u8_entry("a", 0, 1), u8_entry("a", 1, 2), 2),
       "\"a\" stands twice"},
      {"duplicate_escaped", pair_of(u8_entry("a", 0, 1), u8_entry("\\u0061", 1, 2), 2),
       "\"a\" stands twice"},
      {"duplicate_metadata", raw_file("{\"__metadata__\":{},\"__metadata__\":{}}"),
       "__metadata__ stands twice"},
      {"duplicate_metadata_key", raw_file("{\"__metadata__\":{\"x\":\"1\",\"x\":\"2\"}}"),
       "\"x\" stands twice"},
      {"duplicate_field",
       field_missing("\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]"),
       "dtype stands twice"},
  };
  return files;
}

const std::vector<BrokenFile>& schema_faults() {
  static const std::vector<BrokenFile> files{
      {"no_dtype", field_missing("\"shape\":[4],\"data_offsets\":[0,4]"), "dtype is missing"},
      {"no_shape", field_missing("\"dtype\":\"U8\",\"data_offsets\":[0,4]"), "shape is missing"},
      {"no_offsets", field_missing("\"dtype\":\"U8\",\"shape\":[4]"), "data_offsets is missing"},
      {"unknown_field",
       field_missing("\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"more\":1"),
       "found the field \"more\""},
      {"tensor_is_number", raw_file("{\"a\":1}"), "expected an object"},
      {"tensor_is_null", raw_file("{\"a\":null}"), "found null"},
      {"dtype_is_number", field_missing("\"dtype\":8"), "dtype: expected a string"},
      {"shape_is_number", field_missing("\"shape\":4"), "found 4"},
      {"negative_extent", one_tensor("U8", "[-4]", "[0,4]", 4), "found -4"},
      {"minus_zero", one_tensor("U8", "[-0]", "[0,0]", 0), "whole numbers"},
      {"float_extent", one_tensor("U8", "[4.0]", "[0,4]", 4), "found 4.0"},
      {"exponent_extent", one_tensor("U8", "[4e0]", "[0,4]", 4), "found 4e0"},
      {"string_extent", one_tensor("U8", "[\"4\"]", "[0,4]", 4), "found the string"},
      {"extent_2_64", one_tensor("U8", "[18446744073709551616]", "[0,4]", 4), "whole numbers"},
      {"nested_extent", one_tensor("U8", "[[4]]", "[0,4]", 4), "found a list"},
      {"object_extent", one_tensor("U8", "[{}]", "[0,4]", 4), "found an object"},
      {"true_extent", one_tensor("U8", "[true]", "[0,4]", 4), "found true"},
      {"negative_offset", one_tensor("U8", "[4]", "[-1,3]", 4), "found -1"},
      {"float_offset", one_tensor("U8", "[4]", "[0,4.0]", 4), "found 4.0"},
      {"offset_2_64", one_tensor("U8", "[4]", "[0,18446744073709551616]", 4), "whole numbers"},
      {"string_offset", one_tensor("U8", "[4]", "[0,\"4\"]", 4), "found the string"},
      {"one_offset", one_tensor("U8", "[4]", "[4]", 4), "found 1 of them"},
      {"three_offsets", one_tensor("U8", "[4]", "[0,4,4]", 4), "found more"},
      {"metadata_number", raw_file("{\"__metadata__\":{\"x\":1}}"), "\"x\": expected a string"},
      {"metadata_object", raw_file("{\"__metadata__\":{\"x\":{}}}"), "\"x\": expected a string"},
      {"metadata_string", raw_file("{\"__metadata__\":\"x\"}"), "expected an object of strings"},
      {"rank_9", one_tensor("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]", 1), "at most 8 axes"},
  };
  return files;
}

const std::vector<BrokenFile>& layout_faults() {
  static const std::vector<BrokenFile> files{
      {"begin_behind_end", one_tensor("U8", "[4]", "[4,0]", 4), "expected begin <= end"},
      {"first_begin_4", raw_file(header_of({u8_entry("a", 4, 8)}), 8), "expected to begin at 0"},
      {"gap", pair_of(u8_entry("a", 0, 2), u8_entry("b", 3, 5), 5), "expected to begin at 2"},
      {"overlap", pair_of(u8_entry("a", 0, 3), u8_entry("b", 2, 5), 5), "overlap"},
      {"gap_and_overlap",
       raw_file(header_of({u8_entry("a", 0, 3), u8_entry("b", 2, 4), u8_entry("c", 5, 7)}), 7),
       "overlap"},
      {"alias", pair_of(u8_entry("a", 0, 4), u8_entry("b", 0, 4), 4), "overlap"},
      {"sum_wraps",
       pair_of("\"a\":{\"dtype\":\"X\",\"shape\":[],\"data_offsets\":[0,18446744073709551615]}",
               "\"b\":{\"dtype\":\"X\",\"shape\":[],\"data_offsets\":[1,18446744073709551615]}", 0),
       "overlap"},
      {"shape_overflows", one_tensor("F32", "[9223372036854775808,4]", "[0,0]", 0),
       "more bytes than a file can hold"},
      {"shape_overflows_before_0", one_tensor("U8", "[9223372036854775808,4,0]", "[0,0]", 0),
       "more bytes than a file can hold"},
      {"bits_overflow", one_tensor("F64", "[288230376151711744]", "[0,0]", 0),
       "more bytes than a file can hold"},
      {"one_byte_too_long", one_tensor("F32", "[2]", "[0,9]", 9), "expected 8 bytes (F32 [2])"},
      {"one_byte_too_short", one_tensor("F32", "[2]", "[0,7]", 7), "expected 8 bytes (F32 [2])"},
      {"odd_f4", one_tensor("F4", "[3]", "[0,2]", 2), "expected whole bytes, found 12 bits"},
      {"scalar_without_bytes", one_tensor("F32", "[]", "[0,0]", 0), "expected 4 bytes"},
  };
  return files;
}

class BrokenSafetensors : public ::testing::TestWithParam<BrokenFile> {};

TEST_P(BrokenSafetensors, IsRefusedByName) {
  const testing::TempDir folder;
  const auto path = folder.write(std::string(GetParam().name) + ".safetensors", GetParam().bytes);
  const std::string message = error_of(ErrorKind::kData, [&] { SafetensorsFile::open(path); });
  EXPECT_THAT(message, HasSubstr(path.filename().string()));
  EXPECT_THAT(message, HasSubstr(GetParam().message));
}

std::string fixture_name(const ::testing::TestParamInfo<BrokenFile>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Length, BrokenSafetensors, ::testing::ValuesIn(lengths()), fixture_name);
INSTANTIATE_TEST_SUITE_P(Json, BrokenSafetensors, ::testing::ValuesIn(json_faults()), fixture_name);
INSTANTIATE_TEST_SUITE_P(Schema, BrokenSafetensors, ::testing::ValuesIn(schema_faults()),
                         fixture_name);
INSTANTIATE_TEST_SUITE_P(Layout, BrokenSafetensors, ::testing::ValuesIn(layout_faults()),
                         fixture_name);

TEST(BrokenSafetensors, ManyAliasesAreRefusedAtTheSecond) {
  std::vector<std::string> entries;
  for (int i = 0; i < 200000; ++i) entries.push_back(u8_entry(fmt::format("t{}", i), 0, 16));
  const testing::TempDir folder;
  const auto path = folder.write("aliases.safetensors", raw_file(header_of(entries), 16));
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { SafetensorsFile::open(path); }),
              HasSubstr("tensor \"t1\""));
}

TEST(BrokenSafetensors, TruncationNamesExpectedAndActualSize) {
  const std::string whole = one_tensor("F32", "[256]", "[0,1024]", 1024);
  const testing::TempDir folder;
  const auto path = folder.write("cut.safetensors", whole.substr(0, whole.size() - 1000));
  const std::string message = error_of(ErrorKind::kData, [&] { SafetensorsFile::open(path); });
  EXPECT_THAT(message, HasSubstr("expected 1024 bytes of tensors"));
  EXPECT_THAT(message, HasSubstr("found 24"));
}

TEST(BrokenSafetensors, EveryPrefixOfAFileIsRefused) {
  const std::string whole = one_tensor("F32", "[2,2]", "[0,16]", 16);
  const testing::TempDir folder;
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto path = folder.write("prefix.safetensors", whole.substr(0, size));
    error_of(ErrorKind::kData, [&] { SafetensorsFile::open(path); });
  }
}

TEST(BrokenSafetensors, NoFileAndNoRegularFile) {
  const testing::TempDir folder;
  EXPECT_THAT(
      error_of(ErrorKind::kData, [&] { SafetensorsFile::open(folder / "none.safetensors"); }),
      HasSubstr("none.safetensors"));
  error_of(ErrorKind::kData, [&] { SafetensorsFile::open(folder.path()); });
}

TEST(BrokenSafetensors, ControlCharactersInNamesAreEscapedInMessages) {
  const testing::TempDir folder;
  const auto path =
      folder.write("steering.safetensors", raw_file("{\"\\u001b[2J\\u009b\":{\"dtype\":\"U8\"}}"));
  const std::string message = error_of(ErrorKind::kData, [&] { SafetensorsFile::open(path); });
  EXPECT_THAT(message, HasSubstr("\\x1b[2J\\x9b"));
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace sparsescope
