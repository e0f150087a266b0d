#include "export/python_literal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;

TEST(PythonLiteral, WordsAreTranslatedOutsideOfStringsAlone) {
  const Json object = {{"true \"x\" \\", {true, false, nullptr}}, {"s", "null \\\" false"}};
  const std::string text = to_python(object, "X", "one\ntwo");
  EXPECT_EQ(text,
            "# one\n# two\nX = {\n"
            "    \"true \\\"x\\\" \\\\\": [\n        True,\n        False,\n        None\n    ],\n"
            "    \"s\": \"null \\\\\\\" false\"\n}\n");
  EXPECT_EQ(parse_python(text, "X", "x.py"), object);
}

TEST(PythonLiteral, AnythingElseIsRefused) {
  for (const char* text :
       {"", "Y = {}", "X = []", "X = {} + 1", "import os\nX = {}", "X = {'a': 1}"}) {
    EXPECT_THAT(error_of(ErrorKind::kData, [&] { parse_python(text, "X", "x.py"); }),
                HasSubstr("x.py"))
        << text;
  }
}

}  // namespace
}  // namespace sparsescope::testing
