#include "core/atomic_file.h"

#include <fstream>
#include <stdexcept>
#include <string>

#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace sparsescope {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::read_file;

TEST(AtomicFile, WritesAWholeFileAndNothingElse) {
  const testing::TempDir folder;
  const std::string text("a\0b\n", 4);
  write_text_atomically(folder / "out", text, false);
  EXPECT_EQ(read_file(folder / "out"), text);
  EXPECT_EQ(folder.num_entries(), 1u);
}

TEST(AtomicFile, NeverReplacesUnasked) {
  const testing::TempDir folder;
  const auto path = folder.write("out", "precious");
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { check_writable_output(path, false); }),
              HasSubstr("--force"));
  error_of(ErrorKind::kUsage, [&] { write_text_atomically(path, "new", false); });
  EXPECT_EQ(read_file(path), "precious");
  write_text_atomically(path, "new", true);
  EXPECT_EQ(read_file(path), "new");
  EXPECT_EQ(folder.num_entries(), 1u);
}

TEST(AtomicFile, NeverReplacesAFileThatAppearedMeanwhile) {
  const testing::TempDir folder;
  error_of(ErrorKind::kUsage, [&] {
    write_atomically(folder / "out", false, [&](const std::filesystem::path& temporary) {
      std::ofstream(temporary) << "ours";
      folder.write("out", "theirs");
    });
  });
  EXPECT_EQ(read_file(folder / "out"), "theirs");
  EXPECT_EQ(folder.num_entries(), 1u);
}

TEST(AtomicFile, LeavesNothingBehindOnFailure) {
  const testing::TempDir folder;
  const auto path = folder.write("out", "before");
  EXPECT_THROW(write_atomically(path, true,
                                [](const std::filesystem::path& temporary) {
                                  std::ofstream(temporary) << "half";
                                  throw std::runtime_error("cannot go on");
                                }),
               std::runtime_error);
  EXPECT_EQ(read_file(path), "before");
  EXPECT_EQ(folder.num_entries(), 1u);
}

TEST(AtomicFile, TheTemporaryFileIsAHiddenNeighbour) {
  const testing::TempDir folder;
  write_atomically(folder / "out", false, [&](const std::filesystem::path& temporary) {
    EXPECT_EQ(temporary.parent_path(), folder.path());
    EXPECT_TRUE(temporary.filename().string().starts_with('.'));
    EXPECT_FALSE(std::filesystem::exists(folder / "out"));
    std::ofstream(temporary) << "x";
  });
}

TEST(AtomicFile, RefusesFoldersAndMissingFolders) {
  const testing::TempDir folder;
  error_of(ErrorKind::kUsage, [&] { check_writable_output(folder.path(), true); });
  error_of(ErrorKind::kUsage, [&] { check_writable_output("", true); });
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { check_writable_output(folder / "no/out", true); }),
              HasSubstr("does not exist"));
}

}  // namespace
}  // namespace sparsescope
