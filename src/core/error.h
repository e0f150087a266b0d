// The one exception type of the library and the checks that raise it.
// Message order: which object, what was expected, what was found. Only apps/main.cpp maps kinds to
// exit codes: kUsage 2, kData 3, kUnsupported and kNotCompiled 4, kResource 5, kInterrupted 130,
// everything else 1.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace sparsescope {

enum class ErrorKind {
  kUsage,        // the caller's arguments are wrong: says which, and what is allowed
  kData,         // an input file is broken or does not fit: file, place, expected, found
  kUnsupported,  // valid, but this program cannot do it: says what it can
  kNotCompiled,  // this build has no such back end
  kResource,     // memory or disk: says how much was needed
  kDevice,       // an accelerator reported an error
  kInterrupted,  // the user asked to stop; what was finished is kept
  kInternal,     // a defect of ours
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

namespace detail {
[[noreturn]] void fail_assert(const char* condition, const char* file, int line);
}  // namespace detail

}  // namespace sparsescope

// For anything a file, an option or a caller can get wrong. Always on; the message is formatted
// only when the condition fails.
#define SPARSESCOPE_CHECK(kind, condition, ...)                         \
  do {                                                                  \
    if (!(condition)) ::sparsescope::fail((kind), __VA_ARGS__);         \
  } while (false)

// For our own invariants. On in every build: none stands in a hot loop.
#define SPARSESCOPE_ASSERT(condition)                                                    \
  do {                                                                                   \
    if (!(condition)) ::sparsescope::detail::fail_assert(#condition, __FILE__, __LINE__); \
  } while (false)
