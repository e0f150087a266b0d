// A file mapped read-only. The descriptor stays open and the mapping lives as long as anyone shares
// it, so that views into it never dangle.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace sparsescope {

class MappedFile {
 public:
  // Error(kData) where the path is no readable regular file, or changes its size while it is
  // mapped.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  explicit MappedFile(const std::filesystem::path& path);

  int descriptor_ = -1;
  const std::byte* data_ = nullptr;  // null for an empty file
  size_t size_ = 0;
};

}  // namespace sparsescope
