// SHA-256, the hash that stands behind "these bytes" in every file we write.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

namespace sparsescope {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(const void* data, size_t bytes);
  std::string hex();  // 64 digits; ends the computation

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(const void* data, size_t bytes);
std::string sha256_file(const std::filesystem::path& path);  // Error(kData) if unreadable

}  // namespace sparsescope
