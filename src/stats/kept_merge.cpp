#include "stats/kept_merge.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "core/tensor_view.h"
#include "stats/kept_store.h"

namespace sparsescope {
namespace {

[[noreturn]] void fail_different(const std::string& file, const std::string& place,
                                 const std::string& what) {
  fail(ErrorKind::kData, "{}: {}: expected {} as in the profiles before it", file, place, what);
}

uint32_t bits(float value) { return std::bit_cast<uint32_t>(value); }
uint8_t bits(uint8_t value) { return value; }

template <typename T>
bool same_bits(const T* left, const T* right, int64_t count) {
  return std::equal(left, left + count, right, [](T a, T b) { return bits(a) == bits(b); });
}

template <typename T>
void join_results(std::map<int64_t, KeptArray<T>>& joined, std::map<int64_t, KeptArray<T>> added,
                  const std::string& group, const std::string& file) {
  for (auto& [prompt, array] : added) {
    const auto [place, is_new] = joined.try_emplace(prompt, array);
    if (is_new) continue;
    const KeptArray<T>& before = place->second;
    const std::string name = group + "/" + prompt_name(prompt);
    if (before.shape != array.shape) {
      fail_different(file, name, "the extents " + shape_to_string(before.shape));
    }
    const std::vector<T> left = before.read(), right = array.read();
    if (!same_bits(left.data(), right.data(), std::ssize(left))) {
      fail_different(file, name, "the same values");
    }
  }
}

int64_t place_of_head(const KeptCall& call, int64_t head) {
  const auto found = std::lower_bound(call.heads.begin(), call.heads.end(), head);
  return found != call.heads.end() && *found == head ? found - call.heads.begin() : -1;
}

// The heads that both hold.
void check_same(const KeptCall& before, const KeptCall& call, size_t which,
                const std::string& place, const std::string& file) {
  const std::vector<float> left = before.qkv[which].read(), right = call.qkv[which].read();
  const int64_t block = call.qkv[which].shape[1] * call.qkv[which].shape[2];
  for (size_t i = 0; i < call.heads.size(); ++i) {
    const int64_t at = place_of_head(before, call.heads[i]);
    if (at < 0) continue;
    const float* values = right.data() + static_cast<int64_t>(i) * block;
    if (!same_bits(left.data() + at * block, values, block)) {
      fail_different(file, place, fmt::format("the same values of head {}", call.heads[i]));
    }
  }
}

KeptArray<float> heads_of_both(const KeptCall& before, const KeptCall& call, size_t which,
                               const std::vector<int64_t>& heads) {
  KeptArray<float> both{call.qkv[which].shape, {}};
  both.shape.front() = std::ssize(heads);
  both.read = [before, call, which, heads, block = both.shape[1] * both.shape[2]] {
    const std::vector<float> left = before.qkv[which].read(), right = call.qkv[which].read();
    std::vector<float> values;  // [heads, S, D]
    for (const int64_t head : heads) {
      const int64_t at = place_of_head(before, head);
      const auto from =
          at >= 0 ? left.begin() + at * block : right.begin() + place_of_head(call, head) * block;
      values.insert(values.end(), from, from + block);
    }
    return values;
  };
  return both;
}

void join_call(KeptCall& before, const KeptCall& call, const std::string& place,
               const std::string& file) {
  const auto tokens_of = [](const KeptCall& c) {
    return std::tuple(c.prefix, c.suffix, c.scale, c.qkv[0].shape[1], c.qkv[0].shape[2]);
  };
  if (tokens_of(before) != tokens_of(call)) {
    fail_different(file, place, "the same tokens, channels and scale");
  }
  for (size_t i = 0; i < kQkvNames.size(); ++i) {
    check_same(before, call, i, place + "/" + kQkvNames[i], file);
  }
  std::vector<int64_t> heads;
  std::set_union(before.heads.begin(), before.heads.end(), call.heads.begin(), call.heads.end(),
                 std::back_inserter(heads));
  if (heads == before.heads) return;
  KeptCall both = before;
  both.heads = heads;
  for (size_t i = 0; i < kQkvNames.size(); ++i) {
    both.qkv[i] = heads_of_both(before, call, i, heads);
  }
  before = std::move(both);
}

template <typename T>
std::map<int64_t, KeptArray<T>> moved(std::map<int64_t, KeptArray<T>> before,
                                      const std::vector<int64_t>& place_of) {
  std::map<int64_t, KeptArray<T>> after;
  for (auto& [prompt, array] : before) {
    if (prompt < std::ssize(place_of)) {
      after.emplace(place_of[static_cast<size_t>(prompt)], std::move(array));
    }
  }
  return after;
}

}  // namespace

KeptData move_prompts(KeptData kept, const std::vector<int64_t>& place_of,
                      const std::map<std::string, std::string>& names) {
  KeptData after;
  for (auto& [name, call] : kept.calls) {
    const auto site = names.find(name);
    if (site != names.end()) after.calls.emplace(site->second, std::move(call));
  }
  after.latents = moved(std::move(kept.latents), place_of);
  after.videos = moved(std::move(kept.videos), place_of);
  return after;
}

void join_kept(KeptData& joined, KeptData added, const std::string& file) {
  for (auto& [name, call] : added.calls) {
    const auto [place, is_new] = joined.calls.try_emplace(name, call);
    if (!is_new) join_call(place->second, call, "/qkv/" + name, file);
  }
  join_results(joined.latents, std::move(added.latents), "/latents", file);
  join_results(joined.videos, std::move(added.videos), "/videos", file);
}

}  // namespace sparsescope
