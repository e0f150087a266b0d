#include "export/flat_yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;

const Json kObject = {{"a", {{"b", 0.5}, {"word", "TRTLLM"}, {"path", "x/y: z"}, {"answer", "no"}}},
                      {"c", {{"d", {{"e", 3}, {"f", true}}}}},
                      {"g", 5e-06}};
const char* const kText =
    "# two\n"
    "# lines\n"
    "a:\n"
    "  b: 0.5\n"
    "  word: TRTLLM\n"
    "  path: \"x/y: z\"\n"
    "  answer: \"no\"\n"  // bare, YAML 1.1 takes it for a boolean
    "c:\n"
    "  d:\n"
    "    e: 3\n"
    "    f: true\n"
    "g: 5.0e-06\n";

TEST(FlatYaml, WritesTheMappingsAndReadsThemBack) {
  EXPECT_EQ(to_flat_yaml(kObject, "two\nlines"), kText);
  EXPECT_EQ(parse_flat_yaml(kText, "x.yaml"), kObject);
}

TEST(FlatYaml, AnythingElseIsAnErrorWithItsLine) {
  for (const char* text :
       {"a: 1\nb\n", "a: 1\n  b: 1\n", "a: 1\na: 2\n", "a: 1\n- 2\n", "a: 1\nb:2\n",
        "a: 1\n b: 2\n", "a: 1\nb: [1\n", "a: 1\nno: 1\n", "a: 1\nb: yes\n"}) {
    EXPECT_THAT(error_of(ErrorKind::kData, [&] { parse_flat_yaml(text, "x.yaml"); }),
                HasSubstr("x.yaml: line 2"))
        << text;
  }
}

}  // namespace
}  // namespace sparsescope::testing
