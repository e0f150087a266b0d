#include "stats/site_selection.h"

#include <gmock/gmock.h>

#include "core/error.h"

namespace sparsescope {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(IndexList, NamesNumbersAndRanges) {
  EXPECT_THAT(parse_index_list("0,2-3", 5, "--x"), ElementsAre(1, 0, 1, 1, 0));
  EXPECT_THAT(parse_index_list("4", 5, "--x"), ElementsAre(0, 0, 0, 0, 1));
  EXPECT_THAT(parse_index_list("1-1,1", 2, "--x"), ElementsAre(0, 1));
  EXPECT_THAT(parse_index_list("all", 3, "--x"), ElementsAre(1, 1, 1));
  EXPECT_THAT(parse_index_list("*", 2, "--x"), ElementsAre(1, 1));
}

TEST(IndexList, RefusesEverythingElse) {
  for (const char* text :
       {"", ",", "1,", "5", "-1", "3-1", "a", "1 2", "0x1", "1-", "1-9", "1.5"}) {
    try {
      parse_index_list(text, 5, "--record-steps");
      ADD_FAILURE() << "'" << text << "' was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_THAT(error.what(), HasSubstr("--record-steps"));
    }
  }
}

TEST(SiteSelection, KeepsTheNamedSites) {
  const SiteSelection maps = parse_site_selection("step=0,2 layer=1 head=*", 3, 2, 2, "--maps");
  EXPECT_TRUE(maps.keeps(0, 1));
  EXPECT_TRUE(maps.keeps(2, 1));
  EXPECT_FALSE(maps.keeps(1, 1));
  EXPECT_FALSE(maps.keeps(0, 0));
  EXPECT_THAT(maps.heads, ElementsAre(1, 1));
}

TEST(SiteSelection, MissingPiecesMeanAll) {
  const SiteSelection maps = parse_site_selection("head=1", 2, 2, 3, "--maps");
  EXPECT_TRUE(maps.keeps(1, 1));
  EXPECT_TRUE(maps.keeps(0, 0));
  EXPECT_THAT(maps.heads, ElementsAre(0, 1, 0));
}

TEST(SiteSelection, NothingAskedNothingKept) {
  EXPECT_FALSE(parse_site_selection("", 2, 2, 2, "--maps").keeps(0, 0));
}

TEST(SiteSelection, RefusesUnknownAndRepeatedPieces) {
  for (const char* text : {"steps=1", "step", "step=1 step=2", "layer=7", "step=0,", "1"}) {
    try {
      parse_site_selection(text, 3, 3, 3, "--keep-qkv");
      ADD_FAILURE() << "'" << text << "' was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_THAT(error.what(), HasSubstr("--keep-qkv"));
    }
  }
}

}  // namespace
}  // namespace sparsescope
