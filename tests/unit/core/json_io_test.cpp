#include "core/json_io.h"

#include <string>

#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace sparsescope {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

std::string refusal(const std::string& text) {
  return error_of(ErrorKind::kData, [&] { parse_json(text, "settings.json"); });
}

TEST(JsonIo, ReadsAndKeepsTheOrderOfKeys) {
  const Json json = parse_json(R"({"b":1,"a":[true,null,"x",-2.5]})", "settings.json");
  EXPECT_EQ(json.begin().key(), "b");
  EXPECT_EQ(json.at("a").at(3), -2.5);
  EXPECT_EQ(parse_json(" 7 ", "settings.json"), 7);
}

TEST(JsonIo, NamesTheSourceInEveryError) {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("{\"a\":1,}"), std::string("{}{}"),
        std::string("[1,2"), std::string("{'a':1}"), std::string("// note\n{}"), std::string("NaN"),
        std::string("01"), std::string("{\"\xff\":1}"), std::string("{}\0x", 4)}) {
    EXPECT_THAT(refusal(text), HasSubstr("settings.json")) << text;
  }
}

TEST(JsonIo, RefusesKeysThatStandTwice) {
  EXPECT_THAT(refusal(R"({"a":1,"a":1})"), HasSubstr("\"a\""));
  EXPECT_THAT(refusal(R"([{"x":{"a":1,"b":2,"\u0061":3}}])"), HasSubstr("\"a\""));
  // The same key in different objects is fine.
  EXPECT_EQ(parse_json(R"([{"a":{"a":1}},{"a":2}])", "x").size(), 2u);
}

TEST(JsonIo, RefusesDeepNesting) {
  const auto nested = [](int depth) {
    return std::string(static_cast<size_t>(depth), '[') +
           std::string(static_cast<size_t>(depth), ']');
  };
  EXPECT_NO_THROW(parse_json(nested(60), "x"));
  EXPECT_THAT(refusal(nested(70)), HasSubstr("64"));
  refusal(nested(100000));
}

TEST(JsonIo, Files) {
  const testing::TempDir folder;
  EXPECT_EQ(read_json_file(folder.write("a.json", "{\"a\":1}")).at("a"), 1);
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { read_json_file(folder / "none.json"); }),
              HasSubstr("none.json"));
  error_of(ErrorKind::kData, [&] { read_json_file(folder.path()); });
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { read_json_file(folder / "a.json", 6); }),
              HasSubstr("found 7"));
}

}  // namespace
}  // namespace sparsescope
